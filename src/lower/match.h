/* SPDX-License-Identifier: Apache-2.0 */
/* Small questions that fusion passes ask about the graph. */
#ifndef INC_LOWER_MATCH_H
#define INC_LOWER_MATCH_H

#include "lower/lower.h"

/* The node that makes `value` if its op is `op`, else NULL. */
static inline struct inc_node *inc_made_by(const struct inc_value *value, enum inc_op op)
{
    return value->node->op == op ? value->node : NULL;
}

/* The Constant behind `value`, or NULL. */
static inline const struct inc_tensor *inc_const_of(const struct inc_value *value)
{
    return value->node->op == INC_OP_CONSTANT ? &value->node->data : NULL;
}

/* The single element of a constant. */
bool inc_const_scalar(const struct inc_value *value, double *scalar);
/* A constant list of up to `capacity` integers; returns the count, or SIZE_MAX. */
size_t inc_const_ints(const struct inc_value *value, int64_t *out, size_t capacity);
/* A float constant with one element per channel of `rows`, all of its dims but the last being 1, and no more dims. */
bool inc_const_vector(const struct inc_value *value, const struct inc_value *rows);
/* A binary node's constant operand and its other one. False if neither input is a Constant. */
bool inc_split_constant(const struct inc_node *node, struct inc_value **variable, struct inc_value **constant);

/* max(*variable, *floor) with a constant floor, as Maximum or Clamp write it. */
bool inc_split_floor(const struct inc_value *value, struct inc_value **variable, double *floor);
/* *x * *other, *x being in the body and *other not (inc_mark_body). */
bool inc_split_product(const struct inc_value *product, struct inc_value **x, struct inc_value **other);
/* x^2 as Power or Multiply. */
bool inc_is_square(const struct inc_value *value, struct inc_value **x);
/* Whether the node of a reduction lists `axis` alone. */
bool inc_reduces_axis(const struct inc_node *node, int axis);

/* The last dim if it is constant, else -1. */
int64_t inc_last_dim(const struct inc_value *value);
bool inc_same_shape(const struct inc_value *a, const struct inc_value *b);

/* Constants: integers of rank 1, or 0 for one; a float scalar of `type`. NULL on failure. */
struct inc_value *inc_add_integers(struct inc_graph *graph, const int64_t *values, int64_t n, int rank,
                                   struct inc_node *before) __attribute__((warn_unused_result));
struct inc_value *inc_add_float(struct inc_graph *graph, enum inc_type type, double value, struct inc_node *before)
    __attribute__((warn_unused_result));

/* Adds a fused node before `at` with the output type and shape of `like`, whose readers it takes over. NULL on failure.
 */
struct inc_node *inc_fuse(struct inc_lowering *lowering, enum inc_op op, struct inc_value *const *inputs,
                          uint32_t n_inputs, struct inc_value *like) __attribute__((warn_unused_result));

/* Whether a Gather takes rows of a float table by one computed index per token. */
bool inc_is_token_embedding(const struct inc_node *node);
/* Marks (node->mark = 1) every node that depends on a token embedding: the body. Constants and all else get 0. */
void inc_mark_body(struct inc_graph *graph);
/* Marks (node->mark = 1) every node that depends on what a Parameter holds, not only on its shape. All else gets 0. */
void inc_mark_contents(struct inc_graph *graph);

#endif
