/* SPDX-License-Identifier: Apache-2.0 */
#include "incise/evaluate.h"

#include <math.h>

#include "api/bootstrap.h"
#include "api/cosines.h"
#include "api/engine_internal.h"

enum { SCORE, BASE, OTHER, SERIES };

/* What people said of each pair, and the cosines of both models. */
struct similarity_run {
    const struct inc_ctx *ctx;
    struct inc_ranked *sorted[SERIES]; /* in rising order */
    double *rank[SERIES];              /* of each pair in the resample that is measured */
};

/* Places 1.. of each item in rising order, equal values sharing the mean of theirs. */
static void midranks(const struct inc_ranked *sorted, const uint32_t *counts, size_t n, double *rank)
{
    double before = 0;
    for (size_t i = 0, end; i < n; i = end) {
        double here = 0;
        for (end = i; end < n && sorted[end].value == sorted[i].value; end++) here += counts[sorted[end].index];
        for (size_t k = i; k < end; k++) rank[sorted[k].index] = before + (here + 1) / 2;
        before += here;
    }
}

/* Pearson's correlation of two rows of ranks, whose mean is (n + 1) / 2; 0 if one of them is constant. */
static double correlation(const double *a, const double *b, const uint32_t *counts, size_t n)
{
    double mean = ((double)n + 1) / 2, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        double x = a[i] - mean, y = b[i] - mean;
        ab += counts[i] * x * y;
        aa += counts[i] * x * x;
        bb += counts[i] * y * y;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static double spearman(const struct similarity_run *run, int series, const uint32_t *counts, size_t n)
{
    midranks(run->sorted[SCORE], counts, n, run->rank[SCORE]);
    midranks(run->sorted[series], counts, n, run->rank[series]);
    return correlation(run->rank[SCORE], run->rank[series], counts, n);
}

static double spearman_base(const void *data, const uint32_t *counts, size_t n)
{
    return spearman(data, BASE, counts, n);
}

static double spearman_other(const void *data, const uint32_t *counts, size_t n)
{
    return spearman(data, OTHER, counts, n);
}

static double spearman_drop(const void *data, const uint32_t *counts, size_t n)
{
    return spearman(data, BASE, counts, n) - spearman(data, OTHER, counts, n);
}

static enum incise_status prepare(struct similarity_run *run, const struct incise_similarity_data *data)
{
    const float *const vectors[SERIES] = {NULL, data->base, data->other};
    for (int s = 0; s < SERIES; s++) {
        run->sorted[s] = inc_alloc_array(run->ctx, data->n, sizeof *run->sorted[s]);
        run->rank[s] = inc_alloc_array(run->ctx, data->n, sizeof *run->rank[s]);
        if (run->sorted[s] == NULL || run->rank[s] == NULL)
            return inc_fail_memory(run->ctx, data->n * sizeof *run->sorted[s], "scored pairs");
        for (size_t i = 0; i < data->n; i++) {
            const float *left = s == SCORE ? NULL : vectors[s] + 2 * i * data->width;
            double value = s == SCORE ? data->scores[i] : inc_cosine(left, left + data->width, data->width);
            if (!isfinite(value)) /* 0 / 0 for a zero vector */
                return inc_fail(run->ctx, INCISE_ERROR_DATA,
                                s == SCORE ? "the score of pair %zu is not finite"
                                           : "pair %zu: a vector is all zero or not finite",
                                i);
            run->sorted[s][i] = (struct inc_ranked){value, i};
        }
        inc_rank(run->sorted[s], data->n);
    }
    if (run->sorted[SCORE][0].value < run->sorted[SCORE][data->n - 1].value) return INCISE_OK;
    return inc_fail(run->ctx, INCISE_ERROR_DATA, "all pairs have the same score: there is no order to compare with");
}

enum incise_status incise_similarity_measure(struct incise_engine *engine, const struct incise_similarity_data *data,
                                             uint64_t seed, struct incise_similarity *similarity)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    struct similarity_run run = {.ctx = ctx};
    if (data->n < 2 || data->width == 0) return inc_fail(ctx, INCISE_ERROR_DATA, "two scored pairs or more are needed");
    enum incise_status status = prepare(&run, data);
    if (status == INCISE_OK)
        status = inc_bootstrap(ctx, spearman_base, &run, data->n, seed, &similarity->spearman_base);
    if (status == INCISE_OK) status = inc_bootstrap(ctx, spearman_other, &run, data->n, seed, &similarity->spearman);
    if (status == INCISE_OK)
        status = inc_bootstrap(ctx, spearman_drop, &run, data->n, seed, &similarity->spearman_drop);
    for (int s = 0; s < SERIES; s++) {
        inc_free(ctx, run.sorted[s]);
        inc_free(ctx, run.rank[s]);
    }
    return status;
}
