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

/* Moves `rows` to byte k from where `start`, a copy, stands. (Two whole structs at work would need more registers.) */
static inline __attribute__((always_inline)) void inc_tile_rows_to(struct inc_tile_rows *rows,
                                                                   const struct inc_tile_rows *start, size_t k)
{
    rows->low = start->low + k;
    rows->high = start->high + k;
}

/* Called before row i of each step: before rows 0 and 6 it hides how strides and pointers hang together, or compilers
 * keep sums of them, which do not fit in the registers. */
static inline __attribute__((always_inline)) void inc_tile_rows_hide(struct inc_tile_rows *rows, const size_t i)
{
    if (i % 6 != 0) return;
    __asm__("" : "+r"(rows->x1), "+r"(rows->x3), "+r"(rows->x5));
    if (i == 0)
        __asm__("" : "+r"(rows->low));
    else
        __asm__("" : "+r"(rows->high));
}

/* Byte `offset` of row i < 12, both constants. */
static inline __attribute__((always_inline)) const uint8_t *inc_tile_at(const struct inc_tile_rows *rows,
                                                                        const size_t i, const size_t offset)
{
    const size_t to_row[6] = {0, rows->x1, 2 * rows->x1, rows->x3, 4 * rows->x1, rows->x5};
    return (i < 6 ? rows->low : rows->high) + to_row[i % 6] + offset;
}

/* The four bytes there. */
static inline __attribute__((always_inline)) int32_t inc_tile_quad(const struct inc_tile_rows *rows, const size_t i,
                                                                   const size_t offset)
{
    int32_t quad;
    memcpy(&quad, inc_tile_at(rows, i, offset), sizeof quad);
    return quad;
}

#endif
