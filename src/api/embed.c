/* SPDX-License-Identifier: Apache-2.0 */
#include "incise/embed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model_internal.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/size.h"
#include "text/pooling.h"
#include "text/tokenizer.h"

#define MAX_CONFIG     (16 << 20)
#define DEFAULT_LENGTH 512
#define DEFAULT_BATCH  4096
#define MAX_INPUTS     4

enum input_kind { INPUT_IDS, INPUT_MASK, INPUT_TYPES, INPUT_POSITIONS };
static const char *const input_names[] = {"input_ids", "attention_mask", "token_type_ids", "position_ids"};

struct incise_embedder {
    struct incise_engine *engine;
    struct incise_model *model;
    struct inc_tokenizer *tokenizer;
    enum inc_pooling_mode mode;
    bool pooled; /* the output is a vector per text */
    bool normalize;
    size_t max_length, batch_tokens;
    size_t output, n_outputs;  /* which output of how many */
    size_t model_width, width; /* before and after cutting to `dimensions` */
    enum input_kind kinds[MAX_INPUTS];
    bool narrow[MAX_INPUTS]; /* i32, else i64 */
    size_t n_inputs;
};

void incise_embed_options_init(struct incise_embed_options *options)
{
    *options = (struct incise_embed_options){.struct_size = sizeof *options, .normalize = 1};
}

/* ---- creation -------------------------------------------------------------------------------------------------- */

static enum incise_status find_inputs(struct incise_embedder *e, const char *path)
{
    const struct inc_ctx *ctx = &e->engine->ctx;
    bool has_ids = false;
    e->n_inputs = incise_model_inputs(e->model);
    for (size_t i = 0; i < e->n_inputs; i++) {
        struct incise_port port;
        size_t kind = 0;
        incise_model_input(e->model, i, &port);
        while (kind < MAX_INPUTS && strcmp(port.name, input_names[kind]) != 0) kind++;
        if (kind == MAX_INPUTS || i >= MAX_INPUTS || port.rank != 2 ||
            (port.type != INCISE_I64 && port.type != INCISE_I32))
            return inc_fail(
                ctx, INCISE_ERROR_DATA,
                "%s: input '%s' is not one of input_ids, attention_mask, token_type_ids, position_ids as integers "
                "[texts, tokens]; this model cannot embed texts",
                path, port.name);
        e->kinds[i] = (enum input_kind)kind;
        e->narrow[i] = port.type == INCISE_I32;
        has_ids = has_ids || kind == INPUT_IDS;
    }
    if (!has_ids) return inc_fail(ctx, INCISE_ERROR_DATA, "%s: there is no input 'input_ids'", path);
    return INCISE_OK;
}

/* "sentence_embedding" if its pooling is wanted, else the first output of token vectors. */
static enum incise_status find_output(struct incise_embedder *e, const char *path, bool pooling_given)
{
    struct incise_port port;
    e->n_outputs = incise_model_outputs(e->model);
    for (int pass = pooling_given; pass < 2; pass++)
        for (size_t i = 0; i < e->n_outputs; i++) {
            incise_model_output(e->model, i, &port);
            bool fits = pass == 0 ? port.rank == 2 && strcmp(port.name, "sentence_embedding") == 0 : port.rank == 3;
            if (!fits || port.type != INCISE_F32 || port.dims[port.rank - 1] < 1) continue;
            e->output = i;
            e->pooled = pass == 0;
            e->model_width = (size_t)port.dims[port.rank - 1];
            return INCISE_OK;
        }
    return inc_fail(&e->engine->ctx, INCISE_ERROR_DATA,
                    "%s: no output holds vectors, f32 [texts, tokens, width] with a fixed width; see incise inspect",
                    path);
}

static enum incise_status choose_pooling(struct incise_embedder *e, const char *path, const char *folder,
                                         const char *given)
{
    const struct inc_ctx *ctx = &e->engine->ctx;
    struct inc_pooling pooling;
    bool found;
    if (given != NULL) {
        if (inc_pooling_parse(given, &e->mode)) return INCISE_OK;
        return inc_fail(ctx, INCISE_ERROR_USAGE, "pooling '%s': use mean, cls, last or max", given);
    }
    if (e->pooled) return INCISE_OK;
    INC_TRY(inc_pooling_load(ctx, folder, &pooling, &found));
    if (!found) inc_log(ctx, INCISE_LOG_WARNING, "%s: no 1_Pooling beside it; the mean of all tokens is taken", path);
    if (found && pooling.dimension > 0 && (size_t)pooling.dimension != e->model_width)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: 1_Pooling is for vectors of %lld numbers, the model's have %zu",
                        path, (long long)pooling.dimension, e->model_width);
    e->mode = pooling.mode;
    return INCISE_OK;
}

/* Layers that sentence-transformers would run after pooling are not run. */
static enum incise_status warn_of_dense(const struct incise_embedder *e, const char *folder)
{
    const struct inc_ctx *ctx = &e->engine->ctx;
    size_t size = strlen(folder) + sizeof "/2_Dense";
    char *dense = inc_alloc(ctx, size);
    if (dense == NULL) return inc_fail_memory(ctx, size, "a path");
    snprintf(dense, size, "%s/2_Dense", folder);
    if (!e->pooled && inc_is_folder(dense))
        inc_log(ctx, INCISE_LOG_WARNING, "%s is not applied: vectors are those before the dense layers", dense);
    inc_free(ctx, dense);
    return INCISE_OK;
}

/* Key `key` of `folder`/`name` if there is such a file and key. */
static enum incise_status read_config(const struct inc_ctx *ctx, const char *folder, const char *name, const char *key,
                                      int64_t *number)
{
    struct inc_json json;
    uint64_t ignored;
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = inc_alloc(ctx, size);
    if (path == NULL) return inc_fail_memory(ctx, size, "a path");
    snprintf(path, size, "%s/%s", folder, name);
    enum incise_status status = INCISE_OK;
    if (inc_file_size(path, &ignored)) {
        status = inc_json_read(ctx, path, MAX_CONFIG, &json);
        if (status == INCISE_OK) {
            if (!json_is_null(json_object_get(json.root, key)))
                status = inc_json_int(&json, json.root, name, key, 1, INT32_MAX, number);
            inc_json_release(&json);
        }
    }
    inc_free(ctx, path);
    return status;
}

static enum incise_status choose_length(struct incise_embedder *e, const char *folder, size_t given)
{
    const struct inc_ctx *ctx = &e->engine->ctx;
    int64_t length = 0, positions = DEFAULT_LENGTH;
    e->max_length = given;
    if (given > 0) return INCISE_OK;
    INC_TRY(read_config(ctx, folder, "sentence_bert_config.json", "max_seq_length", &length));
    if (length == 0) length = (int64_t)inc_tokenizer_max_tokens(e->tokenizer);
    if (length == 0) {
        INC_TRY(read_config(ctx, folder, "config.json", "max_position_embeddings", &positions));
        length = positions < DEFAULT_LENGTH ? positions : DEFAULT_LENGTH;
    }
    e->max_length = (size_t)length;
    return INCISE_OK;
}

static enum incise_status set_up(struct incise_embedder *e, const char *path, const char *folder,
                                 const struct incise_embed_options *options)
{
    struct incise_load_options load;
    incise_load_options_init(&load);
    load.compute = options->compute;
    INC_TRY(incise_model_load(e->engine, path, &load, &e->model));
    INC_TRY(
        inc_tokenizer_load(&e->engine->ctx, options->tokenizer != NULL ? options->tokenizer : folder, &e->tokenizer));
    INC_TRY(find_inputs(e, path));
    INC_TRY(find_output(e, path, options->pooling != NULL));
    INC_TRY(choose_pooling(e, path, folder, options->pooling));
    INC_TRY(warn_of_dense(e, folder));
    INC_TRY(choose_length(e, folder, options->max_length));
    e->normalize = options->normalize != 0;
    e->batch_tokens = options->batch_tokens > 0 ? options->batch_tokens : DEFAULT_BATCH;
    e->width = options->dimensions > 0 ? options->dimensions : e->model_width;
    if (e->width > e->model_width)
        return inc_fail(&e->engine->ctx, INCISE_ERROR_USAGE, "%zu dimensions are more than the model's %zu", e->width,
                        e->model_width);
    return INCISE_OK;
}

enum incise_status incise_embedder_create(struct incise_engine *engine, const char *path,
                                          const struct incise_embed_options *options, struct incise_embedder **out)
{
    const struct inc_ctx *ctx = &engine->ctx;
    struct incise_embed_options defaults;
    char *folder = NULL;
    incise_embed_options_init(&defaults);
    if (options == NULL) options = &defaults;
    if (options->struct_size != sizeof *options)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "options were not initialized by incise_embed_options_init");
    struct incise_embedder *e = inc_alloc_zero(ctx, 1, sizeof *e);
    if (e == NULL) return inc_fail_memory(ctx, sizeof *e, "an embedder");
    e->engine = engine;
    enum incise_status status = inc_folder_of(ctx, path, &folder);
    if (status == INCISE_OK) status = set_up(e, path, folder, options);
    inc_free(ctx, folder);
    if (status == INCISE_OK)
        *out = e;
    else
        incise_embedder_destroy(e);
    return status;
}

void incise_embedder_destroy(struct incise_embedder *embedder)
{
    if (embedder == NULL) return;
    incise_model_destroy(embedder->model);
    inc_tokenizer_destroy(embedder->tokenizer);
    inc_free(&embedder->engine->ctx, embedder);
}

size_t incise_embedder_width(const struct incise_embedder *embedder)
{
    return embedder->width;
}

struct incise_model *incise_embedder_model(struct incise_embedder *embedder)
{
    return embedder->model;
}

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

/* A text's ids are ids[first .. first + count). */
struct text_tokens {
    size_t index; /* in the caller's order */
    size_t first, count;
};

/* One call of incise_embedder_run. */
struct embed_run {
    const struct incise_embedder *e;
    struct incise_session *session;
    struct text_tokens *texts; /* longest first once sorted */
    int32_t *ids;
    size_t n_ids, ids_capacity;
    struct incise_tensor inputs[MAX_INPUTS];
    struct incise_tensor *outputs;
    double *vector; /* model_width */
    struct incise_embed_stats stats;
};

static enum incise_status tokenize(struct embed_run *run, const char *const *texts, const size_t *lengths, size_t n)
{
    const struct inc_ctx *ctx = &run->e->engine->ctx;
    enum incise_status status = INCISE_OK;
    struct inc_ids ids;
    inc_ids_init(&ids, ctx);
    for (size_t i = 0; i < n && status == INCISE_OK; i++) {
        status = inc_tokenizer_encode(run->e->tokenizer, texts[i], lengths[i], run->e->max_length, &ids);
        if (status == INCISE_OK && ids.count == 0)
            status = inc_fail(ctx, INCISE_ERROR_DATA, "text %zu has no tokens", i);
        else if (status != INCISE_OK)
            status = inc_fail(ctx, status, "text %zu cannot be tokenized", i);
        if (status == INCISE_OK)
            status = inc_grow(ctx, (void **)&run->ids, &run->ids_capacity, run->n_ids + ids.count, sizeof *run->ids);
        if (status != INCISE_OK) break;
        memcpy(run->ids + run->n_ids, ids.ids, ids.count * sizeof *ids.ids);
        run->texts[i] = (struct text_tokens){i, run->n_ids, ids.count};
        run->n_ids += ids.count;
        run->stats.truncated += ids.truncated;
    }
    run->stats.tokens = run->n_ids;
    inc_ids_release(&ids);
    return status;
}

static int by_length(const void *a, const void *b)
{
    const struct text_tokens *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static int64_t input_element(enum input_kind kind, const int32_t *ids, size_t count, size_t position)
{
    switch (kind) {
    case INPUT_IDS: return position < count ? ids[position] : 0;
    case INPUT_MASK: return position < count;
    case INPUT_TYPES: return 0;
    case INPUT_POSITIONS: return (int64_t)position;
    }
    return 0;
}

/* Fills the inputs with `rows` texts, padded on the right to `length`. */
static void fill_inputs(struct embed_run *run, const struct text_tokens *texts, size_t rows, size_t length)
{
    for (size_t i = 0; i < run->e->n_inputs; i++) {
        struct incise_tensor *input = &run->inputs[i];
        bool narrow = run->e->narrow[i];
        for (size_t r = 0; r < rows; r++)
            for (size_t t = 0; t < length; t++) {
                int64_t element = input_element(run->e->kinds[i], run->ids + texts[r].first, texts[r].count, t);
                if (narrow)
                    ((int32_t *)input->data)[r * length + t] = (int32_t)element;
                else
                    ((int64_t *)input->data)[r * length + t] = element;
            }
        input->type = narrow ? INCISE_I32 : INCISE_I64;
        input->rank = 2;
        input->dims[0] = (int64_t)rows;
        input->dims[1] = (int64_t)length;
        input->bytes = rows * length * (narrow ? sizeof(int32_t) : sizeof(int64_t));
    }
}

/* The vector of one text from its rows of the model's output. */
static enum incise_status write_vector(struct embed_run *run, const float *rows, const struct text_tokens *text,
                                       float *out)
{
    const struct incise_embedder *e = run->e;
    const struct inc_ctx *ctx = &e->engine->ctx;
    enum inc_pooling_mode mode = e->pooled ? INC_POOLING_CLS : e->mode;
    double squares = 0;
    inc_pooling_apply(mode, rows, text->count, e->model_width, run->vector);
    for (size_t k = 0; k < e->width; k++) squares += run->vector[k] * run->vector[k];
    if (!isfinite(squares))
        return inc_fail(ctx, INCISE_ERROR_DATA, "text %zu: its vector is not finite; the model overflows on it",
                        text->index);
    if (squares == 0) return inc_fail(ctx, INCISE_ERROR_DATA, "text %zu: its vector is all zero", text->index);
    double scale = e->normalize ? 1 / sqrt(squares) : 1;
    for (size_t k = 0; k < e->width; k++) out[k] = (float)(run->vector[k] * scale);
    return INCISE_OK;
}

static enum incise_status run_batch(struct embed_run *run, const struct text_tokens *texts, size_t rows, float *out)
{
    const struct incise_embedder *e = run->e;
    size_t length = texts[0].count, per_text = e->model_width * (e->pooled ? 1 : length);
    fill_inputs(run, texts, rows, length);
    INC_TRY(incise_session_run(run->session, run->inputs, e->n_inputs, run->outputs, e->n_outputs));
    const struct incise_tensor *output = &run->outputs[e->output];
    if (output->type != INCISE_F32 || output->bytes != rows * per_text * sizeof(float))
        return inc_fail(&e->engine->ctx, INCISE_ERROR_DATA,
                        "output %zu has %zu bytes, not one f32 vector of %zu per %s", e->output, output->bytes,
                        e->model_width, e->pooled ? "text" : "token");
    for (size_t r = 0; r < rows; r++)
        INC_TRY(
            write_vector(run, (const float *)output->data + r * per_text, &texts[r], out + texts[r].index * e->width));
    return INCISE_OK;
}

/* How many texts from `texts` on run together: all are at most as long as the first. */
static size_t batch_rows(const struct incise_embedder *e, const struct text_tokens *texts, size_t n)
{
    return inc_min_size(n, inc_max_size(1, e->batch_tokens / texts[0].count));
}

static enum incise_status allocate_run(struct embed_run *run, size_t n)
{
    const struct incise_embedder *e = run->e;
    const struct inc_ctx *ctx = &e->engine->ctx;
    size_t tokens = inc_max_size(e->batch_tokens, run->texts[0].count);
    tokens = inc_min_size(tokens, n * run->texts[0].count);
    for (size_t i = 0; i < e->n_inputs; i++) {
        run->inputs[i].data = inc_alloc_array(ctx, tokens, sizeof(int64_t));
        if (run->inputs[i].data == NULL) return inc_fail_memory(ctx, tokens * sizeof(int64_t), "a batch of ids");
    }
    run->outputs = inc_alloc_zero(ctx, e->n_outputs, sizeof *run->outputs);
    run->vector = inc_alloc_array(ctx, e->model_width, sizeof *run->vector);
    if (run->outputs == NULL || run->vector == NULL)
        return inc_fail_memory(ctx, e->model_width * sizeof(double), "a vector");
    return incise_session_create(e->model, &run->session);
}

static enum incise_status run_texts(struct embed_run *run, const char *const *texts, const size_t *lengths, size_t n,
                                    float *out)
{
    double start = inc_seconds();
    INC_TRY(tokenize(run, texts, lengths, n));
    qsort(run->texts, n, sizeof *run->texts, by_length);
    run->stats.tokenize_seconds = inc_seconds() - start;
    start = inc_seconds();
    INC_TRY(allocate_run(run, n));
    for (size_t i = 0, rows; i < n; i += rows) {
        rows = batch_rows(run->e, run->texts + i, n - i);
        INC_TRY(run_batch(run, run->texts + i, rows, out));
    }
    run->stats.run_seconds = inc_seconds() - start;
    return INCISE_OK;
}

enum incise_status incise_embedder_run(struct incise_embedder *embedder, const char *const *texts,
                                       const size_t *lengths, size_t n, float *out, struct incise_embed_stats *stats)
{
    const struct inc_ctx *ctx = &embedder->engine->ctx;
    struct embed_run run = {.e = embedder};
    enum incise_status status = INCISE_OK;
    if (n > 0) {
        run.texts = inc_alloc_zero(ctx, n, sizeof *run.texts);
        status = run.texts == NULL ? inc_fail_memory(ctx, n * sizeof *run.texts, "texts")
                                   : run_texts(&run, texts, lengths, n, out);
    }
    incise_session_destroy(run.session);
    inc_free(ctx, run.texts);
    inc_free(ctx, run.ids);
    inc_free(ctx, run.outputs);
    inc_free(ctx, run.vector);
    for (size_t i = 0; i < MAX_INPUTS; i++) inc_free(ctx, run.inputs[i].data);
    if (stats != NULL) *stats = run.stats;
    return status;
}
