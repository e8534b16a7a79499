/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_API_ACCURACY_H
#define INC_API_ACCURACY_H

#include "api/engine_internal.h"
#include "compress/calibration.h"
#include "compress/changes.h"

/* Quantizes *graph, read from `folder`, as far as options->requirements allow. On success *graph is the result, else
 * what it was. */
enum incise_status inc_quantize_controlled(struct incise_engine *engine, struct inc_graph **graph, const char *folder,
                                           const struct incise_quantize_options *options,
                                           struct inc_calibration *calibration, struct incise_changes *changes)
    __attribute__((warn_unused_result));

#endif
