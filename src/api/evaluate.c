/* SPDX-License-Identifier: Apache-2.0 */
#include "incise/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/bootstrap.h"
#include "api/engine_internal.h"
#include "base/size.h"

#define LANE       4
#define LANES      4
#define STEP       (LANE * LANES) /* rows are padded with zeros to a multiple of it */
#define BLOCK      8              /* rows that meet each row of the other side while it is in cache */
#define NEIGHBOURS 10

typedef float lane __attribute__((vector_size(LANE * sizeof(float)), may_alias));

/* ---- cosines --------------------------------------------------------------------------------------------------- */

/* Rows of length 1, `stride` floats apart. */
struct unit_rows {
    float *rows;
    size_t n, stride;
};

static double square_sum(const float *row, size_t width)
{
    double sum = 0;
    for (size_t k = 0; k < width; k++) sum += (double)row[k] * (double)row[k];
    return sum;
}

/* Copies n rows of `width`, normalized. Release `rows`, also on failure. */
static enum incise_status unit_rows_create(const struct inc_ctx *ctx, const float *rows, size_t n, size_t width,
                                           const char *what, struct unit_rows *unit)
{
    size_t stride = inc_round_up(width, STEP);
    *unit = (struct unit_rows){.n = n, .stride = stride};
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

/* out[r * b->n + j] = cosine of a's row first + r and b's row j. */
static void block_cosines(const struct unit_rows *a, size_t first, size_t rows, const struct unit_rows *b, float *out)
{
    for (size_t j = 0; j < b->n; j++)
        for (size_t r = 0; r < rows; r++)
            out[r * b->n + j] = dot(a->rows + (first + r) * a->stride, b->rows + j * b->stride, a->stride);
}

/* ---- fidelity -------------------------------------------------------------------------------------------------- */

struct fidelity_run {
    const struct inc_ctx *ctx;
    struct unit_rows base, other;
    float *scratch; /* per worker: BLOCK rows of cosines of both sides */
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
    size_t n = run->base.n, first = item * BLOCK, rows = inc_min_size(BLOCK, n - first);
    float *base = run->scratch + 2 * BLOCK * n * worker, *other = base + BLOCK * n;
    block_cosines(&run->base, first, rows, &run->base, base);
    block_cosines(&run->other, first, rows, &run->other, other);
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

/* In double from what the caller gave: exactly 1 for equal vectors. */
static double cosine(const float *a, const float *b, size_t width)
{
    double sum = 0;
    for (size_t k = 0; k < width; k++) sum += (double)a[k] * (double)b[k];
    sum /= sqrt(square_sum(a, width) * square_sum(b, width));
    return sum > 1 ? 1 : sum < -1 ? -1 : sum;
}

static enum incise_status measure_fidelity(struct fidelity_run *run, struct inc_pool *pool, const float *base,
                                           const float *other, size_t width, uint64_t seed, struct incise_fidelity *out)
{
    const struct inc_ctx *ctx = run->ctx;
    size_t n = run->base.n;
    for (size_t i = 0; i < n; i++) run->cosine[i] = cosine(base + i * width, other + i * width, width);
    inc_pool_run(pool, fidelity_item, run, (n + BLOCK - 1) / BLOCK);
    INC_TRY(inc_bootstrap(ctx, INC_STATISTIC_MEAN, run->cosine, n, seed, &out->cosine_mean));
    INC_TRY(inc_bootstrap(ctx, INC_STATISTIC_P1, run->cosine, n, seed, &out->cosine_p1));
    INC_TRY(inc_bootstrap(ctx, INC_STATISTIC_MEAN, run->kept, n, seed, &out->neighbours_top10));
    return inc_bootstrap(ctx, INC_STATISTIC_ROOT_MEAN, run->change, n, seed, &out->rms_pairwise);
}

enum incise_status incise_fidelity_measure(struct incise_engine *engine, const float *base, const float *other,
                                           size_t n, size_t width, uint64_t seed, struct incise_fidelity *fidelity)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    struct inc_pool *pool = inc_engine_pool(engine);
    struct fidelity_run run = {.ctx = ctx};
    if (n < 2 || width == 0) return inc_fail(ctx, INCISE_ERROR_DATA, "two texts or more are needed to compare models");
    enum incise_status status = unit_rows_create(ctx, base, n, width, "base text", &run.base);
    if (status == INCISE_OK) status = unit_rows_create(ctx, other, n, width, "text", &run.other);
    run.scratch = inc_alloc_array(ctx, n, 2 * BLOCK * inc_pool_threads(pool) * sizeof *run.scratch);
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

/* ---- retrieval ------------------------------------------------------------------------------------------------- */

struct pair {
    size_t query, document;
};

/* The three ways to search, and the drop. */
enum { SEARCH_BASE, SEARCH_BOTH, SEARCH_QUERIES, SEARCHES, DROP = SEARCHES, SERIES };

struct retrieval_run {
    const struct inc_ctx *ctx;
    struct unit_rows queries[2], documents[2]; /* base, other */
    struct pair *pairs;                        /* by query, each once */
    size_t *first;                             /* pairs of query q: first[q] .. first[q + 1] */
    float *scratch;                            /* per worker: BLOCK rows of cosines */
    double *gain[SERIES];                      /* nDCG of each query */
};

static int by_pair(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->query != y->query) return x->query < y->query ? -1 : 1;
    return x->document < y->document ? -1 : x->document > y->document;
}

/* How many documents come before `document`. */
static size_t rank_of(const float *cosines, size_t n, size_t document)
{
    size_t before = 0;
    for (size_t j = 0; j < n; j++)
        before += cosines[j] > cosines[document] || (cosines[j] == cosines[document] && j < document);
    return before;
}

static double ndcg(const float *cosines, size_t n, const struct pair *wanted, size_t n_wanted)
{
    double gain = 0, ideal = 0;
    for (size_t i = 0; i < n_wanted; i++) {
        size_t rank = rank_of(cosines, n, wanted[i].document);
        if (rank < NEIGHBOURS) gain += 1 / log2((double)rank + 2);
        if (i < NEIGHBOURS) ideal += 1 / log2((double)i + 2);
    }
    return gain / ideal;
}

static void retrieval_item(void *arg, size_t item, unsigned worker)
{
    struct retrieval_run *run = arg;
    static const int query_side[] = {0, 1, 1}, document_side[] = {0, 1, 0};
    size_t n_queries = run->queries[0].n, n = run->documents[0].n;
    size_t start = item * BLOCK, rows = inc_min_size(BLOCK, n_queries - start);
    float *cosines = run->scratch + BLOCK * n * worker;
    for (int s = 0; s < SEARCHES; s++) {
        block_cosines(&run->queries[query_side[s]], start, rows, &run->documents[document_side[s]], cosines);
        for (size_t q = start; q < start + rows; q++)
            run->gain[s][q] = ndcg(cosines + (q - start) * n, n, run->pairs + run->first[q],
                                   run->first[q + 1] - run->first[q]);
    }
    for (size_t q = start; q < start + rows; q++)
        run->gain[DROP][q] = run->gain[SEARCH_BASE][q] - run->gain[SEARCH_BOTH][q];
}

static enum incise_status sort_pairs(struct retrieval_run *run, const struct incise_retrieval_data *data)
{
    size_t n = 0, query = 0;
    for (size_t i = 0; i < data->n_pairs; i++) {
        run->pairs[i] = (struct pair){data->pair_query[i], data->pair_document[i]};
        if (run->pairs[i].query >= data->n_queries || run->pairs[i].document >= data->n_documents)
            return inc_fail(run->ctx, INCISE_ERROR_USAGE, "pair %zu names a query or document that is not there", i);
    }
    qsort(run->pairs, data->n_pairs, sizeof *run->pairs, by_pair);
    for (size_t i = 0; i < data->n_pairs; i++) {
        if (i > 0 && by_pair(&run->pairs[i], &run->pairs[n - 1]) == 0) continue;
        if (i == 0 || run->pairs[i].query != run->pairs[n - 1].query) {
            if (run->pairs[i].query != query) break;
            run->first[query++] = n;
        }
        run->pairs[n++] = run->pairs[i];
    }
    run->first[query] = n;
    if (query == data->n_queries) return INCISE_OK;
    return inc_fail(run->ctx, INCISE_ERROR_USAGE, "query %zu wants no document", query);
}

static enum incise_status prepare_retrieval(struct retrieval_run *run, const struct incise_retrieval_data *data,
                                            unsigned threads)
{
    const struct inc_ctx *ctx = run->ctx;
    const float *const queries[] = {data->base_queries, data->queries};
    const float *const documents[] = {data->base_documents, data->documents};
    for (int side = 0; side < 2; side++) {
        INC_TRY(unit_rows_create(ctx, queries[side], data->n_queries, data->width, "query", &run->queries[side]));
        INC_TRY(
            unit_rows_create(ctx, documents[side], data->n_documents, data->width, "document", &run->documents[side]));
    }
    run->pairs = inc_alloc_array(ctx, data->n_pairs, sizeof *run->pairs);
    run->first = inc_alloc_array(ctx, data->n_queries + 1, sizeof *run->first);
    run->scratch = inc_alloc_array(ctx, data->n_documents, BLOCK * threads * sizeof *run->scratch);
    bool complete = run->pairs != NULL && run->first != NULL && run->scratch != NULL;
    for (int s = 0; s < SERIES; s++) {
        run->gain[s] = inc_alloc_array(ctx, data->n_queries, sizeof *run->gain[s]);
        complete = complete && run->gain[s] != NULL;
    }
    return complete ? sort_pairs(run, data) : inc_fail_memory(ctx, data->n_pairs * sizeof *run->pairs, "retrieval");
}

enum incise_status incise_retrieval_measure(struct incise_engine *engine, const struct incise_retrieval_data *data,
                                            uint64_t seed, struct incise_retrieval *retrieval)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    struct inc_pool *pool = inc_engine_pool(engine);
    struct retrieval_run run = {.ctx = ctx};
    struct incise_figure *const figures[SERIES] = {&retrieval->ndcg10_base, &retrieval->ndcg10,
                                                   &retrieval->ndcg10_queries, &retrieval->ndcg10_drop};
    if (data->n_pairs == 0 || data->n_queries == 0 || data->width == 0)
        return inc_fail(ctx, INCISE_ERROR_DATA, "a query and a document are needed to measure retrieval");
    enum incise_status status = prepare_retrieval(&run, data, inc_pool_threads(pool));
    if (status == INCISE_OK) inc_pool_run(pool, retrieval_item, &run, (data->n_queries + BLOCK - 1) / BLOCK);
    for (int s = 0; s < SERIES && status == INCISE_OK; s++)
        status = inc_bootstrap(ctx, INC_STATISTIC_MEAN, run.gain[s], data->n_queries, seed, figures[s]);
    for (int side = 0; side < 2; side++) {
        inc_free(ctx, run.queries[side].rows);
        inc_free(ctx, run.documents[side].rows);
    }
    for (int s = 0; s < SERIES; s++) inc_free(ctx, run.gain[s]);
    inc_free(ctx, run.pairs);
    inc_free(ctx, run.first);
    inc_free(ctx, run.scratch);
    return status;
}
