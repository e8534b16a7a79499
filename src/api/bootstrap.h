/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_API_BOOTSTRAP_H
#define INC_API_BOOTSTRAP_H

#include "base/context.h"
#include "incise/evaluate.h"

/* What is made of one value per text. */
enum inc_statistic {
    INC_STATISTIC_MEAN,
    INC_STATISTIC_P1,       /* 1st percentile, interpolated linearly */
    INC_STATISTIC_ROOT_MEAN /* square root of the mean */
};

/* The statistic of n > 0 values and its 95 % bootstrap interval. Resamples depend on n and `seed` only, so figures over
 * the same texts are resampled alike. */
enum incise_status inc_bootstrap(const struct inc_ctx *ctx, enum inc_statistic statistic, const double *values,
                                 size_t n, uint64_t seed, struct incise_figure *figure)
    __attribute__((warn_unused_result));

#endif
