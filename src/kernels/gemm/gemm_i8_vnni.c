/* SPDX-License-Identifier: Apache-2.0 */
/* 12 rows x 32 outputs: 24 accumulators, one broadcast quad of A per row, two vectors of weights, four quads per
 * iteration where they are neighbours. */
#include <immintrin.h>

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_i8.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

enum { MR = 12, NR = 32, QUAD_BYTES = NR * 4 };

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
static inline __attribute__((always_inline)) void add_quad(const size_t height, __m512i sum[MR][2], const int8_t *w,
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

static inline __attribute__((always_inline)) void store_sums(const size_t height, const struct strip_job *job,
                                                             __m512i sum[MR][2], const float *a_scale, float *c)
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
    __m512i sum[MR][2];
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        sum[i][0] = job->start[0];
        sum[i][1] = job->start[1];
        __builtin_prefetch(c + i * job->ldc, 1);
        __builtin_prefetch(c + i * job->ldc + 16, 1);
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
    store_sums(height, job, sum, a_scale, c);
}

typedef void tile_fn(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c);

#define TILE(rows)                                                                                              \
    static void tile_##rows(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c)    \
    {                                                                                                           \
        run_tile(rows, job, a, a_scale, c);                                                                     \
    }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)

static tile_fn *const tiles[MR + 1] = {NULL,   tile_1, tile_2, tile_3,  tile_4,  tile_5, tile_6,
                                       tile_7, tile_8, tile_9, tile_10, tile_11, tile_12};

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

/* Rows whose A and C stay in L2, and in the TLB, while all strips pass over them; a strip stays in L1 meanwhile. */
static size_t slab_rows(size_t lda)
{
    const size_t tiles_that_fit = (size_t)(32 << 10) / (MR * lda);
    return MR * inc_max_size(tiles_that_fit, 1);
}

void inc_gemm_i8_run_vnni(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a, size_t lda,
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
                /* Tiles of nearly equal height: 13 rows are 7 + 6, not 12 + 1. */
                const size_t begin = top + height * t / n_tiles;
                const size_t end = top + height * (t + 1) / n_tiles;
                tiles[end - begin](&job, a + begin * lda, a_scale + begin, c + begin * ldc + first);
            }
        }
    }
}
