/* SPDX-License-Identifier: Apache-2.0 */
/* needs: folded constants. gives: NormalizeL2(x) over the channels for x / max(||x||, eps) written out in ops. */
#include "lower/match.h"
#include "lower/passes.h"

static bool reduces_channels(const struct inc_node *node)
{
    return inc_reduces_axis(node, node->inputs[0]->shape.rank - 1) && inc_attr_bool(node, "keep_dims");
}

/* The length of the rows of x, kept as a dim of 1. */
static bool is_length(const struct inc_value *value, struct inc_value **x)
{
    const struct inc_node *root = inc_made_by(value, INC_OP_SQRT);
    if (root == NULL) {
        *x = value->node->op == INC_OP_REDUCE_L2 ? value->node->inputs[0] : NULL;
        return *x != NULL && reduces_channels(value->node);
    }
    const struct inc_node *sum = inc_made_by(root->inputs[0], INC_OP_REDUCE_SUM);
    return sum != NULL && reduces_channels(sum) && inc_is_square(sum->inputs[0], x);
}

/* x / max(||x||, eps), the divisor perhaps spread over the channels; *eps = 0 without a floor. */
static bool is_normalized(const struct inc_node *node, double *eps)
{
    struct inc_value *x, *length;
    if (node->op != INC_OP_DIVIDE) return false;
    length = node->inputs[1];
    if (length->node->op == INC_OP_BROADCAST || length->node->op == INC_OP_BROADCAST1) length = length->node->inputs[0];
    *eps = 0;
    (void)inc_split_floor(length, &length, eps);
    return *eps >= 0 && is_length(length, &x) && x == node->inputs[0] && inc_same_shape(x, &node->outputs[0]);
}

enum incise_status inc_pass_compose_normalize(struct inc_lowering *lowering)
{
    struct inc_graph *graph = lowering->graph;
    const int64_t last = -1;
    inc_mark_body(graph);
    for (struct inc_node *node = graph->first; node != NULL; node = node->next) {
        double eps;
        if (node->mark != 1 || !is_normalized(node, &eps)) continue;
        struct inc_value *inputs[] = {node->inputs[0], inc_add_integers(graph, &last, 1, 1, node)};
        if (inputs[1] == NULL) return INCISE_ERROR_MEMORY;
        struct inc_node *norm = inc_fuse(lowering, INC_OP_NORMALIZE_L2, inputs, 2, &node->outputs[0]);
        if (norm == NULL) return INCISE_ERROR_MEMORY;
        norm->mark = 1;
        inc_attr_set_float(norm, "eps", eps * eps); /* sqrt(max(sum, eps^2)) */
        INC_TRY(inc_attr_set_string(graph, norm, "eps_mode", "max"));
    }
    return INCISE_OK;
}
