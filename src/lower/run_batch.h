/* SPDX-License-Identifier: Apache-2.0 */
/* Between padded tensors and packed rows. */
#ifndef INC_LOWER_RUN_BATCH_H
#define INC_LOWER_RUN_BATCH_H

#include "lower/run.h"

/* From run->feeds: which tokens are real (all, if no input is padding), their sequences and positions; memory for them.
 */
enum incise_status inc_run_pack_tokens(struct inc_run *run) __attribute__((warn_unused_result));
/* From run->wanted: id and position rows, biases. */
enum incise_status inc_run_pack_index(struct inc_run *run) __attribute__((warn_unused_result));
/* Into run->outputs: rows back at their places, zeros at the padding. */
enum incise_status inc_run_unpack(struct inc_run *run) __attribute__((warn_unused_result));

#endif
