/* SPDX-License-Identifier: Apache-2.0 */
/* 12 rows x 32 outputs: 24 accumulators, one broadcast quad of A per row, two vectors of weights. */
#include <immintrin.h>
#include <string.h>

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_i8.h"
#include "kernels/unroll.h"

enum { MR = 12, NR = 32 };

/* GCC 12 spills the accumulators around the intrinsic; as one line of assembly it does not. */
#define DOT(sum, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))

/* What a tile needs besides its rows: one strip of one call. */
struct strip_job {
    const struct inc_gemm_i8_strip *strip;
    size_t lda, ldc;
    uintptr_t ahead; /* gemm_ahead.h */
    __m512i zero[2]; /* a_zero * sums */
    __m512 w_scale[2], bias[2];
    __mmask16 mask[2];
};

static inline __m512i broadcast_quad(const uint8_t *a)
{
    int32_t quad;
    memcpy(&quad, a, sizeof quad);
    return _mm512_set1_epi32(quad);
}

static inline __attribute__((always_inline)) void run_tile(const size_t rows, const struct strip_job *job,
                                                           const uint8_t *a, const float *a_scale, float *c)
{
    __m512i sum[MR][2];
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = _mm512_setzero_si512();
        __builtin_prefetch(c + i * job->ldc, 1);
        __builtin_prefetch(c + i * job->ldc + 16, 1);
    }
    const size_t lda = job->lda;
    const int8_t *w = job->strip->w;
    const uint16_t *k = job->strip->k;
    for (const uint16_t *end = k + job->strip->n_quads; k < end; k++, w += NR * 4) {
        const __m512i w0 = _mm512_load_si512(w);
        const __m512i w1 = _mm512_load_si512(w + 64);
        inc_fetch_ahead(rows, MR, w, job->ahead);
        inc_fetch_ahead(rows, MR, w + 64, job->ahead);
        const uint8_t *row = a + (size_t)*k * 4;
        INC_UNROLL
        for (size_t i = 0; i < rows; i++) {
            const __m512i x = broadcast_quad(row + i % 3 * lda);
            DOT(sum[i][0], x, w0);
            DOT(sum[i][1], x, w1);
            /* One pointer per three rows, reached as row + {0, 1, 2} * lda; hidden, or GCC keeps twelve and spills. */
            if (i % 3 == 2) {
                row += 3 * lda;
                __asm__("" : "+r"(row));
            }
        }
    }
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) {
        const __m512 row_scale = _mm512_set1_ps(a_scale[i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++) {
            const __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum[i][j], job->zero[j]));
            const __m512 scale = _mm512_mul_ps(row_scale, job->w_scale[j]);
            _mm512_mask_storeu_ps(c + i * job->ldc + 16 * j, job->mask[j], _mm512_fmadd_ps(value, scale, job->bias[j]));
        }
    }
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
        job->zero[j] = _mm512_mullo_epi32(_mm512_set1_epi32(a_zero), _mm512_loadu_si512(strip->sums + 16 * j));
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
            const uintptr_t ahead = n - first > NR ? inc_ahead_of(strip->w, strip[1].w) : 0;
            for (size_t t = 0; t < n_tiles; t++) {
                job.ahead = t + 1 == n_tiles ? ahead : 0;
                /* Tiles of nearly equal height: 13 rows are 7 + 6, not 12 + 1. */
                const size_t begin = top + height * t / n_tiles;
                const size_t end = top + height * (t + 1) / n_tiles;
                tiles[end - begin](&job, a + begin * lda, a_scale + begin, c + begin * ldc + first);
            }
        }
    }
}
