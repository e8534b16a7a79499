/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/percentile.h"

#include <math.h>
#include <string.h>

/* The bits of floats >= 0 order as the floats do. Positive and negative zero are equal. */
static uint64_t order_bits(double value)
{
    uint64_t bits;
    value = fabs(value);
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

enum { DIGIT_BITS = 16, DIGITS = 1 << DIGIT_BITS };

/* The k-th smallest of n values, by counting 16 bits at a time: linear for any input. */
static double order_statistic(const double *values, size_t n, size_t k, size_t *counts)
{
    uint64_t prefix = 0, mask = 0;
    for (int shift = 64 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        memset(counts, 0, DIGITS * sizeof *counts);
        for (size_t i = 0; i < n; i++) {
            uint64_t bits = order_bits(values[i]);
            if ((bits & mask) == prefix) counts[bits >> shift & (DIGITS - 1)]++;
        }
        uint64_t digit = 0;
        while (k >= counts[digit]) k -= counts[digit++];
        prefix |= digit << shift;
        mask |= (uint64_t)(DIGITS - 1) << shift;
    }
    double result;
    memcpy(&result, &prefix, sizeof result);
    return result;
}

enum incise_status inc_percentile(const struct inc_ctx *ctx, const double *values, size_t n, double share,
                                  double *result)
{
    size_t *counts = inc_alloc_array(ctx, DIGITS, sizeof *counts);
    if (counts == NULL) return inc_fail_memory(ctx, DIGITS * sizeof *counts, "a percentile");
    double position = share * (double)(n - 1), whole = floor(position), t = position - whole;
    double low = order_statistic(values, n, (size_t)whole, counts);
    double high = (size_t)whole + 1 < n ? order_statistic(values, n, (size_t)whole + 1, counts) : low;
    inc_free(ctx, counts);
    *result = t < 0.5 ? low + (high - low) * t : high - (high - low) * (1.0 - t);
    return INCISE_OK;
}
