/* SPDX-License-Identifier: Apache-2.0 */
/* The quantizers, written once on the vf vocabulary. A kernel file includes a simd header, defines KERNEL(name) and
 *   vu                            a vector of VF_LANES u32
 *   vu_zero(), vu_max_size(a, x)  max of a and the bits of |x|, as integers: NaN > infinity > any number
 *   vu_reduce_max_4(a, bits)      bits[i] = the largest of a[i]'s lanes, i < 4
 *   store_u8_4(q, x, zero, n)     the first n lanes of rint(x[0..3]) + zero, all in [0, 255], as bytes
 *   vf_load_s8(q)                 VF_LANES s8 as floats
 * and includes this. */
#ifndef INC_KERNELS_QUANTIZE_ROWS_H
#define INC_KERNELS_QUANTIZE_ROWS_H

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "kernels/quant/quantize.h"
#include "kernels/unroll.h"

#define INFINITY_BITS 0x7f800000u
#define FOUR_LANES    (4 * (size_t)VF_LANES)

static inline vu size_bits(size_t k, const float *x)
{
    vu top = vu_zero();
    size_t i = 0;
    for (; i + VF_LANES <= k; i += VF_LANES) top = vu_max_size(top, vf_load(x + i));
    return i < k ? vu_max_size(top, vf_load_n(x + i, k - i)) : top;
}

/* bits[i] = the largest |x| of row i < n <= 4, as integers. */
static inline void max_size_bits(size_t n, size_t k, const float *x, size_t ldx, uint32_t bits[4])
{
    vu top[4];
    INC_UNROLL
    for (size_t i = 0; i < 4; i++) top[i] = i < n ? size_bits(k, x + i * ldx) : vu_zero();
    vu_reduce_max_4(top, bits);
}

/* q = rint(x * inv_scale) + zero, clamped by `grid` if that is not NULL; `zero` behind k. */
static inline __attribute__((always_inline)) void quantize_row(size_t k, const float *x, float inv_scale, int32_t zero,
                                                               const struct inc_quantize_grid *grid, uint8_t *q,
                                                               size_t ldq)
{
    const vf inv = vf_set1(inv_scale), low = vf_set1(grid ? (float)(grid->lo - zero) : 0.0f);
    const vf high = vf_set1(grid ? (float)(grid->hi - zero) : 0.0f);
    size_t i = 0;
    vf y[4];
    for (; i + FOUR_LANES <= k; i += FOUR_LANES) {
        INC_UNROLL
        for (size_t j = 0; j < 4; j++) {
            y[j] = vf_mul(vf_load(x + i + j * VF_LANES), inv);
            if (grid) y[j] = vf_min(vf_max(y[j], low), high);
        }
        store_u8_4(q + i, y, zero, FOUR_LANES);
    }
    for (; i < ldq; i += FOUR_LANES) {
        INC_UNROLL
        for (size_t j = 0; j < 4; j++) {
            const size_t at = inc_min_size(i + j * VF_LANES, k), n = inc_min_size(k - at, VF_LANES);
            y[j] = vf_mul(vf_load_n(x + at, n), inv);
            if (grid) y[j] = vf_select_n(n, vf_min(vf_max(y[j], low), high), vf_set1(0.0f));
        }
        store_u8_4(q + i, y, zero, inc_min_size(ldq - i, FOUR_LANES));
    }
}

/* The grid of a row whose largest |x| has `bits`. |x| * (127 / top) rounds to 127 at most, so nothing is clamped. */
static inline void quantize_dynamic(size_t k, const float *x, uint32_t bits, uint8_t *q, size_t ldq, float *scale)
{
    const float top = inc_f32_from_bits(bits);
    if (bits >= INFINITY_BITS || top < 0x1p-120f) {
        *scale = bits >= INFINITY_BITS ? NAN : 0.0f;
        memset(q, INC_QUANTIZE_ZERO, ldq);
    } else {
        *scale = top / 127.0f;
        quantize_row(k, x, 127.0f / top, INC_QUANTIZE_ZERO, NULL, q, ldq);
    }
}

void KERNEL(inc_quantize_rows)(size_t m, size_t k, const float *x, size_t ldx, uint8_t *q, size_t ldq, float *scale)
{
    for (size_t r = 0; r < m; r += 4) {
        const size_t n = inc_min_size(m - r, 4);
        uint32_t bits[4];
        max_size_bits(n, k, x + r * ldx, ldx, bits);
        for (size_t i = r; i < r + n; i++) quantize_dynamic(k, x + i * ldx, bits[i - r], q + i * ldq, ldq, &scale[i]);
    }
}

void KERNEL(inc_quantize_static)(size_t m, size_t k, const float *x, size_t ldx, const struct inc_quantize_grid *grid,
                                 uint8_t *q, size_t ldq, float *scale)
{
    for (size_t r = 0; r < m; r++, x += ldx, q += ldq) {
        uint32_t bits[4];
        max_size_bits(1, k, x, ldx, bits);
        scale[r] = bits[0] > INFINITY_BITS ? NAN : grid->scale;
        if (bits[0] > INFINITY_BITS)
            memset(q, grid->zero, ldq);
        else
            quantize_row(k, x, grid->inv_scale, grid->zero, grid, q, ldq);
    }
}

void KERNEL(inc_dequantize)(size_t n, const int8_t *q, float scale, float *x)
{
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) vf_store(x + i, vf_mul(vf_load_s8(q + i), vf_set1(scale)));
    for (; i < n; i++) x[i] = (float)q[i] * scale;
}

#endif
