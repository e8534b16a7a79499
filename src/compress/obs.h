/* SPDX-License-Identifier: Apache-2.0 */
/* Optimal brain surgeon by blocks: which blocks to remove when what stays makes up for them.
 *
 * A strip's outputs lose E|t - W x|^2 + lambda |W - W_old|^2, a quadratic with Hessian 2 H, H = Cov(x) + lambda I,
 * around its least point. Removing block j from W costs tr(W_j [(H^-1)_jj]^-1 W_j^T) and changes the other columns by
 * -W_j [(H^-1)_jj]^-1 (H^-1)_j: (Hassibi & Stork 1993; Frantar & Alistarh 2022). */
#ifndef INC_COMPRESS_OBS_H
#define INC_COMPRESS_OBS_H

#include "base/threads.h"
#include "compress/blocks.h"

/* Removes the blocks of each strip one by one, always the cheapest of it, until none is left, and merges the strips'
 * orders into removals[blocks->n]: the first k of them are the choice for k blocks, for every k. A step's loss is the
 * largest of its strip so far. `start`: out x in, the least point of the quadratic; `inverse`: H^-1, in x in. */
enum incise_status inc_obs_trace(const struct inc_ctx *ctx, struct inc_pool *pool, const struct inc_blocks *blocks,
                                 const double *start, const double *inverse, struct inc_removal *removals)
    __attribute__((warn_unused_result));

#endif
