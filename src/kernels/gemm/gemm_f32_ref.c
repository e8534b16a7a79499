/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/size.h"
#include "kernels/gemm/gemm_f32.h"

#define NR 16

static void run_strip(size_t m, size_t n, const struct inc_gemm_f32_strip *strip, const float *a, size_t lda,
                      const float *bias, float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++) {
        float sum[NR] = {0};
        for (size_t s = 0; s < strip->n_steps; s++) {
            const float x = a[i * lda + (strip->k ? strip->k[s] : s)];
            for (size_t j = 0; j < n; j++) sum[j] = fmaf(x, strip->w[s * NR + j], sum[j]);
        }
        for (size_t j = 0; j < n; j++) c[i * ldc + j] = bias ? sum[j] + bias[j] : sum[j];
    }
}

void inc_gemm_f32_run_scalar(size_t m, size_t n, const struct inc_gemm_f32_strip *strips, const float *a, size_t lda,
                             const float *bias, float *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += NR)
        run_strip(m, inc_min_size(NR, n - j), &strips[j / NR], a, lda, bias ? bias + j : NULL, c + j, ldc);
}
