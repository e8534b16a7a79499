/* SPDX-License-Identifier: Apache-2.0 */
/* Shape rules of ops that take parts of data, and of Pad and Range. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "graph/shape_rules.h"

/* ---- Split ----------------------------------------------------------------------------------------------------- */

/* Output `port` is part of input 0: `length` from `first` along `axis`. */
static enum incise_status set_part(struct inc_infer *infer, struct inc_node *node, uint32_t port, int axis,
                                   struct inc_dim first, struct inc_dim length)
{
    const struct inc_value *in = node->inputs[0];
    struct inc_shape out = in->shape;
    size_t n = 0;
    out.dims[axis] = length;
    const struct inc_dim *known = in->shape.rank == 1 ? inc_rule_known(infer, node, 0, &n) : NULL;
    bool inside = known && inc_dim_is_const(first) && inc_dim_is_const(length) && first.value >= 0 &&
                  length.value >= 0 && first.value <= (int64_t)n && length.value <= (int64_t)n - first.value;
    return inc_rule_set(infer, node, port, in->type, &out, inside ? known + first.value : NULL);
}

SHAPE_RULE(split)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    int64_t parts = inc_attr_int(node, "num_splits"), axis_value = 0;
    int axis = 0;
    INC_TRY(inc_rule_constant(infer, node, 1, &axis_value));
    INC_TRY(inc_rule_axis(infer, node, axis_value, in->rank, &axis));
    if (parts != (int64_t)node->n_outputs)
        return inc_node_fail(infer->graph, node, "num_splits is %lld with %u outputs", (long long)parts,
                             (unsigned)node->n_outputs);
    struct inc_dim d = in->dims[axis], length;
    if (inc_dim_is_const(d) && d.value % parts != 0)
        return inc_node_fail(infer->graph, node, "%lld does not split into %lld equal parts", (long long)d.value,
                             (long long)parts);
    length = inc_dim_is_const(d) ? inc_dim_const(d.value / parts) : inc_dim_div(infer->graph, d, inc_dim_const(parts));
    for (uint32_t i = 0; i < node->n_outputs; i++)
        INC_TRY(set_part(infer, node, i, axis, inc_dim_mul(infer->graph, length, inc_dim_const(i)), length));
    return INCISE_OK;
}

/* Replaces a -1 among the `n` lengths by what is left of `d`, and checks their sum. */
static enum incise_status complete_lengths(struct inc_infer *infer, struct inc_node *node, struct inc_dim d,
                                           struct inc_dim *lengths, size_t n)
{
    struct inc_dim rest = d;
    size_t place = n;
    for (size_t i = 0; i < n; i++) {
        if (inc_dim_equal(lengths[i], inc_dim_const(-1)) && place == n) {
            place = i;
            continue;
        }
        if (inc_dim_is_const(lengths[i]) && lengths[i].value < 0)
            return inc_node_fail(infer->graph, node, "part %zu has length %lld", i, (long long)lengths[i].value);
        rest = inc_dim_sub(infer->graph, rest, lengths[i]);
    }
    if (place < n)
        lengths[place] = rest;
    else if (inc_dim_is_const(rest) && rest.value != 0)
        return inc_node_fail(infer->graph, node, "the parts do not add up to the dimension they split");
    if (inc_dim_is_const(rest) && rest.value < 0)
        return inc_node_fail(infer->graph, node, "the parts are longer than the dimension they split");
    return INCISE_OK;
}

static enum incise_status set_parts(struct inc_infer *infer, struct inc_node *node, int axis, struct inc_dim *lengths)
{
    struct inc_dim first = inc_dim_const(0);
    size_t n = 0;
    if (!inc_rule_elements(infer, node, 2, lengths, node->n_outputs, &n)) {
        for (uint32_t i = 0; i < node->n_outputs; i++) {
            struct inc_dim length = inc_rule_unknown_dim(infer, node, i, (size_t)axis);
            INC_TRY(set_part(infer, node, i, axis, length, length));
        }
        return INCISE_OK;
    }
    if (n != node->n_outputs)
        return inc_node_fail(infer->graph, node, "%zu lengths for %u outputs", n, (unsigned)node->n_outputs);
    INC_TRY(complete_lengths(infer, node, node->inputs[0]->shape.dims[axis], lengths, n));
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        INC_TRY(set_part(infer, node, i, axis, first, lengths[i]));
        first = inc_dim_add(infer->graph, first, lengths[i]);
    }
    return INCISE_OK;
}

SHAPE_RULE(variadic_split)
{
    int64_t axis_value = 0, length;
    int axis = 0;
    INC_TRY(inc_rule_constant(infer, node, 1, &axis_value));
    INC_TRY(inc_rule_axis(infer, node, axis_value, node->inputs[0]->shape.rank, &axis));
    INC_TRY(inc_rule_list(infer, node, 2, &length));
    if (length >= 0 && length != (int64_t)node->n_outputs)
        return inc_node_fail(infer->graph, node, "%lld lengths for %u outputs", (long long)length,
                             (unsigned)node->n_outputs);
    struct inc_dim *lengths = inc_alloc_array(infer->graph->ctx, node->n_outputs, sizeof *lengths);
    if (!lengths) return inc_fail_memory(infer->graph->ctx, node->n_outputs * sizeof *lengths, "shape inference");
    enum incise_status status = set_parts(infer, node, axis, lengths);
    inc_free(infer->graph->ctx, lengths);
    return status;
}

/* ---- Slice ----------------------------------------------------------------------------------------------------- */

/* Bounds of a slice: a list of an input, or nothing known of its `n` entries. */
struct bounds {
    struct inc_dim e[INC_MAX_RANK];
};

static enum incise_status read_bounds(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, int64_t n,
                                      struct bounds *bounds)
{
    int64_t length;
    size_t n_known;
    INC_TRY(inc_rule_list(infer, node, i, &length));
    if (length != n)
        return inc_node_fail(infer->graph, node, "input %u has %lld entries where %lld are needed", (unsigned)i,
                             (long long)length, (long long)n);
    if (!inc_rule_elements(infer, node, i, bounds->e, INC_MAX_RANK, &n_known))
        for (int64_t k = 0; k < n; k++) bounds->e[k] = INC_DIM_OVERFLOW;
    return INCISE_OK;
}

/* Elements of a slice of a known list: those at start, start + step, ... */
static const struct inc_dim *slice_elements(const struct inc_infer *infer, const struct inc_node *node,
                                            const struct inc_range_spec *r, struct inc_dim length,
                                            struct inc_dim *elements)
{
    size_t n;
    const struct inc_dim *known = inc_rule_known(infer, node, 0, &n);
    bool start_known = r->open_start || inc_dim_is_const(r->start);
    if (!known || node->inputs[0]->shape.rank != 1 || !start_known || !inc_dim_is_const(length)) return NULL;
    int64_t d = (int64_t)n, last = r->step < 0 ? d - 1 : d, start = r->step < 0 ? d - 1 : 0;
    if (!r->open_start) start = r->start.value < 0 ? r->start.value + d : r->start.value;
    start = start < 0 ? 0 : start > last ? last : start;
    for (int64_t i = 0; i < length.value; i++) {
        int64_t at = start + i * r->step;
        if (at < 0 || at >= d) return NULL;
        elements[i] = known[at];
    }
    return elements;
}

/* Fails unless the step is a constant other than 0; *known = false if it is not constant. */
static enum incise_status read_step(const struct inc_infer *infer, const struct inc_node *node, struct inc_dim entry,
                                    int64_t *step, bool *known)
{
    *known = inc_dim_is_const(entry);
    *step = *known ? entry.value : 1;
    if (*step == 0) return inc_node_fail(infer->graph, node, "a step is 0");
    return INCISE_OK;
}

/* Axes of the entries of a Slice: those of input 4, or 0, 1, ... *known = false: they are not constant. */
static enum incise_status slice_axes(const struct inc_infer *infer, const struct inc_node *node, int64_t n, int rank,
                                     int *axes, bool *known)
{
    struct bounds given;
    unsigned set;
    *known = true;
    if (n > rank) return inc_node_fail(infer->graph, node, "%lld entries for rank %d", (long long)n, rank);
    for (int k = 0; k < (int)n; k++) axes[k] = k;
    if (node->n_inputs < 5) return INCISE_OK;
    INC_TRY(read_bounds(infer, node, 4, n, &given));
    INC_TRY(inc_rule_axes(infer, node, 4, rank, &set, known));
    for (int k = 0; *known && k < (int)n; k++) INC_TRY(inc_rule_axis(infer, node, given.e[k].value, rank, &axes[k]));
    return INCISE_OK;
}

SHAPE_RULE(slice)
{
    const struct inc_value *in = node->inputs[0];
    struct inc_shape out = in->shape;
    struct bounds start, stop, steps;
    struct inc_dim buffer[INC_MAX_KNOWN];
    const struct inc_dim *elements = inc_rule_known(infer, node, 0, &(size_t){0});
    int axes[INC_MAX_RANK];
    int64_t n;
    bool known, step_known;
    INC_TRY(inc_rule_list(infer, node, 1, &n));
    if (n < 0) return inc_node_fail(infer->graph, node, "the number of sliced axes depends on data");
    INC_TRY(slice_axes(infer, node, n, in->shape.rank, axes, &known));
    INC_TRY(read_bounds(infer, node, 1, n, &start));
    INC_TRY(read_bounds(infer, node, 2, n, &stop));
    INC_TRY(read_bounds(infer, node, 3, n, &steps));
    for (int i = 0; !known && i < out.rank; i++) out.dims[i] = inc_rule_unknown_dim(infer, node, 0, (size_t)i);
    for (int k = 0; known && k < (int)n; k++) {
        struct inc_range_spec range = {.start = start.e[k], .stop = stop.e[k]};
        struct inc_dim *dim = &out.dims[axes[k]];
        INC_TRY(read_step(infer, node, steps.e[k], &range.step, &step_known));
        if (!step_known || !inc_rule_slice_length(infer, *dim, &range, dim))
            *dim = inc_rule_unknown_dim(infer, node, 0, (size_t)axes[k]);
        elements = slice_elements(infer, node, &range, *dim, buffer);
        if (!step_known) elements = NULL;
    }
    return inc_rule_set(infer, node, 0, in->type, &out, known ? elements : NULL);
}

/* ---- StridedSlice ---------------------------------------------------------------------------------------------- */

static bool masked(const struct inc_node *node, const char *name, size_t i)
{
    const struct inc_attr *mask = inc_node_attr(node, name);
    return i < mask->u.ints.n && mask->u.ints.v[i] != 0;
}

/* State of going through the entries: `from` dims of the input are used up. */
struct strided {
    struct bounds begin, end, step;
    size_t n;
    int from;
    struct inc_shape out;
    struct inc_dim buffer[INC_MAX_KNOWN];
    const struct inc_dim *elements;
};

/* Copies input dims until as many are left as the entries behind `i` use. */
static enum incise_status pass_ellipsis(const struct inc_infer *infer, const struct inc_node *node, struct strided *s,
                                        size_t i)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    int used_behind = 0;
    for (size_t k = i + 1; k < s->n; k++) {
        if (masked(node, "ellipsis_mask", k)) return inc_node_fail(infer->graph, node, "two ellipses");
        used_behind += !masked(node, "new_axis_mask", k);
    }
    while (s->from < in->rank - used_behind && s->out.rank < INC_MAX_RANK)
        s->out.dims[s->out.rank++] = in->dims[s->from++];
    return INCISE_OK;
}

/* One input dim is reduced to an index or sliced. */
static enum incise_status pass_dim(struct inc_infer *infer, struct inc_node *node, struct strided *s, size_t i)
{
    struct inc_dim d = node->inputs[0]->shape.dims[s->from], length = inc_dim_const(1);
    struct inc_range_spec range = {.start = s->begin.e[i], .stop = s->end.e[i]};
    bool step_known, shrink = masked(node, "shrink_axis_mask", i);
    INC_TRY(read_step(infer, node, s->step.e[i], &range.step, &step_known));
    range.open_start = masked(node, "begin_mask", i) && !shrink;
    range.open_stop = masked(node, "end_mask", i);
    if (shrink) {
        range.step = 1;
        step_known = true;
        int64_t at = range.start.value;
        if (inc_dim_is_const(range.start) && inc_dim_is_const(d) && (at < -d.value || at >= d.value))
            return inc_node_fail(infer->graph, node, "index %lld is outside a dimension of %lld", (long long)at,
                                 (long long)d.value);
    } else if (!step_known || !inc_rule_slice_length(infer, d, &range, &length)) {
        length = inc_rule_unknown_dim(infer, node, 0, (size_t)s->out.rank);
    }
    s->elements = step_known ? slice_elements(infer, node, &range, length, s->buffer) : NULL;
    s->from++;
    if (!shrink) s->out.dims[s->out.rank++] = length;
    return INCISE_OK;
}

static enum incise_status read_strided(const struct inc_infer *infer, const struct inc_node *node, struct strided *s)
{
    int64_t n;
    INC_TRY(inc_rule_list(infer, node, 1, &n));
    if (n < 0) return inc_node_fail(infer->graph, node, "the number of sliced axes depends on data");
    if (n > INC_MAX_RANK)
        return inc_node_fail(infer->graph, node, "%lld entries are more than rank %d", (long long)n, INC_MAX_RANK);
    s->n = (size_t)n;
    INC_TRY(read_bounds(infer, node, 1, n, &s->begin));
    INC_TRY(read_bounds(infer, node, 2, n, &s->end));
    for (size_t i = 0; i < s->n; i++) s->step.e[i] = inc_dim_const(1);
    return node->n_inputs > 3 ? read_bounds(infer, node, 3, n, &s->step) : INCISE_OK;
}

SHAPE_RULE(strided_slice)
{
    const struct inc_value *in = node->inputs[0];
    struct strided s = {.elements = inc_rule_known(infer, node, 0, &(size_t){0})};
    INC_TRY(read_strided(infer, node, &s));
    for (size_t i = 0; i < s.n; i++) {
        bool ellipsis = masked(node, "ellipsis_mask", i), new_axis = masked(node, "new_axis_mask", i);
        if (s.out.rank == INC_MAX_RANK && !masked(node, "shrink_axis_mask", i))
            return inc_node_fail(infer->graph, node, "the result has more than rank %d", INC_MAX_RANK);
        if (ellipsis) {
            INC_TRY(pass_ellipsis(infer, node, &s, i));
        } else if (new_axis) {
            s.out.dims[s.out.rank++] = inc_dim_const(1);
        } else {
            if (s.from >= in->shape.rank)
                return inc_node_fail(infer->graph, node, "more entries than rank %d", in->shape.rank);
            INC_TRY(pass_dim(infer, node, &s, i));
        }
    }
    while (s.from < in->shape.rank && s.out.rank < INC_MAX_RANK) s.out.dims[s.out.rank++] = in->shape.dims[s.from++];
    if (s.from < in->shape.rank)
        return inc_node_fail(infer->graph, node, "the result has more than rank %d", INC_MAX_RANK);
    return inc_rule_set(infer, node, 0, in->type, &s.out, s.elements);
}

/* ---- Gather ---------------------------------------------------------------------------------------------------- */

/* Elements picked from a known list by constant indices; false if that is not what happens. */
static bool gather_elements(struct inc_infer *infer, const struct inc_node *node, const struct inc_shape *out,
                            struct inc_dim *elements)
{
    size_t n_data, n_index, n;
    const struct inc_dim *data = inc_rule_known(infer, node, 0, &n_data);
    const struct inc_dim *index = inc_rule_known(infer, node, 1, &n_index);
    if (!data || !index || node->inputs[0]->shape.rank != 1 || !inc_shape_count(out, &n) || n != n_index ||
        n > INC_MAX_KNOWN)
        return false;
    for (size_t i = 0; i < n; i++) {
        int64_t at = index[i].value;
        if (at < 0 && node->op == INC_OP_GATHER) at += (int64_t)n_data;
        bool inside = inc_dim_is_const(index[i]) && at >= 0 && at < (int64_t)n_data;
        elements[i] = inside ? data[at] : inc_rule_unknown_element(infer, node, 0, i);
    }
    return true;
}

/* *batch in 0..min(rank of indices, axis). */
static enum incise_status gather_batch(const struct inc_infer *infer, const struct inc_node *node, int axis, int *batch)
{
    const struct inc_shape *data = &node->inputs[0]->shape, *index = &node->inputs[1]->shape;
    int64_t dims = node->op == INC_OP_GATHER1 ? 0 : inc_attr_int(node, "batch_dims");
    if (dims < 0) dims = dims < -index->rank ? -1 : dims + index->rank;
    if (dims < 0 || dims > index->rank || dims > axis)
        return inc_node_fail(infer->graph, node, "batch_dims %lld does not suit axis %d and indices of rank %d",
                             (long long)inc_attr_int(node, "batch_dims"), axis, index->rank);
    for (int i = 0; i < (int)dims; i++) {
        struct inc_dim both;
        if (!inc_dim_unify(data->dims[i], index->dims[i], &both))
            return inc_node_fail(infer->graph, node, "data and indices differ in batch dimension %d", i);
    }
    *batch = (int)dims;
    return INCISE_OK;
}

SHAPE_RULE(gather)
{
    const struct inc_shape *data = &node->inputs[0]->shape, *index = &node->inputs[1]->shape;
    struct inc_dim elements[INC_MAX_KNOWN];
    int64_t axis_value = 0;
    int axis = 0, batch = 0;
    INC_TRY(inc_rule_class(infer, node, 1, INC_CLASS_INTEGER));
    INC_TRY(inc_rule_constant(infer, node, 2, &axis_value));
    INC_TRY(inc_rule_axis(infer, node, axis_value, data->rank, &axis));
    INC_TRY(gather_batch(infer, node, axis, &batch));
    struct inc_shape out = {.rank = 0};
    int rank = data->rank - 1 + index->rank - batch;
    if (rank > INC_MAX_RANK)
        return inc_node_fail(infer->graph, node, "the result has rank %d; at most %d is supported", rank, INC_MAX_RANK);
    for (int i = 0; i < axis; i++) out.dims[out.rank++] = data->dims[i];
    for (int i = batch; i < index->rank; i++) out.dims[out.rank++] = index->dims[i];
    for (int i = axis + 1; i < data->rank; i++) out.dims[out.rank++] = data->dims[i];
    bool known = gather_elements(infer, node, &out, elements);
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, &out, known ? elements : NULL);
}

/* ---- Pad ------------------------------------------------------------------------------------------------------- */

/* What `mode` (index into the words of the pad rule) asks of one dim and one of its pads, where they are constant. */
static enum incise_status check_pad(const struct inc_infer *infer, const struct inc_node *node, int mode,
                                    struct inc_dim d, struct inc_dim pad)
{
    if (!inc_dim_is_const(pad)) return INCISE_OK;
    if (pad.value < 0 && node->op == INC_OP_PAD)
        return inc_node_fail(infer->graph, node, "a pad is %lld", (long long)pad.value);
    if (!inc_dim_is_const(d) || mode == 0 || pad.value <= 0) return INCISE_OK;
    int64_t most = mode == 1 ? (d.value > 0 ? INT64_MAX : 0) : mode == 2 ? d.value - 1 : d.value;
    if (pad.value > most)
        return inc_node_fail(infer->graph, node, "a pad of %lld is too large for a dimension of %lld",
                             (long long)pad.value, (long long)d.value);
    return INCISE_OK;
}

SHAPE_RULE(pad)
{
    static const char *const words[] = {"constant", "edge", "reflect", "symmetric", NULL};
    const struct inc_value *in = node->inputs[0];
    struct inc_shape out = in->shape;
    struct bounds begin, end;
    int mode = 0;
    INC_TRY(inc_rule_word(infer, node, "pad_mode", words, &mode));
    INC_TRY(read_bounds(infer, node, 1, in->shape.rank, &begin));
    INC_TRY(read_bounds(infer, node, 2, in->shape.rank, &end));
    if (node->n_inputs > 3) {
        INC_TRY(inc_rule_same_type(infer, node, 0, 3));
        if (node->inputs[3]->shape.rank > 0) return inc_node_fail(infer->graph, node, "the pad value must be a scalar");
    }
    for (int i = 0; i < out.rank; i++) {
        struct inc_dim d = out.dims[i];
        if (!inc_dim_valid(begin.e[i]) || !inc_dim_valid(end.e[i])) {
            out.dims[i] = inc_rule_unknown_dim(infer, node, 0, (size_t)i);
            continue;
        }
        INC_TRY(check_pad(infer, node, mode, d, begin.e[i]));
        INC_TRY(check_pad(infer, node, mode, d, end.e[i]));
        out.dims[i] = inc_dim_add(infer->graph, inc_dim_add(infer->graph, d, begin.e[i]), end.e[i]);
    }
    return inc_rule_set(infer, node, 0, in->type, &out, NULL);
}

/* ---- Range ----------------------------------------------------------------------------------------------------- */

/* One of start, stop and step: a dim, or a float. */
struct bound {
    bool known, is_float;
    struct inc_dim dim;
    double value;
};

static enum incise_status read_bound(const struct inc_infer *infer, const struct inc_node *node, uint32_t i,
                                     bool to_integer, struct bound *bound)
{
    const struct inc_value *in = node->inputs[i];
    size_t n;
    *bound = (struct bound){.known = false};
    INC_TRY(inc_rule_class(infer, node, i, INC_CLASS_NUMBER));
    if (inc_shape_count(&in->shape, &n) && n != 1)
        return inc_node_fail(infer->graph, node, "input %u must be one number", (unsigned)i);
    if (!inc_type_is_float(in->type)) {
        bound->known = inc_rule_elements(infer, node, i, &bound->dim, 1, &n) && n == 1;
        return INCISE_OK;
    }
    const struct inc_tensor *tensor = infer->data                       ? infer->data[i]
                                      : in->node->op == INC_OP_CONSTANT ? &in->node->data
                                                                        : NULL;
    if (!tensor || !tensor->data) return INCISE_OK;
    bound->known = true;
    bound->is_float = !to_integer;
    bound->value = inc_tensor_get_f64(tensor, 0);
    bound->dim = inc_dim_const(inc_tensor_get_i64(tensor, 0));
    if (!isfinite(bound->value)) return inc_node_fail(infer->graph, node, "input %u is not finite", (unsigned)i);
    return INCISE_OK;
}

/* Length of a range of floats; false if it is beyond any tensor. */
static bool float_length(double start, double stop, double step, int64_t *length)
{
    double n = ceil((stop - start) / step);
    if (!(n < 0x1p62)) return false;
    *length = n > 0 ? (int64_t)n : 0;
    return true;
}

/* Length of a range of integers. */
static bool integer_length(int64_t start, int64_t stop, int64_t step, int64_t *length)
{
    bool back = step < 0;
    if (back ? stop >= start : start >= stop) {
        *length = 0;
        return true;
    }
    uint64_t span = back ? (uint64_t)start - (uint64_t)stop : (uint64_t)stop - (uint64_t)start;
    uint64_t size = back ? 0 - (uint64_t)step : (uint64_t)step, n = span / size + (span % size != 0);
    *length = (int64_t)n;
    return n <= INT64_MAX;
}

/* Length where the bounds are known, symbols included. */
static enum incise_status range_length(struct inc_infer *infer, struct inc_node *node, const struct bound *b,
                                       struct inc_dim *length)
{
    bool symbolic = false, is_float = false, fits;
    double value[3];
    for (int i = 0; i < 3; i++) {
        symbolic |= !inc_dim_is_const(b[i].dim);
        is_float |= b[i].is_float;
        value[i] = b[i].is_float ? b[i].value : (double)b[i].dim.value;
    }
    bool zero = inc_dim_is_const(b[2].dim) && (b[2].is_float ? b[2].value == 0 : b[2].dim.value == 0);
    if (zero) return inc_node_fail(infer->graph, node, "the step is 0");
    if (symbolic) {
        bool step_is_1 = b[2].is_float ? b[2].value == 1 : inc_dim_equal(b[2].dim, inc_dim_const(1));
        bool whole =
            (!b[0].is_float || b[0].value == trunc(b[0].value)) && (!b[1].is_float || b[1].value == trunc(b[1].value));
        *length = step_is_1 && whole ? inc_dim_sub(infer->graph, b[1].dim, b[0].dim)
                                     : inc_rule_unknown_dim(infer, node, 0, 0);
        if (inc_dim_is_const(*length) && length->value < 0) *length = inc_dim_const(0);
        return INCISE_OK;
    }
    int64_t n = 0;
    fits = is_float ? float_length(value[0], value[1], value[2], &n)
                    : integer_length(b[0].dim.value, b[1].dim.value, b[2].dim.value, &n);
    if (!fits) return inc_node_fail(infer->graph, node, "the result is too large");
    *length = inc_dim_const(n);
    return INCISE_OK;
}

SHAPE_RULE(range)
{
    enum inc_type type = inc_attr_type(node, "output_type");
    struct inc_shape out = {.rank = 1};
    struct inc_dim elements[INC_MAX_KNOWN];
    struct bound bounds[3];
    bool known = true;
    for (uint32_t i = 0; i < 3; i++) {
        INC_TRY(read_bound(infer, node, i, !inc_type_is_float(type), &bounds[i]));
        known &= bounds[i].known;
    }
    if (type == INC_BOOL) return inc_node_fail(infer->graph, node, "output_type is boolean");
    out.dims[0] = inc_rule_unknown_dim(infer, node, 0, 0);
    if (known) INC_TRY(range_length(infer, node, bounds, &out.dims[0]));
    const struct inc_dim start = bounds[0].dim, step = bounds[2].dim, n = out.dims[0];
    bool listed = known && !infer->data && (type == INC_I64 || type == INC_I32) && inc_dim_is_const(n) &&
                  n.value >= 0 && n.value <= INC_MAX_KNOWN && inc_dim_is_const(step);
    for (int64_t i = 0; listed && i < n.value; i++)
        elements[i] = inc_dim_add(infer->graph, start, inc_dim_mul(infer->graph, step, inc_dim_const(i)));
    return inc_rule_set(infer, node, 0, type, &out, listed ? elements : NULL);
}
