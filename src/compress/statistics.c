/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/statistics.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
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

enum incise_status inc_statistics_create(const struct inc_ctx *ctx, size_t n, struct inc_statistics **out)
{
    struct inc_statistics *statistics = inc_alloc_zero(ctx, 1, sizeof *statistics);
    if (statistics == NULL) return inc_fail_memory(ctx, sizeof *statistics, "statistics");
    statistics->ctx = ctx;
    inc_arena_init(&statistics->arena, ctx);
    statistics->inputs = inc_arena_alloc(&statistics->arena, n, sizeof *statistics->inputs);
    *out = statistics;
    return statistics->inputs != NULL ? INCISE_OK : inc_fail_memory(ctx, n * sizeof *statistics->inputs, "statistics");
}

enum incise_status inc_statistics_add_input(struct inc_statistics *statistics, const char *name, size_t length,
                                            size_t width)
{
    struct inc_input_statistics *input = &statistics->inputs[statistics->n_inputs++];
    float **ranges[] = {&input->low, &input->high, &input->rest_low, &input->rest_high};
    char *copy = inc_arena_alloc(&statistics->arena, length + 1, 1);
    if (copy == NULL) return inc_fail_memory(statistics->ctx, length + 1, "statistics");
    memcpy(copy, name, length);
    input->name = copy;
    INC_TRY(inc_moments_create(statistics->ctx, width, 0, &input->gram));
    for (size_t i = 0; i < 4; i++) {
        *ranges[i] = inc_arena_alloc(&statistics->arena, width, sizeof(float));
        if (*ranges[i] == NULL) return inc_fail_memory(statistics->ctx, width * sizeof(float), "statistics");
        for (size_t k = 0; k < width; k++) (*ranges[i])[k] = i % 2 == 0 ? INFINITY : -INFINITY;
    }
    return INCISE_OK;
}

void inc_statistics_destroy(struct inc_statistics *statistics)
{
    if (statistics == NULL) return;
    for (size_t i = 0; i < statistics->n_inputs; i++) inc_moments_release(&statistics->inputs[i].gram);
    inc_arena_fini(&statistics->arena);
    inc_free(statistics->ctx, statistics);
}

void inc_statistics_merge(struct inc_statistics *statistics, const struct inc_statistics *other)
{
    statistics->n_done += other->n_done;
    statistics->n_batches += other->n_batches;
    for (size_t i = 0; i < statistics->n_inputs; i++) {
        struct inc_input_statistics *to = &statistics->inputs[i];
        const struct inc_input_statistics *from = &other->inputs[i];
        inc_moments_merge(&to->gram, &from->gram);
        widen(to->gram.left, from->low, from->high, to->low, to->high);
        widen(to->gram.left, from->rest_low, from->rest_high, to->rest_low, to->rest_high);
        for (size_t b = 0; b < INC_PEAK_BINS; b++) to->peaks[b] += from->peaks[b];
    }
}

bool inc_statistics_fit(const struct inc_statistics *statistics, const struct inc_plan *plan,
                        const struct inc_reader_group *groups, size_t n)
{
    bool fit = statistics->n_inputs == n;
    for (size_t i = 0; i < n && fit; i++)
        fit = statistics->inputs[i].gram.left == groups[i].width &&
              strcmp(statistics->inputs[i].name, plan->steps[groups[i].step].name) == 0;
    return fit;
}

/* ---- the pass -------------------------------------------------------------------------------------------------- */

/* The groups of a program, and what is known of them when its pass begins. */
struct pass {
    struct inc_stream stream;
    struct inc_arena arena;
    struct inc_reader_group *groups;
    size_t n_groups;
    struct inc_statistics *statistics;
};

static enum incise_status add_group(void *user, size_t group, const float *rows, size_t n, size_t stride)
{
    const struct pass *pass = user;
    const struct inc_stream *stream = &pass->stream;
    const struct inc_plan *plan = &stream->program->plan;
    struct inc_input_statistics *input = &pass->statistics->inputs[group];
    const struct inc_row_pairs pairs = {.n = n, .left = rows, .left_stride = stride};
    enum inc_domain domain = plan->buffers[pass->groups[group].rows.buffer].domain;
    INC_TRY(inc_stream_add(stream, plan->steps[pass->groups[group].step].name, domain, &pairs, &input->gram));
    add_ranges(input, n, domain == INC_DOMAIN_TOKENS ? stream->run->batch.position : NULL, rows, stride);
    return INCISE_OK;
}

/* A file takes as much again while it is written. */
static enum incise_status check_memory(const struct inc_ctx *ctx, const struct pass *pass, bool kept)
{
    size_t bytes = 0, square;
    for (size_t i = 0; i < pass->n_groups; i++)
        if (!inc_size_mul(pass->groups[i].width, pass->groups[i].width * sizeof(double), &square) ||
            !inc_size_add(bytes, square, &bytes))
            bytes = SIZE_MAX;
    if (kept && !inc_size_mul(bytes, 2, &bytes)) bytes = SIZE_MAX;
    if (ctx->max_memory == 0 || bytes <= ctx->max_memory) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_MEMORY,
                    "statistics of %zu layer inputs need %zu MiB, more than the limit of %zu MiB", pass->n_groups,
                    bytes >> 20, ctx->max_memory >> 20);
}

static enum incise_status take_up(struct pass *pass, const struct inc_statistics_place *place)
{
    const struct inc_calibration *calibration = pass->stream.calibration;
    INC_TRY(inc_statistics_load(calibration->ctx, place->path, place->origin, &pass->statistics));
    bool complete = pass->statistics->n_done == pass->statistics->n_batches; /* perhaps joined from other batches */
    if ((complete || pass->statistics->n_batches == calibration->n_batches) &&
        inc_statistics_fit(pass->statistics, &pass->stream.program->plan, pass->groups, pass->n_groups))
        return INCISE_OK;
    return inc_fail(calibration->ctx, INCISE_ERROR_DATA, "%s: its layers and batches are not those of this model",
                    place->path);
}

static enum incise_status begin(struct pass *pass, const struct inc_statistics_place *place)
{
    const struct inc_calibration *calibration = pass->stream.calibration;
    const struct inc_plan *plan = &pass->stream.program->plan;
    uint64_t size;
    INC_TRY(inc_reader_groups(plan, &pass->arena, &pass->groups, &pass->n_groups));
    INC_TRY(check_memory(calibration->ctx, pass, place != NULL));
    if (place != NULL && !place->anew && inc_file_size(place->path, &size)) return take_up(pass, place);
    if (place != NULL) INC_TRY(inc_file_check_place(calibration->ctx, place->path, true));
    INC_TRY(inc_statistics_create(calibration->ctx, pass->n_groups, &pass->statistics));
    pass->statistics->n_batches = calibration->n_batches;
    for (size_t i = 0; i < pass->n_groups; i++) {
        const char *name = plan->steps[pass->groups[i].step].name;
        INC_TRY(inc_statistics_add_input(pass->statistics, name, strlen(name), pass->groups[i].width));
    }
    return INCISE_OK;
}

static enum incise_status collect(struct pass *pass, const struct inc_statistics_place *place,
                                  incise_progress_fn *progress, void *progress_user)
{
    INC_TRY(begin(pass, place));
    struct inc_statistics *statistics = pass->statistics;
    if (statistics->n_done > 0 && statistics->n_done == statistics->n_batches) return INCISE_OK;
    inc_linalg_begin(statistics->ctx);
    for (double last = inc_seconds(); statistics->n_done < statistics->n_batches;) {
        INC_TRY(inc_stream_visit(&pass->stream, statistics->n_done, pass->groups, pass->n_groups, add_group, pass));
        statistics->n_done++;
        if (progress != NULL) progress(progress_user, statistics->n_done, statistics->n_batches, "statistics");
        if (place == NULL || inc_seconds() - last < place->interval) continue;
        INC_TRY(inc_statistics_save(statistics, place->origin, place->path));
        last = inc_seconds();
    }
    return place != NULL ? inc_statistics_save(statistics, place->origin, place->path) : INCISE_OK;
}

enum incise_status inc_statistics_collect(struct inc_calibration *calibration, struct inc_program *program,
                                          const struct inc_statistics_place *place, incise_progress_fn *progress,
                                          void *progress_user, struct inc_statistics **out)
{
    struct pass pass = {0};
    inc_arena_init(&pass.arena, calibration->ctx);
    enum incise_status status = inc_stream_open(calibration, program, &pass.stream);
    if (status == INCISE_OK) status = collect(&pass, place, progress, progress_user);
    inc_stream_close(&pass.stream);
    inc_arena_fini(&pass.arena);
    if (status == INCISE_OK)
        *out = pass.statistics;
    else
        inc_statistics_destroy(pass.statistics);
    return status;
}
