/* SPDX-License-Identifier: Apache-2.0 */
/* Where buffers lie. Every buffer's size is a number of bytes per row of its domain, and each domain has an arena of
 * its own, so offsets are found once, for any batch. */
#include <string.h>

#include "base/size.h"
#include "lower/plan_internal.h"

/* Removes steps whose rows nobody reads: a FakeQuantize whose readers took the bytes before it. */
static enum incise_status remove_dead_steps(struct inc_planner *planner)
{
    struct inc_plan *plan = planner->plan;
    bool *read = inc_alloc_zero(planner->lowering->ctx, plan->n_buffers, sizeof *read);
    if (read == NULL) return inc_fail_memory(planner->lowering->ctx, plan->n_buffers, "a plan");
    for (size_t i = 0; i < plan->n_outputs; i++) read[plan->outputs[i].buffer] = true;
    size_t kept = plan->n_steps;
    for (size_t i = plan->n_steps; i-- > 0;) {
        struct inc_step step = plan->steps[i];
        if (!read[step.out.buffer]) continue;
        for (uint32_t k = 0; k < step.n_in; k++) read[step.in[k].buffer] = true;
        plan->steps[--kept] = step;
    }
    memmove(plan->steps, plan->steps + kept, (plan->n_steps - kept) * sizeof *plan->steps);
    plan->n_steps -= kept;
    inc_free(planner->lowering->ctx, read);
    return INCISE_OK;
}

static void extend(struct inc_plan *plan, uint32_t buffer, uint32_t step)
{
    struct inc_plan_buffer *b = &plan->buffers[buffer];
    if (step < b->first_step) b->first_step = step;
    if (step > b->last_step) b->last_step = step;
}

static void find_lifetimes(struct inc_plan *plan)
{
    for (size_t i = 0; i < plan->n_buffers; i++) {
        plan->buffers[i].first_step = plan->buffers[i].value != NULL ? 0 : UINT32_MAX;
        plan->buffers[i].last_step = 0;
    }
    for (uint32_t s = 0; s < plan->n_steps; s++) {
        const struct inc_step *step = &plan->steps[s];
        for (uint32_t i = 0; i < step->n_in; i++) extend(plan, step->in[i].buffer, s);
        extend(plan, step->out.buffer, s);
        if (step->op == INC_OP_LINEAR && step->u.linear.floats.buffer != INC_NO_BUFFER)
            extend(plan, step->u.linear.floats.buffer, s);
    }
    for (size_t i = 0; i < plan->n_outputs; i++) extend(plan, plan->outputs[i].buffer, (uint32_t)plan->n_steps);
    for (size_t i = 0; i < plan->n_buffers; i++) {
        struct inc_plan_buffer *b = &plan->buffers[i];
        b->passing = b->value == NULL && b->first_step <= b->last_step && b->last_step < plan->n_steps &&
                     plan->steps[b->first_step].stage == plan->steps[b->last_step].stage;
    }
}

/* A domain's buffers alive at the current step, by offset. Few: tens at most in real models. */
struct placement {
    uint32_t *live;
    size_t n;
};

static void drop_dead(struct inc_plan *plan, struct placement *placement, uint32_t step)
{
    size_t kept = 0;
    for (size_t i = 0; i < placement->n; i++)
        if (plan->buffers[placement->live[i]].last_step >= step) placement->live[kept++] = placement->live[i];
    placement->n = kept;
}

/* First gap that is large enough. */
static void place(struct inc_plan *plan, struct placement *placement, uint32_t index)
{
    struct inc_plan_buffer *buffer = &plan->buffers[index];
    size_t offset = 0, at = 0;
    for (; at < placement->n; at++) {
        const struct inc_plan_buffer *next = &plan->buffers[placement->live[at]];
        if (next->offset - offset >= buffer->row_bytes) break;
        offset = next->offset + next->row_bytes;
    }
    memmove(&placement->live[at + 1], &placement->live[at], (placement->n - at) * sizeof *placement->live);
    placement->live[at] = index;
    placement->n++;
    buffer->offset = offset;
    if (offset + buffer->row_bytes > plan->domain_bytes[buffer->domain])
        plan->domain_bytes[buffer->domain] = offset + buffer->row_bytes;
}

/* The only body buffer that crosses from before the step to it or later; INC_NO_BUFFER if there are more. */
static uint32_t only_crossing(const struct inc_plan *plan, const struct placement *placements, uint32_t step)
{
    uint32_t crossing = INC_NO_BUFFER;
    for (int d = 0; d < INC_DOMAINS; d++)
        for (size_t i = 0; i < placements[d].n; i++) {
            const struct inc_plan_buffer *buffer = &plan->buffers[placements[d].live[i]];
            if (buffer->value != NULL || buffer->last_step < step) continue;
            if (crossing != INC_NO_BUFFER || buffer->kind != INC_BUFFER_ROWS) return INC_NO_BUFFER;
            crossing = placements[d].live[i];
        }
    return crossing;
}

static void note_cut(struct inc_plan *plan, const struct placement *placements, uint32_t step)
{
    uint32_t crossing = only_crossing(plan, placements, step);
    if (crossing == INC_NO_BUFFER) return;
    plan->cuts[plan->n_cuts] = step;
    plan->cut_buffers[plan->n_cuts++] = crossing;
}

/* Steps in order; at each, the output is placed, and what ended before its stage began has made room: all buffers of a
 * stage are apart. Index buffers all start at step 0. */
static void place_all(struct inc_plan *plan, struct placement *placements)
{
    for (uint32_t i = 0; i < plan->n_buffers; i++)
        if (plan->buffers[i].first_step == 0 && plan->buffers[i].value != NULL)
            place(plan, &placements[plan->buffers[i].domain], i);
    for (uint32_t s = 0, stage = 0; s < plan->n_steps; s++) {
        if (plan->steps[s].stage != plan->steps[stage].stage) stage = s;
        for (int d = 0; d < INC_DOMAINS; d++) drop_dead(plan, &placements[d], stage);
        note_cut(plan, placements, s);
        uint32_t out = plan->steps[s].out.buffer;
        place(plan, &placements[plan->buffers[out].domain], out);
    }
}

enum incise_status inc_plan_place_buffers(struct inc_planner *planner)
{
    struct inc_plan *plan = planner->plan;
    const struct inc_ctx *ctx = planner->lowering->ctx;
    INC_TRY(remove_dead_steps(planner));
    inc_plan_group_steps(plan);
    size_t most = plan->n_buffers + 1;
    uint32_t *live = inc_alloc_array(ctx, INC_DOMAINS * most, sizeof *live);
    plan->cuts = inc_alloc_array(ctx, plan->n_steps, sizeof *plan->cuts);
    plan->cut_buffers = inc_alloc_array(ctx, plan->n_steps, sizeof *plan->cut_buffers);
    if (live == NULL || plan->cuts == NULL || plan->cut_buffers == NULL) {
        inc_free(ctx, live);
        return inc_fail_memory(ctx, plan->n_steps * sizeof *plan->cuts, "a plan");
    }
    find_lifetimes(plan);
    struct placement placements[INC_DOMAINS] = {{.live = live}, {.live = live + most}};
    place_all(plan, placements);
    inc_free(ctx, live);
    return INCISE_OK;
}
