/* SPDX-License-Identifier: Apache-2.0 */
/* The list of edited weights behind incise/compress.h, and what every edit is handed. */
#ifndef INC_COMPRESS_CHANGES_H
#define INC_COMPRESS_CHANGES_H

#include "base/arena.h"
#include "base/threads.h"
#include "graph/graph.h"
#include "incise/compress.h"

struct incise_changes {
    const struct inc_ctx *ctx;
    struct inc_arena arena; /* names */
    struct incise_change *rows;
    size_t n, capacity;
};

enum incise_status inc_changes_create(const struct inc_ctx *ctx, struct incise_changes **changes)
    __attribute__((warn_unused_result));
/* Appends a row with copies of the two names; *change lives until the next call. */
enum incise_status inc_changes_add(struct incise_changes *changes, const char *name, const char *weight,
                                   struct incise_change **change) __attribute__((warn_unused_result));

struct inc_calibration;

/* Applies `options` (checked here) to the file graph, in place. Uses the marks of `graph`. A failure leaves the graph
 * valid, edited in part. `calibration` may be NULL if nothing that is asked for looks at activations. */
enum incise_status inc_prune(struct inc_graph *graph, struct inc_pool *pool, const struct incise_prune_options *options,
                             struct inc_calibration *calibration, struct incise_changes *changes)
    __attribute__((warn_unused_result));
enum incise_status inc_quantize(struct inc_graph *graph, struct inc_pool *pool,
                                const struct incise_quantize_options *options, struct inc_calibration *calibration,
                                struct incise_changes *changes)
    __attribute__((warn_unused_result));

#endif
