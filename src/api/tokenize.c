/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine_internal.h"
#include "incise/tokenizer.h"
#include "text/tokenizer.h"

struct incise_tokenizer {
    struct incise_engine *engine;
    struct inc_tokenizer *tokenizer;
    struct inc_token_names names;
};

void incise_tokenize_options_init(struct incise_tokenize_options *options)
{
    *options = (struct incise_tokenize_options){.struct_size = sizeof *options};
}

enum incise_status incise_tokenizer_create(struct incise_engine *engine, const char *path,
                                           struct incise_tokenizer **tokenizer)
{
    const struct inc_ctx *ctx = &engine->ctx;
    struct incise_tokenizer *made = inc_alloc_zero(ctx, 1, sizeof *made);
    if (made == NULL) return inc_fail_memory(ctx, sizeof *made, "a tokenizer");
    made->engine = engine;
    made->names.ctx = ctx;
    enum incise_status status = inc_tokenizer_load(ctx, path, &made->tokenizer);
    if (status == INCISE_OK) status = inc_token_names_init(&made->names, made->tokenizer);
    if (status == INCISE_OK)
        *tokenizer = made;
    else
        incise_tokenizer_destroy(made);
    return status;
}

void incise_tokenizer_destroy(struct incise_tokenizer *tokenizer)
{
    if (tokenizer == NULL) return;
    inc_token_names_release(&tokenizer->names);
    inc_tokenizer_destroy(tokenizer->tokenizer);
    inc_free(&tokenizer->engine->ctx, tokenizer);
}

size_t incise_tokenizer_vocabulary(const struct incise_tokenizer *tokenizer)
{
    return inc_tokenizer_vocab_size(tokenizer->tokenizer);
}

static enum incise_status copy_tokens(const struct incise_tokenizer *tokenizer, const struct inc_ids *ids,
                                      struct incise_token **tokens)
{
    const struct inc_ctx *ctx = &tokenizer->engine->ctx;
    const struct inc_token_names *names = &tokenizer->names;
    struct incise_token *list = inc_alloc_array(ctx, ids->count + 1, sizeof *list);
    if (list == NULL) return inc_fail_memory(ctx, ids->count * sizeof *list, "tokens");
    for (size_t i = 0; i < ids->count; i++) {
        int32_t id = ids->ids[i];
        const char *name = names->texts[id] != NULL ? names->texts[id] : "";
        list[i] = (struct incise_token){id,  names->special[id], ids->spans[i].start, ids->spans[i].end,
                                        name, names->lengths[id]};
    }
    *tokens = list;
    return INCISE_OK;
}

enum incise_status incise_tokenizer_run(const struct incise_tokenizer *tokenizer, const char *text, size_t length,
                                        const struct incise_tokenize_options *options, struct incise_token **tokens,
                                        size_t *n, int *truncated)
{
    const struct inc_ctx *ctx = &tokenizer->engine->ctx;
    struct incise_tokenize_options defaults;
    struct inc_ids ids;
    incise_tokenize_options_init(&defaults);
    if (options == NULL) options = &defaults;
    if (options->struct_size != sizeof *options)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "options were not initialized by incise_tokenize_options_init");
    size_t limit = options->max_tokens > 0 ? options->max_tokens : inc_tokenizer_max_tokens(tokenizer->tokenizer);
    inc_ids_init(&ids, ctx);
    ids.with_spans = true;
    ids.plain_specials = options->no_parse_special != 0;
    enum incise_status status = inc_tokenizer_encode(tokenizer->tokenizer, text, length, limit, &ids);
    if (status == INCISE_OK) status = copy_tokens(tokenizer, &ids, tokens);
    *n = status == INCISE_OK ? ids.count : 0;
    if (truncated != NULL) *truncated = ids.truncated;
    inc_ids_release(&ids);
    return status;
}

void incise_tokens_free(const struct incise_tokenizer *tokenizer, struct incise_token *tokens)
{
    inc_free(&tokenizer->engine->ctx, tokens);
}
