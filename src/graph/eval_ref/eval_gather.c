/* SPDX-License-Identifier: Apache-2.0 */
/* Gather and Pad: results picked by index. */
#include <string.h>
#include <strings.h>

#include "graph/eval_ref/eval_internal.h"

/* ---- Gather ------------------------------------------------------------------------------------------------------ */

/* data as [batches, outer, size, inner], indices as [batches, picks]. */
struct gather {
    size_t batches, outer, inner, picks;
    int64_t size;
    bool from_end; /* negative indices count from the end */
};

static enum incise_status gather_plan(struct inc_eval *eval, const struct inc_node *node, struct gather *g)
{
    const struct inc_tensor *data = eval->in[0], *indices = eval->in[1];
    int axis, batch_dims = 0;
    if (inc_tensor_elements(eval->in[2]) != 1)
        return inc_node_fail(eval->scratch_graph, node, "the axis must be one number");
    INC_TRY(inc_eval_axis(eval, node, inc_tensor_get_i64(eval->in[2], 0), data->rank, &axis));
    if (node->op != INC_OP_GATHER1) {
        int64_t given = inc_attr_int(node, "batch_dims");
        if (given < -indices->rank || given > indices->rank || given > axis)
            return inc_node_fail(eval->scratch_graph, node, "batch_dims %lld does not fit", (long long)given);
        batch_dims = (int)(given < 0 ? given + indices->rank : given);
    }
    *g = (struct gather){1, 1, 1, 1, data->dims[axis], node->op == INC_OP_GATHER};
    if (batch_dims > axis) return inc_node_fail(eval->scratch_graph, node, "batch_dims reaches over the axis");
    for (int d = 0; d < batch_dims; d++) {
        if (data->dims[d] != indices->dims[d])
            return inc_node_fail(eval->scratch_graph, node, "batch dimension %d differs", d);
        g->batches *= (size_t)data->dims[d];
    }
    for (int d = batch_dims; d < axis; d++) g->outer *= (size_t)data->dims[d];
    for (int d = axis + 1; d < data->rank; d++) g->inner *= (size_t)data->dims[d];
    for (int d = batch_dims; d < indices->rank; d++) g->picks *= (size_t)indices->dims[d];
    if (inc_tensor_elements(&eval->out[0]) != g->batches * g->outer * g->picks * g->inner)
        return inc_node_fail(eval->scratch_graph, node, "the result has another size");
    return INCISE_OK;
}

/* Elements [from, from + n) of the table, in its held type, to element `to` of the result: a table of another type is
 * converted row by row, never as a whole. */
static void take_row(const struct inc_tensor *table, size_t from, size_t n, struct inc_tensor *out, size_t to)
{
    size_t size = inc_type_bits(out->type) / 8;
    if (table->type == out->type) {
        memcpy((char *)out->data + to * size, (const char *)table->data + from * size, n * size);
    } else if (out->type == INC_F32) {
        inc_tensor_to_f32(table, from, n, (float *)out->data + to);
    } else {
        for (size_t i = 0; i < n; i++) {
            int64_t v = inc_tensor_get_i64(table, from + i);
            inc_eval_store_ints(out, to + i, 1, &v);
        }
    }
}

enum incise_status inc_eval_gather(struct inc_eval *eval, struct inc_node *node)
{
    struct gather g = {0};
    INC_TRY(gather_plan(eval, node, &g));
    const int64_t *indices = inc_eval_ints(eval, node, 1);
    if (!indices) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < g.batches * g.picks; i++) {
        int64_t index = indices[i];
        if (index < (g.from_end ? -g.size : 0) || index >= g.size)
            return inc_node_fail(eval->scratch_graph, node,
                                 "index %lld at position %zu is outside a table of %lld rows", (long long)index, i,
                                 (long long)g.size);
    }
    size_t to = 0;
    for (size_t b = 0; b < g.batches; b++) {
        for (size_t o = 0; o < g.outer; o++) {
            for (size_t p = 0; p < g.picks; p++, to += g.inner) {
                int64_t index = indices[b * g.picks + p];
                size_t row = (b * g.outer + o) * (size_t)g.size + (size_t)(index < 0 ? index + g.size : index);
                if (eval->table) inc_weight_row_f32(eval->table, (int64_t)row, (float *)eval->out[0].data + to);
                else take_row(eval->in[0], row * g.inner, g.inner, &eval->out[0], to);
            }
        }
    }
    return INCISE_OK;
}

/* ---- Pad --------------------------------------------------------------------------------------------------------- */

enum pad_mode { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT, PAD_SYMMETRIC };

static enum incise_status pad_mode(struct inc_eval *eval, const struct inc_node *node, enum pad_mode *mode)
{
    static const char *const names[] = {"constant", "edge", "reflect", "symmetric"};
    const char *name = inc_attr_string(node, "pad_mode");
    for (int m = 0; m < 4; m++) {
        if (strcasecmp(name, names[m]) == 0) {
            *mode = (enum pad_mode)m;
            return INCISE_OK;
        }
    }
    return inc_node_fail(eval->scratch_graph, node, "pad_mode '%s' is unknown", name);
}

/* Which of `size` elements stands at `i`, counted from the first input element; -1: the padding value; -2: none, the
 * padding is too wide to mirror. */
static int64_t pad_source(enum pad_mode mode, int64_t i, int64_t size)
{
    if (i >= 0 && i < size) return i;
    if (mode == PAD_CONSTANT) return -1;
    if (size == 0) return -2;
    if (mode == PAD_EDGE) return i < 0 ? 0 : size - 1;
    int64_t edge = mode == PAD_SYMMETRIC ? 1 : 0; /* symmetric repeats the edge element */
    int64_t mirrored = i < 0 ? -i - edge : 2 * (size - 1) - i + edge;
    return mirrored >= 0 && mirrored < size ? mirrored : -2;
}

/* For every dim of the result one table of source positions, one after the other. NULL on failure. */
static enum incise_status pad_tables(struct inc_eval *eval, const struct inc_node *node, const struct inc_tensor *in,
                                     enum pad_mode mode, int64_t **tables)
{
    const struct inc_tensor *out = &eval->out[0];
    size_t total = 0, at = 0;
    if (inc_tensor_elements(eval->in[1]) != (size_t)in->rank || out->rank != in->rank)
        return inc_node_fail(eval->scratch_graph, node, "pads_begin needs %d entries", in->rank);
    for (int d = 0; d < out->rank; d++) total += (size_t)out->dims[d];
    *tables = inc_eval_scratch(eval, node, total, sizeof **tables);
    if (!*tables) return INCISE_ERROR_MEMORY;
    for (int d = 0; d < out->rank; d++) {
        int64_t begin = inc_tensor_get_i64(eval->in[1], (size_t)d), first;
        if (__builtin_sub_overflow(INT64_C(0), begin, &first) || first > INT64_MAX - out->dims[d])
            return inc_node_fail(eval->scratch_graph, node, "pads_begin is out of range");
        for (int64_t i = 0; i < out->dims[d]; i++) {
            int64_t from = pad_source(mode, first + i, in->dims[d]);
            if (from == -2) return inc_node_fail(eval->scratch_graph, node, "dimension %d is too small to mirror", d);
            (*tables)[at++] = from;
        }
    }
    return INCISE_OK;
}

/* Source element of the result's element at `index`; -1 for padding. */
static int64_t pad_element(const struct inc_tensor *in, const struct inc_tensor *out, const int64_t *tables,
                           const int64_t *index)
{
    int64_t from = 0;
    for (int d = 0; d < out->rank; tables += out->dims[d], d++) {
        if (tables[index[d]] < 0) return -1;
        from = from * in->dims[d] + tables[index[d]];
    }
    return from;
}

enum incise_status inc_eval_pad(struct inc_eval *eval, struct inc_node *node)
{
    enum pad_mode mode = PAD_CONSTANT;
    struct inc_tensor in, fill = {0};
    int64_t *tables = NULL, index[INC_MAX_RANK] = {0};
    struct inc_tensor *out = &eval->out[0];
    size_t size = inc_type_bits(out->type) / 8, n = inc_tensor_elements(out);
    static const uint64_t zero;
    INC_TRY(pad_mode(eval, node, &mode));
    INC_TRY(inc_eval_held(eval, node, 0, &in));
    if (node->n_inputs > 3) {
        INC_TRY(inc_eval_held(eval, node, 3, &fill));
        if (fill.type != out->type || inc_tensor_elements(&fill) != 1)
            return inc_node_fail(eval->scratch_graph, node, "the padding value must be one %s",
                                 inc_type_name(out->type));
    }
    INC_TRY(pad_tables(eval, node, &in, mode, &tables));
    const void *value = fill.data ? fill.data : &zero;
    for (size_t i = 0; i < n; i++) {
        int64_t from = pad_element(&in, out, tables, index);
        memcpy((char *)out->data + i * size, from < 0 ? value : (const char *)in.data + (size_t)from * size, size);
        for (int d = out->rank - 1; d >= 0 && ++index[d] == out->dims[d]; d--) index[d] = 0;
    }
    return INCISE_OK;
}
