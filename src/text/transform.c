/* SPDX-License-Identifier: Apache-2.0 */
#include "text/transform.h"

#include "base/size.h"
#include "text/unicode.h"

void inc_text_init(struct inc_text *text, const struct inc_ctx *ctx)
{
    memset(text, 0, sizeof *text);
    text->ctx = ctx;
}

void inc_text_release(struct inc_text *text)
{
    inc_free(text->ctx, text->bytes);
    inc_free(text->ctx, text->origins);
    inc_text_init(text, text->ctx);
}

enum incise_status inc_text_reserve(struct inc_text *text, size_t extra)
{
    size_t end;
    if (!inc_size_add(text->n, extra, &end)) return inc_fail_memory(text->ctx, SIZE_MAX, "a text");
    INC_TRY(inc_grow(text->ctx, (void **)&text->bytes, &text->capacity, end, 1));
    if (!text->tracked) return INCISE_OK;
    return inc_grow(text->ctx, (void **)&text->origins, &text->origins_capacity, end, sizeof *text->origins);
}

void inc_text_put_code(struct inc_text *text, uint32_t code, uint32_t origin)
{
    char bytes[4];
    inc_text_put(text, bytes, inc_utf8_encode(code, bytes), origin);
}

enum incise_status inc_text_copy(struct inc_text *text, const struct inc_source *source, size_t from, size_t n)
{
    if (n == 0) return INCISE_OK;
    INC_TRY(inc_text_reserve(text, n));
    memcpy(text->bytes + text->n, source->text + from, n);
    if (text->tracked) memcpy(text->origins + text->n, source->origins + from, n * sizeof *text->origins);
    text->n += n;
    return INCISE_OK;
}

enum incise_status inc_transform_put(struct inc_transform *transform, uint32_t code, int change)
{
    const struct inc_source *source = transform->source;
    uint32_t origin = inc_origin(source, transform->at);
    if (change > 0) origin = transform->at > 0 ? inc_origin(source, transform->at - 1) : INC_NO_ORIGIN;
    for (; change <= 0 && transform->at < source->n; change++)
        transform->at += inc_utf8_length(source->text[transform->at]);
    INC_TRY(inc_text_reserve(transform->text, 4));
    inc_text_put_code(transform->text, code, origin);
    return INCISE_OK;
}

size_t inc_text_find(const char *text, size_t n, size_t at, const char *pattern, size_t n_pattern)
{
    while (n - at >= n_pattern) {
        const char *found = memchr(text + at, pattern[0], n - at - n_pattern + 1);
        if (found == NULL) break;
        at = (size_t)(found - text);
        if (memcmp(found, pattern, n_pattern) == 0) return at;
        at++;
    }
    return n;
}
