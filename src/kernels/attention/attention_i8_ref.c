/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/act/simd_scalar.h"

#define ROWS_NR 16
#include "kernels/attention/attention_rows.h"

static float scale_of(float top)
{
    return !isfinite(top) ? NAN : top < 0x1p-120f ? 0.0f : top / 127.0f;
}

/* The largest |x| of n values, `stride` apart; NaN if one is. */
static float largest_size(size_t n, const float *x, size_t stride)
{
    float top = 0.0f;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i * stride])) return NAN;
        top = fmaxf(top, fabsf(x[i * stride]));
    }
    return top;
}

static int quantized(float x, float top)
{
    return scale_of(top) > 0.0f ? (int)rintf(x * (127.0f / top)) : 0;
}

static bool quantize(size_t n, size_t d, const float *x, size_t ldx, unsigned zero, uint8_t *q, float *scale)
{
    const size_t ldq = inc_round_up(d, 16);
    bool is_finite = true;
    for (size_t r = 0; r < n; r++, x += ldx, q += ldq) {
        const float top = largest_size(d, x, 1);
        scale[r] = scale_of(top);
        is_finite &= isfinite(top) != 0;
        memset(q, (int)zero, ldq);
        for (size_t i = 0; i < d; i++) q[i] = (uint8_t)((int)zero + quantized(x[i], top));
    }
    return is_finite;
}

static void sum_keys(size_t quads, const int8_t *strip, int32_t *sums)
{
    memset(sums, 0, ROWS_NR * sizeof *sums);
    for (size_t i = 0; i < quads * ROWS_NR * 4; i++) sums[i / 4 % ROWS_NR] += strip[i];
}

static void pack_values_i8(size_t n, size_t d, const float *v, size_t ldv, int8_t *out, float *scale)
{
    memset(out, 0, (n + 3) / 4 * 4 * ROWS_NR);
    for (size_t j = 0; j < ROWS_NR; j++) {
        const float top = j < d ? largest_size(n, v + j, ldv) : 0.0f;
        scale[j] = scale_of(top);
        for (size_t i = 0; i < n && j < d; i++)
            out[(i / 4 * ROWS_NR + j) * 4 + i % 4] = (int8_t)quantized(v[i * ldv + j], top);
    }
}

/* 255 * 2^x, rounded, x <= 0; see attention_i8_vnni.c. */
static uint8_t weight_of(float x)
{
    if (!(x > -126.0f)) return 0;
    /* x - floor(x) in [0, 1), rounded down as VREDUCEPS does */
    const double exact = (double)x - floor((double)x);
    float r = (float)exact;
    if ((double)r > exact || r == 1.0f) r = nextafterf(r, 0.0f);
    float p = 0x1.3e570ep+4f;
    p = fmaf(p, r, 0x1.cd2d50p+5f);
    p = fmaf(p, r, 0x1.62e006p+7f);
    p = fmaf(p, r, 0x1.fdf63cp+7f);
    return (uint8_t)fminf(rintf(ldexpf(p, (int)floorf(x))), 255.0f);
}

static void softmax_i8(float *s, size_t n, float scale, const float *bias, bool suspect, uint8_t *weights,
                       struct inc_attention_row *row)
{
    const bool plain = bias == NULL && scale > 0.0f;
    if (!plain) scale_scores(s, n, scale, bias);
    const struct shift shift = begin_softmax(s, n, plain ? scale : 1.0f, row);
    int32_t sum = 0;
    bool nan = row->max == INFINITY;
    for (size_t i = 0; i < n; i++) {
        nan |= suspect && isnan(s[i]);
        weights[i] = weight_of((s[i] - shift.max) * shift.factor); /* byte i lies before float i + 1 */
        sum += weights[i];
    }
    row->sum = nan ? NAN : row->sum * row->rescale + (float)sum * (1.0f / 255.0f);
}

static const struct inc_attention_i8 integers = {quantize, sum_keys, pack_values_i8, softmax_i8};

ATTENTION_KERNEL(scalar_i8, INCISE_ISA_SCALAR, &integers)
