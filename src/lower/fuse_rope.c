/* SPDX-License-Identifier: Apache-2.0 */
/* needs: folded constants. gives: RoPE(x, cos, sin) for x * cos + rotate_half(x) * sin, where rotate_half concatenates
 * the negated second half of the last axis and the first half. */
#include "lower/match.h"
#include "lower/passes.h"

/* Slice of the last axis from `begin` to `end` (or beyond) with step 1. */
static bool is_half(const struct inc_value *value, const struct inc_value *x, int64_t begin, int64_t end)
{
    int64_t start, stop, step, axis = 0;
    const struct inc_node *slice = inc_made_by(value, INC_OP_SLICE);
    if (slice == NULL || slice->inputs[0] != x || slice->n_inputs != 5) return false;
    if (inc_const_ints(slice->inputs[1], &start, 1) != 1 || inc_const_ints(slice->inputs[2], &stop, 1) != 1 ||
        inc_const_ints(slice->inputs[3], &step, 1) != 1 || inc_const_ints(slice->inputs[4], &axis, 1) != 1)
        return false;
    int64_t width = inc_last_dim(x);
    bool stop_fits = stop == end || (end == width && stop > width);
    return start == begin && stop_fits && step == 1 && (axis == -1 || axis == x->shape.rank - 1);
}

static bool is_negated(const struct inc_value *value, struct inc_value **x)
{
    double factor;
    struct inc_value *constant;
    if (value->node->op == INC_OP_NEGATIVE) {
        *x = value->node->inputs[0];
        return true;
    }
    return value->node->op == INC_OP_MULTIPLY && inc_split_constant(value->node, x, &constant) &&
           inc_const_scalar(constant, &factor) && factor == -1.0;
}

static bool is_rotated_half(const struct inc_value *value, const struct inc_value *x)
{
    struct inc_value *second;
    const struct inc_node *concat = inc_made_by(value, INC_OP_CONCAT);
    int64_t width = inc_last_dim(x);
    if (concat == NULL || concat->n_inputs != 2 || width <= 0 || width % 2 != 0) return false;
    int64_t axis = inc_attr_int(concat, "axis");
    if (axis != -1 && axis != x->shape.rank - 1) return false;
    return is_negated(concat->inputs[0], &second) && is_half(second, x, width / 2, width) &&
           is_half(concat->inputs[1], x, 0, width / 2);
}

static bool is_rope(const struct inc_node *node, struct inc_value *inputs[3])
{
    struct inc_value *rotated;
    if (node->op != INC_OP_ADD) return false;
    for (int i = 0; i < 2; i++)
        if (inc_split_product(node->inputs[i], &inputs[0], &inputs[1]) &&
            inc_split_product(node->inputs[1 - i], &rotated, &inputs[2]) && is_rotated_half(rotated, inputs[0]))
            return true;
    return false;
}

enum incise_status inc_pass_fuse_rope(struct inc_lowering *lowering)
{
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next) {
        struct inc_value *inputs[3];
        if (node->mark != 1 || !is_rope(node, inputs)) continue;
        if (inc_fuse(lowering, INC_OP_ROPE, inputs, 3, &node->outputs[0]) == NULL) return INCISE_ERROR_MEMORY;
    }
    return INCISE_OK;
}
