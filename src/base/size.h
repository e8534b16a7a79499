/* SPDX-License-Identifier: Apache-2.0 */
/* Checked size arithmetic: every size that a file, a request or a shape decides goes through here. */
#ifndef INC_BASE_SIZE_H
#define INC_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false on overflow and leaves *out untouched then. */
static inline bool inc_size_add(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline bool inc_size_mul(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline bool inc_i64_add(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline bool inc_i64_mul(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline size_t inc_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t inc_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* `n` rounded up to a multiple of `step` (> 0). The caller knows that n + step does not overflow. */
static inline size_t inc_round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

#endif
