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

enum { MR = 10, NR = 8, QUAD_BYTES = NR * 4 };

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
static inline __attribute__((always_inline)) void add_quad(const size_t height, __m256i sum[MR], const int8_t *w,
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

static inline __attribute__((always_inline)) void run_tile(const size_t height, const struct strip_job *job,
                                                           const uint8_t *a, const float *a_scale, float *c)
{
    __m256i sum[MR];
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        sum[i] = job->start;
        __builtin_prefetch(c + i * job->ldc, 1);
    }
    const struct inc_tile_rows rows = inc_tile_rows(a, job->lda);
    const struct inc_gemm_i8_strip *strip = job->strip;
    const int8_t *w = strip->w;
    const uint16_t *k = strip->k, *const fours_end = k + 4 * strip->n_fours, *const end = k + strip->n_quads;
    const unsigned char *next = job->share.next;
    for (; k < fours_end; k += 4, w += 4 * QUAD_BYTES) {
        struct inc_tile_rows of_four = inc_tile_rows_at(rows, *k * (size_t)4);
        next = inc_fetch_share(next, job->share.lines);
        INC_UNROLL
        for (size_t i = 0; i < 4; i++) add_quad(height, sum, w + i * QUAD_BYTES, &of_four, 4 * i);
    }
    for (; k < end; k++, w += QUAD_BYTES) {
        struct inc_tile_rows of_quad = inc_tile_rows_at(rows, *k * (size_t)4);
        next = inc_fetch_share(next, job->share.lines);
        add_quad(height, sum, w, &of_quad, 0);
    }
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const __m256 scale = _mm256_mul_ps(_mm256_set1_ps(a_scale[i]), job->w_scale);
        const __m256 value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i]), scale, job->bias);
        _mm256_maskstore_ps(c + i * job->ldc, job->mask, value);
    }
}

typedef void tile_fn(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c);

#define TILE(rows)                                                                                           \
    static void tile_##rows(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c) \
    {                                                                                                        \
        run_tile(rows, job, a, a_scale, c);                                                                  \
    }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8) TILE(9) TILE(10)

static tile_fn *const tiles[MR + 1] = {NULL,   tile_1, tile_2, tile_3, tile_4, tile_5,
                                       tile_6, tile_7, tile_8, tile_9, tile_10};

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

/* Rows whose A and C stay in L2, and in the TLB, while all strips pass over them; a strip stays in L1 meanwhile. */
static size_t slab_rows(size_t lda)
{
    const size_t tiles_that_fit = (size_t)(32 << 10) / (MR * lda);
    return MR * inc_max_size(tiles_that_fit, 1);
}

void inc_gemm_i8_run_avx2(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a, size_t lda,
                          int32_t a_zero, const float *a_scale, const float *w_scale, const float *bias, float *c,
                          size_t ldc)
{
    const size_t slab = slab_rows(lda);
    struct strip_job job = {.lda = lda, .ldc = ldc};
    for (size_t top = 0; top < m; top += slab) {
        const size_t height = inc_min_size(slab, m - top);
        const size_t n_tiles = (height + MR - 1) / MR;
        for (size_t first = 0; first < n; first += NR) {
            const struct inc_gemm_i8_strip *strip = &strips[first / NR];
            begin_strip(&job, strip, n - first, a_zero, w_scale + first, bias ? bias + first : NULL);
            const size_t next_bytes = strip[1].n_quads * (size_t)QUAD_BYTES;
            const size_t steps = strip->n_quads - (size_t)3 * strip->n_fours;
            for (size_t t = 0; t < n_tiles; t++) {
                job.share = inc_share_of(strip[1].w, next_bytes, t, n_tiles, steps);
                /* Tiles of nearly equal height: 11 rows are 6 + 5, not 10 + 1. */
                const size_t begin = top + height * t / n_tiles;
                const size_t end = top + height * (t + 1) / n_tiles;
                tiles[end - begin](&job, a + begin * lda, a_scale + begin, c + begin * ldc + first);
            }
        }
    }
}
