/* SPDX-License-Identifier: Apache-2.0 */
/* Byte-level tokenizers: words by the patterns of GPT-2 or Qwen, then bytes, each of which the vocabulary writes as a
 * visible character. */
#ifndef INC_TEXT_BYTE_LEVEL_H
#define INC_TEXT_BYTE_LEVEL_H

#include "text/tokenizer_parts.h"

/* The character that stands for a byte. */
uint32_t inc_byte_level_code(unsigned char byte);
/* The splitter for a regular expression as files write it, or NULL. */
inc_split_fn *inc_byte_level_pattern(const char *regex);

inc_split_fn inc_split_gpt2, inc_split_qwen;

#endif
