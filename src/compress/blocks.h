/* SPDX-License-Identifier: Apache-2.0 */
/* A weight W[out, in] cut into blocks, and the order in which blocks go. */
#ifndef INC_COMPRESS_BLOCKS_H
#define INC_COMPRESS_BLOCKS_H

#include "base/size.h"
#include "graph/weight.h"

/* Blocks of height x width, those at the far edges cut short, numbered row by row of blocks. A row of blocks is a
 * strip: its outputs share the inputs that they keep. */
struct inc_blocks {
    size_t out, in;
    size_t height, width;
    size_t across, down, n; /* blocks per strip, strips, and in all */
};

static inline struct inc_blocks inc_blocks_of(size_t out, size_t in, size_t height, size_t width)
{
    size_t across = (in - 1) / width + 1, down = (out - 1) / height + 1;
    return (struct inc_blocks){out, in, height, width, across, down, across * down};
}
static inline size_t inc_strip_height(const struct inc_blocks *blocks, size_t strip)
{
    return inc_min_size(blocks->height, blocks->out - strip * blocks->height);
}
static inline size_t inc_block_width(const struct inc_blocks *blocks, size_t across)
{
    return inc_min_size(blocks->width, blocks->in - across * blocks->width);
}
static inline size_t inc_block_elements(const struct inc_blocks *blocks, size_t block)
{
    return inc_strip_height(blocks, block / blocks->across) * inc_block_width(blocks, block % blocks->across);
}

/* Blocks in the order in which they go. The loss of each step is at least that of the one before. */
struct inc_removal {
    double loss;
    uint32_t block;
};

/* Sorts by loss; equal ones stay in the order of `block`. */
void inc_removals_sort(struct inc_removal *removals, size_t n);

/* Sets chosen[block] for the first `n` removals. */
static inline void inc_removals_choose(const struct inc_removal *removals, size_t n, bool *chosen)
{
    for (size_t i = 0; i < n; i++) chosen[removals[i].block] = true;
}

/* Writes logical zero over the chosen blocks in `data`, a copy of the constant's bytes. */
void inc_blocks_zero(const struct inc_blocks *blocks, const struct inc_weight *weight, const bool *chosen,
                     unsigned char *data);

#endif
