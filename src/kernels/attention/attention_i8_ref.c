/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "kernels/act/simd_scalar.h"

#define ROWS_NR 16
#include "kernels/attention/attention_rows.h"

static void flip_rows(size_t n, size_t d, uint8_t *rows, size_t ld, int32_t *sums)
{
    for (size_t j = 0; j < n; j++, rows += ld) {
        sums[j] = 0;
        for (size_t i = 0; i < d; i++) {
            sums[j] += rows[i] - 128;
            rows[i] ^= 0x80;
        }
    }
}

static float column_scale(size_t n, const float *v, size_t ldv)
{
    float top = 0.0f;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i * ldv])) return NAN;
        top = fmaxf(top, fabsf(v[i * ldv]));
    }
    return top < 0x1p-120f ? 0.0f : top / 127.0f;
}

static void pack_values_i8(size_t n, size_t d, const float *v, size_t ldv, int8_t *out, float *scale)
{
    memset(out, 0, (n + 3) / 4 * 4 * ROWS_NR);
    for (size_t j = 0; j < ROWS_NR; j++) {
        scale[j] = j < d ? column_scale(n, v + j, ldv) : 0.0f;
        if (!(scale[j] > 0.0f)) continue;
        const float inverse = 1.0f / scale[j];
        for (size_t i = 0; i < n; i++) {
            const float x = fminf(fmaxf(v[i * ldv + j] * inverse, -127.0f), 127.0f);
            out[(i / 4 * ROWS_NR + j) * 4 + i % 4] = (int8_t)rintf(x);
        }
    }
}

static uint32_t pack_weights(size_t n, float *weights)
{
    unsigned char *out = (unsigned char *)weights;
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const float w = weights[i];
        const uint8_t q = (uint8_t)(w >= 0.0f ? rintf(w * 255.0f) : 0.0f);
        out[i] = q; /* bytes i lie before float i + 1 */
        sum += q;
    }
    for (size_t i = n; i % 4 != 0; i++) out[i] = 0;
    return sum;
}

static const struct inc_attention_i8 integers = {flip_rows, pack_values_i8, pack_weights};

ATTENTION_KERNEL(scalar_i8, INCISE_ISA_SCALAR, &integers)
