/* SPDX-License-Identifier: Apache-2.0 */
/* The levels that a weight may take: q * scale with an integer q and one scale for every `group` inputs of a row. */
#ifndef INC_COMPRESS_GRID_H
#define INC_COMPRESS_GRID_H

#include "graph/tensor.h"

struct inc_grid {
    enum inc_type type; /* what q is stored as: INC_I8 or INC_I4 */
    int low, high;      /* of q; -high = low, or low - 1 is -high: then the largest weight, of either sign, is low */
    size_t group;       /* inputs per scale; 0: all of the row */
    enum inc_type scale_type; /* scales are values of this type: INC_F32 or INC_F16 */
};

/* Grid of "int8", "int7" (half the range, so that pairs of products fit 16 bits) or "int4". False for other names. */
bool inc_grid_find(const char *name, struct inc_grid *grid);
static inline size_t inc_grid_groups(const struct inc_grid *grid, size_t in)
{
    return grid->group > 0 ? in / grid->group : 1;
}
static inline size_t inc_grid_group(const struct inc_grid *grid, size_t in)
{
    return grid->group > 0 ? grid->group : in;
}

/* Whether values of a weight with this largest |w| may have scales of type f16: their rounding is lost in that of q. */
bool inc_grid_takes_f16(const struct inc_grid *grid, float largest);

/* The scale that just holds the largest of n weights; 0 if all are 0. */
float inc_grid_scale(const struct inc_grid *grid, const float *w, size_t n);
/* The scale of least sum of importance * (w - q * scale)^2, q nearest, among some that clip the largest weights more or
 * less, each followed by the best scale for its q. `importance`: one per weight, >= 0; NULL: all alike. */
float inc_grid_search(const struct inc_grid *grid, const float *w, const float *importance, size_t n);
/* The nearest q of the grid; 0 for scale 0. */
int inc_grid_round(const struct inc_grid *grid, float w, float scale);

#endif
