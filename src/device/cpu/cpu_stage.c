/* SPDX-License-Identifier: Apache-2.0 */
/* A stage of row-wise steps: with many rows, a worker takes a slab of them through all steps, so that what one step
 * writes is in the cache when the next reads it, and the stage's weights are shared by the slabs of all workers. With
 * few, Linears are split by outputs too, and the steps between them run one parallel loop. */
#include "base/size.h"
#include "device/cpu/cpu_device.h"

#define SLAB_ROWS        132 /* of a whole stage: times a few kilobytes, half of an L2 cache */
#define ROWS_MAX         64  /* of steps without weights */
#define SLABS_PER_THREAD 4

struct slabs {
    const struct inc_cpu_stage *stage;
    size_t first, n; /* of the stage's steps */
    size_t rows, slab;
};

static void slab_item(void *arg, size_t item, unsigned worker)
{
    const struct slabs *slabs = arg;
    const struct inc_cpu_stage *stage = slabs->stage;
    size_t row = item * slabs->slab, rows = inc_min_size(slabs->slab, slabs->rows - row);
    for (size_t i = slabs->first; i < slabs->first + slabs->n; i++) {
        double start = inc_cpu_clock(stage);
        if (stage->steps[i].op == INC_OP_LINEAR)
            inc_cpu_linear_rows(stage, i, row, rows);
        else
            inc_cpu_rows(stage->cpu, &stage->steps[i], stage->batch, row, rows);
        inc_cpu_busy(stage, worker, i, start);
    }
}

/* Steps [first, first + n) for slabs of a multiple of `step` rows, `most` at most. */
static void run_slabs(const struct inc_cpu_stage *stage, size_t first, size_t n, size_t rows, size_t step, size_t most)
{
    struct slabs slabs = {.stage = stage, .first = first, .n = n, .rows = rows};
    size_t wanted = (size_t)inc_pool_threads(stage->cpu->pool) * SLABS_PER_THREAD;
    slabs.slab = inc_min_size(inc_round_up(inc_max_size((rows + wanted - 1) / wanted, 1), step), most);
    inc_pool_run(stage->cpu->pool, slab_item, &slabs, (rows + slabs.slab - 1) / slabs.slab);
}

/* The end of the run of Linears, or of other steps, that starts at `first`. */
static size_t end_of_run(const struct inc_cpu_stage *stage, size_t first)
{
    size_t end = first + 1;
    bool linear = stage->steps[first].op == INC_OP_LINEAR;
    while (end < stage->n && (stage->steps[end].op == INC_OP_LINEAR) == linear) end++;
    return end;
}

void inc_cpu_stage_run(const struct inc_cpu_stage *stage)
{
    size_t rows = inc_batch_rows(stage->batch, stage->steps[0].domain);
    size_t enough = (size_t)inc_pool_threads(stage->cpu->pool) * SLABS_PER_THREAD * SLAB_ROWS;
    if (rows >= enough) {
        run_slabs(stage, 0, stage->n, rows, 12, SLAB_ROWS);
        return;
    }
    for (size_t i = 0, end; i < stage->n; i = end) {
        end = end_of_run(stage, i);
        if (stage->steps[i].op == INC_OP_LINEAR)
            inc_cpu_linears(stage, i, end - i);
        else
            run_slabs(stage, i, end - i, rows, 4, ROWS_MAX);
    }
}
