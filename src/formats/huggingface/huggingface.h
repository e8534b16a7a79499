/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face model folders: config.json and model.safetensors or its shards, with tokenizer and sentence-transformers
 * files. */
#ifndef INC_FORMATS_HUGGINGFACE_HUGGINGFACE_H
#define INC_FORMATS_HUGGINGFACE_HUGGINGFACE_H

#include "base/file.h"
#include "graph/graph.h"

/* Builds the encoder in `folder` as the graph that optimum-intel's export of task feature-extraction has: inputs
 * input_ids, attention_mask and, for families that have types, token_type_ids (i64 [?,?]), never positions; output
 * last_hidden_state; linear layers and weights carry the names of the export. Weights in f16 or bf16 become f32. Shapes
 * are inferred. INCISE_ERROR_DATA names the config key or the tensor that is missing, unexpected or not supported.
 * Families: the table in build.c. */
enum incise_status inc_hf_read(const struct inc_ctx *ctx, const char *folder, struct inc_graph **graph)
    __attribute__((warn_unused_result));

/* The same with what modules.json says behind it: Pooling, Dense, Normalize make the second output sentence_embedding
 * [?,width]. */
enum incise_status inc_hf_read_embedding(const struct inc_ctx *ctx, const char *folder, struct inc_graph **graph)
    __attribute__((warn_unused_result));

/* Copies what belongs to a model but is no weight (tokenizer, configuration, pooling) from `folder` into the output,
 * as far as it is there. */
enum incise_status inc_hf_copy_sidecars(const char *folder, struct inc_output *out) __attribute__((warn_unused_result));

#endif
