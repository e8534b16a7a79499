/* SPDX-License-Identifier: Apache-2.0 */
/* Element-wise functions over rows of floats; the same bits on every instruction set. Rows are n floats, ld* floats
 * apart (contiguous data: m = 1). Nothing needs alignment. y may be an input (with the same ld), but must not overlap
 * it otherwise. NaN gives NaN. */
#ifndef INC_KERNELS_ACT_H
#define INC_KERNELS_ACT_H

#include "base/context.h"

/* Errors against the exact function, for finite x:
 *   relu       exact
 *   gelu_erf   x (1 + erf(x / sqrt 2)) / 2            absolute, 3e-7 * max(1, |x|)
 *   gelu_tanh  x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2   absolute, 3e-7 * max(1, |x|)
 *   silu       x / (1 + e^-x)                         relative, 4e-7 where x > -87; absolute, 1e-36 below
 *   tanh                                              relative, 3e-7
 *   sigmoid    1 / (1 + e^-x)                         relative, 4e-7 where x > -87; absolute, 1e-38 below
 * At infinity relu, tanh and sigmoid have their limits, the others may be NaN. */
enum inc_act {
    INC_ACT_RELU,
    INC_ACT_GELU_ERF,
    INC_ACT_GELU_TANH,
    INC_ACT_SILU,
    INC_ACT_TANH,
    INC_ACT_SIGMOID,
    INC_ACT_NONE /* what callers keep where there is nothing to apply; the functions below do nothing for it */
};

/* y = act(x) */
typedef void inc_act_fn(enum inc_act act, size_t m, size_t n, const float *x, size_t ldx, float *y, size_t ldy);
/* y = act(gate) * up */
typedef void inc_act_gated_fn(enum inc_act act, size_t m, size_t n, const float *gate, size_t ldg, const float *up,
                              size_t ldu, float *y, size_t ldy);
/* y = a + b */
typedef void inc_act_add_fn(size_t m, size_t n, const float *a, size_t lda, const float *b, size_t ldb, float *y,
                            size_t ldy);
/* y = factor * x */
typedef void inc_act_scale_fn(size_t m, size_t n, float factor, const float *x, size_t ldx, float *y, size_t ldy);
/* Rotary positions of one row: y = x * cos + rotate_half(x) * sin for each of `heads` consecutive pieces of d floats (d
 * even), where rotate_half puts -x of the second half first and x of the first half behind it. cosine, sine: [d], the
 * same for all pieces. One product is rounded before the other is added by FMA. */
typedef void inc_act_rope_fn(size_t heads, size_t d, const float *x, const float *cosine, const float *sine, float *y);

struct inc_act_kernel {
    const char *name;
    enum incise_isa isa;
    inc_act_fn *apply;
    inc_act_gated_fn *gated;
    inc_act_add_fn *add;
    inc_act_scale_fn *scale;
    inc_act_rope_fn *rope;
};

#define INC_ACT_KERNEL(name, isa)               \
    inc_act_fn inc_act_##name;                  \
    inc_act_gated_fn inc_act_gated_##name;      \
    inc_act_add_fn inc_act_add_##name;          \
    inc_act_scale_fn inc_act_scale_##name;      \
    inc_act_rope_fn inc_act_rope_##name;
#include "kernels/act/act.def"
#undef INC_ACT_KERNEL

/* All kernels compiled in, in rising order of instruction set; whether the CPU has it is the caller's check. */
const struct inc_act_kernel *inc_act_kernels(size_t *n);
/* The best kernel for `isa`; never NULL. */
const struct inc_act_kernel *inc_act_select(enum incise_isa isa);

#endif
