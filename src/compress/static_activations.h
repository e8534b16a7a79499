/* SPDX-License-Identifier: Apache-2.0 */
/* Static quantization of what Linears read: one FakeQuantize of 256 levels per tensor, calibrated on texts. */
#ifndef INC_COMPRESS_STATIC_ACTIVATIONS_H
#define INC_COMPRESS_STATIC_ACTIVATIONS_H

#include "compress/calibration.h"
#include "compress/distribution.h"
#include "compress/targets.h"

/* Puts a FakeQuantize in front of the targets that are MatMuls and have none; those that read the same value share
 * one, named "<layer>/fq_input_0". The graph must run fused. INCISE_ERROR_DATA names a layer that reads a number that
 * is not finite. */
enum incise_status inc_static_activations(struct inc_graph *graph, struct inc_calibration *calibration,
                                          const struct inc_targets *targets, enum inc_range range)
    __attribute__((warn_unused_result));

#endif
