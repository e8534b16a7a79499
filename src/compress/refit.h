/* SPDX-License-Identifier: Apache-2.0 */
/* Exact least squares for what a mask leaves of a Linear. */
#ifndef INC_COMPRESS_REFIT_H
#define INC_COMPRESS_REFIT_H

#include "base/threads.h"
#include "compress/blocks.h"

/* min over V of E|t - V x|^2 + lambda |V - W|^2, x and t centred. All matrices are dense. */
struct inc_fit {
    size_t out, in;
    const double *weights; /* W: out x in */
    const double *inputs;  /* Cov(x): in x in */
    const double *targets; /* Cov(t, x): out x in */
};

/* `share` of the mean variance of the inputs; 1 if they never vary. */
double inc_fit_ridge(const struct inc_fit *fit, double share);
/* The solution over all inputs, and (Cov(x) + lambda I)^-1. False if that is singular. */
bool inc_fit_whole(struct inc_pool *pool, const struct inc_fit *fit, double lambda, double *solution, double *inverse)
    __attribute__((warn_unused_result));
/* The solution over the blocks that are not chosen, strip by strip; the chosen ones are 0. `result` is `out x in`.
 * INCISE_ERROR_FAILED, not reported, if a strip's matrix is singular. */
enum incise_status inc_fit_masked(const struct inc_ctx *ctx, struct inc_pool *pool, const struct inc_fit *fit,
                                  const struct inc_blocks *blocks, const bool *chosen, double lambda, double *result)
    __attribute__((warn_unused_result));
/* E|t - V x|^2 - E|t|^2 of any V. */
enum incise_status inc_fit_loss(const struct inc_ctx *ctx, struct inc_pool *pool, const struct inc_fit *fit,
                                const double *v, double *loss) __attribute__((warn_unused_result));

#endif
