/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine sees of a model's weights: `name zeros zero_blocks blocks` for every MatMul with a constant weight,
 * blocks of 32 x 32. usage: weight_zeros MODEL */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats/openvino/ir.h"
#include "graph/weight.h"

enum { SIDE = 32 };

static void print_error(void *user, enum incise_log_level level, const char *text)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

/* Counts zeros of rows `first`.. of one row of blocks. */
static void count(const struct inc_weight *weight, int64_t first, float *row, bool *used, int64_t *zeros)
{
    memset(used, 0, (size_t)(weight->in / SIDE + 1));
    for (int64_t r = first; r < weight->out && r < first + SIDE; r++) {
        inc_weight_row_f32(weight, r, row);
        for (int64_t k = 0; k < weight->in; k++) {
            *zeros += row[k] == 0.0f;
            if (row[k] != 0.0f) used[k / SIDE] = true;
        }
    }
}

static enum incise_status print_weight(const struct inc_graph *graph, const char *name, const struct inc_weight *weight)
{
    int64_t zeros = 0, zero_blocks = 0, across = (weight->in - 1) / SIDE + 1;
    INC_TRY(inc_weight_check(graph, weight));
    float *row = inc_alloc_array(graph->ctx, (size_t)weight->in, sizeof *row);
    bool *used = inc_alloc_array(graph->ctx, (size_t)across + 1, sizeof *used);
    enum incise_status status = row == NULL || used == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    for (int64_t first = 0; first < weight->out && status == INCISE_OK; first += SIDE) {
        count(weight, first, row, used, &zeros);
        for (int64_t i = 0; i < across; i++) zero_blocks += !used[i];
    }
    if (status == INCISE_OK)
        printf("%s %" PRId64 " %" PRId64 " %" PRId64 "\n", name, zeros, zero_blocks,
               across * ((weight->out - 1) / SIDE + 1));
    inc_free(graph->ctx, row);
    inc_free(graph->ctx, used);
    return status;
}

int main(int argc, char **argv)
{
    struct inc_ctx ctx;
    struct inc_graph *graph;
    if (argc != 2) return INCISE_ERROR_USAGE;
    inc_ctx_init(&ctx);
    ctx.log = print_error;
    enum incise_status status = inc_ir_read(&ctx, argv[1], &graph);
    if (status != INCISE_OK) return (int)status;
    for (const struct inc_node *node = graph->first; node != NULL && status == INCISE_OK; node = node->next) {
        struct inc_weight weight;
        if (node->op != INC_OP_MATMUL) continue;
        if (!inc_weight_match(node->inputs[1], inc_attr_bool(node, "transpose_b"), &weight)) continue;
        status = print_weight(graph, node->name, &weight);
    }
    inc_graph_destroy(graph);
    return (int)status;
}
