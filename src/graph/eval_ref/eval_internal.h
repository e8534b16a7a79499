/* SPDX-License-Identifier: Apache-2.0 */
/* What an evaluator sees, and what evaluators share. */
#ifndef INC_GRAPH_EVAL_INTERNAL_H
#define INC_GRAPH_EVAL_INTERNAL_H

#include "graph/eval_ref/eval.h"
#include "graph/weight.h"

/* ---- one node ---------------------------------------------------------------------------------------------------- */

struct inc_eval_scratch;

/* The node under evaluation: tensors of its inputs, tensors for its outputs (allocated; shapes come from the op's
 * shape rule). An input that is a Constant or a feed has the type it is stored in; all others and all outputs have the
 * held type of their value. */
struct inc_eval {
    const struct inc_ctx *ctx;
    struct inc_graph *scratch_graph;      /* for inc_node_fail and the shape rules; not the graph under evaluation */
    const struct inc_tensor **in;         /* n_inputs of the node */
    struct inc_tensor *out;               /* n_outputs of the node */
    const struct inc_weight *table;       /* Gather from rows of a constant table: in[0] is its shape without data */
    struct inc_eval_scratch *scratch;     /* goes after the node */
    size_t live;                          /* bytes held by results and scratch, never above ctx->max_memory */
};

/* The type in which a value of type `t` is held: f32 for floats, 8 bits for 4-bit integers, else `t`. */
enum inc_type inc_eval_held_type(enum inc_type t);

/* Memory that lives until the node is done; counted against the limit. NULL on failure, which has been reported:
 * return INCISE_ERROR_MEMORY. At least one byte is allocated. */
void *inc_eval_scratch(struct inc_eval *eval, const struct inc_node *node, size_t count, size_t size)
    __attribute__((warn_unused_result));

/* Input `i` as floats; converted into scratch unless it is f32 already. NULL: memory, reported. */
const float *inc_eval_floats(struct inc_eval *eval, const struct inc_node *node, uint32_t i);
/* Input `i` as int64 (floats truncated, u64 keeps its bits). NULL: memory, reported. */
const int64_t *inc_eval_ints(struct inc_eval *eval, const struct inc_node *node, uint32_t i);
/* Input `i` in its held type: itself, or converted into scratch. */
enum incise_status inc_eval_held(struct inc_eval *eval, const struct inc_node *node, uint32_t i,
                                 struct inc_tensor *held) __attribute__((warn_unused_result));

/* Stores v[0..n) in an integer or boolean tensor from element `first`, wrapping as the type does (boolean: != 0). */
void inc_eval_store_ints(struct inc_tensor *tensor, size_t first, size_t n, const int64_t *v);

/* `axis`, counted from the end if negative, in [0, rank); reports and returns INCISE_ERROR_DATA if it is outside. */
enum incise_status inc_eval_axis(struct inc_eval *eval, const struct inc_node *node, int64_t axis, int rank, int *out)
    __attribute__((warn_unused_result));

/* Every evaluator of the op table. Several rows name the same one: the repeated declarations agree. */
#define OP(id, name, opset, min_in, max_in, n_out, attrs, shape, eval) inc_eval_fn inc_eval_##eval;
#define FUSED(id, name, min_in, max_in, n_out, attrs, shape, eval) inc_eval_fn inc_eval_##eval;
#include "graph/ops.def"
#undef OP
#undef FUSED

/* ---- walking several tensors at once ----------------------------------------------------------------------------- */

#define INC_WALK_RANK (2 * INC_MAX_RANK)
#define INC_WALK_OPERANDS 5

/* Visits the elements of a row-major result run by run; in a run every operand advances by a constant step.
 * Strides and offsets are in elements; 0 repeats, negative goes back. Adjacent dims are merged where all operands
 * allow it. */
struct inc_walk {
    int rank, operands;
    int64_t dims[INC_WALK_RANK];
    int64_t strides[INC_WALK_OPERANDS][INC_WALK_RANK];
    int64_t index[INC_WALK_RANK];
    int64_t offset[INC_WALK_OPERANDS]; /* of the current run's first element */
    int64_t run;                       /* elements per run */
    int64_t step[INC_WALK_OPERANDS];
    size_t runs;                       /* 0 if the result is empty */
};

/* Products of dims and strides. Only those of an empty tensor can overflow, and nothing is read through them. */
static inline int64_t inc_walk_mul(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

/* Fills in rank, dims; strides are set by the caller or by inc_walk_broadcast, then inc_walk_start. */
void inc_walk_init(struct inc_walk *walk, int rank, const int64_t *dims, int operands);
/* Operand `k` is a row-major tensor of these dims, broadcast as numpy does; false if it does not fit the result. */
bool inc_walk_broadcast(struct inc_walk *walk, int k, int rank, const int64_t *dims)
    __attribute__((warn_unused_result));
/* A started walk over output 0 with the first `operands` inputs broadcast to it. */
enum incise_status inc_walk_inputs(struct inc_walk *walk, struct inc_eval *eval, const struct inc_node *node,
                                   int operands) __attribute__((warn_unused_result));
void inc_walk_start(struct inc_walk *walk);
void inc_walk_next(struct inc_walk *walk);

/* out[i] = in[offset of i], for elements of `size` bytes, over a started walk of one operand. */
void inc_walk_copy(struct inc_walk *walk, const void *in, void *out, size_t size);

#endif
