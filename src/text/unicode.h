/* SPDX-License-Identifier: Apache-2.0 */
/* Code points as Hugging Face's BERT tokenizers see them. */
#ifndef INC_TEXT_UNICODE_H
#define INC_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NEW: a mark younger than their normalization tables, which neither decomposes nor moves. */
enum inc_bert_class {
    INC_BERT_PLAIN,
    INC_BERT_OTHER,       /* control, format, private use: clean_text drops it */
    INC_BERT_MARK,        /* nonspacing mark: strip_accents drops it */
    INC_BERT_PUNCTUATION, /* a word of its own */
    INC_BERT_NEW
};

/* Offset of the first byte that is not part of valid UTF-8 (surrogates and overlong forms are not), or `n`. */
size_t inc_utf8_check(const char *text, size_t n);
/* The code point at `text`, which is valid UTF-8; returns its length. */
size_t inc_utf8_decode(const char *text, uint32_t *code);
/* Writes up to 4 bytes; returns how many. */
size_t inc_utf8_encode(uint32_t code, char *text);

/* Of a code point >= 0x80. */
enum inc_bert_class inc_bert_class(uint32_t code);
/* Unicode's White_Space, of any code point. */
bool inc_is_space(uint32_t code);
/* General categories L* and N* of Unicode 16, of a code point >= 0x80. */
bool inc_is_letter(uint32_t code);
bool inc_is_number(uint32_t code);
/* The blocks that BERT puts spaces around. */
bool inc_is_chinese(uint32_t code);
/* Simple lower case of a code point >= 0x80. U+0130, whose lower case is two code points, gives 'i'. */
uint32_t inc_lower(uint32_t code);

#endif
