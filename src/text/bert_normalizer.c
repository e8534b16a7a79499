/* SPDX-License-Identifier: Apache-2.0 */
#include "text/bert_normalizer.h"

#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#define NOTHING 0xff
#define DROPPED 0    /* a mark that goes, but has its place in the order */
#define ROOM 256 /* bytes that any one code point may add */

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

/* One text as it runs. */
struct bert_run {
    const struct inc_bert_normalizer *bert;
    struct inc_text *out;
    struct inc_marks *marks; /* since the last starter */
    uint32_t origin;         /* of the character that is taken apart */
};

static void put(struct bert_run *run, uint32_t code, uint32_t origin)
{
    if (!run->bert->lowercase) {
        inc_text_put_code(run->out, code, origin);
    } else if (code < 0x80) {
        inc_text_put_code(run->out, code >= 'A' && code <= 'Z' ? code - 'A' + 'a' : code, origin);
    } else {
        inc_text_put_code(run->out, inc_lower(code), origin);
        if (code == 0x130) inc_text_put_code(run->out, 0x307, origin);
    }
}

/* ---- canonical order --------------------------------------------------------------------------------------------- */

/* Marks as they are put: those that stand for a character of the text take the origins of such, in the order of the
 * text; an inserted one that of the mark before. */
struct ordered_marks {
    struct bert_run *run;
    size_t next; /* mark that may give its origin */
    uint32_t origin;
};

static enum incise_status put_mark(void *user, const struct inc_mark *mark)
{
    struct ordered_marks *ordered = user;
    const struct inc_marks *marks = ordered->run->marks;
    while (mark->change == 0 && ordered->next < marks->n) {
        const struct inc_mark *giver = &marks->items[ordered->next++];
        if (giver->change != 0) continue;
        ordered->origin = giver->origin;
        break;
    }
    if (mark->code != DROPPED) put(ordered->run, mark->code, ordered->origin);
    return INCISE_OK;
}

static enum incise_status flush_marks(struct bert_run *run)
{
    if (run->marks->n == 0) return INCISE_OK;
    struct ordered_marks ordered = {run, 0, run->marks->items[0].origin};
    INC_TRY(inc_text_reserve(run->out, run->marks->n * 8 + ROOM));
    return inc_marks_flush(run->marks, put_mark, &ordered);
}

static enum incise_status put_starter(struct bert_run *run, uint32_t code)
{
    if (run->marks->n > 0) {
        INC_TRY(flush_marks(run));
        INC_TRY(inc_text_reserve(run->out, ROOM));
    }
    put(run, code, run->origin);
    return INCISE_OK;
}

/* ---- one code point >= 0x80 -------------------------------------------------------------------------------------- */

/* Canonical decomposition without nonspacing marks. */
static enum incise_status put_stripped(struct bert_run *run, uint32_t code, enum inc_bert_class class)
{
    uint32_t parts[INC_MAX_DECOMPOSED];
    if (class == INC_BERT_NEW) return put_starter(run, code);
    size_t n = inc_decompose(code, false, parts);
    for (size_t i = 0; i < n; i++) {
        unsigned combining_class = inc_combining_class(parts[i]);
        if (parts[i] != code) class = parts[i] < 0x80 ? INC_BERT_PLAIN : inc_bert_class(parts[i]);
        bool dropped = class == INC_BERT_MARK;
        if (combining_class > 0 && (!dropped || run->out->tracked)) {
            uint32_t kept = dropped ? DROPPED : parts[i];
            struct inc_mark mark = {kept, run->origin, (uint8_t)combining_class, (int8_t)(i > 0)};
            INC_TRY(inc_marks_add(run->marks, &mark));
        } else if (combining_class == 0) {
            INC_TRY(dropped ? flush_marks(run) : put_starter(run, parts[i]));
        }
    }
    return INCISE_OK;
}

static enum incise_status put_code(struct bert_run *run, uint32_t code)
{
    const struct inc_bert_normalizer *bert = run->bert;
    enum inc_bert_class class = inc_bert_class(code);
    if (bert->clean_text) {
        if (class == INC_BERT_OTHER || code == 0xfffd) return INCISE_OK;
        if (inc_is_space(code)) return put_starter(run, ' ');
    }
    bool chinese = bert->chinese_chars && inc_is_chinese(code);
    if (chinese) INC_TRY(put_starter(run, ' '));
    if (bert->strip_accents)
        INC_TRY(put_stripped(run, code, class));
    else
        put(run, code, run->origin);
    return chinese ? put_starter(run, ' ') : INCISE_OK;
}

enum incise_status inc_bert_normalize(const struct inc_bert_normalizer *bert, const struct inc_source *source,
                                      struct inc_text *out, struct inc_marks *marks)
{
    struct bert_run run = {bert, out, marks, INC_NO_ORIGIN};
    size_t at = 0, n = source->n;
    marks->n = 0;
    while (at < n) {
        INC_TRY(inc_text_reserve(out, n - at + ROOM));
        for (; at < n && (unsigned char)source->text[at] < 0x80; at++) {
            char to = (char)bert->ascii[(unsigned char)source->text[at]];
            if (to == (char)NOTHING) continue;
            if (marks->n > 0) {
                INC_TRY(flush_marks(&run));
                INC_TRY(inc_text_reserve(out, n - at + ROOM));
            }
            out->bytes[out->n] = to;
            if (out->tracked) out->origins[out->n] = source->origins[at];
            out->n++;
        }
        while (at < n && (unsigned char)source->text[at] >= 0x80) {
            uint32_t code;
            run.origin = inc_origin(source, at);
            at += inc_utf8_decode(source->text + at, &code);
            INC_TRY(inc_text_reserve(out, ROOM));
            INC_TRY(put_code(&run, code));
        }
    }
    return flush_marks(&run);
}

enum incise_status inc_bert_normalize_text(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                           struct inc_text *text, struct inc_ids *out)
{
    return inc_bert_normalize(&normalizer->bert, source, text, &out->marks);
}
