/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of integers on AVX2: 5 rows x 16 outputs, weights as operands in memory, so that a row's inputs are broadcast
 * for two vectors of outputs and nothing else is loaded; a sixth row would leave no register for the ones. Per row,
 * vector and quad: vpmaddubsw, vpmaddwd by ones, vpaddd. Packing has split every weight pair that could saturate
 * vpmaddubsw (gemm_quads.h), so this is exact for all u8 activations. Of light fours two quads are added in 16 bits
 * first: five instructions, not six. */
#ifndef INC_KERNELS_GEMM_TILE_AVX2_H
#define INC_KERNELS_GEMM_TILE_AVX2_H

#include "kernels/gemm/gemm_lanes_avx2.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

#define LIGHT_AND_HALVES
enum { MR = 5, NR = 16 };
typedef __m256i tile_sums[MR][2];

/* Two vectors of weights, as an operand in memory. */
#define WEIGHTS(w, vector) "m"(*(const __m256i_u *)((w) + 32 * (vector)))

/* sum[j] += x (u8 quads) . w[j] (s8 quads); x is used up. In one piece, as GCC 12 moves products apart and spills. */
#define DOT(sum, x, w, ones)                                             \
    do {                                                                 \
        __m256i first_;                                                  \
        __asm__("vpmaddubsw %4, %2, %3\n\tvpmaddubsw %5, %2, %2\n\t"     \
                "vpmaddwd %6, %3, %3\n\tvpmaddwd %6, %2, %2\n\t"         \
                "vpaddd %3, %0, %0\n\tvpaddd %2, %1, %1"                 \
                : "+x"((sum)[0]), "+x"((sum)[1]), "+x"(x), "=&x"(first_) \
                : WEIGHTS(w, 0), WEIGHTS(w, 1), "x"(ones));              \
    } while (0)

/* The same of two quads: x and y times those at w and w + 64, whose products fit 16 bits together. */
#define DOT_LIGHT(sum, x, y, w, ones)                                                             \
    do {                                                                                          \
        __m256i first_, second_;                                                                  \
        __asm__("vpmaddubsw %6, %2, %4\n\tvpmaddubsw %8, %3, %5\n\t"                              \
                "vpmaddubsw %7, %2, %2\n\tvpmaddubsw %9, %3, %3\n\t"                              \
                "vpaddw %5, %4, %4\n\tvpaddw %3, %2, %2\n\t"                                      \
                "vpmaddwd %10, %4, %4\n\tvpmaddwd %10, %2, %2\n\t"                                \
                "vpaddd %4, %0, %0\n\tvpaddd %2, %1, %1"                                          \
                : "+x"((sum)[0]), "+x"((sum)[1]), "+x"(x), "+x"(y), "=&x"(first_), "=&x"(second_) \
                : WEIGHTS(w, 0), WEIGHTS(w, 1), WEIGHTS(w, 2), WEIGHTS(w, 3), "x"(ones));         \
    } while (0)

/* 8-bit weights. */
static inline __attribute__((always_inline)) void add_quad(const size_t height, const unsigned bits, tile_sums sum,
                                                           const uint8_t *w, struct inc_tile_rows *rows,
                                                           const size_t offset)
{
    (void)bits;
    const __m256i ones = _mm256_set1_epi16(1);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        inc_tile_rows_hide(rows, i);
        __m256i x = _mm256_set1_epi32(inc_tile_quad(rows, i, offset));
        DOT(sum[i], x, w, ones);
    }
}

/* Two of a light four. */
static inline __attribute__((always_inline)) void add_light(const size_t height, tile_sums sum, const uint8_t *w,
                                                            struct inc_tile_rows *rows, const size_t offset)
{
    const __m256i ones = _mm256_set1_epi16(1);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        inc_tile_rows_hide(rows, i);
        __m256i x = _mm256_set1_epi32(inc_tile_quad(rows, i, offset));
        __m256i y = _mm256_set1_epi32(inc_tile_quad(rows, i, offset + 4));
        DOT_LIGHT(sum[i], x, y, w, ones);
    }
}

/* Products of half the outputs; x is used up. */
#define DOT_HALF(sum, x, w, ones)                                               \
    __asm__("vpmaddubsw %2, %1, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0" \
            : "+x"(sum), "+x"(x)                                                \
            : WEIGHTS(w, 0), "x"(ones))

static inline __attribute__((always_inline)) void add_half(const size_t height, const size_t side, tile_sums sum,
                                                           const uint8_t *w, struct inc_tile_rows *rows)
{
    const __m256i ones = _mm256_set1_epi16(1);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        inc_tile_rows_hide(rows, i);
        __m256i x = _mm256_set1_epi32(inc_tile_quad(rows, i, 0));
        DOT_HALF(sum[i][side], x, w, ones);
    }
}

#include "kernels/gemm/gemm_tile_quads.h"

#endif
