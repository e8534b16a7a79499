/* SPDX-License-Identifier: Apache-2.0 */
/* Whole removal orders: in which order the blocks of each weight go, and what that costs, so that the choice for every
 * sparsity can be read from them. */
#ifndef INC_COMPRESS_TRACES_H
#define INC_COMPRESS_TRACES_H

#include "compress/blocks.h"
#include "compress/kept.h"
#include "compress/targets.h"

/* Of one weight. Losses are relative to what its product is worth, so that those of different weights compare. */
struct inc_trace {
    struct inc_removal *removals; /* n: losses rise, and each block is there once */
    size_t n;
    double elements; /* of one block */
};

/* One per target. */
struct inc_traces {
    const struct inc_ctx *ctx;
    struct inc_trace *items;
    size_t n;
};

/* `height` x `width`: of a block; height 0: all rows. wanted[target] (NULL: all): the others have no blocks. The
 * removals are zeroed. Release in any case. */
enum incise_status inc_traces_create(const struct inc_targets *targets, size_t height, size_t width, const bool *wanted,
                                     struct inc_traces *traces) __attribute__((warn_unused_result));
void inc_traces_release(struct inc_traces *traces);

extern const struct inc_sealed_kind inc_traces_kind;

enum incise_status inc_traces_save(const struct inc_traces *traces, const struct inc_targets *targets,
                                   const struct inc_origin *origin, const char *path)
    __attribute__((warn_unused_result));
/* Fills created traces. INCISE_ERROR_DATA for a file that is damaged, of another origin or of other layers. */
enum incise_status inc_traces_load(struct inc_traces *traces, const struct inc_targets *targets,
                                   const struct inc_origin *origin, const char *path)
    __attribute__((warn_unused_result));

#endif
