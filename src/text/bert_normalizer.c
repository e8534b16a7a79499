/* SPDX-License-Identifier: Apache-2.0 */
#include "text/bert_normalizer.h"

#include <utf8proc.h>

#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#define NOTHING 0xff
#define ROOM 64         /* bytes that any one code point may add */
#define MAX_DECOMPOSED 32

void inc_bert_normalizer_init(struct inc_bert_normalizer *bert, bool clean_text, bool chinese_chars, bool strip_accents,
                              bool lowercase)
{
    bert->clean_text = clean_text;
    bert->chinese_chars = chinese_chars;
    bert->strip_accents = strip_accents;
    bert->lowercase = lowercase;
    for (unsigned c = 0; c < 128; c++) {
        unsigned to = c;
        if (clean_text && (c == '\t' || c == '\n' || c == '\r'))
            to = ' ';
        else if (clean_text && (c < ' ' || c == 0x7f))
            to = NOTHING;
        else if (lowercase && c >= 'A' && c <= 'Z')
            to = c - 'A' + 'a';
        bert->ascii[c] = (unsigned char)to;
    }
}

static enum incise_status reserve(struct inc_ids *out, size_t extra)
{
    return inc_grow(out->ctx, (void **)&out->text, &out->text_capacity, out->text_length + extra, 1);
}

static void put_raw(struct inc_ids *out, uint32_t code)
{
    out->text_length += inc_utf8_encode(code, out->text + out->text_length);
}

static void put(const struct inc_bert_normalizer *bert, struct inc_ids *out, uint32_t code)
{
    if (!bert->lowercase) {
        put_raw(out, code);
    } else if (code < 0x80) {
        out->text[out->text_length++] = (char)(code >= 'A' && code <= 'Z' ? code - 'A' + 'a' : code);
    } else {
        put_raw(out, inc_lower(code));
        if (code == 0x130) put_raw(out, 0x307);
    }
}

/* ---- canonical order: the marks since the last starter, sorted by combining class, stable ----------------------- */

static enum incise_status push_mark(struct inc_ids *out, uint32_t code, unsigned combining_class)
{
    INC_TRY(inc_grow(out->ctx, (void **)&out->marks, &out->marks_capacity, out->n_marks, sizeof *out->marks));
    out->marks[out->n_marks++] = (uint32_t)combining_class << 24 | code;
    return INCISE_OK;
}

/* One pass per class that occurs (some 50 exist), so that no text takes more than linear time. */
static enum incise_status flush_marks(const struct inc_bert_normalizer *bert, struct inc_ids *out)
{
    unsigned from = 1;
    INC_TRY(reserve(out, out->n_marks * 4 + ROOM));
    while (from < 256) {
        unsigned next = 256;
        for (size_t i = 0; i < out->n_marks; i++) {
            unsigned combining_class = out->marks[i] >> 24;
            if (combining_class == from)
                put(bert, out, out->marks[i] & 0xffffffu);
            else if (combining_class > from && combining_class < next)
                next = combining_class;
        }
        from = next;
    }
    out->n_marks = 0;
    return INCISE_OK;
}

static enum incise_status put_starter(const struct inc_bert_normalizer *bert, struct inc_ids *out, uint32_t code)
{
    if (out->n_marks > 0) INC_TRY(flush_marks(bert, out));
    put(bert, out, code);
    return INCISE_OK;
}

/* ---- one code point >= 0x80 -------------------------------------------------------------------------------------- */

/* Canonical decomposition without nonspacing marks. */
static enum incise_status put_stripped(const struct inc_bert_normalizer *bert, struct inc_ids *out, uint32_t code,
                                       enum inc_bert_class class)
{
    utf8proc_int32_t parts[MAX_DECOMPOSED];
    int boundary = 0;
    if (class == INC_BERT_NEW) return put_starter(bert, out, code);
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)code, parts, MAX_DECOMPOSED, UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        uint32_t part = (uint32_t)parts[i];
        unsigned combining_class = (unsigned)utf8proc_get_property(parts[i])->combining_class;
        if (part != code) class = part < 0x80 ? INC_BERT_PLAIN : inc_bert_class(part);
        if (class == INC_BERT_MARK) {
            if (combining_class == 0 && out->n_marks > 0) INC_TRY(flush_marks(bert, out));
        } else if (combining_class == 0 || class == INC_BERT_NEW) {
            INC_TRY(put_starter(bert, out, part));
        } else {
            INC_TRY(push_mark(out, part, combining_class));
        }
    }
    return INCISE_OK;
}

static enum incise_status put_code(const struct inc_bert_normalizer *bert, struct inc_ids *out, uint32_t code)
{
    enum inc_bert_class class = inc_bert_class(code);
    if (bert->clean_text) {
        if (class == INC_BERT_OTHER || code == 0xfffd) return INCISE_OK;
        if (inc_is_space(code)) return put_starter(bert, out, ' ');
    }
    bool chinese = bert->chinese_chars && inc_is_chinese(code);
    if (chinese) INC_TRY(put_starter(bert, out, ' '));
    if (bert->strip_accents)
        INC_TRY(put_stripped(bert, out, code, class));
    else
        put(bert, out, code);
    return chinese ? put_starter(bert, out, ' ') : INCISE_OK;
}

enum incise_status inc_bert_normalize(const struct inc_bert_normalizer *bert, const char *text, size_t n,
                                      struct inc_ids *out)
{
    const char *at = text, *end = text + n;
    out->text_length = 0;
    out->n_marks = 0;
    while (at < end) {
        INC_TRY(reserve(out, (size_t)(end - at) + ROOM));
        for (; at < end && (unsigned char)*at < 0x80; at++) {
            unsigned char to = bert->ascii[(unsigned char)*at];
            if (to == NOTHING) continue;
            if (out->n_marks > 0) {
                INC_TRY(flush_marks(bert, out));
                INC_TRY(reserve(out, (size_t)(end - at) + ROOM));
            }
            out->text[out->text_length++] = (char)to;
        }
        while (at < end && (unsigned char)*at >= 0x80) {
            uint32_t code;
            at += inc_utf8_decode(at, &code);
            INC_TRY(reserve(out, ROOM));
            INC_TRY(put_code(bert, out, code));
        }
    }
    return out->n_marks > 0 ? flush_marks(bert, out) : INCISE_OK;
}

enum incise_status inc_bert_normalize_text(const struct inc_normalizer *normalizer, const char *text, size_t n,
                                           struct inc_ids *out)
{
    return inc_bert_normalize(&normalizer->bert, text, n, out);
}
