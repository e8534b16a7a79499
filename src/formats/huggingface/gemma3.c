/* SPDX-License-Identifier: Apache-2.0 */
/* Gemma 3's text model, causal, or bidirectional as EmbeddingGemma. Meaning: transformers 4.57. */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "formats/huggingface/decoder.h"

/* sqrt(hidden) in the type that the embeddings have when the model runs in the type config.json states. */
static enum incise_status read_input_scale(const struct inc_json *json, struct inc_hf_decoder *d)
{
    const char *type = "float32";
    float scale = (float)sqrt((double)d->hidden);
    INC_TRY(inc_json_string(json, json->root, "config", "torch_dtype", &type));
    INC_TRY(inc_json_string(json, json->root, "config", "dtype", &type));
    if (strcmp(type, "bfloat16") == 0)
        scale = inc_f32_from_bf16(inc_bf16_from_f32(scale));
    else if (strcmp(type, "float16") == 0)
        scale = inc_f32_from_f16(inc_f16_from_f32(scale));
    else if (strcmp(type, "float32") != 0)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: dtype '%.64s' is not supported", json->label, type);
    d->input_scale = (double)scale;
    return INCISE_OK;
}

static enum incise_status read_config(const struct inc_json *json, struct inc_hf_decoder *d)
{
    int64_t pattern = 6;
    double scalar = 256;
    bool bidirectional = false;
    d->theta[0] = 1e6;
    d->theta[1] = 1e4;
    d->window = 4096;
    INC_TRY(inc_hf_decoder_read(json, d));
    INC_TRY(inc_hf_positive(json, "rope_local_base_freq", 1e12, &d->theta[1]));
    INC_TRY(inc_hf_positive(json, "query_pre_attn_scalar", 1e9, &scalar));
    INC_TRY(inc_hf_only_string(json, "hidden_activation", "gelu_pytorch_tanh"));
    INC_TRY(inc_hf_only_null(json, "attn_logit_softcapping"));
    INC_TRY(inc_json_bool(json, json->root, "config", "use_bidirectional_attention", &bidirectional));
    const struct inc_hf_size sizes[] = {
        {"sliding_window", INT32_MAX, &d->window},
        {"_sliding_window_pattern", INC_HF_MAX_LAYERS, &pattern},
        {"sliding_window_pattern", INC_HF_MAX_LAYERS, &pattern},
    };
    INC_TRY(inc_hf_sizes(json, sizes, sizeof sizes / sizeof *sizes));
    INC_TRY(inc_hf_decoder_read_layers(json, pattern, d));
    d->causal = !bidirectional;
    if (bidirectional) d->window = d->window / 2 + 1;
    d->score_scale = 1 / sqrt(scalar);
    return read_input_scale(json, d);
}

static enum incise_status build(struct inc_hf_builder *b, const struct inc_json *json)
{
    struct inc_hf_decoder d = {.gain_offset = 1, .sandwich = true, .act = "gelu/Gelu", .act_op = INC_OP_GELU,
                               .act_tanh = true};
    INC_TRY(read_config(json, &d));
    return inc_hf_decoder_build(b, &d);
}

static const char *const prefixes[] = {"", "model.", NULL};
static const char *const ignored[] = {"lm_head.weight", NULL};

const struct inc_hf_family inc_hf_gemma3 = {"gemma3_text", prefixes, "embed_tokens.weight", ignored, build};
