/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata to config.json. Keys and defaults: llama.cpp's llama-model.cpp and gguf-py's constants.py. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/gguf/gguf_model.h"

#define MAX_KEY 128

struct source {
    struct inc_gguf *file;
    const char *architecture;
    json_t *root;
};

/* `gguf` is what follows "<architecture>.". */
struct key {
    const char *gguf, *config;
    bool real, required;
};

static const struct key gemma_keys[] = {
    {"embedding_length", "hidden_size", false, true},
    {"block_count", "num_hidden_layers", false, true},
    {"feed_forward_length", "intermediate_size", false, true},
    {"attention.head_count", "num_attention_heads", false, true},
    {"attention.head_count_kv", "num_key_value_heads", false, false},
    {"attention.key_length", "head_dim", false, true},
    {"context_length", "max_position_embeddings", false, false},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", true, true},
    {"rope.freq_base", "rope_theta", true, true},
    {"rope.freq_base_swa", "rope_local_base_freq", true, false},
    {"attn_logit_softcapping", "attn_logit_softcapping", true, false},
    {NULL, NULL, false, false},
};

static const struct key bert_keys[] = {
    {"embedding_length", "hidden_size", false, true},
    {"block_count", "num_hidden_layers", false, true},
    {"feed_forward_length", "intermediate_size", false, true},
    {"attention.head_count", "num_attention_heads", false, true},
    {"attention.layer_norm_epsilon", "layer_norm_eps", true, true},
    {NULL, NULL, false, false},
};

/* ---- single keys ------------------------------------------------------------------------------------------------- */

static const char *full_key(const struct source *s, const char *key, char buffer[MAX_KEY])
{
    snprintf(buffer, MAX_KEY, "%s.%s", s->architecture, key);
    return buffer;
}

static enum incise_status set(const struct source *s, const char *key, json_t *value)
{
    if (json_object_set_new(s->root, key, value) == 0) return INCISE_OK;
    return inc_fail_memory(s->file->ctx, 0, "a configuration");
}

static enum incise_status refuse(const struct source *s, const char *key, const char *value)
{
    return inc_fail(s->file->ctx, INCISE_ERROR_DATA, "%s: '%s.%s' is %.64s, which is not supported", s->file->label,
                    s->architecture, key, value);
}

static enum incise_status get_int(const struct source *s, const char *key, int64_t *out)
{
    char full[MAX_KEY];
    return inc_gguf_int(s->file, full_key(s, key, full), 0, INT64_MAX, out);
}

static enum incise_status copy_key(const struct source *s, const struct key *key)
{
    char full[MAX_KEY];
    int64_t integer = 0;
    double real = 0;
    if (inc_gguf_find(s->file, full_key(s, key->gguf, full)) == NULL) {
        if (!key->required) return INCISE_OK;
        return inc_fail(s->file->ctx, INCISE_ERROR_DATA, "%s: metadata '%s' is missing", s->file->label, full);
    }
    if (!key->real) {
        INC_TRY(get_int(s, key->gguf, &integer));
        return set(s, key->config, json_integer(integer));
    }
    INC_TRY(inc_gguf_number(s->file, full, &real));
    if (!isfinite(real)) return refuse(s, key->gguf, "not finite");
    return set(s, key->config, json_real(real));
}

/* Rows of a matrix; a single row may be stored as a vector. */
static enum incise_status set_rows(const struct source *s, const char *tensor, const char *key)
{
    const struct inc_gguf_tensor *found = inc_gguf_find_tensor(s->file, tensor);
    if (found == NULL)
        return inc_fail(s->file->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' is missing", s->file->label, tensor);
    return set(s, key, json_integer(found->rank < 2 ? 1 : found->dims[found->rank - 2]));
}

/* The key is missing or this. */
static enum incise_status only_bool(const struct source *s, const char *key, bool only)
{
    char full[MAX_KEY];
    bool value = only;
    INC_TRY(inc_gguf_bool(s->file, full_key(s, key, full), &value));
    return value == only ? INCISE_OK : refuse(s, key, value ? "true" : "false");
}

/* ---- gemma ------------------------------------------------------------------------------------------------------- */

static enum incise_status check_rope(const struct source *s)
{
    char full[MAX_KEY];
    const char *type = "none";
    double factor = 1;
    INC_TRY(inc_gguf_string(s->file, full_key(s, "rope.scaling.type", full), &type));
    if (strcmp(type, "none") != 0) return refuse(s, "rope.scaling.type", type);
    INC_TRY(inc_gguf_number(s->file, full_key(s, "rope.scaling.factor", full), &factor));
    return factor == 1 ? INCISE_OK : refuse(s, "rope.scaling.factor", "not 1");
}

/* A bool for each layer: whether it slides. */
static enum incise_status set_layer_types(const struct source *s, const struct inc_gguf_value *pattern)
{
    json_t *types = json_array();
    INC_TRY(set(s, "layer_types", types));
    for (size_t i = 0; i < pattern->n; i++)
        if (json_array_append_new(types, json_string(pattern->data[i] ? "sliding_attention" : "full_attention")) != 0)
            return inc_fail_memory(s->file->ctx, pattern->n, "a configuration");
    return INCISE_OK;
}

/* Of layers il = 0, 1, .. those slide for which il % period < period - 1; without a window none. */
static enum incise_status set_window(const struct source *s)
{
    char full[MAX_KEY];
    int64_t window = 0, period = 6;
    INC_TRY(get_int(s, "attention.sliding_window", &window));
    const struct inc_gguf_value *pattern =
        inc_gguf_find(s->file, full_key(s, "attention.sliding_window_pattern", full));
    if (window == 0) return set(s, "sliding_window_pattern", json_integer(1));
    INC_TRY(set(s, "sliding_window", json_integer(window)));
    if (pattern != NULL && pattern->array) {
        INC_TRY(inc_gguf_array(s->file, full, INC_GGUF_BOOL, &pattern));
        return set_layer_types(s, pattern);
    }
    INC_TRY(get_int(s, "attention.sliding_window_pattern", &period));
    return set(s, "sliding_window_pattern", json_integer(period));
}

/* Scores are divided by the root of this: the size of a head, but for the model of 62 layers (27B). */
static enum incise_status set_scale(const struct source *s)
{
    int64_t scalar = 0, heads = 0, layers = 0, hidden = 0, values;
    INC_TRY(get_int(s, "attention.key_length", &scalar));
    INC_TRY(get_int(s, "attention.head_count", &heads));
    INC_TRY(get_int(s, "block_count", &layers));
    INC_TRY(get_int(s, "embedding_length", &hidden));
    values = scalar;
    INC_TRY(get_int(s, "attention.value_length", &values));
    if (values != scalar) return refuse(s, "attention.value_length", "not attention.key_length");
    if (layers == 62 && heads > 0) scalar = hidden / heads;
    return set(s, "query_pre_attn_scalar", json_integer(scalar));
}

static enum incise_status complete_gemma(const struct source *s)
{
    bool bidirectional = strcmp(s->architecture, "gemma-embedding") == 0;
    INC_TRY(only_bool(s, "attention.causal", !bidirectional));
    INC_TRY(check_rope(s));
    INC_TRY(set_window(s));
    INC_TRY(set_scale(s));
    INC_TRY(set_rows(s, "token_embd.weight", "vocab_size"));
    INC_TRY(set(s, "hidden_activation", json_string("gelu_pytorch_tanh")));
    return set(s, "use_bidirectional_attention", json_boolean(bidirectional));
}

/* ---- bert -------------------------------------------------------------------------------------------------------- */

static enum incise_status complete_bert(const struct source *s)
{
    INC_TRY(only_bool(s, "attention.causal", false));
    INC_TRY(set_rows(s, "token_embd.weight", "vocab_size"));
    INC_TRY(set_rows(s, "position_embd.weight", "max_position_embeddings"));
    INC_TRY(set_rows(s, "token_types.weight", "type_vocab_size"));
    return set(s, "hidden_act", json_string("gelu"));
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *model_type;
    const struct key *keys;
    enum incise_status (*complete)(const struct source *s); /* what is no plain copy */
} architectures[] = {
    {"gemma3", "gemma3_text", gemma_keys, complete_gemma},
    {"gemma-embedding", "gemma3_text", gemma_keys, complete_gemma},
    {"bert", "bert", bert_keys, complete_bert},
};

/* A model may be cut into several files. */
static enum incise_status check_single(const struct source *s)
{
    int64_t n = 0;
    INC_TRY(inc_gguf_int(s->file, "split.count", 0, INT64_MAX, &n));
    if (n <= 1) return INCISE_OK;
    return inc_fail(s->file->ctx, INCISE_ERROR_DATA,
                    "%s: one of %lld files ('split.count'); join them with llama-gguf-split --merge first",
                    s->file->label, (long long)n);
}

static enum incise_status fill(struct source *s)
{
    size_t i = 0;
    INC_TRY(check_single(s));
    INC_TRY(inc_gguf_string(s->file, "general.architecture", &s->architecture));
    while (i < sizeof architectures / sizeof *architectures && strcmp(architectures[i].name, s->architecture) != 0) i++;
    if (i == sizeof architectures / sizeof *architectures)
        return inc_fail(s->file->ctx, INCISE_ERROR_DATA, "%s: architecture '%.64s' is not supported", s->file->label,
                        s->architecture);
    INC_TRY(set(s, "model_type", json_string(architectures[i].model_type)));
    INC_TRY(set(s, "dtype", json_string("float32")));
    for (const struct key *key = architectures[i].keys; key->gguf != NULL; key++) INC_TRY(copy_key(s, key));
    return architectures[i].complete(s);
}

enum incise_status inc_gguf_config(struct inc_gguf *file, struct inc_json *config)
{
    struct source s = {.file = file, .architecture = "", .root = json_object()};
    if (s.root == NULL) return inc_fail_memory(file->ctx, sizeof s, "a configuration");
    enum incise_status status = fill(&s);
    *config = (struct inc_json){file->ctx, file->label, s.root};
    if (status != INCISE_OK) inc_json_release(config);
    return status;
}

enum incise_status inc_gguf_get_pooling(struct inc_gguf *file, enum inc_gguf_pooling *pooling)
{
    char key[MAX_KEY];
    struct source s = {.file = file, .architecture = ""};
    int64_t type = INC_GGUF_POOL_NONE;
    INC_TRY(inc_gguf_string(file, "general.architecture", &s.architecture));
    INC_TRY(inc_gguf_int(file, full_key(&s, "pooling_type", key), INC_GGUF_POOL_NONE, INC_GGUF_POOL_LAST, &type));
    *pooling = (enum inc_gguf_pooling)type;
    return INCISE_OK;
}
