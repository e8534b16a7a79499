/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/feedback.h"

#include <stdlib.h>
#include <string.h>

#include "compress/linalg.h"

enum { STRIP = 8 }; /* rows of V that share the pass over the factor */

struct feedback {
    struct inc_codes *codes;
    const double *v;
    const uint32_t *order; /* inputs in the order in which they are rounded */
    const float *factor;   /* U[in, in], upper, U^T U = H^-1 with rows and columns in that order */
    float *scratch;        /* STRIP x in per worker: what is still to be rounded, in that order */
};

static void round_strip(void *arg, size_t strip, unsigned worker)
{
    const struct feedback *job = arg;
    struct inc_codes *codes = job->codes;
    size_t in = codes->in, first = strip * STRIP, rows = inc_min_size(STRIP, codes->out - first);
    size_t group = inc_grid_group(&codes->grid, in);
    float *rest = job->scratch + worker * STRIP * in;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < in; i++) rest[r * in + i] = (float)job->v[(first + r) * in + job->order[i]];
    for (size_t i = 0; i < in; i++) {
        const float *u = job->factor + i * in;
        size_t k = job->order[i];
        for (size_t r = 0; r < rows; r++) {
            float *row = rest + r * in, scale = codes->scales[(first + r) * codes->groups + k / group];
            int q = inc_grid_round(&codes->grid, row[i], scale);
            float error = (row[i] - (float)q * scale) / u[i];
            codes->q[(first + r) * in + k] = (int8_t)q;
            for (size_t j = i + 1; j < in; j++) row[j] -= error * u[j];
        }
    }
}

struct keyed {
    double variance;
    uint32_t input;
};

static int by_variance(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->variance != y->variance) return x->variance > y->variance ? -1 : 1;
    return x->input < y->input ? -1 : 1;
}

static void sort_inputs(const double *covariance, size_t in, enum inc_feedback_order order, struct keyed *keyed,
                        uint32_t *result)
{
    for (size_t i = 0; i < in; i++) keyed[i] = (struct keyed){covariance[i * in + i], (uint32_t)i};
    if (order == INC_ORDER_ACTIVATION) qsort(keyed, in, sizeof *keyed, by_variance);
    for (size_t i = 0; i < in; i++) result[i] = keyed[i].input;
}

/* U = L^T of the Cholesky factor of the permuted inverse. False if there is none. */
static bool make_factor(const double *inverse, const uint32_t *order, size_t in, double *matrix, float *factor)
{
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j <= i; j++) matrix[i * in + j] = inverse[(size_t)order[i] * in + order[j]];
    if (!inc_linalg_cholesky(in, matrix, in)) return false;
    memset(factor, 0, in * in * sizeof *factor);
    for (size_t i = 0; i < in; i++)
        for (size_t j = 0; j <= i; j++) factor[j * in + i] = (float)matrix[i * in + j];
    return true;
}

enum incise_status inc_feedback_round(struct inc_codes *codes, struct inc_pool *pool, const double *v,
                                      const double *inverse, const double *covariance, enum inc_feedback_order order)
{
    const struct inc_ctx *ctx = codes->ctx;
    size_t in = codes->in, workers = pool != NULL ? inc_pool_threads(pool) : 1;
    struct keyed *keyed = inc_alloc_array(ctx, in, sizeof *keyed);
    uint32_t *inputs = inc_alloc_array(ctx, in, sizeof *inputs);
    double *matrix = inc_alloc_array(ctx, in, in * sizeof *matrix);
    float *factor = inc_alloc_array(ctx, in, in * sizeof *factor);
    struct feedback job = {.codes = codes, .v = v, .order = inputs, .factor = factor};
    job.scratch = inc_alloc_array(ctx, workers * STRIP, in * sizeof *job.scratch);
    enum incise_status status = INCISE_OK;
    if (keyed == NULL || inputs == NULL || matrix == NULL || factor == NULL || job.scratch == NULL) {
        status = inc_fail_memory(ctx, in * in * sizeof *matrix, "error feedback");
    } else {
        sort_inputs(covariance, in, order, keyed, inputs);
        if (make_factor(inverse, inputs, in, matrix, factor))
            inc_pool_run(pool, round_strip, &job, (codes->out + STRIP - 1) / STRIP);
        else
            status = INCISE_ERROR_FAILED;
    }
    inc_free(ctx, keyed);
    inc_free(ctx, inputs);
    inc_free(ctx, matrix);
    inc_free(ctx, factor);
    inc_free(ctx, job.scratch);
    return status;
}
