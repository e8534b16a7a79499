/* SPDX-License-Identifier: Apache-2.0 */
/* Linear: a grid of row slabs x strip chunks. Each item multiplies its slab with its strips, one strip after the other
 * so that the slab stays in the L2 cache, then applies activation and residual while the chunk is warm. */
#include <string.h>

#include "base/size.h"
#include "device/cpu/cpu_device.h"

#define SLAB_ROWS                                                                                                      \
    60 /* whole tiles of 12, 10 and 6 rows; input, 256 outputs and a strip of weights fit in the L2 cache */
#define CHUNK_STRIPS     8 /* outputs that are finished (activation, residual) together: 256 columns x slab in L2 */
#define ITEMS_PER_THREAD 4

/* ---- packing --------------------------------------------------------------------------------------------------- */

static void row_f32(void *arg, size_t row, float *out)
{
    inc_weight_row_f32(arg, (int64_t)row, out);
}

static void row_i16(void *arg, size_t row, int16_t *out)
{
    inc_weight_row_i16(arg, (int64_t)row, out);
}

static enum incise_status pack_integer(struct inc_cpu *cpu, struct inc_weight *weight, struct inc_prepared *prepared)
{
    const struct inc_ctx *ctx = cpu->base.ctx;
    size_t out = (size_t)weight->out;
    float *scale = inc_alloc_array(ctx, out, sizeof *scale);
    if (scale == NULL) return inc_fail_memory(ctx, out * sizeof *scale, "packed weights");
    for (size_t i = 0; i < out; i++) scale[i] = inc_weight_row_scale(weight, (int64_t)i);
    enum incise_status status = inc_gemm_i8_pack(ctx, cpu->pool, cpu->gemm_i8, out, (size_t)weight->in, row_i16, weight,
                                                 scale, &prepared->i8);
    inc_free(ctx, scale);
    return status;
}

enum incise_status inc_cpu_pack_linear(struct inc_cpu *cpu, const struct inc_slot *slot, struct inc_prepared *prepared)
{
    struct inc_weight weight = slot->weight;
    prepared->integer = slot->integer;
    if (slot->integer) return pack_integer(cpu, &weight, prepared);
    return inc_gemm_f32_pack(cpu->base.ctx, cpu->pool, cpu->gemm_f32, (size_t)weight.out, (size_t)weight.in, row_f32,
                             &weight, &prepared->f32);
}

/* ---- running --------------------------------------------------------------------------------------------------- */

struct linear_run {
    struct inc_cpu *cpu;
    const struct inc_step *step;
    const struct inc_prepared *prepared;
    const struct inc_batch *batch;
    size_t rows;
    size_t n, n_strips, nr; /* outputs */
    size_t slab, slabs, strips_per_item;
};

static void multiply_f32(const struct linear_run *run, size_t row, size_t rows, size_t strip)
{
    const struct inc_step *step = run->step;
    size_t first = strip * run->nr, columns = inc_min_size(run->nr, run->n - first);
    const float *bias = step->u.linear.bias;
    run->cpu->gemm_f32->run(rows, columns, &run->prepared->f32.strips[strip], inc_cpu_row(run->batch, step->in[0], row),
                            inc_cpu_stride(run->batch, step->in[0]), bias == NULL ? NULL : bias + first,
                            inc_cpu_row(run->batch, step->out, row) + first, inc_cpu_stride(run->batch, step->out));
}

static void multiply_i8(const struct linear_run *run, size_t row, size_t rows, size_t strip)
{
    const struct inc_step *step = run->step;
    const struct inc_gemm_i8_weights *weights = &run->prepared->i8;
    size_t first = strip * run->nr, columns = inc_min_size(run->nr, run->n - first);
    size_t lda = run->batch->row_bytes[step->in[0].buffer];
    const uint8_t *a = (const uint8_t *)run->batch->buffers[step->in[0].buffer] + row * lda;
    const float *bias = step->u.linear.bias;
    float scale[SLAB_ROWS];
    for (size_t i = 0; i < rows; i++) memcpy(&scale[i], a + i * lda + lda - INC_CPU_SCALE_BYTES, sizeof scale[i]);
    run->cpu->gemm_i8->run(rows, columns, &weights->strips[strip], a, lda, step->u.linear.zero, scale,
                           weights->w_scale + first, bias == NULL ? NULL : bias + first,
                           inc_cpu_row(run->batch, step->out, row) + first, inc_cpu_stride(run->batch, step->out));
}

/* Activation and residual for columns [first, first + n) of the slab. */
static void finish(const struct linear_run *run, size_t row, size_t rows, size_t first, size_t n)
{
    const struct inc_step *step = run->step;
    if (step->u.linear.act == INC_ACT_NONE && step->n_in < 2) return;
    const struct inc_act_kernel *kernel = run->cpu->act;
    float *y = inc_cpu_row(run->batch, step->out, row) + first;
    size_t ldy = inc_cpu_stride(run->batch, step->out);
    kernel->apply(step->u.linear.act, rows, n, y, ldy, y, ldy);
    if (step->n_in < 2) return;
    kernel->add(rows, n, y, ldy, inc_cpu_row(run->batch, step->in[1], row) + first,
                inc_cpu_stride(run->batch, step->in[1]), y, ldy);
}

static void linear_item(void *arg, size_t item, unsigned worker)
{
    const struct linear_run *run = arg;
    (void)worker;
    size_t row = item % run->slabs * run->slab, rows = inc_min_size(run->slab, run->rows - row);
    size_t begin = item / run->slabs * run->strips_per_item;
    size_t end = inc_min_size(begin + run->strips_per_item, run->n_strips);
    for (size_t chunk = begin; chunk < end; chunk += CHUNK_STRIPS) {
        size_t chunk_end = inc_min_size(chunk + CHUNK_STRIPS, end);
        for (size_t strip = chunk; strip < chunk_end; strip++) {
            if (run->prepared->integer)
                multiply_i8(run, row, rows, strip);
            else
                multiply_f32(run, row, rows, strip);
        }
        size_t first = chunk * run->nr;
        finish(run, row, rows, first, inc_min_size(chunk_end * run->nr, run->n) - first);
    }
}

/* Strips per item so that the grid has several items per thread; whole rows when there are slabs enough. */
static size_t strips_per_item(const struct inc_cpu *cpu, size_t slabs, size_t n_strips)
{
    size_t wanted = inc_pool_threads(cpu->pool) * (size_t)ITEMS_PER_THREAD;
    size_t chunks = inc_max_size(1, (wanted + slabs - 1) / slabs);
    return inc_max_size(1, (n_strips + chunks - 1) / chunks);
}

void inc_cpu_linear(struct inc_cpu *cpu, const struct inc_step *step, const struct inc_prepared *prepared,
                    const struct inc_batch *batch)
{
    struct linear_run run = {.cpu = cpu, .step = step, .prepared = prepared, .batch = batch};
    run.rows = inc_batch_rows(batch, step->domain);
    run.n = prepared->integer ? prepared->i8.n : prepared->f32.n;
    run.n_strips = prepared->integer ? prepared->i8.n_strips : prepared->f32.n_strips;
    run.nr = prepared->integer ? prepared->i8.nr : prepared->f32.nr;
    unsigned mr = prepared->integer ? cpu->gemm_i8->mr : cpu->gemm_f32->mr;
    if (run.rows == 0) return;
    run.slabs = (run.rows + SLAB_ROWS - 1) / SLAB_ROWS;
    run.slab = inc_min_size(inc_round_up((run.rows + run.slabs - 1) / run.slabs, mr), SLAB_ROWS); /* equal slabs */
    run.slabs = (run.rows + run.slab - 1) / run.slab;
    run.strips_per_item = strips_per_item(cpu, run.slabs, run.n_strips);
    size_t columns = (run.n_strips + run.strips_per_item - 1) / run.strips_per_item;
    inc_pool_run(cpu->pool, linear_item, &run, run.slabs * columns);
}
