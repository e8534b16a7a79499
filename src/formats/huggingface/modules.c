/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/modules.h"

#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "formats/huggingface/config.h"
#include "formats/huggingface/sentence.h"

#define MAX_CONFIG (1 << 20)
#define MAX_MODULES 16

struct modules {
    struct inc_hf_sentence sentence;
    const char *folder;
};

/* ---- pooling ----------------------------------------------------------------------------------------------------- */

static enum incise_status append_pooling(struct modules *m, const struct inc_json *json, const char *path)
{
    struct inc_pooling pooling;
    (void)path;
    if (m->sentence.pooled) return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: a second pooling", json->label);
    INC_TRY(inc_pooling_read(json, &pooling));
    if (pooling.dimension > 0 && pooling.dimension != m->sentence.width)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: pools vectors of %lld numbers, the model's have %lld",
                        json->label, (long long)pooling.dimension, (long long)m->sentence.width);
    if (!pooling.include_prompt)
        return inc_fail(json->ctx, INCISE_ERROR_DATA,
                        "%s: include_prompt false needs to know the prompt, which a model with pooling inside does "
                        "not; convert with --task features",
                        json->label);
    return inc_hf_sentence_pool(&m->sentence, pooling.mode);
}

/* ---- dense ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *type;
    enum inc_op op; /* INC_OP_COUNT: none */
} activations[] = {
    {"torch.nn.modules.linear.Identity", INC_OP_COUNT},
    {"torch.nn.modules.activation.Tanh", INC_OP_TANH},
    {"torch.nn.modules.activation.ReLU", INC_OP_RELU},
    {"torch.nn.modules.activation.Sigmoid", INC_OP_SIGMOID},
};
#define N_ACTIVATIONS (sizeof activations / sizeof *activations)

/* The module's own weights stand in for the builder's, which are put back. */
static enum incise_status append_linear(struct modules *m, const char *path, int64_t out, bool bias, enum inc_op act)
{
    struct inc_hf_builder *b = m->sentence.b;
    struct inc_hf_weights own, *former = b->weights;
    const char *prefix = b->prefix, *folder = inc_hf_name(b, "%s/%s", m->folder, path);
    if (folder == NULL) return b->status;
    enum incise_status status = inc_hf_weights_open(b->ctx, folder, &own);
    b->weights = &own;
    b->prefix = "";
    if (status == INCISE_OK) status = inc_hf_sentence_dense(&m->sentence, path, "linear", out, bias, act);
    inc_hf_weights_release(&own);
    b->weights = former;
    b->prefix = prefix;
    return status;
}

static enum incise_status append_dense(struct modules *m, const struct inc_json *json, const char *path)
{
    int64_t in = 0, out = 0;
    bool bias = true;
    const char *type = "torch.nn.modules.activation.Tanh"; /* sentence-transformers' own default */
    const struct inc_hf_size sizes[] = {{"in_features", INC_HF_MAX_SIZE, &in}, {"out_features", INC_HF_MAX_SIZE, &out}};
    INC_TRY(inc_hf_sizes(json, sizes, 2));
    INC_TRY(inc_json_bool(json, json->root, "dense", "bias", &bias));
    INC_TRY(inc_json_string(json, json->root, "dense", "activation_function", &type));
    size_t a = 0;
    while (a < N_ACTIVATIONS && strcmp(activations[a].type, type) != 0) a++;
    if (a == N_ACTIVATIONS)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: activation_function '%.64s' is not supported", json->label,
                        type);
    const struct inc_hf_sentence *s = &m->sentence;
    if (!s->pooled || in != s->width)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: in_features %lld for %s of %lld numbers", json->label,
                        (long long)in, s->pooled ? "vectors" : "tokens", (long long)s->width);
    return append_linear(m, path, out, bias, activations[a].op);
}

/* ---- modules.json ------------------------------------------------------------------------------------------------ */

/* A module with a config.json of its own. */
static enum incise_status append_configured(struct modules *m, const char *path,
                                            enum incise_status (*append)(struct modules *, const struct inc_json *,
                                                                         const char *))
{
    struct inc_json json;
    struct inc_hf_builder *b = m->sentence.b;
    const char *file = inc_hf_name(b, "%s/%s/config.json", m->folder, path);
    if (file == NULL) return b->status;
    INC_TRY(inc_json_read(b->ctx, file, MAX_CONFIG, &json));
    enum incise_status status = append(m, &json, path);
    inc_json_release(&json);
    return status;
}

static enum incise_status append_module(struct modules *m, const struct inc_json *list, json_t *module, size_t index)
{
    const char *type = NULL, *path = "";
    INC_TRY(inc_json_string(list, module, "module", "type", &type));
    INC_TRY(inc_json_string(list, module, "module", "path", &path));
    const char *kind = type == NULL || strrchr(type, '.') == NULL ? "" : strrchr(type, '.') + 1;
    bool plain = strlen(path) < 200 && strpbrk(path, "/\\") == NULL && path[0] != '.';
    if (index == 0 && strcmp(kind, "Transformer") == 0 && path[0] == '\0') return INCISE_OK;
    if (index > 0 && plain && strcmp(kind, "Pooling") == 0) return append_configured(m, path, append_pooling);
    if (index > 0 && plain && strcmp(kind, "Dense") == 0) return append_configured(m, path, append_dense);
    if (index > 0 && strcmp(kind, "Normalize") == 0 && m->sentence.pooled)
        return inc_hf_sentence_normalize(&m->sentence);
    return inc_fail(list->ctx, INCISE_ERROR_DATA, "%s: module %zu '%.64s' in '%.64s' is not supported", list->label,
                    index, type != NULL ? type : "", path);
}

static enum incise_status append_all(struct modules *m, const struct inc_json *list)
{
    json_t *modules = json_object_get(list->root, "modules");
    size_t n = json_array_size(modules);
    if (n == 0 || n > MAX_MODULES)
        return inc_fail(list->ctx, INCISE_ERROR_DATA, "%s: no list of 1 to %d modules", list->label, MAX_MODULES);
    for (size_t i = 0; i < n; i++) INC_TRY(append_module(m, list, json_array_get(modules, i), i));
    if (!m->sentence.pooled) return inc_fail(list->ctx, INCISE_ERROR_DATA, "%s: no pooling", list->label);
    return inc_hf_sentence_end(&m->sentence);
}

/* modules.json is a list; it is parsed as {"modules": LIST}. */
static enum incise_status parse_list(const struct inc_ctx *ctx, const char *path, struct inc_json *list)
{
    struct inc_file file;
    struct inc_buffer text;
    INC_TRY(inc_file_read(ctx, path, MAX_CONFIG, &file));
    inc_buffer_init(&text, ctx);
    inc_buffer_puts(&text, "{\"modules\":");
    inc_buffer_append(&text, file.data, file.size);
    inc_buffer_puts(&text, "}");
    inc_file_release(ctx, &file);
    enum incise_status status = inc_buffer_check(&text);
    if (status == INCISE_OK) status = inc_json_parse(ctx, path, text.data, text.length, list);
    inc_buffer_fini(&text);
    return status;
}

enum incise_status inc_hf_append_modules(struct inc_hf_builder *b, const char *folder)
{
    struct inc_json list;
    struct modules m = {.folder = folder};
    const char *path = inc_hf_name(b, "%s/modules.json", folder);
    if (path == NULL) return b->status;
    INC_TRY(inc_hf_sentence_begin(b, &m.sentence));
    INC_TRY(parse_list(b->ctx, path, &list));
    enum incise_status status = append_all(&m, &list);
    inc_json_release(&list);
    return status;
}
