/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel benchmarks share: the thread's clock, numbers, and which blocks of a weight are dropped. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define ROUNDS 9 /* the best of so many counts */

static inline double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline uint64_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

struct shape {
    size_t m, n, k;
};

struct pattern {
    size_t rows, columns; /* of a block */
    double sparsity;
};

/* Whether the block that holds this weight is zero, by a hash of its place. */
static inline bool dropped(const struct pattern *pattern, size_t row, size_t column)
{
    uint64_t place = (row / pattern->rows) * 1000003u + column / pattern->columns + 12345;
    random_next(&place), random_next(&place);
    return (double)(random_next(&place) % 100000) * 1e-5 < pattern->sparsity;
}

/* Dense, then 30, 50, 70 and 90 % in blocks of 32 x each width: pattern i < N_PATTERNS(widths). */
#define N_PATTERNS(widths) (1 + 4 * (widths))
static inline struct pattern pattern_at(const size_t *widths, size_t i)
{
    static const double sparsities[] = {0.3, 0.5, 0.7, 0.9};
    return (struct pattern){32, widths[i ? (i - 1) / 4 : 0], i ? sparsities[(i - 1) % 4] : 0.0};
}

#endif
