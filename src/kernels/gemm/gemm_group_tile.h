/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of gemm_group that add_quads makes, behind gemm_group_strips.h. The sums over groups wait in memory while those
 * of a group are made. */
#ifndef INC_KERNELS_GEMM_GROUP_TILE_H
#define INC_KERNELS_GEMM_GROUP_TILE_H

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    const struct inc_tile_rows rows = inc_tile_rows(job->a + row * job->lda, job->lda);
    struct inc_share share = job->share;
    float *c = job->c + row * job->ldc + first;
    vf total[MR][2];
    begin_rows(height, job, c, total);
    for (size_t g = 0; g < job->strip->n_groups; g++) {
        const struct group group = group_of(job->strip, g, job->strip->w, bits);
        tile_sums sum;
        begin_group(height, job, g, sum);
        add_quads(height, bits, sum, group.w, group.k, &group.order, &rows, &share);
        end_group(height, job, g, sum, total);
        /* Keeps `total` in memory: as registers they would be spilled inside the loop over quads. */
        if (2 * height > MR) __asm__ volatile("" : : "r"(total) : "memory");
    }
    store_rows(height, job, row, c, total);
}

#endif
