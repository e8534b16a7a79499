/* SPDX-License-Identifier: Apache-2.0 */
/* A weight as integers, and the chain that stores them: Const -> Convert -> Multiply scale [-> Reshape] [-> Convert].
 */
#ifndef INC_COMPRESS_CODES_H
#define INC_COMPRESS_CODES_H

#include "compress/changes.h"
#include "compress/grid.h"
#include "compress/targets.h"

struct inc_codes {
    const struct inc_ctx *ctx;
    struct inc_grid grid;
    size_t out, in, groups; /* groups: scales per row */
    int8_t *q;              /* out x in */
    float *scales;          /* out x groups */
};

/* Zeroed. INCISE_ERROR_USAGE if groups do not divide the inputs of the layer `name`. Release in any case. */
enum incise_status inc_codes_create(const struct inc_ctx *ctx, const char *name, const struct inc_weight *weight,
                                    const struct inc_grid *grid, struct inc_codes *codes)
    __attribute__((warn_unused_result));
void inc_codes_release(struct inc_codes *codes);

/* Where a matrix comes from: a weight of the graph, or dense[out, in] if that is not NULL. */
struct inc_row_source {
    const struct inc_weight *weight;
    const double *dense;
};

struct inc_rounding {
    bool search;             /* scales by inc_grid_search, else the smallest that hold every weight */
    const float *importance; /* of each input, for the search; NULL: all alike */
};
/* Scales, of type f32 where f16 would lose too much, and the nearest codes. */
enum incise_status inc_codes_round(struct inc_codes *codes, struct inc_pool *pool, const struct inc_row_source *source,
                                   const struct inc_rounding *rounding) __attribute__((warn_unused_result));
/* q * scale of one row. */
void inc_codes_row(const struct inc_codes *codes, size_t row, float *out);

/* Fills `change` with the share of zeros and the error against `weight`. */
enum incise_status inc_codes_describe(const struct inc_codes *codes, struct inc_pool *pool,
                                      const struct inc_weight *weight, struct incise_change *change)
    __attribute__((warn_unused_result));

/* Lets every target that is like target `index`, from it on, read a stored copy of the codes, and sets done[] for
 * them. Takes over what `codes` holds. */
enum incise_status inc_codes_store(struct inc_graph *graph, const struct inc_targets *targets, size_t index,
                                   struct inc_codes *codes, bool *done) __attribute__((warn_unused_result));

#endif
