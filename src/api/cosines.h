/* SPDX-License-Identifier: Apache-2.0 */
/* Cosines between vectors of any length. */
#ifndef INC_API_COSINES_H
#define INC_API_COSINES_H

#include "base/context.h"

#define INC_COSINE_BLOCK 8 /* rows that meet each row of the other side while it is in cache */

/* Rows of length 1, `stride` floats apart, zeros behind them. */
struct inc_unit_rows {
    float *rows;
    size_t n, stride;
};

/* Copies n rows of `width`, normalized. Release `rows`, also on failure. INCISE_ERROR_DATA names a row, "<what> 3",
 * that is zero or not finite. */
enum incise_status inc_unit_rows_create(const struct inc_ctx *ctx, const float *rows, size_t n, size_t width,
                                        const char *what, struct inc_unit_rows *unit)
    __attribute__((warn_unused_result));
/* out[r * b->n + j] = cosine of a's row first + r and b's row j. */
void inc_cosines(const struct inc_unit_rows *a, size_t first, size_t rows, const struct inc_unit_rows *b, float *out);

/* In double from vectors as they are: exactly 1 for equal ones. */
double inc_cosine(const float *a, const float *b, size_t width);

#endif
