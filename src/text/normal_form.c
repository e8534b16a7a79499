/* SPDX-License-Identifier: Apache-2.0 */
/* UAX #15: decompose, order the marks, compose. Every character carries what it stands for in the source, in the way
 * of Hugging Face's unicode-normalization-alignments: of a decomposition the parts after the first are inserted; a
 * composition leaves out what it took. */
#include "text/normal_form.h"

#include "text/unicode.h"

#define NO_CLASS 0

/* ---- marks ------------------------------------------------------------------------------------------------------- */

void inc_marks_init(struct inc_marks *marks, const struct inc_ctx *ctx)
{
    *marks = (struct inc_marks){.ctx = ctx};
}

void inc_marks_release(struct inc_marks *marks)
{
    inc_free(marks->ctx, marks->items);
    inc_marks_init(marks, marks->ctx);
}

enum incise_status inc_marks_add(struct inc_marks *marks, const struct inc_mark *mark)
{
    INC_TRY(inc_grow(marks->ctx, (void **)&marks->items, &marks->capacity, marks->n, sizeof *marks->items));
    marks->items[marks->n++] = *mark;
    return INCISE_OK;
}

/* One pass per class that occurs (some 50 exist), so that no text takes more than linear time. */
enum incise_status inc_marks_flush(struct inc_marks *marks, inc_mark_fn *put, void *user)
{
    unsigned from = 1;
    while (from < 256 && marks->n > 0) {
        unsigned next = 256;
        for (size_t i = 0; i < marks->n; i++) {
            unsigned combining_class = marks->items[i].combining_class;
            if (combining_class == from)
                INC_TRY(put(user, &marks->items[i]));
            else if (combining_class > from && combining_class < next)
                next = combining_class;
        }
        from = next;
    }
    marks->n = 0;
    return INCISE_OK;
}

/* ---- composition ------------------------------------------------------------------------------------------------- */

struct former {
    struct inc_transform to;
    bool composed, compatible;
    struct inc_marks *marks, *blocked;
    /* composing */
    bool has_starter;
    struct inc_mark starter; /* what comes may join it */
    unsigned last_class;     /* of the last of `blocked`; NO_CLASS: there is none */
};

static enum incise_status put(struct former *f, const struct inc_mark *mark)
{
    return inc_transform_put(&f->to, mark->code, mark->change);
}

/* Writes the starter and what did not join it. */
static enum incise_status finish_starter(struct former *f)
{
    if (f->has_starter) INC_TRY(put(f, &f->starter));
    for (size_t i = 0; i < f->blocked->n; i++) INC_TRY(put(f, &f->blocked->items[i]));
    f->blocked->n = 0;
    f->has_starter = false;
    f->last_class = NO_CLASS;
    return INCISE_OK;
}

/* The next character in canonical order. */
static enum incise_status compose(struct former *f, const struct inc_mark *mark)
{
    unsigned combining_class = mark->combining_class;
    if (!f->composed || (!f->has_starter && combining_class > 0)) return put(f, mark);
    if (f->has_starter && (f->last_class == NO_CLASS || f->last_class < combining_class)) {
        uint32_t joined = inc_compose(f->starter.code, mark->code);
        if (joined != 0) {
            f->starter.code = joined;
            f->starter.change = (int8_t)(f->starter.change + mark->change - 1);
            return INCISE_OK;
        }
    }
    if (combining_class > 0) {
        f->last_class = combining_class;
        return inc_marks_add(f->blocked, mark);
    }
    INC_TRY(finish_starter(f));
    f->starter = *mark;
    f->has_starter = true;
    return INCISE_OK;
}

static enum incise_status compose_mark(void *user, const struct inc_mark *mark)
{
    return compose(user, mark);
}

/* ---- decomposition ----------------------------------------------------------------------------------------------- */

static enum incise_status put_character(struct former *f, uint32_t code)
{
    uint32_t parts[INC_MAX_DECOMPOSED];
    size_t n = inc_decompose(code, f->compatible, parts);
    for (size_t i = 0; i < n; i++) {
        struct inc_mark mark = {parts[i], INC_NO_ORIGIN, (uint8_t)inc_combining_class(parts[i]), (int8_t)(i > 0)};
        if (mark.combining_class > 0) {
            INC_TRY(inc_marks_add(f->marks, &mark));
            continue;
        }
        INC_TRY(inc_marks_flush(f->marks, compose_mark, f));
        INC_TRY(compose(f, &mark));
    }
    return INCISE_OK;
}

static enum incise_status finish(struct former *f)
{
    INC_TRY(inc_marks_flush(f->marks, compose_mark, f));
    return finish_starter(f);
}

/* Length of the characters from `at` on that every form leaves alone, whatever is before or after them; but the last
 * may compose with a mark behind it. Those below U+0300 compose with nothing before them; of those, ASCII is what no
 * form decomposes. */
static size_t plain_run(const struct inc_source *source, size_t at, enum inc_form form)
{
    unsigned char limit = form == INC_FORM_C ? 0xcc : 0x80; /* 0xcc 0x80 is U+0300 */
    size_t end = at;
    while (end < source->n) {
        unsigned char c = (unsigned char)source->text[end];
        if (c >= limit) break;
        end += c < 0x80 ? 1 : 2;
    }
    if (end > at && end < source->n && (form & INC_FORM_COMPOSED)) end = inc_utf8_before(source->text, end);
    return end - at;
}

enum incise_status inc_normal_form(enum inc_form form, const struct inc_source *source, struct inc_text *text,
                                   struct inc_marks *marks, struct inc_marks *blocked)
{
    struct former f = {.to = {source, text, 0},
                       .composed = form & INC_FORM_COMPOSED,
                       .compatible = form & INC_FORM_COMPATIBLE,
                       .marks = marks,
                       .blocked = blocked};
    marks->n = blocked->n = 0;
    for (size_t at = 0; at < source->n;) {
        size_t run = plain_run(source, at, form);
        if (run > 0) {
            INC_TRY(finish(&f));
            INC_TRY(inc_text_copy(text, source, at, run));
            at += run;
            f.to.at = at;
            continue;
        }
        uint32_t code;
        at += inc_utf8_decode(source->text + at, &code);
        INC_TRY(put_character(&f, code));
    }
    return finish(&f);
}
