/* SPDX-License-Identifier: Apache-2.0 */
/* What the CPU can do at most, by loops on registers and over memory. Other work on the machine, and the clock, change
 * it from one millisecond to the next, so it is measured beside what it is compared with. */
#ifndef INC_KERNELS_PEAK_H
#define INC_KERNELS_PEAK_H

#include "base/context.h"

struct inc_pool;

/* `rounds` times twelve independent sums on registers: enough to hide the latency of any instruction in them. */
typedef void inc_peak_run_fn(size_t rounds);

struct inc_peak_kernel {
    enum incise_limit limit; /* not INCISE_LIMIT_READ */
    const char *name;
    enum incise_isa isa;
    double operations; /* of a round */
    inc_peak_run_fn *run;
};

#define INC_PEAK(limit, name, isa, operations) inc_peak_run_fn inc_peak_run_##name;
#include "kernels/peak/peak.def"
#undef INC_PEAK

/* All kernels compiled in; whether the CPU has their instruction set is the caller's check. */
const struct inc_peak_kernel *inc_peak_kernels(size_t *n);
/* The fastest arithmetic of `limit` within `isa`; never NULL. */
const struct inc_peak_kernel *inc_peak_select(enum incise_limit limit, enum incise_isa isa);

/* Reads `bytes` at `data` in order. */
void inc_peak_read(const void *data, size_t bytes);
#define INC_PEAK_READ_BYTES ((size_t)512 << 20) /* more than the caches: what a bandwidth is measured on */

/* Operations, or bytes read of INC_PEAK_READ_BYTES at `memory`, per second of wall time: the best of slots that take
 * `seconds` together, at least two. All threads of `pool` work; NULL: the caller alone. */
double inc_peak_measure(const struct inc_peak_kernel *kernel, struct inc_pool *pool, double seconds);
double inc_peak_measure_read(const void *memory, struct inc_pool *pool, double seconds);

#endif
