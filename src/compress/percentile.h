/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_COMPRESS_PERCENTILE_H
#define INC_COMPRESS_PERCENTILE_H

#include "base/context.h"

/* The `share`-quantile (0..1) of n > 0 finite values >= 0, interpolated linearly between order statistics as
 * numpy.percentile(values, 100 * share) does. */
enum incise_status inc_percentile(const struct inc_ctx *ctx, const double *values, size_t n, double share,
                                  double *result)
    __attribute__((warn_unused_result));

#endif
