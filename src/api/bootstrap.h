/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_API_BOOTSTRAP_H
#define INC_API_BOOTSTRAP_H

#include "base/context.h"
#include "incise/evaluate.h"

/* A statistic of n items of which item i counts counts[i] times, n times in all. */
typedef double inc_statistic_fn(const void *data, const uint32_t *counts, size_t n);

/* The statistic of n > 0 items and its 95 % bootstrap interval. Resamples depend on n and `seed` only, so figures over
 * the same texts are resampled alike. */
enum incise_status inc_bootstrap(const struct inc_ctx *ctx, inc_statistic_fn *statistic, const void *data, size_t n,
                                 uint64_t seed, struct incise_figure *figure) __attribute__((warn_unused_result));

/* Statistics of one double per item; `data` are the values. */
inc_statistic_fn inc_statistic_mean;
inc_statistic_fn inc_statistic_root_mean; /* square root of the mean */

/* 1st percentile of n > 0 values, interpolated linearly, with its interval. */
enum incise_status inc_bootstrap_p1(const struct inc_ctx *ctx, const double *values, size_t n, uint64_t seed,
                                    struct incise_figure *figure) __attribute__((warn_unused_result));

/* Values in rising order with the place each came from. */
struct inc_ranked {
    double value;
    size_t index;
};
/* Sorts n items by value. */
void inc_rank(struct inc_ranked *items, size_t n);

#endif
