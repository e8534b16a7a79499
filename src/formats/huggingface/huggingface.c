/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/huggingface.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "formats/huggingface/blocks.h"
#include "formats/huggingface/modules.h"

#define MAX_CONFIG (16 << 20)
#define MAX_PATH 4096

static const struct inc_hf_family *const families[] = {
    &inc_hf_bert,  &inc_hf_distilbert, &inc_hf_gemma3,  &inc_hf_modernbert,
    &inc_hf_mpnet, &inc_hf_qwen3,      &inc_hf_roberta, &inc_hf_xlm_roberta,
};

static enum incise_status make_path(const struct inc_ctx *ctx, const char *folder, const char *name,
                                    char path[MAX_PATH])
{
    int n = snprintf(path, MAX_PATH, "%s/%s", folder, name);
    if (n > 0 && n < MAX_PATH) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%.100s...: the path is too long", folder);
}

static enum incise_status find_family(const struct inc_json *config, const struct inc_hf_family **family)
{
    const char *type = NULL;
    INC_TRY(inc_json_string(config, config->root, "config", "model_type", &type));
    if (type == NULL) return inc_fail(config->ctx, INCISE_ERROR_DATA, "%s: 'model_type' is missing", config->label);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        *family = families[i];
        if (strcmp((*family)->model_type, type) == 0) return INCISE_OK;
    }
    return inc_fail(config->ctx, INCISE_ERROR_DATA, "%s: model_type '%.64s' is not supported", config->label, type);
}

/* The prefix under which the probe tensor is found; the first one if none is, for the message that follows. */
static void find_prefix(struct inc_hf_builder *b, const struct inc_hf_family *family)
{
    struct inc_hf_shard *shard;
    b->prefix = family->prefixes[0];
    for (size_t i = 0; family->prefixes[i] != NULL; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s%s", family->prefixes[i], family->probe);
        if (inc_hf_weights_find(&b->weights, name, &shard) == NULL) continue;
        b->prefix = family->prefixes[i];
        return;
    }
}

static bool matches(const char *name, const char *pattern)
{
    size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*') return strncmp(name, pattern, n - 1) == 0;
    return strcmp(name, pattern) == 0;
}

static bool is_ignored(const struct inc_hf_builder *b, const struct inc_hf_family *family, const char *name)
{
    size_t n_prefix = strlen(b->prefix);
    const char *rest = strncmp(name, b->prefix, n_prefix) == 0 ? name + n_prefix : name;
    for (size_t k = 0; family->ignored[k] != NULL; k++)
        if (matches(name, family->ignored[k]) || matches(rest, family->ignored[k])) return true;
    return false;
}

static enum incise_status check_unused(const struct inc_hf_builder *b, const struct inc_hf_family *family)
{
    for (size_t s = 0; s < b->weights.n_shards; s++) {
        const struct inc_hf_shard *shard = &b->weights.shards[s];
        for (size_t i = 0; i < shard->file.n_tensors; i++) {
            const char *name = shard->file.tensors[i].name;
            if (!shard->used[i] && !is_ignored(b, family, name))
                return inc_fail(b->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' has no place in the model", shard->label,
                                name);
        }
    }
    return INCISE_OK;
}

static enum incise_status build(struct inc_hf_builder *b, const struct inc_hf_family *family,
                                const struct inc_json *config, const char *folder, bool embedding)
{
    INC_TRY(inc_graph_create(b->ctx, &b->graph));
    find_prefix(b, family);
    b->graph->ir_version = 11;
    b->graph->name = "Model0";
    b->graph->source = inc_hf_name(b, "%.400s", b->weights.label);
    INC_TRY(family->build(b, config));
    INC_TRY(check_unused(b, family));
    if (embedding) INC_TRY(inc_hf_append_modules(b, folder));
    return inc_graph_infer(b->graph);
}

static enum incise_status read_model(const struct inc_ctx *ctx, const char *folder, const struct inc_json *config,
                                     bool embedding, struct inc_graph **graph)
{
    const struct inc_hf_family *family = NULL;
    struct inc_hf_builder b = {.ctx = ctx};
    INC_TRY(find_family(config, &family));
    enum incise_status status = inc_hf_weights_open(ctx, folder, &b.weights);
    if (status == INCISE_OK) status = build(&b, family, config, folder, embedding);
    inc_hf_weights_release(&b.weights);
    if (status == INCISE_OK)
        *graph = b.graph;
    else
        inc_graph_destroy(b.graph);
    return status;
}

static enum incise_status read_folder(const struct inc_ctx *ctx, const char *folder, bool embedding,
                                      struct inc_graph **graph)
{
    char config_path[MAX_PATH];
    struct inc_json config;
    *graph = NULL;
    INC_TRY(make_path(ctx, folder, "config.json", config_path));
    INC_TRY(inc_json_read(ctx, config_path, MAX_CONFIG, &config));
    enum incise_status status = read_model(ctx, folder, &config, embedding, graph);
    inc_json_release(&config);
    return status;
}

enum incise_status inc_hf_read(const struct inc_ctx *ctx, const char *folder, struct inc_graph **graph)
{
    return read_folder(ctx, folder, false, graph);
}

enum incise_status inc_hf_read_embedding(const struct inc_ctx *ctx, const char *folder, struct inc_graph **graph)
{
    return read_folder(ctx, folder, true, graph);
}

enum incise_status inc_hf_copy_sidecars(const char *folder, struct inc_output *out)
{
    static const char *const names[] = {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "modules.json",
        "config_sentence_transformers.json", "sentence_bert_config.json", "1_Pooling/config.json",
        "2_Dense/config.json", "2_Dense/model.safetensors", "3_Dense/config.json", "3_Dense/model.safetensors",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) INC_TRY(inc_output_copy(out, folder, names[i], NULL));
    return INCISE_OK;
}
