/* SPDX-License-Identifier: Apache-2.0 */
/* needs: nothing. gives: EmbeddingGather(table, ids) for rows taken from a constant, perhaps compressed, 2-D table. */
#include "lower/match.h"
#include "lower/passes.h"

static bool is_row_gather(const struct inc_node *node)
{
    double axis;
    if (node->op == INC_OP_EMBEDDING_GATHER || !inc_is_token_embedding(node)) return false;
    if (!inc_const_scalar(node->inputs[2], &axis) || axis != 0) return false;
    return node->op == INC_OP_GATHER1 || inc_attr_int(node, "batch_dims") == 0;
}

enum incise_status inc_pass_fuse_embedding(struct inc_lowering *lowering)
{
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next) {
        if (!is_row_gather(node)) continue;
        struct inc_value *inputs[] = {node->inputs[0], node->inputs[1]};
        if (inc_fuse(lowering, INC_OP_EMBEDDING_GATHER, inputs, 2, &node->outputs[0]) == NULL)
            return INCISE_ERROR_MEMORY;
    }
    return INCISE_OK;
}
