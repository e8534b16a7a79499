/* SPDX-License-Identifier: Apache-2.0 */
/* 4-bit weights: 6 rows x 16 outputs. vpmaddubsw and vpaddw per row, vector and k-quad, widened by vpmaddwd once for 8
 * quads. Inputs are broadcast for two vectors, weights unpacked for all rows. Sums over groups, and those of a group's
 * earlier quads, wait in memory. */
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_lanes_avx2.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

enum { MR = 6, NR = 16 };
typedef __m256i tile_sums[MR][2];

#include "kernels/gemm/gemm_group_strips.h"

/* sum += x (u8 quads) . w (s4 quads), in 16 bits: [8 outputs][2 pairs]; x is used up. In one piece, and volatile, as
 * GCC 12 moves products apart and spills. */
#define DOT_16(sum, x, w)                                                                           \
    do {                                                                                            \
        __m256i product_;                                                                           \
        __asm__ volatile("vpmaddubsw %4, %2, %3\n\tvpmaddubsw %5, %2, %2\n\t"                       \
                         "vpaddw %3, %0, %0\n\tvpaddw %2, %1, %1"                                   \
                         : "+x"((sum)[0]), "+x"((sum)[1]), "+x"(x), "=&x"(product_)                 \
                         : "x"((w)[0]), "x"((w)[1]));                                               \
    } while (0)
/* A first product, in place of zero and a sum. */
#define FIRST_16(sum, x, w)                                                                         \
    __asm__ volatile("vpmaddubsw %3, %2, %0\n\tvpmaddubsw %4, %2, %1"                               \
                     : "=&x"((sum)[0]), "=x"((sum)[1]) : "x"(x), "x"((w)[0]), "x"((w)[1]))

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

/* Of each row: this group's sums so far, and the sums over groups. */
struct sums {
    tile_sums group;
    __m256 total[MR][2];
};

/* Keeps `sums` in memory until here: as registers they would be spilled inside the loops over quads. */
static inline __attribute__((always_inline)) void keep_in_memory(const size_t height, struct sums *sums)
{
    if (height > 1) __asm__ volatile("" : : "r"(sums) : "memory");
}

/* sum += or, where it is the first, = the quad at byte `offset` of the rows times that in one half of the bytes at w. */
static inline __attribute__((always_inline)) void add_half(const size_t height, const bool first, tile_sums sum,
                                                           const uint8_t *w, const bool high,
                                                           struct inc_tile_rows *rows, const size_t offset)
{
    const __m256i low = _mm256_set1_epi8(15), value = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1)); /* of a half byte */
    __m256i quad[2];
    if (high) __asm__ volatile("" : "+r"(w)); /* loads the bytes again, which leaves two registers */
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m256i both = load(w + 32 * j);
        quad[j] = _mm256_shuffle_epi8(value, _mm256_and_si256(high ? _mm256_srli_epi16(both, 4) : both, low));
    }
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        inc_tile_rows_hide(rows, i);
        __m256i x = _mm256_set1_epi32(inc_tile_quad(rows, i, offset));
        if (first)
            FIRST_16(sum[i], x, quad);
        else
            DOT_16(sum[i], x, quad);
    }
}

/* The next n quads, 2 or 4; `neighbours` lie side by side. */
static inline __attribute__((always_inline)) void add_next(const size_t height, const size_t n, const bool neighbours,
                                                           const bool first, tile_sums sum, struct group *at,
                                                           const struct inc_tile_rows *start)
{
    struct inc_tile_rows rows = *start;
    INC_UNROLL
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !neighbours) inc_tile_rows_to(&rows, start, at->k[i] * (size_t)4);
        add_half(height, first && i == 0, sum, at->w + i / 2 * NR * 4, i % 2 != 0, &rows, neighbours ? 4 * i : 0);
    }
    at->w += n * NR * 2;
    at->k += n;
    at->order.whole -= n;
}

/* The group's sums, in 32 bits, += sum. */
static inline __attribute__((always_inline)) void widen(const size_t height, tile_sums sum, struct sums *sums)
{
    keep_in_memory(height, sums);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        INC_UNROLL
        for (size_t j = 0; j < 2; j++) {
            const __m256i wide = _mm256_madd_epi16(sum[i][j], _mm256_set1_epi16(1));
            sums->group[i][j] = _mm256_add_epi32(sums->group[i][j], wide);
        }
    }
    keep_in_memory(height, sums);
}

static inline __attribute__((always_inline)) void add_eight(const size_t height, const bool neighbours,
                                                            struct group *at, const struct inc_tile_rows *rows,
                                                            struct inc_share *share, struct sums *sums)
{
    tile_sums sum;
    inc_fetch_share(share);
    add_next(height, 4, neighbours, true, sum, at, rows);
    inc_fetch_share(share);
    add_next(height, 4, neighbours, false, sum, at, rows);
    widen(height, sum, sums);
}

static inline __attribute__((always_inline)) void add_group_quads(const size_t height, struct group at,
                                                                  const struct inc_tile_rows *rows,
                                                                  struct inc_share *share, struct sums *sums)
{
    for (; at.order.fours >= 2; at.order.fours -= 2) add_eight(height, true, &at, rows, share, sums);
    while (at.order.whole >= 8) add_eight(height, false, &at, rows, share, sums);
    if (at.order.whole == 0) return;
    tile_sums sum;
    inc_fetch_share(share);
    add_next(height, 2, false, true, sum, &at, rows);
    while (at.order.whole != 0) add_next(height, 2, false, false, sum, &at, rows);
    widen(height, sum, sums);
}

static inline __attribute__((always_inline)) void add_group(const size_t height, const unsigned bits,
                                                            const struct strip_job *job, size_t g,
                                                            const struct inc_tile_rows *rows, struct inc_share *share,
                                                            struct sums *sums)
{
    const struct inc_gemm_group_strip *strip = job->strip;
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m256i of_weights = load(strip->sums + g * NR + 8 * j);
        const __m256i zero = _mm256_mullo_epi32(_mm256_set1_epi32(-job->a_zero), of_weights);
        INC_UNROLL
        for (size_t i = 0; i < height; i++) sums->group[i][j] = zero;
    }
    add_group_quads(height, group_of(strip, g, bits), rows, share, sums);
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m256 scale = _mm256_loadu_ps(strip->scale + g * NR + 8 * j);
        INC_UNROLL
        for (size_t i = 0; i < height; i++)
            sums->total[i][j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums->group[i][j]), scale, sums->total[i][j]);
    }
    keep_in_memory(height, sums);
}

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    const struct inc_tile_rows rows = inc_tile_rows(job->a + row * job->lda, job->lda);
    struct inc_share share = job->share;
    float *c = job->c + row * job->ldc + first;
    struct sums sums;
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        sums.total[i][0] = sums.total[i][1] = _mm256_setzero_ps();
        __builtin_prefetch(c + i * job->ldc, 1);
    }
    for (size_t g = 0; g < job->strip->n_groups; g++) add_group(height, bits, job, g, &rows, &share, &sums);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const __m256 row_scale = _mm256_set1_ps(job->a_scale[row + i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++)
            _mm256_maskstore_ps(c + i * job->ldc + 8 * j, job->mask[j],
                                _mm256_fmadd_ps(sums.total[i][j], row_scale, job->shift[j]));
    }
}

INC_TILES(6, 4)

void inc_gemm_group_run_i4_avx2(size_t m, size_t n, const struct inc_gemm_group_strip *strips, const uint8_t *a,
                                size_t lda, int32_t a_zero, const float *a_scale, const float *bias, float *c,
                                size_t ldc)
{
    struct strip_job job = {.a = a, .lda = lda, .ldc = ldc, .a_zero = a_zero, .a_scale = a_scale, .bias = bias,
                            .c = c};
    run_strips(tiles_4, &job, m, n, slab_of_bytes(lda), strips);
}
