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

static uint32_t vu_reduce_max(vu a) { return a; }

static void store_u8(uint8_t *q, vf x, int32_t zero, size_t n)
{
    if (n) *q = (uint8_t)((int32_t)rintf(x) + zero);
}

#define KERNEL(name) name##_scalar
#include "kernels/quant/quantize_rows.h"
