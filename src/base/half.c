/* SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"

float inc_f32_from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu, mantissa = half & 0x3ffu;
    if (exponent == 0x1fu) return inc_f32_from_bits(sign | 0x7f800000u | (mantissa << 13));
    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24, exact in float */
        float value = (float)mantissa * 0x1p-24f;
        return inc_f32_from_bits(sign | inc_f32_bits(value));
    }
    return inc_f32_from_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

uint16_t inc_f16_from_f32(float f)
{
    uint32_t bits = inc_f32_bits(f), magnitude = bits & 0x7fffffffu;
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
    if (magnitude < 0x38800000u) { /* below 2^-14: the sum with 0.5 rounds to a multiple of 2^-24 */
        float rounded = inc_f32_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (inc_f32_bits(rounded) - 0x3f000000u));
    }
    uint32_t odd = (magnitude >> 13) & 1u;
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}
