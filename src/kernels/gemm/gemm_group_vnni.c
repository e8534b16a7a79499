/* SPDX-License-Identifier: Apache-2.0 */
/* 12 rows x 32 outputs: 24 accumulators of a group, one broadcast quad of A per row, two vectors of weights; the
 * sums over groups wait in memory. 4-bit weights are taken as 16 * w, so that sums and scales are 16 times and a
 * sixteenth. */
#include <immintrin.h>
#include <string.h>

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_group.h"
#include "kernels/unroll.h"

enum { MR = 12, NR = 32 };

/* GCC 12 spills the accumulators around the intrinsic; as one line of assembly it does not. */
#define DOT(sum, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))

/* What a tile needs besides its rows: one strip of one call. */
struct strip_job {
    const struct inc_gemm_group_strip *strip;
    size_t lda, ldc;
    uintptr_t ahead; /* gemm_ahead.h */
    __m512i zero; /* what a group's sums are multiplied by to start from: -a_zero, 16 times that for 4 bits */
    __m512 unit;  /* of the sums: 1 or 1/16 */
    __m512 bias[2];
    __mmask16 mask[2];
};

static inline __m512i broadcast_quad(const uint8_t *a)
{
    int32_t quad;
    memcpy(&quad, a, sizeof quad);
    return _mm512_set1_epi32(quad);
}

static inline __attribute__((always_inline)) void load_quad(const unsigned bits, const uint8_t *w, __m512i quad[2])
{
    if (bits == 8) {
        quad[0] = _mm512_loadu_si512(w);
        quad[1] = _mm512_loadu_si512(w + 64);
        return;
    }
    const __m512i both = _mm512_loadu_si512(w), high = _mm512_set1_epi8((char)0xf0);
    quad[0] = _mm512_and_si512(_mm512_slli_epi16(both, 4), high);
    quad[1] = _mm512_and_si512(both, high);
}

static inline __attribute__((always_inline)) void add_group(const size_t rows, const unsigned bits,
                                                            const struct strip_job *job, const uint8_t *a, size_t g,
                                                            __m512 total[MR][2])
{
    const struct inc_gemm_group_strip *strip = job->strip;
    __m512i sum[MR][2];
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m512i zero = _mm512_mullo_epi32(job->zero, _mm512_loadu_si512(strip->sums + g * NR + 16 * j));
        INC_UNROLL
        for (size_t i = 0; i < rows; i++) sum[i][j] = zero;
    }
    const size_t first = g ? strip->ends[g - 1] : 0, lda = job->lda;
    const uint8_t *w = strip->w + first * NR * bits / 2;
    for (const uint16_t *k = strip->k + first, *end = strip->k + strip->ends[g]; k < end; k++, w += NR * bits / 2) {
        __m512i quad[2];
        load_quad(bits, w, quad);
        inc_fetch_ahead(rows, MR, w, job->ahead);
        if (bits == 8) inc_fetch_ahead(rows, MR, w + 64, job->ahead);
        const uint8_t *row = a + *k * (size_t)4;
        INC_UNROLL
        for (size_t i = 0; i < rows; i++) {
            const __m512i x = broadcast_quad(row + i % 3 * lda);
            DOT(sum[i][0], x, quad[0]);
            DOT(sum[i][1], x, quad[1]);
            /* One pointer per three rows, reached as row + {0, 1, 2} * lda; hidden, or GCC keeps twelve and spills. */
            if (i % 3 == 2) {
                row += 3 * lda;
                __asm__("" : "+r"(row));
            }
        }
    }
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m512 scale = _mm512_mul_ps(job->unit, _mm512_loadu_ps(strip->scale + g * NR + 16 * j));
        INC_UNROLL
        for (size_t i = 0; i < rows; i++)
            total[i][j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][j]), scale, total[i][j]);
    }
}

static inline __attribute__((always_inline)) void run_tile(const size_t rows, const unsigned bits,
                                                           const struct strip_job *job, const uint8_t *a,
                                                           const float *a_scale, float *c)
{
    __m512 total[MR][2];
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) {
        total[i][0] = total[i][1] = _mm512_setzero_ps();
        __builtin_prefetch(c + i * job->ldc, 1);
        __builtin_prefetch(c + i * job->ldc + 16, 1);
    }
    for (size_t g = 0; g < job->strip->n_groups; g++) {
        add_group(rows, bits, job, a, g, total);
        /* Keeps `total` in memory: as registers they would be spilled inside the loop over quads. */
        if (rows > 6) __asm__ volatile("" : : "r"(total) : "memory");
    }
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) {
        const __m512 row_scale = _mm512_set1_ps(a_scale[i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++)
            _mm512_mask_storeu_ps(c + i * job->ldc + 16 * j, job->mask[j],
                                  _mm512_fmadd_ps(total[i][j], row_scale, job->bias[j]));
    }
}

typedef void tile_fn(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c);

#define TILE(bits, rows)                                                                                            \
    static void tile_i##bits##_##rows(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c) \
    {                                                                                                               \
        run_tile(rows, bits, job, a, a_scale, c);                                                                   \
    }
#define TILES(bits)                                                                                             \
    TILE(bits, 1) TILE(bits, 2) TILE(bits, 3) TILE(bits, 4) TILE(bits, 5) TILE(bits, 6)                         \
    TILE(bits, 7) TILE(bits, 8) TILE(bits, 9) TILE(bits, 10) TILE(bits, 11) TILE(bits, 12)                      \
    static tile_fn *const tiles_i##bits[MR + 1] = {                                                             \
        NULL, tile_i##bits##_1, tile_i##bits##_2, tile_i##bits##_3, tile_i##bits##_4, tile_i##bits##_5,         \
        tile_i##bits##_6, tile_i##bits##_7, tile_i##bits##_8, tile_i##bits##_9, tile_i##bits##_10,              \
        tile_i##bits##_11, tile_i##bits##_12};
TILES(4)
TILES(8)

static void begin_strip(struct strip_job *job, const struct inc_gemm_group_strip *strip, size_t width,
                        const float *bias)
{
    job->strip = strip;
    for (size_t j = 0; j < 2; j++) {
        const size_t left = width > 16 * j ? inc_min_size(width - 16 * j, 16) : 0;
        job->mask[j] = (__mmask16)_bzhi_u32(0xffff, (unsigned)left);
        job->bias[j] = bias ? _mm512_maskz_loadu_ps(job->mask[j], bias + 16 * j) : _mm512_setzero_ps();
    }
}

#include "kernels/gemm/gemm_group_strips.h"

#define RUN(bits, sixteen)                                                                                            \
    void inc_gemm_group_run_i##bits##_vnni(size_t m, size_t n, const struct inc_gemm_group_strip *strips,             \
                                           const uint8_t *a, size_t lda, int32_t a_zero, const float *a_scale,        \
                                           const float *bias, float *c, size_t ldc)                                   \
    {                                                                                                                 \
        struct strip_job job = {.lda = lda, .ldc = ldc, .zero = _mm512_set1_epi32(-(sixteen) * a_zero),               \
                                .unit = _mm512_set1_ps(1.0f / (sixteen))};                                            \
        run_strips(tiles_i##bits, &job, m, n, strips, a, a_scale, bias, c);                                           \
    }
RUN(4, 16)
RUN(8, 1)
