/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "incise/array.h"
#include "incise/embed.h"
#include "part.h"
#include "texts.h"

/* Texts that are read, run and written at a time: as many as take about WINDOW_SECONDS, so that a kill costs little. */
#define WINDOW_FIRST   64
#define WINDOW_LEAST   32
#define WINDOW_MOST    1024
#define WINDOW_BYTES   (8 << 20)
#define WINDOW_SECONDS 2.0
#define CHECKPOINT     1.0 /* seconds between two, at least */
#define NUMBER_BYTES   20  /* of ", -1.23456789e-38" and more */

enum embed_form { FORM_AUTO, FORM_NPY, FORM_JSONL, FORM_RAW };
static const char *const form_names[] = {"auto", "npy", "jsonl", "raw"};
static const char *const texts_names[] = {"auto", "lines", "jsonl", "tsv"};

struct embed_options {
    const char *out;
    int form;
    int from;
    bool force;
    const char *shard;
    const char *tokenizer;
    const char *prompt;
    const char *pooling;
    int normalize; /* 0 on, 1 off */
    long dimensions;
    long max_length;
    bool no_parse_special;
};

#define OPTION(...) TOOL_OPTION(embed_options, __VA_ARGS__)
static const struct tool_option options_table[] = {
    OPTION("output", 'o', TOOL_TEXT, out, "FILE",
           "file to write (default, and -: stdout); after a kill the same command goes on where it was"),
    OPTION("force", 'f', TOOL_FLAG, force, NULL, "replace FILE if it exists"),
    OPTION("as", 0, TOOL_CHOICE, form, "auto|npy|jsonl|raw",
           "form of the vectors; raw: float32, little endian (default: npy if FILE ends so, else jsonl)"),
    OPTION(
        "from", 0, TOOL_CHOICE, from, "auto|lines|jsonl|tsv",
        "form of the texts: jsonl has a `text`, of tsv the first column is taken (default: by the name, else lines)"),
    OPTION("shard", 0, TOOL_TEXT, shard, "I/N",
           "only every N-th text from the I-th on (I from 0), with a manifest for `incise merge`"),
    OPTION("tokenizer", 0, TOOL_TEXT, tokenizer, "PATH",
           "tokenizer.json, vocab.txt or their folder (default: beside the model)"),
    OPTION("prompt", 0, TOOL_TEXT, prompt, "query|document|NAME",
           "what config_sentence_transformers.json beside the model writes before each text of that kind"),
    OPTION("pooling", 0, TOOL_TEXT, pooling, "mean|cls|last|max|mean_sqrt_len",
           "default: as 1_Pooling beside the model says, else mean"),
    OPTION("normalize", 0, TOOL_CHOICE, normalize, "on|off", "vectors of length 1 (default: on)"),
    OPTION("dimensions", 0, TOOL_INT, dimensions, "N", "keep the first N numbers of each vector"),
    OPTION("max-length", 0, TOOL_INT, max_length, "N",
           "tokens per text; longer ones are cut (default: as the model says)"),
    OPTION("no-parse-special", 0, TOOL_FLAG, no_parse_special, NULL,
           "special tokens written in a text are text; for text of strangers"),
};

struct embed_job {
    struct incise_engine *engine;
    struct incise_embedder *embedder;
    const char *prompt;
    enum embed_form form;
    struct texts_reader reader;
    struct digest input; /* of the lines read */
    struct part part;
    float *vectors; /* of a window */
    char *line;     /* of JSON */
    size_t window;
    enum incise_log_level log;
    struct incise_embed_stats total; /* tokens and seconds of this process */
    double checkpoint;               /* when the last one was */
};

/* ---- vectors --------------------------------------------------------------------------------------------------- */

static enum incise_status write_json(struct embed_job *job, size_t index, const float *vector)
{
    size_t width = incise_embedder_width(job->embedder);
    char *at = job->line;
    at += sprintf(at, "{\"index\": %zu, \"embedding\": [", index);
    for (size_t k = 0; k < width; k++) at += sprintf(at, "%s%.9g", k > 0 ? ", " : "", (double)vector[k]);
    at += sprintf(at, "]}\n");
    return part_write(&job->part, job->line, (size_t)(at - job->line));
}

static void note_cut(struct manifest *m, const struct texts *texts, const struct incise_embed_stats *stats)
{
    if (stats->truncated == 0) return;
    if (m->cut == 0) m->first_cut = texts->lines[stats->first_cut];
    m->cut += stats->truncated;
    if (stats->longest_tokens <= m->longest_cut_tokens) return;
    m->longest_cut = texts->lines[stats->longest_cut];
    m->longest_cut_tokens = stats->longest_tokens;
}

static enum incise_status embed_window(struct embed_job *job, const struct texts *texts)
{
    struct incise_embed_stats stats;
    struct incise_text_batch batch = {.texts = (const char *const *)texts->items,
                                      .lengths = texts->lengths,
                                      .n = texts->n,
                                      .prompt = job->prompt,
                                      .numbers = texts->lines};
    size_t width = incise_embedder_width(job->embedder);
    enum incise_status status = incise_embedder_run(job->embedder, &batch, job->vectors, &stats);
    if (status == INCISE_OK && job->form != FORM_JSONL)
        status = part_write(&job->part, job->vectors, texts->n * width * sizeof *job->vectors);
    for (size_t i = 0; i < texts->n && status == INCISE_OK && job->form == FORM_JSONL; i++)
        status = write_json(job, texts->lines[i] - 1, job->vectors + i * width);
    if (status != INCISE_OK) return status;
    job->part.manifest.records += texts->n;
    job->total.tokens += stats.tokens;
    job->total.tokenize_seconds += stats.tokenize_seconds;
    job->total.run_seconds += stats.run_seconds;
    note_cut(&job->part.manifest, texts, &stats);
    return INCISE_OK;
}

/* As many texts as would have taken WINDOW_SECONDS. */
static size_t next_window(size_t window, double seconds)
{
    double wanted = seconds > 0 ? (double)window * WINDOW_SECONDS / seconds : WINDOW_MOST;
    if (wanted > 4.0 * (double)window) wanted = 4.0 * (double)window;
    return wanted > WINDOW_MOST ? WINDOW_MOST : wanted < WINDOW_LEAST ? WINDOW_LEAST : (size_t)wanted;
}

static enum incise_status embed_texts(struct embed_job *job)
{
    const struct texts_reader *reader = &job->reader;
    const struct manifest *m = &job->part.manifest;
    double size = (double)reader->size;
    struct tool_meter meter = {"embed", "texts", tool_seconds(), m->records,
                               size > 0 ? (double)reader->bytes / size : 0};
    struct texts texts = {0};
    enum incise_status status = INCISE_OK;
    job->checkpoint = meter.start;
    while (status == INCISE_OK) {
        double start = tool_seconds();
        texts_clear(&texts);
        status = texts_read(&job->reader, job->window, WINDOW_BYTES, &texts);
        if (status != INCISE_OK || texts.n == 0) break;
        status = embed_window(job, &texts);
        job->window = next_window(texts.n, tool_seconds() - start);
        if (status == INCISE_OK && tool_seconds() - job->checkpoint >= CHECKPOINT) {
            status = part_checkpoint(&job->part, reader->line, &job->input);
            job->checkpoint = tool_seconds();
        }
        tool_meter_show(&meter, m->records, size > 0 ? (double)reader->bytes / size : -1);
    }
    texts_release(&texts);
    if (status == INCISE_OK) tool_meter_end(&meter, m->records);
    return status;
}

/* ---- where it goes on ------------------------------------------------------------------------------------------ */

/* Passes over the lines whose vectors are there. False: they are not the lines that were embedded. */
static enum incise_status skip_done(struct embed_job *job, bool *same)
{
    const struct manifest *m = &job->part.manifest;
    char hex[DIGEST_HEX];
    *same = true;
    if (m->lines == 0) return INCISE_OK;
    enum incise_status status = texts_skip(&job->reader, m->lines);
    digest_get(&job->input, hex);
    *same = status == INCISE_OK && job->reader.line == m->lines && strcmp(hex, m->input) == 0;
    return status;
}

/* The part decides which of the lines are texts. */
static void attach(struct embed_job *job)
{
    job->reader.shard = job->part.manifest.shard;
    job->reader.shards = job->part.manifest.shards;
    job->reader.digest = &job->input;
    digest_reset(&job->input);
}

static enum incise_status find_place(struct embed_job *job, const struct embed_options *options, const char *texts)
{
    struct part *part = &job->part;
    bool same;
    enum incise_status status = skip_done(job, &same);
    if (status != INCISE_OK) return status;
    if (same && part->begun && job->log >= INCISE_LOG_WARNING)
        fprintf(stderr, "incise: %s: goes on behind line %zu of %s\n", part->path, part->manifest.lines,
                job->reader.name);
    if (same) return INCISE_OK;
    if (part->finished)
        return tool_fail(INCISE_ERROR_CREATE, "%s: exists, of other texts; replace it with --force", part->path);
    if (!options->force || job->reader.file == stdin)
        return tool_fail(INCISE_ERROR_CREATE, "%s was begun with other texts; remove it and %s", part->sink.temporary,
                         part->journal);
    texts_close(&job->reader);
    status = part_restart(part);
    if (status == INCISE_OK) status = texts_open(&job->reader, texts, (enum texts_form)options->from);
    attach(job);
    return status;
}

/* The shard is there already, if the texts end where it ends. */
static enum incise_status confirm(struct embed_job *job)
{
    size_t lines = job->part.manifest.lines;
    enum incise_status status = texts_skip(&job->reader, lines + 1);
    if (status != INCISE_OK) return status;
    if (job->reader.line > lines)
        return tool_fail(INCISE_ERROR_CREATE, "%s: exists, of fewer texts; replace it with --force", job->part.path);
    if (job->log >= INCISE_LOG_WARNING) fprintf(stderr, "incise: %s: is complete already\n", job->part.path);
    return INCISE_OK;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static enum incise_status create_embedder(const struct tool_global *global, struct embed_job *job, const char *model,
                                          const struct embed_options *given)
{
    struct incise_embed_options options;
    const char *prompt; /* an unknown name is told before any text is read */
    incise_embed_options_init(&options);
    options.compute = (enum incise_compute)global->compute;
    options.tokenizer = given->tokenizer;
    options.pooling = given->pooling;
    options.normalize = given->normalize == 0;
    options.dimensions = (size_t)given->dimensions;
    options.max_length = (size_t)given->max_length;
    options.no_parse_special = given->no_parse_special;
    job->prompt = given->prompt;
    enum incise_status status = incise_embedder_create(job->engine, model, &options, &job->embedder);
    return status == INCISE_OK ? incise_embedder_prompt(job->embedder, given->prompt, &prompt) : status;
}

static enum embed_form choose_form(const struct embed_options *options)
{
    size_t length = options->out != NULL ? strlen(options->out) : 0;
    if (options->form != FORM_AUTO) return (enum embed_form)options->form;
    return length > 4 && strcmp(options->out + length - 4, ".npy") == 0 ? FORM_NPY : FORM_JSONL;
}

static enum incise_status open_part(struct embed_job *job, const struct embed_options *options)
{
    struct manifest identity = {.vectors = json_object(), .shards = 1};
    bool to_file = options->out != NULL && strcmp(options->out, "-") != 0;
    enum incise_status status = INCISE_OK;
    if (options->shard != NULL) status = tool_parse_shard(options->shard, &identity.shard, &identity.shards);
    if (status == INCISE_OK && options->shard != NULL && !to_file)
        status = tool_fail(INCISE_ERROR_USAGE, "--shard: a shard has a manifest beside it; give -o FILE");
    if (status == INCISE_OK && to_file)
        status = incise_embedder_describe(job->embedder, options->prompt, manifest_property, &identity);
    if (status == INCISE_OK) {
        manifest_property(&identity, "texts", texts_names[job->reader.form]);
        manifest_property(&identity, "form", form_names[job->form]);
        if (identity.vectors == NULL) status = tool_fail(INCISE_ERROR_MEMORY, "out of memory");
    }
    if (status == INCISE_OK)
        status = part_open(&job->part, options->out, options->force, job->form == FORM_NPY ? PART_HEADER : 0,
                           &identity);
    manifest_release(&identity);
    return status;
}

/* The .npy header of what was written: PART_HEADER bytes. */
static enum incise_status make_header(struct embed_job *job, char header[INCISE_ARRAY_HEADER])
{
    size_t length;
    int64_t dims[] = {(int64_t)job->part.manifest.records, (int64_t)incise_embedder_width(job->embedder)};
    if (job->form != FORM_NPY) return INCISE_OK;
    enum incise_status status = incise_array_header(job->engine, INCISE_F32, 2, dims, header, &length);
    if (status == INCISE_OK && length != PART_HEADER)
        status = tool_fail(INCISE_ERROR_FAILED, "an .npy header of %zu bytes", length);
    return status;
}

static void report(const struct embed_job *job, const struct manifest *m)
{
    if (job->log >= INCISE_LOG_WARNING && m->cut > 0)
        fprintf(stderr,
                "incise: warning: %zu of %zu texts were cut, see --max-length: first the one of line %zu; the longest, "
                "of line %zu, has %zu tokens\n",
                m->cut, m->records, m->first_cut, m->longest_cut, m->longest_cut_tokens);
    if (job->log >= INCISE_LOG_INFO)
        fprintf(stderr, "incise: %zu tokens; seconds: tokenizer %.2f, model %.2f\n", job->total.tokens,
                job->total.tokenize_seconds, job->total.run_seconds);
}

static enum incise_status embed_file(struct embed_job *job, const struct embed_options *options, const char *path)
{
    char header[INCISE_ARRAY_HEADER];
    enum incise_status status = texts_open(&job->reader, path, (enum texts_form)options->from);
    if (status == INCISE_OK) status = open_part(job, options);
    if (status != INCISE_OK) {
        texts_close(&job->reader);
        return status;
    }
    attach(job);
    status = find_place(job, options, path);
    if (status == INCISE_OK) status = job->part.finished ? confirm(job) : embed_texts(job);
    if (status == INCISE_OK) status = make_header(job, header);
    struct manifest m = job->part.manifest;
    status = part_close(&job->part, status, header, job->reader.line, &job->input);
    texts_close(&job->reader);
    if (status == INCISE_OK) report(job, &m);
    return status;
}

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct embed_options *options = block;
    struct embed_job job = {
        .form = choose_form(options), .window = WINDOW_FIRST, .log = (enum incise_log_level)global->log};
    if (options->dimensions < 0 || options->max_length < 0)
        return tool_fail(INCISE_ERROR_USAGE, "--dimensions and --max-length take a number above 0");
    enum incise_status status = tool_engine(global, &job.engine);
    if (status == INCISE_OK) status = create_embedder(global, &job, arguments[0], options);
    if (status == INCISE_OK) status = digest_init(&job.input);
    if (status == INCISE_OK) {
        size_t width = incise_embedder_width(job.embedder);
        job.vectors = tool_alloc(WINDOW_MOST, width * sizeof *job.vectors);
        job.line = tool_alloc(width + 4, NUMBER_BYTES);
        status = job.vectors == NULL || job.line == NULL ? INCISE_ERROR_MEMORY
                                                         : embed_file(&job, options, n > 1 ? arguments[1] : NULL);
    }
    free(job.vectors);
    free(job.line);
    digest_fini(&job.input);
    incise_embedder_destroy(job.embedder);
    incise_engine_destroy(job.engine);
    return status;
}

const struct tool_command tool_embed = {
    .name = "embed",
    .arguments = "MODEL [FILE]",
    .summary = "texts to vectors: lines, JSONL or TSV in; .npy, JSONL or raw floats out",
    TOOL_TABLE(options_table, embed_options),
    .min_arguments = 1,
    .max_arguments = 2,
    .run = run,
};
