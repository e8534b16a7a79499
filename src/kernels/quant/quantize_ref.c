/* SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"
#include "kernels/act/simd_scalar.h"

typedef uint32_t vu;

static vu vu_zero(void) { return 0; }

static vu vu_max_size(vu a, vf x)
{
    const uint32_t bits = inc_f32_bits(x) & 0x7fffffffu;
    return a > bits ? a : bits;
}

static void vu_reduce_max_4(const vu a[4], uint32_t bits[4])
{
    for (int i = 0; i < 4; i++) bits[i] = a[i];
}

static void store_u8_4(uint8_t *q, const vf x[4], int32_t zero, size_t n)
{
    for (size_t i = 0; i < n; i++) q[i] = (uint8_t)((int32_t)rintf(x[i]) + zero);
}

static inline vf vf_load_s8(const int8_t *q) { return (float)*q; }

#define KERNEL(name) name##_scalar
#include "kernels/quant/quantize_rows.h"
