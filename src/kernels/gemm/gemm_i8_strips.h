/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel files of gemm_i8 have in common, behind their struct strip_job with a, lda, strip and share, and
 * begin_strip. */
#ifndef INC_KERNELS_GEMM_I8_STRIPS_H
#define INC_KERNELS_GEMM_I8_STRIPS_H

#define STRIP struct inc_gemm_i8_strip

static inline size_t strip_bytes(const struct inc_gemm_i8_strip *strip)
{
    return inc_quads_bytes(NR, &strip->order);
}

static inline size_t strip_steps(const struct inc_gemm_i8_strip *strip)
{
    return inc_quads_steps(strip->order.whole);
}

/* sum += the rows from `row` on times the strip. */
static inline __attribute__((always_inline)) void add_strip(const size_t height, const unsigned bits,
                                                            const struct strip_job *job, size_t row, tile_sums sum)
{
    const struct inc_gemm_i8_strip *strip = job->strip;
    const struct inc_tile_rows rows = inc_tile_rows(job->a + row * job->lda, job->lda);
    struct inc_share share = job->share;
    add_quads(height, bits, sum, (const uint8_t *)strip->w, strip->k, &strip->order, &rows, &share);
}

#include "kernels/gemm/gemm_strips.h"

#endif
