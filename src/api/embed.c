/* SPDX-License-Identifier: Apache-2.0 */
/* How a model, its tokenizer and the files beside it become an embedder. */
#include <stdio.h>
#include <string.h>

#include "api/embed_internal.h"
#include "base/file.h"
#include "base/json.h"

#define MAX_CONFIG     (16 << 20)
#define DEFAULT_LENGTH 512
#define DEFAULT_BATCH  4096

static const char *const input_names[] = {"input_ids", "attention_mask", "token_type_ids", "position_ids"};

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
        while (kind < INC_MAX_EMBED_INPUTS && strcmp(port.name, input_names[kind]) != 0) kind++;
        if (kind == INC_MAX_EMBED_INPUTS || i >= INC_MAX_EMBED_INPUTS || port.rank != 2 ||
            (port.type != INCISE_I64 && port.type != INCISE_I32))
            return inc_fail(
                ctx, INCISE_ERROR_DATA,
                "%s: input '%s' is not one of input_ids, attention_mask, token_type_ids, position_ids as integers "
                "[texts, tokens]; this model cannot embed texts",
                path, port.name);
        e->kinds[i] = (enum inc_embed_input)kind;
        e->narrow[i] = port.type == INCISE_I32;
        has_ids = has_ids || kind == INC_EMBED_IDS;
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
    e->include_prompt = true;
    if (given != NULL) {
        if (inc_pooling_parse(given, &e->mode)) return INCISE_OK;
        return inc_fail(ctx, INCISE_ERROR_USAGE, "pooling '%s': use mean, cls, last, max or mean_sqrt_len", given);
    }
    INC_TRY(inc_pooling_load(ctx, folder, &pooling, &found));
    e->include_prompt = pooling.include_prompt;
    if (e->pooled) return INCISE_OK;
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
    INC_TRY(inc_prompts_load(&e->engine->ctx, folder, &e->prompts));
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
    inc_prompts_release(&embedder->prompts);
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

enum incise_status incise_embedder_prompt(const struct incise_embedder *embedder, const char *name, const char **prompt)
{
    return inc_prompts_find(&embedder->prompts, name, prompt);
}
