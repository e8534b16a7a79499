/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte string. After a failed allocation it swallows further writes; check `failed` once at the end. */
#ifndef INC_BASE_BUFFER_H
#define INC_BASE_BUFFER_H

#include "base/context.h"

struct inc_buffer {
    const struct inc_ctx *ctx;
    char *data; /* always NUL-terminated once anything was written; NULL before */
    size_t length;
    size_t capacity;
    bool failed;
};

void inc_buffer_init(struct inc_buffer *buffer, const struct inc_ctx *ctx);
void inc_buffer_fini(struct inc_buffer *buffer);
void inc_buffer_clear(struct inc_buffer *buffer);
void inc_buffer_append(struct inc_buffer *buffer, const void *bytes, size_t length);
void inc_buffer_puts(struct inc_buffer *buffer, const char *text);
void inc_buffer_printf(struct inc_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* INCISE_ERROR_MEMORY (reported) if any write failed. */
enum incise_status inc_buffer_check(const struct inc_buffer *buffer) __attribute__((warn_unused_result));

#endif
