/* SPDX-License-Identifier: Apache-2.0 */
/* How a tile of a kernel file walks quads. It is included behind what differs: NR, tile_sums, and
 *   add_quad(height, bits, sum, w, rows, offset)
 *       sum += the quad at byte `offset` of the rows times the quad at w
 * and, where the kernel has a use for light twos and takes halves, LIGHT_AND_HALVES and
 *   add_light(height, sum, w, rows, offset)
 *       sum += the two quads from byte `offset` on times the light two at w
 *   add_half(height, side, sum, w, rows)
 *       sum += the quad that the rows begin with times half a quad at w */
#ifndef INC_KERNELS_GEMM_TILE_QUADS_H
#define INC_KERNELS_GEMM_TILE_QUADS_H

#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_quads.h"

#ifdef LIGHT_AND_HALVES
/* sum += n halves. */
static inline __attribute__((always_inline)) void add_halves(const size_t height, const size_t side, tile_sums sum,
                                                             const uint8_t *w, const uint16_t *k, size_t n,
                                                             const struct inc_tile_rows *rows)
{
    struct inc_tile_rows at = *rows;
    for (const uint16_t *const end = k + n; k < end; k++, w += NR * 2) {
        inc_tile_rows_to(&at, rows, *k * (size_t)4);
        add_half(height, side, sum, w, &at);
    }
}
#endif

/* sum += quads with the numbers k, in `order`, of the rows times those at w. */
static inline __attribute__((always_inline)) void add_quads(const size_t height, const unsigned bits, tile_sums sum,
                                                            const uint8_t *w, const uint16_t *k,
                                                            const struct inc_quads_order *order,
                                                            const struct inc_tile_rows *rows, struct inc_share *share)
{
    const size_t quad_bytes = NR * bits / 2;
    const uint16_t *const fours_end = k + 4 * order->fours, *const end = k + order->whole;
    struct inc_tile_rows at = *rows;
#ifdef LIGHT_AND_HALVES
    for (const uint16_t *const light_end = k + 4 * order->light; k < light_end; k += 4, w += 4 * quad_bytes) {
        inc_tile_rows_to(&at, rows, *k * (size_t)4);
        inc_fetch_share(share);
        INC_UNROLL
        for (size_t i = 0; i < 4; i += 2) add_light(height, sum, w + i * quad_bytes, &at, 4 * i);
    }
#endif
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
#ifdef LIGHT_AND_HALVES
    add_halves(height, 0, sum, w, k, order->half[0], rows);
    add_halves(height, 1, sum, w + NR * 2 * order->half[0], k + order->half[0], order->half[1], rows);
#endif
}

#endif
