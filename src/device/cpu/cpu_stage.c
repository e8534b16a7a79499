/* SPDX-License-Identifier: Apache-2.0 */
/* A stage of row-wise steps: with many rows, a worker takes a slab of them through all steps, so that what one step
 * writes is in the cache when the next reads it, and the stage's weights are shared by the slabs of all workers; what
 * only the stage itself reads is written to the same rows again and again, and never leaves the cache. With few,
 * Linears are split by outputs too, and the steps between them run one parallel loop. */
#include "base/size.h"
#include "device/cpu/cpu_device.h"

#define SLAB_ROWS        132 /* of a whole stage: times a few kilobytes, half of an L2 cache */
#define ROWS_MAX         64  /* of steps without weights */
#define SLABS_PER_THREAD 4

struct slabs {
    const struct inc_cpu_stage *stage;
    size_t first, n; /* of the stage's steps */
    size_t rows, slab;
    bool passing; /* passing buffers hold a slab per worker, not all rows */
};

static void rebase(const struct slabs *slabs, void **view, uint32_t buffer, size_t row, unsigned worker)
{
    const struct inc_batch *batch = slabs->stage->batch;
    if (slabs->passing && batch->passing[buffer]) row = worker * slabs->slab;
    view[buffer] = (unsigned char *)batch->buffers[buffer] + row * batch->row_bytes[buffer];
}

/* Points the worker's view of the buffers at the slab that starts at `row`. */
static void *const *slab_view(const struct slabs *slabs, size_t row, unsigned worker)
{
    const struct inc_cpu_stage *stage = slabs->stage;
    void **view = stage->views + worker * stage->batch->n_buffers;
    for (size_t i = slabs->first; i < slabs->first + slabs->n; i++) {
        const struct inc_step *step = &stage->steps[i];
        for (uint32_t k = 0; k < step->n_in; k++) rebase(slabs, view, step->in[k].buffer, row, worker);
        rebase(slabs, view, step->out.buffer, row, worker);
    }
    return view;
}

static void slab_item(void *arg, size_t item, unsigned worker)
{
    const struct slabs *slabs = arg;
    const size_t row = item * slabs->slab, rows = inc_min_size(slabs->slab, slabs->rows - row);
    struct inc_batch batch = *slabs->stage->batch;
    struct inc_cpu_stage stage = *slabs->stage;
    batch.buffers = slab_view(slabs, row, worker);
    stage.batch = &batch;
    for (size_t i = slabs->first; i < slabs->first + slabs->n; i++) {
        const double start = inc_cpu_clock(&stage);
        if (stage.steps[i].op == INC_OP_LINEAR)
            inc_cpu_linear_rows(&stage, i, 0, rows);
        else
            inc_cpu_rows(stage.cpu, &stage.steps[i], &batch, 0, rows);
        inc_cpu_busy(&stage, worker, i, start);
    }
}

/* Runs the slabs, of a multiple of `step` rows, `most` at most. */
static void run_slabs(struct slabs *slabs, size_t step, size_t most)
{
    struct inc_pool *pool = slabs->stage->cpu->pool;
    const size_t wanted = (size_t)inc_pool_threads(pool) * SLABS_PER_THREAD;
    slabs->slab = inc_min_size(inc_round_up(inc_max_size((slabs->rows + wanted - 1) / wanted, 1), step), most);
    inc_pool_run(pool, slab_item, slabs, (slabs->rows + slabs->slab - 1) / slabs->slab);
}

/* The end of the run of Linears, or of other steps, that starts at `first`. */
static size_t end_of_run(const struct inc_cpu_stage *stage, size_t first)
{
    size_t end = first + 1;
    const bool linear = stage->steps[first].op == INC_OP_LINEAR;
    while (end < stage->n && (stage->steps[end].op == INC_OP_LINEAR) == linear) end++;
    return end;
}

void inc_cpu_stage_run(const struct inc_cpu_stage *stage)
{
    const size_t rows = inc_batch_rows(stage->batch, stage->steps[0].domain);
    const size_t enough = (size_t)inc_pool_threads(stage->cpu->pool) * SLABS_PER_THREAD * SLAB_ROWS;
    if (rows >= enough) {
        struct slabs all = {.stage = stage, .n = stage->n, .rows = rows, .passing = stage->batch->passing != NULL};
        run_slabs(&all, 12, SLAB_ROWS);
        return;
    }
    for (size_t i = 0, end; i < stage->n; i = end) {
        end = end_of_run(stage, i);
        if (stage->steps[i].op == INC_OP_LINEAR) {
            inc_cpu_linears(stage, i, end - i);
        } else {
            struct slabs run = {.stage = stage, .first = i, .n = end - i, .rows = rows};
            run_slabs(&run, 4, ROWS_MAX);
        }
    }
}
