/* SPDX-License-Identifier: Apache-2.0 */
/* IEEE binary16 and bfloat16 <-> float, round to nearest even. Plain C: the reference for any vector version. */
#ifndef INC_BASE_HALF_H
#define INC_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float inc_f32_from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t inc_f32_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float inc_f32_from_f16(uint16_t half);
uint16_t inc_f16_from_f32(float f);

static inline float inc_f32_from_bf16(uint16_t half)
{
    return inc_f32_from_bits((uint32_t)half << 16);
}

static inline uint16_t inc_bf16_from_f32(float f)
{
    uint32_t bits = inc_f32_bits(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u); /* NaN stays NaN */
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

#endif
