/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching weights: a strip is read in order, but ends after a few KiB, and what follows lies elsewhere. So the tiles
 * of a strip fetch the next strip while they read their own. */
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

/* A tile's share of the strip behind its own: all tiles of a strip together fetch the next one, evenly, so that memory
 * works while they do. */
struct inc_share {
    const unsigned char *next; /* its first line */
    size_t lines;              /* per step of the tile; 0: nothing is fetched */
};

/* Tile `t` of `n_tiles` that make `steps` steps; the next strip has `bytes` at `next`. */
static inline struct inc_share inc_share_of(const void *next, size_t bytes, size_t t, size_t n_tiles, size_t steps)
{
    const size_t all = bytes / 64, first = all * t / n_tiles, last = all * (t + 1) / n_tiles;
    return (struct inc_share){bytes ? (const unsigned char *)next + 64 * first : next,
                              steps ? (last - first + steps - 1) / steps : 0};
}

/* Once per step. What is fetched beyond the share is harmless. */
static inline __attribute__((always_inline)) const unsigned char *inc_fetch_share(const unsigned char *next,
                                                                                  size_t lines)
{
    for (; lines; lines--, next += 64) __builtin_prefetch(next, 0, 2);
    return next;
}

#endif
