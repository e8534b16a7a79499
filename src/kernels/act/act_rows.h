/* SPDX-License-Identifier: Apache-2.0 */
/* The element-wise kernels, written once on the vf vocabulary: a kernel file includes a simd header, defines
 * KERNEL(name), and includes this. Polynomials are minimax fits (Lawson's algorithm) rounded to float; the errors given
 * include that rounding. */
#ifndef INC_KERNELS_ACT_ROWS_H
#define INC_KERNELS_ACT_ROWS_H

#include "kernels/act/act.h"
#include "kernels/unroll.h"

static inline vf act_relu(vf x) { return vf_max(vf_set1(0.0f), x); }

/* x (1 + g(x)) / 2 for a GELU's odd g, which is 1 in float beyond x^2 = most: g(x) = x w(s), s = x^2 scale - 1 in
 * [-1, 1], and w a polynomial whose coefficients' sizes sum up to w(-1) = 0.8, so that its rounding is harmless. */
static inline __attribute__((always_inline)) vf gelu(vf x, float most, float scale, size_t n, const float *w)
{
    const vf square = vf_mul(x, x), half = vf_mul(vf_set1(0.5f), x);
    const vf s = vf_fma(square, vf_set1(scale), vf_set1(-1.0f));
    vf sum = vf_set1(w[0]);
    INC_UNROLL
    for (size_t i = 1; i < n; i++) sum = vf_fma(sum, s, vf_set1(w[i]));
    const vf limit = vf_copysign(vf_set1(1.0f), x);
    return vf_fma(half, vf_select_lt(square, vf_set1(most), vf_mul(x, sum), limit), half);
}

/* g = erf(x / sqrt 2): error of the fit 1.5e-8, at the end 2e-7. */
static inline vf act_gelu_erf(vf x)
{
    static const float w[] = {
        0x1.bc811ep-12f, -0x1.28983ep-10f, 0x1.258fc0p-10f, -0x1.ef4b3ap-10f, 0x1.6014e2p-8f, -0x1.4c48ccp-7f,
        0x1.04b78ep-6f, -0x1.933066p-6f, 0x1.28af1ep-5f, -0x1.956c3ap-5f, 0x1.05c73cp-4f, -0x1.4729c4p-4f,
        0x1.9a0da6p-4f, -0x1.15acb4p-3f, 0x1.16a18ap-2f,
    };
    return gelu(x, 27.0f, 0x1.2f684cp-4f, sizeof w / sizeof w[0], w);
}

/* g = tanh(sqrt(2 / pi) (x + 0.044715 x^3)): error of the fit 4e-8, at the end 2e-7. */
static inline vf act_gelu_tanh(vf x)
{
    static const float w[] = {
        0x1.ff8336p-11f, -0x1.15e70ap-10f, -0x1.88e7f4p-9f, 0x1.1369dap-8f, 0x1.fd3be6p-12f, 0x1.0f613cp-11f,
        -0x1.00ae62p-7f, 0x1.a41684p-7f, -0x1.2bfafep-6f, 0x1.e07a94p-6f, -0x1.6c5528p-5f, 0x1.faf236p-5f,
        -0x1.4d01cep-4f, 0x1.ad16e2p-4f, -0x1.25bcccp-3f, 0x1.277b7ep-2f,
    };
    return gelu(x, 24.0f, 0x1.555556p-4f, sizeof w / sizeof w[0], w);
}

static inline vf act_sigmoid(vf x)
{
    return vf_div(vf_set1(1.0f), vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_set1(0.0f), x))));
}

static inline vf act_silu(vf x)
{
    return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_set1(0.0f), x))));
}

/* |x| < 0.625: x + x^3 p(x^2), relative error 4.5e-9; else 1 - 2 / (e^2|x| + 1). */
static inline vf act_tanh(vf x)
{
    const vf size = vf_abs(x), square = vf_mul(x, x), one = vf_set1(1.0f);
    vf p = vf_set1(-0x1.75e1c8p-8f);
    p = vf_fma(p, square, vf_set1(0x1.52269ap-6f));
    p = vf_fma(p, square, vf_set1(-0x1.b83c5ap-5f));
    p = vf_fma(p, square, vf_set1(0x1.110726p-3f));
    p = vf_fma(p, square, vf_set1(-0x1.555532p-2f));
    const vf small = vf_fma(vf_mul(x, square), p, x);
    const vf tail = vf_sub(one, vf_div(vf_set1(2.0f), vf_add(vf_exp(vf_add(size, size)), one)));
    return vf_select_lt(size, vf_set1(0.625f), small, vf_copysign(tail, x));
}

/* One call per function, so that `f` is inlined into the loop. */
#define FOR_EACH_ACT(act, call)                                \
    switch (act) {                                             \
    case INC_ACT_RELU: call(act_relu); break;                  \
    case INC_ACT_GELU_ERF: call(act_gelu_erf); break;          \
    case INC_ACT_GELU_TANH: call(act_gelu_tanh); break;        \
    case INC_ACT_SILU: call(act_silu); break;                  \
    case INC_ACT_TANH: call(act_tanh); break;                  \
    case INC_ACT_SIGMOID: call(act_sigmoid); break;            \
    case INC_ACT_NONE: break;                                  \
    }

typedef vf unary_fn(vf x);

static inline __attribute__((always_inline)) void apply_rows(unary_fn *f, size_t m, size_t n, const float *x,
                                                             size_t ldx, float *y, size_t ldy)
{
    for (; m; m--, x += ldx, y += ldy) {
        size_t i = 0;
        for (; i + VF_LANES <= n; i += VF_LANES) vf_store(y + i, f(vf_load(x + i)));
        if (i < n) vf_store_n(y + i, f(vf_load_n(x + i, n - i)), n - i);
    }
}

void KERNEL(inc_act)(enum inc_act act, size_t m, size_t n, const float *x, size_t ldx, float *y, size_t ldy)
{
#define APPLY(f) apply_rows(f, m, n, x, ldx, y, ldy)
    FOR_EACH_ACT(act, APPLY)
#undef APPLY
}

static inline __attribute__((always_inline)) void gate_rows(unary_fn *f, size_t m, size_t n, const float *gate,
                                                            size_t ldg, const float *up, size_t ldu, float *y,
                                                            size_t ldy)
{
    for (; m; m--, gate += ldg, up += ldu, y += ldy) {
        size_t i = 0;
        for (; i + VF_LANES <= n; i += VF_LANES) vf_store(y + i, vf_mul(f(vf_load(gate + i)), vf_load(up + i)));
        if (i < n) vf_store_n(y + i, vf_mul(f(vf_load_n(gate + i, n - i)), vf_load_n(up + i, n - i)), n - i);
    }
}

void KERNEL(inc_act_gated)(enum inc_act act, size_t m, size_t n, const float *gate, size_t ldg, const float *up,
                           size_t ldu, float *y, size_t ldy)
{
#define GATE(f) gate_rows(f, m, n, gate, ldg, up, ldu, y, ldy)
    FOR_EACH_ACT(act, GATE)
#undef GATE
}

void KERNEL(inc_act_add)(size_t m, size_t n, const float *a, size_t lda, const float *b, size_t ldb, float *y,
                         size_t ldy)
{
    for (; m; m--, a += lda, b += ldb, y += ldy) {
        size_t i = 0;
        for (; i + VF_LANES <= n; i += VF_LANES) vf_store(y + i, vf_add(vf_load(a + i), vf_load(b + i)));
        if (i < n) vf_store_n(y + i, vf_add(vf_load_n(a + i, n - i), vf_load_n(b + i, n - i)), n - i);
    }
}

void KERNEL(inc_act_scale)(size_t m, size_t n, float factor, const float *x, size_t ldx, float *y, size_t ldy)
{
    const vf by = vf_set1(factor);
    for (; m; m--, x += ldx, y += ldy) {
        size_t i = 0;
        for (; i + VF_LANES <= n; i += VF_LANES) vf_store(y + i, vf_mul(by, vf_load(x + i)));
        if (i < n) vf_store_n(y + i, vf_mul(by, vf_load_n(x + i, n - i)), n - i);
    }
}

static inline __attribute__((always_inline)) vf load_part(const bool whole, const float *x, size_t n)
{
    return whole ? vf_load(x) : vf_load_n(x, n);
}

/* n <= VF_LANES values of the first half of a head, and those of the second half that go with them; `whole`: VF_LANES
 * of them. */
static inline __attribute__((always_inline)) void rotate(const bool whole, const float *x, const float *cosine,
                                                         const float *sine, size_t half, size_t n, float *y)
{
    const vf a = load_part(whole, x, n), b = load_part(whole, x + half, n);
    const vf first = vf_fnma(b, load_part(whole, sine, n), vf_mul(a, load_part(whole, cosine, n)));
    const vf second = vf_fma(a, load_part(whole, sine + half, n), vf_mul(b, load_part(whole, cosine + half, n)));
    if (whole) {
        vf_store(y, first);
        vf_store(y + half, second);
    } else {
        vf_store_n(y, first, n);
        vf_store_n(y + half, second, n);
    }
}

void KERNEL(inc_act_rope)(size_t heads, size_t d, const float *x, const float *cosine, const float *sine, float *y)
{
    const size_t half = d / 2;
    for (; heads; heads--, x += d, y += d) {
        size_t i = 0;
        for (; i + VF_LANES <= half; i += VF_LANES) rotate(true, x + i, cosine + i, sine + i, half, VF_LANES, y + i);
        if (i < half) rotate(false, x + i, cosine + i, sine + i, half, half - i, y + i);
    }
}

#endif
