/* SPDX-License-Identifier: Apache-2.0 */
/* 8-bit weights. The sums over groups wait in memory while those of a group are made. */
#include "kernels/gemm/gemm_tile_avx2.h"

#include "kernels/gemm/gemm_group_strips.h"

struct strip_job {
    const uint8_t *a;
    size_t lda, ldc;
    int32_t a_zero;
    const float *a_scale, *bias;
    float *c;
    /* of a strip */
    const struct inc_gemm_group_strip *strip;
    struct inc_share share;
    __m256 shift[2];
    __m256i mask[2];
};

static void begin_strip(struct strip_job *job, const struct inc_gemm_group_strip *strip, size_t first, size_t n)
{
    job->strip = strip;
    for (size_t j = 0; j < 2; j++) {
        job->mask[j] = outputs_in(first + 8 * j, n);
        job->shift[j] = job->bias ? _mm256_maskload_ps(job->bias + first + 8 * j, job->mask[j]) : _mm256_setzero_ps();
    }
}

#include "kernels/gemm/gemm_strips.h"

static inline __attribute__((always_inline)) void add_group(const size_t height, const unsigned bits,
                                                            const struct strip_job *job, size_t g,
                                                            const struct inc_tile_rows *rows, struct inc_share *share,
                                                            __m256 total[MR][2])
{
    const struct inc_gemm_group_strip *strip = job->strip;
    const struct group group = group_of(strip, g, bits);
    tile_sums sum;
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m256i of_weights = load(strip->sums + g * NR + 8 * j);
        const __m256i zero = _mm256_mullo_epi32(_mm256_set1_epi32(-job->a_zero), of_weights);
        INC_UNROLL
        for (size_t i = 0; i < height; i++) sum[i][j] = zero;
    }
    add_quads(height, bits, sum, group.w, group.k, &group.order, rows, share);
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m256 scale = _mm256_loadu_ps(strip->scale + g * NR + 8 * j);
        INC_UNROLL
        for (size_t i = 0; i < height; i++)
            total[i][j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i][j]), scale, total[i][j]);
    }
}

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    const struct inc_tile_rows rows = inc_tile_rows(job->a + row * job->lda, job->lda);
    struct inc_share share = job->share;
    float *c = job->c + row * job->ldc + first;
    __m256 total[MR][2];
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        total[i][0] = total[i][1] = _mm256_setzero_ps();
        __builtin_prefetch(c + i * job->ldc, 1);
    }
    for (size_t g = 0; g < job->strip->n_groups; g++) {
        add_group(height, bits, job, g, &rows, &share, total);
        /* Keeps `total` in memory: as registers they would be spilled inside the loop over quads. */
        if (height > 1) __asm__ volatile("" : : "r"(total) : "memory");
    }
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const __m256 row_scale = _mm256_set1_ps(job->a_scale[row + i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++)
            _mm256_maskstore_ps(c + i * job->ldc + 8 * j, job->mask[j],
                                _mm256_fmadd_ps(total[i][j], row_scale, job->shift[j]));
    }
}

INC_TILES(5, 8)

void inc_gemm_group_run_i8_avx2(size_t m, size_t n, const struct inc_gemm_group_strip *strips, const uint8_t *a,
                                size_t lda, int32_t a_zero, const float *a_scale, const float *bias, float *c,
                                size_t ldc)
{
    struct strip_job job = {.a = a, .lda = lda, .ldc = ldc, .a_zero = a_zero, .a_scale = a_scale, .bias = bias,
                            .c = c};
    run_strips(tiles_8, &job, m, n, slab_of_bytes(lda), strips);
}
