/* SPDX-License-Identifier: Apache-2.0 */
/* Which share of each weight goes. */
#ifndef INC_COMPRESS_ALLOCATE_H
#define INC_COMPRESS_ALLOCATE_H

#include "compress/targets.h"
#include "compress/traces.h"

/* One limit for all weights: what costs no more per element goes, so that `share` of all elements does. No weight loses
 * more than `most` of its blocks; one without any has share 0. */
void inc_allocate_by_loss(const struct inc_trace *traces, size_t n, double share, double most, double *shares);

/* Lines of "layer<TAB>share" in `path`; layers that are not listed keep theirs. INCISE_ERROR_DATA names a line that is
 * none, INCISE_ERROR_USAGE a layer that is no target. */
enum incise_status inc_allocate_from_file(const struct inc_targets *targets, const char *path, double *shares)
    __attribute__((warn_unused_result));

#endif
