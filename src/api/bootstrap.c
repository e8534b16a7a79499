/* SPDX-License-Identifier: Apache-2.0 */
#include "api/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RESAMPLES 1000

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int by_value(const void *a, const void *b)
{
    const struct inc_ranked *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

void inc_rank(struct inc_ranked *items, size_t n)
{
    qsort(items, n, sizeof *items, by_value);
}

/* ---- statistics ------------------------------------------------------------------------------------------------ */

double inc_statistic_mean(const void *data, const uint32_t *counts, size_t n)
{
    const double *values = data;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += counts[i] * values[i];
    return sum / (double)n;
}

double inc_statistic_root_mean(const void *data, const uint32_t *counts, size_t n)
{
    return sqrt(inc_statistic_mean(data, counts, n));
}

/* `share`-quantile of items in rising order, each counts[index] times, n in all. */
static double quantile(const struct inc_ranked *items, const uint32_t *counts, size_t n, double share)
{
    double position = share * (double)(n - 1), whole = floor(position);
    size_t k = (size_t)whole, i = 0, seen = counts[items[0].index];
    while (seen <= k) seen += counts[items[++i].index];
    double low = items[i].value, high = low;
    if (k + 1 < n) {
        while (seen <= k + 1) seen += counts[items[++i].index];
        high = items[i].value;
    }
    return low + (high - low) * (position - whole);
}

static double statistic_p1(const void *data, const uint32_t *counts, size_t n)
{
    return quantile(data, counts, n, 0.01);
}

/* ---- resampling ------------------------------------------------------------------------------------------------ */

static void resample(uint32_t *counts, size_t n, uint64_t *state)
{
    memset(counts, 0, n * sizeof *counts);
    for (size_t i = 0; i < n; i++) counts[next_random(state) % n]++;
}

enum incise_status inc_bootstrap(const struct inc_ctx *ctx, inc_statistic_fn *statistic, const void *data, size_t n,
                                 uint64_t seed, struct incise_figure *figure)
{
    struct inc_ranked results[RESAMPLES];
    uint32_t once[RESAMPLES];
    uint32_t *counts = inc_alloc_array(ctx, n, sizeof *counts);
    if (counts == NULL) return inc_fail_memory(ctx, n * sizeof *counts, "resamples");
    for (size_t i = 0; i < n; i++) counts[i] = 1;
    figure->value = statistic(data, counts, n);
    for (size_t r = 0; r < RESAMPLES; r++) {
        resample(counts, n, &seed);
        results[r] = (struct inc_ranked){statistic(data, counts, n), r};
        once[r] = 1;
    }
    inc_rank(results, RESAMPLES);
    figure->lo = quantile(results, once, RESAMPLES, 0.025);
    figure->hi = quantile(results, once, RESAMPLES, 0.975);
    inc_free(ctx, counts);
    return INCISE_OK;
}

enum incise_status inc_bootstrap_p1(const struct inc_ctx *ctx, const double *values, size_t n, uint64_t seed,
                                    struct incise_figure *figure)
{
    struct inc_ranked *items = inc_alloc_array(ctx, n, sizeof *items);
    if (items == NULL) return inc_fail_memory(ctx, n * sizeof *items, "resamples");
    for (size_t i = 0; i < n; i++) items[i] = (struct inc_ranked){values[i], i};
    inc_rank(items, n);
    enum incise_status status = inc_bootstrap(ctx, statistic_p1, items, n, seed, figure);
    inc_free(ctx, items);
    return status;
}
