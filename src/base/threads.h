/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of workers that run one parallel loop at a time. The caller is worker 0. */
#ifndef INC_BASE_THREADS_H
#define INC_BASE_THREADS_H

#include "base/context.h"

struct inc_pool;

/* One item of a parallel loop. `worker` is in [0, inc_pool_threads): index per-worker scratch with it. Must not fail:
 * what can fail is done before. */
typedef void inc_pool_fn(void *arg, size_t item, unsigned worker);

/* `threads` >= 1 includes the caller of inc_pool_run. `pin` binds workers 1.. to CPUs of the process's affinity mask;
 * the caller's own affinity is never changed. */
enum incise_status inc_pool_create(const struct inc_ctx *ctx, int threads, bool pin, struct inc_pool **pool)
    __attribute__((warn_unused_result));
void inc_pool_destroy(struct inc_pool *pool); /* NULL is fine */
unsigned inc_pool_threads(const struct inc_pool *pool);

/* Calls fn(arg, i, worker) once for each i < items, items taken in rising order, and returns when all are done.
 * Calls from several threads queue. Workers spin for a bounded time after a loop, then sleep. A NULL pool runs
 * everything on the caller. Never call it from inside an item. */
void inc_pool_run(struct inc_pool *pool, inc_pool_fn *fn, void *arg, size_t items);

#endif
