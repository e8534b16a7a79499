/* SPDX-License-Identifier: Apache-2.0 */
/* How a kernel file of gemm walks the strips of a call, in tiles. It is included behind what differs:
 *   MR, NR                              rows and outputs of the largest tile
 *   STRIP                               struct inc_gemm_*_strip
 *   struct strip_job                    what a tile needs besides its place, with `share`: the call and a strip of it
 *   begin_strip(job, strip, first, n)   sets the strip, whose first output is `first` of n
 *   strip_bytes(strip)                  of its weights
 *   strip_steps(strip)                  how often a tile of it fetches its share of the next (gemm_ahead.h) */
#ifndef INC_KERNELS_GEMM_STRIPS_H
#define INC_KERNELS_GEMM_STRIPS_H

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/unroll.h"

/* Rows row.. of A times the strip of `job`, to outputs first.. of C. */
typedef void tile_fn(const struct strip_job *job, size_t row, size_t first);

/* INC_TILES(MR as a number, bits): tiles_<bits>, [MR + 1] tile functions by rows, made of run_tile(rows, bits, job,
 * row, first), whose rows and bits are constants. */
#define INC_TILES_5(X, bits)  X(1, bits) X(2, bits) X(3, bits) X(4, bits) X(5, bits)
#define INC_TILES_6(X, bits)  X(1, bits) X(2, bits) X(3, bits) X(4, bits) X(5, bits) X(6, bits)
#define INC_TILES_10(X, bits) INC_TILES_6(X, bits) X(7, bits) X(8, bits) X(9, bits) X(10, bits)
#define INC_TILES_12(X, bits) INC_TILES_10(X, bits) X(11, bits) X(12, bits)
#define INC_TILE(rows, bits)                                                                \
    static void tile_##bits##_##rows(const struct strip_job *job, size_t row, size_t first) \
    {                                                                                       \
        run_tile(rows, bits, job, row, first);                                              \
    }
#define INC_TILE_NAME(rows, bits) tile_##bits##_##rows,
#define INC_TILES(mr, bits)          \
    INC_TILES_##mr(INC_TILE, bits)   \
    static tile_fn *const tiles_##bits[MR + 1] = {NULL, INC_TILES_##mr(INC_TILE_NAME, bits)};

/* A row of outputs will be written. */
static inline __attribute__((always_inline)) void fetch_outputs(const float *c)
{
    INC_UNROLL
    for (size_t j = 0; j < NR; j += 16) __builtin_prefetch(c + j, 1);
}

/* Rows of u8, lda bytes apart, that stay in L1 beside a strip while all strips pass over them: whole tiles. */
static inline size_t slab_of_bytes(size_t lda)
{
    const size_t tiles_that_fit = (size_t)(32 << 10) / (MR * lda);
    return MR * inc_max_size(tiles_that_fit, 1);
}

/* tiles: [MR + 1], by rows; `slab` rows pass all strips before the next ones do. */
static void run_strips(tile_fn *const *tiles, struct strip_job *job, size_t m, size_t n, size_t slab,
                       const STRIP *strips)
{
    for (size_t top = 0; top < m; top += slab) {
        const size_t height = inc_min_size(slab, m - top), n_tiles = (height + MR - 1) / MR;
        for (size_t first = 0; first < n; first += NR) {
            const STRIP *strip = &strips[first / NR];
            const size_t steps = strip_steps(strip);
            begin_strip(job, strip, first, n);
            for (size_t t = 0; t < n_tiles; t++) {
                job->share = inc_share_of(strip[1].w, strip_bytes(&strip[1]), t, n_tiles, steps);
                /* Tiles of nearly equal height: MR + 1 rows are two halves, not MR and 1. */
                const size_t begin = top + height * t / n_tiles, end = top + height * (t + 1) / n_tiles;
                tiles[end - begin](job, begin, first);
            }
        }
    }
}

#endif
