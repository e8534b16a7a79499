/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching weights: a strip is read in order, but ends after a few KiB, and what follows lies elsewhere. So a tile
 * that is the last of its strip fetches the next strip while it reads its own. This pays where a weight is used for
 * few rows. */
#ifndef INC_KERNELS_GEMM_AHEAD_H
#define INC_KERNELS_GEMM_AHEAD_H

#include <stddef.h>
#include <stdint.h>

/* From the weights of one strip to those of the next. */
static inline uintptr_t inc_ahead_of(const void *w, const void *next)
{
    return (uintptr_t)next - (uintptr_t)w;
}

/* Called for each cache line w that a tile of `rows` rows, of `most`, reads; ahead 0 fetches nothing new. In whole
 * tiles, whose weights are soon read again, it would take a twentieth of the time. */
static inline __attribute__((always_inline)) void inc_fetch_ahead(const size_t rows, const size_t most, const void *w,
                                                                  uintptr_t ahead)
{
    if (5 * rows <= 4 * most) __builtin_prefetch((const void *)((uintptr_t)w + ahead), 0, 2);
}

#endif
