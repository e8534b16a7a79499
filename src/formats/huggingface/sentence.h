/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of texts from those of their tokens: pooling, linear layers, normalization, as sentence-transformers has
 * them. */
#ifndef INC_FORMATS_HUGGINGFACE_SENTENCE_H
#define INC_FORMATS_HUGGINGFACE_SENTENCE_H

#include "base/pooling_config.h"
#include "formats/huggingface/blocks.h"

struct inc_hf_sentence {
    struct inc_hf_builder *b;
    struct inc_value *mask; /* attention_mask [B,S] */
    struct inc_value *x;    /* [B,S,width], pooled [B,width] */
    int64_t width;
    bool pooled;
};

/* Starts from the builder's only output [B,S,width]. */
enum incise_status inc_hf_sentence_begin(struct inc_hf_builder *b, struct inc_hf_sentence *s)
    __attribute__((warn_unused_result));
enum incise_status inc_hf_sentence_pool(struct inc_hf_sentence *s, enum inc_pooling_mode mode)
    __attribute__((warn_unused_result));
/* x W^T [+ bias] of the pooled vectors, with "<tensors>.weight" [out, width]; nodes are named by `path`. `act`:
 * INC_OP_COUNT for none. */
enum incise_status inc_hf_sentence_dense(struct inc_hf_sentence *s, const char *path, const char *tensors, int64_t out,
                                         bool bias, enum inc_op act) __attribute__((warn_unused_result));
/* To length 1. */
enum incise_status inc_hf_sentence_normalize(struct inc_hf_sentence *s) __attribute__((warn_unused_result));
/* The model's further output "sentence_embedding" [B,width]. */
enum incise_status inc_hf_sentence_end(struct inc_hf_sentence *s) __attribute__((warn_unused_result));

#endif
