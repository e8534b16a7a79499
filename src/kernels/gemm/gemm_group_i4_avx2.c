/* SPDX-License-Identifier: Apache-2.0 */
/* 4-bit weights: 6 rows x 16 outputs. vpmaddubsw and vpaddw per row, vector and k-quad, widened by vpmaddwd once for 8
 * quads. Inputs are broadcast for two vectors, weights unpacked for all rows of a tile, or, where there are more tiles,
 * once for all of them. Sums over groups, and those of a group's earlier quads, wait in memory. */
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_lanes_avx2.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

enum { MR = 6, NR = 16, UNPACKED_QUADS = 1024 /* 64 KiB; of 4,096 inputs */ };
typedef __m256i tile_sums[MR][2];

#include "kernels/gemm/gemm_group_strips.h"

/* The quads of a strip as bytes, [nr][4] each. */
struct unpacked {
    const struct inc_gemm_group_strip *strip; /* that stands there */
    uint8_t w[UNPACKED_QUADS * NR * 4] __attribute__((aligned(32)));
};

/* sum += x (u8 quads) . w (s4 quads in `place`, "x" or "m"), in 16 bits: [8 outputs][2 pairs]; x is used up. In one
 * piece, and volatile, as GCC 12 moves products apart and spills. */
#define DOT_16(sum, x, w0, w1, place)                                               \
    do {                                                                            \
        __m256i product_;                                                           \
        __asm__ volatile("vpmaddubsw %4, %2, %3\n\tvpmaddubsw %5, %2, %2\n\t"       \
                         "vpaddw %3, %0, %0\n\tvpaddw %2, %1, %1"                   \
                         : "+x"((sum)[0]), "+x"((sum)[1]), "+x"(x), "=&x"(product_) \
                         : place(w0), place(w1));                                   \
    } while (0)
/* A first product, in place of zero and a sum. */
#define FIRST_16(sum, x, w0, w1, place)                               \
    __asm__ volatile("vpmaddubsw %3, %2, %0\n\tvpmaddubsw %4, %2, %1" \
                     : "=&x"((sum)[0]), "=x"((sum)[1]) : "x"(x), place(w0), place(w1))

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

/* One half of the bytes at w: a quad. */
static inline __attribute__((always_inline)) void unpack_half(const uint8_t *w, const bool high, __m256i quad[2])
{
    const __m256i low = _mm256_set1_epi8(15), value = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1)); /* of a half byte */
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const __m256i both = load_i32(w + 32 * j);
        quad[j] = _mm256_shuffle_epi8(value, _mm256_and_si256(high ? _mm256_srli_epi16(both, 4) : both, low));
    }
}

/* sum += or, where it is the first, = the quad at byte `offset` of the rows times that in one half of the bytes at w,
 * of 4 bits, or in all of them, of 8. */
static inline __attribute__((always_inline)) void add_half(const size_t height, const unsigned bits, const bool first,
                                                           tile_sums sum, const uint8_t *w, const bool high,
                                                           struct inc_tile_rows *rows, const size_t offset)
{
    __m256i quad[2];
    if (bits == 4 && high) __asm__ volatile("" : "+r"(w)); /* loads the bytes again, which leaves two registers */
    if (bits == 4) unpack_half(w, high, quad);
    const __m256i *in_memory = (const __m256i *)(const void *)w; /* of 8 bits */
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        inc_tile_rows_hide(rows, i);
        __m256i x = _mm256_set1_epi32(inc_tile_quad(rows, i, offset));
        if (bits == 4 && first)
            FIRST_16(sum[i], x, quad[0], quad[1], "x");
        else if (bits == 4)
            DOT_16(sum[i], x, quad[0], quad[1], "x");
        else if (first)
            FIRST_16(sum[i], x, in_memory[0], in_memory[1], "m");
        else
            DOT_16(sum[i], x, in_memory[0], in_memory[1], "m");
    }
}

/* The next n quads, 2 or 4; `neighbours` lie side by side. */
static inline __attribute__((always_inline)) void add_next(const size_t height, const unsigned bits, const size_t n,
                                                           const bool neighbours, const bool first, tile_sums sum,
                                                           struct group *at, const struct inc_tile_rows *start)
{
    struct inc_tile_rows rows = *start;
    INC_UNROLL
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !neighbours) inc_tile_rows_to(&rows, start, at->k[i] * (size_t)4);
        const uint8_t *w = at->w + (bits == 4 ? i / 2 : i) * NR * 4;
        add_half(height, bits, first && i == 0, sum, w, i % 2 != 0, &rows, neighbours ? 4 * i : 0);
    }
    at->w += n * NR * bits / 2;
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

static inline __attribute__((always_inline)) void add_eight(const size_t height, const unsigned bits,
                                                            const bool neighbours, struct group *at,
                                                            const struct inc_tile_rows *rows, struct inc_share *share,
                                                            struct sums *sums)
{
    tile_sums sum;
    inc_fetch_share(share);
    add_next(height, bits, 4, neighbours, true, sum, at, rows);
    inc_fetch_share(share);
    add_next(height, bits, 4, neighbours, false, sum, at, rows);
    widen(height, sum, sums);
}

static inline __attribute__((always_inline)) void add_group_quads(const size_t height, const unsigned bits,
                                                                  struct group at, const struct inc_tile_rows *rows,
                                                                  struct inc_share *share, struct sums *sums)
{
    for (; at.order.fours >= 2; at.order.fours -= 2) add_eight(height, bits, true, &at, rows, share, sums);
    while (at.order.whole >= 8) add_eight(height, bits, false, &at, rows, share, sums);
    if (at.order.whole == 0) return;
    tile_sums sum;
    inc_fetch_share(share);
    add_next(height, bits, 2, false, true, sum, &at, rows);
    while (at.order.whole != 0) add_next(height, bits, 2, false, false, sum, &at, rows);
    widen(height, sum, sums);
}

static inline __attribute__((always_inline)) void add_group(const size_t height, const unsigned bits,
                                                            const struct strip_job *job, size_t g,
                                                            const struct inc_tile_rows *rows, struct inc_share *share,
                                                            struct sums *sums)
{
    const uint8_t *w = bits == 8 ? job->unpacked->w : job->strip->w;
    begin_group(height, job, g, sums->group);
    add_group_quads(height, bits, group_of(job->strip, g, w, bits), rows, share, sums);
    end_group(height, job, g, sums->group, sums->total);
    keep_in_memory(height, sums);
}

/* Unless it stands there already: the first tile of a strip does it for all. */
static void unpack_strip(const struct inc_gemm_group_strip *strip, struct unpacked *unpacked)
{
    if (unpacked->strip == strip) return;
    unpacked->strip = strip;
    const size_t bytes = inc_gemm_group_quads(strip) * NR * 2;
    for (size_t i = 0; i < bytes; i += NR * 4)
        for (size_t high = 0; high < 2; high++) {
            __m256i quad[2];
            unpack_half(strip->w + i, high == 1, quad);
            for (size_t j = 0; j < 2; j++)
                _mm256_store_si256((__m256i *)(void *)(unpacked->w + 2 * i + 64 * high + 32 * j), quad[j]);
        }
}

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    const struct inc_tile_rows rows = inc_tile_rows(job->a + row * job->lda, job->lda);
    struct inc_share share = job->share;
    float *c = job->c + row * job->ldc + first;
    struct sums sums;
    if (bits == 8) unpack_strip(job->strip, job->unpacked);
    begin_rows(height, job, c, sums.total);
    for (size_t g = 0; g < job->strip->n_groups; g++) add_group(height, bits, job, g, &rows, &share, &sums);
    store_rows(height, job, row, c, sums.total);
}

INC_TILES(6, 4)
INC_TILES(6, 8)

static bool all_fit(const struct inc_gemm_group_strip *strips, size_t n)
{
    for (size_t first = 0; first < n; first += NR)
        if (inc_gemm_group_quads(&strips[first / NR]) > UNPACKED_QUADS) return false;
    return true;
}

void inc_gemm_group_run_i4_avx2(size_t m, size_t n, const struct inc_gemm_group_strip *strips, const uint8_t *a,
                                size_t lda, int32_t a_zero, const float *a_scale, const float *bias, float *c,
                                size_t ldc)
{
    struct unpacked unpacked;
    unpacked.strip = NULL;
    struct strip_job job = {.a = a, .lda = lda, .ldc = ldc, .a_scale = a_scale, .bias = bias, .c = c, .zero = -a_zero,
                            .unit = 1, .unpacked = &unpacked};
    const bool once = m > 2 * MR && all_fit(strips, n);
    run_strips(once ? tiles_8 : tiles_4, &job, m, n, slab_of_bytes(lda), strips);
}
