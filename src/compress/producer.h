/* SPDX-License-Identifier: Apache-2.0 */
/* Which steps of a plan make the rows that another one reads, and which layers of the file graph they were. */
#ifndef INC_COMPRESS_PRODUCER_H
#define INC_COMPRESS_PRODUCER_H

#include "compress/targets.h"
#include "lower/program.h"

/* The step that writes `buffer`; NULL: none. */
const struct inc_step *inc_writer_of(const struct inc_plan *plan, uint32_t buffer);
/* Whether `reader` alone reads `buffer`, from its first column on. */
bool inc_is_only_reader(const struct inc_plan *plan, const struct inc_step *reader, uint32_t buffer);
/* The Linear, without a residual, whose `width` outputs are what `reader` alone reads as input `index`; NULL: none. */
const struct inc_step *inc_inner_linear(const struct inc_plan *plan, const struct inc_step *reader, uint32_t index,
                                        uint32_t width);
/* The target of the file graph that became `step`, a Linear, by name and size; NULL if there is none. */
const struct inc_target *inc_target_of(const struct inc_plan *plan, const struct inc_targets *targets,
                                       const struct inc_step *step);

#endif
