/* SPDX-License-Identifier: Apache-2.0 */
/* How a logical tensor of the body lies in packed rows.
 *
 * A view is a buffer, a first column, and per logical axis an ordered list of factors: the batch, the sequence, or
 * `size` channels `stride` columns apart (0: repeated). Where the buffer has one row per sequence, no axis has the
 * factor sequence. Reshape, Transpose, Unsqueeze, Broadcast and channel slices only change the view: no data moves.
 */
#ifndef INC_LOWER_VIEW_H
#define INC_LOWER_VIEW_H

#include "lower/lower.h"

#define INC_MAX_FACTORS 4

enum inc_factor_kind { INC_FACTOR_BATCH, INC_FACTOR_SEQUENCE, INC_FACTOR_CHANNEL };

struct inc_factor {
    enum inc_factor_kind kind;
    int64_t size, stride; /* CHANNEL only */
};

struct inc_axis {
    int n; /* 0: an axis of size 1 */
    struct inc_factor factors[INC_MAX_FACTORS];
};

struct inc_view {
    uint32_t buffer;
    enum inc_domain domain; /* the buffer's */
    int64_t column;
    int rank;
    struct inc_axis axes[INC_MAX_RANK];
};

/* A fresh view of token rows for `shape` whose batch and length dims are factors and whose constant dims are channels
 * of one row in row-major order. False if a dim is neither. *width = product of the channels. */
bool inc_view_of_shape(const struct inc_lowering *lowering, const struct inc_shape *shape, struct inc_view *view,
                       int64_t *width);
/* Whether the view has the rank of `shape`, channels where its dims are constant, and batch and length only where they
 * are batch and length (or nothing there: the same for all). What a step builder lays out must fit its value. */
bool inc_view_fits(const struct inc_lowering *lowering, const struct inc_view *view, const struct inc_shape *shape);
/* The channels of the row in axis order if they are dense and none is repeated: *width of them from view->column. */
bool inc_view_is_dense(const struct inc_view *view, int64_t *width);
/* Dense, with the last axis the innermost `*inner` channels (stride 1): norm and RoPE rows of *width / *inner groups.
 */
bool inc_view_groups(const struct inc_view *view, int64_t *width, int64_t *inner);
/* The movement ops; false if the result is no view. `shape` is the result's. */
bool inc_view_reshape(const struct inc_lowering *lowering, const struct inc_view *from, const struct inc_shape *shape,
                      struct inc_view *to);
bool inc_view_transpose(const struct inc_view *from, const int64_t *order, struct inc_view *to);
bool inc_view_broadcast(const struct inc_lowering *lowering, const struct inc_view *from, const struct inc_shape *shape,
                        struct inc_view *to);
/* Channels [begin, begin + size) of axis `axis`, which must be one CHANNEL factor. */
bool inc_view_slice(const struct inc_view *from, int axis, int64_t begin, int64_t size, struct inc_view *to);
/* Whether elements with equal logical index lie in equal columns relative to each view's first (axes aligned from the
 * right, size-1 axes of batch and sequence matching anything). */
bool inc_views_match(const struct inc_view *a, const struct inc_view *b);

#endif
