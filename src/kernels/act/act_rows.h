/* SPDX-License-Identifier: Apache-2.0 */
/* The element-wise kernels, written once on the vf vocabulary: a kernel file includes a simd header, defines
 * KERNEL(name), and includes this. Polynomials are minimax fits (Lawson's algorithm) rounded to float; the errors given
 * include that rounding. */
#ifndef INC_KERNELS_ACT_ROWS_H
#define INC_KERNELS_ACT_ROWS_H

#include "kernels/act/act.h"

static inline vf act_relu(vf x) { return vf_max(vf_set1(0.0f), x); }

/* |x| < 0.85: x + x p(x^2), relative error 6.5e-9; else 1 - e^-q(|x|), error 7.9e-9; 1 in float from 4 on. */
static inline vf vf_erf(vf x)
{
    const vf size = vf_min(vf_set1(4.0f), vf_abs(x));
    const vf square = vf_mul(x, x);
    vf p = vf_set1(-0x1.4b182ap-11f);
    p = vf_fma(p, square, vf_set1(0x1.4b074cp-8f));
    p = vf_fma(p, square, vf_set1(-0x1.b72208p-6f));
    p = vf_fma(p, square, vf_set1(0x1.ce23dep-4f));
    p = vf_fma(p, square, vf_set1(-0x1.81271ap-2f));
    p = vf_fma(p, square, vf_set1(0x1.06eba8p-3f));
    vf q = vf_set1(-0x1.ab243ap-13f);
    q = vf_fma(q, size, vf_set1(0x1.98a9e4p-9f));
    q = vf_fma(q, size, vf_set1(-0x1.70f3cap-6f));
    q = vf_fma(q, size, vf_set1(0x1.ac2366p-4f));
    q = vf_fma(q, size, vf_set1(0x1.45e5cep-1f));
    q = vf_fma(q, size, vf_set1(0x1.20c89cp+0f));
    q = vf_fma(q, size, vf_set1(0x1.b666b4p-14f));
    const vf tail = vf_sub(vf_set1(1.0f), vf_exp(vf_sub(vf_set1(0.0f), q)));
    return vf_select_lt(vf_abs(x), vf_set1(0.85f), vf_fma(x, p, x), vf_copysign(tail, x));
}

static inline vf act_gelu_erf(vf x)
{
    const vf half = vf_mul(vf_set1(0.5f), x);
    return vf_fma(half, vf_erf(vf_mul(x, vf_set1(0x1.6a09e6p-1f))), half);
}

static inline vf act_sigmoid(vf x)
{
    return vf_div(vf_set1(1.0f), vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_set1(0.0f), x))));
}

static inline vf act_silu(vf x)
{
    return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_set1(0.0f), x))));
}

/* (1 + tanh u) / 2 = 1 / (1 + e^-2u); the factors are -2 sqrt(2/pi) and that times 0.044715. */
static inline vf act_gelu_tanh(vf x)
{
    const vf factor = vf_fma(vf_set1(-0x1.2444f2p-4f), vf_mul(x, x), vf_set1(-0x1.988454p+0f));
    return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(vf_mul(x, factor))));
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

#endif
