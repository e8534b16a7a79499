/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic, comparison, logic and choice over two or three broadcast inputs. */
#include <math.h>

#include "base/size.h"
#include "graph/eval_ref/eval_internal.h"

enum { CHUNK = 256 }; /* integer results are made in int64 this many at a time, then stored in their type */

/* One run of two inputs: x and y are the elements, `expression` is the result. */
#define RUN(type, expression)                                       \
    for (int64_t i = 0; i < n; i++) {                               \
        const type x = a[i * sa], y = b[i * sb];                    \
        out[i] = (expression);                                      \
    }                                                               \
    break

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static void float_run(enum inc_op op, int64_t n, const float *a, int64_t sa, const float *b, int64_t sb, float *out)
{
    switch (op) {
    case INC_OP_ADD: RUN(float, x + y);
    case INC_OP_SUBTRACT: RUN(float, x - y);
    case INC_OP_MULTIPLY: RUN(float, x * y);
    case INC_OP_DIVIDE: RUN(float, x / y);
    case INC_OP_POWER: RUN(float, (float)pow((double)x, (double)y));
    case INC_OP_MINIMUM: RUN(float, y < x ? y : x);
    default: RUN(float, y > x ? y : x); /* Maximum */
    }
}

/* False on a division by zero. */
static bool int_divide(int64_t x, int64_t y, bool floor, bool is_unsigned, int64_t *out)
{
    if (y == 0) return false;
    if (is_unsigned) {
        *out = (int64_t)((uint64_t)x / (uint64_t)y);
    } else if (y == -1) {
        *out = (int64_t)(0 - (uint64_t)x);
    } else {
        *out = x / y;
        if (floor && x % y != 0 && (x < 0) != (y < 0)) --*out;
    }
    return true;
}

/* x to the y, wrapping; a negative exponent truncates the fraction. False on zero to a negative power. */
static bool int_power(int64_t x, int64_t y, bool is_unsigned, int64_t *out)
{
    uint64_t base = (uint64_t)x, power = 1;
    if (y < 0 && !is_unsigned) {
        if (x == 0) return false;
        *out = x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
        return true;
    }
    for (uint64_t e = (uint64_t)y; e > 0; e >>= 1) {
        if (e & 1) power *= base;
        base *= base;
    }
    *out = (int64_t)power;
    return true;
}

static bool int_less(int64_t x, int64_t y, bool is_unsigned)
{
    return is_unsigned ? (uint64_t)x < (uint64_t)y : x < y;
}

static bool int_binary(const struct inc_node *node, int64_t x, int64_t y, bool floor, bool is_unsigned, int64_t *out)
{
    switch (node->op) {
    case INC_OP_ADD: *out = (int64_t)((uint64_t)x + (uint64_t)y); return true;
    case INC_OP_SUBTRACT: *out = (int64_t)((uint64_t)x - (uint64_t)y); return true;
    case INC_OP_MULTIPLY: *out = (int64_t)((uint64_t)x * (uint64_t)y); return true;
    case INC_OP_DIVIDE: return int_divide(x, y, floor, is_unsigned, out);
    case INC_OP_POWER: return int_power(x, y, is_unsigned, out);
    case INC_OP_MINIMUM: *out = int_less(y, x, is_unsigned) ? y : x; return true;
    default: *out = int_less(x, y, is_unsigned) ? y : x; return true; /* Maximum */
    }
}

static enum incise_status binary_ints(struct inc_eval *eval, const struct inc_node *node)
{
    bool is_unsigned = eval->out[0].type == INC_U64;
    bool floor = node->op == INC_OP_DIVIDE && inc_attr_bool(node, "m_pythondiv");
    const int64_t *a = inc_eval_ints(eval, node, 0), *b = a ? inc_eval_ints(eval, node, 1) : NULL;
    if (!b) return INCISE_ERROR_MEMORY;
    struct inc_walk walk;
    size_t at = 0;
    INC_TRY(inc_walk_inputs(&walk, eval, node, 2));
    for (size_t r = 0; r < walk.runs; r++, inc_walk_next(&walk)) {
        for (int64_t first = 0; first < walk.run; first += CHUNK) {
            int64_t chunk[CHUNK];
            int64_t n = walk.run - first < CHUNK ? walk.run - first : CHUNK;
            for (int64_t i = 0; i < n; i++)
                if (!int_binary(node, a[walk.offset[0] + (first + i) * walk.step[0]],
                                b[walk.offset[1] + (first + i) * walk.step[1]], floor, is_unsigned, &chunk[i]))
                    return inc_node_fail(eval->scratch_graph, node, "division by zero at element %zu", at + (size_t)i);
            inc_eval_store_ints(&eval->out[0], at, (size_t)n, chunk);
            at += (size_t)n;
        }
    }
    return INCISE_OK;
}

enum incise_status inc_eval_binary(struct inc_eval *eval, struct inc_node *node)
{
    if (eval->out[0].type != INC_F32) return binary_ints(eval, node);
    const float *a = inc_eval_floats(eval, node, 0), *b = a ? inc_eval_floats(eval, node, 1) : NULL;
    if (!b) return INCISE_ERROR_MEMORY;
    struct inc_walk walk;
    float *out = eval->out[0].data;
    INC_TRY(inc_walk_inputs(&walk, eval, node, 2));
    for (size_t r = 0; r < walk.runs; r++, inc_walk_next(&walk), out += walk.run)
        float_run(node->op, walk.run, a + walk.offset[0], walk.step[0], b + walk.offset[1], walk.step[1], out);
    return INCISE_OK;
}

/* ---- comparison and logic ---------------------------------------------------------------------------------------- */

#define COMPARE_RUN(suffix, type)                                                                                     \
    static void compare_run_##suffix(enum inc_op op, int64_t n, const type *a, int64_t sa, const type *b, int64_t sb, \
                                     uint8_t *out)                                                                    \
    {                                                                                                                 \
        switch (op) {                                                                                                 \
        case INC_OP_EQUAL: RUN(type, x == y);                                                                         \
        case INC_OP_NOT_EQUAL: RUN(type, x != y);                                                                     \
        case INC_OP_GREATER: RUN(type, x > y);                                                                        \
        case INC_OP_GREATER_EQUAL: RUN(type, x >= y);                                                                 \
        case INC_OP_LESS: RUN(type, x < y);                                                                           \
        case INC_OP_LESS_EQUAL: RUN(type, x <= y);                                                                    \
        case INC_OP_LOGICAL_AND: RUN(type, x != 0 && y != 0);                                                         \
        case INC_OP_LOGICAL_OR: RUN(type, x != 0 || y != 0);                                                          \
        case INC_OP_LOGICAL_XOR: RUN(type, (x != 0) != (y != 0));                                                     \
        default: RUN(type, x == 0 && y == 0); /* LogicalNot, given its input twice */                                 \
        }                                                                                                             \
    }
COMPARE_RUN(f32, float)
COMPARE_RUN(i64, int64_t)
COMPARE_RUN(u64, uint64_t)

enum incise_status inc_eval_compare(struct inc_eval *eval, struct inc_node *node)
{
    int last = node->n_inputs > 1 ? 1 : 0;
    bool floats = inc_type_is_float(eval->in[0]->type);
    bool u64 = eval->in[0]->type == INC_U64;
    const void *a = floats ? (const void *)inc_eval_floats(eval, node, 0) : inc_eval_ints(eval, node, 0);
    const void *b = last == 0 || !a ? a
                    : floats        ? (const void *)inc_eval_floats(eval, node, 1)
                                    : inc_eval_ints(eval, node, 1);
    if (!b) return INCISE_ERROR_MEMORY;
    struct inc_walk walk;
    uint8_t *out = eval->out[0].data;
    INC_TRY(inc_walk_inputs(&walk, eval, node, last + 1));
    for (size_t r = 0; r < walk.runs; r++, inc_walk_next(&walk), out += walk.run) {
        int64_t n = walk.run, oa = walk.offset[0], ob = walk.offset[last], sa = walk.step[0], sb = walk.step[last];
        if (floats) compare_run_f32(node->op, n, (const float *)a + oa, sa, (const float *)b + ob, sb, out);
        else if (u64) compare_run_u64(node->op, n, (const uint64_t *)a + oa, sa, (const uint64_t *)b + ob, sb, out);
        else compare_run_i64(node->op, n, (const int64_t *)a + oa, sa, (const int64_t *)b + ob, sb, out);
    }
    return INCISE_OK;
}

enum incise_status inc_eval_logical(struct inc_eval *eval, struct inc_node *node)
{
    return inc_eval_compare(eval, node);
}

enum incise_status inc_eval_bitwise(struct inc_eval *eval, struct inc_node *node)
{
    int last = node->n_inputs > 1 ? 1 : 0;
    const int64_t flip = eval->out[0].type == INC_BOOL ? 1 : -1; /* all bits of the type */
    const int64_t *a = inc_eval_ints(eval, node, 0), *b = last == 0 || !a ? a : inc_eval_ints(eval, node, 1);
    if (!b) return INCISE_ERROR_MEMORY;
    struct inc_walk walk;
    size_t at = 0;
    INC_TRY(inc_walk_inputs(&walk, eval, node, last + 1));
    for (size_t r = 0; r < walk.runs; r++, inc_walk_next(&walk)) {
        for (int64_t i = 0; i < walk.run; i++) {
            int64_t x = a[walk.offset[0] + i * walk.step[0]], y = b[walk.offset[last] + i * walk.step[last]];
            int64_t v = node->op == INC_OP_BITWISE_AND ? (x & y) : node->op == INC_OP_BITWISE_OR ? (x | y) : (x ^ flip);
            inc_eval_store_ints(&eval->out[0], at++, 1, &v);
        }
    }
    return INCISE_OK;
}

/* ---- choice ------------------------------------------------------------------------------------------------------ */

#define SELECT_RUN(type)                                                                \
    for (int64_t i = 0; i < w->run; i++)                                                \
        ((type *)out)[i] = condition[w->offset[0] + i * w->step[0]]                     \
                               ? ((const type *)a)[w->offset[1] + i * w->step[1]]       \
                               : ((const type *)b)[w->offset[2] + i * w->step[2]];      \
    break

static void select_run(const struct inc_walk *w, size_t size, const uint8_t *condition, const void *a, const void *b,
                       void *out)
{
    switch (size) {
    case 1: SELECT_RUN(uint8_t);
    case 2: SELECT_RUN(uint16_t);
    case 4: SELECT_RUN(uint32_t);
    default: SELECT_RUN(uint64_t);
    }
}

enum incise_status inc_eval_select(struct inc_eval *eval, struct inc_node *node)
{
    struct inc_tensor a, b;
    if (eval->in[0]->type != INC_BOOL)
        return inc_node_fail(eval->scratch_graph, node, "the condition is %s, not boolean",
                             inc_type_name(eval->in[0]->type));
    INC_TRY(inc_eval_held(eval, node, 1, &a));
    INC_TRY(inc_eval_held(eval, node, 2, &b));
    if (a.type != eval->out[0].type || b.type != eval->out[0].type)
        return inc_node_fail(eval->scratch_graph, node, "the two choices differ in type");
    size_t size = inc_type_bits(eval->out[0].type) / 8;
    char *out = eval->out[0].data;
    struct inc_walk walk;
    INC_TRY(inc_walk_inputs(&walk, eval, node, 3));
    for (size_t r = 0; r < walk.runs; r++, inc_walk_next(&walk), out += (size_t)walk.run * size)
        select_run(&walk, size, eval->in[0]->data, a.data, b.data, out);
    return INCISE_OK;
}
