/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of floats to rows of u8, for the integer GEMM (gemm/gemm_i8.h), and rows of s8 to floats, for tables of
 * embeddings. The same results on every instruction set. */
#ifndef INC_KERNELS_QUANTIZE_H
#define INC_KERNELS_QUANTIZE_H

#include "base/context.h"

/* The zero point of dynamic rows. */
#define INC_QUANTIZE_ZERO 128

/* Dynamic, a scale per row: with top = max |x|,
 *   scale = top / 127,  q = 128 + clamp(rint(x * (127 / top)), -127, 127).
 * A row of zeros, or of |x| < 2^-120 throughout, has scale 0 and q = 128. A row that holds NaN or infinity has scale
 * NaN and q = 128: what is computed from it becomes NaN.
 * x: m rows of k floats, ldx floats apart; q: m rows, ldq >= k bytes apart, all ldq bytes written, 128 behind k;
 * scale: [m]. No alignment is needed. */
typedef void inc_quantize_rows_fn(size_t m, size_t k, const float *x, size_t ldx, uint8_t *q, size_t ldq, float *scale);

struct inc_quantize_grid {
    float scale, inv_scale;
    int32_t zero, lo, hi; /* 0 <= lo <= hi <= 255, zero in [0, 255] */
};

/* Static, one grid for all rows: q = clamp(rint(x * inv_scale) + zero, lo, hi), `zero` behind k. Infinity is clamped. A
 * row that holds NaN gets scale NaN and q = zero, the others grid->scale. The rest as above. */
typedef void inc_quantize_static_fn(size_t m, size_t k, const float *x, size_t ldx,
                                    const struct inc_quantize_grid *grid, uint8_t *q, size_t ldq, float *scale);

/* The way back: x[i] = q[i] * scale, i < n. No alignment is needed. */
typedef void inc_dequantize_fn(size_t n, const int8_t *q, float scale, float *x);

struct inc_quantize_kernel {
    const char *name;
    enum incise_isa isa;
    inc_quantize_rows_fn *rows;
    inc_quantize_static_fn *fixed;
    inc_dequantize_fn *back;
};

#define INC_QUANTIZE(name, isa)                        \
    inc_quantize_rows_fn inc_quantize_rows_##name;     \
    inc_quantize_static_fn inc_quantize_static_##name; \
    inc_dequantize_fn inc_dequantize_##name;
#include "kernels/quant/quantize.def"
#undef INC_QUANTIZE

/* All kernels compiled in, in rising order of instruction set; whether the CPU has it is the caller's check. */
const struct inc_quantize_kernel *inc_quantize_kernels(size_t *n);
/* The best kernel for `isa`; never NULL. */
const struct inc_quantize_kernel *inc_quantize_select(enum incise_isa isa);

#endif
