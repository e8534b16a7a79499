/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of integers on AVX2: 10 rows x 8 outputs: vpmaddubsw, vpmaddwd by ones, vpaddd per row and k-quad. Packing has
 * split every weight pair that could saturate vpmaddubsw (gemm_quads.h), so the full-rate sequence is exact for all u8
 * activations. A strip is 8 outputs wide, not 16, as a quad is then repeated, or kept, for 8 outputs only. */
#ifndef INC_KERNELS_GEMM_TILE_AVX2_H
#define INC_KERNELS_GEMM_TILE_AVX2_H

#include "kernels/gemm/gemm_lanes_avx2.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

enum { MR = 10, NR = 8 };
typedef __m256i tile_sums[MR];

/* sum += x (u8 quads) . w (s8 quads); x is used up. In one piece, as GCC 12 hoists the products apart and spills. */
#define DOT(sum, x, w, ones)                                                             \
    __asm__("vpmaddubsw %2, %1, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0" \
            : "+x"(sum), "+x"(x)                                                         \
            : "x"(w), "x"(ones))

/* 8-bit weights. */
static inline __attribute__((always_inline)) void add_quad(const size_t height, const unsigned bits, tile_sums sum,
                                                           const uint8_t *w, struct inc_tile_rows *rows,
                                                           const size_t offset)
{
    (void)bits;
    const __m256i ones = _mm256_set1_epi16(1), quad = load(w);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        inc_tile_rows_hide(rows, i);
        __m256i x = _mm256_set1_epi32(inc_tile_quad(rows, i, offset));
        DOT(sum[i], x, quad, ones);
    }
}

#include "kernels/gemm/gemm_tile_quads.h"

#endif
