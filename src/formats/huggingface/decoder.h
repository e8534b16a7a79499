/* SPDX-License-Identifier: Apache-2.0 */
/* Models of Llama's plan, run as encoders of the whole text: RMS norms, rotary positions, heads that share keys and
 * values, gated feed-forward. A family fills the description from its config.json. */
#ifndef INC_FORMATS_HUGGINGFACE_DECODER_H
#define INC_FORMATS_HUGGINGFACE_DECODER_H

#include "formats/huggingface/blocks.h"
#include "formats/huggingface/config.h"

struct inc_hf_decoder {
    int64_t vocab, hidden, intermediate, layers, heads, kv_heads, head_dim;
    double eps;
    double score_scale;  /* of q k^T */
    double input_scale;  /* of the embeddings; 0: none */
    double gain_offset;  /* norms multiply by this + weight */
    bool sandwich;       /* norms also behind attention and feed-forward, inside the residual */
    const char *act;     /* name of the export's op, "gelu/Gelu" */
    enum inc_op act_op;
    bool act_tanh; /* approximation_mode of Gelu */
    bool causal;
    int64_t window;                      /* of sliding layers: visible if nearer than this */
    double theta[2];                     /* rotary base of full and of sliding layers */
    bool sliding[INC_HF_MAX_LAYERS];     /* per layer */
};

/* vocab .. kv_heads, head_dim (missing: hidden / heads), eps, and that no option is on that the plan lacks. */
enum incise_status inc_hf_decoder_read(const struct inc_json *json, struct inc_hf_decoder *d)
    __attribute__((warn_unused_result));
/* layer_types; without it every `pattern`-th layer is full, the others slide (0: all are full). */
enum incise_status inc_hf_decoder_read_layers(const struct inc_json *json, int64_t pattern, struct inc_hf_decoder *d)
    __attribute__((warn_unused_result));
/* Inputs input_ids and attention_mask. Positions are 0..S-1 whatever the mask, as in transformers without position_ids;
 * rotary embedding sees differences only, so padding on the left changes nothing. */
enum incise_status inc_hf_decoder_build(struct inc_hf_builder *b, const struct inc_hf_decoder *d)
    __attribute__((warn_unused_result));

#endif
