/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching weights: a strip is read in order, but ends after a few KiB, and what follows lies elsewhere. So the tiles
 * of a strip together fetch the next one, evenly, so that memory works while they do. */
#ifndef INC_KERNELS_GEMM_AHEAD_H
#define INC_KERNELS_GEMM_AHEAD_H

#include <stddef.h>

/* A tile's share of the strip behind its own. */
struct inc_share {
    const unsigned char *next, *end; /* of its lines that are left */
    size_t lines;                    /* per step of the tile */
};

/* Tile `t` of `n_tiles` that make `steps` steps; the next strip has `bytes` at `next`. */
static inline struct inc_share inc_share_of(const void *next, size_t bytes, size_t t, size_t n_tiles, size_t steps)
{
    const size_t all = bytes / 64, first = all * t / n_tiles, last = all * (t + 1) / n_tiles;
    const unsigned char *const w = next;
    if (bytes == 0 || steps == 0) return (struct inc_share){w, w, 0};
    return (struct inc_share){w + 64 * first, w + 64 * last, (last - first + steps - 1) / steps};
}

/* Once per step, until nothing is left. What is fetched beyond the share is harmless. */
static inline __attribute__((always_inline)) void inc_fetch_share(struct inc_share *share)
{
    if (share->next >= share->end) return;
    for (size_t i = 0; i < share->lines; i++, share->next += 64) __builtin_prefetch(share->next, 0, 2);
}

#endif
