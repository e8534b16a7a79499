/* SPDX-License-Identifier: Apache-2.0 */
/* Where buffers lie. Every buffer's size is a number of bytes per token, so offsets are found once, for any batch. */
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
        bool entry = plan->buffers[i].kind == INC_BUFFER_IDS || plan->buffers[i].kind == INC_BUFFER_INDEX_ROWS;
        plan->buffers[i].first_step = entry ? 0 : UINT32_MAX;
        plan->buffers[i].last_step = 0;
    }
    for (uint32_t s = 0; s < plan->n_steps; s++) {
        const struct inc_step *step = &plan->steps[s];
        for (uint32_t i = 0; i < step->n_in; i++) extend(plan, step->in[i].buffer, s);
        extend(plan, step->out.buffer, s);
    }
    for (size_t i = 0; i < plan->n_outputs; i++) extend(plan, plan->outputs[i].buffer, (uint32_t)plan->n_steps);
}

/* Buffers alive at the current step, by offset. Few: tens at most in real models. */
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
    if (offset + buffer->row_bytes > plan->token_bytes) plan->token_bytes = offset + buffer->row_bytes;
}

/* Notes the step as a cut if one body buffer alone crosses from before it to it or later. */
static void note_cut(struct inc_plan *plan, const struct placement *placement, uint32_t step)
{
    uint32_t crossing = INC_NO_BUFFER;
    for (size_t i = 0; i < placement->n; i++) {
        const struct inc_plan_buffer *buffer = &plan->buffers[placement->live[i]];
        if (buffer->kind == INC_BUFFER_IDS || buffer->kind == INC_BUFFER_INDEX_ROWS) continue;
        if (crossing != INC_NO_BUFFER || buffer->kind != INC_BUFFER_ROWS) return;
        crossing = placement->live[i];
    }
    if (crossing == INC_NO_BUFFER) return;
    plan->cuts[plan->n_cuts] = step;
    plan->cut_buffers[plan->n_cuts++] = crossing;
}

/* Steps in order; at each, what ended is dropped and the step's output placed. Index buffers all start at step 0. */
enum incise_status inc_plan_place_buffers(struct inc_planner *planner)
{
    struct inc_plan *plan = planner->plan;
    const struct inc_ctx *ctx = planner->lowering->ctx;
    INC_TRY(remove_dead_steps(planner));
    struct placement placement = {.live = inc_alloc_array(ctx, plan->n_buffers + 1, sizeof(uint32_t))};
    plan->cuts = inc_alloc_array(ctx, plan->n_steps, sizeof *plan->cuts);
    plan->cut_buffers = inc_alloc_array(ctx, plan->n_steps, sizeof *plan->cut_buffers);
    if (placement.live == NULL || plan->cuts == NULL || plan->cut_buffers == NULL) {
        inc_free(ctx, placement.live);
        return inc_fail_memory(ctx, plan->n_steps * sizeof *plan->cuts, "a plan");
    }
    find_lifetimes(plan);
    for (uint32_t i = 0; i < plan->n_buffers; i++)
        if (plan->buffers[i].first_step == 0 && plan->buffers[i].value != NULL) place(plan, &placement, i);
    for (uint32_t s = 0; s < plan->n_steps; s++) {
        drop_dead(plan, &placement, s);
        note_cut(plan, &placement, s);
        place(plan, &placement, plan->steps[s].out.buffer);
    }
    inc_free(ctx, placement.live);
    return INCISE_OK;
}
