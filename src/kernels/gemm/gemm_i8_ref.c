/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/gemm/gemm_i8.h"

enum { NR = 16 };

/* Unsigned: sums of restored weights may wrap. */
static void dot_strip(const struct inc_gemm_i8_strip *strip, const uint8_t *a, uint32_t sum[NR])
{
    memset(sum, 0, NR * sizeof *sum);
    for (size_t q = 0; q < strip->order.whole; q++) {
        const uint8_t *x = a + (size_t)strip->k[q] * 4;
        const int8_t *w = strip->w + q * NR * 4;
        for (size_t j = 0; j < NR; j++, w += 4)
            sum[j] += (uint32_t)(x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3]);
    }
}

void inc_gemm_i8_run_scalar(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a, size_t lda,
                         int32_t a_zero, const float *a_scale, const float *w_scale, const float *bias, float *c,
                         size_t ldc)
{
    for (size_t first = 0; first < n; first += NR) {
        const struct inc_gemm_i8_strip *strip = &strips[first / NR];
        const size_t width = inc_min_size(NR, n - first);
        for (size_t i = 0; i < m; i++) {
            uint32_t sum[NR];
            dot_strip(strip, a + i * lda, sum);
            for (size_t j = 0; j < width; j++) {
                const float scale = a_scale[i] * w_scale[first + j];
                const float b = bias ? bias[first + j] : 0.0f;
                const uint32_t shift = (uint32_t)a_zero * (uint32_t)strip->sums[j];
                c[i * ldc + first + j] = fmaf((float)(int32_t)(sum[j] - shift), scale, b);
            }
        }
    }
}
