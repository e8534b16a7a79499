/* SPDX-License-Identifier: Apache-2.0 */
/* What a shape rule sees. The same rules run on symbols (inc_graph_infer) and, with every dim constant and every small
 * integer input known, inside the reference evaluator: one mechanism. */
#ifndef INC_GRAPH_SHAPE_H
#define INC_GRAPH_SHAPE_H

#include "graph/graph.h"

/* Integer tensors of at most this many elements carry known elements through inference. */
#define INC_MAX_KNOWN 64

struct inc_infer {
    struct inc_graph *graph; /* owns new symbols and element arrays; its source is named in messages */
    /* NULL on symbols. In the evaluator: data[i] is the evaluated input i (elements beyond INC_MAX_KNOWN and float
     * inputs, which `elements` cannot carry); every dim is constant and every output dim must come out constant. The
     * graph is then a private one and `node` a private copy. */
    const struct inc_tensor *const *data;
};

/* A rule reads node->inputs[i]->{type,shape,elements} and node->attrs and sets the same three of node->outputs[].
 * Failure: `return inc_node_fail(infer->graph, node, "axis %lld is outside rank %d", ...)`. */
#define SHAPE_RULE(name) enum incise_status inc_shape_##name(struct inc_infer *infer, struct inc_node *node)

#define OP(id, name, opset, min_in, max_in, n_out, attrs, shape, eval) SHAPE_RULE(shape);
#define FUSED(id, name, min_in, max_in, n_out, attrs, shape, eval) SHAPE_RULE(shape);
#include "graph/ops.def"
#undef OP
#undef FUSED

/* Reports "<source>: layer <id> '<name>' (<type> <opset>): <text>" and returns INCISE_ERROR_DATA. */
enum incise_status inc_node_fail(const struct inc_graph *graph, const struct inc_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Runs the node's rule, having checked arity. */
enum incise_status inc_shape_infer_node(struct inc_infer *infer, struct inc_node *node)
    __attribute__((warn_unused_result));

#endif
