/* SPDX-License-Identifier: Apache-2.0 */
/* How a model, its tokenizer and the files beside it become an embedder. */
#include <stdio.h>
#include <string.h>

#include "api/embed_internal.h"
#include "base/file.h"
#include "text/text_length.h"

#define DEFAULT_BATCH 4096

void incise_embed_options_init(struct incise_embed_options *options)
{
    *options = (struct incise_embed_options){.struct_size = sizeof *options, .normalize = 1};
}

/* ---- creation -------------------------------------------------------------------------------------------------- */

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

static enum incise_status keep_path(const struct inc_ctx *ctx, const char *path, char **copy)
{
    size_t bytes = strlen(path) + 1;
    *copy = inc_alloc(ctx, bytes);
    if (*copy == NULL) return inc_fail_memory(ctx, bytes, "a path");
    memcpy(*copy, path, bytes);
    return INCISE_OK;
}

static enum incise_status set_up(struct incise_embedder *e, const char *path, const char *folder,
                                 const struct incise_embed_options *options)
{
    e->compute = options->compute;
    INC_TRY(keep_path(&e->engine->ctx, path, &e->model_path));
    INC_TRY(keep_path(&e->engine->ctx, options->tokenizer != NULL ? options->tokenizer : folder, &e->tokenizer_path));
    INC_TRY(inc_tokenizer_load(&e->engine->ctx, e->tokenizer_path, &e->tokenizer));
    INC_TRY(inc_text_inputs_match(e->model->program->lowering.graph, &e->inputs));
    INC_TRY(find_output(e, path, options->pooling != NULL));
    INC_TRY(choose_pooling(e, path, folder, options->pooling));
    INC_TRY(warn_of_dense(e, folder));
    INC_TRY(inc_prompts_load(&e->engine->ctx, folder, &e->prompts));
    e->max_length = options->max_length;
    if (e->max_length == 0) INC_TRY(inc_text_length(&e->engine->ctx, folder, e->tokenizer, &e->max_length));
    e->normalize = options->normalize != 0;
    e->plain_specials = options->no_parse_special != 0;
    e->batch_tokens = options->batch_tokens > 0 ? options->batch_tokens : DEFAULT_BATCH;
    e->width = options->dimensions > 0 ? options->dimensions : e->model_width;
    if (e->width > e->model_width)
        return inc_fail(&e->engine->ctx, INCISE_ERROR_USAGE, "%zu dimensions are more than the model's %zu", e->width,
                        e->model_width);
    return INCISE_OK;
}

enum incise_status inc_embedder_from_model(struct incise_model *model, const char *path,
                                           const struct incise_embed_options *options, struct incise_embedder **out)
{
    const struct inc_ctx *ctx = &model->engine->ctx;
    char *folder = NULL;
    struct incise_embedder *e = inc_alloc_zero(ctx, 1, sizeof *e);
    if (e == NULL) {
        incise_model_destroy(model);
        return inc_fail_memory(ctx, sizeof *e, "an embedder");
    }
    e->engine = model->engine;
    e->model = model;
    enum incise_status status = inc_folder_of(ctx, path, &folder);
    if (status == INCISE_OK) status = set_up(e, path, folder, options);
    inc_free(ctx, folder);
    if (status == INCISE_OK)
        *out = e;
    else
        incise_embedder_destroy(e);
    return status;
}

enum incise_status incise_embedder_create(struct incise_engine *engine, const char *path,
                                          const struct incise_embed_options *options, struct incise_embedder **out)
{
    struct incise_embed_options defaults;
    struct incise_load_options load;
    struct incise_model *model;
    incise_embed_options_init(&defaults);
    incise_load_options_init(&load);
    if (options == NULL) options = &defaults;
    if (options->struct_size != sizeof *options)
        return inc_fail(&engine->ctx, INCISE_ERROR_USAGE, "options were not initialized by incise_embed_options_init");
    load.compute = options->compute;
    INC_TRY(incise_model_load(engine, path, &load, &model));
    if (inc_model_is_packed(path)) path = model->program->lowering.graph->source; /* tokenizer and more are beside it */
    return inc_embedder_from_model(model, path, options, out);
}

void incise_embedder_destroy(struct incise_embedder *embedder)
{
    if (embedder == NULL) return;
    incise_model_destroy(embedder->model);
    inc_tokenizer_destroy(embedder->tokenizer);
    inc_prompts_release(&embedder->prompts);
    inc_free(&embedder->engine->ctx, embedder->model_path);
    inc_free(&embedder->engine->ctx, embedder->tokenizer_path);
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
