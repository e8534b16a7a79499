/* SPDX-License-Identifier: Apache-2.0 */
/* Smoothing (SmoothQuant, arXiv 2211.10438): where a few channels of what Linears read are large, they are divided by a
 * factor that the weights take up. Nothing is computed more, since the factor goes into what multiplies the channel
 * before: the gain and bias of a norm, the rows of the matrix behind a gated product's other side, or those of the
 * values that attention averages. */
#ifndef INC_COMPRESS_SMOOTH_H
#define INC_COMPRESS_SMOOTH_H

#include "compress/calibration.h"
#include "compress/targets.h"

/* Channel j gets the power of two nearest to max|x_j|^strength / max|w_j|^(1 - strength) over its geometric mean of all
 * channels, so that the model computes the same bits in FP32. Only where the Linears that read the rows, all of them
 * targets, are the only ones who do; *n groups of such Linears, perhaps none. `statistics`: a file of them of the same
 * model and texts, which gives the same bits; NULL: the model is run on the texts. Destroys marks.
 * INCISE_ERROR_DATA if the model runs op by op, or names a layer that reads a number that is not finite. */
enum incise_status inc_smooth(struct inc_graph *graph, struct inc_calibration *calibration,
                              const struct inc_targets *targets, double strength, const char *statistics, size_t *n)
    __attribute__((warn_unused_result));

#endif
