/* SPDX-License-Identifier: Apache-2.0 */
/* needs: shapes. gives: a node whose inputs are all constants, and whose result is small, is a Constant. The result's
 * size is known before anything is allocated; a weight's decompression stays as it is. */
#include "graph/eval_ref/eval.h"
#include "lower/match.h"
#include "lower/passes.h"

#define MAX_FOLDED_ELEMENTS 65536

/* The first step of a decompression; what follows it is then not made of constants only. */
static bool is_decompression(const struct inc_node *node)
{
    enum inc_type from = node->inputs[0]->type;
    return node->op == INC_OP_CONVERT && (from == INC_I8 || from == INC_U8 || from == INC_I4 || from == INC_U4);
}

static bool is_foldable(const struct inc_node *node)
{
    if (node->op == INC_OP_CONSTANT || node->op == INC_OP_PARAMETER || node->op == INC_OP_RESULT ||
        node->n_outputs != 1)
        return false;
    /* The evaluator gives f32 for every float type; steps of a decompression chain keep the type that they have. */
    if (inc_type_is_float(node->outputs[0].type) && node->outputs[0].type != INC_F32) return false;
    int64_t count = 1;
    const struct inc_shape *shape = &node->outputs[0].shape;
    for (int i = 0; i < shape->rank; i++) {
        if (!inc_dim_is_const(shape->dims[i]) || shape->dims[i].value > MAX_FOLDED_ELEMENTS) return false;
        count *= shape->dims[i].value;
        if (count > MAX_FOLDED_ELEMENTS) return false;
    }
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (inc_const_of(node->inputs[i]) == NULL) return false;
    return node->n_inputs > 0 && !is_decompression(node);
}

enum incise_status inc_pass_fold_constants(struct inc_lowering *lowering)
{
    struct inc_graph *graph = lowering->graph;
    for (struct inc_node *node = graph->first; node != NULL; node = node->next) {
        if (!is_foldable(node)) continue;
        struct inc_feed wanted = {.value = &node->outputs[0]};
        INC_TRY(inc_eval_run(graph, NULL, 0, &wanted, 1));
        struct inc_node *constant = inc_graph_add_constant(graph, node->name, &wanted.tensor, NULL, node);
        inc_tensor_release(graph->ctx, &wanted.tensor);
        if (constant == NULL) return INCISE_ERROR_MEMORY;
        INC_TRY(inc_value_replace(graph, &node->outputs[0], &constant->outputs[0]));
    }
    return INCISE_OK;
}
