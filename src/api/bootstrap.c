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

struct item {
    double value;
    size_t index;
};

static int by_value(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

static double between(double low, double high, double t)
{
    return low + (high - low) * t;
}

/* `share`-quantile of items in rising order, each counts[index] times, n in all. */
static double quantile(const struct item *items, const uint32_t *counts, size_t n, double share)
{
    double position = share * (double)(n - 1), whole = floor(position);
    size_t k = (size_t)whole, i = 0, seen = counts[items[0].index];
    while (seen <= k) seen += counts[items[++i].index];
    double low = items[i].value, high = low;
    if (k + 1 < n) {
        while (seen <= k + 1) seen += counts[items[++i].index];
        high = items[i].value;
    }
    return between(low, high, position - whole);
}

static double measure(enum inc_statistic statistic, const struct item *items, const uint32_t *counts, size_t n)
{
    double sum = 0;
    if (statistic == INC_STATISTIC_P1) return quantile(items, counts, n, 0.01);
    for (size_t i = 0; i < n; i++) sum += counts[items[i].index] * items[i].value;
    return statistic == INC_STATISTIC_MEAN ? sum / (double)n : sqrt(sum / (double)n);
}

static void resample(uint32_t *counts, size_t n, uint64_t *state)
{
    memset(counts, 0, n * sizeof *counts);
    for (size_t i = 0; i < n; i++) counts[next_random(state) % n]++;
}

enum incise_status inc_bootstrap(const struct inc_ctx *ctx, enum inc_statistic statistic, const double *values,
                                 size_t n, uint64_t seed, struct incise_figure *figure)
{
    struct item results[RESAMPLES];
    uint32_t once[RESAMPLES];
    struct item *items = inc_alloc_array(ctx, n, sizeof *items);
    uint32_t *counts = inc_alloc_array(ctx, n, sizeof *counts);
    if (items == NULL || counts == NULL) {
        inc_free(ctx, items);
        inc_free(ctx, counts);
        return inc_fail_memory(ctx, n * sizeof *items, "resamples");
    }
    for (size_t i = 0; i < n; i++) {
        items[i] = (struct item){values[i], i};
        counts[i] = 1;
    }
    if (statistic == INC_STATISTIC_P1) qsort(items, n, sizeof *items, by_value);
    figure->value = measure(statistic, items, counts, n);
    for (size_t r = 0; r < RESAMPLES; r++) {
        resample(counts, n, &seed);
        results[r] = (struct item){measure(statistic, items, counts, n), r};
        once[r] = 1;
    }
    qsort(results, RESAMPLES, sizeof *results, by_value);
    figure->lo = quantile(results, once, RESAMPLES, 0.025);
    figure->hi = quantile(results, once, RESAMPLES, 0.975);
    inc_free(ctx, items);
    inc_free(ctx, counts);
    return INCISE_OK;
}
