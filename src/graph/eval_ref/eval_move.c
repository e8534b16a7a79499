/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that only move elements: copies, permutations, cuts and repeats are walks over the input. */
#include <string.h>

#include "graph/eval_ref/eval_internal.h"

static size_t element_size(const struct inc_tensor *tensor)
{
    return inc_type_bits(tensor->type) / 8;
}

/* Row-major strides of `tensor`, in elements. */
static void strides_of(const struct inc_tensor *tensor, int64_t *strides)
{
    int64_t stride = 1;
    for (int d = tensor->rank - 1; d >= 0; stride = inc_walk_mul(stride, tensor->dims[d]), d--) strides[d] = stride;
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

static enum incise_status copy(struct inc_eval *eval, const struct inc_node *node)
{
    struct inc_tensor in;
    INC_TRY(inc_eval_held(eval, node, 0, &in));
    if (in.bytes < eval->out[0].bytes || in.type != eval->out[0].type)
        return inc_node_fail(eval->scratch_graph, node, "the result is larger than the input");
    memcpy(eval->out[0].data, in.data, eval->out[0].bytes);
    return INCISE_OK;
}

enum incise_status inc_eval_reshape(struct inc_eval *eval, struct inc_node *node)
{
    return copy(eval, node);
}

enum incise_status inc_eval_squeeze(struct inc_eval *eval, struct inc_node *node)
{
    return copy(eval, node);
}

enum incise_status inc_eval_unsqueeze(struct inc_eval *eval, struct inc_node *node)
{
    return copy(eval, node);
}

enum incise_status inc_eval_shape_of(struct inc_eval *eval, struct inc_node *node)
{
    (void)node;
    inc_eval_store_ints(&eval->out[0], 0, (size_t)eval->in[0]->rank, eval->in[0]->dims);
    return INCISE_OK;
}

enum incise_status inc_eval_range(struct inc_eval *eval, struct inc_node *node)
{
    struct inc_tensor *out = &eval->out[0];
    size_t n = inc_tensor_elements(out);
    for (uint32_t k = 0; k < 3; k++)
        if (inc_tensor_elements(eval->in[k]) != 1)
            return inc_node_fail(eval->scratch_graph, node, "input %u must be one number", (unsigned)k);
    if (out->type == INC_F32) {
        double start = inc_tensor_get_f64(eval->in[0], 0), step = inc_tensor_get_f64(eval->in[2], 0);
        for (size_t i = 0; i < n; i++) ((float *)out->data)[i] = (float)(start + (double)i * step);
        return INCISE_OK;
    }
    int64_t start = inc_tensor_get_i64(eval->in[0], 0), step = inc_tensor_get_i64(eval->in[2], 0);
    for (size_t i = 0; i < n; i++) {
        int64_t v = (int64_t)((uint64_t)start + i * (uint64_t)step);
        inc_eval_store_ints(out, i, 1, &v);
    }
    return INCISE_OK;
}

/* ---- permutation, broadcast, repetition -------------------------------------------------------------------------- */

enum incise_status inc_eval_transpose(struct inc_eval *eval, struct inc_node *node)
{
    struct inc_tensor in;
    struct inc_walk walk;
    int64_t strides[INC_MAX_RANK];
    bool seen[INC_MAX_RANK] = {false};
    size_t n = inc_tensor_elements(eval->in[1]);
    const int64_t *order = inc_eval_ints(eval, node, 1);
    if (!order) return INCISE_ERROR_MEMORY;
    INC_TRY(inc_eval_held(eval, node, 0, &in));
    if (n != 0 && n != (size_t)in.rank)
        return inc_node_fail(eval->scratch_graph, node, "the order has %zu entries for rank %d", n, in.rank);
    strides_of(&in, strides);
    inc_walk_init(&walk, in.rank, eval->out[0].dims, 1);
    for (int d = 0; d < in.rank; d++) {
        int from = in.rank - 1 - d; /* an empty order reverses */
        if (n != 0) INC_TRY(inc_eval_axis(eval, node, order[d], in.rank, &from));
        if (seen[from] || in.dims[from] != eval->out[0].dims[d])
            return inc_node_fail(eval->scratch_graph, node, "the order is no permutation");
        seen[from] = true;
        walk.strides[0][d] = strides[from];
    }
    inc_walk_start(&walk);
    inc_walk_copy(&walk, in.data, eval->out[0].data, element_size(&in));
    return INCISE_OK;
}

/* Broadcast, mode explicit: dim d of the input is dim mapping[d] of the result. */
static enum incise_status map_axes(struct inc_eval *eval, const struct inc_node *node, const struct inc_tensor *in,
                                   struct inc_walk *walk)
{
    int64_t strides[INC_MAX_RANK];
    if (node->n_inputs < 3 || inc_tensor_elements(eval->in[2]) != (size_t)in->rank)
        return inc_node_fail(eval->scratch_graph, node, "the axes mapping needs %d entries", in->rank);
    const int64_t *mapping = inc_eval_ints(eval, node, 2);
    if (!mapping) return INCISE_ERROR_MEMORY;
    strides_of(in, strides);
    for (int d = 0; d < in->rank; d++) {
        int to;
        INC_TRY(inc_eval_axis(eval, node, mapping[d], walk->rank, &to));
        if (in->dims[d] != 1 && in->dims[d] != walk->dims[to])
            return inc_node_fail(eval->scratch_graph, node, "dimension %d does not broadcast", d);
        walk->strides[0][to] = in->dims[d] == 1 ? 0 : strides[d];
    }
    return INCISE_OK;
}

enum incise_status inc_eval_broadcast(struct inc_eval *eval, struct inc_node *node)
{
    struct inc_tensor in;
    struct inc_walk walk;
    INC_TRY(inc_eval_held(eval, node, 0, &in));
    inc_walk_init(&walk, eval->out[0].rank, eval->out[0].dims, 1);
    if (strcmp(inc_attr_string(node, "mode"), "explicit") == 0)
        INC_TRY(map_axes(eval, node, &in, &walk));
    else if (!inc_walk_broadcast(&walk, 0, in.rank, in.dims))
        return inc_node_fail(eval->scratch_graph, node, "the input does not broadcast to the target shape");
    inc_walk_start(&walk);
    inc_walk_copy(&walk, in.data, eval->out[0].data, element_size(&in));
    return INCISE_OK;
}

/* Every dim becomes two: its repeats (stride 0), then itself. */
enum incise_status inc_eval_tile(struct inc_eval *eval, struct inc_node *node)
{
    struct inc_tensor in;
    struct inc_walk walk;
    int64_t strides[INC_MAX_RANK], dims[INC_WALK_RANK];
    const struct inc_tensor *out = &eval->out[0];
    INC_TRY(inc_eval_held(eval, node, 0, &in));
    strides_of(&in, strides);
    int missing = out->rank - in.rank; /* leading dims of 1 */
    for (int d = 0; d < out->rank; d++) {
        int64_t size = d < missing ? 1 : in.dims[d - missing];
        if (missing < 0 || (size == 0 ? out->dims[d] != 0 : out->dims[d] % size != 0))
            return inc_node_fail(eval->scratch_graph, node, "dimension %d is no multiple of the input's", d);
        dims[2 * d] = size == 0 ? 0 : out->dims[d] / size;
        dims[2 * d + 1] = size;
    }
    inc_walk_init(&walk, 2 * out->rank, dims, 1);
    for (int d = 0; d < in.rank; d++) walk.strides[0][2 * (missing + d) + 1] = strides[d];
    inc_walk_start(&walk);
    inc_walk_copy(&walk, in.data, out->data, element_size(&in));
    return INCISE_OK;
}

/* ---- joining and cutting ----------------------------------------------------------------------------------------- */

enum incise_status inc_eval_concat(struct inc_eval *eval, struct inc_node *node)
{
    struct inc_tensor *out = &eval->out[0];
    size_t size = element_size(out), outer = 1, inner = size, at = 0;
    int axis;
    INC_TRY(inc_eval_axis(eval, node, inc_attr_int(node, "axis"), out->rank, &axis));
    for (int d = 0; d < axis; d++) outer *= (size_t)out->dims[d];
    for (int d = axis + 1; d < out->rank; d++) inner *= (size_t)out->dims[d];
    size_t row = (size_t)out->dims[axis] * inner;
    for (uint32_t k = 0; k < node->n_inputs; k++) {
        struct inc_tensor in;
        INC_TRY(inc_eval_held(eval, node, k, &in));
        size_t bytes = in.rank == out->rank ? (size_t)in.dims[axis] * inner : 0;
        if (in.type != out->type || in.rank != out->rank || bytes * outer != in.bytes || bytes > row - at)
            return inc_node_fail(eval->scratch_graph, node, "input %u does not fit the others", (unsigned)k);
        for (size_t r = 0; r < outer; r++)
            memcpy((char *)out->data + r * row + at, (const char *)in.data + r * bytes, bytes);
        at += bytes;
    }
    return INCISE_OK;
}

/* The outputs lie one after the other along the axis of input 1. */
enum incise_status inc_eval_split(struct inc_eval *eval, struct inc_node *node)
{
    struct inc_tensor in;
    size_t outer = 1, inner = 1, at = 0;
    int axis;
    INC_TRY(inc_eval_held(eval, node, 0, &in));
    if (inc_tensor_elements(eval->in[1]) != 1)
        return inc_node_fail(eval->scratch_graph, node, "the axis must be one number");
    INC_TRY(inc_eval_axis(eval, node, inc_tensor_get_i64(eval->in[1], 0), in.rank, &axis));
    for (int d = 0; d < axis; d++) outer *= (size_t)in.dims[d];
    for (int d = axis + 1; d < in.rank; d++) inner *= (size_t)in.dims[d];
    inner *= element_size(&in);
    size_t row = (size_t)in.dims[axis] * inner;
    for (uint32_t k = 0; k < node->n_outputs; k++) {
        struct inc_tensor *out = &eval->out[k];
        size_t bytes = out->rank == in.rank ? (size_t)out->dims[axis] * inner : 0;
        if (out->rank != in.rank || bytes > row - at || out->bytes != outer * bytes)
            return inc_node_fail(eval->scratch_graph, node, "output %u reaches over the end", (unsigned)k);
        for (size_t r = 0; r < outer; r++)
            memcpy((char *)out->data + r * bytes, (const char *)in.data + r * row + at, bytes);
        at += bytes;
    }
    return INCISE_OK;
}

enum incise_status inc_eval_variadic_split(struct inc_eval *eval, struct inc_node *node)
{
    return inc_eval_split(eval, node);
}

/* A cut under construction: the walk over the output, and where its first element lies in the input. */
struct cut {
    struct inc_tensor in;
    int64_t strides[INC_MAX_RANK];
    struct inc_walk walk;
    int64_t base;
};

/* Moves the first element `begin` places along input dim `d`. */
static void advance(struct cut *cut, int d, int64_t begin)
{
    cut->base = (int64_t)((uint64_t)cut->base + (uint64_t)inc_walk_mul(begin, cut->strides[d]));
}

/* Output dim `o` takes every `step`th element of input dim `d` from `begin` (negative: from the end; clamped). False if
 * it would leave the input. */
static bool cut_dim(struct cut *cut, int o, int d, int64_t begin, int64_t step)
{
    int64_t size = cut->in.dims[d], n = cut->walk.dims[o], span;
    if (n == 0) return true;
    if (begin < 0) begin += size;
    if (begin < 0) begin = 0;
    if (begin >= size) begin = size - 1;
    if (n == 1) step = 0;
    if (size == 0 || __builtin_mul_overflow(n - 1, step, &span)) return false;
    if (span < -begin || span >= size - begin) return false;
    advance(cut, d, begin);
    cut->walk.strides[0][o] = inc_walk_mul(step, cut->strides[d]);
    return true;
}

static enum incise_status start_cut(struct inc_eval *eval, const struct inc_node *node, struct cut *cut)
{
    *cut = (struct cut){0};
    INC_TRY(inc_eval_held(eval, node, 0, &cut->in));
    strides_of(&cut->in, cut->strides);
    inc_walk_init(&cut->walk, eval->out[0].rank, eval->out[0].dims, 1);
    return INCISE_OK;
}

static void finish_cut(struct inc_eval *eval, struct cut *cut)
{
    size_t size = element_size(&cut->in);
    inc_walk_start(&cut->walk);
    if (cut->walk.runs == 0) return;
    inc_walk_copy(&cut->walk, (const char *)cut->in.data + cut->base * (int64_t)size, eval->out[0].data, size);
}

enum incise_status inc_eval_slice(struct inc_eval *eval, struct inc_node *node)
{
    struct cut cut;
    int64_t begins[INC_MAX_RANK] = {0}, steps[INC_MAX_RANK];
    INC_TRY(start_cut(eval, node, &cut));
    size_t n = inc_tensor_elements(eval->in[1]);
    bool listed = node->n_inputs > 4;
    if (inc_tensor_elements(eval->in[3]) != n || (listed && inc_tensor_elements(eval->in[4]) != n) ||
        n > (size_t)cut.in.rank || cut.in.rank != eval->out[0].rank)
        return inc_node_fail(eval->scratch_graph, node, "start, step and axes do not fit the input");
    for (int d = 0; d < cut.in.rank; d++) steps[d] = 1;
    for (size_t i = 0; i < n; i++) {
        int axis = (int)i;
        if (listed) INC_TRY(inc_eval_axis(eval, node, inc_tensor_get_i64(eval->in[4], i), cut.in.rank, &axis));
        begins[axis] = inc_tensor_get_i64(eval->in[1], i);
        steps[axis] = inc_tensor_get_i64(eval->in[3], i);
    }
    for (int d = 0; d < cut.in.rank; d++)
        if (!cut_dim(&cut, d, d, begins[d], steps[d]))
            return inc_node_fail(eval->scratch_graph, node, "dimension %d is cut outside its %lld elements", d,
                                 (long long)cut.in.dims[d]);
    finish_cut(eval, &cut);
    return INCISE_OK;
}

/* Entry `i` of a mask attribute; masks may be shorter than begin. */
static bool masked(const struct inc_node *node, const char *name, size_t i)
{
    const struct inc_attr *mask = inc_node_attr(node, name);
    return mask && i < mask->u.ints.n && mask->u.ints.v[i] != 0;
}

/* Where a strided slice stands: the next input and output dims, and how many dims its ellipsis covers. */
struct position {
    int d, o, ellipsis;
};

static bool strided_entry(struct cut *cut, struct inc_eval *eval, const struct inc_node *node, size_t i,
                          struct position *at)
{
    int rank_in = cut->in.rank, rank_out = eval->out[0].rank;
    if (masked(node, "ellipsis_mask", i)) {
        for (int k = 0; k < at->ellipsis; k++, at->d++, at->o++)
            if (at->d >= rank_in || at->o >= rank_out || !cut_dim(cut, at->o, at->d, 0, 1)) return false;
        return true;
    }
    if (masked(node, "new_axis_mask", i)) return at->o++ < rank_out;
    if (at->d >= rank_in) return false;
    int64_t begin = inc_tensor_get_i64(eval->in[1], i), size = cut->in.dims[at->d];
    int64_t step = node->n_inputs > 3 ? inc_tensor_get_i64(eval->in[3], i) : 1;
    if (masked(node, "shrink_axis_mask", i)) {
        if (masked(node, "begin_mask", i)) begin = 0;
        if (begin < -size || begin >= size) return false;
        advance(cut, at->d++, begin < 0 ? begin + size : begin);
        return true;
    }
    if (masked(node, "begin_mask", i)) begin = step < 0 ? size - 1 : 0;
    return at->o < rank_out && cut_dim(cut, at->o++, at->d++, begin, step);
}

enum incise_status inc_eval_strided_slice(struct inc_eval *eval, struct inc_node *node)
{
    struct cut cut;
    struct position at = {0};
    INC_TRY(start_cut(eval, node, &cut));
    size_t n = inc_tensor_elements(eval->in[1]);
    if (node->n_inputs > 3 && inc_tensor_elements(eval->in[3]) != n)
        return inc_node_fail(eval->scratch_graph, node, "begin and strides differ in length");
    at.ellipsis = cut.in.rank;
    for (size_t i = 0; i < n; i++)
        if (!masked(node, "ellipsis_mask", i) && !masked(node, "new_axis_mask", i)) at.ellipsis--;
    bool fits = true;
    for (size_t i = 0; fits && i < n; i++) fits = strided_entry(&cut, eval, node, i, &at);
    for (; fits && at.d < cut.in.rank; at.d++, at.o++)
        fits = at.o < eval->out[0].rank && cut_dim(&cut, at.o, at.d, 0, 1);
    if (!fits || at.o != eval->out[0].rank)
        return inc_node_fail(eval->scratch_graph, node, "the slice leaves the input");
    finish_cut(eval, &cut);
    return INCISE_OK;
}
