/* SPDX-License-Identifier: Apache-2.0 */
/* 10 rows x 8 outputs. 4-bit weights: vpmaddubsw and vpaddw per row and k-quad, widened by vpmaddwd once for 8
 * quads; unpacking is shared by the rows. 8-bit weights: as gemm_i8_avx2.c. The sums of a group that are not in use,
 * and the sums over groups, wait in memory. */
#include <immintrin.h>
#include <string.h>

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_group.h"
#include "kernels/unroll.h"

enum { MR = 10, NR = 8, WIDEN_QUADS = 8 };

/* sum += x (u8 quads) . w (s8 quads); x is used up. In one piece, as GCC 12 hoists the products apart and spills. */
#define DOT(sum, x, w, ones)                                                     \
    __asm__("vpmaddubsw %2, %1, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0" \
            : "+x"(sum), "+x"(x)                                                 \
            : "x"(w), "x"(ones))
/* The same in 16 bits, [8 outputs][2 pairs]; and a first product, in place of zero and a sum. */
#define DOT_16(sum, x, w) __asm__("vpmaddubsw %2, %1, %1\n\tvpaddw %1, %0, %0" : "+x"(sum), "+x"(x) : "x"(w))
#define FIRST_16(sum, x, w) __asm__("vpmaddubsw %2, %1, %0" : "=x"(sum) : "x"(x), "x"(w))

/* What a tile needs besides its rows: one strip of one call. */
struct strip_job {
    const struct inc_gemm_group_strip *strip;
    size_t lda, ldc;
    uintptr_t ahead; /* gemm_ahead.h */
    int32_t a_zero;
    __m256 bias;
    __m256i mask;
};

/* Of each row: this group's sums so far, and the sums over groups. */
struct sums {
    __m256i group[MR];
    __m256 total[MR];
};

static inline __m256i load(const void *p)
{
    return _mm256_loadu_si256(p);
}

static inline __m256i broadcast_quad(const uint8_t *a)
{
    int32_t quad;
    memcpy(&quad, a, sizeof quad);
    return _mm256_set1_epi32(quad);
}

/* One pointer per three rows, reached as row + {0, 1, 2} * lda; hidden, or GCC keeps ten and spills. */
#define NEXT_ROW(i, row, lda)          \
    if ((i) % 3 == 2) {                \
        (row) += 3 * (lda);            \
        __asm__("" : "+r"(row));       \
    }

static inline __attribute__((always_inline)) void add_quad_16(const size_t rows, const bool first, __m256i sum[MR],
                                                              const uint8_t *row, size_t lda, __m256i quad)
{
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) {
        __m256i x = broadcast_quad(row + i % 3 * lda);
        if (first)
            FIRST_16(sum[i], x, quad);
        else
            DOT_16(sum[i], x, quad);
        NEXT_ROW(i, row, lda)
    }
}

/* Two quads of 4-bit weights, at w, of the inputs that k tells. */
static inline __attribute__((always_inline)) void add_pair_i4(const size_t rows, const bool first, __m256i sum[MR],
                                                              const struct strip_job *job, const uint8_t *a,
                                                              const uint8_t *w, const uint16_t *k)
{
    const __m256i low = _mm256_set1_epi8(15), both = load(w);
    const __m256i value = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1)); /* of a half byte */
    const __m256i quad = _mm256_shuffle_epi8(value, _mm256_and_si256(both, low));
    const __m256i next = _mm256_shuffle_epi8(value, _mm256_and_si256(_mm256_srli_epi16(both, 4), low));
    inc_fetch_ahead(rows, MR, w, job->ahead);
    add_quad_16(rows, first, sum, a + k[0] * (size_t)4, job->lda, quad);
    add_quad_16(rows, false, sum, a + k[1] * (size_t)4, job->lda, next);
}

/* Adds the products of quads [q, end), at most WIDEN_QUADS, of 4-bit weights to the group's sums. */
static inline __attribute__((always_inline)) void add_quads_i4(const size_t rows, const struct strip_job *job,
                                                               const uint8_t *a, size_t q, size_t end,
                                                               struct sums *sums)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const uint8_t *w = job->strip->w + q * NR * 2, *const w_end = job->strip->w + end * NR * 2;
    const uint16_t *k = job->strip->k + q;
    __m256i sum[MR];
    add_pair_i4(rows, true, sum, job, a, w, k);
    for (w += NR * 4, k += 2; w < w_end; w += NR * 4, k += 2) add_pair_i4(rows, false, sum, job, a, w, k);
    INC_UNROLL
    for (size_t i = 0; i < rows; i++)
        sums->group[i] = _mm256_add_epi32(sums->group[i], _mm256_madd_epi16(sum[i], ones));
}

static inline __attribute__((always_inline)) void add_quads_i8(const size_t rows, const struct strip_job *job,
                                                               const uint8_t *a, size_t q, size_t end,
                                                               struct sums *sums)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const uint8_t *w = job->strip->w + q * NR * 4;
    const uint16_t *k = job->strip->k;
    __m256i sum[MR];
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) sum[i] = sums->group[i];
    for (; q < end; q++, w += NR * 4) {
        const __m256i quad = load(w);
        inc_fetch_ahead(rows, MR, w, job->ahead);
        const uint8_t *row = a + k[q] * (size_t)4;
        INC_UNROLL
        for (size_t i = 0; i < rows; i++) {
            __m256i x = broadcast_quad(row + i % 3 * job->lda);
            DOT(sum[i], x, quad, ones);
            NEXT_ROW(i, row, job->lda)
        }
    }
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) sums->group[i] = sum[i];
}

static inline __attribute__((always_inline)) void add_group(const size_t rows, const unsigned bits,
                                                            const struct strip_job *job, const uint8_t *a, size_t g,
                                                            struct sums *sums)
{
    const struct inc_gemm_group_strip *strip = job->strip;
    const __m256i zero = _mm256_mullo_epi32(_mm256_set1_epi32(-job->a_zero), load(strip->sums + g * NR));
    const size_t end = strip->ends[g];
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) sums->group[i] = zero;
    size_t q = g ? strip->ends[g - 1] : 0;
    if (bits == 4) {
        for (; q < end; q += WIDEN_QUADS) add_quads_i4(rows, job, a, q, inc_min_size(q + WIDEN_QUADS, end), sums);
    } else {
        add_quads_i8(rows, job, a, q, end, sums);
    }
    const __m256 scale = _mm256_loadu_ps(strip->scale + g * NR);
    INC_UNROLL
    for (size_t i = 0; i < rows; i++)
        sums->total[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums->group[i]), scale, sums->total[i]);
}

static inline __attribute__((always_inline)) void run_tile(const size_t rows, const unsigned bits,
                                                           const struct strip_job *job, const uint8_t *a,
                                                           const float *a_scale, float *c)
{
    struct sums sums;
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) {
        sums.total[i] = _mm256_setzero_ps();
        __builtin_prefetch(c + i * job->ldc, 1);
    }
    for (size_t g = 0; g < job->strip->n_groups; g++) {
        add_group(rows, bits, job, a, g, &sums);
        /* Keeps `sums` in memory: as registers they would be spilled inside the loops over quads. */
        if (rows > 2) __asm__ volatile("" : : "r"(&sums) : "memory");
    }
    INC_UNROLL
    for (size_t i = 0; i < rows; i++)
        _mm256_maskstore_ps(c + i * job->ldc, job->mask,
                            _mm256_fmadd_ps(sums.total[i], _mm256_set1_ps(a_scale[i]), job->bias));
}

typedef void tile_fn(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c);

#define TILE(bits, rows)                                                                                            \
    static void tile_i##bits##_##rows(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c) \
    {                                                                                                               \
        run_tile(rows, bits, job, a, a_scale, c);                                                                   \
    }
#define TILES(bits)                                                                       \
    TILE(bits, 1) TILE(bits, 2) TILE(bits, 3) TILE(bits, 4) TILE(bits, 5)                 \
    TILE(bits, 6) TILE(bits, 7) TILE(bits, 8) TILE(bits, 9) TILE(bits, 10)                \
    static tile_fn *const tiles_i##bits[MR + 1] = {                                       \
        NULL, tile_i##bits##_1, tile_i##bits##_2, tile_i##bits##_3, tile_i##bits##_4,     \
        tile_i##bits##_5, tile_i##bits##_6, tile_i##bits##_7, tile_i##bits##_8, tile_i##bits##_9, tile_i##bits##_10};
TILES(4)
TILES(8)

static void begin_strip(struct strip_job *job, const struct inc_gemm_group_strip *strip, size_t width,
                        const float *bias)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    job->strip = strip;
    job->mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)inc_min_size(width, NR)), lanes);
    job->bias = bias ? _mm256_maskload_ps(bias, job->mask) : _mm256_setzero_ps();
}

#include "kernels/gemm/gemm_group_strips.h"

#define RUN(bits)                                                                                                     \
    void inc_gemm_group_run_i##bits##_avx2(size_t m, size_t n, const struct inc_gemm_group_strip *strips,             \
                                           const uint8_t *a, size_t lda, int32_t a_zero, const float *a_scale,        \
                                           const float *bias, float *c, size_t ldc)                                   \
    {                                                                                                                 \
        struct strip_job job = {.lda = lda, .ldc = ldc, .a_zero = a_zero};                                            \
        run_strips(tiles_i##bits, &job, m, n, strips, a, a_scale, bias, c);                                           \
    }
RUN(4)
RUN(8)
