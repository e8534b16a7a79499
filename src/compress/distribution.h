/* SPDX-License-Identifier: Apache-2.0 */
/* How often which values occur, for ranges of static quantization. */
#ifndef INC_COMPRESS_DISTRIBUTION_H
#define INC_COMPRESS_DISTRIBUTION_H

#include "base/context.h"

/* Bins are the leading 13 bits of floats: sign, exponent and 4 bits of the fraction. No range need be known. */
#define INC_DISTRIBUTION_BINS 8192

struct inc_distribution {
    float low, high; /* smallest and largest value seen, and 0 */
    uint64_t counts[INC_DISTRIBUTION_BINS];
};

/* Adds n rows of `width` values. False if one of them is not finite. */
bool inc_distribution_add(struct inc_distribution *distribution, const float *rows, size_t n, size_t width,
                          size_t stride) __attribute__((warn_unused_result));

enum inc_range {
    INC_RANGE_MINMAX, /* all values seen */
    INC_RANGE_MSE     /* of least squared error: what lies outside is cut off, what lies inside is rounded */
};
/* A range of 255 steps around 0, one of which ends at 0 exactly: low = -zero * scale, high = (255 - zero) * scale. */
void inc_distribution_range(const struct inc_distribution *distribution, enum inc_range method, float *low,
                            float *high);

#endif
