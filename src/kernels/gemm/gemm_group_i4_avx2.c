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

/* sum += or, where it is the first, = the quad at byte `offset` of the rows times one half of the bytes at w. */
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
        const __m256i both = load_i32(w + 32 * j);
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
    begin_group(height, job, g, sums->group);
    add_group_quads(height, group_of(job->strip, g, bits), rows, share, sums);
    end_group(height, job, g, sums->group, sums->total);
    keep_in_memory(height, sums);
}

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    const struct inc_tile_rows rows = inc_tile_rows(job->a + row * job->lda, job->lda);
    struct inc_share share = job->share;
    float *c = job->c + row * job->ldc + first;
    struct sums sums;
    begin_rows(height, job, c, sums.total);
    for (size_t g = 0; g < job->strip->n_groups; g++) add_group(height, bits, job, g, &rows, &share, &sums);
    store_rows(height, job, row, c, sums.total);
}

INC_TILES(6, 4)
INC_GEMM_GROUP_RUN(avx2, 4, 1)
