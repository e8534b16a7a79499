/* SPDX-License-Identifier: Apache-2.0 */
/* What fused ops mean, written as the file ops that they stand for. Tests and checks use it; running a model does not.
 */
#ifndef INC_LOWER_EXPAND_H
#define INC_LOWER_EXPAND_H

#include "lower/lower.h"

/* Replaces every fused node of lowering->graph by file ops of the same meaning, type and shape, so that the reference
 * evaluator can run the graph after any pass. Padding of attention is read from lowering->mask. INCISE_ERROR_DATA if a
 * node's expansion has not the type and shape that the pass gave the node. */
enum incise_status inc_expand(struct inc_lowering *lowering) __attribute__((warn_unused_result));

#endif
