/* SPDX-License-Identifier: Apache-2.0 */
/* Text that is rewritten while every byte remembers the character of the original text that it comes from, as Hugging
 * Face's NormalizedString does; from that follow the offsets of tokens. */
#ifndef INC_TEXT_TRANSFORM_H
#define INC_TEXT_TRANSFORM_H

#include <string.h>

#include "base/context.h"

#define INC_NO_ORIGIN UINT32_MAX /* stands before all characters: offsets 0..0 */

/* What a step reads. */
struct inc_source {
    const char *text; /* valid UTF-8 */
    size_t n;
    const uint32_t *origins; /* of each byte: where its character starts in the original text; NULL: not wanted */
};

/* What a step writes. */
struct inc_text {
    const struct inc_ctx *ctx;
    char *bytes;
    size_t n, capacity;
    uint32_t *origins;
    size_t origins_capacity;
    bool tracked; /* origins are kept */
};

void inc_text_init(struct inc_text *text, const struct inc_ctx *ctx);
void inc_text_release(struct inc_text *text);
/* Forgets what was written. */
static inline void inc_text_start(struct inc_text *text, bool tracked)
{
    text->n = 0;
    text->tracked = tracked;
}
/* Room for `extra` more bytes. */
enum incise_status inc_text_reserve(struct inc_text *text, size_t extra) __attribute__((warn_unused_result));

/* Adds bytes that come from one character; there is room. */
static inline void inc_text_put(struct inc_text *text, const char *bytes, size_t n, uint32_t origin)
{
    memcpy(text->bytes + text->n, bytes, n);
    for (size_t i = 0; text->tracked && i < n; i++) text->origins[text->n + i] = origin;
    text->n += n;
}
void inc_text_put_code(struct inc_text *text, uint32_t code, uint32_t origin);
/* Adds bytes [from, from + n) of the source as they are. */
enum incise_status inc_text_copy(struct inc_text *text, const struct inc_source *source, size_t from, size_t n)
    __attribute__((warn_unused_result));
/* What was written, as a source. */
static inline struct inc_source inc_text_source(const struct inc_text *text)
{
    return (struct inc_source){text->bytes, text->n, text->tracked ? text->origins : NULL};
}

static inline uint32_t inc_origin(const struct inc_source *source, size_t at)
{
    return source->origins != NULL && at < source->n ? source->origins[at] : INC_NO_ORIGIN;
}

/* A text taken apart into characters and put together again, from its start to its end. `change` says what a character
 * stands for: 0 the next one of the source, 1 none (it is inserted, and shares the origin of what was passed last),
 * -k the next one, and k more behind it are left out. */
struct inc_transform {
    const struct inc_source *source;
    struct inc_text *text;
    size_t at; /* in the source */
};
enum incise_status inc_transform_put(struct inc_transform *transform, uint32_t code, int change)
    __attribute__((warn_unused_result));

/* Where `pattern` (n_pattern > 0 bytes) starts in text[at .. n), or n. Looks no further than the first. */
size_t inc_text_find(const char *text, size_t n, size_t at, const char *pattern, size_t n_pattern);

#endif
