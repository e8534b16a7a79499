/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_TEXT_TEXT_LENGTH_H
#define INC_TEXT_TEXT_LENGTH_H

#include "text/tokenizer.h"

/* Tokens per text that a model is meant for: what sentence_bert_config.json in its `folder`, the tokenizer's truncation
 * or the smaller of 512 and config.json's max_position_embeddings says, the first of them that is there; else 512. */
enum incise_status inc_text_length(const struct inc_ctx *ctx, const char *folder, const struct inc_tokenizer *tokenizer,
                                   size_t *length) __attribute__((warn_unused_result));

#endif
