/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_i8.h"
#include "kernels/gemm/gemm_tile_avx2.h"

struct strip_job {
    const uint8_t *a;
    size_t lda, ldc;
    int32_t a_zero;
    const float *a_scale, *w_scale, *bias;
    float *c;
    /* of a strip */
    const struct inc_gemm_i8_strip *strip;
    struct inc_share share;
    __m256i start[2]; /* -a_zero * sums */
    __m256 scale[2], shift[2];
    __m256i mask[2];
};

static void begin_strip(struct strip_job *job, const struct inc_gemm_i8_strip *strip, size_t first, size_t n)
{
    job->strip = strip;
    for (size_t j = 0; j < 2; j++) {
        const size_t output = first + 8 * j;
        job->mask[j] = outputs_in(output, n);
        job->start[j] = _mm256_mullo_epi32(_mm256_set1_epi32(-job->a_zero), load(strip->sums + 8 * j));
        job->scale[j] = _mm256_maskload_ps(job->w_scale + output, job->mask[j]);
        job->shift[j] = job->bias ? _mm256_maskload_ps(job->bias + output, job->mask[j]) : _mm256_setzero_ps();
    }
}

#include "kernels/gemm/gemm_i8_strips.h"

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    float *c = job->c + row * job->ldc + first;
    tile_sums sum;
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        sum[i][0] = job->start[0];
        sum[i][1] = job->start[1];
        __builtin_prefetch(c + i * job->ldc, 1);
    }
    add_strip(height, bits, job, row, sum);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const __m256 row_scale = _mm256_set1_ps(job->a_scale[row + i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++) {
            const __m256 scale = _mm256_mul_ps(row_scale, job->scale[j]);
            const __m256 value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i][j]), scale, job->shift[j]);
            _mm256_maskstore_ps(c + i * job->ldc + 8 * j, job->mask[j], value);
        }
    }
}

INC_TILES(5, 8)

void inc_gemm_i8_run_avx2(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a, size_t lda,
                          int32_t a_zero, const float *a_scale, const float *w_scale, const float *bias, float *c,
                          size_t ldc)
{
    struct strip_job job = {.a = a, .lda = lda, .ldc = ldc, .a_zero = a_zero, .a_scale = a_scale, .w_scale = w_scale,
                            .bias = bias, .c = c};
    run_strips(tiles_8, &job, m, n, slab_of_bytes(lda), strips);
}
