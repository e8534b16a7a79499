/* SPDX-License-Identifier: Apache-2.0 */
/* BERT's plan without its pooler: normed sum of embeddings, layers normed behind each residual. Families differ in
 * names and in how positions enter. */
#include "formats/huggingface/blocks.h"
#include "formats/huggingface/config.h"

enum types { TYPES_NONE, TYPES_INPUT, TYPES_ZERO };

/* Order of bert_plan.keys. */
enum { KEY_VOCAB, KEY_POSITIONS, KEY_HIDDEN, KEY_INTERMEDIATE, KEY_LAYERS, KEY_HEADS, KEY_ACT, KEYS };

/* Names are relative to a layer's path, except `layer`. */
struct bert_plan {
    const char *keys[KEYS]; /* of config.json */
    enum types types;       /* token types: none, an input, or always 0 */
    bool positions_from_ids; /* counted from pad_token_id + 1 over what is no padding, else 0..S-1 */
    int64_t pad;             /* the default of pad_token_id; it counts only for positions_from_ids */
    bool relative_bias;      /* MPNet's, shared by the layers */
    const char *layer;
    const char *attention, *qkv[3], *out, *out_norm;
    const char *up, *act, *down, *down_norm;
    const char *residual[2]; /* node names */
};

struct bert_config {
    int64_t vocab, positions, types, hidden, intermediate, layers, heads, pad;
    double eps;
};

static enum incise_status read_config(const struct inc_json *json, const struct bert_plan *plan, struct bert_config *c)
{
    *c = (struct bert_config){.eps = 1e-12, .pad = plan->pad, .types = plan->types == TYPES_NONE};
    const char *const *keys = plan->keys;
    const struct inc_hf_size sizes[] = {
        {keys[KEY_VOCAB], INC_HF_MAX_SIZE, &c->vocab},
        {keys[KEY_POSITIONS], INC_HF_MAX_SIZE, &c->positions},
        {keys[KEY_HIDDEN], INC_HF_MAX_SIZE, &c->hidden},
        {keys[KEY_INTERMEDIATE], INC_HF_MAX_SIZE, &c->intermediate},
        {keys[KEY_LAYERS], INC_HF_MAX_LAYERS, &c->layers},
        {keys[KEY_HEADS], INC_HF_MAX_SIZE, &c->heads},
        {"type_vocab_size", INC_HF_MAX_SIZE, &c->types},
    };
    INC_TRY(inc_hf_sizes(json, sizes, sizeof sizes / sizeof *sizes));
    INC_TRY(inc_hf_check_multiple(json, keys[KEY_HIDDEN], c->hidden, keys[KEY_HEADS], c->heads));
    INC_TRY(inc_hf_positive(json, "layer_norm_eps", 1, &c->eps));
    if (plan->positions_from_ids) {
        INC_TRY(inc_json_int(json, json->root, "config", "pad_token_id", 0, c->vocab - 1, &c->pad));
        if (c->pad + 1 >= c->positions)
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: pad_token_id %lld leaves no positions", json->label,
                            (long long)c->pad);
    }
    INC_TRY(inc_hf_only_string(json, keys[KEY_ACT], "gelu"));
    INC_TRY(inc_hf_only_string(json, "position_embedding_type", "absolute"));
    return inc_hf_only_bool(json, "is_decoder", false);
}

static struct inc_value *embeddings(struct inc_hf_builder *b, const struct bert_plan *plan, const struct bert_config *c,
                                    struct inc_value *ids, struct inc_value *types, struct inc_value *shape)
{
    struct inc_value *kinds = NULL;
    struct inc_value *sum = inc_hf_embedding(b, "embeddings.word_embeddings", ids, c->vocab, c->hidden);
    if (plan->types == TYPES_INPUT)
        kinds = inc_hf_embedding(b, "embeddings.token_type_embeddings", types, c->types, c->hidden);
    if (plan->types == TYPES_ZERO) kinds = inc_hf_first_row(b, "embeddings.token_type_embeddings", c->types, c->hidden);
    if (plan->types != TYPES_NONE) sum = inc_hf_add(b, "__module.embeddings/aten::add/Add", sum, kinds);
    struct inc_value *positions = plan->positions_from_ids ? inc_hf_positions_from_ids(b, "embeddings", ids, c->pad)
                                                           : inc_hf_positions(b, "embeddings", shape, c->positions);
    struct inc_value *places =
        inc_hf_embedding(b, "embeddings.position_embeddings", positions, c->positions, c->hidden);
    sum = inc_hf_add(b, "__module.embeddings/aten::add_/Add", sum, places);
    return inc_hf_layer_norm(b, "embeddings.LayerNorm", sum, c->hidden, c->eps);
}

static struct inc_value *layer(struct inc_hf_builder *b, const struct bert_plan *plan, const struct bert_config *c,
                               const char *path, struct inc_value *x, struct inc_value *mask)
{
    struct inc_value *qkv[3], *y;
    for (int i = 0; i < 3; i++)
        qkv[i] = inc_hf_linear(b, inc_hf_name(b, "%s.%s", path, plan->qkv[i]), x, c->hidden, c->hidden);
    y = inc_hf_attention(b, inc_hf_name(b, "%s.%s", path, plan->attention), qkv, mask, c->heads, c->hidden / c->heads);
    y = inc_hf_linear(b, inc_hf_name(b, "%s.%s", path, plan->out), y, c->hidden, c->hidden);
    y = inc_hf_add(b, inc_hf_name(b, "__module.%s%s", path, plan->residual[0]), y, x);
    x = inc_hf_layer_norm(b, inc_hf_name(b, "%s.%s", path, plan->out_norm), y, c->hidden, c->eps);
    y = inc_hf_linear(b, inc_hf_name(b, "%s.%s", path, plan->up), x, c->hidden, c->intermediate);
    y = inc_hf_op(b, INC_OP_GELU, inc_hf_name(b, "__module.%s.%s/aten::gelu/Gelu", path, plan->act), 1, &y);
    y = inc_hf_linear(b, inc_hf_name(b, "%s.%s", path, plan->down), y, c->intermediate, c->hidden);
    y = inc_hf_add(b, inc_hf_name(b, "__module.%s%s", path, plan->residual[1]), y, x);
    return inc_hf_layer_norm(b, inc_hf_name(b, "%s.%s", path, plan->down_norm), y, c->hidden, c->eps);
}

static enum incise_status build(struct inc_hf_builder *b, const struct bert_plan *plan, const struct inc_json *json)
{
    struct bert_config config;
    struct inc_value *types = NULL;
    INC_TRY(read_config(json, plan, &config));
    if (plan->relative_bias) INC_TRY(inc_hf_only_int(json, "relative_attention_num_buckets", INC_HF_RELATIVE_BUCKETS));
    struct inc_value *ids = inc_hf_input(b, "input_ids");
    struct inc_value *attention_mask = inc_hf_input(b, "attention_mask");
    if (plan->types == TYPES_INPUT) types = inc_hf_input(b, "token_type_ids");
    struct inc_value *shape = inc_hf_op(b, INC_OP_SHAPE_OF, NULL, 1, &ids);
    struct inc_value *x = embeddings(b, plan, &config, ids, types, shape);
    struct inc_value *mask = inc_hf_padding_mask(b, shape, attention_mask);
    if (plan->relative_bias)
        mask = inc_hf_add(b, NULL, mask,
                          inc_hf_relative_bias(b, "encoder.relative_attention_bias", shape, config.heads));
    for (int64_t i = 0; i < config.layers && b->status == INCISE_OK; i++)
        x = layer(b, plan, &config, inc_hf_name(b, "%s.%lld", plan->layer, (long long)i), x, mask);
    inc_hf_output(b, x, "last_hidden_state");
    return b->status;
}

/* ---- families ---------------------------------------------------------------------------------------------------- */

#define BERT_KEYS \
    .keys = {"vocab_size", "max_position_embeddings", "hidden_size", "intermediate_size", "num_hidden_layers", \
             "num_attention_heads", "hidden_act"}
#define BERT_LAYER \
    .layer = "encoder.layer", .attention = "attention.self", \
    .qkv = {"attention.self.query", "attention.self.key", "attention.self.value"}, .out = "attention.output.dense", \
    .out_norm = "attention.output.LayerNorm", .up = "intermediate.dense", .act = "intermediate.intermediate_act_fn", \
    .down = "output.dense", .down_norm = "output.LayerNorm", \
    .residual = {".attention.output/aten::add/Add", ".output/aten::add/Add"}

static const struct bert_plan bert = {BERT_KEYS, .types = TYPES_INPUT, BERT_LAYER};
static const struct bert_plan roberta = {BERT_KEYS, .types = TYPES_ZERO, .positions_from_ids = true, .pad = 1,
                                         BERT_LAYER};
static const struct bert_plan distilbert = {
    .keys = {"vocab_size", "max_position_embeddings", "dim", "hidden_dim", "n_layers", "n_heads", "activation"},
    .layer = "transformer.layer", .attention = "attention",
    .qkv = {"attention.q_lin", "attention.k_lin", "attention.v_lin"}, .out = "attention.out_lin",
    .out_norm = "sa_layer_norm", .up = "ffn.lin1", .act = "ffn.activation", .down = "ffn.lin2",
    .down_norm = "output_layer_norm", .residual = {"/aten::add/Add", "/aten::add/Add_1"},
};
static const struct bert_plan mpnet = {
    BERT_KEYS, .positions_from_ids = true, .pad = 1, .relative_bias = true,
    .layer = "encoder.layer", .attention = "attention.attn",
    .qkv = {"attention.attn.q", "attention.attn.k", "attention.attn.v"}, .out = "attention.attn.o",
    .out_norm = "attention.LayerNorm", .up = "intermediate.dense", .act = "intermediate.intermediate_act_fn",
    .down = "output.dense", .down_norm = "output.LayerNorm",
    .residual = {".attention/aten::add/Add", ".output/aten::add/Add"},
};

#define FAMILY(id, type, plan, head) \
    static enum incise_status build_##id(struct inc_hf_builder *b, const struct inc_json *json) \
    { \
        return build(b, &(plan), json); \
    } \
    static const char *const prefixes_##id[] = {"", head, NULL}; \
    const struct inc_hf_family inc_hf_##id = {type, prefixes_##id, "embeddings.word_embeddings.weight", ignored, \
                                              build_##id};

/* Buffers, the pooler, and the masked-language heads that base checkpoints come with. */
static const char *const ignored[] = {"embeddings.position_ids", "embeddings.token_type_ids", "pooler.dense.weight",
                                      "pooler.dense.bias", "cls.*", "lm_head.*", "vocab_transform.*",
                                      "vocab_layer_norm.*", "vocab_projector.*", NULL};

FAMILY(bert, "bert", bert, "bert.")
FAMILY(roberta, "roberta", roberta, "roberta.")
FAMILY(xlm_roberta, "xlm-roberta", roberta, "roberta.")
FAMILY(distilbert, "distilbert", distilbert, "distilbert.")
FAMILY(mpnet, "mpnet", mpnet, "mpnet.")
