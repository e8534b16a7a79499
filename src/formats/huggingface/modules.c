/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/modules.h"

#include <float.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "formats/huggingface/config.h"

#define MAX_CONFIG (1 << 20)
#define MAX_MODULES 16

struct tail {
    struct inc_hf_builder *b;
    const char *folder;
    struct inc_value *mask; /* attention_mask [B,S] */
    struct inc_value *x;    /* [B,S,width], pooled [B,width] */
    int64_t width;
    bool pooled;
};

static struct inc_value *binary(struct inc_hf_builder *b, enum inc_op op, struct inc_value *x, struct inc_value *y)
{
    return inc_hf_op(b, op, NULL, 2, (struct inc_value *[]){x, y});
}

static struct inc_value *reduce(struct inc_hf_builder *b, enum inc_op op, struct inc_value *x, int64_t axis, bool keep)
{
    struct inc_value *axes = inc_hf_integers(b, INC_I64, 1, &axis);
    x = binary(b, op, x, axes);
    if (x != NULL) inc_attr_set_bool(x->node, "keep_dims", keep);
    return x;
}

/* ---- pooling ----------------------------------------------------------------------------------------------------- */

enum pooling { POOL_MEAN, POOL_CLS, POOL_MAX, POOL_MEAN_SQRT, POOL_LAST, POOLINGS };

static const char *const pooling_keys[POOLINGS] = {"pooling_mode_mean_tokens", "pooling_mode_cls_token",
                                                   "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
                                                   "pooling_mode_lasttoken"};

static enum incise_status read_pooling(const struct inc_json *json, enum pooling *mode)
{
    int n_set = 0;
    for (void *i = json_object_iter(json->root); i != NULL; i = json_object_iter_next(json->root, i)) {
        const char *key = json_object_iter_key(i);
        int m = 0;
        if (strncmp(key, "pooling_mode_", 13) != 0 || !json_is_true(json_object_iter_value(i))) continue;
        while (m < POOLINGS && strcmp(pooling_keys[m], key) != 0) m++;
        if (m == POOLINGS || n_set++ > 0)
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: '%.64s' is not supported%s", json->label, key,
                            m < POOLINGS ? " together with another mode" : "");
        *mode = (enum pooling)m;
    }
    if (n_set > 0) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: no pooling mode is set", json->label);
}

/* sum of the real tokens / their number or its root */
static struct inc_value *pool_mean(struct tail *t, struct inc_value *real, bool root)
{
    struct inc_hf_builder *b = t->b;
    struct inc_value *sum = reduce(b, INC_OP_REDUCE_SUM, binary(b, INC_OP_MULTIPLY, t->x, real), 1, false);
    struct inc_value *count = reduce(b, INC_OP_REDUCE_SUM, real, 1, false);
    count = binary(b, INC_OP_MAXIMUM, count, inc_hf_number(b, 2, 1e-9f));
    if (root) count = inc_hf_op(b, INC_OP_SQRT, NULL, 1, &count);
    return binary(b, INC_OP_DIVIDE, sum, count);
}

/* The row of the last real token. */
static struct inc_value *pool_last(struct tail *t)
{
    struct inc_hf_builder *b = t->b;
    struct inc_value *axis = inc_hf_integers(b, INC_I64, -1, (int64_t[]){1});
    struct inc_value *shape = inc_hf_op(b, INC_OP_SHAPE_OF, NULL, 1, &t->mask);
    struct inc_value *at = binary(b, INC_OP_MULTIPLY, inc_hf_range(b, NULL, shape), t->mask);
    at = reduce(b, INC_OP_REDUCE_MAX, at, 1, false);
    struct inc_value *row = inc_hf_op(b, INC_OP_GATHER, NULL, 3, (struct inc_value *[]){t->x, at, axis});
    if (row != NULL) inc_attr_set_int(row->node, "batch_dims", 1);
    return row;
}

static struct inc_value *pool(struct tail *t, enum pooling mode)
{
    struct inc_hf_builder *b = t->b;
    struct inc_value *axis = inc_hf_integers(b, INC_I64, -1, (int64_t[]){mode == POOL_CLS ? 1 : 2});
    if (mode == POOL_LAST) return pool_last(t);
    if (mode == POOL_CLS) {
        struct inc_value *first = inc_hf_integers(b, INC_I64, -1, (int64_t[]){0});
        return inc_hf_op(b, INC_OP_GATHER, NULL, 3, (struct inc_value *[]){t->x, first, axis});
    }
    struct inc_value *real = binary(b, INC_OP_UNSQUEEZE, t->mask, axis);
    real = inc_hf_convert(b, NULL, real, mode == POOL_MAX ? INC_BOOL : INC_F32);
    if (mode != POOL_MAX) return pool_mean(t, real, mode == POOL_MEAN_SQRT);
    struct inc_value *lowest = inc_hf_number(b, 0, -FLT_MAX);
    struct inc_value *kept = inc_hf_op(b, INC_OP_SELECT, NULL, 3, (struct inc_value *[]){real, t->x, lowest});
    return reduce(b, INC_OP_REDUCE_MAX, kept, 1, false);
}

static enum incise_status append_pooling(struct tail *t, const struct inc_json *json, const char *path)
{
    int64_t width = t->width;
    enum pooling mode = POOL_MEAN;
    (void)path;
    if (t->pooled) return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: a second pooling", json->label);
    INC_TRY(inc_json_int(json, json->root, "pooling", "word_embedding_dimension", 1, INT32_MAX, &width));
    if (width != t->width)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: pools vectors of %lld numbers, the model's have %lld",
                        json->label, (long long)width, (long long)t->width);
    INC_TRY(read_pooling(json, &mode));
    t->x = pool(t, mode);
    t->pooled = true;
    return t->b->status;
}

/* ---- dense and normalize ------------------------------------------------------------------------------------------ */

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

/* The linear layer of the module's own weights; the builder's are put back. */
static enum incise_status append_linear(struct tail *t, const char *path, int64_t out, bool bias)
{
    struct inc_hf_builder *b = t->b;
    struct inc_hf_weights former = b->weights;
    const char *prefix = b->prefix, *folder = inc_hf_name(b, "%s/%s", t->folder, path);
    if (folder == NULL) return b->status;
    enum incise_status status = inc_hf_weights_open(b->ctx, folder, &b->weights);
    if (status == INCISE_OK) {
        b->prefix = "";
        struct inc_value *product = inc_hf_linear_bare(b, "linear", t->x, t->width, out);
        if (product != NULL) { /* the layers of all modules are called "linear" */
            product->node->name = inc_hf_name(b, "__module.%s.linear/aten::linear/MatMul", path);
            product->node->inputs[1]->node->name = inc_hf_name(b, "self.%s.linear.weight", path);
        }
        t->x = product;
        if (bias)
            t->x = inc_hf_add(b, inc_hf_name(b, "__module.%s.linear/aten::linear/Add", path), product,
                              inc_hf_weight(b, "linear.bias", 1, &out, 2, (int64_t[]){1, out}));
        status = b->status;
    }
    inc_hf_weights_release(&b->weights);
    b->weights = former;
    b->prefix = prefix;
    return status;
}

static enum incise_status append_dense(struct tail *t, const struct inc_json *json, const char *path)
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
    if (!t->pooled || in != t->width)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: in_features %lld for %s of %lld numbers", json->label,
                        (long long)in, t->pooled ? "vectors" : "tokens", (long long)t->width);
    INC_TRY(append_linear(t, path, out, bias));
    if (activations[a].op != INC_OP_COUNT) t->x = inc_hf_op(t->b, activations[a].op, NULL, 1, &t->x);
    t->width = out;
    return t->b->status;
}

static void append_normalize(struct tail *t)
{
    struct inc_value *norm = reduce(t->b, INC_OP_REDUCE_L2, t->x, -1, true);
    norm = binary(t->b, INC_OP_MAXIMUM, norm, inc_hf_number(t->b, 2, 1e-12f));
    t->x = binary(t->b, INC_OP_DIVIDE, t->x, norm);
}

/* ---- modules.json ------------------------------------------------------------------------------------------------ */

/* A module with a config.json of its own. */
static enum incise_status append_configured(struct tail *t, const char *path,
                                            enum incise_status (*append)(struct tail *, const struct inc_json *,
                                                                         const char *))
{
    struct inc_json json;
    const char *file = inc_hf_name(t->b, "%s/%s/config.json", t->folder, path);
    if (file == NULL) return t->b->status;
    INC_TRY(inc_json_read(t->b->ctx, file, MAX_CONFIG, &json));
    enum incise_status status = append(t, &json, path);
    inc_json_release(&json);
    return status;
}

static enum incise_status append_module(struct tail *t, const struct inc_json *list, json_t *module, size_t index)
{
    const char *type = NULL, *path = "";
    INC_TRY(inc_json_string(list, module, "module", "type", &type));
    INC_TRY(inc_json_string(list, module, "module", "path", &path));
    const char *kind = type == NULL || strrchr(type, '.') == NULL ? "" : strrchr(type, '.') + 1;
    bool plain = strlen(path) < 200 && strpbrk(path, "/\\") == NULL && path[0] != '.';
    if (index == 0 && strcmp(kind, "Transformer") == 0 && path[0] == '\0') return INCISE_OK;
    if (index > 0 && plain && strcmp(kind, "Pooling") == 0) return append_configured(t, path, append_pooling);
    if (index > 0 && plain && strcmp(kind, "Dense") == 0) return append_configured(t, path, append_dense);
    if (index > 0 && strcmp(kind, "Normalize") == 0 && t->pooled) {
        append_normalize(t);
        return t->b->status;
    }
    return inc_fail(list->ctx, INCISE_ERROR_DATA, "%s: module %zu '%.64s' in '%.64s' is not supported", list->label,
                    index, type != NULL ? type : "", path);
}

static enum incise_status append_all(struct tail *t, const struct inc_json *list)
{
    json_t *modules = json_object_get(list->root, "modules");
    size_t n = json_array_size(modules);
    if (n == 0 || n > MAX_MODULES)
        return inc_fail(list->ctx, INCISE_ERROR_DATA, "%s: no list of 1 to %d modules", list->label, MAX_MODULES);
    for (size_t i = 0; i < n; i++) INC_TRY(append_module(t, list, json_array_get(modules, i), i));
    if (!t->pooled) return inc_fail(list->ctx, INCISE_ERROR_DATA, "%s: no pooling", list->label);
    inc_hf_output(t->b, t->x, "sentence_embedding");
    return t->b->status;
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
    struct tail t = {.b = b, .folder = folder, .x = b->graph->results[0]->inputs[0]};
    const char *path = inc_hf_name(b, "%s/modules.json", folder);
    if (path == NULL) return b->status;
    INC_TRY(inc_graph_infer(b->graph));
    t.width = t.x->shape.dims[2].value;
    for (size_t i = 0; i < b->graph->n_parameters; i++)
        if (strcmp(b->graph->parameters[i]->name, "attention_mask") == 0) t.mask = &b->graph->parameters[i]->outputs[0];
    INC_TRY(parse_list(b->ctx, path, &list));
    enum incise_status status = append_all(&t, &list);
    inc_json_release(&list);
    return status;
}
