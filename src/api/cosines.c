/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cosines.h"

#include <math.h>

#include "base/size.h"

#define LANE  4
#define LANES 4
#define STEP  (LANE * LANES) /* rows are padded with zeros to a multiple of it */

typedef float lane __attribute__((vector_size(LANE * sizeof(float)), may_alias));

static double square_sum(const float *row, size_t width)
{
    double sum = 0;
    for (size_t k = 0; k < width; k++) sum += (double)row[k] * (double)row[k];
    return sum;
}

enum incise_status inc_unit_rows_create(const struct inc_ctx *ctx, const float *rows, size_t n, size_t width,
                                        const char *what, struct inc_unit_rows *unit)
{
    size_t stride = inc_round_up(width, STEP);
    *unit = (struct inc_unit_rows){.n = n, .stride = stride};
    unit->rows = stride < width ? NULL : inc_alloc_zero(ctx, n, stride * sizeof(float));
    if (unit->rows == NULL) return inc_fail_memory(ctx, n * stride, "vectors");
    for (size_t i = 0; i < n; i++) {
        double squares = square_sum(rows + i * width, width);
        if (!isfinite(squares) || squares == 0)
            return inc_fail(ctx, INCISE_ERROR_DATA, "%s %zu: its vector is %s", what, i,
                            squares == 0 ? "all zero" : "not finite");
        for (size_t k = 0; k < width; k++)
            unit->rows[i * stride + k] = (float)((double)rows[i * width + k] / sqrt(squares));
    }
    return INCISE_OK;
}

static float dot(const float *a, const float *b, size_t n)
{
    lane s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    for (size_t k = 0; k < n; k += STEP) {
        const lane *x = (const lane *)(const void *)(a + k), *y = (const lane *)(const void *)(b + k);
        s0 += x[0] * y[0];
        s1 += x[1] * y[1];
        s2 += x[2] * y[2];
        s3 += x[3] * y[3];
    }
    s0 = (s0 + s1) + (s2 + s3);
    return (s0[0] + s0[1]) + (s0[2] + s0[3]);
}

void inc_cosines(const struct inc_unit_rows *a, size_t first, size_t rows, const struct inc_unit_rows *b, float *out)
{
    for (size_t j = 0; j < b->n; j++)
        for (size_t r = 0; r < rows; r++)
            out[r * b->n + j] = dot(a->rows + (first + r) * a->stride, b->rows + j * b->stride, a->stride);
}

double inc_cosine(const float *a, const float *b, size_t width)
{
    double sum = 0;
    for (size_t k = 0; k < width; k++) sum += (double)a[k] * (double)b[k];
    sum /= sqrt(square_sum(a, width) * square_sum(b, width));
    return sum > 1 ? 1 : sum < -1 ? -1 : sum;
}
