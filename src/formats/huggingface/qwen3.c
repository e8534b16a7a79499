/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3, of which Qwen3-Embedding is the causal encoder: the last token's state is the embedding. */
#include <math.h>

#include "formats/huggingface/decoder.h"

static enum incise_status build(struct inc_hf_builder *b, const struct inc_json *json)
{
    struct inc_hf_decoder d = {.act = "silu/Swish", .act_op = INC_OP_SWISH, .causal = true, .theta = {1e4, 1e4}};
    INC_TRY(inc_hf_decoder_read(json, &d));
    INC_TRY(inc_hf_only_string(json, "hidden_act", "silu"));
    INC_TRY(inc_hf_only_bool(json, "use_sliding_window", false));
    INC_TRY(inc_hf_decoder_read_layers(json, 0, &d));
    for (int64_t i = 0; i < d.layers; i++)
        if (d.sliding[i])
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: sliding layers are not supported", json->label);
    d.score_scale = 1 / sqrt((double)d.head_dim);
    return inc_hf_decoder_build(b, &d);
}

static const char *const prefixes[] = {"", "model.", NULL};
static const char *const ignored[] = {"lm_head.weight", NULL};

const struct inc_hf_family inc_hf_qwen3 = {"qwen3", prefixes, "embed_tokens.weight", ignored, build};
