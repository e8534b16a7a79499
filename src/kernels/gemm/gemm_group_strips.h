/* SPDX-License-Identifier: Apache-2.0 */
/* How a kernel file of gemm_group walks the strips of a call. It is included behind what differs: MR, NR, tile_fn, struct
 * strip_job with lda, ldc and ahead, and begin_strip. */
#ifndef INC_KERNELS_GEMM_GROUP_STRIPS_H
#define INC_KERNELS_GEMM_GROUP_STRIPS_H

#include "kernels/gemm/gemm_slab.h"

static void run_strips(tile_fn *const *tiles, struct strip_job *job, size_t m, size_t n,
                       const struct inc_gemm_group_strip *strips, const uint8_t *a, const float *a_scale,
                       const float *bias, float *c)
{
    const size_t slab = inc_slab_rows(MR, job->lda);
    for (size_t top = 0; top < m; top += slab) {
        const size_t height = inc_min_size(slab, m - top), n_tiles = (height + MR - 1) / MR;
        for (size_t first = 0; first < n; first += NR) {
            const struct inc_gemm_group_strip *strip = &strips[first / NR];
            begin_strip(job, strip, n - first, bias ? bias + first : NULL);
            const uintptr_t ahead = n - first > NR ? inc_ahead_of(strip->w, strip[1].w) : 0;
            for (size_t t = 0; t < n_tiles; t++) {
                job->ahead = t + 1 == n_tiles ? ahead : 0;
                /* Tiles of nearly equal height: MR + 1 rows are two halves, not MR and 1. */
                const size_t begin = top + height * t / n_tiles, end = top + height * (t + 1) / n_tiles;
                tiles[end - begin](job, a + begin * job->lda, a_scale + begin, c + begin * job->ldc + first);
            }
        }
    }
}

#endif
