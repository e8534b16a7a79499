/* SPDX-License-Identifier: Apache-2.0 */
#include "incise/evaluate.h"

#include "api/bootstrap.h"
#include "api/cosines.h"
#include "api/engine_internal.h"
#include "base/size.h"

#define NEIGHBOURS 10

struct fidelity_run {
    const struct inc_ctx *ctx;
    struct inc_unit_rows base, other;
    float *scratch; /* per worker: INC_COSINE_BLOCK rows of cosines of both sides */
    double *cosine; /* of each text */
    double *kept;   /* share of neighbours */
    double *change; /* mean squared change of its cosines */
};

/* Indices of the `count` largest of n cosines, self excluded; ties go to the lower index. */
static void nearest(const float *cosines, size_t n, size_t self, size_t count, size_t *best)
{
    size_t held = 0;
    for (size_t j = 0; j < n; j++) {
        if (j == self || (held == count && cosines[j] <= cosines[best[held - 1]])) continue;
        size_t at = held < count ? held++ : held - 1;
        for (; at > 0 && cosines[best[at - 1]] < cosines[j]; at--) best[at] = best[at - 1];
        best[at] = j;
    }
}

static double share_kept(const float *base, const float *other, size_t n, size_t self)
{
    size_t count = inc_min_size(NEIGHBOURS, n - 1), a[NEIGHBOURS], b[NEIGHBOURS], common = 0;
    nearest(base, n, self, count, a);
    nearest(other, n, self, count, b);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) common += a[i] == b[j];
    return (double)common / (double)count;
}

static void fidelity_item(void *arg, size_t item, unsigned worker)
{
    struct fidelity_run *run = arg;
    size_t n = run->base.n, first = item * INC_COSINE_BLOCK, rows = inc_min_size(INC_COSINE_BLOCK, n - first);
    float *base = run->scratch + 2 * INC_COSINE_BLOCK * n * worker, *other = base + INC_COSINE_BLOCK * n;
    inc_cosines(&run->base, first, rows, &run->base, base);
    inc_cosines(&run->other, first, rows, &run->other, other);
    for (size_t r = 0; r < rows; r++, base += n, other += n) {
        double sum = 0;
        for (size_t j = 0; j < n; j++) {
            double change = j == first + r ? 0 : (double)base[j] - (double)other[j];
            sum += change * change;
        }
        run->change[first + r] = sum / (double)(n - 1);
        run->kept[first + r] = share_kept(base, other, n, first + r);
    }
}

static enum incise_status measure_fidelity(struct fidelity_run *run, struct inc_pool *pool, const float *base,
                                           const float *other, size_t width, uint64_t seed, struct incise_fidelity *out)
{
    const struct inc_ctx *ctx = run->ctx;
    size_t n = run->base.n;
    for (size_t i = 0; i < n; i++) run->cosine[i] = inc_cosine(base + i * width, other + i * width, width);
    inc_pool_run(pool, fidelity_item, run, (n + INC_COSINE_BLOCK - 1) / INC_COSINE_BLOCK);
    INC_TRY(inc_bootstrap(ctx, inc_statistic_mean, run->cosine, n, seed, &out->cosine_mean));
    INC_TRY(inc_bootstrap_p1(ctx, run->cosine, n, seed, &out->cosine_p1));
    INC_TRY(inc_bootstrap(ctx, inc_statistic_mean, run->kept, n, seed, &out->neighbours_top10));
    return inc_bootstrap(ctx, inc_statistic_root_mean, run->change, n, seed, &out->rms_pairwise);
}

enum incise_status incise_fidelity_measure(struct incise_engine *engine, const float *base, const float *other,
                                           size_t n, size_t width, uint64_t seed, struct incise_fidelity *fidelity)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    struct inc_pool *pool = inc_engine_pool(engine);
    struct fidelity_run run = {.ctx = ctx};
    if (n < 2 || width == 0) return inc_fail(ctx, INCISE_ERROR_DATA, "two texts or more are needed to compare models");
    enum incise_status status = inc_unit_rows_create(ctx, base, n, width, "base text", &run.base);
    if (status == INCISE_OK) status = inc_unit_rows_create(ctx, other, n, width, "text", &run.other);
    run.scratch = inc_alloc_array(ctx, n, 2 * INC_COSINE_BLOCK * inc_pool_threads(pool) * sizeof *run.scratch);
    run.cosine = inc_alloc_array(ctx, n, sizeof *run.cosine);
    run.kept = inc_alloc_array(ctx, n, sizeof *run.kept);
    run.change = inc_alloc_array(ctx, n, sizeof *run.change);
    if (status == INCISE_OK && (run.scratch == NULL || run.cosine == NULL || run.kept == NULL || run.change == NULL))
        status = inc_fail_memory(ctx, n * sizeof *run.cosine, "cosines");
    if (status == INCISE_OK) status = measure_fidelity(&run, pool, base, other, width, seed, fidelity);
    inc_free(ctx, run.base.rows);
    inc_free(ctx, run.other.rows);
    inc_free(ctx, run.scratch);
    inc_free(ctx, run.cosine);
    inc_free(ctx, run.kept);
    inc_free(ctx, run.change);
    return status;
}
