/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/shape_rules.h"

#include <string.h>
#include <strings.h>

#include "base/size.h"

/* ---- what is not known ----------------------------------------------------------------------------------------- */

/* Marks a dim that needs data which the evaluator does not have; inc_rule_set reports it. */
#define DIM_NEEDS_DATA ((struct inc_dim){UINT32_MAX, 2})

#define ELEMENT_SLOTS (INT64_C(1) << 32) /* elements are numbered behind dims */

struct inc_dim inc_rule_unknown_dim(struct inc_infer *infer, const struct inc_node *node, uint32_t port, size_t slot)
{
    if (infer->data) return DIM_NEEDS_DATA;
    return inc_dim_opaque(infer->graph, node->id, (int64_t)port * INC_MAX_RANK + (int64_t)slot, 0);
}

struct inc_dim inc_rule_unknown_element(struct inc_infer *infer, const struct inc_node *node, uint32_t port,
                                        size_t slot)
{
    if (infer->data) return DIM_NEEDS_DATA;
    int64_t number = ELEMENT_SLOTS * INC_MAX_RANK + (int64_t)port * INC_MAX_KNOWN + (int64_t)slot;
    return inc_dim_opaque(infer->graph, node->id, number, INT64_MIN);
}

/* ---- types and words ------------------------------------------------------------------------------------------- */

enum incise_status inc_rule_class(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, int classes)
{
    static const char *const wants[] = {"", "floating-point",    "integer", "numeric", "boolean",
                                        "", "integer or boolean"};
    enum inc_type type = node->inputs[i]->type;
    int own = inc_type_is_float(type) ? INC_CLASS_FLOAT : type == INC_BOOL ? INC_CLASS_BOOL : INC_CLASS_INTEGER;
    if (own & classes) return INCISE_OK;
    return inc_node_fail(infer->graph, node, "input %u is %s where a %s type is needed", (unsigned)i,
                         inc_type_name(type), wants[classes]);
}

enum incise_status inc_rule_same_type(const struct inc_infer *infer, const struct inc_node *node, uint32_t i,
                                      uint32_t j)
{
    enum inc_type a = node->inputs[i]->type, b = node->inputs[j]->type;
    if (a == b) return INCISE_OK;
    return inc_node_fail(infer->graph, node, "inputs %u and %u differ in type: %s and %s", (unsigned)i, (unsigned)j,
                         inc_type_name(a), inc_type_name(b));
}

enum incise_status inc_rule_word(const struct inc_infer *infer, const struct inc_node *node, const char *name,
                                 const char *const *words, int *which)
{
    const char *word = inc_attr_string(node, name);
    for (int i = 0; words[i]; i++) {
        if (strcasecmp(words[i], word) != 0) continue;
        *which = i;
        return INCISE_OK;
    }
    return inc_node_fail(infer->graph, node, "%s '%s' is not supported", name, word);
}

/* ---- known elements -------------------------------------------------------------------------------------------- */

static bool read_tensor(const struct inc_tensor *tensor, struct inc_dim *elements, size_t max, size_t *n)
{
    if (!tensor || !tensor->data || inc_type_is_float(tensor->type)) return false;
    *n = inc_tensor_elements(tensor);
    if (*n > max) return false;
    for (size_t i = 0; i < *n; i++) elements[i] = inc_dim_const(inc_tensor_get_i64(tensor, i));
    return true;
}

bool inc_rule_elements(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, struct inc_dim *elements,
                       size_t max, size_t *n)
{
    if (infer->data) return read_tensor(infer->data[i], elements, max, n);
    const struct inc_value *value = node->inputs[i];
    if (value->node->op == INC_OP_CONSTANT) return read_tensor(&value->node->data, elements, max, n);
    if (!value->elements || !inc_shape_count(&value->shape, n) || *n > max) return false;
    if (*n > 0) memcpy(elements, value->elements, *n * sizeof *elements);
    return true;
}

const struct inc_dim *inc_rule_known(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, size_t *n)
{
    const struct inc_value *value = node->inputs[i];
    if (infer->data || !value->elements || !inc_shape_count(&value->shape, n)) return NULL;
    return value->elements;
}

enum incise_status inc_rule_constant(const struct inc_infer *infer, const struct inc_node *node, uint32_t i,
                                     int64_t *value)
{
    struct inc_dim element;
    size_t n, count;
    INC_TRY(inc_rule_class(infer, node, i, INC_CLASS_INTEGER));
    if (inc_shape_count(&node->inputs[i]->shape, &count) && count != 1)
        return inc_node_fail(infer->graph, node, "input %u must be one number", (unsigned)i);
    if (!inc_rule_elements(infer, node, i, &element, 1, &n) || n != 1 || !inc_dim_is_const(element))
        return inc_node_fail(infer->graph, node, "input %u must be constant", (unsigned)i);
    *value = element.value;
    return INCISE_OK;
}

enum incise_status inc_rule_axis(const struct inc_infer *infer, const struct inc_node *node, int64_t axis, int rank,
                                 int *out)
{
    if (axis < -rank || axis >= rank)
        return inc_node_fail(infer->graph, node, "axis %lld is outside rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return INCISE_OK;
}

enum incise_status inc_rule_list(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, int64_t *n)
{
    const struct inc_shape *shape = &node->inputs[i]->shape;
    INC_TRY(inc_rule_class(infer, node, i, INC_CLASS_INTEGER));
    if (shape->rank > 1) return inc_node_fail(infer->graph, node, "input %u must be a list", (unsigned)i);
    *n = shape->rank == 0 ? 1 : inc_dim_is_const(shape->dims[0]) ? shape->dims[0].value : -1;
    return INCISE_OK;
}

enum incise_status inc_rule_axes(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, int rank,
                                 unsigned *axes, bool *known)
{
    struct inc_dim list[INC_MAX_RANK];
    size_t n = 0;
    int64_t length;
    *axes = 0;
    INC_TRY(inc_rule_list(infer, node, i, &length));
    if (length > INC_MAX_RANK)
        return inc_node_fail(infer->graph, node, "%lld axes are more than rank %d", (long long)length, rank);
    *known = inc_rule_elements(infer, node, i, list, INC_MAX_RANK, &n);
    for (size_t k = 0; *known && k < n; k++) *known = inc_dim_is_const(list[k]);
    for (size_t k = 0; *known && k < n; k++) {
        int axis = 0;
        INC_TRY(inc_rule_axis(infer, node, list[k].value, rank, &axis));
        if (*axes >> axis & 1) return inc_node_fail(infer->graph, node, "axis %d is given twice", axis);
        *axes |= 1u << axis;
    }
    return INCISE_OK;
}

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

bool inc_shape_count(const struct inc_shape *shape, size_t *n)
{
    int64_t dims[INC_MAX_RANK];
    size_t bytes;
    for (int i = 0; i < shape->rank; i++) dims[i] = inc_dim_is_const(shape->dims[i]) ? shape->dims[i].value : -1;
    return inc_tensor_count(shape->rank, dims, INC_U8, n, &bytes);
}

struct inc_dim inc_shape_product(struct inc_infer *infer, const struct inc_shape *shape, int first, int last)
{
    struct inc_dim product = inc_dim_const(1);
    for (int i = first; i < last; i++) product = inc_dim_mul(infer->graph, product, shape->dims[i]);
    return product;
}

bool inc_dim_unify(struct inc_dim a, struct inc_dim b, struct inc_dim *out)
{
    if (inc_dim_is_const(a) && inc_dim_is_const(b) && a.value != b.value) return false;
    *out = a.symbol <= b.symbol ? a : b;
    return true;
}

bool inc_dim_broadcast(struct inc_dim a, struct inc_dim b, struct inc_dim *out)
{
    bool a_is_1 = inc_dim_equal(a, inc_dim_const(1)), b_is_1 = inc_dim_equal(b, inc_dim_const(1));
    if (!a_is_1 && !b_is_1) return inc_dim_unify(a, b, out);
    *out = a_is_1 ? b : a;
    return true;
}

enum incise_status inc_rule_broadcast(const struct inc_infer *infer, const struct inc_node *node,
                                      const struct inc_shape *a, const struct inc_shape *b, struct inc_shape *out)
{
    struct inc_shape result = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 0; i < result.rank; i++) {
        int ia = i - (result.rank - a->rank), ib = i - (result.rank - b->rank);
        struct inc_dim da = ia < 0 ? inc_dim_const(1) : a->dims[ia], db = ib < 0 ? inc_dim_const(1) : b->dims[ib];
        if (!inc_dim_broadcast(da, db, &result.dims[i]))
            return inc_node_fail(infer->graph, node, "%lld and %lld do not broadcast in dimension %d",
                                 (long long)da.value, (long long)db.value, i);
    }
    *out = result;
    return INCISE_OK;
}

size_t inc_shape_source(const struct inc_shape *out, const struct inc_shape *in, size_t index)
{
    size_t source = 0, stride = 1;
    for (int i = out->rank - 1, k = in->rank - 1; k >= 0; i--, k--) {
        size_t size = (size_t)out->dims[i].value, own = (size_t)in->dims[k].value;
        if (own != 1) source += index % size * stride;
        stride *= own;
        index /= size;
    }
    return source;
}

/* ---- slices ---------------------------------------------------------------------------------------------------- */

/* A position that counts from the end if negative, cut to low..high; d and position constant. */
static int64_t place(int64_t position, int64_t d, int64_t low, int64_t high)
{
    if (position < 0) position += d;
    return position < low ? low : position > high ? high : position;
}

static int64_t constant_length(int64_t d, const struct inc_range_spec *r)
{
    bool back = r->step < 0;
    int64_t low = back ? -1 : 0, high = back ? d - 1 : d;
    int64_t start = r->open_start ? (back ? high : low) : place(r->start.value, d, low, high);
    int64_t stop = r->open_stop ? (back ? low : high) : place(r->stop.value, d, low, high);
    uint64_t span =
        back ? (stop < start ? (uint64_t)(start - stop) : 0) : (start < stop ? (uint64_t)(stop - start) : 0);
    uint64_t step = back ? 0 - (uint64_t)r->step : (uint64_t)r->step;
    return (int64_t)(span / step + (span % step != 0));
}

/* Where `end` lies from the start of `d`, provided that it can be told. */
static bool symbolic_place(struct inc_infer *infer, struct inc_dim d, struct inc_dim end, struct inc_dim *out)
{
    const struct inc_graph *graph = infer->graph;
    if (!inc_dim_valid(end)) return false;
    if (!inc_dim_is_const(end)) {
        *out = end;
        return inc_dim_min(graph, end) >= 0;
    }
    if (inc_dim_is_const(d)) {
        *out = inc_dim_const(place(end.value, d.value, 0, d.value));
        return true;
    }
    if (end.value >= INT32_MAX) {
        *out = d;
        return true;
    }
    if (end.value < 0) {
        if (end.value == INT64_MIN || inc_dim_min(graph, d) < -end.value) return false;
        *out = inc_dim_add(infer->graph, d, end);
        return true;
    }
    *out = end;
    return inc_dim_min(graph, d) >= end.value;
}

bool inc_rule_slice_length(struct inc_infer *infer, struct inc_dim d, const struct inc_range_spec *range,
                           struct inc_dim *length)
{
    struct inc_range_spec r = *range;
    bool from_zero = r.open_start || inc_dim_equal(r.start, inc_dim_const(0));
    if (inc_dim_is_const(d) && (r.open_start || inc_dim_is_const(r.start)) &&
        (r.open_stop || inc_dim_is_const(r.stop))) {
        *length = inc_dim_const(constant_length(d.value, &r));
        return true;
    }
    if (r.step == -1) {
        *length = d;
        return (r.open_start || (inc_dim_is_const(r.start) && (r.start.value == -1 || r.start.value >= INT32_MAX))) &&
               (r.open_stop || (inc_dim_is_const(r.stop) && r.stop.value <= INT32_MIN));
    }
    if (r.step != 1) return false;
    struct inc_dim start = inc_dim_const(0), stop = d;
    if (!from_zero && !symbolic_place(infer, d, r.start, &start)) return false;
    if (!r.open_stop && !symbolic_place(infer, d, r.stop, &stop)) return false;
    *length = inc_dim_sub(infer->graph, stop, start);
    if (inc_dim_is_const(*length) && length->value < 0) *length = inc_dim_const(0);
    return true;
}
