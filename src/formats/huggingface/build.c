/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/build.h"

#include <stdio.h>
#include <string.h>

static const struct inc_hf_family *const families[] = {
    &inc_hf_bert,  &inc_hf_distilbert, &inc_hf_gemma3,  &inc_hf_modernbert,
    &inc_hf_mpnet, &inc_hf_qwen3,      &inc_hf_roberta, &inc_hf_xlm_roberta,
};

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
    b->prefix = family->prefixes[0];
    for (size_t i = 0; family->prefixes[i] != NULL; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s%s", family->prefixes[i], family->probe);
        if (inc_hf_weights_find(b->weights, name) == NULL) continue;
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
    char buffer[INC_HF_MAX_NAME];
    size_t n_prefix = strlen(b->prefix);
    const char *rest = strncmp(name, b->prefix, n_prefix) == 0 ? name + n_prefix : name;
    for (size_t k = 0; family->ignored[k] != NULL; k++) {
        const char *pattern = inc_hf_weights_name(b->weights, family->ignored[k], buffer);
        if (matches(name, pattern) || matches(rest, pattern)) return true;
    }
    return false;
}

static enum incise_status check_unused(const struct inc_hf_builder *b, const struct inc_hf_family *family)
{
    for (size_t i = 0; i < b->weights->n_tensors; i++) {
        const struct inc_hf_tensor *tensor = &b->weights->tensors[i];
        if (!tensor->used && !is_ignored(b, family, tensor->name))
            return inc_fail(b->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' has no place in the model", tensor->file,
                            tensor->name);
    }
    return INCISE_OK;
}

static enum incise_status build(struct inc_hf_builder *b, const struct inc_hf_family *family,
                                const struct inc_hf_checkpoint *checkpoint)
{
    INC_TRY(inc_graph_create(b->ctx, &b->graph));
    find_prefix(b, family);
    b->graph->ir_version = 11;
    b->graph->name = "Model0";
    b->graph->source = inc_hf_name(b, "%.400s", b->weights->label);
    INC_TRY(family->build(b, &checkpoint->config));
    if (checkpoint->append != NULL) INC_TRY(checkpoint->append(b, checkpoint));
    INC_TRY(check_unused(b, family));
    return inc_graph_infer(b->graph);
}

enum incise_status inc_hf_build(struct inc_hf_checkpoint *checkpoint, struct inc_graph **graph)
{
    const struct inc_hf_family *family = NULL;
    struct inc_hf_builder b = {.ctx = checkpoint->config.ctx, .weights = &checkpoint->weights};
    *graph = NULL;
    INC_TRY(find_family(&checkpoint->config, &family));
    enum incise_status status = build(&b, family, checkpoint);
    if (status == INCISE_OK)
        *graph = b.graph;
    else
        inc_graph_destroy(b.graph);
    return status;
}
