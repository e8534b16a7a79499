/* SPDX-License-Identifier: Apache-2.0 */
/* Reference evaluator: runs file ops one by one in plain C. It defines what a model means.
 *
 * Meaning of types: arithmetic on f16, bf16 and f32 values is done in float and the result is kept in float (a value
 * typed f16 or bf16 holds an f32 tensor while it is evaluated), as OpenVINO does with INFERENCE_PRECISION_HINT=f32.
 * Integers wrap as their type does; their division floors unless m_pythondiv is false. Sums are double (floats) or
 * int64. A float converted to an integer is truncated and saturated, NaN becomes 0. A fully masked row of attention is
 * 0. Division of integers by zero and an index outside its table are errors that name the layer.
 */
#ifndef INC_GRAPH_EVAL_H
#define INC_GRAPH_EVAL_H

#include "graph/graph.h"
#include "graph/shape.h"

/* A tensor given for, or wanted of, a value of the graph. */
struct inc_feed {
    const struct inc_value *value;
    struct inc_tensor tensor; /* feeds: borrowed. wanted: made by inc_eval_run, owned by the caller; floats are f32 */
};

/* Evaluates what `wanted` needs, given `feeds` (Parameters, or any inner values: their producers are then not run).
 * Feeds are checked against type (floats may also come as f32), rank, static dims and bounds. Intermediate tensors are
 * freed after their last use; INCISE_ERROR_MEMORY if a result would exceed graph->ctx->max_memory. The graph is not
 * touched, so several threads may evaluate one graph. On failure no wanted tensor is owned. */
enum incise_status inc_eval_run(const struct inc_graph *graph, const struct inc_feed *feeds, size_t n_feeds,
                                struct inc_feed *wanted, size_t n_wanted) __attribute__((warn_unused_result));

#endif
