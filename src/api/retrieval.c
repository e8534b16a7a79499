/* SPDX-License-Identifier: Apache-2.0 */
#include "incise/evaluate.h"

#include <math.h>
#include <stdlib.h>

#include "api/bootstrap.h"
#include "api/cosines.h"
#include "api/engine_internal.h"
#include "base/size.h"

#define DEPTH 10 /* of the ranking that counts */

struct pair {
    size_t query, document;
};

/* The three ways to search, and the drop. */
enum { SEARCH_BASE, SEARCH_BOTH, SEARCH_QUERIES, SEARCHES, DROP = SEARCHES, SERIES };

struct retrieval_run {
    const struct inc_ctx *ctx;
    struct inc_unit_rows queries[2], documents[2]; /* base, other */
    struct pair *pairs;                            /* by query, each once */
    size_t *first;                                 /* pairs of query q: first[q] .. first[q + 1] */
    float *scratch;                                /* per worker: INC_COSINE_BLOCK rows of cosines */
    double *gain[SERIES];                          /* nDCG of each query */
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
        if (rank < DEPTH) gain += 1 / log2((double)rank + 2);
        if (i < DEPTH) ideal += 1 / log2((double)i + 2);
    }
    return gain / ideal;
}

static void retrieval_item(void *arg, size_t item, unsigned worker)
{
    struct retrieval_run *run = arg;
    static const int query_side[] = {0, 1, 1}, document_side[] = {0, 1, 0};
    size_t n_queries = run->queries[0].n, n = run->documents[0].n;
    size_t start = item * INC_COSINE_BLOCK, rows = inc_min_size(INC_COSINE_BLOCK, n_queries - start);
    float *cosines = run->scratch + INC_COSINE_BLOCK * n * worker;
    for (int s = 0; s < SEARCHES; s++) {
        inc_cosines(&run->queries[query_side[s]], start, rows, &run->documents[document_side[s]], cosines);
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
        INC_TRY(inc_unit_rows_create(ctx, queries[side], data->n_queries, data->width, "query", &run->queries[side]));
        INC_TRY(inc_unit_rows_create(ctx, documents[side], data->n_documents, data->width, "document",
                                     &run->documents[side]));
    }
    run->pairs = inc_alloc_array(ctx, data->n_pairs, sizeof *run->pairs);
    run->first = inc_alloc_array(ctx, data->n_queries + 1, sizeof *run->first);
    run->scratch = inc_alloc_array(ctx, data->n_documents, INC_COSINE_BLOCK * threads * sizeof *run->scratch);
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
    if (status == INCISE_OK)
        inc_pool_run(pool, retrieval_item, &run, (data->n_queries + INC_COSINE_BLOCK - 1) / INC_COSINE_BLOCK);
    for (int s = 0; s < SERIES && status == INCISE_OK; s++)
        status = inc_bootstrap(ctx, inc_statistic_mean, run.gain[s], data->n_queries, seed, figures[s]);
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
