/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of `prune`. */
#ifndef INC_COMPRESS_PRUNE_INTERNAL_H
#define INC_COMPRESS_PRUNE_INTERNAL_H

#include "compress/allocate.h"
#include "compress/blocks.h"
#include "compress/calibration.h"
#include "compress/changes.h"
#include "compress/score.h"
#include "compress/sequence.h"
#include "compress/targets.h"
#include "compress/traces.h"

enum inc_prune_method { INC_PRUNE_MAGNITUDE, INC_PRUNE_RANDOM, INC_PRUNE_WANDA, INC_PRUNE_OBS };
enum inc_prune_refit { INC_REFIT_NONE, INC_REFIT_DENSE, INC_REFIT_RESIDUAL };
enum inc_prune_allocation { INC_ALLOCATE_UNIFORM, INC_ALLOCATE_GLOBAL, INC_ALLOCATE_CHANNELS, INC_ALLOCATE_FILE };

/* What the options ask for. */
struct inc_prune_request {
    enum inc_prune_method method;
    enum inc_prune_refit refit;
    enum inc_norm norm;
    bool channels;         /* of feed-forward layers, else blocks: */
    bool whole_layers;     /* channels: only of layers all of whose matrices are targets */
    int64_t height, width; /* of a block, as asked */
    double sparsity;
    enum inc_prune_allocation allocation;
    const char *shares;              /* file, for INC_ALLOCATE_FILE */
    const char *traces, *statistics; /* files; NULL: none */
    uint64_t seed;
    incise_progress_fn *progress;
    void *progress_user;
};

/* One run of `prune`. */
struct inc_pruning {
    struct inc_graph *graph;
    struct inc_pool *pool;
    const struct inc_prune_request *request;
    const struct inc_targets *targets;
    double *shares; /* per target: what to remove of it */
    struct incise_changes *changes;
    const bool *cut;          /* channels: per target, whether it reads some that may go; the others are only fitted */
    bool **removed;           /* channels: per target, which are gone; NULL before its turn */
    struct inc_traces traces; /* of the model as it was; no items if nothing asks for them */
    size_t n_done, n_steps;   /* for progress */
};

/* Checks the options. `calibrated`: whether there are texts. */
enum incise_status inc_prune_parse(const struct inc_ctx *ctx, const struct incise_prune_options *options,
                                   bool calibrated, struct inc_prune_request *request)
    __attribute__((warn_unused_result));

/* Adds what was done to target `index` to the changes: `chosen` blocks are zero now, `error` is the relative change. */
enum incise_status inc_prune_note(struct inc_pruning *pruning, size_t index, const struct inc_blocks *blocks,
                                  const struct inc_scores *scores, const bool *chosen, double error)
    __attribute__((warn_unused_result));

/* With statistics of the activations: prune_fitted.c. */
enum incise_status inc_prune_fitted(struct inc_pruning *pruning, struct inc_calibration *calibration)
    __attribute__((warn_unused_result));

#endif
