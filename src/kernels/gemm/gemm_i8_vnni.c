/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_i8.h"
#include "kernels/gemm/gemm_tile_vnni.h"

struct strip_job {
    const uint8_t *a;
    size_t lda, ldc;
    int32_t a_zero;
    const float *a_scale, *w_scale, *bias;
    float *c;
    /* of a strip */
    const struct inc_gemm_i8_strip *strip;
    struct inc_share share;
    __m512i start[2]; /* -a_zero * sums */
    __m512 scale[2], shift[2];
    __mmask16 mask[2];
};

static void begin_strip(struct strip_job *job, const struct inc_gemm_i8_strip *strip, size_t first, size_t n)
{
    job->strip = strip;
    for (size_t j = 0; j < 2; j++) {
        const __mmask16 mask = outputs_in(first, n, j);
        job->mask[j] = mask;
        job->start[j] = _mm512_mullo_epi32(_mm512_set1_epi32(-job->a_zero), _mm512_loadu_si512(strip->sums + 16 * j));
        job->scale[j] = _mm512_maskz_loadu_ps(mask, job->w_scale + first + 16 * j);
        job->shift[j] = job->bias ? _mm512_maskz_loadu_ps(mask, job->bias + first + 16 * j) : _mm512_setzero_ps();
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
        __builtin_prefetch(c + i * job->ldc + 16, 1);
    }
    add_strip(height, bits, job, row, sum);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const __m512 row_scale = _mm512_set1_ps(job->a_scale[row + i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++) {
            const __m512 scale = _mm512_mul_ps(row_scale, job->scale[j]);
            const __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][j]), scale, job->shift[j]);
            _mm512_mask_storeu_ps(c + i * job->ldc + 16 * j, job->mask[j], value);
        }
    }
}

INC_TILES(12, 8)

void inc_gemm_i8_run_vnni(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a, size_t lda,
                          int32_t a_zero, const float *a_scale, const float *w_scale, const float *bias, float *c,
                          size_t ldc)
{
    struct strip_job job = {.a = a, .lda = lda, .ldc = ldc, .a_zero = a_zero, .a_scale = a_scale, .w_scale = w_scale,
                            .bias = bias, .c = c};
    run_strips(tiles_8, &job, m, n, slab_of_bytes(lda), strips);
}
