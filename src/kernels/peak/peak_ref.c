/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak_loop.h"

#define STEP_F32(s)                    \
    s = s * x + w;                     \
    __asm__ volatile("" : "+x"(s));
#define STEP_INT(s)                    \
    s = s * x + w;                     \
    __asm__ volatile("" : "+r"(s));

INC_PEAK_LOOP(f32_scalar, float, 1.0f, STEP_F32)
INC_PEAK_LOOP(int_scalar, uint32_t, 3, STEP_INT)

void inc_peak_read(const void *data, size_t bytes)
{
    const uint64_t *p = data;
    uint64_t a[8] = {0};
    for (size_t i = 0; i + 8 <= bytes / sizeof *p; i += 8) { /* a cache line */
        __builtin_prefetch(p + i + 512);
        for (size_t j = 0; j < 8; j++) a[j] ^= p[i + j];
    }
    for (size_t j = 0; j < 8; j++) __asm__ volatile("" : : "r"(a[j]));
}
