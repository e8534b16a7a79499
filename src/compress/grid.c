/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/grid.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

bool inc_grid_find(const char *name, struct inc_grid *grid)
{
    static const struct {
        const char *name;
        struct inc_grid grid;
    } grids[] = {
        {"int8", {INC_I8, -127, 127, 0, INC_F32}},
        {"int7", {INC_I8, -63, 63, 0, INC_F32}},
        {"int4", {INC_I4, -8, 7, 0, INC_F16}},
    };
    for (size_t i = 0; name != NULL && i < sizeof grids / sizeof *grids; i++) {
        if (strcmp(grids[i].name, name) != 0) continue;
        *grid = grids[i].grid;
        return true;
    }
    return false;
}

bool inc_grid_takes_f16(const struct inc_grid *grid, float largest)
{
    /* Scales of groups of small weights may be subnormal: off by 2^-25 at most, below 2^-13 of the largest scale. */
    float scale = largest / (float)-grid->low;
    return grid->scale_type == INC_F16 && scale >= 0x1p-12f && scale <= 65504.0f / 2;
}

static float as_stored(const struct inc_grid *grid, float scale)
{
    return grid->scale_type == INC_F16 ? inc_f32_from_f16(inc_f16_from_f32(scale)) : scale;
}

/* The weight of largest absolute value, with its sign. */
static float extreme(const float *w, size_t n)
{
    float largest = 0.0f;
    for (size_t k = 0; k < n; k++)
        if (fabsf(w[k]) > fabsf(largest)) largest = w[k];
    return largest;
}

float inc_grid_scale(const struct inc_grid *grid, const float *w, size_t n)
{
    float largest = extreme(w, n);
    bool symmetric = grid->low == -grid->high;
    return as_stored(grid, symmetric ? fabsf(largest) / (float)grid->high : largest / (float)grid->low);
}

int inc_grid_round(const struct inc_grid *grid, float w, float scale)
{
    if (scale == 0.0f) return 0;
    return (int)fminf(fmaxf(nearbyintf(w / scale), (float)grid->low), (float)grid->high);
}

/* ---- search ---------------------------------------------------------------------------------------------------- */

/* Sums over a group rounded at 1 / inverse: of importance * w * q, and of importance * q^2. */
static void project(const struct inc_grid *grid, const float *w, const float *importance, size_t n, float inverse,
                    float *wq, float *qq)
{
    float low = (float)grid->low, high = (float)grid->high, a = 0.0f, b = 0.0f;
    for (size_t k = 0; k < n; k++) {
        float q = fminf(fmaxf(rintf(w[k] * inverse), low), high);
        float weighted = importance != NULL ? importance[k] * q : q;
        a += weighted * w[k];
        b += weighted * q;
    }
    *wq = a;
    *qq = b;
}

float inc_grid_search(const struct inc_grid *grid, const float *w, const float *importance, size_t n)
{
    enum { STEPS = 36 };
    float largest = extreme(w, n), best = 0.0f, gain = -1.0f;
    if (largest == 0.0f) return 0.0f;
    for (int i = 0; i <= STEPS; i++) { /* the largest weight at 0.8 to 1.25 of the end of the grid, and both ends */
        float reach = 0.8f + 0.0125f * (float)i, wq, qq;
        for (int sign = grid->low == -grid->high ? 1 : 0; sign < 2; sign++) {
            float end = sign == 0 ? (float)grid->low : (float)grid->high;
            project(grid, w, importance, n, reach * end / largest, &wq, &qq);
            if (qq <= 0.0f || wq * wq <= gain * qq) continue;
            gain = wq * wq / qq; /* what the best scale, wq / qq, takes off sum of importance * w^2 */
            best = wq / qq;
        }
    }
    return gain > 0.0f ? as_stored(grid, best) : inc_grid_scale(grid, w, n);
}
