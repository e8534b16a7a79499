/* SPDX-License-Identifier: Apache-2.0 */
/* The constant vector that a file graph adds behind a MatMul. */
#ifndef INC_COMPRESS_BIAS_H
#define INC_COMPRESS_BIAS_H

#include "graph/graph.h"

/* Which input of the Add behind `matmul` is its bias: a float constant with one element per output, perhaps converted.
 * NULL if the MatMul has none, or somebody else reads the product too. */
struct inc_node *inc_bias_find(const struct inc_node *matmul, uint32_t *input);

/* Replaces the bias of `matmul`, n numbers, or adds one: an Add that all readers of the product read instead. */
enum incise_status inc_bias_store(struct inc_graph *graph, struct inc_node *matmul, const float *bias, size_t n)
    __attribute__((warn_unused_result));

#endif
