/* SPDX-License-Identifier: Apache-2.0 */
/* What every function that may fail, allocate or report is handed: the allocator and the log sink. */
#ifndef INC_BASE_CONTEXT_H
#define INC_BASE_CONTEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "incise/engine.h"
#include "incise/status.h"

/* All memory comes 64-byte aligned: vector loads of packed data never split a cache line. */
#define INC_ALIGN 64

struct inc_ctx {
    struct incise_allocator allocator;
    incise_log_fn *log; /* may be NULL: nothing is reported */
    void *log_user;
    enum incise_log_level log_level; /* messages above this level are dropped */
    const char *cache_dir;           /* where caches may be kept; NULL: nowhere */
    size_t max_memory;               /* bytes one model load or run may plan for; 0 = no limit */
};

/* A context on malloc/free, with no log sink and no limit. */
void inc_ctx_init(struct inc_ctx *ctx);

/* Reports `format` at level ERROR and returns `status`, so that a failure reads `return inc_fail(ctx, ...)`.
 * Call it once per failure, where file, place and reason are known; callers pass the status on. */
enum incise_status inc_fail(const struct inc_ctx *ctx, enum incise_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void inc_log(const struct inc_ctx *ctx, enum incise_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory of `bytes` (at least 1), 64-byte aligned, not zeroed. NULL when the allocator fails; the caller reports. */
void *inc_alloc(const struct inc_ctx *ctx, size_t bytes) __attribute__((warn_unused_result));
/* `count` elements of `size` bytes, zeroed; NULL also when the product overflows. */
void *inc_alloc_zero(const struct inc_ctx *ctx, size_t count, size_t size) __attribute__((warn_unused_result));
/* `count` elements of `size` bytes, not zeroed; NULL also when the product overflows. */
void *inc_alloc_array(const struct inc_ctx *ctx, size_t count, size_t size) __attribute__((warn_unused_result));
void inc_free(const struct inc_ctx *ctx, void *memory); /* NULL is fine */
/* The status of a failed allocation of `bytes` for `what`, reported. */
enum incise_status inc_fail_memory(const struct inc_ctx *ctx, size_t bytes, const char *what);

/* Grows the array `*items` (of `item_size`) so that index `count` exists; doubles `*capacity`. The array stays valid on
 * failure. Use as: status = inc_grow(ctx, (void **)&list, &capacity, n, sizeof *list). */
enum incise_status inc_grow(const struct inc_ctx *ctx, void **items, size_t *capacity, size_t count, size_t item_size)
    __attribute__((warn_unused_result));

/* Passes a failure on. The only macro that hides a return; used as a statement. */
#define INC_TRY(expression)                                     \
    do {                                                        \
        enum incise_status inc_try_status = (expression);       \
        if (inc_try_status != INCISE_OK) return inc_try_status; \
    } while (0)

#endif
