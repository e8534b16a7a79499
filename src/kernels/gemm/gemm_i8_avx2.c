/* SPDX-License-Identifier: Apache-2.0 */
/* 10 rows x 8 outputs: vpmaddubsw, vpmaddwd by ones, vpaddd per row and k-quad. Packing has split every weight pair
 * that could saturate vpmaddubsw (gemm_i8.h), so the full-rate sequence is exact for all u8 activations. A strip is 8
 * outputs wide, not 16, as a quad is then repeated, or kept, for 8 outputs only. */
#include <immintrin.h>

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_i8.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

enum { MR = 10, NR = 8 };
typedef __m256i tile_sums[MR];

/* sum += x (u8 quads) . w (s8 quads); x is used up. In one piece, as GCC 12 hoists the products apart and spills. */
#define DOT(sum, x, w, ones)                                                             \
    __asm__("vpmaddubsw %2, %1, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0" \
            : "+x"(sum), "+x"(x)                                                         \
            : "x"(w), "x"(ones))

/* What a tile needs besides its rows: one strip of one call. */
struct strip_job {
    const struct inc_gemm_i8_strip *strip;
    size_t lda, ldc;
    struct inc_share share; /* of the next strip */
    __m256i start; /* -a_zero * sums */
    __m256 w_scale, bias;
    __m256i mask;
};

/* sum += the quad at `offset` of the rows times the quad at w. */
static inline __attribute__((always_inline)) void add_quad(const size_t height, tile_sums sum, const int8_t *w,
                                                           struct inc_tile_rows *rows, const size_t offset)
{
    const __m256i ones = _mm256_set1_epi16(1), quad = _mm256_load_si256((const __m256i *)(const void *)w);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        if (i % 6 == 0) inc_tile_rows_hide(rows);
        __m256i x = _mm256_set1_epi32(inc_tile_quad(rows, i, offset));
        DOT(sum[i], x, quad, ones);
    }
}

static void begin_strip(struct strip_job *job, const struct inc_gemm_i8_strip *strip, size_t width, int32_t a_zero,
                        const float *w_scale, const float *bias)
{
    const int left = (int)inc_min_size(width, NR);
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i sums = _mm256_loadu_si256((const __m256i *)(const void *)strip->sums);
    job->strip = strip;
    job->mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lanes);
    job->start = _mm256_mullo_epi32(_mm256_set1_epi32(-a_zero), sums);
    job->w_scale = _mm256_maskload_ps(w_scale, job->mask);
    job->bias = bias ? _mm256_maskload_ps(bias, job->mask) : _mm256_setzero_ps();
}

#include "kernels/gemm/gemm_i8_strips.h"

static inline __attribute__((always_inline)) void run_tile(const size_t height, const struct strip_job *job,
                                                           const uint8_t *a, const float *a_scale, float *c)
{
    tile_sums sum;
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        sum[i] = job->start;
        __builtin_prefetch(c + i * job->ldc, 1);
    }
    add_strip(height, job, a, sum);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const __m256 scale = _mm256_mul_ps(_mm256_set1_ps(a_scale[i]), job->w_scale);
        const __m256 value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i]), scale, job->bias);
        _mm256_maskstore_ps(c + i * job->ldc, job->mask, value);
    }
}

#define TILE(rows)                                                                                           \
    static void tile_##rows(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c) \
    {                                                                                                        \
        run_tile(rows, job, a, a_scale, c);                                                                  \
    }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8) TILE(9) TILE(10)

static tile_fn *const tiles[MR + 1] = {NULL,   tile_1, tile_2, tile_3, tile_4, tile_5,
                                       tile_6, tile_7, tile_8, tile_9, tile_10};

void inc_gemm_i8_run_avx2(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a, size_t lda,
                          int32_t a_zero, const float *a_scale, const float *w_scale, const float *bias, float *c,
                          size_t ldc)
{
    struct strip_job job = {.lda = lda, .ldc = ldc};
    run_strips(tiles, &job, m, n, strips, a, a_zero, a_scale, w_scale, bias, c);
}
