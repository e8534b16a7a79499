/* SPDX-License-Identifier: Apache-2.0 */
/* Pre-tokenizers: cut a text at matches of a pattern, or put something in front of words. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

/* ---- matches and what lies between them -------------------------------------------------------------------------- */

struct segments {
    const struct inc_pattern *pattern;
    const char *text;
    size_t n, at;
    size_t start, end; /* of the next match */
};

static void find_match(struct segments *s)
{
    bool found = s->at < s->n && s->pattern->find(s->pattern, s->text, s->n, s->at, &s->start, &s->end);
    if (!found) s->start = s->end = s->n;
}

/* The next one starts at s->at; its end, and whether it is a match. */
static size_t next_segment(struct segments *s, bool *match)
{
    *match = s->at == s->start;
    s->at = *match ? s->end : s->start;
    if (*match) find_match(s);
    return s->at;
}

/* Does a segment join the word before it, which ends in a segment that is a match if `before`? */
static bool joins(enum inc_behavior behavior, bool before, bool match)
{
    switch (behavior) {
    case INC_REMOVED:
    case INC_ISOLATED: return false;
    case INC_CONTIGUOUS: return before == match;
    case INC_MERGED_WITH_PREVIOUS: return match && !before;
    case INC_MERGED_WITH_NEXT: return before && !match;
    }
    return false;
}

enum incise_status inc_split_matches(struct inc_encoding *encoding, size_t step, const char *text, size_t n)
{
    const struct inc_splitter *splitter = &encoding->tokenizer->splitters[step];
    struct segments s = {&splitter->pattern, text, n, 0, 0, 0};
    size_t word = 0, end = 0; /* the word that may still grow */
    bool before = false;
    find_match(&s);
    while (s.at < n && !encoding->out->truncated) {
        bool match;
        size_t start = s.at, stop = next_segment(&s, &match);
        match = match != splitter->invert;
        if (end == word || !joins(splitter->behavior, before, match)) {
            if (end > word) INC_TRY(inc_split_next(encoding, step, text + word, end - word));
            word = start;
        }
        end = stop;
        if (match && splitter->behavior == INC_REMOVED) word = end;
        before = match;
    }
    return end > word && !encoding->out->truncated ? inc_split_next(encoding, step, text + word, end - word)
                                                   : INCISE_OK;
}

/* ---- Metaspace, and the space that ByteLevel puts in front ------------------------------------------------------- */

static bool wants_prefix(const struct inc_splitter *splitter, const struct inc_source *source)
{
    if (splitter->prepend == INC_PREPEND_NEVER) return false;
    if (source->n >= splitter->n_mark && memcmp(source->text, splitter->mark, splitter->n_mark) == 0) return false;
    return splitter->prepend == INC_PREPEND_ALWAYS || source->origins[0] == 0 || source->origins[0] == INC_NO_ORIGIN;
}

enum incise_status inc_split_rewritten(struct inc_encoding *encoding, size_t step, const char *text, size_t n)
{
    const struct inc_splitter *splitter = &encoding->tokenizer->splitters[step];
    const struct inc_source outer = encoding->source;
    const uint32_t *origins = outer.origins != NULL ? outer.origins + (text - outer.text) : NULL;
    struct inc_source source = {text, n, origins};
    struct inc_text *rewritten = &encoding->out->rewritten[step], *replaced = rewritten;
    inc_text_start(rewritten, origins != NULL);
    if (splitter->pattern.find != NULL) {
        replaced = &encoding->out->replaced;
        inc_text_start(replaced, origins != NULL);
        INC_TRY(inc_replace_matches(&splitter->pattern, splitter->mark, splitter->n_mark, &source, replaced));
        source = inc_text_source(replaced);
    }
    if (wants_prefix(splitter, &source)) {
        INC_TRY(inc_text_reserve(rewritten, splitter->n_mark));
        inc_text_put(rewritten, splitter->mark, splitter->n_mark, inc_origin(&source, 0));
    }
    INC_TRY(inc_text_copy(rewritten, &source, 0, source.n));
    encoding->source = inc_text_source(rewritten);
    enum incise_status status = inc_split_next(encoding, step, rewritten->bytes, rewritten->n);
    encoding->source = outer;
    return status;
}
