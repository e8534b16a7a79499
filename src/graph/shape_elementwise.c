/* SPDX-License-Identifier: Apache-2.0 */
/* Shape rules of element-wise ops, and what they make of known elements. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "graph/shape_rules.h"

static enum incise_status check_auto_broadcast(const struct inc_infer *infer, const struct inc_node *node, bool *none)
{
    static const char *const words[] = {"numpy", "none", NULL};
    int which = 0;
    INC_TRY(inc_rule_word(infer, node, "auto_broadcast", words, &which));
    *none = which == 1;
    return INCISE_OK;
}

/* The broadcast of inputs first..last. */
static enum incise_status broadcast_inputs(const struct inc_infer *infer, const struct inc_node *node, uint32_t first,
                                           uint32_t last, struct inc_shape *shape)
{
    bool none;
    INC_TRY(check_auto_broadcast(infer, node, &none));
    *shape = node->inputs[first]->shape;
    for (uint32_t i = first + 1; i <= last; i++) {
        const struct inc_shape *other = &node->inputs[i]->shape;
        if (none && other->rank != shape->rank)
            return inc_node_fail(infer->graph, node, "inputs differ in rank and auto_broadcast is none");
        for (int d = 0; none && d < shape->rank; d++) {
            struct inc_dim both;
            if (!inc_dim_unify(shape->dims[d], other->dims[d], &both))
                return inc_node_fail(infer->graph, node, "inputs differ in dimension %d and auto_broadcast is none", d);
        }
        INC_TRY(inc_rule_broadcast(infer, node, shape, other, shape));
    }
    return INCISE_OK;
}

/* ---- arithmetic on known elements ------------------------------------------------------------------------------ */

/* The range of an integer type of at most 63 value bits; false for others. */
static bool type_range(enum inc_type type, int64_t *low, int64_t *high)
{
    static const struct {
        bool known;
        int64_t low, high;
    } ranges[INC_TYPE_COUNT] = {
        [INC_I4] = {true, -8, 7},
        [INC_U4] = {true, 0, 15},
        [INC_I8] = {true, INT8_MIN, INT8_MAX},
        [INC_U8] = {true, 0, UINT8_MAX},
        [INC_I16] = {true, INT16_MIN, INT16_MAX},
        [INC_U16] = {true, 0, UINT16_MAX},
        [INC_I32] = {true, INT32_MIN, INT32_MAX},
        [INC_U32] = {true, 0, UINT32_MAX},
        [INC_I64] = {true, INT64_MIN, INT64_MAX},
        [INC_U64] = {true, 0, INT64_MAX},
        [INC_BOOL] = {true, 0, 1},
    };
    *low = ranges[type].low;
    *high = ranges[type].high;
    return ranges[type].known;
}

/* Whether `dim`, computed without wrapping, is what an element of `type` holds. Symbols stand for lengths and sums of
 * lengths: they are taken to fit. */
static bool fits(enum inc_type type, struct inc_dim dim)
{
    int64_t low, high;
    if (!inc_dim_valid(dim)) return dim.value == INC_DIM_NO_MEMORY.value;
    return type_range(type, &low, &high) && (!inc_dim_is_const(dim) || (dim.value >= low && dim.value <= high));
}

static bool divide_constants(int64_t a, int64_t b, bool python, struct inc_dim *out)
{
    if (b == 0 || (a == INT64_MIN && b == -1)) return false;
    int64_t quotient = a / b;
    if (python && a % b != 0 && (a < 0) != (b < 0)) quotient--;
    *out = inc_dim_const(quotient);
    return true;
}

static bool power_constants(int64_t a, int64_t b, struct inc_dim *out)
{
    int64_t power = 1;
    if (b < 0 || b > 64) return false;
    for (int64_t i = 0; i < b; i++)
        if (!inc_i64_mul(power, a, &power)) return false;
    *out = inc_dim_const(power);
    return true;
}

/* The smaller (or larger) of two, where their known bounds decide. */
static bool extreme(const struct inc_graph *graph, struct inc_dim a, struct inc_dim b, bool larger, struct inc_dim *out)
{
    bool decided = true;
    if (inc_dim_equal(a, b))
        *out = a;
    else if (inc_dim_is_const(b) && inc_dim_min(graph, a) >= b.value)
        *out = larger ? a : b;
    else if (inc_dim_is_const(a) && inc_dim_min(graph, b) >= a.value)
        *out = larger ? b : a;
    else
        decided = false;
    return decided;
}

static bool element_binary(struct inc_graph *graph, const struct inc_node *node, struct inc_dim a, struct inc_dim b,
                           struct inc_dim *out)
{
    bool constant = inc_dim_is_const(a) && inc_dim_is_const(b);
    switch (node->op) {
    case INC_OP_ADD: *out = inc_dim_add(graph, a, b); return true;
    case INC_OP_SUBTRACT: *out = inc_dim_sub(graph, a, b); return true;
    case INC_OP_MULTIPLY: *out = inc_dim_mul(graph, a, b); return true;
    case INC_OP_DIVIDE:
        if (constant) return divide_constants(a.value, b.value, inc_attr_bool(node, "m_pythondiv"), out);
        *out = inc_dim_div(graph, a, b);
        return true;
    case INC_OP_POWER: return constant && power_constants(a.value, b.value, out);
    case INC_OP_MINIMUM: return extreme(graph, a, b, false, out);
    case INC_OP_MAXIMUM: return extreme(graph, a, b, true, out);
    default: return false;
    }
}

/* The sign of a - b: -1, 0, 1; false if it is open. */
static bool sign_of_difference(struct inc_graph *graph, struct inc_dim a, struct inc_dim b, int *sign)
{
    if (inc_dim_is_const(a) && inc_dim_is_const(b)) {
        *sign = (a.value > b.value) - (a.value < b.value);
        return true;
    }
    struct inc_dim forth = inc_dim_sub(graph, a, b), back = inc_dim_sub(graph, b, a);
    bool above = inc_dim_min(graph, forth) > 0, below = inc_dim_min(graph, back) > 0;
    *sign = above - below;
    return above || below || inc_dim_equal(forth, inc_dim_const(0));
}

static bool element_compare(struct inc_graph *graph, const struct inc_node *node, struct inc_dim a, struct inc_dim b,
                            struct inc_dim *out)
{
    int sign;
    if (!sign_of_difference(graph, a, b, &sign)) return false;
    bool truth = false;
    switch (node->op) {
    case INC_OP_EQUAL: truth = sign == 0; break;
    case INC_OP_NOT_EQUAL: truth = sign != 0; break;
    case INC_OP_GREATER: truth = sign > 0; break;
    case INC_OP_GREATER_EQUAL: truth = sign >= 0; break;
    case INC_OP_LESS: truth = sign < 0; break;
    case INC_OP_LESS_EQUAL: truth = sign <= 0; break;
    default: return false;
    }
    *out = inc_dim_const(truth);
    return true;
}

static bool element_logical(struct inc_graph *graph, const struct inc_node *node, struct inc_dim a, struct inc_dim b,
                            struct inc_dim *out)
{
    (void)graph;
    if (!inc_dim_is_const(a) || !inc_dim_is_const(b)) return false;
    switch (node->op) {
    case INC_OP_LOGICAL_AND:
    case INC_OP_BITWISE_AND: *out = inc_dim_const(a.value & b.value); return true;
    case INC_OP_LOGICAL_OR:
    case INC_OP_BITWISE_OR: *out = inc_dim_const(a.value | b.value); return true;
    case INC_OP_LOGICAL_XOR: *out = inc_dim_const(a.value ^ b.value); return true;
    case INC_OP_LOGICAL_NOT: *out = inc_dim_const(!a.value); return true;
    default: return false; /* BitwiseNot depends on the width */
    }
}

typedef bool element_fn(struct inc_graph *graph, const struct inc_node *node, struct inc_dim a, struct inc_dim b,
                        struct inc_dim *out);

/* Sets output 0 to `type` and `shape`, with elements computed from those of inputs 0 and 1 (a unary op reads 0
 * twice). */
static enum incise_status set_computed(struct inc_infer *infer, struct inc_node *node, enum inc_type type,
                                       const struct inc_shape *shape, element_fn *fn)
{
    uint32_t second = node->n_inputs > 1;
    size_t n_a, n_b, n = 0;
    const struct inc_dim *a = inc_rule_known(infer, node, 0, &n_a), *b = inc_rule_known(infer, node, second, &n_b);
    if (!a || !b || inc_type_is_float(type) || !inc_shape_count(shape, &n) || n > INC_MAX_KNOWN)
        return inc_rule_set(infer, node, 0, type, shape, NULL);
    struct inc_dim elements[INC_MAX_KNOWN];
    for (size_t i = 0; i < n; i++) {
        struct inc_dim x = a[inc_shape_source(shape, &node->inputs[0]->shape, i)];
        struct inc_dim y = b[inc_shape_source(shape, &node->inputs[second]->shape, i)];
        if (!fn(infer->graph, node, x, y, &elements[i]) || !fits(type, elements[i]))
            elements[i] = inc_rule_unknown_element(infer, node, 0, i);
    }
    return inc_rule_set(infer, node, 0, type, shape, elements);
}

/* ---- rules ----------------------------------------------------------------------------------------------------- */

SHAPE_RULE(binary)
{
    struct inc_shape shape;
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_NUMBER));
    INC_TRY(inc_rule_same_type(infer, node, 0, 1));
    INC_TRY(broadcast_inputs(infer, node, 0, 1, &shape));
    return set_computed(infer, node, node->inputs[0]->type, &shape, element_binary);
}

SHAPE_RULE(compare)
{
    struct inc_shape shape;
    INC_TRY(inc_rule_same_type(infer, node, 0, 1));
    INC_TRY(broadcast_inputs(infer, node, 0, 1, &shape));
    return set_computed(infer, node, INC_BOOL, &shape, element_compare);
}

/* One or two inputs of one type out of `classes`. */
static enum incise_status bits_rule(struct inc_infer *infer, struct inc_node *node, int classes)
{
    struct inc_shape shape = node->inputs[0]->shape;
    INC_TRY(inc_rule_class(infer, node, 0, classes));
    if (node->n_inputs == 2) {
        INC_TRY(inc_rule_same_type(infer, node, 0, 1));
        INC_TRY(broadcast_inputs(infer, node, 0, 1, &shape));
    }
    return set_computed(infer, node, node->inputs[0]->type, &shape, element_logical);
}

SHAPE_RULE(logical)
{
    return bits_rule(infer, node, INC_CLASS_BOOL);
}

SHAPE_RULE(bitwise)
{
    return bits_rule(infer, node, INC_CLASS_INTEGER | INC_CLASS_BOOL);
}

SHAPE_RULE(select)
{
    struct inc_shape shape;
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_BOOL));
    INC_TRY(inc_rule_same_type(infer, node, 1, 2));
    INC_TRY(broadcast_inputs(infer, node, 0, 2, &shape));
    enum inc_type type = node->inputs[1]->type;
    size_t n_condition, n_then, n_else, n = 0;
    const struct inc_dim *condition = inc_rule_known(infer, node, 0, &n_condition);
    const struct inc_dim *then = inc_rule_known(infer, node, 1, &n_then),
                         *other = inc_rule_known(infer, node, 2, &n_else);
    if (!condition || !then || !other || !inc_shape_count(&shape, &n) || n > INC_MAX_KNOWN)
        return inc_rule_set(infer, node, 0, type, &shape, NULL);
    struct inc_dim elements[INC_MAX_KNOWN];
    for (size_t i = 0; i < n; i++) {
        struct inc_dim c = condition[inc_shape_source(&shape, &node->inputs[0]->shape, i)];
        struct inc_dim x = then[inc_shape_source(&shape, &node->inputs[1]->shape, i)];
        struct inc_dim y = other[inc_shape_source(&shape, &node->inputs[2]->shape, i)];
        if (inc_dim_is_const(c))
            elements[i] = c.value ? x : y;
        else
            elements[i] = inc_dim_equal(x, y) ? x : inc_rule_unknown_element(infer, node, 0, i);
    }
    return inc_rule_set(infer, node, 0, type, &shape, elements);
}

static bool element_unary(struct inc_graph *graph, const struct inc_node *node, struct inc_dim a, struct inc_dim b,
                          struct inc_dim *out)
{
    (void)b;
    struct inc_dim zero = inc_dim_const(0);
    if (node->op == INC_OP_NEGATIVE || (node->op == INC_OP_ABS && inc_dim_is_const(a) && a.value < 0)) {
        *out = inc_dim_sub(graph, zero, a);
        return true;
    }
    if (node->op == INC_OP_ABS && inc_dim_min(graph, a) >= 0) {
        *out = a;
        return true;
    }
    return node->op == INC_OP_RELU && extreme(graph, a, zero, true, out);
}

static enum incise_status check_unary_attrs(const struct inc_infer *infer, const struct inc_node *node)
{
    static const char *const approximations[] = {"ERF", "TANH", NULL};
    int which;
    if (node->op == INC_OP_GELU) return inc_rule_word(infer, node, "approximation_mode", approximations, &which);
    if (node->op == INC_OP_CLAMP && !(inc_attr_float(node, "min") <= inc_attr_float(node, "max")))
        return inc_node_fail(infer->graph, node, "min %g is above max %g", inc_attr_float(node, "min"),
                             inc_attr_float(node, "max"));
    return INCISE_OK;
}

SHAPE_RULE(unary)
{
    bool any_number =
        node->op == INC_OP_ABS || node->op == INC_OP_NEGATIVE || node->op == INC_OP_RELU || node->op == INC_OP_CLAMP;
    INC_TRY(inc_rule_class(infer, node, 0, any_number ? INC_CLASS_NUMBER : INC_CLASS_FLOAT));
    INC_TRY(check_unary_attrs(infer, node));
    if (node->n_inputs == 2) { /* Swish: beta */
        size_t n;
        INC_TRY(inc_rule_same_type(infer, node, 0, 1));
        if (inc_shape_count(&node->inputs[1]->shape, &n) && n != 1)
            return inc_node_fail(infer->graph, node, "input 1 must be one number");
    }
    return set_computed(infer, node, node->inputs[0]->type, &node->inputs[0]->shape, element_unary);
}

static bool element_convert(struct inc_graph *graph, const struct inc_node *node, struct inc_dim a, struct inc_dim b,
                            struct inc_dim *out)
{
    (void)b;
    *out = a;
    if (inc_attr_type(node, "destination_type") != INC_BOOL) return true;
    *out = inc_dim_const(!inc_dim_equal(a, inc_dim_const(0)));
    return inc_dim_is_const(a) || inc_dim_min(graph, a) > 0;
}

SHAPE_RULE(convert)
{
    return set_computed(infer, node, inc_attr_type(node, "destination_type"), &node->inputs[0]->shape, element_convert);
}

static const struct inc_tensor *constant_of(const struct inc_value *value)
{
    if (value->node->op == INC_OP_CONVERT) value = value->node->inputs[0];
    return value->node->op == INC_OP_CONSTANT && inc_type_is_float(value->node->data.type) ? &value->node->data : NULL;
}

/* Constant ranges are finite, and low <= high. `low` is the input with the lower ends, the next has the upper ones. */
static enum incise_status check_range(const struct inc_infer *infer, const struct inc_node *node, uint32_t low)
{
    const struct inc_tensor *ends[2] = {constant_of(node->inputs[low]), constant_of(node->inputs[low + 1])};
    struct inc_shape shape;
    if (ends[0] == NULL || ends[1] == NULL) return INCISE_OK;
    const struct inc_shape *low_shape = &node->inputs[low]->shape, *high_shape = &node->inputs[low + 1]->shape;
    INC_TRY(inc_rule_broadcast(infer, node, low_shape, high_shape, &shape));
    size_t n = 1, n_low = inc_tensor_elements(ends[0]), n_high = inc_tensor_elements(ends[1]);
    for (int d = 0; d < shape.rank; d++)
        if (!inc_size_mul(n, (size_t)shape.dims[d].value, &n) || (n > n_low && n > n_high))
            return inc_node_fail(infer->graph, node, "inputs %u and %u are no list of ranges", (unsigned)low,
                                 (unsigned)low + 1);
    for (size_t i = 0; i < n; i++) {
        double from = inc_tensor_get_f64(ends[0], inc_shape_source(&shape, low_shape, i));
        double to = inc_tensor_get_f64(ends[1], inc_shape_source(&shape, high_shape, i));
        if (!isfinite(from) || !isfinite(to) || from > to)
            return inc_node_fail(infer->graph, node, "range %zu of inputs %u and %u is [%g, %g]", i, (unsigned)low,
                                 (unsigned)low + 1, from, to);
    }
    return INCISE_OK;
}

SHAPE_RULE(fake_quantize)
{
    struct inc_shape shape;
    int64_t levels = inc_attr_int(node, "levels");
    if (levels < 2) return inc_node_fail(infer->graph, node, "levels %lld is below 2", (long long)levels);
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_FLOAT));
    for (uint32_t i = 1; i < 5; i++) INC_TRY(inc_rule_same_type(infer, node, 0, i));
    INC_TRY(broadcast_inputs(infer, node, 0, 4, &shape));
    INC_TRY(check_range(infer, node, 1));
    INC_TRY(check_range(infer, node, 3));
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, &shape, NULL);
}
