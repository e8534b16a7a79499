/* SPDX-License-Identifier: Apache-2.0 */
/* Pool: an item is a sequence's part of the columns. Every output has an accumulator of its own, in double (a product
 * of two floats is exact in it), over the rows of the sequence in order: the same bits for any batch, thread or
 * instruction set. A pass over the last rows of a model costs less than a thousandth of it, so plain C will do. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "device/cpu/cpu_device.h"

#define COLUMNS 128 /* accumulators stay in the L1 cache; a few items per row even for one sequence */

struct pool_run {
    const struct inc_cpu_stage *stage;
    const struct inc_step *step;
    const struct inc_batch *batch;
    size_t parts; /* per row */
};

/* The columns of one item. */
struct part {
    const struct inc_batch *batch;
    struct inc_operand x;
    const struct inc_operand *weights; /* or NULL: all are 1 */
    size_t begin, end;                 /* rows */
    size_t n;                          /* columns */
    double least;
};

static double weight_of(const struct part *part, size_t row)
{
    return part->weights == NULL ? 1 : (double)*inc_cpu_row(part->batch, *part->weights, row);
}

static void mean_part(const struct part *part, bool root, float *out)
{
    double sum[COLUMNS] = {0}, total = 0;
    for (size_t t = part->begin; t < part->end; t++) {
        const float *x = inc_cpu_row(part->batch, part->x, t);
        double weight = weight_of(part, t);
        total += weight;
        for (size_t k = 0; k < part->n; k++) sum[k] += weight * (double)x[k];
    }
    total = fmax(total, part->least);
    if (root) total = sqrt(total);
    for (size_t k = 0; k < part->n; k++) out[k] = (float)(sum[k] / total);
}

static void max_part(const struct part *part, float *out)
{
    for (size_t k = 0; k < part->n; k++) out[k] = (float)part->least;
    for (size_t t = part->begin; t < part->end; t++) {
        const float *x = inc_cpu_row(part->batch, part->x, t);
        if (weight_of(part, t) == 0) continue;
        for (size_t k = 0; k < part->n; k++) out[k] = x[k] > out[k] || isnan(x[k]) ? x[k] : out[k]; /* NaN stays */
    }
}

static void token_part(const struct part *part, int32_t row, float *out)
{
    if (row < 0)
        memset(out, 0, part->n * sizeof *out);
    else
        memcpy(out, inc_cpu_row(part->batch, part->x, (size_t)row), part->n * sizeof *out);
}

static void pool_item(void *arg, size_t item, unsigned worker)
{
    const struct pool_run *run = arg;
    const struct inc_step *step = run->step;
    const struct inc_batch *batch = run->batch;
    size_t sequence = item / run->parts, first = item % run->parts * COLUMNS;
    struct part part = {
        .batch = batch,
        .x = {step->in[0].buffer, step->in[0].column + (uint32_t)first},
        .weights = step->n_in > 1 ? &step->in[1] : NULL,
        .begin = batch->start[sequence],
        .end = batch->start[sequence + 1],
        .n = inc_min_size(COLUMNS, step->width - first),
        .least = step->u.pool.least,
    };
    float *out = inc_cpu_row(batch, step->out, sequence) + first;
    double start = inc_cpu_clock(run->stage);
    switch (step->u.pool.mode) {
    case INC_POOL_MEAN: mean_part(&part, false, out); break;
    case INC_POOL_MEAN_SQRT: mean_part(&part, true, out); break;
    case INC_POOL_MAX: max_part(&part, out); break;
    case INC_POOL_TOKEN: token_part(&part, ((const int32_t *)batch->buffers[step->in[1].buffer])[sequence], out); break;
    }
    inc_cpu_busy(run->stage, worker, 0, start);
}

void inc_cpu_pool(const struct inc_cpu_stage *stage)
{
    const struct inc_step *step = stage->steps;
    struct pool_run run = {
        .stage = stage, .step = step, .batch = stage->batch, .parts = (step->width + COLUMNS - 1) / COLUMNS};
    inc_pool_run(stage->cpu->pool, pool_item, &run, stage->batch->n_sequences * run.parts);
}
