/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows that each Linear of a model reads look like on the calibration texts: one pass over the model as it is.
 * Padding is never seen. Linears that read the same rows (q, k, v; gate, up) share one entry. */
#ifndef INC_COMPRESS_STATISTICS_H
#define INC_COMPRESS_STATISTICS_H

#include "base/arena.h"
#include "compress/calibration.h"
#include "compress/moments.h"
#include "incise/compress.h"

#define INC_PEAK_BINS 64

/* Rows x [width] of one group of Linears. */
struct inc_input_statistics {
    struct inc_moments gram;     /* n, sum of x, sum of x x^T (lower triangle) */
    float *low, *high;           /* smallest and largest x of each channel over all tokens */
    float *rest_low, *rest_high; /* the same without the first token of each text (CLS, BOS) */
    /* Token-wise outliers: rows with max |x| in [2^((b - 32) / 2), 2^((b - 31) / 2)); the ends take the rest. */
    uint64_t peaks[INC_PEAK_BINS];
};

struct inc_statistics {
    const struct inc_ctx *ctx;
    struct inc_arena arena;
    struct inc_input_statistics *inputs;
    size_t n_inputs;
    uint32_t *input_of; /* per slot of the program: index into inputs */
    size_t n_slots;
};

/* Runs `program` over all batches, those held out too. Reports each batch to `progress` (may be NULL).
 * INCISE_ERROR_DATA names the layer that reads a number that is not finite; INCISE_ERROR_MEMORY, before the work,
 * when the sums need more than the context's max_memory. */
enum incise_status inc_statistics_collect(struct inc_calibration *calibration, struct inc_program *program,
                                          incise_progress_fn *progress, void *progress_user,
                                          struct inc_statistics **statistics) __attribute__((warn_unused_result));
void inc_statistics_destroy(struct inc_statistics *statistics); /* NULL is fine */

/* Adds what `other`, of the same program on other texts, has seen. */
void inc_statistics_merge(struct inc_statistics *statistics, const struct inc_statistics *other);

#endif
