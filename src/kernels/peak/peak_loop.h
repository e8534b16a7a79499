/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of every peak kernel: twelve sums of x * w. `step(s)` adds to one of them, in assembly or behind a barrier,
 * so that the compiler keeps all of it. */
#ifndef INC_KERNELS_PEAK_LOOP_H
#define INC_KERNELS_PEAK_LOOP_H

#include "kernels/peak/peak.h"

#define INC_PEAK_LOOP(name, type, value, step)                      \
    void inc_peak_run_##name(size_t rounds)                         \
    {                                                               \
        const type x = value, w = x;                                \
        type s0 = x, s1 = x, s2 = x, s3 = x, s4 = x, s5 = x;        \
        type s6 = x, s7 = x, s8 = x, s9 = x, sa = x, sb = x;        \
        for (size_t i = 0; i < rounds; i++) {                       \
            step(s0) step(s1) step(s2) step(s3) step(s4) step(s5)   \
            step(s6) step(s7) step(s8) step(s9) step(sa) step(sb)   \
        }                                                           \
    }

#endif
