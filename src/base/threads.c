/* SPDX-License-Identifier: Apache-2.0 */
/* Workers wait for the generation to rise: they spin for a bounded time after each loop, then sleep on a condition.
 * Items are handed out by one atomic counter. A worker enters a loop while it is open; when the items are gone the
 * caller closes it and waits for those inside only. So a worker that lost its CPU delays nothing but an item that it
 * holds. */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* How long a worker spins before it sleeps. Longer than the gap between two fused ops, far shorter than a human
 * notices on a battery. */
#define SPIN_NANOSECONDS 100000

#define OPEN 0x80000000ull
#define INSIDE 0x7fffffffull
#define GENERATION(state) ((unsigned)((state) >> 32))

struct worker {
    struct inc_pool *pool;
    pthread_t thread;
    unsigned index;
};

struct inc_pool {
    const struct inc_ctx *ctx;
    unsigned n_threads;
    struct worker *workers; /* [1, n_started) are running; 0 is whoever calls inc_pool_run */
    unsigned n_started;
    pthread_mutex_t callers; /* one loop at a time */
    pthread_mutex_t mutex;   /* guards sleeping */
    pthread_cond_t wake;
    unsigned n_sleeping;
    atomic_ullong state; /* generation << 32, OPEN, workers inside the loop */
    atomic_bool stopping;
    atomic_size_t next; /* next item to take */
    inc_pool_fn *fn;
    void *arg;
    size_t items;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void pause_cpu(void)
{
    __builtin_ia32_pause();
}

static void run_items(struct inc_pool *pool, unsigned worker)
{
    for (;;) {
        size_t item = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (item >= pool->items) return;
        pool->fn(pool->arg, item, worker);
    }
}

static unsigned generation_now(struct inc_pool *pool)
{
    return GENERATION(atomic_load_explicit(&pool->state, memory_order_acquire));
}

/* Returns once the generation differs from `seen`. */
static void wait_generation(struct inc_pool *pool, unsigned seen)
{
    int64_t deadline = now_ns() + SPIN_NANOSECONDS;
    while (now_ns() < deadline)
        for (int i = 0; i < 64; i++) {
            if (generation_now(pool) != seen) return;
            pause_cpu();
        }
    pthread_mutex_lock(&pool->mutex);
    pool->n_sleeping++;
    while (generation_now(pool) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
    pool->n_sleeping--;
    pthread_mutex_unlock(&pool->mutex);
}

/* Enters the loop of the present generation, which is put into *seen; false if it is closed already. */
static bool enter_loop(struct inc_pool *pool, unsigned *seen)
{
    unsigned long long state = atomic_load_explicit(&pool->state, memory_order_acquire);
    while ((state & OPEN) != 0)
        if (atomic_compare_exchange_weak_explicit(&pool->state, &state, state + 1, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            *seen = GENERATION(state);
            return true;
        }
    *seen = GENERATION(state);
    return false;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct inc_pool *pool = worker->pool;
    for (unsigned seen = 0;;) {
        wait_generation(pool, seen);
        if (atomic_load_explicit(&pool->stopping, memory_order_acquire)) return NULL;
        if (!enter_loop(pool, &seen)) continue;
        run_items(pool, worker->index);
        atomic_fetch_sub_explicit(&pool->state, 1, memory_order_release);
    }
}

/* Starts a new generation; nobody is inside. The mutex makes sure that no worker is between its last look and its
 * sleep. */
static void next_generation(struct inc_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    unsigned long long next = (unsigned long long)(generation_now(pool) + 1u) << 32;
    atomic_store_explicit(&pool->state, next | OPEN, memory_order_release);
    if (pool->n_sleeping > 0) pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

/* Lets nobody in any more and waits until the last worker has left. */
static void close_loop(struct inc_pool *pool)
{
    atomic_fetch_and_explicit(&pool->state, ~OPEN, memory_order_acq_rel);
    for (unsigned spins = 0; (atomic_load_explicit(&pool->state, memory_order_acquire) & INSIDE) != 0; spins++) {
        if (spins < 2000)
            pause_cpu();
        else
            sched_yield();
    }
}

/* Binds worker i to the i-th CPU of the process's mask. Failure only costs speed. */
static void pin_worker(const struct worker *worker)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    unsigned rank = worker->index % (unsigned)(CPU_COUNT(&allowed) > 0 ? CPU_COUNT(&allowed) : 1);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || rank-- > 0) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(worker->thread, sizeof one, &one);
        return;
    }
}

/* Signals belong to the caller's threads. */
static int start_worker(struct worker *worker)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

enum incise_status inc_pool_create(const struct inc_ctx *ctx, int threads, bool pin, struct inc_pool **out)
{
    if (threads < 1 || threads > 1024) return inc_fail(ctx, INCISE_ERROR_USAGE, "%d threads: use 1 to 1024", threads);
    struct inc_pool *pool = inc_alloc_zero(ctx, 1, sizeof *pool);
    if (pool == NULL) return inc_fail_memory(ctx, sizeof *pool, "the thread pool");
    pool->ctx = ctx;
    pool->n_threads = (unsigned)threads;
    pool->n_started = 1;
    pthread_mutex_init(&pool->callers, NULL);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->workers = inc_alloc_zero(ctx, pool->n_threads, sizeof *pool->workers);
    if (pool->workers == NULL) {
        inc_pool_destroy(pool);
        return inc_fail_memory(ctx, sizeof *pool->workers, "the thread pool");
    }
    for (unsigned i = 1; i < pool->n_threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i;
        int error = start_worker(worker);
        if (error != 0) {
            inc_pool_destroy(pool);
            return inc_fail(ctx, INCISE_ERROR_MEMORY, "cannot start worker thread %u: %s", i, strerror(error));
        }
        pool->n_started = i + 1;
        if (pin) pin_worker(worker);
    }
    *out = pool;
    return INCISE_OK;
}

void inc_pool_destroy(struct inc_pool *pool)
{
    if (pool == NULL) return;
    atomic_store_explicit(&pool->stopping, true, memory_order_release);
    next_generation(pool);
    for (unsigned i = 1; i < pool->n_started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    pthread_mutex_destroy(&pool->callers);
    inc_free(pool->ctx, pool->workers);
    inc_free(pool->ctx, pool);
}

unsigned inc_pool_threads(const struct inc_pool *pool)
{
    return pool == NULL ? 1 : pool->n_threads;
}

void inc_pool_run(struct inc_pool *pool, inc_pool_fn *fn, void *arg, size_t items)
{
    if (pool == NULL) {
        for (size_t i = 0; i < items; i++) fn(arg, i, 0);
        return;
    }
    pthread_mutex_lock(&pool->callers);
    pool->fn = fn;
    pool->arg = arg;
    pool->items = items;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    bool alone = items <= 1 || pool->n_threads == 1;
    if (!alone) next_generation(pool);
    run_items(pool, 0);
    if (!alone) close_loop(pool);
    pthread_mutex_unlock(&pool->callers);
}
