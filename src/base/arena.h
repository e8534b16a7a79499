/* SPDX-License-Identifier: Apache-2.0 */
/* Bump allocator for things that die together: a graph's nodes, names and attributes. */
#ifndef INC_BASE_ARENA_H
#define INC_BASE_ARENA_H

#include "base/context.h"

struct inc_arena_block;

struct inc_arena {
    const struct inc_ctx *ctx;
    struct inc_arena_block *blocks;
    size_t bytes; /* handed out so far */
};

void inc_arena_init(struct inc_arena *arena, const struct inc_ctx *ctx);
void inc_arena_fini(struct inc_arena *arena);

/* Zeroed memory, 16-byte aligned (64 for requests of 64 bytes and more); NULL on failure, not reported. */
void *inc_arena_alloc(struct inc_arena *arena, size_t count, size_t size) __attribute__((warn_unused_result));
/* A NUL-terminated copy of `length` bytes; NULL on failure. */
char *inc_arena_strndup(struct inc_arena *arena, const char *text, size_t length) __attribute__((warn_unused_result));
char *inc_arena_strdup(struct inc_arena *arena, const char *text) __attribute__((warn_unused_result));
char *inc_arena_printf(struct inc_arena *arena, const char *format, ...)
    __attribute__((warn_unused_result, format(printf, 2, 3)));

#endif
