/* SPDX-License-Identifier: Apache-2.0 */
#include "base/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static void *default_allocate(void *user, size_t bytes)
{
    (void)user;
    size_t rounded;
    if (!inc_size_add(bytes, INC_ALIGN - 1, &rounded)) return NULL;
    return aligned_alloc(INC_ALIGN, rounded / INC_ALIGN * INC_ALIGN);
}

static void default_release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

void inc_ctx_init(struct inc_ctx *ctx)
{
    memset(ctx, 0, sizeof *ctx);
    ctx->allocator.allocate = default_allocate;
    ctx->allocator.release = default_release;
    ctx->log_level = INCISE_LOG_WARNING;
}

static void log_format(const struct inc_ctx *ctx, enum incise_log_level level, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void log_format(const struct inc_ctx *ctx, enum incise_log_level level, const char *format, va_list args)
{
    char text[1024];
    if (ctx->log == NULL || level > ctx->log_level) return;
    vsnprintf(text, sizeof text, format, args);
    /* Names from files reach this text: one message stays one line of printable bytes. */
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    ctx->log(ctx->log_user, level, text);
}

enum incise_status inc_fail(const struct inc_ctx *ctx, enum incise_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_format(ctx, INCISE_LOG_ERROR, format, args);
    va_end(args);
    return status;
}

void inc_log(const struct inc_ctx *ctx, enum incise_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_format(ctx, level, format, args);
    va_end(args);
}

void *inc_alloc(const struct inc_ctx *ctx, size_t bytes)
{
    return ctx->allocator.allocate(ctx->allocator.user, bytes == 0 ? 1 : bytes);
}

void *inc_alloc_array(const struct inc_ctx *ctx, size_t count, size_t size)
{
    size_t bytes;
    if (!inc_size_mul(count, size, &bytes)) return NULL;
    return inc_alloc(ctx, bytes);
}

void *inc_alloc_zero(const struct inc_ctx *ctx, size_t count, size_t size)
{
    void *memory = inc_alloc_array(ctx, count, size);
    if (memory != NULL) memset(memory, 0, count * size);
    return memory;
}

void inc_free(const struct inc_ctx *ctx, void *memory)
{
    if (memory != NULL) ctx->allocator.release(ctx->allocator.user, memory);
}

enum incise_status inc_fail_memory(const struct inc_ctx *ctx, size_t bytes, const char *what)
{
    return inc_fail(ctx, INCISE_ERROR_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}

enum incise_status inc_grow(const struct inc_ctx *ctx, void **items, size_t *capacity, size_t count, size_t item_size)
{
    if (count < *capacity) return INCISE_OK;
    size_t wanted, bytes;
    if (!inc_size_mul(count < 8 ? 8 : count, 2, &wanted) || !inc_size_mul(wanted, item_size, &bytes))
        return inc_fail_memory(ctx, SIZE_MAX, "a growing array");
    void *grown = inc_alloc(ctx, bytes);
    if (grown == NULL) return inc_fail_memory(ctx, bytes, "a growing array");
    if (*capacity > 0) memcpy(grown, *items, *capacity * item_size);
    inc_free(ctx, *items);
    *items = grown;
    *capacity = wanted;
    return INCISE_OK;
}

const char *incise_status_text(enum incise_status status)
{
    switch (status) {
    case INCISE_OK: return "ok";
    case INCISE_ERROR_FAILED: return "failed";
    case INCISE_ERROR_USAGE: return "wrong usage";
    case INCISE_ERROR_REQUIREMENT: return "requirement not met";
    case INCISE_ERROR_DATA: return "bad data";
    case INCISE_ERROR_NO_INPUT: return "no such input";
    case INCISE_ERROR_NO_DEVICE: return "device not available";
    case INCISE_ERROR_MEMORY: return "out of memory";
    case INCISE_ERROR_CREATE: return "cannot create output";
    case INCISE_ERROR_IO: return "input/output error";
    case INCISE_ERROR_NO_SPACE: return "no space left";
    }
    return "unknown status";
}
