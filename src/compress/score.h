/* SPDX-License-Identifier: Apache-2.0 */
/* How much the blocks of a weight seem to matter. */
#ifndef INC_COMPRESS_SCORE_H
#define INC_COMPRESS_SCORE_H

#include "base/threads.h"
#include "compress/blocks.h"

enum inc_norm { INC_NORM_L1, INC_NORM_L2 };

struct inc_scores {
    double *scores;  /* blocks->n: the norm, or with column factors the sum of factor * w^2 */
    double *squares; /* sum of w^2 */
    size_t *zeros;   /* elements that are zero */
};

/* Reads the weight once. `factors`: one per input, or NULL. Release in any case. */
enum incise_status inc_scores_compute(const struct inc_ctx *ctx, struct inc_pool *pool, const struct inc_weight *weight,
                                      const struct inc_blocks *blocks, enum inc_norm norm, const double *factors,
                                      struct inc_scores *scores) __attribute__((warn_unused_result));
void inc_scores_release(const struct inc_ctx *ctx, struct inc_scores *scores);

/* Chooses the blocks whose score is below the `share`-quantile of all scores. */
enum incise_status inc_choose_lowest(const struct inc_ctx *ctx, const double *scores, size_t n, double share,
                                     bool *chosen) __attribute__((warn_unused_result));
/* Chooses round(share * n) blocks at random. The stream depends on seed and layer only, so a layer's blocks do not
 * change with what else is selected. */
void inc_choose_random(const char *layer, uint64_t seed, size_t n, double share, bool *chosen);

#endif
