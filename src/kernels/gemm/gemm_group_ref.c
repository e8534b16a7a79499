/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/size.h"
#include "kernels/gemm/gemm_group.h"

enum { NR = 16 };

/* Weight i of quad q in one of the two layouts of w. */
typedef int weight_fn(const uint8_t *w, size_t q, size_t i);

static inline int weight_i8(const uint8_t *w, size_t q, size_t i)
{
    return (int8_t)w[q * NR * 4 + i];
}

static inline int weight_i4(const uint8_t *w, size_t q, size_t i)
{
    const int byte = w[q * NR * 2 + i % (NR * 2)], half = i < NR * 2 ? byte & 15 : byte >> 4;
    return (half ^ 8) - 8;
}

static inline __attribute__((always_inline)) void run_row(const struct inc_gemm_group_strip *strip, const uint8_t *a,
                                                          int32_t a_zero, weight_fn *weight, float total[NR])
{
    size_t q = 0;
    for (size_t j = 0; j < NR; j++) total[j] = 0.0f;
    for (size_t g = 0; g < strip->n_groups; g++) {
        uint32_t sum[NR]; /* unsigned: sums of restored weights may wrap */
        for (size_t j = 0; j < NR; j++) sum[j] = 0 - (uint32_t)a_zero * (uint32_t)strip->sums[g * NR + j];
        for (; q < strip->ends[g]; q++)
            for (size_t i = 0; i < NR * 4; i++)
                sum[i / 4] += (uint32_t)(a[strip->k[q] * 4u + i % 4] * weight(strip->w, q, i));
        for (size_t j = 0; j < NR; j++) total[j] = fmaf((float)(int32_t)sum[j], strip->scale[g * NR + j], total[j]);
    }
}

#define RUN(width)                                                                                                     \
    void inc_gemm_group_run_##width##_scalar(size_t m, size_t n, const struct inc_gemm_group_strip *strips,            \
                                             const uint8_t *a, size_t lda, int32_t a_zero, const float *a_scale,       \
                                             const float *bias, float *c, size_t ldc)                                  \
    {                                                                                                                  \
        for (size_t first = 0; first < n; first += NR) {                                                               \
            for (size_t i = 0; i < m; i++) {                                                                           \
                float total[NR];                                                                                       \
                run_row(&strips[first / NR], a + i * lda, a_zero, weight_##width, total);                              \
                for (size_t j = 0; j < inc_min_size(NR, n - first); j++)                                               \
                    c[i * ldc + first + j] = fmaf(total[j], a_scale[i], bias ? bias[first + j] : 0.0f);                \
            }                                                                                                          \
        }                                                                                                              \
    }
RUN(i4)
RUN(i8)
