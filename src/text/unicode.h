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
/* Length of the character that starts with this byte of valid UTF-8. */
static inline size_t inc_utf8_length(char first)
{
    unsigned char c = (unsigned char)first;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}
/* Start of the character before `at` (> 0). */
static inline size_t inc_utf8_before(const char *text, size_t at)
{
    do at--;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}
/* Writes up to 4 bytes; returns how many. */
size_t inc_utf8_encode(uint32_t code, char *text);

/* Of a code point >= 0x80. */
enum inc_bert_class inc_bert_class(uint32_t code);
/* Unicode's White_Space, of any code point. */
bool inc_is_space(uint32_t code);
/* General categories L* and N* of Unicode 16, of a code point >= 0x80. */
bool inc_is_letter(uint32_t code);
bool inc_is_number(uint32_t code);
/* What the regular expression \w takes: letters, marks, decimal and letter numbers, connectors, joiners. */
bool inc_is_word(uint32_t code);
/* What is a number to Rust (Unicode 17), of any code point. */
bool inc_is_numeric(uint32_t code);
/* ASCII punctuation and what BERT takes for punctuation, of any code point. */
bool inc_is_punctuation(uint32_t code);
/* A mark to Hugging Face's StripAccents, whose tables are old. */
bool inc_is_mark(uint32_t code);
/* The blocks that BERT puts spaces around. */
bool inc_is_chinese(uint32_t code);
/* Simple lower case of a code point >= 0x80. U+0130, whose lower case is two code points, gives 'i'. */
uint32_t inc_lower(uint32_t code);

/* Normalization as Hugging Face's tables have it, which are older than utf8proc's. */
#define INC_MAX_DECOMPOSED 32
/* 0: a starter. */
unsigned inc_combining_class(uint32_t code);
/* The full canonical or compatibility decomposition; returns how many code points. */
size_t inc_decompose(uint32_t code, bool compatible, uint32_t parts[INC_MAX_DECOMPOSED]);
/* What the two compose to, or 0. */
uint32_t inc_compose(uint32_t first, uint32_t second);

/* May a text be cut between the two (extended grapheme clusters)? `state` is 0 at the start of a text. */
bool inc_grapheme_break(uint32_t before, uint32_t after, int32_t *state);

#endif
