/* SPDX-License-Identifier: Apache-2.0 */
/* Constant vectors along rows of a file graph: the bias that it adds behind a MatMul, and others. */
#ifndef INC_COMPRESS_BIAS_H
#define INC_COMPRESS_BIAS_H

#include "graph/graph.h"

/* The float constant behind `value` (perhaps a Convert between) if it has one element for each of `rows`' last
 * dimension; else NULL. */
const struct inc_tensor *inc_vector_behind(const struct inc_value *value, const struct inc_value *rows);
/* A new constant [n] of type f32, f16 or bf16, before `before`. NULL when memory is short, or `name` is NULL. */
struct inc_value *inc_vector_add(struct inc_graph *graph, const char *name, enum inc_type type, const float *values,
                                 size_t n, struct inc_node *before);

/* Which input of the Add behind `matmul` is its bias: a float constant with one element per output, perhaps converted.
 * NULL if the MatMul has none, or somebody else reads the product too. */
struct inc_node *inc_bias_find(const struct inc_node *matmul, uint32_t *input);

/* Replaces the bias of `matmul`, n numbers, or adds one: an Add that all readers of the product read instead. */
enum incise_status inc_bias_store(struct inc_graph *graph, struct inc_node *matmul, const float *bias, size_t n)
    __attribute__((warn_unused_result));

#endif
