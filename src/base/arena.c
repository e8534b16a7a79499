/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

#define BLOCK_BYTES ((size_t)64 * 1024)

struct inc_arena_block {
    struct inc_arena_block *next;
    size_t used, size; /* of the bytes after the header; the header takes INC_ALIGN */
};

void inc_arena_init(struct inc_arena *arena, const struct inc_ctx *ctx)
{
    memset(arena, 0, sizeof *arena);
    arena->ctx = ctx;
}

void inc_arena_fini(struct inc_arena *arena)
{
    while (arena->blocks != NULL) {
        struct inc_arena_block *next = arena->blocks->next;
        inc_free(arena->ctx, arena->blocks);
        arena->blocks = next;
    }
    arena->bytes = 0;
}

static struct inc_arena_block *add_block(struct inc_arena *arena, size_t bytes)
{
    size_t size = inc_max_size(bytes, BLOCK_BYTES - INC_ALIGN), total;
    if (!inc_size_add(size, INC_ALIGN, &total)) return NULL;
    struct inc_arena_block *block = inc_alloc(arena->ctx, total);
    if (block == NULL) return NULL;
    block->used = 0;
    block->size = size;
    /* A block made for one large request is full at once: keep filling the current one. */
    if (arena->blocks != NULL && bytes > BLOCK_BYTES / 2) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block;
}

void *inc_arena_alloc(struct inc_arena *arena, size_t count, size_t size)
{
    size_t bytes, with_slack;
    if (!inc_size_mul(count, size, &bytes)) return NULL;
    if (bytes == 0) bytes = 1;
    if (!inc_size_add(bytes, INC_ALIGN, &with_slack)) return NULL;
    size_t align = bytes >= INC_ALIGN ? INC_ALIGN : 16;
    struct inc_arena_block *block = arena->blocks;
    if (block == NULL || inc_round_up(block->used, align) > block->size ||
        bytes > block->size - inc_round_up(block->used, align)) {
        block = add_block(arena, bytes);
        if (block == NULL) return NULL;
    }
    size_t offset = inc_round_up(block->used, align);
    void *memory = (unsigned char *)block + INC_ALIGN + offset;
    block->used = offset + bytes;
    arena->bytes += bytes;
    memset(memory, 0, bytes);
    return memory;
}

char *inc_arena_strndup(struct inc_arena *arena, const char *text, size_t length)
{
    size_t bytes;
    if (!inc_size_add(length, 1, &bytes)) return NULL;
    char *copy = inc_arena_alloc(arena, bytes, 1);
    if (copy != NULL && length > 0) memcpy(copy, text, length);
    return copy;
}

char *inc_arena_strdup(struct inc_arena *arena, const char *text)
{
    return inc_arena_strndup(arena, text, strlen(text));
}

char *inc_arena_printf(struct inc_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) return NULL;
    char *text = inc_arena_alloc(arena, (size_t)length + 1, 1);
    if (text == NULL) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}
