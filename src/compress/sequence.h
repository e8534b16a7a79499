/* SPDX-License-Identifier: Apache-2.0 */
/* Edits one Linear after the other, in the order in which a model runs, each with the statistics of what the edited
 * model really feeds it. Two streams read the calibration texts: the model as it was and as it has become. */
#ifndef INC_COMPRESS_SEQUENCE_H
#define INC_COMPRESS_SEQUENCE_H

#include "base/arena.h"
#include "compress/moments.h"
#include "compress/refit.h"
#include "compress/statistics.h"
#include "compress/stream.h"
#include "compress/targets.h"

/* What a Linear's product should be. */
enum inc_goal {
    INC_GOAL_OWN,      /* what the old weights make of the rows that it now gets; the model as it was is not run */
    INC_GOAL_DENSE,    /* what it was in the model as it was */
    INC_GOAL_RESIDUAL, /* the same, and where a residual is added behind it, also what that has lost */
    INC_GOAL_STREAM    /* and where that happens behind a norm, as much of it as that lets through (outlet.h) */
};

struct inc_sequence {
    struct inc_graph *graph; /* the file's, which is edited */
    struct inc_calibration *calibration;
    const struct inc_targets *targets;
    enum inc_goal goal;
    struct inc_program *dense, *edited; /* dense: NULL for INC_GOAL_OWN */
    struct inc_stream dense_stream, edited_stream;
    const struct inc_statistics *statistics; /* INC_GOAL_OWN: of the model that is not edited; NULL: it is run */
    struct inc_arena arena;
    struct inc_reader_group *groups;
    size_t n_groups;
    uint32_t *target_of; /* per slot: index of its target, UINT32_MAX if it is none */
};

/* One Linear, when its turn comes. x are the rows that it reads, t what its product should be, bias left out. */
struct inc_sequence_item {
    size_t target;
    uint32_t slot;
    const char *name;
    struct inc_fit fitted, held_out, whole; /* of the texts to fit, those held out, and all; one W */
    bool has_held_out;
    const double *input_squares;  /* in: E[x^2], not centred */
    const double *input_means;    /* in: E[x] */
    const double *target_means;   /* out: E[t] */
    const double *output_weights; /* out: what an error of each weighs where the model goes on (outlet.h) */
    const float *bias;            /* out; NULL: none */
};

typedef enum incise_status inc_sequence_fn(void *user, struct inc_sequence *sequence,
                                           const struct inc_sequence_item *item);

/* Lowers the model. The targets must be Linears of it, each with a weight of its own (INCISE_ERROR_USAGE if not), and
 * their marks are made again. Close in any case. */
enum incise_status inc_sequence_open(struct inc_graph *graph, struct inc_calibration *calibration,
                                     const struct inc_targets *targets, enum inc_goal goal,
                                     struct inc_sequence *sequence) __attribute__((warn_unused_result));
void inc_sequence_close(struct inc_sequence *sequence);

/* For INC_GOAL_OWN, where nothing is stored: the model is not run, this is what it reads. INCISE_ERROR_DATA, naming
 * `path`, if they are of other layers. */
enum incise_status inc_sequence_know(struct inc_sequence *sequence, const struct inc_statistics *statistics,
                                     const char *path) __attribute__((warn_unused_result));

/* Calls `fn` for each target; it edits with inc_sequence_store, or leaves the Linear as it is. */
enum incise_status inc_sequence_run(struct inc_sequence *sequence, inc_sequence_fn *fn, void *user)
    __attribute__((warn_unused_result));

/* Gives the item's Linear new weights, V[out, in] rounded to the type of the constant (f32, f16, bf16), and a new bias
 * (NULL: as it was), in the file's graph and in the edited program. */
enum incise_status inc_sequence_store(struct inc_sequence *sequence, const struct inc_sequence_item *item,
                                      const double *weights, const float *bias) __attribute__((warn_unused_result));

/* Bytes that the statistics of the widest group take, and the kept rows. */
size_t inc_sequence_estimate(const struct inc_sequence *sequence);

#endif
