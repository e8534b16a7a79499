/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders in GGUF files: architectures gemma3, gemma-embedding, bert, as llama.cpp's converter writes them. */
#ifndef INC_FORMATS_GGUF_GGUF_MODEL_H
#define INC_FORMATS_GGUF_GGUF_MODEL_H

#include "base/buffer.h"
#include "base/json.h"
#include "formats/gguf/gguf.h"
#include "graph/graph.h"

struct inc_gguf_options {
    bool embedding;      /* text vectors too: pooling of the metadata, dense layers if there are any, length 1 */
    bool keep_quantized; /* matrices of type Q8_0 and Q4_0 stay integers: grouped i8 and i4 of the same values */
};

/* The graph that inc_hf_read makes of the same model. Weights are read and decoded one at a time, straight into the
 * graph: the peak is the graph's own size and the metadata. INCISE_ERROR_DATA names the key, tensor or type that is
 * missing, unexpected or not supported; INCISE_ERROR_USAGE if there is nothing quantized to keep. */
enum incise_status inc_gguf_build(struct inc_gguf *file, const struct inc_gguf_options *options,
                                  struct inc_graph **graph) __attribute__((warn_unused_result));

/* Writes what a Hugging Face folder has beside its weights: config.json, tokenizer.json, and if the metadata has a
 * pooling type 1_Pooling/config.json and sentence_bert_config.json. */
enum incise_status inc_gguf_write_sidecars(struct inc_gguf *file, struct inc_output *out)
    __attribute__((warn_unused_result));

/* The metadata in the words of config.json. */
enum incise_status inc_gguf_config(struct inc_gguf *file, struct inc_json *config) __attribute__((warn_unused_result));
/* Appends the vocabulary as tokenizer.json. INCISE_ERROR_DATA names what of it is not supported. */
enum incise_status inc_gguf_tokenizer_json(struct inc_gguf *file, struct inc_buffer *text)
    __attribute__((warn_unused_result));

/* llama.cpp's numbers. */
enum inc_gguf_pooling { INC_GGUF_POOL_NONE, INC_GGUF_POOL_MEAN, INC_GGUF_POOL_CLS, INC_GGUF_POOL_LAST };
/* INC_GGUF_POOL_NONE without the key; INCISE_ERROR_DATA for others than these (rank). */
enum incise_status inc_gguf_get_pooling(struct inc_gguf *file, enum inc_gguf_pooling *pooling)
    __attribute__((warn_unused_result));

#endif
