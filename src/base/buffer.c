/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

void inc_buffer_init(struct inc_buffer *buffer, const struct inc_ctx *ctx)
{
    memset(buffer, 0, sizeof *buffer);
    buffer->ctx = ctx;
}

void inc_buffer_fini(struct inc_buffer *buffer)
{
    inc_free(buffer->ctx, buffer->data);
    buffer->data = NULL;
    buffer->length = buffer->capacity = 0;
}

void inc_buffer_clear(struct inc_buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data != NULL) buffer->data[0] = '\0';
}

/* Room for `extra` more bytes and a NUL. */
static bool reserve(struct inc_buffer *buffer, size_t extra)
{
    size_t needed, doubled;
    if (buffer->failed || !inc_size_add(buffer->length, extra, &needed) || !inc_size_add(needed, 1, &needed)) {
        buffer->failed = true;
        return false;
    }
    if (needed <= buffer->capacity) return true;
    if (!inc_size_mul(needed, 2, &doubled)) doubled = needed;
    char *grown = inc_alloc(buffer->ctx, inc_max_size(doubled, 256));
    if (grown == NULL) {
        buffer->failed = true;
        return false;
    }
    if (buffer->length > 0) memcpy(grown, buffer->data, buffer->length);
    inc_free(buffer->ctx, buffer->data);
    buffer->data = grown;
    buffer->capacity = inc_max_size(doubled, 256);
    return true;
}

void inc_buffer_append(struct inc_buffer *buffer, const void *bytes, size_t length)
{
    if (!reserve(buffer, length)) return;
    if (length > 0) memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void inc_buffer_puts(struct inc_buffer *buffer, const char *text)
{
    inc_buffer_append(buffer, text, strlen(text));
}

void inc_buffer_printf(struct inc_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !reserve(buffer, (size_t)length)) {
        buffer->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, args);
    va_end(args);
    buffer->length += (size_t)length;
}

enum incise_status inc_buffer_check(const struct inc_buffer *buffer)
{
    return buffer->failed ? inc_fail_memory(buffer->ctx, buffer->length, "text") : INCISE_OK;
}
