/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that make and finish the rows of sequences. */
#include <string.h>

#include "lower/match.h"
#include "lower/plan_internal.h"

/* The second input: weights of the tokens, or what picks one of them. */
static enum incise_status second_input(struct inc_planner *planner, const struct inc_node *node,
                                       enum inc_pool_mode mode, struct inc_operand *operand)
{
    enum inc_buffer_kind kind = mode == INC_POOL_TOKEN ? INC_BUFFER_PICKS : INC_BUFFER_INDEX_ROWS;
    *operand = (struct inc_operand){0, 0};
    INC_TRY(inc_plan_index_buffer(planner, node, node->inputs[1], kind, &operand->buffer));
    if (planner->lowering->reason[0] == '\0' && planner->plan->buffers[operand->buffer].width != 1)
        return inc_plan_refuse_op(planner, node, "weighs channels, not tokens");
    return INCISE_OK;
}

enum incise_status inc_plan_pool(struct inc_planner *planner, struct inc_node *node)
{
    const struct inc_view *x = inc_view_of(node->inputs[0]);
    struct inc_view view;
    struct inc_operand second = {0, 0};
    enum inc_pool_mode mode = INC_POOL_MEAN;
    int64_t width, out_width;
    uint32_t buffer;
    if (x->domain != INC_DOMAIN_TOKENS || !inc_plan_is_row_per_item(x) || !inc_view_is_dense(x, &width) ||
        !inc_view_of_shape(planner->lowering, &node->outputs[0].shape, &view, &out_width) || out_width != width)
        return inc_plan_refuse_op(planner, node, "reads channels that are not one dense row");
    inc_pool_mode_parse(inc_attr_string(node, "mode"), &mode);
    if (node->n_inputs > 1) INC_TRY(second_input(planner, node, mode, &second));
    if (planner->lowering->reason[0] != '\0') return INCISE_OK;
    view.domain = INC_DOMAIN_SEQUENCES;
    INC_TRY(inc_plan_output_like(planner, node, &view, width, &buffer));
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_POOL, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    step->in[0] = (struct inc_operand){x->buffer, (uint32_t)x->column};
    step->in[1] = second;
    step->n_in = node->n_inputs;
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)width;
    step->u.pool = (struct inc_pool_step){mode, inc_attr_float(node, "least")};
    return INCISE_OK;
}

enum incise_status inc_plan_l2(struct inc_planner *planner, struct inc_node *node)
{
    const struct inc_view *x = inc_view_of(node->inputs[0]);
    int64_t width, inner;
    uint32_t buffer;
    if (!inc_reduces_axis(node, x->rank - 1) || !inc_view_groups(x, &width, &inner) || width != inner)
        return inc_plan_refuse_op(planner, node, "normalizes something else than whole rows");
    INC_TRY(inc_plan_output_like(planner, node, x, width, &buffer));
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_NORMALIZE_L2, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    step->in[0] = (struct inc_operand){x->buffer, (uint32_t)x->column};
    step->n_in = 1;
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)width;
    double eps = inc_attr_float(node, "eps");
    bool max = strcmp(inc_attr_string(node, "eps_mode"), "max") == 0;
    step->u.l2 = (struct inc_l2_step){.least = max ? eps : 0, .added = max ? 0 : eps};
    return INCISE_OK;
}
