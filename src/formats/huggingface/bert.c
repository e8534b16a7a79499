/* SPDX-License-Identifier: Apache-2.0 */
/* BertModel without its pooler: BERT, MiniLM, bge, e5 and others with model_type "bert". */
#include "formats/huggingface/blocks.h"
#include "formats/huggingface/config.h"

struct bert_config {
    int64_t vocab, positions, types, hidden, intermediate, layers, heads;
    double eps;
};

static enum incise_status read_config(const struct inc_json *json, struct bert_config *c)
{
    *c = (struct bert_config){.eps = 1e-12};
    const struct inc_hf_size sizes[] = {
        {"vocab_size", INC_HF_MAX_SIZE, &c->vocab},
        {"max_position_embeddings", INC_HF_MAX_SIZE, &c->positions},
        {"type_vocab_size", INC_HF_MAX_SIZE, &c->types},
        {"hidden_size", INC_HF_MAX_SIZE, &c->hidden},
        {"intermediate_size", INC_HF_MAX_SIZE, &c->intermediate},
        {"num_hidden_layers", INC_HF_MAX_LAYERS, &c->layers},
        {"num_attention_heads", INC_HF_MAX_SIZE, &c->heads},
    };
    INC_TRY(inc_hf_sizes(json, sizes, sizeof sizes / sizeof *sizes));
    INC_TRY(inc_hf_check_multiple(json, "hidden_size", c->hidden, "num_attention_heads", c->heads));
    INC_TRY(inc_hf_positive(json, "layer_norm_eps", 1, &c->eps));
    INC_TRY(inc_hf_only_string(json, "hidden_act", "gelu"));
    INC_TRY(inc_hf_only_string(json, "position_embedding_type", "absolute"));
    return inc_hf_only_bool(json, "is_decoder", false);
}

static struct inc_value *embeddings(struct inc_hf_builder *b, const struct bert_config *c, struct inc_value *ids,
                                    struct inc_value *types, struct inc_value *shape)
{
    struct inc_value *words = inc_hf_embedding(b, "embeddings.word_embeddings", ids, c->vocab, c->hidden);
    struct inc_value *kinds = inc_hf_embedding(b, "embeddings.token_type_embeddings", types, c->types, c->hidden);
    struct inc_value *sum = inc_hf_add(b, "__module.embeddings/aten::add/Add", words, kinds);
    struct inc_value *positions = inc_hf_positions(b, "embeddings", shape, c->positions);
    struct inc_value *places =
        inc_hf_embedding(b, "embeddings.position_embeddings", positions, c->positions, c->hidden);
    sum = inc_hf_add(b, "__module.embeddings/aten::add_/Add", sum, places);
    return inc_hf_layer_norm(b, "embeddings.LayerNorm", sum, c->hidden, c->eps);
}

/* x + dense(y), normalized; `path` holds "dense" and "LayerNorm". */
static struct inc_value *output(struct inc_hf_builder *b, const struct bert_config *c, const char *path,
                                struct inc_value *x, struct inc_value *y, int64_t in)
{
    y = inc_hf_linear(b, inc_hf_name(b, "%s.dense", path), y, in, c->hidden);
    y = inc_hf_add(b, inc_hf_name(b, "__module.%s/aten::add/Add", path), y, x);
    return inc_hf_layer_norm(b, inc_hf_name(b, "%s.LayerNorm", path), y, c->hidden, c->eps);
}

static struct inc_value *layer(struct inc_hf_builder *b, const struct bert_config *c, const char *path,
                               struct inc_value *x, struct inc_value *mask)
{
    static const char *const names[] = {"query", "key", "value"};
    struct inc_value *qkv[3], *y;
    const char *self = inc_hf_name(b, "%s.attention.self", path);
    for (int i = 0; i < 3; i++)
        qkv[i] = inc_hf_linear(b, inc_hf_name(b, "%s.%s", self, names[i]), x, c->hidden, c->hidden);
    y = inc_hf_attention(b, self, qkv, mask, c->heads, c->hidden / c->heads);
    x = output(b, c, inc_hf_name(b, "%s.attention.output", path), x, y, c->hidden);
    y = inc_hf_linear(b, inc_hf_name(b, "%s.intermediate.dense", path), x, c->hidden, c->intermediate);
    y = inc_hf_op(b, INC_OP_GELU, inc_hf_name(b, "__module.%s.intermediate.intermediate_act_fn/aten::gelu/Gelu", path),
                  1, &y);
    return output(b, c, inc_hf_name(b, "%s.output", path), x, y, c->intermediate);
}

static enum incise_status build(struct inc_hf_builder *b, const struct inc_json *json)
{
    struct bert_config config;
    INC_TRY(read_config(json, &config));
    struct inc_value *ids = inc_hf_input(b, "input_ids");
    struct inc_value *attention_mask = inc_hf_input(b, "attention_mask");
    struct inc_value *types = inc_hf_input(b, "token_type_ids");
    struct inc_value *shape = inc_hf_op(b, INC_OP_SHAPE_OF, NULL, 1, &ids);
    struct inc_value *x = embeddings(b, &config, ids, types, shape);
    struct inc_value *mask = inc_hf_padding_mask(b, shape, attention_mask);
    for (int64_t i = 0; i < config.layers && b->status == INCISE_OK; i++)
        x = layer(b, &config, inc_hf_name(b, "encoder.layer.%lld", (long long)i), x, mask);
    inc_hf_output(b, x, "last_hidden_state");
    return b->status;
}

static const char *const prefixes[] = {"", "bert.", NULL};
static const char *const ignored[] = {"embeddings.position_ids", "embeddings.token_type_ids", "pooler.dense.weight",
                                      "pooler.dense.bias", NULL};

const struct inc_hf_family inc_hf_bert = {"bert", prefixes, "embeddings.word_embeddings.weight", ignored, build};
