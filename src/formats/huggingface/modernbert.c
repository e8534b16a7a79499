/* SPDX-License-Identifier: Apache-2.0 */
/* ModernBERT: norms before each residual, rotary positions, gated feed-forward, windows in most layers. Meaning:
 * transformers 4.57. */
#include "formats/huggingface/blocks.h"
#include "formats/huggingface/config.h"

struct modern {
    int64_t vocab, hidden, intermediate, layers, heads;
    int64_t every, local; /* every n-th layer sees all, the others see local / 2 to either side */
    double eps, theta[2]; /* of full and of local layers */
    bool norm_bias, attention_bias, mlp_bias;
    struct inc_hf_rope rope[2];
    struct inc_value *mask[2];
};

static enum incise_status read_config(const struct inc_json *json, struct modern *m)
{
    *m = (struct modern){.every = 3, .local = 128, .eps = 1e-5, .theta = {160000, 10000}};
    const struct inc_hf_size sizes[] = {
        {"vocab_size", INC_HF_MAX_SIZE, &m->vocab},
        {"hidden_size", INC_HF_MAX_SIZE, &m->hidden},
        {"intermediate_size", INC_HF_MAX_SIZE, &m->intermediate},
        {"num_hidden_layers", INC_HF_MAX_LAYERS, &m->layers},
        {"num_attention_heads", INC_HF_MAX_SIZE, &m->heads},
        {"global_attn_every_n_layers", INC_HF_MAX_LAYERS, &m->every},
        {"local_attention", INT32_MAX, &m->local},
    };
    INC_TRY(inc_hf_sizes(json, sizes, sizeof sizes / sizeof *sizes));
    INC_TRY(inc_hf_check_multiple(json, "hidden_size", m->hidden, "2 x num_attention_heads", 2 * m->heads));
    INC_TRY(inc_hf_positive(json, "norm_eps", 1, &m->eps));
    INC_TRY(inc_hf_positive(json, "global_rope_theta", 1e12, &m->theta[0]));
    if (json_is_null(json_object_get(json->root, "local_rope_theta")))
        m->theta[1] = m->theta[0];
    else
        INC_TRY(inc_hf_positive(json, "local_rope_theta", 1e12, &m->theta[1]));
    INC_TRY(inc_json_bool(json, json->root, "config", "norm_bias", &m->norm_bias));
    INC_TRY(inc_json_bool(json, json->root, "config", "attention_bias", &m->attention_bias));
    INC_TRY(inc_json_bool(json, json->root, "config", "mlp_bias", &m->mlp_bias));
    INC_TRY(inc_hf_only_null(json, "rope_scaling"));
    INC_TRY(inc_hf_only_null(json, "rope_parameters"));
    return inc_hf_only_string(json, "hidden_activation", "gelu");
}

static struct inc_value *linear(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t in,
                                int64_t out, bool bias)
{
    return (bias ? inc_hf_linear : inc_hf_linear_bare)(b, path, x, in, out);
}

static struct inc_value *norm(struct inc_hf_builder *b, const struct modern *m, const char *path, struct inc_value *x)
{
    return (m->norm_bias ? inc_hf_layer_norm : inc_hf_layer_norm_bare)(b, path, x, m->hidden, m->eps);
}

static struct inc_value *attention(struct inc_hf_builder *b, const struct modern *m, const char *path,
                                   struct inc_value *x, bool local)
{
    struct inc_value *qkv[3];
    int64_t head_dim = m->hidden / m->heads;
    x = linear(b, inc_hf_name(b, "%s.Wqkv", path), x, m->hidden, 3 * m->hidden, m->attention_bias);
    for (int i = 0; i < 3; i++) {
        qkv[i] = inc_hf_channels(b, inc_hf_name(b, "__module.%s/aten::unbind/Slice_%d", path, i), x, 3, i * m->hidden,
                                 (i + 1) * m->hidden);
        qkv[i] = inc_hf_split_heads(b, path, i, qkv[i], m->heads, head_dim);
        if (i < 2) qkv[i] = inc_hf_rotate(b, path, i, qkv[i], &m->rope[local]);
    }
    x = inc_hf_sdpa(b, path, qkv, m->mask[local], m->heads, head_dim, 0);
    return linear(b, inc_hf_name(b, "%s.Wo", path), x, m->hidden, m->hidden, m->attention_bias);
}

static struct inc_value *feed_forward(struct inc_hf_builder *b, const struct modern *m, const char *path,
                                      struct inc_value *x)
{
    struct inc_value *parts[2];
    x = linear(b, inc_hf_name(b, "%s.Wi", path), x, m->hidden, 2 * m->intermediate, m->mlp_bias);
    for (int i = 0; i < 2; i++)
        parts[i] = inc_hf_channels(b, inc_hf_name(b, "__module.%s/aten::chunk/Slice_%d", path, i), x, 3,
                                   i * m->intermediate, (i + 1) * m->intermediate);
    parts[0] = inc_hf_op(b, INC_OP_GELU, inc_hf_name(b, "__module.%s.act/aten::gelu/Gelu", path), 1, &parts[0]);
    x = inc_hf_op(b, INC_OP_MULTIPLY, inc_hf_name(b, "__module.%s/aten::mul/Multiply", path), 2, parts);
    return linear(b, inc_hf_name(b, "%s.Wo", path), x, m->intermediate, m->hidden, m->mlp_bias);
}

static struct inc_value *layer(struct inc_hf_builder *b, const struct modern *m, int64_t index, struct inc_value *x)
{
    const char *path = inc_hf_name(b, "layers.%lld", (long long)index);
    struct inc_value *y = index == 0 ? x : norm(b, m, inc_hf_name(b, "%s.attn_norm", path), x);
    y = attention(b, m, inc_hf_name(b, "%s.attn", path), y, index % m->every != 0);
    x = inc_hf_add(b, inc_hf_name(b, "__module.%s/aten::add/Add", path), x, y);
    y = feed_forward(b, m, inc_hf_name(b, "%s.mlp", path), norm(b, m, inc_hf_name(b, "%s.mlp_norm", path), x));
    return inc_hf_add(b, inc_hf_name(b, "__module.%s/aten::add/Add_1", path), x, y);
}

static enum incise_status build(struct inc_hf_builder *b, const struct inc_json *json)
{
    struct modern m;
    INC_TRY(read_config(json, &m));
    struct inc_value *ids = inc_hf_input(b, "input_ids");
    struct inc_value *attention_mask = inc_hf_input(b, "attention_mask");
    struct inc_value *shape = inc_hf_op(b, INC_OP_SHAPE_OF, NULL, 1, &ids);
    m.mask[0] = inc_hf_padding_mask(b, shape, attention_mask);
    m.mask[1] = inc_hf_band_mask(b, shape, m.mask[0], false, m.local / 2 + 1);
    for (int i = 0; i < 2; i++)
        m.rope[i] = inc_hf_rope_tables(b, i == 0 ? "rotary_emb" : "rotary_emb_local", shape, m.hidden / m.heads,
                                       m.theta[i]);
    struct inc_value *x = inc_hf_embedding(b, "embeddings.tok_embeddings", ids, m.vocab, m.hidden);
    x = norm(b, &m, "embeddings.norm", x);
    for (int64_t i = 0; i < m.layers && b->status == INCISE_OK; i++) x = layer(b, &m, i, x);
    inc_hf_output(b, norm(b, &m, "final_norm", x), "last_hidden_state");
    return b->status;
}

static const char *const prefixes[] = {"", "model.", NULL};
static const char *const ignored[] = {"head.*", "decoder.*", NULL};

const struct inc_hf_family inc_hf_modernbert = {"modernbert", prefixes, "embeddings.tok_embeddings.weight", ignored,
                                                build};
