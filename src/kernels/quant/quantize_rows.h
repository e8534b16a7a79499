/* SPDX-License-Identifier: Apache-2.0 */
/* The quantizers, written once on the vf vocabulary. A kernel file includes a simd header, defines KERNEL(name) and
 *   vu                          a vector of VF_LANES u32
 *   vu_zero(), vu_max_size(a, x)  max of a and the bits of |x|, as integers: NaN > infinity > any number
 *   vu_reduce_max(a)
 *   store_u8(q, x, zero, n)     the first n lanes of rint(x) + zero, all in [0, 255], as bytes
 * and includes this. */
#ifndef INC_KERNELS_QUANTIZE_ROWS_H
#define INC_KERNELS_QUANTIZE_ROWS_H

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kernels/quant/quantize.h"

#define INFINITY_BITS 0x7f800000u

static uint32_t max_size_bits(size_t k, const float *x)
{
    vu top0 = vu_zero(), top1 = vu_zero();
    size_t i = 0;
    for (; i + 2 * VF_LANES <= k; i += 2 * VF_LANES) {
        top0 = vu_max_size(top0, vf_load(x + i));
        top1 = vu_max_size(top1, vf_load(x + i + VF_LANES));
    }
    for (; i < k; i += VF_LANES) top0 = vu_max_size(top0, vf_load_n(x + i, k - i < VF_LANES ? k - i : VF_LANES));
    const uint32_t bits0 = vu_reduce_max(top0), bits1 = vu_reduce_max(top1);
    return bits0 > bits1 ? bits0 : bits1;
}

static void quantize_row(size_t k, const float *x, const struct inc_quantize_grid *grid, uint8_t *q, size_t ldq)
{
    const vf inv = vf_set1(grid->inv_scale);
    const vf low = vf_set1((float)(grid->lo - grid->zero)), high = vf_set1((float)(grid->hi - grid->zero));
    size_t i = 0;
    for (; i + VF_LANES <= k; i += VF_LANES)
        store_u8(q + i, vf_min(vf_max(vf_mul(vf_load(x + i), inv), low), high), grid->zero, VF_LANES);
    if (i < k) store_u8(q + i, vf_min(vf_max(vf_mul(vf_load_n(x + i, k - i), inv), low), high), grid->zero, k - i);
    memset(q + k, grid->zero, ldq - k);
}

void KERNEL(inc_quantize_rows)(size_t m, size_t k, const float *x, size_t ldx, uint8_t *q, size_t ldq, float *scale)
{
    for (size_t r = 0; r < m; r++, x += ldx, q += ldq) {
        const uint32_t bits = max_size_bits(k, x);
        const float top = inc_f32_from_bits(bits);
        if (bits >= INFINITY_BITS || top < 0x1p-120f) {
            scale[r] = bits >= INFINITY_BITS ? NAN : 0.0f;
            memset(q, INC_QUANTIZE_ZERO, ldq);
            continue;
        }
        scale[r] = top / 127.0f;
        const struct inc_quantize_grid grid = {
            .inv_scale = 127.0f / top, .zero = INC_QUANTIZE_ZERO, .lo = 1, .hi = 255};
        quantize_row(k, x, &grid, q, ldq);
    }
}

void KERNEL(inc_quantize_static)(size_t m, size_t k, const float *x, size_t ldx, const struct inc_quantize_grid *grid,
                                 uint8_t *q, size_t ldq, float *scale)
{
    for (size_t r = 0; r < m; r++, x += ldx, q += ldq) {
        const bool has_nan = max_size_bits(k, x) > INFINITY_BITS;
        scale[r] = has_nan ? NAN : grid->scale;
        if (has_nan) {
            memset(q, grid->zero, ldq);
        } else {
            quantize_row(k, x, grid, q, ldq);
        }
    }
}

#endif
