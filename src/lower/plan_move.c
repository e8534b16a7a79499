/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that only move data: they change the view of the same rows. */
#include "lower/match.h"
#include "lower/plan_internal.h"

static bool transpose_view(const struct inc_node *node, const struct inc_view *from, struct inc_view *to)
{
    int64_t order[INC_MAX_RANK];
    size_t n = inc_const_ints(node->inputs[1], order, INC_MAX_RANK);
    if (n != (size_t)from->rank) return false;
    return inc_view_transpose(from, order, to);
}

/* A Slice along one axis with constant bounds and step 1; negative bounds count from the end. */
static bool slice_view(const struct inc_node *node, const struct inc_view *from, struct inc_view *to)
{
    int64_t begin, end, step, axis = 0;
    const struct inc_shape *shape = &node->inputs[0]->shape;
    if (inc_const_ints(node->inputs[1], &begin, 1) != 1 || inc_const_ints(node->inputs[2], &end, 1) != 1 ||
        inc_const_ints(node->inputs[3], &step, 1) != 1 || step != 1)
        return false;
    if (node->n_inputs == 5 && inc_const_ints(node->inputs[4], &axis, 1) != 1) return false;
    if (axis < 0) axis += shape->rank;
    if (axis < 0 || axis >= shape->rank || !inc_dim_is_const(shape->dims[axis])) return false;
    int64_t size = shape->dims[axis].value;
    if (begin < 0) begin = begin < -size ? 0 : begin + size;
    if (end < 0) end = end < -size ? 0 : end + size;
    if (end > size) end = size;
    return inc_view_slice(from, (int)axis, begin, end - begin, to);
}

/* Split and VariadicSplit along a channel axis: each output is a slice. */
static bool split_views(const struct inc_node *node, const struct inc_view *from)
{
    int64_t axis, begin = 0;
    if (inc_const_ints(node->inputs[1], &axis, 1) != 1) return false;
    if (axis < 0) axis += from->rank;
    if (axis < 0 || axis >= from->rank) return false;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        struct inc_dim part = node->outputs[i].shape.dims[axis];
        if (!inc_dim_is_const(part) ||
            !inc_view_slice(from, (int)axis, begin, part.value, inc_view_of(&node->outputs[i])))
            return false;
        begin += part.value;
    }
    return true;
}

enum incise_status inc_plan_movement(struct inc_planner *planner, struct inc_node *node)
{
    const struct inc_lowering *lowering = planner->lowering;
    bool fine = false;
    if (node->inputs[0]->node->mark == 1) {
        const struct inc_view *from = inc_view_of(node->inputs[0]);
        const struct inc_shape *shape = &node->outputs[0].shape;
        struct inc_view *to = inc_view_of(&node->outputs[0]);
        switch (node->op) {
        case INC_OP_TRANSPOSE: fine = transpose_view(node, from, to); break;
        case INC_OP_SLICE: fine = slice_view(node, from, to); break;
        case INC_OP_SPLIT:
        case INC_OP_VARIADIC_SPLIT: fine = split_views(node, from); break;
        case INC_OP_BROADCAST:
        case INC_OP_BROADCAST1: fine = inc_view_broadcast(lowering, from, shape, to); break;
        default: fine = inc_view_reshape(lowering, from, shape, to); break;
        }
    }
    return fine ? INCISE_OK : inc_plan_refuse_op(planner, node, "moves data across rows");
}
