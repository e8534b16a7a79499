/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/statistics.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/linalg.h"
#include "compress/stream.h"

/* ---- ranges ---------------------------------------------------------------------------------------------------- */

static size_t peak_bin(float peak)
{
    double bin = peak > 0 ? floor(2 * log2((double)peak)) + INC_PEAK_BINS / 2 : 0;
    return bin < 0 ? 0 : bin > INC_PEAK_BINS - 1 ? INC_PEAK_BINS - 1 : (size_t)bin;
}

/* Widens [low, high] of each channel to [from_low, from_high]. */
static void widen(size_t width, const float *from_low, const float *from_high, float *low, float *high)
{
    for (size_t i = 0; i < width; i++) {
        low[i] = from_low[i] < low[i] ? from_low[i] : low[i];
        high[i] = from_high[i] > high[i] ? from_high[i] : high[i];
    }
}

/* `position` of each row in its text; NULL: rows that are texts. */
static void add_ranges(struct inc_input_statistics *input, size_t n, const int32_t *position, const float *rows,
                       size_t stride)
{
    for (size_t t = 0; t < n; t++) {
        const float *row = rows + t * stride;
        float peak = 0;
        for (size_t i = 0; i < input->gram.left; i++) peak = fmaxf(peak, fabsf(row[i]));
        input->peaks[peak_bin(peak)]++;
        widen(input->gram.left, row, row, input->low, input->high);
        if (position != NULL && position[t] != 0) widen(input->gram.left, row, row, input->rest_low, input->rest_high);
    }
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static enum incise_status create_input(struct inc_statistics *statistics, const struct inc_reader_group *group,
                                       const struct inc_plan *plan, size_t index)
{
    struct inc_input_statistics *input = &statistics->inputs[index];
    float **ranges[] = {&input->low, &input->high, &input->rest_low, &input->rest_high};
    INC_TRY(inc_moments_create(statistics->ctx, group->width, 0, &input->gram));
    for (size_t i = 0; i < 4; i++) {
        *ranges[i] = inc_arena_alloc(&statistics->arena, group->width, sizeof(float));
        if (*ranges[i] == NULL) return inc_fail_memory(statistics->ctx, group->width * sizeof(float), "statistics");
        for (size_t k = 0; k < group->width; k++) (*ranges[i])[k] = i % 2 == 0 ? INFINITY : -INFINITY;
    }
    for (size_t i = 0; i < group->n; i++)
        statistics->input_of[plan->steps[group->steps[i]].u.linear.slot] = (uint32_t)index;
    return INCISE_OK;
}

static enum incise_status check_memory(const struct inc_ctx *ctx, const struct inc_reader_group *groups, size_t n)
{
    size_t bytes = 0, square;
    for (size_t i = 0; i < n; i++)
        if (!inc_size_mul(groups[i].width, groups[i].width * sizeof(double), &square) ||
            !inc_size_add(bytes, square, &bytes))
            bytes = SIZE_MAX;
    if (ctx->max_memory == 0 || bytes <= ctx->max_memory) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_MEMORY,
                    "statistics of %zu layer inputs need %zu MiB, more than the limit of %zu MiB", n, bytes >> 20,
                    ctx->max_memory >> 20);
}

static enum incise_status create(struct inc_statistics *statistics, const struct inc_plan *plan,
                                 struct inc_reader_group **groups)
{
    INC_TRY(inc_reader_groups(plan, &statistics->arena, groups, &statistics->n_inputs));
    INC_TRY(check_memory(statistics->ctx, *groups, statistics->n_inputs));
    statistics->n_slots = plan->n_slots;
    statistics->inputs = inc_arena_alloc(&statistics->arena, statistics->n_inputs, sizeof *statistics->inputs);
    statistics->input_of = inc_arena_alloc(&statistics->arena, plan->n_slots, sizeof *statistics->input_of);
    if (statistics->inputs == NULL || statistics->input_of == NULL)
        return inc_fail_memory(statistics->ctx, plan->n_slots * sizeof *statistics->inputs, "statistics");
    for (size_t i = 0; i < statistics->n_inputs; i++) INC_TRY(create_input(statistics, &(*groups)[i], plan, i));
    return INCISE_OK;
}

void inc_statistics_destroy(struct inc_statistics *statistics)
{
    if (statistics == NULL) return;
    for (size_t i = 0; statistics->inputs != NULL && i < statistics->n_inputs; i++)
        inc_moments_release(&statistics->inputs[i].gram);
    inc_arena_fini(&statistics->arena);
    inc_free(statistics->ctx, statistics);
}

void inc_statistics_merge(struct inc_statistics *statistics, const struct inc_statistics *other)
{
    for (size_t i = 0; i < statistics->n_inputs; i++) {
        struct inc_input_statistics *to = &statistics->inputs[i];
        const struct inc_input_statistics *from = &other->inputs[i];
        inc_moments_merge(&to->gram, &from->gram);
        widen(to->gram.left, from->low, from->high, to->low, to->high);
        widen(to->gram.left, from->rest_low, from->rest_high, to->rest_low, to->rest_high);
        for (size_t b = 0; b < INC_PEAK_BINS; b++) to->peaks[b] += from->peaks[b];
    }
}

/* ---- the pass -------------------------------------------------------------------------------------------------- */

static enum incise_status collect_batch(struct inc_statistics *statistics, const struct inc_reader_group *groups,
                                        struct inc_stream *stream, size_t index)
{
    struct inc_run *run = stream->run;
    const struct inc_plan *plan = &stream->program->plan;
    size_t at = 0, stride, n;
    INC_TRY(inc_stream_run(stream, index, 0));
    for (size_t i = 0; i < statistics->n_inputs; i++) {
        INC_TRY(inc_run_steps(run, at, groups[i].step));
        at = groups[i].step;
        const float *rows = inc_stream_rows(stream, groups[i].rows, &stride, &n);
        INC_TRY(inc_moments_add(&statistics->inputs[i].gram, stream->calibration->pool, plan->steps[at].name, n, rows,
                                stride, NULL, 0));
        bool tokens = plan->buffers[groups[i].rows.buffer].domain == INC_DOMAIN_TOKENS;
        add_ranges(&statistics->inputs[i], n, tokens ? run->batch.position : NULL, rows, stride);
    }
    return INCISE_OK;
}

static enum incise_status collect(struct inc_statistics *statistics, struct inc_stream *stream,
                                  incise_progress_fn *progress, void *progress_user)
{
    struct inc_reader_group *groups;
    INC_TRY(create(statistics, &stream->program->plan, &groups));
    inc_linalg_begin(statistics->ctx);
    for (size_t i = 0; i < stream->calibration->n_batches; i++) {
        INC_TRY(collect_batch(statistics, groups, stream, i));
        if (progress != NULL) progress(progress_user, i + 1, stream->calibration->n_batches, "statistics");
    }
    return INCISE_OK;
}

enum incise_status inc_statistics_collect(struct inc_calibration *calibration, struct inc_program *program,
                                          incise_progress_fn *progress, void *progress_user,
                                          struct inc_statistics **out)
{
    struct inc_stream stream;
    struct inc_statistics *statistics = inc_alloc_zero(calibration->ctx, 1, sizeof *statistics);
    if (statistics == NULL) return inc_fail_memory(calibration->ctx, sizeof *statistics, "statistics");
    statistics->ctx = calibration->ctx;
    inc_arena_init(&statistics->arena, calibration->ctx);
    enum incise_status status = inc_stream_open(calibration, program, &stream);
    if (status == INCISE_OK) status = collect(statistics, &stream, progress, progress_user);
    inc_stream_close(&stream);
    if (status == INCISE_OK)
        *out = statistics;
    else
        inc_statistics_destroy(statistics);
    return status;
}
