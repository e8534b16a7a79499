/* SPDX-License-Identifier: Apache-2.0 */
/* Where the product of a Linear enters the residual stream: at once, or through an RMSNorm (Gemma). */
#ifndef INC_COMPRESS_RESIDUAL_H
#define INC_COMPRESS_RESIDUAL_H

#include "lower/lower.h"

struct inc_residual {
    struct inc_operand rows;          /* what the product, or its norm, is added to */
    const struct inc_norm_step *norm; /* NULL: it is added as it is */
};

/* False if the product of step `step` of the plan, a Linear, is added to no rows, or if others read it too. */
bool inc_residual_find(const struct inc_plan *plan, size_t step, struct inc_residual *residual);

/* y / rms(y) of a row of `width` is y times this. */
float inc_residual_scale(const struct inc_norm_step *norm, const float *row, size_t width);

#endif
