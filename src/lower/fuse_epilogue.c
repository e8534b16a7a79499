/* SPDX-License-Identifier: Apache-2.0 */
/* needs: Linear and GatedAct fused. gives: an activation that is the only reader of a Linear becomes its `act`; then an
 * Add of two values of the same shape, one of them a Linear that nobody else reads, becomes that Linear's residual. */
#include "lower/match.h"
#include "lower/activation.h"
#include "lower/passes.h"

static enum incise_status take_activation(struct inc_lowering *lowering, struct inc_node *linear)
{
    struct inc_value *out = &linear->outputs[0];
    enum inc_act act;
    if (out->n_uses != 1 || !inc_activation_of(out->uses[0].node, &act)) return INCISE_OK;
    struct inc_node *activation = out->uses[0].node;
    INC_TRY(inc_attr_set_string(lowering->graph, linear, "act", inc_act_name(act)));
    out->names = activation->outputs[0].names; /* an output of the model keeps its tensor names */
    out->n_names = activation->outputs[0].n_names;
    INC_TRY(inc_value_replace(lowering->graph, &activation->outputs[0], out));
    inc_graph_remove(lowering->graph, activation);
    return INCISE_OK;
}

/* The residual must exist before the Linear runs: the Linear moves to where the Add stands. */
static enum incise_status take_residual(struct inc_lowering *lowering, struct inc_node *add, struct inc_node *linear,
                                        struct inc_value *residual)
{
    struct inc_value *inputs[4];
    uint32_t n = 0;
    for (; n < linear->n_inputs; n++) inputs[n] = linear->inputs[n];
    inputs[n++] = residual;
    struct inc_node *fused = inc_fuse(lowering, INC_OP_LINEAR, inputs, n, &add->outputs[0]);
    if (fused == NULL) return INCISE_ERROR_MEMORY;
    fused->name = linear->name;
    fused->mark = 1;
    inc_attr_set_bool(fused, "transpose_b", inc_attr_bool(linear, "transpose_b"));
    inc_attr_set_bool(fused, "bias", inc_attr_bool(linear, "bias"));
    inc_attr_set_bool(fused, "residual", true);
    return inc_attr_set_string(lowering->graph, fused, "act", inc_attr_string(linear, "act"));
}

static enum incise_status fuse_add(struct inc_lowering *lowering, struct inc_node *add)
{
    if (add->op != INC_OP_ADD || !inc_same_shape(add->inputs[0], add->inputs[1]) || add->inputs[0] == add->inputs[1])
        return INCISE_OK;
    for (int i = 0; i < 2; i++) {
        struct inc_node *linear = inc_made_by(add->inputs[i], INC_OP_LINEAR);
        const struct inc_value *other = add->inputs[1 - i];
        if (linear == NULL || add->inputs[i]->n_uses != 1 || inc_attr_bool(linear, "residual")) continue;
        if (other->node->mark != 1 || !inc_same_shape(other, &add->outputs[0])) continue;
        return take_residual(lowering, add, linear, add->inputs[1 - i]);
    }
    return INCISE_OK;
}

enum incise_status inc_pass_fuse_epilogue(struct inc_lowering *lowering)
{
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next)
        if (node->op == INC_OP_LINEAR) INC_TRY(take_activation(lowering, node));
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next)
        INC_TRY(fuse_add(lowering, node));
    return INCISE_OK;
}
