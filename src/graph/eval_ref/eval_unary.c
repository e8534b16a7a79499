/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one element, type conversion, FakeQuantize. Transcendental functions are taken in double and rounded
 * once. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "graph/eval_ref/eval_internal.h"

/* ---- functions --------------------------------------------------------------------------------------------------- */

struct function {
    enum inc_op op;
    bool gelu_tanh;
    double beta, min, max; /* Swish; Clamp */
};

static double gelu_erf(double x)
{
    return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440)); /* 1/sqrt(2) */
}

static double gelu_tanh(double x)
{
    return 0.5 * x * (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))); /* sqrt(2/pi) */
}

static double apply(const struct function *f, double x)
{
    switch (f->op) {
    case INC_OP_ABS: return fabs(x);
    case INC_OP_NEGATIVE: return -x;
    case INC_OP_SQRT: return sqrt(x);
    case INC_OP_EXP: return exp(x);
    case INC_OP_LOG: return log(x);
    case INC_OP_ERF: return erf(x);
    case INC_OP_SIN: return sin(x);
    case INC_OP_COS: return cos(x);
    case INC_OP_TANH: return tanh(x);
    case INC_OP_SIGMOID: return 1.0 / (1.0 + exp(-x));
    case INC_OP_RELU: return x < 0 ? 0.0 : x;
    case INC_OP_SWISH: return x / (1.0 + exp(-f->beta * x));
    case INC_OP_CLAMP: return x < f->min ? f->min : x > f->max ? f->max : x;
    case INC_OP_GELU: return f->gelu_tanh ? gelu_tanh(x) : gelu_erf(x);
    default: return gelu_erf(x); /* opset 2 */
    }
}

static int64_t saturate_i64(double x);

static bool apply_int(const struct function *f, int64_t x, int64_t *out)
{
    switch (f->op) {
    case INC_OP_ABS: *out = x < 0 ? (int64_t)(0 - (uint64_t)x) : x; return true;
    case INC_OP_NEGATIVE: *out = (int64_t)(0 - (uint64_t)x); return true;
    case INC_OP_RELU: *out = x < 0 ? 0 : x; return true;
    case INC_OP_CLAMP: {
        int64_t low = saturate_i64(ceil(f->min)), high = saturate_i64(floor(f->max));
        *out = x < low ? low : x > high ? high : x;
        return true;
    }
    default: return false;
    }
}

static enum incise_status unary_ints(struct inc_eval *eval, const struct inc_node *node, const struct function *f)
{
    size_t n = inc_tensor_elements(&eval->out[0]);
    const int64_t *in = inc_eval_ints(eval, node, 0);
    if (!in) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        int64_t v;
        if (!apply_int(f, in[i], &v))
            return inc_node_fail(eval->scratch_graph, node, "needs a float input, has %s",
                                 inc_type_name(eval->in[0]->type));
        inc_eval_store_ints(&eval->out[0], i, 1, &v);
    }
    return INCISE_OK;
}

enum incise_status inc_eval_unary(struct inc_eval *eval, struct inc_node *node)
{
    struct function f = {.op = node->op, .beta = 1.0};
    if (node->op == INC_OP_GELU) {
        const char *mode = inc_attr_string(node, "approximation_mode");
        f.gelu_tanh = strcasecmp(mode, "TANH") == 0;
        if (!f.gelu_tanh && strcasecmp(mode, "ERF") != 0)
            return inc_node_fail(eval->scratch_graph, node, "approximation_mode '%s' is unknown", mode);
    } else if (node->op == INC_OP_CLAMP) {
        f.min = inc_attr_float(node, "min");
        f.max = inc_attr_float(node, "max");
    } else if (node->op == INC_OP_SWISH && node->n_inputs == 2) {
        if (inc_tensor_elements(eval->in[1]) != 1)
            return inc_node_fail(eval->scratch_graph, node, "beta must be one number");
        f.beta = inc_tensor_get_f64(eval->in[1], 0);
    }
    if (eval->out[0].type != INC_F32) return unary_ints(eval, node, &f);
    const float *in = inc_eval_floats(eval, node, 0);
    if (!in) return INCISE_ERROR_MEMORY;
    float *out = eval->out[0].data;
    size_t n = inc_tensor_elements(&eval->out[0]);
    for (size_t i = 0; i < n; i++) out[i] = (float)apply(&f, (double)in[i]);
    return INCISE_OK;
}

/* ---- conversion -------------------------------------------------------------------------------------------------- */

/* Truncated; NaN is 0; what lies outside is the nearest end of the range. */
static int64_t saturate_i64(double x)
{
    if (isnan(x)) return 0;
    if (x >= 0x1p63) return INT64_MAX;
    if (x < -0x1p63) return INT64_MIN;
    return (int64_t)x;
}

static uint64_t saturate_u64(double x)
{
    if (!(x > 0)) return 0;
    return x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
}

/* A float as an integer of type `to`: truncated and saturated. u64 keeps its bits. */
static int64_t int_from_float(double x, enum inc_type to)
{
    if (to == INC_BOOL) return x != 0;
    if (to == INC_U64) return (int64_t)saturate_u64(x);
    int64_t v = saturate_i64(x);
    unsigned bits = inc_type_bits(to);
    if (bits == 64) return v;
    bool is_signed = to == INC_I4 || to == INC_I8 || to == INC_I16 || to == INC_I32;
    int64_t low = is_signed ? -(INT64_C(1) << (bits - 1)) : 0;
    int64_t high = (INT64_C(1) << (is_signed ? bits - 1 : bits)) - 1;
    return v < low ? low : v > high ? high : v;
}

/* An integer wrapped to the 4-bit types; wider ones wrap where they are stored. */
static int64_t int_from_int(int64_t v, enum inc_type to)
{
    if (to == INC_U4) return v & 15;
    if (to == INC_I4) return ((v & 15) ^ 8) - 8;
    return v;
}

enum incise_status inc_eval_convert(struct inc_eval *eval, struct inc_node *node)
{
    struct inc_tensor *out = &eval->out[0];
    const struct inc_tensor *in = eval->in[0];
    enum inc_type to = inc_attr_type(node, "destination_type");
    size_t n = inc_tensor_elements(in);
    if (out->type == INC_F32) {
        inc_tensor_to_f32(in, 0, n, out->data);
        return INCISE_OK;
    }
    if (inc_type_is_float(in->type)) {
        for (size_t i = 0; i < n; i++) {
            int64_t v = int_from_float(inc_tensor_get_f64(in, i), to);
            inc_eval_store_ints(out, i, 1, &v);
        }
        return INCISE_OK;
    }
    const int64_t *v = inc_eval_ints(eval, node, 0);
    if (!v) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        int64_t wrapped = int_from_int(v[i], to);
        inc_eval_store_ints(out, i, 1, &wrapped);
    }
    return INCISE_OK;
}

/* ---- FakeQuantize ------------------------------------------------------------------------------------------------ */

/* OpenVINO's formula, in float; rounds half to even. */
static float fake_quantize(float x, float il, float ih, float ol, float oh, float steps)
{
    if (x <= fminf(il, ih)) return ol;
    if (x > fmaxf(il, ih)) return oh;
    return nearbyintf((x - il) / (ih - il) * steps) / steps * (oh - ol) + ol;
}

enum incise_status inc_eval_fake_quantize(struct inc_eval *eval, struct inc_node *node)
{
    int64_t levels = inc_attr_int(node, "levels");
    const float *in[5];
    struct inc_walk w;
    float *out = eval->out[0].data;
    if (levels < 2) return inc_node_fail(eval->scratch_graph, node, "levels is %lld, not 2 or more", (long long)levels);
    if (eval->out[0].type != INC_F32) return inc_node_fail(eval->scratch_graph, node, "needs a float input");
    for (uint32_t k = 0; k < 5; k++) {
        in[k] = inc_eval_floats(eval, node, k);
        if (!in[k]) return INCISE_ERROR_MEMORY;
    }
    INC_TRY(inc_walk_inputs(&w, eval, node, 5));
    for (size_t r = 0; r < w.runs; r++, inc_walk_next(&w), out += w.run)
        for (int64_t i = 0; i < w.run; i++)
            out[i] = fake_quantize(in[0][w.offset[0] + i * w.step[0]], in[1][w.offset[1] + i * w.step[1]],
                                   in[2][w.offset[2] + i * w.step[2]], in[3][w.offset[3] + i * w.step[3]],
                                   in[4][w.offset[4] + i * w.step[4]], (float)(levels - 1));
    return INCISE_OK;
}
