/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "incise/array.h"
#include "incise/embed.h"
#include "sink.h"
#include "texts.h"

#define CHUNK 1024 /* texts read, run and written at a time */

enum embed_form { FORM_AUTO, FORM_NPY, FORM_JSONL, FORM_RAW };

struct embed_options {
    const char *out;
    int form;
    int from;
    bool force;
    const char *tokenizer;
    const char *prompt;
    const char *pooling;
    int normalize; /* 0 on, 1 off */
    long dimensions;
    long max_length;
};

#define OPTION(name, letter, kind, field, values, help)                                                                \
    {                                                                                                                  \
        name, letter, kind, offsetof(struct embed_options, field), values, help, NULL                                  \
    }
static const struct tool_option options_table[] = {
    OPTION("output", 'o', TOOL_TEXT, out, "FILE", "file to write (default, and -: stdout)"),
    OPTION("force", 'f', TOOL_FLAG, force, NULL, "replace FILE if it exists"),
    OPTION("as", 0, TOOL_CHOICE, form, "auto|npy|jsonl|raw",
           "form of the vectors; raw: float32, little endian (default: npy if FILE ends so, else jsonl)"),
    OPTION(
        "from", 0, TOOL_CHOICE, from, "auto|lines|jsonl|tsv",
        "form of the texts: jsonl has a `text`, of tsv the first column is taken (default: by the name, else lines)"),
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
};

struct embed_job {
    struct incise_engine *engine;
    struct incise_embedder *embedder;
    const char *prompt;
    struct sink sink;
    enum embed_form form;
    struct incise_embed_stats total;
    size_t texts;
};

static enum incise_status write_json(struct sink *sink, size_t index, const float *vector, size_t width)
{
    char number[64];
    enum incise_status status = sink_write(
        sink, number, (size_t)snprintf(number, sizeof number, "{\"index\": %zu, \"embedding\": [", index));
    for (size_t k = 0; k < width && status == INCISE_OK; k++)
        status = sink_write(sink, number,
                            (size_t)snprintf(number, sizeof number, "%s%.9g", k > 0 ? ", " : "", (double)vector[k]));
    return status == INCISE_OK ? sink_write(sink, "]}\n", 3) : status;
}

static enum incise_status embed_chunk(struct embed_job *job, const struct texts *texts, size_t first, size_t n,
                                      float *vectors)
{
    struct incise_embed_stats stats;
    size_t width = incise_embedder_width(job->embedder);
    struct incise_text_batch batch = {.texts = (const char *const *)texts->items + first,
                                      .lengths = texts->lengths + first,
                                      .n = n,
                                      .prompt = job->prompt,
                                      .first = job->texts};
    enum incise_status status = incise_embedder_run(job->embedder, &batch, vectors, &stats);
    if (status != INCISE_OK) return status;
    if (job->form != FORM_JSONL) status = sink_write(&job->sink, vectors, n * width * sizeof *vectors);
    for (size_t i = 0; i < n && status == INCISE_OK && job->form == FORM_JSONL; i++)
        status = write_json(&job->sink, job->texts + i, vectors + i * width, width);
    job->texts += n;
    job->total.tokens += stats.tokens;
    job->total.truncated += stats.truncated;
    return status;
}

static enum incise_status embed_texts(struct embed_job *job, const struct texts *texts, float *vectors)
{
    enum incise_status status = INCISE_OK;
    if (job->form == FORM_NPY) {
        char header[INCISE_ARRAY_HEADER];
        size_t length;
        int64_t dims[] = {(int64_t)texts->n, (int64_t)incise_embedder_width(job->embedder)};
        status = incise_array_header(job->engine, INCISE_F32, 2, dims, header, &length);
        if (status == INCISE_OK) status = sink_write(&job->sink, header, length);
    }
    for (size_t i = 0; i < texts->n && status == INCISE_OK; i += CHUNK) {
        if (texts->n > CHUNK) tool_progress("embed", i, texts->n, "");
        status = embed_chunk(job, texts, i, texts->n - i < CHUNK ? texts->n - i : CHUNK, vectors);
    }
    if (status == INCISE_OK && texts->n > CHUNK) tool_progress("embed", texts->n, texts->n, "");
    return status;
}

/* JSONL and raw stream; .npy says the count first, so all texts are read before. */
static enum incise_status embed_input(struct embed_job *job, struct texts_reader *reader)
{
    size_t limit = job->form == FORM_NPY ? SIZE_MAX : CHUNK, n;
    float *vectors = tool_alloc(CHUNK, incise_embedder_width(job->embedder) * sizeof *vectors);
    enum incise_status status = vectors == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    do {
        struct texts texts = {0};
        if (status == INCISE_OK) status = texts_read(reader, limit, &texts);
        if (status == INCISE_OK) status = embed_texts(job, &texts, vectors);
        n = texts.n;
        texts_release(&texts);
    } while (status == INCISE_OK && n == CHUNK && job->form != FORM_NPY);
    free(vectors);
    return status;
}

static enum incise_status create_embedder(const struct tool_global *global, struct embed_job *job, const char *model,
                                          const struct embed_options *given)
{
    struct incise_embed_options options;
    incise_embed_options_init(&options);
    options.compute = (enum incise_compute)global->compute;
    options.tokenizer = given->tokenizer;
    options.pooling = given->pooling;
    options.normalize = given->normalize == 0;
    options.dimensions = (size_t)given->dimensions;
    options.max_length = (size_t)given->max_length;
    job->prompt = given->prompt;
    enum incise_status status = incise_embedder_create(job->engine, model, &options, &job->embedder);
    const char *prompt; /* an unknown name is told before any text is read */
    return status == INCISE_OK ? incise_embedder_prompt(job->embedder, given->prompt, &prompt) : status;
}

static enum embed_form choose_form(const struct embed_options *options)
{
    size_t length = options->out != NULL ? strlen(options->out) : 0;
    if (options->form != FORM_AUTO) return (enum embed_form)options->form;
    return length > 4 && strcmp(options->out + length - 4, ".npy") == 0 ? FORM_NPY : FORM_JSONL;
}

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct embed_options *options = block;
    struct embed_job job = {.form = choose_form(options)};
    struct texts_reader reader;
    if (options->dimensions < 0 || options->max_length < 0)
        return tool_fail(INCISE_ERROR_USAGE, "--dimensions and --max-length take a number above 0");
    enum incise_status status = tool_engine(global, &job.engine);
    if (status == INCISE_OK) status = create_embedder(global, &job, arguments[0], options);
    if (status == INCISE_OK) status = texts_open(&reader, n > 1 ? arguments[1] : NULL, (enum texts_form)options->from);
    if (status == INCISE_OK) {
        status = sink_open(&job.sink, options->out, options->force);
        if (status == INCISE_OK) status = sink_close(&job.sink, embed_input(&job, &reader));
        texts_close(&reader);
    }
    if (status == INCISE_OK && job.total.truncated > 0 && global->log >= INCISE_LOG_WARNING)
        fprintf(stderr, "incise: warning: %zu of %zu texts were cut; see --max-length\n", job.total.truncated,
                job.texts);
    incise_embedder_destroy(job.embedder);
    incise_engine_destroy(job.engine);
    return status;
}

const struct tool_command tool_embed = {
    .name = "embed",
    .arguments = "MODEL [FILE]",
    .summary = "texts to vectors: lines, JSONL or TSV in; .npy, JSONL or raw floats out",
    .options = options_table,
    .n_options = sizeof options_table / sizeof options_table[0],
    .min_arguments = 1,
    .max_arguments = 2,
    .options_bytes = sizeof(struct embed_options),
    .run = run,
};
