/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak.h"

#include "base/clock.h"
#include "base/threads.h"

static const struct inc_peak_kernel kernels[] = {
#define INC_PEAK(limit, name, isa, operations) {limit, #name, isa, operations, inc_peak_run_##name},
#include "kernels/peak/peak.def"
#undef INC_PEAK
};

const struct inc_peak_kernel *inc_peak_kernels(size_t *n)
{
    *n = sizeof kernels / sizeof kernels[0];
    return kernels;
}

const struct inc_peak_kernel *inc_peak_select(enum incise_limit limit, enum incise_isa isa)
{
    const struct inc_peak_kernel *best = NULL;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++)
        if (kernels[i].limit == limit && kernels[i].isa <= isa) best = &kernels[i];
    return best;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

#define SLOT_ITEMS  8    /* per thread, so that a thread that was interrupted leaves its share to the others */
#define ITEM_ROUNDS 16000 /* 10 to 600 microseconds */

static void arithmetic_item(void *arg, size_t item, unsigned worker)
{
    const struct inc_peak_kernel *kernel = arg;
    (void)item, (void)worker;
    kernel->run(ITEM_ROUNDS);
}

struct read_slot {
    const unsigned char *memory;
    size_t bytes; /* of an item */
};

static void read_item(void *arg, size_t item, unsigned worker)
{
    const struct read_slot *slot = arg;
    (void)worker;
    inc_peak_read(slot->memory + item * slot->bytes, slot->bytes);
}

/* The best rate of loops that do `work` each. */
static double best_rate(inc_pool_fn *fn, void *arg, struct inc_pool *pool, size_t items, double work, double seconds)
{
    const double begin = inc_seconds();
    double best = 0, now = begin;
    for (int slot = 0; slot < 2 || now - begin < seconds; slot++) {
        const double start = now;
        inc_pool_run(pool, fn, arg, items);
        now = inc_seconds();
        if (work / (now - start) > best) best = work / (now - start);
    }
    return best;
}

static size_t threads_of(const struct inc_pool *pool)
{
    return pool != NULL ? inc_pool_threads(pool) : 1;
}

double inc_peak_measure(const struct inc_peak_kernel *kernel, struct inc_pool *pool, double seconds)
{
    struct inc_peak_kernel copy = *kernel;
    const size_t items = SLOT_ITEMS * threads_of(pool);
    return best_rate(arithmetic_item, &copy, pool, items, (double)items * ITEM_ROUNDS * kernel->operations, seconds);
}

double inc_peak_measure_read(const void *memory, struct inc_pool *pool, double seconds)
{
    const size_t items = SLOT_ITEMS * threads_of(pool);
    struct read_slot slot = {memory, INC_PEAK_READ_BYTES / items / INC_ALIGN * INC_ALIGN};
    return best_rate(read_item, &slot, pool, items, (double)(items * slot.bytes), seconds);
}
