/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/decoder.h"

#include <string.h>

/* ---- config.json ------------------------------------------------------------------------------------------------- */

enum incise_status inc_hf_decoder_read(const struct inc_json *json, struct inc_hf_decoder *d)
{
    const struct inc_hf_size sizes[] = {
        {"vocab_size", INC_HF_MAX_SIZE, &d->vocab},
        {"hidden_size", INC_HF_MAX_SIZE, &d->hidden},
        {"intermediate_size", INC_HF_MAX_SIZE, &d->intermediate},
        {"num_hidden_layers", INC_HF_MAX_LAYERS, &d->layers},
        {"num_attention_heads", INC_HF_MAX_SIZE, &d->heads},
    };
    INC_TRY(inc_hf_sizes(json, sizes, sizeof sizes / sizeof *sizes));
    d->kv_heads = d->heads;
    d->head_dim = d->hidden / d->heads;
    const struct inc_hf_size more[] = {
        {"num_key_value_heads", INC_HF_MAX_SIZE, &d->kv_heads},
        {"head_dim", 1 << 16, &d->head_dim},
    };
    INC_TRY(inc_hf_sizes(json, more, sizeof more / sizeof *more));
    INC_TRY(inc_hf_check_multiple(json, "num_attention_heads", d->heads, "num_key_value_heads", d->kv_heads));
    if (d->head_dim % 2 != 0)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: head_dim %lld is odd", json->label, (long long)d->head_dim);
    d->eps = 1e-6;
    INC_TRY(inc_hf_positive(json, "rms_norm_eps", 1, &d->eps));
    INC_TRY(inc_hf_positive(json, "rope_theta", 1e12, &d->theta[0]));
    INC_TRY(inc_hf_only_bool(json, "attention_bias", false));
    INC_TRY(inc_hf_only_null(json, "rope_parameters"));
    return inc_hf_only_null(json, "rope_scaling");
}

enum incise_status inc_hf_decoder_read_layers(const struct inc_json *json, int64_t pattern, struct inc_hf_decoder *d)
{
    const json_t *types = json_object_get(json->root, "layer_types");
    if (!inc_hf_given(json, "layer_types")) {
        for (int64_t i = 0; i < d->layers; i++) d->sliding[i] = pattern > 0 && (i + 1) % pattern != 0;
        return INCISE_OK;
    }
    if (json_array_size(types) != (size_t)d->layers)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: layer_types is no list of %lld", json->label,
                        (long long)d->layers);
    for (int64_t i = 0; i < d->layers; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        d->sliding[i] = type != NULL && strcmp(type, "sliding_attention") == 0;
        if (!d->sliding[i] && (type == NULL || strcmp(type, "full_attention") != 0))
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: layer_types[%lld] '%.64s' is not supported", json->label,
                            (long long)i, type != NULL ? type : "");
    }
    return INCISE_OK;
}

/* ---- graph ------------------------------------------------------------------------------------------------------- */

/* What a kind of layer shares; made at its first use. */
struct kind {
    bool made;
    struct inc_hf_rope rope;
    struct inc_value *mask;
};

struct context {
    struct inc_hf_builder *b;
    const struct inc_hf_decoder *d;
    struct inc_value *shape, *padding;
    struct kind kinds[2]; /* full, sliding */
};

static const struct kind *kind_of(struct context *c, bool sliding)
{
    const struct inc_hf_decoder *d = c->d;
    struct kind *kind = &c->kinds[sliding];
    if (kind->made) return kind;
    int64_t window = sliding ? d->window : 0;
    kind->made = true;
    kind->rope = inc_hf_rope_tables(c->b, sliding ? "rotary_emb_local" : "rotary_emb", c->shape, d->head_dim,
                                    d->theta[sliding]);
    kind->mask = c->padding;
    if (d->causal || window > 0) kind->mask = inc_hf_band_mask(c->b, c->shape, c->padding, d->causal, window);
    return kind;
}

static struct inc_value *norm(const struct context *c, const char *path, struct inc_value *x)
{
    return inc_hf_rms_norm(c->b, path, x, 3, c->d->hidden, c->d->eps, c->d->gain_offset);
}

static struct inc_value *attention(struct context *c, const char *path, struct inc_value *x, const struct kind *kind)
{
    static const char letters[] = "qkv";
    const struct inc_hf_decoder *d = c->d;
    struct inc_hf_builder *b = c->b;
    struct inc_value *qkv[3];
    for (int i = 0; i < 3; i++) {
        int64_t heads = i == 0 ? d->heads : d->kv_heads;
        qkv[i] = inc_hf_linear_bare(b, inc_hf_name(b, "%s.%c_proj", path, letters[i]), x, d->hidden,
                                    heads * d->head_dim);
        qkv[i] = inc_hf_split_heads(b, path, i, qkv[i], heads, d->head_dim);
        if (i < 2) {
            qkv[i] = inc_hf_rms_norm(b, inc_hf_name(b, "%s.%c_norm", path, letters[i]), qkv[i], 4, d->head_dim, d->eps,
                                     d->gain_offset);
            qkv[i] = inc_hf_rotate(b, path, i, qkv[i], &kind->rope);
        }
        if (i > 0) qkv[i] = inc_hf_repeat_heads(b, path, i, qkv[i], d->kv_heads, d->heads, d->head_dim);
    }
    x = inc_hf_sdpa(b, path, qkv, kind->mask, d->heads, d->head_dim, d->score_scale);
    return inc_hf_linear_bare(b, inc_hf_name(b, "%s.o_proj", path), x, d->heads * d->head_dim, d->hidden);
}

static struct inc_value *feed_forward(struct context *c, const char *path, struct inc_value *x)
{
    const struct inc_hf_decoder *d = c->d;
    struct inc_hf_builder *b = c->b;
    struct inc_value *gate = inc_hf_linear_bare(b, inc_hf_name(b, "%s.gate_proj", path), x, d->hidden, d->intermediate);
    gate = inc_hf_op(b, d->act_op, inc_hf_name(b, "__module.%s.act_fn/aten::%s", path, d->act), 1, &gate);
    if (gate != NULL && d->act_tanh) {
        enum incise_status status = inc_attr_set_string(b->graph, gate->node, "approximation_mode", "TANH");
        if (status != INCISE_OK) b->status = status;
    }
    struct inc_value *up = inc_hf_linear_bare(b, inc_hf_name(b, "%s.up_proj", path), x, d->hidden, d->intermediate);
    x = inc_hf_op(b, INC_OP_MULTIPLY, inc_hf_name(b, "__module.%s/aten::mul/Multiply", path), 2,
                  (struct inc_value *[]){gate, up});
    return inc_hf_linear_bare(b, inc_hf_name(b, "%s.down_proj", path), x, d->intermediate, d->hidden);
}

static struct inc_value *layer(struct context *c, int64_t index, struct inc_value *x)
{
    struct inc_hf_builder *b = c->b;
    const char *path = inc_hf_name(b, "layers.%lld", (long long)index);
    const char *behind = inc_hf_name(b, "%s.post_attention_layernorm", path);
    const char *before = c->d->sandwich ? inc_hf_name(b, "%s.pre_feedforward_layernorm", path) : behind;
    const struct kind *kind = kind_of(c, c->d->sliding[index]);
    struct inc_value *y = norm(c, inc_hf_name(b, "%s.input_layernorm", path), x);
    y = attention(c, inc_hf_name(b, "%s.self_attn", path), y, kind);
    if (c->d->sandwich) y = norm(c, behind, y);
    x = inc_hf_add(b, inc_hf_name(b, "__module.%s/aten::add/Add", path), x, y);
    y = feed_forward(c, inc_hf_name(b, "%s.mlp", path), norm(c, before, x));
    if (c->d->sandwich) y = norm(c, inc_hf_name(b, "%s.post_feedforward_layernorm", path), y);
    return inc_hf_add(b, inc_hf_name(b, "__module.%s/aten::add/Add_1", path), x, y);
}

enum incise_status inc_hf_decoder_build(struct inc_hf_builder *b, const struct inc_hf_decoder *d)
{
    struct context c = {.b = b, .d = d};
    struct inc_value *ids = inc_hf_input(b, "input_ids");
    struct inc_value *attention_mask = inc_hf_input(b, "attention_mask");
    c.shape = inc_hf_op(b, INC_OP_SHAPE_OF, NULL, 1, &ids);
    c.padding = inc_hf_padding_mask(b, c.shape, attention_mask);
    struct inc_value *x = inc_hf_embedding(b, "embed_tokens", ids, d->vocab, d->hidden);
    if (d->input_scale != 0) x = inc_hf_scale(b, "__module.embed_tokens/aten::mul/Multiply", x, 3, d->input_scale);
    for (int64_t i = 0; i < d->layers && b->status == INCISE_OK; i++) x = layer(&c, i, x);
    inc_hf_output(b, norm(&c, "norm", x), "last_hidden_state");
    return b->status;
}
