/* SPDX-License-Identifier: Apache-2.0 */
/* How a tile of a kernel file walks quads. It is included behind what differs: NR, tile_sums, and
 *   add_quad(height, bits, sum, w, rows, offset)
 *       sum += the quad at byte `offset` of the rows times the quad at w */
#ifndef INC_KERNELS_GEMM_TILE_QUADS_H
#define INC_KERNELS_GEMM_TILE_QUADS_H

#include "kernels/gemm/gemm_ahead.h"

/* sum += n quads with the numbers k, the first of them in fours of neighbours, of the rows times those at w. */
static inline __attribute__((always_inline)) void add_quads(const size_t height, const unsigned bits, tile_sums sum,
                                                            const uint8_t *w, const uint16_t *k, size_t n_fours,
                                                            size_t n, const struct inc_tile_rows *rows,
                                                            struct inc_share *share)
{
    const size_t quad_bytes = NR * bits / 2;
    const uint16_t *const fours_end = k + 4 * n_fours, *const end = k + n;
    struct inc_tile_rows at = *rows;
    for (; k < fours_end; k += 4, w += 4 * quad_bytes) {
        inc_tile_rows_to(&at, rows, *k * (size_t)4);
        inc_fetch_share(share);
        INC_UNROLL
        for (size_t i = 0; i < 4; i++) add_quad(height, bits, sum, w + i * quad_bytes, &at, 4 * i);
    }
    for (; end - k >= 4; k += 4, w += 4 * quad_bytes) {
        inc_fetch_share(share);
        INC_UNROLL
        for (size_t i = 0; i < 4; i++) {
            inc_tile_rows_to(&at, rows, k[i] * (size_t)4);
            add_quad(height, bits, sum, w + i * quad_bytes, &at, 0);
        }
    }
    for (; k < end; k++, w += quad_bytes) {
        inc_tile_rows_to(&at, rows, *k * (size_t)4);
        inc_fetch_share(share);
        add_quad(height, bits, sum, w, &at, 0);
    }
}

#endif
