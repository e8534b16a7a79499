/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products of one thread. Every round times every row of a table once, each beside a measurement of the peak
 * of its own, so that shares of the peak and ratios hold on a machine whose speed changes while they are taken.
 * Rates count skipped zeros as work. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "bench_gemm.h"

#define STREAM_BYTES ((size_t)64 << 20)  /* of weights that a small M reads: many layers, as a model has */
#define SMALL_M      8
#define MAX_PATTERNS 16
#define MAX_ROWS     128
#define SLOT_SECONDS 2e-3 /* of one timing */

struct pattern {
    size_t columns; /* of a block of 32 rows */
    double sparsity;
};

/* ---- weights ---------------------------------------------------------------------------------------------------- */

/* Whether the block that holds this weight is zero, by a hash of its place. */
static bool dropped(const struct pattern *pattern, size_t row, size_t column)
{
    uint64_t place = (row / 32) * 1000003u + column / pattern->columns + 12345;
    bench_random(&place), bench_random(&place);
    return (double)(bench_random(&place) % 100000) * 1e-5 < pattern->sparsity;
}

/* About normal (a sum of twelve), five deviations being 127. */
static int8_t *random_weights(struct bench *bench, size_t n)
{
    int8_t *q = bench_alloc(bench, n, 1);
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        double sum = -6;
        for (int j = 0; j < 12; j++) sum += bench_random(&state) / 2147483648.0;
        q[i] = (int8_t)fmax(-127, fmin(127, rint(sum * 127 / 5)));
    }
    return q;
}

static size_t list_patterns(const struct bench *bench, const struct bench_family *family, struct pattern *patterns)
{
    static const double sparsities[] = {0.1, 0.3, 0.5, 0.7, 0.9};
    static const size_t columns[] = {32, 4, 1};
    size_t n = 0;
    patterns[n++] = (struct pattern){32, 0};
    if (!bench->patterns || !family->masks) return n;
    for (size_t c = 0; c < 3 && columns[c] >= family->narrowest; c++)
        for (size_t s = 0; s < 5; s++) patterns[n++] = (struct pattern){columns[c], sparsities[s]};
    return n;
}

/* ---- one table --------------------------------------------------------------------------------------------------- */

/* A row: one kernel on one pattern. Arrays hold a value per round. */
struct row {
    const struct bench_family *family;
    size_t index; /* of the kernel in its family */
    struct bench_kernel kernel;
    struct pattern pattern;
    struct bench_packed *copies; /* n_copies of the same weights, each in memory of its own */
    size_t n_copies;
    size_t dense; /* row of the same kernel without zeros */
    double *rate, *share, *speedup, *to_first;
};

struct table {
    struct row rows[MAX_ROWS];
    size_t n_rows;
    struct bench_shape shape;
    size_t m;
    bool small; /* reads the weights from beyond the caches */
};

/* Seconds per product, for a few milliseconds of them. */
static double time_product(const struct row *row, const struct bench_input *input)
{
    size_t n = 0;
    const double start = bench_seconds();
    double now;
    do {
        for (size_t i = 0; i < row->n_copies; i++) row->family->run(row->family, row->index, &row->copies[i], input);
        n += row->n_copies;
        now = bench_seconds();
    } while (now - start < SLOT_SECONDS);
    return (now - start) / (double)n;
}

static void run_round(struct table *table, size_t round, const struct bench_input *input)
{
    const double work = 2.0 * (double)table->m * (double)(table->shape.n * table->shape.k);
    for (size_t i = 0; i < table->n_rows; i++) {
        struct row *row = &table->rows[i];
        const double top = bench_peak(inc_peak_select(row->kernel.limit, row->kernel.isa));
        row->rate[round] = work / time_product(row, input) * 1e-9;
        row->share[round] = row->rate[round] * row->copies[0].density / top;
        row->speedup[round] = row->rate[round] / table->rows[row->dense].rate[round];
        row->to_first[round] = row->rate[round] / table->rows[0].rate[round];
    }
}

static void print_table(const struct bench *bench, struct table *table)
{
    const size_t n = bench->rounds;
    const double work = 2.0 * (double)table->m * (double)(table->shape.n * table->shape.k) * 1e-9;
    printf("M=%zu N=%zu K=%zu: 1e9 operations/s, zeros counted\n"
           "  weights kernel   blocks         median     best  of peak: median   best  x dense  x first  keeps%s\n",
           table->m, table->shape.n, table->shape.k, table->small ? "  GB/s" : "");
    for (size_t i = 0; i < table->n_rows; i++) {
        struct row *row = &table->rows[i];
        const double median = bench_median(row->rate, n), best = row->rate[n - 1];
        const double share = bench_median(row->share, n), best_share = row->share[n - 1];
        printf("  %-7s %-8s 32x%-2zu %2.0f %%   %8.1f %8.1f          %5.1f %% %5.1f %%   x%-5.2f   x%-5.2f  %.3f",
               row->family->name, row->kernel.name, row->pattern.columns, 100 * row->pattern.sparsity, median, best,
               100 * share, 100 * best_share, bench_median(row->speedup, n), bench_median(row->to_first, n),
               row->copies[0].density);
        if (table->small) printf("  %.1f", median / work * (double)row->copies[0].bytes * 1e-9);
        printf("\n");
    }
}

static void prepare(struct bench *bench, const struct table *table, const int8_t *q, struct row *row)
{
    const struct bench_shape shape = table->shape;
    int8_t *masked = bench_alloc(bench, shape.n * shape.k, 1);
    for (size_t i = 0; i < shape.n * shape.k; i++)
        masked[i] = (int8_t)(dropped(&row->pattern, i / shape.k, i % shape.k) ? 0 : q[i]);
    const struct bench_weights weights = {shape.n, shape.k, masked};
    struct bench_packed first;
    row->family->pack(bench, row->family, row->index, &weights, &first);
    row->n_copies = table->small ? 1 + STREAM_BYTES / inc_max_size(first.bytes, 1 << 14) : 1;
    row->copies = bench_alloc(bench, row->n_copies, sizeof *row->copies);
    row->copies[0] = first;
    for (size_t i = 1; i < row->n_copies; i++)
        row->family->pack(bench, row->family, row->index, &weights, &row->copies[i]);
    double **of_rounds[] = {&row->rate, &row->share, &row->speedup, &row->to_first};
    for (size_t i = 0; i < 4; i++) *of_rounds[i] = bench_alloc(bench, bench->rounds, sizeof(double));
    inc_free(&bench->ctx, masked);
}

static void release(struct bench *bench, struct row *row)
{
    for (size_t i = 0; i < row->n_copies; i++) row->family->release(bench, &row->copies[i]);
    inc_free(&bench->ctx, row->copies);
    inc_free(&bench->ctx, row->rate), inc_free(&bench->ctx, row->share);
    inc_free(&bench->ctx, row->speedup), inc_free(&bench->ctx, row->to_first);
}

/* The rows of a family, one for each kernel and pattern. A rival takes the widest registers it may. */
static void add_rows(const struct bench *bench, const struct bench_family *family, bool rival, struct table *table)
{
    struct pattern patterns[MAX_PATTERNS];
    struct row row = {.family = family};
    const size_t n_patterns = list_patterns(bench, family, patterns);
    if (!bench_wants(bench, family->name)) return;
    for (; family->kernel(row.index, &row.kernel); row.index++) {
        if (row.kernel.isa > bench->isa || row.kernel.isa == INCISE_ISA_SCALAR) continue;
        if (rival) row.kernel.isa = bench->isa;
        row.dense = table->n_rows;
        for (size_t i = 0; i < n_patterns && table->n_rows < MAX_ROWS; i++) {
            row.pattern = patterns[i];
            table->rows[table->n_rows++] = row;
        }
    }
}

static void bench_table(struct bench *bench, struct table *table)
{
    const size_t m = table->m, n = table->shape.n, k = table->shape.k;
    int8_t *q = random_weights(bench, n * k);
    float *a = bench_random_floats(bench, m * k, 2), *scale = bench_random_floats(bench, m, 3);
    uint8_t *a_u8 = bench_alloc(bench, m, k);
    float *c = bench_random_floats(bench, m * n, 4);
    uint64_t state = 5;
    for (size_t i = 0; i < m * k; i++) a_u8[i] = (uint8_t)bench_random(&state);
    const struct bench_input input = {m, a, a_u8, scale, c};
    for (size_t i = 0; i < table->n_rows; i++) prepare(bench, table, q, &table->rows[i]);
    for (size_t round = 0; round < bench->rounds; round++) run_round(table, round, &input);
    print_table(bench, table);
    for (size_t i = 0; i < table->n_rows; i++) release(bench, &table->rows[i]);
    inc_free(&bench->ctx, q), inc_free(&bench->ctx, a), inc_free(&bench->ctx, scale);
    inc_free(&bench->ctx, a_u8), inc_free(&bench->ctx, c);
}

static void print_limits(struct bench *bench)
{
    size_t n;
    const struct inc_peak_kernel *peaks = inc_peak_kernels(&n);
    printf("peaks of one thread, 1e9 operations/s:");
    for (size_t i = 0; i < n; i++) {
        double best = 0;
        if (peaks[i].isa > bench->isa || peaks[i].isa == INCISE_ISA_SCALAR) continue;
        for (int round = 0; round < 20; round++) best = fmax(best, bench_peak(&peaks[i]));
        printf("  %s by %s %.0f", incise_limit_name(peaks[i].limit), peaks[i].name, best);
    }
    void *memory = bench_alloc(bench, INC_PEAK_READ_BYTES, 1);
    memset(memory, 1, INC_PEAK_READ_BYTES);
    printf("\nreading %zu MiB: %.1f GB/s\n", INC_PEAK_READ_BYTES >> 20, inc_peak_measure_read(memory, NULL, 1) * 1e-9);
    inc_free(&bench->ctx, memory);
}

void bench_gemm(struct bench *bench)
{
    struct table *table = bench_alloc(bench, 1, sizeof *table);
    for (size_t i = 0; i < bench_n_families; i++) add_rows(bench, &bench_families[i], false, table);
    for (size_t i = 0; i < bench_n_rivals; i++) add_rows(bench, &bench_rivals[i], true, table);
    if (table->n_rows) print_limits(bench);
    for (size_t s = 0; s < bench->n_shapes; s++) {
        for (size_t m = 0; m < bench->n_ms && table->n_rows; m++) {
            table->shape = bench->shapes[s];
            table->m = bench->ms[m];
            table->small = table->m <= SMALL_M;
            bench_table(bench, table);
        }
    }
    inc_free(&bench->ctx, table);
}
