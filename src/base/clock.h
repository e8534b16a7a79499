/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_BASE_CLOCK_H
#define INC_BASE_CLOCK_H

#include <time.h>

/* Seconds from an arbitrary point; never goes back. */
static inline double inc_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
