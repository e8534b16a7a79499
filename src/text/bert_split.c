/* SPDX-License-Identifier: Apache-2.0 */
/* BertPreTokenizer: words end at white space, which goes, and at punctuation, each mark of which is a word. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

enum char_kind { KIND_WORD, KIND_SPACE, KIND_PUNCTUATION };

static enum char_kind ascii_kind(unsigned char c)
{
    if (c >= 'a' && c <= 'z') return KIND_WORD;
    if (inc_is_space(c)) return KIND_SPACE;
    bool word = c < ' ' || c == 0x7f || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
    return word ? KIND_WORD : KIND_PUNCTUATION;
}

/* The kind of the character at `text` and its length in bytes. */
static enum char_kind next_kind(const char *text, size_t *length)
{
    unsigned char c = (unsigned char)*text;
    uint32_t code;
    if (c < 0x80) {
        *length = 1;
        return ascii_kind(c);
    }
    *length = inc_utf8_decode(text, &code);
    if (inc_is_space(code)) return KIND_SPACE;
    return inc_bert_class(code) == INC_BERT_PUNCTUATION ? KIND_PUNCTUATION : KIND_WORD;
}

enum incise_status inc_bert_split(struct inc_encoding *encoding, size_t step, const char *text, size_t n)
{
    size_t at = 0;
    while (at < n && !encoding->out->truncated) {
        size_t start = at, length = 0;
        enum char_kind kind = KIND_WORD;
        while (at < n && (kind = next_kind(text + at, &length)) == KIND_WORD) at += length;
        if (at > start) INC_TRY(inc_split_next(encoding, step, text + start, at - start));
        if (kind == KIND_WORD) continue;
        if (kind == KIND_PUNCTUATION && !encoding->out->truncated)
            INC_TRY(inc_split_next(encoding, step, text + at, length));
        at += length;
    }
    return INCISE_OK;
}
