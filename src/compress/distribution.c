/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/distribution.h"

#include <math.h>

#include "base/half.h"

enum { SHIFT = 19, STEPS = 255 };

bool inc_distribution_add(struct inc_distribution *distribution, const float *rows, size_t n, size_t width,
                          size_t stride)
{
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < width; i++) {
            float x = rows[t * stride + i];
            if (!isfinite(x)) return false;
            distribution->low = fminf(distribution->low, x);
            distribution->high = fmaxf(distribution->high, x);
            distribution->counts[inc_f32_bits(x) >> SHIFT]++;
        }
    }
    return true;
}

/* The middle of a bin. */
static double bin_value(uint32_t bin)
{
    union {
        uint32_t bits;
        float value;
    } middle = {.bits = bin << SHIFT | 1u << (SHIFT - 1)};
    return (double)middle.value;
}

/* Expected squared error of a range. Rounding errors are uniform over a step, but of values near 0, which become 0. */
static double squared_error(const struct inc_distribution *distribution, double low, double high)
{
    double step = (high - low) / STEPS, rounding = step * step / 12, sum = 0;
    for (uint32_t bin = 0; bin < INC_DISTRIBUTION_BINS; bin++) {
        if (distribution->counts[bin] == 0) continue;
        double x = bin_value(bin), beyond = x < low ? low - x : x > high ? x - high : 0;
        double error = beyond > 0 ? beyond * beyond : fabs(x) < step / 2 ? x * x : rounding;
        sum += (double)distribution->counts[bin] * error;
    }
    return sum;
}

/* Cuts one end and then the other, each where the error is least, twice. */
static void shrink(const struct inc_distribution *distribution, double *low, double *high)
{
    enum { CUTS = 64 };
    double least = squared_error(distribution, *low, *high);
    for (int turn = 0; turn < 4; turn++) {
        double *end = turn % 2 == 0 ? high : low, whole = turn % 2 == 0 ? distribution->high : distribution->low;
        double best = *end;
        for (int i = 1; i <= CUTS; i++) {
            *end = whole * i / CUTS;
            double error = squared_error(distribution, *low, *high);
            if (!(error < least)) continue;
            least = error;
            best = *end;
        }
        *end = best;
    }
}

void inc_distribution_range(const struct inc_distribution *distribution, enum inc_range method, float *low, float *high)
{
    double from = distribution->low, to = distribution->high;
    if (method == INC_RANGE_MSE) shrink(distribution, &from, &to);
    if (!(to - from >= 1e-30)) to = from + 1; /* only zeros were seen: any grid has those */
    double scale = (to - from) / STEPS, zero = rint(-from / scale);
    *low = (float)(-zero * scale);
    *high = (float)((STEPS - zero) * scale);
}
