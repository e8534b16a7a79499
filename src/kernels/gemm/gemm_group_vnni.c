/* SPDX-License-Identifier: Apache-2.0 */
/* The sums over groups wait in memory while those of a group are made. The sums of 4-bit weights are 16 times, their
 * scales a sixteenth. */
#include "kernels/gemm/gemm_tile_vnni.h"

#include "kernels/gemm/gemm_group_strips.h"

struct strip_job {
    const uint8_t *a;
    size_t lda, ldc;
    const float *a_scale, *bias;
    float *c;
    __m512i zero; /* what a group's sums are multiplied by to start from: -a_zero, 16 times that for 4 bits */
    __m512 unit;  /* of the sums: 1 or 1/16 */
    /* of a strip */
    const struct inc_gemm_group_strip *strip;
    struct inc_share share;
    __m512 shift[2];
    __mmask16 mask[2];
};

static void begin_strip(struct strip_job *job, const struct inc_gemm_group_strip *strip, size_t first, size_t n)
{
    job->strip = strip;
    for (size_t j = 0; j < 2; j++) {
        const __mmask16 mask = outputs_in(first, n, j);
        job->mask[j] = mask;
        job->shift[j] = job->bias ? _mm512_maskz_loadu_ps(mask, job->bias + first + 16 * j) : _mm512_setzero_ps();
    }
}

#include "kernels/gemm/gemm_strips.h"

static inline __attribute__((always_inline)) void add_group(const size_t height, const unsigned bits,
                                                            const struct strip_job *job, size_t g,
                                                            const struct inc_tile_rows *rows, struct inc_share *share,
                                                            __m512 total[MR][2])
{
    const struct inc_gemm_group_strip *strip = job->strip;
    const struct group group = group_of(strip, g, bits);
    tile_sums sum;
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m512i zero = _mm512_mullo_epi32(job->zero, _mm512_loadu_si512(strip->sums + g * NR + 16 * j));
        INC_UNROLL
        for (size_t i = 0; i < height; i++) sum[i][j] = zero;
    }
    add_quads(height, bits, sum, group.w, group.k, &group.order, rows, share);
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m512 scale = _mm512_mul_ps(job->unit, _mm512_loadu_ps(strip->scale + g * NR + 16 * j));
        INC_UNROLL
        for (size_t i = 0; i < height; i++)
            total[i][j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][j]), scale, total[i][j]);
    }
}

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    const struct inc_tile_rows rows = inc_tile_rows(job->a + row * job->lda, job->lda);
    struct inc_share share = job->share;
    float *c = job->c + row * job->ldc + first;
    __m512 total[MR][2];
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        total[i][0] = total[i][1] = _mm512_setzero_ps();
        __builtin_prefetch(c + i * job->ldc, 1);
        __builtin_prefetch(c + i * job->ldc + 16, 1);
    }
    for (size_t g = 0; g < job->strip->n_groups; g++) {
        add_group(height, bits, job, g, &rows, &share, total);
        /* Keeps `total` in memory: as registers they would be spilled inside the loop over quads. */
        if (height > 6) __asm__ volatile("" : : "r"(total) : "memory");
    }
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const __m512 row_scale = _mm512_set1_ps(job->a_scale[row + i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++)
            _mm512_mask_storeu_ps(c + i * job->ldc + 16 * j, job->mask[j],
                                  _mm512_fmadd_ps(total[i][j], row_scale, job->shift[j]));
    }
}

INC_TILES(12, 4)
INC_TILES(12, 8)

#define RUN(bits, sixteen)                                                                                            \
    void inc_gemm_group_run_i##bits##_vnni(size_t m, size_t n, const struct inc_gemm_group_strip *strips,             \
                                           const uint8_t *a, size_t lda, int32_t a_zero, const float *a_scale,        \
                                           const float *bias, float *c, size_t ldc)                                   \
    {                                                                                                                 \
        struct strip_job job = {.a = a, .lda = lda, .ldc = ldc, .a_scale = a_scale, .bias = bias, .c = c,             \
                                .zero = _mm512_set1_epi32(-(sixteen) * a_zero),                                       \
                                .unit = _mm512_set1_ps(1.0f / (sixteen))};                                            \
        run_strips(tiles_##bits, &job, m, n, slab_of_bytes(lda), strips);                                             \
    }
RUN(4, 16)
RUN(8, 1)
