/* SPDX-License-Identifier: Apache-2.0 */
/* How a tile of up to twelve rows reaches them: six rows from one pointer with multiples of the row stride, since x86
 * addresses multiply by 1, 2, 4 and 8, and add constants, for nothing. A pointer per row would need twelve registers,
 * or as many additions per step: on a core whose other hyperthread works, each instruction that is not arithmetic
 * counts. */
#ifndef INC_KERNELS_GEMM_TILE_ROWS_H
#define INC_KERNELS_GEMM_TILE_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct inc_tile_rows {
    const uint8_t *low, *high; /* rows 0 and 6 */
    size_t x1, x3, x5;         /* multiples of the stride */
};

static inline __attribute__((always_inline)) struct inc_tile_rows inc_tile_rows(const uint8_t *a, size_t stride)
{
    return (struct inc_tile_rows){a, a + 6 * stride, stride, 3 * stride, 5 * stride};
}

/* The rows from byte k on. */
static inline __attribute__((always_inline)) struct inc_tile_rows inc_tile_rows_at(struct inc_tile_rows rows, size_t k)
{
    rows.low += k;
    rows.high += k;
    return rows;
}

/* Called before rows 0 and 6 of each step: hides how the strides hang together, or compilers keep sums of them, which
 * do not fit in the registers. */
static inline __attribute__((always_inline)) void inc_tile_rows_hide(struct inc_tile_rows *rows)
{
    __asm__("" : "+r"(rows->x1), "+r"(rows->x3), "+r"(rows->x5));
}

/* Four bytes at `offset` of row i < 12, both constants. */
static inline __attribute__((always_inline)) int32_t inc_tile_quad(const struct inc_tile_rows *rows, const size_t i,
                                                                   const size_t offset)
{
    const size_t to_row[6] = {0, rows->x1, 2 * rows->x1, rows->x3, 4 * rows->x1, rows->x5};
    int32_t quad;
    memcpy(&quad, (i < 6 ? rows->low : rows->high) + to_row[i % 6] + offset, sizeof quad);
    return quad;
}

#endif
