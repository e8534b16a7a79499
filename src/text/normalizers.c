/* SPDX-License-Identifier: Apache-2.0 */
/* The normalizers that are a few lines each. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

/* A character at a time: writes what it becomes. */
typedef enum incise_status character_fn(struct inc_text *text, uint32_t code, uint32_t origin);

static enum incise_status map_characters(const struct inc_source *source, struct inc_text *text, character_fn *put)
{
    for (size_t at = 0; at < source->n;) {
        uint32_t code, origin = inc_origin(source, at);
        at += inc_utf8_decode(source->text + at, &code);
        INC_TRY(inc_text_reserve(text, 8));
        INC_TRY(put(text, code, origin));
    }
    return INCISE_OK;
}

static enum incise_status put_lower(struct inc_text *text, uint32_t code, uint32_t origin)
{
    if (code < 0x80)
        inc_text_put_code(text, code >= 'A' && code <= 'Z' ? code - 'A' + 'a' : code, origin);
    else
        inc_text_put_code(text, inc_lower(code), origin);
    if (code == 0x130) inc_text_put_code(text, 0x307, origin);
    return INCISE_OK;
}

enum incise_status inc_lowercase_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                      struct inc_text *text, struct inc_ids *out)
{
    (void)normalizer, (void)out;
    return map_characters(source, text, put_lower);
}

static enum incise_status put_no_mark(struct inc_text *text, uint32_t code, uint32_t origin)
{
    if (code < 0x80 || !inc_is_mark(code)) inc_text_put_code(text, code, origin);
    return INCISE_OK;
}

enum incise_status inc_strip_accents_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                          struct inc_text *text, struct inc_ids *out)
{
    (void)normalizer, (void)out;
    return map_characters(source, text, put_no_mark);
}

/* The character filter of SentencePiece's NMT rules, as Hugging Face's Nmt has it. */
static enum incise_status put_nmt(struct inc_text *text, uint32_t code, uint32_t origin)
{
    bool space = code == '\t' || code == '\n' || code == '\f' || code == '\r' || code == 0x1680 ||
                 (code >= 0x200b && code <= 0x200f) || code == 0x2028 || code == 0x2029 || code == 0x2581 ||
                 code == 0xfeff || code == 0xfffd;
    bool control = (code >= 1 && code < ' ') || code == 0x7f || code == 0x8f || code == 0x9f;
    if (space)
        inc_text_put_code(text, ' ', origin);
    else if (!control)
        inc_text_put_code(text, code, origin);
    return INCISE_OK;
}

enum incise_status inc_nmt_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                struct inc_text *text, struct inc_ids *out)
{
    (void)normalizer, (void)out;
    return map_characters(source, text, put_nmt);
}

/* White space at the ends. */
enum incise_status inc_strip_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                  struct inc_text *text, struct inc_ids *out)
{
    size_t from = 0, end = source->n;
    (void)out;
    if (normalizer->left) from = inc_space_after(source->text, 0, end);
    if (normalizer->right) end = inc_space_before(source->text, from, end);
    return inc_text_copy(text, source, from, end - from);
}

/* In front of a text that is not empty; comes from its first character. */
enum incise_status inc_prepend_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                    struct inc_text *text, struct inc_ids *out)
{
    (void)out;
    if (source->n == 0) return INCISE_OK;
    INC_TRY(inc_text_reserve(text, normalizer->n_content));
    inc_text_put(text, normalizer->content, normalizer->n_content, inc_origin(source, 0));
    return inc_text_copy(text, source, 0, source->n);
}

/* What is put in comes from the last character that goes. */
enum incise_status inc_replace_matches(const struct inc_pattern *pattern, const char *content, size_t n_content,
                                       const struct inc_source *source, struct inc_text *text)
{
    size_t done = 0, start, end;
    while (done < source->n && pattern->find(pattern, source->text, source->n, done, &start, &end)) {
        INC_TRY(inc_text_copy(text, source, done, start - done));
        INC_TRY(inc_text_reserve(text, n_content));
        inc_text_put(text, content, n_content, inc_origin(source, end - 1));
        done = end;
    }
    return inc_text_copy(text, source, done, source->n - done);
}

enum incise_status inc_replace_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                    struct inc_text *text, struct inc_ids *out)
{
    (void)out;
    return inc_replace_matches(&normalizer->pattern, normalizer->content, normalizer->n_content, source, text);
}

enum incise_status inc_form_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                 struct inc_text *text, struct inc_ids *out)
{
    return inc_normal_form(normalizer->form, source, text, &out->marks, &out->blocked);
}

enum incise_status inc_charsmap_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                     struct inc_text *text, struct inc_ids *out)
{
    (void)out;
    return inc_charsmap_apply(&normalizer->charsmap, source, text);
}
