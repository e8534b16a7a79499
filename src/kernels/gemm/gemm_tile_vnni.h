/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of integers on VNNI: 12 rows x 32 outputs: 24 accumulators, one broadcast quad of A per row, two vectors of
 * weights. 4-bit weights are taken as 16 * w. */
#ifndef INC_KERNELS_GEMM_TILE_VNNI_H
#define INC_KERNELS_GEMM_TILE_VNNI_H

#include "kernels/gemm/gemm_lanes_avx512.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

enum { MR = 12, NR = 32 };
typedef __m512i tile_sums[MR][2];

/* GCC 12 spills the accumulators around the intrinsic; as one line of assembly it does not. */
#define DOT(sum, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))

static inline __attribute__((always_inline)) void add_quad(const size_t height, const unsigned bits, tile_sums sum,
                                                           const uint8_t *w, struct inc_tile_rows *rows,
                                                           const size_t offset)
{
    __m512i w0 = _mm512_load_si512(w), w1;
    if (bits == 8) {
        w1 = _mm512_load_si512(w + 64);
    } else {
        const __m512i both = w0, high = _mm512_set1_epi8((char)0xf0);
        w0 = _mm512_and_si512(_mm512_slli_epi16(both, 4), high);
        w1 = _mm512_and_si512(both, high);
    }
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        inc_tile_rows_hide(rows, i);
        const __m512i x = _mm512_set1_epi32(inc_tile_quad(rows, i, offset));
        DOT(sum[i][0], x, w0);
        DOT(sum[i][1], x, w1);
    }
}

#include "kernels/gemm/gemm_tile_quads.h"

#endif
