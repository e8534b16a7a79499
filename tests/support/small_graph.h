/* SPDX-License-Identifier: Apache-2.0 */
/* Small file graphs, built without a file: every value gets its type and shape here. */
#ifndef TESTS_SMALL_GRAPH_H
#define TESTS_SMALL_GRAPH_H

#include "graph/graph.h"

struct dims {
    int rank;
    int64_t d[4];
};
#define DIMS2(a, b) ((struct dims){2, {a, b}})
#define DIMS3(a, b, c) ((struct dims){3, {a, b, c}})

struct inc_graph *small_graph(void);
/* Elements are rounded to `type`. */
struct inc_value *small_constant(struct inc_graph *graph, const char *name, enum inc_type type, struct dims dims,
                                 const double *values);
/* Convert, Reshape (the operand is then made here: pass NULL), Subtract, Multiply. */
struct inc_value *small_step(struct inc_graph *graph, enum inc_op op, struct inc_value *input,
                             struct inc_value *operand, enum inc_type type, struct dims dims);
/* A Parameter, a MatMul of it with `weight` and a Result. */
struct inc_node *small_matmul(struct inc_graph *graph, const char *name, struct inc_value *weight, bool transpose_b);
/* A Parameter of ids, a Gather of rows of `table` and a Result. */
struct inc_node *small_gather(struct inc_graph *graph, const char *name, struct inc_value *table);
struct inc_node *small_find(const struct inc_graph *graph, const char *name); /* NULL if there is none */

#endif
