/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that build a plan. */
#ifndef INC_LOWER_PLAN_INTERNAL_H
#define INC_LOWER_PLAN_INTERNAL_H

#include "lower/lower.h"
#include "lower/view.h"

struct inc_planner {
    struct inc_lowering *lowering;
    const struct inc_device *device;
    enum inc_integer_mode mode;
    bool replaceable; /* any slot may be given other contents later */
    struct inc_plan *plan;
};

/* The view of a body value; set by the step builders in node->lowered. */
static inline struct inc_view *inc_view_of(const struct inc_value *value)
{
    return (struct inc_view *)value->node->lowered + value->port;
}

/* Appends a zeroed step for `node`; NULL when memory is short (reported). Valid until the next append. */
struct inc_step *inc_plan_add_step(struct inc_planner *planner, enum inc_op op, const struct inc_node *node);
enum incise_status inc_plan_add_buffer(struct inc_planner *planner, enum inc_buffer_kind kind, enum inc_domain domain,
                                       int64_t width, uint32_t *index) __attribute__((warn_unused_result));
/* Sets the node's output view to its shape over a new buffer of rows. Refuses shapes that are no rows. */
enum incise_status inc_plan_new_output(struct inc_planner *planner, struct inc_node *node, uint32_t *buffer,
                                       int64_t *width) __attribute__((warn_unused_result));
/* Sets the node's output view to the layout of `like` over a new buffer of `width` columns. */
enum incise_status inc_plan_output_like(struct inc_planner *planner, struct inc_node *node, const struct inc_view *like,
                                        int64_t width, uint32_t *buffer) __attribute__((warn_unused_result));
enum incise_status inc_plan_refuse_op(struct inc_planner *planner, const struct inc_node *node, const char *why);
/* The elements of a float constant, converted into the graph's arena; NULL when memory is short (reported). */
const float *inc_plan_floats(struct inc_planner *planner, const struct inc_value *constant);
/* inc_weight_check as far as it is not done. */
enum incise_status inc_plan_check_weight(const struct inc_planner *planner, const struct inc_weight *weight)
    __attribute__((warn_unused_result));
/* An index value packed per row: `kind` IDS, INDEX_ROWS or PICKS. One buffer per (value, kind). Refuses other layouts.
 */
enum incise_status inc_plan_index_buffer(struct inc_planner *planner, const struct inc_node *reader,
                                         const struct inc_value *value, enum inc_buffer_kind kind, uint32_t *index)
    __attribute__((warn_unused_result));

/* Whether the leading axes are the batch and, for rows of tokens, the length. */
bool inc_plan_is_row_per_item(const struct inc_view *view);

/* Step builders: plan_fused.c, plan_pool.c, plan_move.c, plan_rowwise.c. Each sets the output view or refuses. */
typedef enum incise_status inc_plan_fn(struct inc_planner *planner, struct inc_node *node);
inc_plan_fn inc_plan_linear, inc_plan_attention, inc_plan_norm, inc_plan_rope, inc_plan_gated, inc_plan_embedding;
inc_plan_fn inc_plan_pool, inc_plan_l2;
inc_plan_fn inc_plan_movement, inc_plan_rowwise, inc_plan_result;

/* plan_stages.c: orders Linears and numbers the stages. */
void inc_plan_group_steps(struct inc_plan *plan);

/* plan_memory.c: lifetimes, offsets, cuts. */
enum incise_status inc_plan_place_buffers(struct inc_planner *planner) __attribute__((warn_unused_result));

#endif
