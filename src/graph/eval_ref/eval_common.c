/* SPDX-License-Identifier: Apache-2.0 */
/* What evaluators share: reading inputs as one type, storing integers, walking tensors. */
#include <string.h>

#include "graph/eval_ref/eval_internal.h"

enum inc_type inc_eval_held_type(enum inc_type t)
{
    if (inc_type_is_float(t)) return INC_F32;
    if (t == INC_I4) return INC_I8;
    if (t == INC_U4) return INC_U8;
    return t;
}

const float *inc_eval_floats(struct inc_eval *eval, const struct inc_node *node, uint32_t i)
{
    const struct inc_tensor *in = eval->in[i];
    if (in->type == INC_F32) return in->data;
    size_t n = inc_tensor_elements(in);
    float *out = inc_eval_scratch(eval, node, n, sizeof *out);
    if (out) inc_tensor_to_f32(in, 0, n, out);
    return out;
}

#define LOAD(type)                                                  \
    do {                                                            \
        const type *p = in->data;                                   \
        for (size_t k = 0; k < n; k++) out[k] = (int64_t)p[k];      \
        return out;                                                 \
    } while (0)

const int64_t *inc_eval_ints(struct inc_eval *eval, const struct inc_node *node, uint32_t i)
{
    const struct inc_tensor *in = eval->in[i];
    if (in->type == INC_I64 || in->type == INC_U64) return in->data;
    size_t n = inc_tensor_elements(in);
    int64_t *out = inc_eval_scratch(eval, node, n, sizeof *out);
    if (!out) return NULL;
    switch (in->type) {
    case INC_I8: LOAD(int8_t);
    case INC_U8:
    case INC_BOOL: LOAD(uint8_t);
    case INC_I16: LOAD(int16_t);
    case INC_U16: LOAD(uint16_t);
    case INC_I32: LOAD(int32_t);
    case INC_U32: LOAD(uint32_t);
    default: break;
    }
    for (size_t k = 0; k < n; k++) out[k] = inc_tensor_get_i64(in, k);
    return out;
}

#define STORE(type)                                                 \
    do {                                                            \
        type *p = (type *)tensor->data + first;                     \
        for (size_t k = 0; k < n; k++) p[k] = (type)v[k];           \
    } while (0)

void inc_eval_store_ints(struct inc_tensor *tensor, size_t first, size_t n, const int64_t *v)
{
    switch (tensor->type) {
    case INC_I8: STORE(int8_t); break;
    case INC_U8: STORE(uint8_t); break;
    case INC_I16: STORE(int16_t); break;
    case INC_U16: STORE(uint16_t); break;
    case INC_I32: STORE(int32_t); break;
    case INC_U32: STORE(uint32_t); break;
    case INC_I64: STORE(int64_t); break;
    case INC_U64: STORE(uint64_t); break;
    case INC_BOOL:
        for (size_t k = 0; k < n; k++) ((uint8_t *)tensor->data)[first + k] = v[k] != 0;
        break;
    default: break; /* no result is held in a 4-bit or float type here */
    }
}

enum incise_status inc_eval_held(struct inc_eval *eval, const struct inc_node *node, uint32_t i,
                                 struct inc_tensor *held)
{
    const struct inc_tensor *in = eval->in[i];
    enum inc_type type = inc_eval_held_type(in->type);
    *held = *in;
    held->owned = false;
    if (type == in->type) return INCISE_OK;
    size_t n = inc_tensor_elements(in), size = inc_type_bits(type) / 8;
    held->type = type;
    held->bytes = n * size;
    held->data = inc_eval_scratch(eval, node, n, size);
    if (!held->data) return INCISE_ERROR_MEMORY;
    if (type == INC_F32) {
        inc_tensor_to_f32(in, 0, n, held->data);
        return INCISE_OK;
    }
    for (size_t k = 0; k < n; k++) {
        int64_t v = inc_tensor_get_i64(in, k);
        inc_eval_store_ints(held, k, 1, &v);
    }
    return INCISE_OK;
}

enum incise_status inc_eval_axis(struct inc_eval *eval, const struct inc_node *node, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return inc_node_fail(eval->scratch_graph, node, "axis %lld is outside rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return INCISE_OK;
}

/* ---- walks ------------------------------------------------------------------------------------------------------- */

void inc_walk_init(struct inc_walk *walk, int rank, const int64_t *dims, int operands)
{
    memset(walk, 0, sizeof *walk);
    walk->rank = rank;
    walk->operands = operands;
    for (int d = 0; d < rank; d++) walk->dims[d] = dims[d];
}

bool inc_walk_broadcast(struct inc_walk *walk, int k, int rank, const int64_t *dims)
{
    int64_t stride = 1;
    for (int d = rank - 1; d >= 0; d--) {
        int at = walk->rank - rank + d;
        if (at < 0 || (dims[d] != 1 && dims[d] != walk->dims[at])) return false;
        walk->strides[k][at] = dims[d] == 1 ? 0 : stride;
        stride = inc_walk_mul(stride, dims[d]);
    }
    return true;
}

enum incise_status inc_walk_inputs(struct inc_walk *walk, struct inc_eval *eval, const struct inc_node *node,
                                   int operands)
{
    inc_walk_init(walk, eval->out[0].rank, eval->out[0].dims, operands);
    for (int k = 0; k < operands; k++)
        if (!inc_walk_broadcast(walk, k, eval->in[k]->rank, eval->in[k]->dims))
            return inc_node_fail(eval->scratch_graph, node, "input %d does not broadcast to the result", k);
    inc_walk_start(walk);
    return INCISE_OK;
}

/* Dim `d` can be merged into the one kept at `last` when every operand goes through both in equal steps. */
static bool mergeable(const struct inc_walk *walk, int last, int d)
{
    for (int k = 0; k < walk->operands; k++)
        if (walk->strides[k][last] != walk->strides[k][d] * walk->dims[d]) return false;
    return true;
}

void inc_walk_start(struct inc_walk *walk)
{
    int kept = 0;
    walk->runs = 1;
    for (int d = 0; d < walk->rank; d++)
        if (walk->dims[d] == 0) walk->runs = 0;
    if (walk->runs == 0) return;
    for (int d = 0; d < walk->rank; d++) {
        if (walk->dims[d] == 1) continue;
        bool merge = kept > 0 && mergeable(walk, kept - 1, d);
        int at = merge ? kept - 1 : kept++;
        walk->dims[at] = merge ? walk->dims[at] * walk->dims[d] : walk->dims[d];
        for (int k = 0; k < walk->operands; k++) walk->strides[k][at] = walk->strides[k][d];
    }
    walk->rank = kept > 0 ? kept - 1 : 0;
    walk->run = kept > 0 ? walk->dims[kept - 1] : 1;
    for (int k = 0; k < walk->operands; k++) walk->step[k] = kept > 0 ? walk->strides[k][kept - 1] : 0;
    for (int d = 0; d < walk->rank; d++) walk->runs *= (size_t)walk->dims[d];
}

void inc_walk_next(struct inc_walk *walk)
{
    for (int d = walk->rank - 1; d >= 0; d--) {
        for (int k = 0; k < walk->operands; k++) walk->offset[k] += walk->strides[k][d];
        if (++walk->index[d] < walk->dims[d]) return;
        for (int k = 0; k < walk->operands; k++) walk->offset[k] -= walk->strides[k][d] * walk->dims[d];
        walk->index[d] = 0;
    }
}

#define COPY_RUN(type)                                                              \
    do {                                                                            \
        const type *p = (const type *)in + walk->offset[0];                         \
        type *q = (type *)out + r * n;                                              \
        for (size_t i = 0; i < n; i++) q[i] = p[(int64_t)i * step];                 \
    } while (0)

void inc_walk_copy(struct inc_walk *walk, const void *in, void *out, size_t size)
{
    size_t n = (size_t)walk->run;
    int64_t step = walk->step[0];
    for (size_t r = 0; r < walk->runs; r++, inc_walk_next(walk)) {
        if (step == 1) {
            memcpy((char *)out + r * n * size, (const char *)in + walk->offset[0] * (int64_t)size, n * size);
        } else {
            switch (size) {
            case 1: COPY_RUN(uint8_t); break;
            case 2: COPY_RUN(uint16_t); break;
            case 4: COPY_RUN(uint32_t); break;
            default: COPY_RUN(uint64_t); break;
            }
        }
    }
}

/* ---- ops that are never evaluated here --------------------------------------------------------------------------- */

/* The runner takes their tensors from the feeds and from the graph. */
enum incise_status inc_eval_parameter(struct inc_eval *eval, struct inc_node *node)
{
    return inc_node_fail(eval->scratch_graph, node, "no tensor was given for this input");
}

enum incise_status inc_eval_constant(struct inc_eval *eval, struct inc_node *node)
{
    return inc_node_fail(eval->scratch_graph, node, "has no data");
}

enum incise_status inc_eval_result(struct inc_eval *eval, struct inc_node *node)
{
    (void)eval;
    (void)node;
    return INCISE_OK; /* it has no output */
}

enum incise_status inc_eval_fused(struct inc_eval *eval, struct inc_node *node)
{
    return inc_node_fail(eval->scratch_graph, node, "is a fused op");
}
