/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#define SLOT_SECONDS 5e-4
#define SLOT_ROUNDS  10000

double bench_peak(const struct inc_peak_kernel *kernel)
{
    const double start = bench_seconds();
    double rounds = 0, seconds;
    do {
        kernel->run(SLOT_ROUNDS);
        rounds += SLOT_ROUNDS;
        seconds = bench_seconds() - start;
    } while (seconds < SLOT_SECONDS);
    return rounds * kernel->operations / seconds * 1e-9;
}
