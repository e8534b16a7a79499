/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/obs.h"

#include <math.h>
#include <string.h>

#include "compress/linalg.h"

/* Columns of pending changes before they are applied to the inverse: enough to make that a matrix product. */
enum { PENDING = 64 };

/* One worker's memory. The matrices hold the blocks that are left, side by side: `columns` of them. */
struct strip {
    const struct inc_blocks *blocks;
    size_t height, columns, n;
    uint32_t *ids;   /* n blocks that are left: their index in the strip */
    size_t *offsets; /* n: first column */
    bool *removed;   /* n: gone since the last flush */
    double *weights; /* height x columns */
    double *inverse; /* columns x columns, lower triangle, without what is pending */
    double *pending; /* columns x capacity: H^-1 is `inverse` - pending pending^T */
    size_t n_pending, capacity;
    double *diagonal; /* n x width x width: the blocks of H^-1, always up to date */
    double *factor;   /* width x width */
    double *part;     /* height x width: weights of one block, divided by its factor */
    double *losses;   /* n; used if blocks are one column wide */
};

struct trace {
    const struct inc_ctx *ctx;
    const struct inc_blocks *blocks;
    const double *start, *inverse;
    struct strip *strips; /* per worker */
    struct inc_removal *removals;
};

/* ---- one block ------------------------------------------------------------------------------------------------- */

static size_t width_of(const struct strip *strip, size_t at)
{
    return inc_block_width(strip->blocks, strip->ids[at]);
}

/* part = W_j L^-T with L L^T = (H^-1)_jj: its squared norm is the loss. Infinite if rounding has spoilt the block. */
static double loss_of(struct strip *strip, size_t at)
{
    size_t width = width_of(strip, at), square = strip->blocks->width * strip->blocks->width;
    double loss = 0;
    memcpy(strip->factor, strip->diagonal + at * square, width * width * sizeof(double));
    if (width == 1) {
        if (!(strip->factor[0] > 0)) return INFINITY;
        strip->factor[0] = sqrt(strip->factor[0]);
    } else if (!inc_linalg_cholesky(width, strip->factor, width)) {
        return INFINITY;
    }
    for (size_t r = 0; r < strip->height; r++)
        memcpy(strip->part + r * width, strip->weights + r * strip->columns + strip->offsets[at],
               width * sizeof(double));
    if (width == 1)
        for (size_t r = 0; r < strip->height; r++) strip->part[r] /= strip->factor[0];
    else
        inc_linalg_divide_rows(width, strip->factor, width, strip->height, strip->part, width);
    for (size_t i = 0; i < strip->height * width; i++) loss += strip->part[i] * strip->part[i];
    return loss;
}

/* Columns of block `at` of H^-1 as it is now, divided by its factor, become the next columns of `pending`. */
static void add_pending(struct strip *strip, size_t at)
{
    size_t width = width_of(strip, at), first = strip->offsets[at], n = strip->columns;
    double *fresh = strip->pending + strip->n_pending;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < width; c++)
            fresh[i * strip->capacity + c] = i >= first + c ? strip->inverse[i * n + first + c]
                                                            : strip->inverse[(first + c) * n + i];
    if (strip->n_pending > 0)
        inc_linalg_multiply_transposed(n, width, strip->n_pending, -1, strip->pending, strip->capacity,
                                       strip->pending + first * strip->capacity, strip->capacity, fresh,
                                       strip->capacity);
    inc_linalg_divide_rows(width, strip->factor, width, n, fresh, strip->capacity);
}

/* Takes block `at` out: W -= part fresh^T, (H^-1)_ii -= fresh_i fresh_i^T. */
static void remove_block(struct strip *strip, size_t at)
{
    size_t width = width_of(strip, at), square = strip->blocks->width * strip->blocks->width;
    const double *fresh = strip->pending + strip->n_pending;
    add_pending(strip, at);
    strip->removed[at] = true;
    inc_linalg_multiply_transposed(strip->height, strip->columns, width, -1, strip->part, width, fresh, strip->capacity,
                                   strip->weights, strip->columns);
    for (size_t i = 0; i < strip->n; i++) {
        size_t own = width_of(strip, i);
        const double *rows = fresh + strip->offsets[i] * strip->capacity;
        double *diagonal = strip->diagonal + i * square;
        if (strip->removed[i]) continue;
        for (size_t r = 0; r < own; r++)
            for (size_t c = 0; c < own; c++)
                for (size_t k = 0; k < width; k++)
                    diagonal[r * own + c] -= rows[r * strip->capacity + k] * rows[c * strip->capacity + k];
    }
    strip->n_pending += width;
}

/* ---- compaction ------------------------------------------------------------------------------------------------ */

/* Moves row `from` of a matrix of `old` columns to row `to` of one of `new` columns, kept columns only, in place. */
static void move_row(const struct strip *strip, double *matrix, size_t from, size_t old, size_t to, size_t new)
{
    size_t column = 0;
    for (size_t i = 0; i < strip->n; i++) {
        if (strip->removed[i]) continue;
        memmove(matrix + to * new + column, matrix + from * old + strip->offsets[i],
                width_of(strip, i) * sizeof(double));
        column += width_of(strip, i);
    }
}

static void compact_matrices(struct strip *strip, size_t kept)
{
    size_t row = 0;
    for (size_t r = 0; r < strip->height; r++) move_row(strip, strip->weights, r, strip->columns, r, kept);
    for (size_t i = 0; i < strip->n; i++) {
        if (strip->removed[i]) continue;
        for (size_t r = strip->offsets[i]; r < strip->offsets[i] + width_of(strip, i); r++, row++) {
            move_row(strip, strip->inverse, r, strip->columns, row, kept);
            memmove(strip->pending + row * strip->capacity, strip->pending + r * strip->capacity,
                    strip->n_pending * sizeof(double));
        }
    }
}

/* Drops what was removed and applies what is pending. */
static void flush(struct strip *strip)
{
    size_t kept = 0, n = 0, square = strip->blocks->width * strip->blocks->width;
    for (size_t i = 0; i < strip->n; i++) kept += strip->removed[i] ? 0 : width_of(strip, i);
    compact_matrices(strip, kept);
    size_t column = 0;
    for (size_t i = 0; i < strip->n; i++) {
        if (strip->removed[i]) continue;
        memmove(strip->diagonal + n * square, strip->diagonal + i * square, square * sizeof(double));
        strip->ids[n] = strip->ids[i];
        strip->offsets[n] = column;
        column += width_of(strip, n++);
    }
    memset(strip->removed, 0, n * sizeof *strip->removed);
    strip->n = n;
    strip->columns = kept;
    inc_linalg_downdate(kept, strip->n_pending, strip->pending, strip->capacity, strip->inverse);
    strip->n_pending = 0;
}

/* ---- one strip ------------------------------------------------------------------------------------------------- */

static void start_strip(const struct trace *trace, struct strip *strip, size_t index)
{
    const struct inc_blocks *blocks = trace->blocks;
    size_t square = blocks->width * blocks->width, in = blocks->in;
    strip->height = inc_strip_height(blocks, index);
    strip->columns = in;
    strip->n = blocks->across;
    strip->n_pending = 0;
    memcpy(strip->weights, trace->start + index * blocks->height * in, strip->height * in * sizeof(double));
    memcpy(strip->inverse, trace->inverse, in * in * sizeof(double));
    memset(strip->removed, 0, strip->n * sizeof *strip->removed);
    for (size_t i = 0; i < strip->n; i++) {
        size_t first = i * blocks->width, width = inc_block_width(blocks, i);
        strip->ids[i] = (uint32_t)i;
        strip->offsets[i] = first;
        for (size_t r = 0; r < width; r++)
            memcpy(strip->diagonal + i * square + r * width, trace->inverse + (first + r) * in + first,
                   width * sizeof(double));
    }
}

/* The losses of single columns, row by row of the weights: they are read in the order in which they lie. */
static void score_columns(struct strip *strip)
{
    memset(strip->losses, 0, strip->n * sizeof *strip->losses);
    for (size_t r = 0; r < strip->height; r++)
        for (size_t i = 0; i < strip->n; i++) {
            double w = strip->weights[r * strip->columns + i];
            strip->losses[i] += w * w;
        }
    for (size_t i = 0; i < strip->n; i++)
        strip->losses[i] = strip->diagonal[i] > 0 ? strip->losses[i] / strip->diagonal[i] : INFINITY;
}

static size_t cheapest(struct strip *strip)
{
    double least = INFINITY;
    size_t best = SIZE_MAX;
    bool columns = strip->blocks->width == 1;
    if (columns) score_columns(strip);
    for (size_t i = 0; i < strip->n; i++) {
        if (strip->removed[i]) continue;
        double loss = columns ? strip->losses[i] : loss_of(strip, i);
        if (best != SIZE_MAX && !(loss < least)) continue;
        least = loss;
        best = i;
    }
    return best;
}

static void trace_strip(void *arg, size_t index, unsigned worker)
{
    const struct trace *trace = arg;
    const struct inc_blocks *blocks = trace->blocks;
    struct strip *strip = &trace->strips[worker];
    struct inc_removal *removals = trace->removals + index * blocks->across;
    double loss = 0;
    start_strip(trace, strip, index);
    for (size_t i = 0; i < blocks->across; i++) {
        size_t best = cheapest(strip);
        loss = fmax(loss, loss_of(strip, best));
        removals[i] = (struct inc_removal){loss, (uint32_t)(index * blocks->across + strip->ids[best])};
        if (isfinite(loss)) remove_block(strip, best);
        strip->removed[best] = true;
        if (strip->n_pending >= PENDING) flush(strip);
    }
}

/* ---- all strips ------------------------------------------------------------------------------------------------ */

static void release_strip(const struct inc_ctx *ctx, struct strip *strip)
{
    void *all[] = {strip->ids,     strip->offsets,  strip->removed, strip->weights, strip->inverse,
                   strip->pending, strip->diagonal, strip->factor,  strip->part,    strip->losses};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) inc_free(ctx, all[i]);
}

static enum incise_status allocate_strip(const struct inc_ctx *ctx, const struct inc_blocks *blocks,
                                         struct strip *strip)
{
    size_t height = inc_min_size(blocks->height, blocks->out), width = inc_min_size(blocks->width, blocks->in);
    size_t row_bytes = blocks->in * sizeof(double);
    strip->blocks = blocks;
    strip->capacity = PENDING + width;
    strip->ids = inc_alloc_array(ctx, blocks->across, sizeof *strip->ids);
    strip->offsets = inc_alloc_array(ctx, blocks->across, sizeof *strip->offsets);
    strip->removed = inc_alloc_array(ctx, blocks->across, sizeof *strip->removed);
    strip->weights = inc_alloc_array(ctx, height, row_bytes);
    strip->inverse = inc_alloc_array(ctx, blocks->in, row_bytes);
    strip->pending = inc_alloc_array(ctx, strip->capacity, row_bytes);
    strip->diagonal = inc_alloc_array(ctx, blocks->across, blocks->width * blocks->width * sizeof(double));
    strip->factor = inc_alloc_array(ctx, width, width * sizeof(double));
    strip->part = inc_alloc_array(ctx, height, width * sizeof(double));
    strip->losses = inc_alloc_array(ctx, blocks->across, sizeof *strip->losses);
    if (strip->ids == NULL || strip->offsets == NULL || strip->removed == NULL || strip->weights == NULL ||
        strip->inverse == NULL || strip->pending == NULL || strip->diagonal == NULL || strip->factor == NULL ||
        strip->part == NULL || strip->losses == NULL)
        return inc_fail_memory(ctx, blocks->in * row_bytes, "an inverse Hessian");
    return INCISE_OK;
}

/* Strips hold their removals in order and their losses rise, so sorting keeps each strip's order, but for ties. */
static void merge_strips(const struct inc_blocks *blocks, struct inc_removal *removals, struct inc_removal *merged,
                         size_t *next)
{
    memset(next, 0, blocks->down * sizeof *next);
    memcpy(merged, removals, blocks->n * sizeof *merged);
    inc_removals_sort(merged, blocks->n);
    for (size_t i = 0; i < blocks->n; i++) {
        size_t strip = merged[i].block / blocks->across;
        merged[i] = removals[strip * blocks->across + next[strip]++];
    }
    memcpy(removals, merged, blocks->n * sizeof *merged);
}

static enum incise_status trace_all(struct trace *trace, struct inc_pool *pool, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) INC_TRY(allocate_strip(trace->ctx, trace->blocks, &trace->strips[i]));
    inc_pool_run(pool, trace_strip, trace, trace->blocks->down);
    struct inc_removal *merged = inc_alloc_array(trace->ctx, trace->blocks->n, sizeof *merged);
    size_t *next = inc_alloc_array(trace->ctx, trace->blocks->down, sizeof *next);
    if (merged != NULL && next != NULL) merge_strips(trace->blocks, trace->removals, merged, next);
    bool done = merged != NULL && next != NULL;
    inc_free(trace->ctx, merged);
    inc_free(trace->ctx, next);
    return done ? INCISE_OK : inc_fail_memory(trace->ctx, trace->blocks->n * sizeof *merged, "a removal order");
}

enum incise_status inc_obs_trace(const struct inc_ctx *ctx, struct inc_pool *pool, const struct inc_blocks *blocks,
                                 const double *start, const double *inverse, struct inc_removal *removals)
{
    unsigned workers = inc_pool_threads(pool);
    struct trace trace = {ctx, blocks, start, inverse, inc_alloc_zero(ctx, workers, sizeof *trace.strips), removals};
    if (trace.strips == NULL) return inc_fail_memory(ctx, workers * sizeof *trace.strips, "an inverse Hessian");
    enum incise_status status = trace_all(&trace, pool, workers);
    for (unsigned i = 0; i < workers; i++) release_strip(ctx, &trace.strips[i]);
    inc_free(ctx, trace.strips);
    return status;
}
