/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_LOWER_WORK_H
#define INC_LOWER_WORK_H

#include "incise/session.h"
#include "lower/program.h"

/* What step `index` has to do for `batch`. */
void inc_step_work(const struct inc_program *program, size_t index, const struct inc_batch *batch,
                   struct incise_work *work);

/* Pairs of tokens of a text of n that see each other; window as in inc_attention_step. */
double inc_visible_pairs(size_t n, bool causal, uint32_t window);

#endif
