/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/stream.h"

#include <string.h>

#include "base/size.h"

/* ---- streams --------------------------------------------------------------------------------------------------- */

static enum incise_status allocate_rows(struct inc_stream *stream)
{
    if (stream->rows != NULL) return INCISE_OK;
    const struct inc_plan *plan = &stream->program->plan;
    size_t width = 0, count;
    for (size_t i = 0; i < plan->n_cuts; i++) width = inc_max_size(width, plan->buffers[plan->cut_buffers[i]].width);
    if (!inc_size_mul(stream->calibration->n_ids, width, &count)) count = SIZE_MAX;
    stream->rows = inc_alloc_array(stream->calibration->ctx, count, sizeof *stream->rows);
    return stream->rows != NULL
               ? INCISE_OK
               : inc_fail_memory(stream->calibration->ctx, count, "hidden states of the calibration texts");
}

enum incise_status inc_stream_open(struct inc_calibration *calibration, struct inc_program *program,
                                   struct inc_stream *stream)
{
    *stream = (struct inc_stream){.calibration = calibration, .program = program};
    if (!program->fused)
        return inc_fail(calibration->ctx, INCISE_ERROR_DATA,
                        "%s: calibration needs a model that runs fused; this one runs op by op: %s",
                        program->lowering.graph->source != NULL ? program->lowering.graph->source : "graph",
                        program->lowering.reason);
    return inc_run_create(program, &stream->run);
}

void inc_stream_close(struct inc_stream *stream)
{
    if (stream->calibration == NULL) return;
    inc_run_destroy(stream->run);
    inc_free(stream->calibration->ctx, stream->rows);
    memset(stream, 0, sizeof *stream);
}

/* Copies the rows of a batch at cut `cut` between the run's buffer and the kept ones. */
static void exchange(struct inc_stream *stream, size_t batch, size_t cut, bool keep)
{
    const struct inc_plan *plan = &stream->program->plan;
    const struct inc_calibration_batch *about = &stream->calibration->batches[batch];
    size_t stride, width = plan->buffers[plan->cut_buffers[cut]].width;
    float *rows = inc_run_rows(stream->run, plan->cut_buffers[cut], &stride);
    float *kept = stream->rows + about->row * width;
    for (size_t t = 0; t < about->tokens; t++) {
        if (keep)
            memcpy(kept + t * width, rows + t * stride, width * sizeof *rows);
        else
            memcpy(rows + t * stride, kept + t * width, width * sizeof *rows);
    }
}

enum incise_status inc_stream_run(struct inc_stream *stream, size_t batch, size_t step)
{
    size_t from = 0;
    INC_TRY(inc_calibration_begin(stream->calibration, stream->run, batch));
    if (stream->n_cuts > 0) {
        exchange(stream, batch, stream->n_cuts - 1, false);
        from = stream->program->plan.cuts[stream->n_cuts - 1];
    }
    return inc_run_steps(stream->run, from, step);
}

const float *inc_stream_rows(const struct inc_stream *stream, struct inc_operand operand, size_t *stride, size_t *n)
{
    *n = inc_batch_rows(&stream->run->batch, stream->program->plan.buffers[operand.buffer].domain);
    return inc_run_rows(stream->run, operand.buffer, stride) + operand.column;
}

enum incise_status inc_stream_visit(struct inc_stream *stream, size_t batch, const struct inc_reader_group *groups,
                                    size_t n, inc_group_fn *look, void *user)
{
    size_t at = 0, stride, n_rows;
    INC_TRY(inc_stream_run(stream, batch, 0));
    for (size_t i = 0; i < n; i++) {
        INC_TRY(inc_run_steps(stream->run, at, groups[i].step));
        at = groups[i].step;
        const float *rows = inc_stream_rows(stream, groups[i].rows, &stride, &n_rows);
        INC_TRY(look(user, i, rows, n_rows, stride));
    }
    return INCISE_OK;
}

/* ---- moments --------------------------------------------------------------------------------------------------- */

static void fill_means(const struct inc_batch *batch, size_t width, const float *rows, size_t stride, float *means)
{
    enum { COLUMNS = 16 }; /* a cache line of a row */
    for (size_t s = 0; s < batch->n_sequences; s++)
        for (size_t first = 0; first < width; first += COLUMNS) {
            size_t n = inc_min_size(COLUMNS, width - first);
            double sums[COLUMNS] = {0}, count = (double)inc_max_size(batch->start[s + 1] - batch->start[s], 1);
            for (size_t t = batch->start[s]; t < batch->start[s + 1]; t++)
                for (size_t i = 0; i < n; i++) sums[i] += (double)rows[t * stride + first + i];
            for (size_t i = 0; i < n; i++) means[s * width + first + i] = (float)(sums[i] / count);
        }
}

static enum incise_status add_means(const struct inc_stream *stream, const char *name,
                                    const struct inc_row_pairs *pairs, struct inc_moments *moments)
{
    const struct inc_ctx *ctx = stream->calibration->ctx;
    const struct inc_batch *batch = &stream->run->batch;
    size_t n = batch->n_sequences, floats = moments->left + moments->right + 1;
    float *left = inc_alloc_array(ctx, n, floats * sizeof *left);
    if (left == NULL) return inc_fail_memory(ctx, n * floats * sizeof *left, "statistics");
    float *right = left + n * moments->left, *weights = right + n * moments->right;
    for (size_t s = 0; s < n; s++) weights[s] = batch->start[s + 1] > batch->start[s] ? INC_TEXT_COUNTS : 0;
    fill_means(batch, moments->left, pairs->left, pairs->left_stride, left);
    if (!moments->gram) fill_means(batch, moments->right, pairs->right, pairs->right_stride, right);
    const struct inc_row_pairs means = {n, left, right, moments->left, moments->right, weights};
    enum incise_status status = inc_moments_add(moments, stream->calibration->pool, name, &means);
    inc_free(ctx, left);
    return status;
}

static enum incise_status add_tokens(const struct inc_stream *stream, const char *name,
                                     const struct inc_row_pairs *pairs, struct inc_moments *moments)
{
    const struct inc_ctx *ctx = stream->calibration->ctx;
    const struct inc_batch *batch = &stream->run->batch;
    struct inc_row_pairs tokens = *pairs;
    float *weights = inc_alloc_array(ctx, pairs->n, sizeof *weights);
    if (weights == NULL) return inc_fail_memory(ctx, pairs->n * sizeof *weights, "statistics");
    for (size_t s = 0; s < batch->n_sequences; s++) {
        size_t begin = batch->start[s], end = batch->start[s + 1];
        for (size_t t = begin; t < end; t++) weights[t] = INC_TEXT_COUNTS / (float)(end - begin);
    }
    tokens.weights = weights;
    enum incise_status status = inc_moments_add(moments, stream->calibration->pool, name, &tokens);
    inc_free(ctx, weights);
    return status;
}

enum incise_status inc_stream_add(const struct inc_stream *stream, const char *name, enum inc_domain domain,
                                  const struct inc_row_pairs *pairs, struct inc_moments *moments)
{
    if (domain != INC_DOMAIN_TOKENS) return inc_moments_add(moments, stream->calibration->pool, name, pairs);
    INC_TRY(add_tokens(stream, name, pairs, moments));
    return add_means(stream, name, pairs, moments);
}

/* ---- kept rows ------------------------------------------------------------------------------------------------- */

/* Cuts behind pooling keep no rows of tokens. */
static bool is_token_cut(const struct inc_plan *plan, size_t cut)
{
    return plan->buffers[plan->cut_buffers[cut]].domain == INC_DOMAIN_TOKENS;
}

/* Rows of another width do not fit in place: then batches go in the order that never overwrites one still to come. */
enum incise_status inc_stream_advance(struct inc_stream *stream, size_t step)
{
    const struct inc_plan *plan = &stream->program->plan;
    size_t n_batches = stream->calibration->n_batches, n_cuts = stream->n_cuts;
    while (n_cuts < plan->n_cuts && plan->cuts[n_cuts] <= step && is_token_cut(plan, n_cuts)) n_cuts++;
    if (n_cuts == stream->n_cuts) return INCISE_OK;
    INC_TRY(allocate_rows(stream));
    size_t width = plan->buffers[plan->cut_buffers[n_cuts - 1]].width;
    bool backwards = stream->n_cuts > 0 && width > plan->buffers[plan->cut_buffers[stream->n_cuts - 1]].width;
    for (size_t i = 0; i < n_batches; i++) {
        size_t batch = backwards ? n_batches - 1 - i : i;
        INC_TRY(inc_stream_run(stream, batch, plan->cuts[n_cuts - 1]));
        exchange(stream, batch, n_cuts - 1, true);
    }
    stream->n_cuts = n_cuts;
    return INCISE_OK;
}

/* ---- groups ---------------------------------------------------------------------------------------------------- */

static bool reads_same(const struct inc_plan *plan, size_t a, size_t b)
{
    const struct inc_operand *x = &plan->steps[a].in[0], *y = &plan->steps[b].in[0];
    return plan->steps[b].op == INC_OP_LINEAR && x->buffer == y->buffer && x->column == y->column &&
           plan->slots[plan->steps[a].u.linear.slot].weight.in == plan->slots[plan->steps[b].u.linear.slot].weight.in;
}

static bool is_first_reader(const struct inc_plan *plan, size_t step)
{
    if (plan->steps[step].op != INC_OP_LINEAR) return false;
    for (size_t i = 0; i < step; i++)
        if (reads_same(plan, step, i)) return false;
    return true;
}

/* A buffer is written once, so readers of the same columns read the same rows. */
enum incise_status inc_reader_groups(const struct inc_plan *plan, struct inc_arena *arena,
                                     struct inc_reader_group **groups, size_t *n)
{
    struct inc_reader_group *list = inc_arena_alloc(arena, plan->n_slots, sizeof *list);
    uint32_t *steps = inc_arena_alloc(arena, plan->n_slots, sizeof *steps);
    if (list == NULL || steps == NULL) return inc_fail_memory(arena->ctx, plan->n_slots * sizeof *list, "statistics");
    *n = 0;
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (!is_first_reader(plan, i)) continue;
        struct inc_reader_group *group = &list[(*n)++];
        group->step = (uint32_t)i;
        group->rows = plan->steps[i].in[0];
        group->width = (size_t)plan->slots[plan->steps[i].u.linear.slot].weight.in;
        group->steps = steps;
        for (size_t k = i; k < plan->n_steps; k++)
            if (reads_same(plan, i, k)) group->steps[group->n++] = (uint32_t)k;
        steps += group->n;
    }
    *groups = list;
    return INCISE_OK;
}
