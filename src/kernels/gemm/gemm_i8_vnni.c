/* SPDX-License-Identifier: Apache-2.0 */
/* 12 rows x 32 outputs: 24 accumulators, one broadcast quad of A per row, two vectors of weights, four quads per
 * iteration where they are neighbours. */
#include <immintrin.h>

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_i8.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

enum { MR = 12, NR = 32 };
typedef __m512i tile_sums[MR][2];

/* GCC 12 spills the accumulators around the intrinsic; as one line of assembly it does not. */
#define DOT(sum, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))

/* What a tile needs besides its rows: one strip of one call. */
struct strip_job {
    const struct inc_gemm_i8_strip *strip;
    size_t lda, ldc;
    struct inc_share share; /* of the next strip */
    __m512i start[2]; /* -a_zero * sums */
    __m512 w_scale[2], bias[2];
    __mmask16 mask[2];
};

/* sum += the quad at `offset` of the rows times the quad at w. */
static inline __attribute__((always_inline)) void add_quad(const size_t height, tile_sums sum, const int8_t *w,
                                                           struct inc_tile_rows *rows, const size_t offset)
{
    const __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        if (i % 6 == 0) inc_tile_rows_hide(rows);
        const __m512i x = _mm512_set1_epi32(inc_tile_quad(rows, i, offset));
        DOT(sum[i][0], x, w0);
        DOT(sum[i][1], x, w1);
    }
}

static void begin_strip(struct strip_job *job, const struct inc_gemm_i8_strip *strip, size_t width, int32_t a_zero,
                        const float *w_scale, const float *bias)
{
    job->strip = strip;
    for (size_t j = 0; j < 2; j++) {
        const size_t left = width > 16 * j ? inc_min_size(width - 16 * j, 16) : 0;
        const __mmask16 mask = (__mmask16)_bzhi_u32(0xffff, (unsigned)left);
        job->mask[j] = mask;
        job->start[j] = _mm512_mullo_epi32(_mm512_set1_epi32(-a_zero), _mm512_loadu_si512(strip->sums + 16 * j));
        job->w_scale[j] = _mm512_maskz_loadu_ps(mask, w_scale + 16 * j);
        job->bias[j] = bias ? _mm512_maskz_loadu_ps(mask, bias + 16 * j) : _mm512_setzero_ps();
    }
}

#include "kernels/gemm/gemm_i8_strips.h"

static inline __attribute__((always_inline)) void store_sums(const size_t height, const struct strip_job *job,
                                                             tile_sums sum, const float *a_scale, float *c)
{
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const __m512 row_scale = _mm512_set1_ps(a_scale[i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++) {
            const __m512 scale = _mm512_mul_ps(row_scale, job->w_scale[j]);
            const __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][j]), scale, job->bias[j]);
            _mm512_mask_storeu_ps(c + i * job->ldc + 16 * j, job->mask[j], value);
        }
    }
}

static inline __attribute__((always_inline)) void run_tile(const size_t height, const struct strip_job *job,
                                                           const uint8_t *a, const float *a_scale, float *c)
{
    tile_sums sum;
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        sum[i][0] = job->start[0];
        sum[i][1] = job->start[1];
        __builtin_prefetch(c + i * job->ldc, 1);
        __builtin_prefetch(c + i * job->ldc + 16, 1);
    }
    add_strip(height, job, a, sum);
    store_sums(height, job, sum, a_scale, c);
}

#define TILE(rows)                                                                                              \
    static void tile_##rows(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c)    \
    {                                                                                                           \
        run_tile(rows, job, a, a_scale, c);                                                                     \
    }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)

static tile_fn *const tiles[MR + 1] = {NULL,   tile_1, tile_2, tile_3,  tile_4,  tile_5, tile_6,
                                       tile_7, tile_8, tile_9, tile_10, tile_11, tile_12};

void inc_gemm_i8_run_vnni(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a, size_t lda,
                          int32_t a_zero, const float *a_scale, const float *w_scale, const float *bias, float *c,
                          size_t ldc)
{
    struct strip_job job = {.lda = lda, .ldc = ldc};
    run_strips(tiles, &job, m, n, strips, a, a_zero, a_scale, w_scale, bias, c);
}
