/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "commands.h"
#include "incise/embed.h"
#include "incise/evaluate.h"
#include "peaks.h"
#include "texts.h"
#include "timing.h"

#define MAX_COUNTS 32
#define MAX_COUNT  1000000

struct benchmark_options {
    const char *batches, *lengths, *texts;
    double seconds;
    const char *tokenizer, *pooling;
    long max_length;
    bool peak;
};

#define OPTION(...) TOOL_OPTION(benchmark_options, __VA_ARGS__)
static const struct tool_option options_table[] = {
    OPTION("batch", 'b', TOOL_TEXT, batches, "N,N", "texts per run (default: 1,32)"),
    OPTION("seq-len", 's', TOOL_TEXT, lengths, "N,N", "tokens per text, all real (default: 128)"),
    OPTION("seconds", 0, TOOL_REAL, seconds, "S", "for each model, batch and length (default: 3); at least 5 rounds"),
    OPTION("texts", 0, TOOL_TEXT, texts, "FILE",
           "passages on which each model's vectors are compared with the first's"),
    OPTION("tokenizer", 0, TOOL_TEXT, tokenizer, "PATH", "for --texts (default: beside each model)"),
    OPTION("pooling", 0, TOOL_TEXT, pooling, "mean|cls|last|max",
           "for --texts (default: as 1_Pooling says, else mean)"),
    OPTION("max-length", 0, TOOL_INT, max_length, "N", "tokens per text of --texts; longer ones are cut"),
    OPTION("peak", 0, TOOL_FLAG, peak, NULL,
           "measure this machine's limits first: alone without MODEL, else for peak_share"),
};

static void set_defaults(void *block)
{
    struct benchmark_options *options = block;
    options->batches = "1,32";
    options->lengths = "128";
    options->seconds = 3;
}

struct counts {
    size_t values[MAX_COUNTS], n;
};

static enum incise_status parse_counts(const char *name, const char *text, struct counts *counts)
{
    counts->n = 0;
    for (const char *at = text;; at++) {
        char *end;
        long value = strtol(at, &end, 10);
        if (end == at || value < 1 || value > MAX_COUNT || counts->n == MAX_COUNTS || (*end != ',' && *end != '\0'))
            return tool_fail(INCISE_ERROR_USAGE, "--%s '%s': up to %d numbers from 1 to %d with commas between", name,
                             text, MAX_COUNTS, MAX_COUNT);
        counts->values[counts->n++] = (size_t)value;
        if (*end == '\0') return INCISE_OK;
        at = end;
    }
}

/* ---- models ---------------------------------------------------------------------------------------------------- */

struct contestant {
    const char *path;
    struct incise_embedder *embedder; /* with --texts; owns the model */
    struct incise_model *model;
    struct timed timed;
    char precision[64]; /* "f32", "int8", "int8+f32": stored types of linear weights */
    bool integer;       /* multiplies integers */
    bool compared;
    struct incise_fidelity fidelity;
};

struct benchmark {
    struct incise_engine *engine;
    const struct tool_global *global;
    const struct benchmark_options *options;
    struct contestant *contestants;
    size_t n;
    struct texts texts;
    struct peaks peaks; /* with --peak */
};

/* Types in the words of the ecosystem: the two signs of an integer are one precision. */
static const char *precision_of(const char *weights)
{
    if (strcmp(weights, "i8") == 0 || strcmp(weights, "u8") == 0) return "int8";
    return strcmp(weights, "i4") == 0 || strcmp(weights, "u4") == 0 ? "int4" : weights;
}

static void describe(struct contestant *c)
{
    for (size_t i = 0; i < incise_model_ops(c->model); i++) {
        struct incise_op_row op;
        incise_model_op(c->model, i, &op);
        c->integer = c->integer || strcmp(op.kind, "QuantizeRows") == 0;
        const char *precision = precision_of(op.weights);
        size_t length = strlen(c->precision);
        if (precision[0] != '\0' && strstr(c->precision, precision) == NULL)
            snprintf(c->precision + length, sizeof c->precision - length, "%s%s", length > 0 ? "+" : "", precision);
    }
}

static enum incise_status load(const struct benchmark *b, struct contestant *c)
{
    struct incise_load_options load;
    struct incise_embed_options embed;
    enum incise_status status;
    if (b->texts.n > 0) {
        incise_embed_options_init(&embed);
        embed.compute = (enum incise_compute)b->global->compute;
        embed.tokenizer = b->options->tokenizer;
        embed.pooling = b->options->pooling;
        embed.max_length = (size_t)b->options->max_length;
        status = incise_embedder_create(b->engine, c->path, &embed, &c->embedder);
        if (status == INCISE_OK) c->model = incise_embedder_model(c->embedder);
    } else {
        incise_load_options_init(&load);
        load.compute = (enum incise_compute)b->global->compute;
        status = incise_model_load(b->engine, c->path, &load, &c->model);
    }
    if (status != INCISE_OK) return status;
    describe(c);
    return timed_init(&c->timed, c->model);
}

static void release(struct contestant *c)
{
    timed_release(&c->timed);
    if (c->embedder == NULL) incise_model_destroy(c->model);
    incise_embedder_destroy(c->embedder);
}

/* Vectors of the texts, each model's against the first's. */
static enum incise_status compare(struct benchmark *b)
{
    enum incise_status status = INCISE_OK;
    if (b->texts.n == 0 || b->n < 2) return INCISE_OK;
    size_t width = incise_embedder_width(b->contestants[0].embedder);
    float *base = texts_embed(b->contestants[0].embedder, &b->texts, NULL, b->contestants[0].path, &status);
    for (size_t i = 1; i < b->n && status == INCISE_OK; i++) {
        struct contestant *c = &b->contestants[i];
        if (incise_embedder_width(c->embedder) != width) {
            status = tool_fail(INCISE_ERROR_DATA, "vectors of %s have %zu numbers, of %s %zu: they cannot be compared",
                               b->contestants[0].path, width, c->path, incise_embedder_width(c->embedder));
            break;
        }
        float *vectors = texts_embed(c->embedder, &b->texts, NULL, c->path, &status);
        if (status == INCISE_OK)
            status = incise_fidelity_measure(b->engine, base, vectors, b->texts.n, width, 0, &c->fidelity);
        c->compared = status == INCISE_OK;
        free(vectors);
    }
    free(base);
    return status;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static double peak_rss_mb(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024 / 1e6 : 0;
}

static void set_quality(struct tool_rows *rows, const struct contestant *c)
{
    const char *const names[] = {"cosine_mean", "cosine_p1", "neighbours_top10"};
    const double values[] = {c->fidelity.cosine_mean.value, c->fidelity.cosine_p1.value,
                             c->fidelity.neighbours_top10.value};
    for (int i = 0; i < 3; i++) {
        if (c->compared)
            tool_set_real(rows, names[i], values[i], 4);
        else
            tool_set_null(rows, names[i]);
    }
}

static void set_latency(struct tool_rows *rows, const double *sorted, size_t n)
{
    tool_set_member(rows, "latency_ms", "median", quantile_of_sorted(sorted, n, 0.5) * 1e3, 3);
    tool_set_member(rows, "latency_ms", "p90", quantile_of_sorted(sorted, n, 0.9) * 1e3, 3);
    tool_set_member(rows, "latency_ms", "p99", quantile_of_sorted(sorted, n, 0.99) * 1e3, 3);
    tool_set_member(rows, "latency_ms", "min", sorted[0] * 1e3, 3);
    tool_set_member(rows, "latency_ms", "max", sorted[n - 1] * 1e3, 3);
}

/* Time of the products at the peak of their arithmetic, over the time of a run. */
static void set_peak_share(const struct benchmark *b, struct tool_rows *rows, const struct contestant *c,
                           double seconds)
{
    double least = 0;
    if (!b->options->peak) return;
    for (size_t i = 0; i < incise_model_ops(c->model); i++) {
        struct incise_work work;
        incise_session_work(c->timed.session, i, &work);
        if (work.limit != INCISE_LIMIT_READ) least += peaks_seconds(&b->peaks, &work);
    }
    tool_set_real(rows, "peak_share", least / seconds, 3);
}

/* One row; `speedup` is known already since it needs the rounds in their order. Sorts the model's times. */
static void add_row(const struct benchmark *b, struct tool_rows *rows, struct contestant *c, size_t batch,
                    size_t length, size_t rounds, double speedup)
{
    sort_values(c->timed.seconds, rounds);
    double fps = (double)batch / quantile_of_sorted(c->timed.seconds, rounds, 0.5);
    tool_rows_next(rows);
    tool_set_text(rows, "model", c->path);
    tool_set_text(rows, "device", "cpu");
    tool_set_text(rows, "isa", incise_isa_name(incise_engine_isa(b->engine)));
    tool_set_text(rows, "precision", c->precision);
    tool_set_text(rows, "compute", c->integer ? "int8" : "float");
    tool_set_int(rows, "batch", (long long)batch);
    tool_set_int(rows, "seq_len", (long long)length);
    if (b->texts.n > 0)
        tool_set_int(rows, "texts", (long long)b->texts.n);
    else
        tool_set_null(rows, "texts");
    tool_set_int(rows, "threads", incise_engine_threads(b->engine));
    tool_set_int(rows, "iterations", (long long)rounds);
    tool_set_real(rows, "fps", fps, 1);
    tool_set_real(rows, "fps_best", (double)batch / c->timed.seconds[0], 1);
    set_latency(rows, c->timed.seconds, rounds);
    tool_set_real(rows, "tokens_per_s", fps * (double)length, 0);
    tool_set_real(rows, "peak_rss_mb", peak_rss_mb(), 1);
    tool_set_real(rows, "load_s", incise_model_load_seconds(c->model), 3);
    tool_set_real(rows, "speedup", speedup, 2);
    set_peak_share(b, rows, c, (double)batch / fps);
    set_quality(rows, c);
}

/* Median over rounds of the first model's time over each model's. `ratios` has room for the rounds. */
static void find_speedups(const struct benchmark *b, size_t rounds, double *ratios, double *speedups)
{
    for (size_t i = 0; i < b->n; i++) {
        for (size_t r = 0; r < rounds; r++)
            ratios[r] = b->contestants[0].timed.seconds[r] / b->contestants[i].timed.seconds[r];
        sort_values(ratios, rounds);
        speedups[i] = quantile_of_sorted(ratios, rounds, 0.5);
    }
}

static enum incise_status measure(struct benchmark *b, struct tool_rows *rows, size_t batch, size_t length)
{
    struct timed *timed = tool_alloc(b->n, sizeof *timed);
    double *speedups = tool_alloc(b->n, sizeof *speedups), *ratios = NULL;
    size_t rounds = 0;
    enum incise_status status = timed == NULL || speedups == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    for (size_t i = 0; i < b->n && status == INCISE_OK; i++) timed[i] = b->contestants[i].timed;
    if (status == INCISE_OK) {
        status = timed_measure(timed, b->n, batch, length, b->options->seconds, &rounds);
        for (size_t i = 0; i < b->n; i++) b->contestants[i].timed = timed[i];
    }
    if (status == INCISE_OK && (ratios = tool_alloc(rounds, sizeof *ratios)) == NULL) status = INCISE_ERROR_MEMORY;
    if (status == INCISE_OK) {
        find_speedups(b, rounds, ratios, speedups);
        for (size_t i = 0; i < b->n; i++) add_row(b, rows, &b->contestants[i], batch, length, rounds, speedups[i]);
    }
    free(timed);
    free(speedups);
    free(ratios);
    return status;
}

static enum incise_status print(const struct benchmark *b, struct tool_rows *rows)
{
    static const char *const details[] = {"device",     "isa",      "compute",      "texts",       "threads",
                                          "iterations", "fps_best", "tokens_per_s", "peak_rss_mb", "load_s"};
    enum tool_format format = (enum tool_format)b->global->format;
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) tool_hide(rows, details[i]);
    if (b->texts.n == 0) {
        tool_hide(rows, "cosine_mean");
        tool_hide(rows, "cosine_p1");
        tool_hide(rows, "neighbours_top10");
    }
    if (format == TOOL_TABLE || format == TOOL_MD)
        printf("%s, %d threads, %s; fps: texts per second from the median; speedup: against the first model\n\n",
               incise_cpu_name(), incise_engine_threads(b->engine), incise_isa_name(incise_engine_isa(b->engine)));
    return tool_rows_print(rows, format, false);
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static enum incise_status benchmark(struct benchmark *b, const struct counts *batches, const struct counts *lengths)
{
    struct tool_rows *rows = tool_rows_create();
    enum incise_status status = rows == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    size_t total = batches->n * lengths->n;
    for (size_t i = 0; i < b->n && status == INCISE_OK; i++) {
        tool_progress("load", i, b->n, b->contestants[i].path);
        status = load(b, &b->contestants[i]);
    }
    if (status == INCISE_OK) tool_progress("load", b->n, b->n, "");
    if (status == INCISE_OK) status = compare(b);
    for (size_t i = 0; i < total && status == INCISE_OK; i++) {
        size_t batch = batches->values[i / lengths->n], length = lengths->values[i % lengths->n];
        char name[64];
        snprintf(name, sizeof name, "%zu texts of %zu tokens", batch, length);
        tool_progress("benchmark", i, total, name);
        status = measure(b, rows, batch, length);
    }
    if (status == INCISE_OK) tool_progress("benchmark", total, total, "");
    if (status == INCISE_OK) status = print(b, rows);
    tool_rows_destroy(rows);
    return status;
}

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct benchmark_options *options = block;
    struct benchmark b = {.global = global, .options = options, .n = n};
    struct counts batches, lengths;
    enum incise_status status = parse_counts("batch", options->batches, &batches);
    if (status == INCISE_OK) status = parse_counts("seq-len", options->lengths, &lengths);
    if (status == INCISE_OK && (options->seconds < 0 || options->max_length < 0))
        status = tool_fail(INCISE_ERROR_USAGE, "--seconds and --max-length take a number above 0");
    if (status == INCISE_OK && options->texts != NULL) status = texts_load(options->texts, &b.texts);
    if (status == INCISE_OK && b.texts.n == 1)
        status = tool_fail(INCISE_ERROR_DATA, "%s: holds one text; models are compared on two or more", options->texts);
    if (status == INCISE_OK && n == 0 && !options->peak)
        status = tool_fail(INCISE_ERROR_USAGE, "benchmark: MODEL or --peak is missing; see incise benchmark --help");
    if (status == INCISE_OK) status = tool_engine(global, &b.engine);
    if (status == INCISE_OK && options->peak) status = peaks_measure(b.engine, options->seconds, &b.peaks);
    if (status == INCISE_OK && (b.contestants = tool_alloc(n, sizeof *b.contestants)) == NULL)
        status = INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < n && status == INCISE_OK; i++) b.contestants[i].path = arguments[i];
    if (status == INCISE_OK)
        status = n == 0 ? peaks_print(&b.peaks, b.engine, (enum tool_format)global->format)
                        : benchmark(&b, &batches, &lengths);
    for (size_t i = 0; i < n && b.contestants != NULL; i++) release(&b.contestants[i]);
    free(b.contestants);
    texts_release(&b.texts);
    incise_engine_destroy(b.engine);
    return status;
}

const struct tool_command tool_benchmark = {
    .name = "benchmark",
    .arguments = "[MODEL...]",
    .summary = "speed of models, measured in turns; with --texts also what each keeps of the first one's quality",
    TOOL_TABLE(options_table, benchmark_options),
    .min_arguments = 0,
    .max_arguments = 64,
    .defaults = set_defaults,
    .run = run,
};
