/* SPDX-License-Identifier: Apache-2.0 */
/* How a kernel file of gemm_i8 walks the quads of a strip and the strips of a call. It is included behind what differs:
 * MR, NR, tile_sums, struct strip_job with strip, lda, ldc and share, add_quad and begin_strip. */
#ifndef INC_KERNELS_GEMM_I8_STRIPS_H
#define INC_KERNELS_GEMM_I8_STRIPS_H

#include "kernels/gemm/gemm_slab.h"

typedef void tile_fn(const struct strip_job *job, const uint8_t *a, const float *a_scale, float *c);

/* sum += the rows at `a` times the strip of `job`. */
static inline __attribute__((always_inline)) void add_strip(const size_t height, const struct strip_job *job,
                                                            const uint8_t *a, tile_sums sum)
{
    enum { QUAD_BYTES = NR * 4 };
    const struct inc_tile_rows rows = inc_tile_rows(a, job->lda);
    const struct inc_gemm_i8_strip *strip = job->strip;
    const int8_t *w = strip->w;
    const uint16_t *k = strip->k, *const fours_end = k + 4 * strip->n_fours, *const end = k + strip->n_quads;
    const unsigned char *next = job->share.next;
    for (; k < fours_end; k += 4, w += 4 * QUAD_BYTES) {
        struct inc_tile_rows of_four = inc_tile_rows_at(rows, *k * (size_t)4);
        next = inc_fetch_share(next, job->share.lines);
        INC_UNROLL
        for (size_t i = 0; i < 4; i++) add_quad(height, sum, w + i * QUAD_BYTES, &of_four, 4 * i);
    }
    for (; k < end; k++, w += QUAD_BYTES) {
        struct inc_tile_rows of_quad = inc_tile_rows_at(rows, *k * (size_t)4);
        next = inc_fetch_share(next, job->share.lines);
        add_quad(height, sum, w, &of_quad, 0);
    }
}

static void run_strips(tile_fn *const *tiles, struct strip_job *job, size_t m, size_t n,
                       const struct inc_gemm_i8_strip *strips, const uint8_t *a, int32_t a_zero, const float *a_scale,
                       const float *w_scale, const float *bias, float *c)
{
    const size_t slab = inc_slab_rows(MR, job->lda);
    for (size_t top = 0; top < m; top += slab) {
        const size_t height = inc_min_size(slab, m - top), n_tiles = (height + MR - 1) / MR;
        for (size_t first = 0; first < n; first += NR) {
            const struct inc_gemm_i8_strip *strip = &strips[first / NR];
            begin_strip(job, strip, n - first, a_zero, w_scale + first, bias ? bias + first : NULL);
            const size_t next_bytes = strip[1].n_quads * (size_t)NR * 4;
            const size_t steps = strip->n_quads - (size_t)3 * strip->n_fours;
            for (size_t t = 0; t < n_tiles; t++) {
                job->share = inc_share_of(strip[1].w, next_bytes, t, n_tiles, steps);
                /* Tiles of nearly equal height: MR + 1 rows are two halves, not MR and 1. */
                const size_t begin = top + height * t / n_tiles, end = top + height * (t + 1) / n_tiles;
                tiles[end - begin](job, a + begin * job->lda, a_scale + begin, c + begin * job->ldc + first);
            }
        }
    }
}

#endif
