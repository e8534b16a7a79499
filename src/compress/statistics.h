/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows that each Linear of a model reads look like on the calibration texts: one pass over the model as it is.
 * Padding is never seen. Linears that read the same rows (q, k, v; gate, up) share one entry. */
#ifndef INC_COMPRESS_STATISTICS_H
#define INC_COMPRESS_STATISTICS_H

#include "base/arena.h"
#include "compress/kept.h"
#include "compress/moments.h"
#include "compress/stream.h"

#define INC_PEAK_BINS 64

/* Rows x [width] of one group of Linears. */
struct inc_input_statistics {
    const char *name;            /* of the first of the Linears */
    struct inc_moments gram;     /* n, sum of x, sum of x x^T (lower triangle) */
    float *low, *high;           /* smallest and largest x of each channel over all tokens */
    float *rest_low, *rest_high; /* the same without the first token of each text (CLS, BOS) */
    /* Token-wise outliers: rows with max |x| in [2^((b - 32) / 2), 2^((b - 31) / 2)); the ends take the rest. */
    uint64_t peaks[INC_PEAK_BINS];
};

struct inc_statistics {
    const struct inc_ctx *ctx;
    struct inc_arena arena;
    struct inc_input_statistics *inputs; /* in the order of inc_reader_groups */
    size_t n_inputs;
    size_t n_done, n_batches; /* of the calibration */
};

/* Where statistics are kept while they are collected. */
struct inc_statistics_place {
    const char *path;
    const struct inc_origin *origin; /* of the texts' shard */
    double interval;                 /* seconds between writes */
    bool anew;                       /* what is there is not looked at */
};

/* Runs `program` over all batches, those held out too. With a place (may be NULL), goes on from what is there, and the
 * whole lies there at the end: the bits are those of an undisturbed run. Reports each batch to `progress` (may be
 * NULL). INCISE_ERROR_DATA names the layer that reads a number that is not finite, or the file that belongs to another
 * run; INCISE_ERROR_MEMORY, before the work, when the sums need more than the context's max_memory. */
enum incise_status inc_statistics_collect(struct inc_calibration *calibration, struct inc_program *program,
                                          const struct inc_statistics_place *place, incise_progress_fn *progress,
                                          void *progress_user, struct inc_statistics **statistics)
    __attribute__((warn_unused_result));
void inc_statistics_destroy(struct inc_statistics *statistics); /* NULL is fine */

/* Zeroed, of no inputs yet; inc_statistics_add_input fills the next of `n`. */
enum incise_status inc_statistics_create(const struct inc_ctx *ctx, size_t n, struct inc_statistics **statistics)
    __attribute__((warn_unused_result));
enum incise_status inc_statistics_add_input(struct inc_statistics *statistics, const char *name, size_t length,
                                            size_t width) __attribute__((warn_unused_result));

/* Adds what `other`, of the same inputs on other texts, has seen. */
void inc_statistics_merge(struct inc_statistics *statistics, const struct inc_statistics *other);
/* Whether they are those of a plan's groups. */
bool inc_statistics_fit(const struct inc_statistics *statistics, const struct inc_plan *plan,
                        const struct inc_reader_group *groups, size_t n);

/* ---- files (statistics_file.c) --------------------------------------------------------------------------------- */

extern const struct inc_sealed_kind inc_statistics_kind;

/* The origin of the statistics of one shard (shards <= 1: of all texts). */
enum incise_status inc_statistics_origin(const struct inc_graph *graph, const struct inc_calibration *calibration,
                                         size_t shard, size_t shards, struct inc_origin *origin)
    __attribute__((warn_unused_result));
enum incise_status inc_statistics_save(const struct inc_statistics *statistics, const struct inc_origin *origin,
                                       const char *path) __attribute__((warn_unused_result));
/* INCISE_ERROR_DATA for a file that is damaged or of another origin. */
enum incise_status inc_statistics_load(const struct inc_ctx *ctx, const char *path, const struct inc_origin *origin,
                                       struct inc_statistics **statistics) __attribute__((warn_unused_result));
/* INCISE_ERROR_DATA for statistics that do not hold all their texts yet. */
enum incise_status inc_statistics_check_complete(const struct inc_statistics *statistics, const char *path)
    __attribute__((warn_unused_result));
/* Those in the file at `path`, which must be complete and of `graph` and all texts of `calibration`. */
enum incise_status inc_statistics_read(const struct inc_graph *graph, const struct inc_calibration *calibration,
                                       const char *path, struct inc_statistics **statistics)
    __attribute__((warn_unused_result));
/* Adds up the parts of all shards, in any order, in a file of all texts. INCISE_ERROR_DATA names a part that does not
 * belong to the others, and a shard that is missing. `n` >= 1. */
enum incise_status inc_statistics_join(const struct inc_ctx *ctx, const char *const *parts, size_t n, const char *path,
                                       bool force) __attribute__((warn_unused_result));

#endif
