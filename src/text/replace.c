/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that look for a fixed string: the normalizer "Replace" and the pre-tokenizer "Split". */
#include <string.h>

#include "base/size.h"
#include "text/tokenizer_parts.h"

static enum incise_status append(struct inc_ids *out, const char *text, size_t n)
{
    if (n == 0) return INCISE_OK;
    INC_TRY(inc_grow(out->ctx, (void **)&out->text, &out->text_capacity, out->text_length + n, 1));
    memcpy(out->text + out->text_length, text, n);
    out->text_length += n;
    return INCISE_OK;
}

enum incise_status inc_replace_text(const struct inc_normalizer *normalizer, const char *text, size_t n,
                                    struct inc_ids *out)
{
    const char *at = text, *end = text + n, *found;
    out->text_length = 0;
    while ((found = memmem(at, (size_t)(end - at), normalizer->from, normalizer->n_from)) != NULL) {
        INC_TRY(append(out, at, (size_t)(found - at)));
        INC_TRY(append(out, normalizer->to, normalizer->n_to));
        at = found + normalizer->n_from;
    }
    return append(out, at, (size_t)(end - at));
}

/* "MergedWithPrevious": a match ends the word before it; one that follows a match is a word. */
enum incise_status inc_split_string(struct inc_encoding *encoding, size_t step, const char *text, size_t n)
{
    const struct inc_splitter *splitter = &encoding->tokenizer->splitters[step];
    const char *at = text, *end = text + n;
    while (at < end && !encoding->out->truncated) {
        const char *found = memmem(at, (size_t)(end - at), splitter->pattern, splitter->n_pattern);
        const char *stop = found != NULL ? found + splitter->n_pattern : end;
        INC_TRY(inc_split_next(encoding, step, at, (size_t)(stop - at)));
        at = stop;
    }
    return INCISE_OK;
}
