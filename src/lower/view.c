/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/view.h"

#include <string.h>

#include "base/size.h"

static bool push(struct inc_axis *axis, enum inc_factor_kind kind, int64_t size, int64_t stride)
{
    if (axis->n == INC_MAX_FACTORS) return false;
    axis->factors[axis->n++] = (struct inc_factor){kind, size, stride};
    return true;
}

bool inc_view_of_shape(const struct inc_lowering *lowering, const struct inc_shape *shape, struct inc_view *view,
                       int64_t *width)
{
    int64_t stride = 1;
    memset(view, 0, sizeof *view);
    view->rank = shape->rank;
    for (int i = shape->rank - 1; i >= 0; i--) {
        struct inc_dim dim = shape->dims[i];
        if (inc_dim_equal(dim, lowering->batch)) {
            push(&view->axes[i], INC_FACTOR_BATCH, 0, 0);
        } else if (inc_dim_equal(dim, lowering->sequence)) {
            push(&view->axes[i], INC_FACTOR_SEQUENCE, 0, 0);
        } else if (inc_dim_is_const(dim) && dim.value >= 1) {
            if (dim.value > 1) push(&view->axes[i], INC_FACTOR_CHANNEL, dim.value, stride);
            if (!inc_i64_mul(stride, dim.value, &stride) || stride > INT32_MAX) return false;
        } else {
            return false;
        }
    }
    *width = stride;
    return true;
}

static bool axis_fits(const struct inc_lowering *lowering, const struct inc_axis *axis, struct inc_dim dim)
{
    int64_t channels = 1;
    bool batch = false, sequence = false;
    for (int f = 0; f < axis->n; f++) {
        batch = batch || axis->factors[f].kind == INC_FACTOR_BATCH;
        sequence = sequence || axis->factors[f].kind == INC_FACTOR_SEQUENCE;
        if (axis->factors[f].kind == INC_FACTOR_CHANNEL) channels *= axis->factors[f].size;
    }
    if (inc_dim_is_const(dim)) return !batch && !sequence && channels == dim.value;
    if (inc_dim_equal(dim, lowering->batch)) return !sequence && channels == 1;
    if (inc_dim_equal(dim, lowering->sequence)) return !batch && channels == 1;
    return batch == sequence && channels == 1;
}

bool inc_view_fits(const struct inc_lowering *lowering, const struct inc_view *view, const struct inc_shape *shape)
{
    bool fits = view->rank == shape->rank;
    for (int i = 0; i < shape->rank && fits; i++) fits = axis_fits(lowering, &view->axes[i], shape->dims[i]);
    return fits;
}

bool inc_view_is_dense(const struct inc_view *view, int64_t *width)
{
    int64_t stride = 1;
    for (int i = view->rank - 1; i >= 0; i--)
        for (int f = view->axes[i].n - 1; f >= 0; f--) {
            const struct inc_factor *factor = &view->axes[i].factors[f];
            if (factor->kind != INC_FACTOR_CHANNEL) continue;
            if (factor->stride != stride) return false;
            stride *= factor->size;
        }
    *width = stride;
    return true;
}

bool inc_view_groups(const struct inc_view *view, int64_t *width, int64_t *inner)
{
    if (view->rank < 1 || !inc_view_is_dense(view, width)) return false;
    const struct inc_axis *last = &view->axes[view->rank - 1];
    *inner = 1;
    for (int f = 0; f < last->n; f++) {
        if (last->factors[f].kind != INC_FACTOR_CHANNEL) return false;
        *inner *= last->factors[f].size;
    }
    return last->n > 0;
}

/* The factors of all axes in order, as a queue that reshape takes from. */
struct queue {
    struct inc_factor factors[INC_MAX_RANK * INC_MAX_FACTORS];
    int n, next;
};

/* Takes channels worth `size` elements from the queue's front, splitting a factor where needed. */
static bool take_channels(struct queue *queue, int64_t size, struct inc_axis *axis)
{
    while (size > 1) {
        if (queue->next == queue->n) return false;
        struct inc_factor *front = &queue->factors[queue->next];
        if (front->kind != INC_FACTOR_CHANNEL) return false;
        if (size % front->size == 0) { /* all of it */
            if (!push(axis, INC_FACTOR_CHANNEL, front->size, front->stride)) return false;
            size /= front->size;
            queue->next++;
        } else if (front->size % size == 0) { /* its outer part */
            int64_t rest = front->size / size;
            if (!push(axis, INC_FACTOR_CHANNEL, size, front->stride * rest)) return false;
            front->size = rest;
            size = 1;
        } else {
            return false;
        }
    }
    return true;
}

static bool take_kind(struct queue *queue, enum inc_factor_kind kind, struct inc_axis *axis)
{
    if (queue->next == queue->n || queue->factors[queue->next].kind != kind) return false;
    queue->next++;
    return push(axis, kind, 0, 0);
}

/* Joins neighbouring channel factors that are one run of columns: [3 x 256, stride 256][256, stride 1] = [768, 1]. */
static void join_factors(struct inc_axis *axis)
{
    int kept = 0;
    for (int f = 0; f < axis->n; f++) {
        struct inc_factor *last = kept > 0 ? &axis->factors[kept - 1] : NULL;
        const struct inc_factor *next = &axis->factors[f];
        if (last != NULL && last->kind == INC_FACTOR_CHANNEL && next->kind == INC_FACTOR_CHANNEL &&
            last->stride == next->size * next->stride && next->stride != 0) {
            last->size *= next->size;
            last->stride = next->stride;
        } else {
            axis->factors[kept++] = *next;
        }
    }
    axis->n = kept;
}

bool inc_view_reshape(const struct inc_lowering *lowering, const struct inc_view *from, const struct inc_shape *shape,
                      struct inc_view *to)
{
    struct queue queue = {.n = 0};
    for (int i = 0; i < from->rank; i++)
        for (int f = 0; f < from->axes[i].n; f++) queue.factors[queue.n++] = from->axes[i].factors[f];
    struct inc_view view = {
        .buffer = from->buffer, .domain = from->domain, .column = from->column, .rank = shape->rank};
    for (int i = 0; i < shape->rank; i++) {
        struct inc_dim dim = shape->dims[i];
        struct inc_axis *axis = &view.axes[i];
        bool fine;
        if (inc_dim_equal(dim, lowering->batch)) {
            fine = take_kind(&queue, INC_FACTOR_BATCH, axis);
        } else if (inc_dim_equal(dim, lowering->sequence)) {
            fine = take_kind(&queue, INC_FACTOR_SEQUENCE, axis);
        } else if (inc_dim_is_const(dim)) {
            fine = dim.value >= 1 && take_channels(&queue, dim.value, axis);
        } else { /* batch * length in one axis */
            struct inc_dim tokens = inc_dim_mul(lowering->graph, lowering->batch, lowering->sequence);
            fine = inc_dim_equal(dim, tokens) && take_kind(&queue, INC_FACTOR_BATCH, axis) &&
                   take_kind(&queue, INC_FACTOR_SEQUENCE, axis);
        }
        if (!fine) return false;
        join_factors(axis);
    }
    if (queue.next != queue.n) return false;
    *to = view;
    return true;
}

bool inc_view_transpose(const struct inc_view *from, const int64_t *order, struct inc_view *to)
{
    struct inc_view view = *from;
    for (int i = 0; i < from->rank; i++) {
        if (order[i] < 0 || order[i] >= from->rank) return false;
        view.axes[i] = from->axes[order[i]];
    }
    *to = view;
    return true;
}

bool inc_view_broadcast(const struct inc_lowering *lowering, const struct inc_view *from, const struct inc_shape *shape,
                        struct inc_view *to)
{
    struct inc_view view = {
        .buffer = from->buffer, .domain = from->domain, .column = from->column, .rank = shape->rank};
    int lead = shape->rank - from->rank;
    if (lead < 0) return false;
    for (int i = 0; i < shape->rank; i++) {
        struct inc_dim dim = shape->dims[i];
        struct inc_axis *axis = &view.axes[i];
        if (i >= lead) *axis = from->axes[i - lead];
        if (axis->n > 0) continue; /* kept; inference has checked that the sizes agree */
        if (inc_dim_equal(dim, lowering->batch))
            push(axis, INC_FACTOR_BATCH, 0, 0);
        else if (inc_dim_equal(dim, lowering->sequence) && from->domain == INC_DOMAIN_TOKENS)
            push(axis, INC_FACTOR_SEQUENCE, 0, 0);
        else if (!inc_dim_is_const(dim))
            return false;
        else if (dim.value > 1)
            push(axis, INC_FACTOR_CHANNEL, dim.value, 0);
    }
    *to = view;
    return true;
}

bool inc_view_slice(const struct inc_view *from, int axis, int64_t begin, int64_t size, struct inc_view *to)
{
    const struct inc_axis *source = &from->axes[axis];
    if (source->n != 1 || source->factors[0].kind != INC_FACTOR_CHANNEL || begin < 0 || size < 1 ||
        size > source->factors[0].size - begin)
        return false;
    *to = *from;
    to->column += begin * source->factors[0].stride;
    to->axes[axis].factors[0].size = size;
    if (size == 1) to->axes[axis].n = 0;
    return true;
}

static bool axes_match(const struct inc_axis *a, const struct inc_axis *b)
{
    if (a->n != b->n) { /* a value that is the same for every batch item or position lies in every row */
        const struct inc_axis *full = a->n > 0 ? a : b;
        if (a->n != 0 && b->n != 0) return false;
        for (int f = 0; f < full->n; f++)
            if (full->factors[f].kind == INC_FACTOR_CHANNEL) return false;
        return true;
    }
    for (int f = 0; f < a->n; f++)
        if (a->factors[f].kind != b->factors[f].kind || a->factors[f].size != b->factors[f].size ||
            a->factors[f].stride != b->factors[f].stride)
            return false;
    return true;
}

bool inc_views_match(const struct inc_view *a, const struct inc_view *b)
{
    static const struct inc_axis one = {0};
    int rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 1; i <= rank; i++) {
        const struct inc_axis *x = i <= a->rank ? &a->axes[a->rank - i] : &one;
        const struct inc_axis *y = i <= b->rank ? &b->axes[b->rank - i] : &one;
        if (!axes_match(x, y)) return false;
    }
    return true;
}
