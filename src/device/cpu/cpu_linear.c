/* SPDX-License-Identifier: Apache-2.0 */
/* Linears: a grid of row slabs x strip chunks. Each item multiplies its slab with its strips, one strip after the other
 * so that the slab stays in the L2 cache, then applies activation and residual while the chunk is warm. Linears that
 * stand together share one grid. */
#include <string.h>

#include "base/size.h"
#include "device/cpu/cpu_device.h"

#define SLAB_ROWS                                                                                                      \
    60 /* whole tiles of 12, 10 and 6 rows; input, 256 outputs and a strip of weights fit in the L2 cache */
#define CHUNK_STRIPS     8 /* outputs that are finished (activation, residual) together: 256 columns x slab in L2 */
#define ITEMS_PER_THREAD 4
#define MOST_LINEARS     8 /* in one grid: query, key, value; gate, up */

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
    size_t n, n_strips, nr; /* outputs */
};

/* Linears that read the same rows. */
struct linears_run {
    const struct inc_cpu_stage *stage;
    size_t first, n; /* of the stage's steps */
    size_t rows, slab, slabs, strips_per_item;
    struct linear_run linears[MOST_LINEARS];
    size_t first_item[MOST_LINEARS + 1];
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

/* Strips [begin, end) of the rows. */
static void multiply_rows(const struct linear_run *run, size_t row, size_t rows, size_t begin, size_t end)
{
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

static struct linear_run linear_run_of(const struct inc_cpu_stage *stage, size_t index)
{
    const struct inc_prepared *prepared = stage->prepared[index];
    return (struct linear_run){.cpu = stage->cpu,
                               .step = &stage->steps[index],
                               .prepared = prepared,
                               .batch = stage->batch,
                               .n = prepared->integer ? prepared->i8.n : prepared->f32.n,
                               .n_strips = prepared->integer ? prepared->i8.n_strips : prepared->f32.n_strips,
                               .nr = prepared->integer ? prepared->i8.nr : prepared->f32.nr};
}

void inc_cpu_linear_rows(const struct inc_cpu_stage *stage, size_t index, size_t row, size_t rows)
{
    struct linear_run run = linear_run_of(stage, index);
    for (size_t end = row + rows; row < end; row += SLAB_ROWS)
        multiply_rows(&run, row, inc_min_size(SLAB_ROWS, end - row), 0, run.n_strips);
}

static void linears_item(void *arg, size_t item, unsigned worker)
{
    const struct linears_run *all = arg;
    size_t i = 0;
    while (item >= all->first_item[i + 1]) i++;
    item -= all->first_item[i];
    size_t row = item % all->slabs * all->slab, begin = item / all->slabs * all->strips_per_item;
    size_t end = inc_min_size(begin + all->strips_per_item, all->linears[i].n_strips);
    double start = inc_cpu_clock(all->stage);
    multiply_rows(&all->linears[i], row, inc_min_size(all->slab, all->rows - row), begin, end);
    inc_cpu_busy(all->stage, worker, all->first + i, start);
}

/* Equal slabs; strips per item so that the grid has several items per thread. */
static void lay_out_grid(struct linears_run *all, size_t n_strips)
{
    const struct inc_cpu *cpu = all->stage->cpu;
    bool integer = all->linears[0].prepared->integer;
    unsigned mr = integer ? cpu->gemm_i8->mr : cpu->gemm_f32->mr;
    size_t items = inc_pool_threads(cpu->pool) * (size_t)ITEMS_PER_THREAD;
    all->slabs = (all->rows + SLAB_ROWS - 1) / SLAB_ROWS;
    all->slab = inc_min_size(inc_round_up((all->rows + all->slabs - 1) / all->slabs, mr), SLAB_ROWS);
    all->slabs = (all->rows + all->slab - 1) / all->slab;
    all->strips_per_item = inc_max_size(1, n_strips * all->slabs / items);
}

void inc_cpu_linears(const struct inc_cpu_stage *stage, size_t first, size_t n)
{
    struct linears_run all = {
        .stage = stage, .first = first, .rows = inc_batch_rows(stage->batch, stage->steps[first].domain)};
    size_t n_strips = 0;
    if (all.rows == 0) return;
    for (; all.n < n && all.n < MOST_LINEARS; all.n++) {
        all.linears[all.n] = linear_run_of(stage, first + all.n);
        n_strips += all.linears[all.n].n_strips;
    }
    lay_out_grid(&all, n_strips);
    for (size_t i = 0; i < all.n; i++) {
        size_t chunks = (all.linears[i].n_strips + all.strips_per_item - 1) / all.strips_per_item;
        all.first_item[i + 1] = all.first_item[i] + chunks * all.slabs;
    }
    inc_pool_run(stage->cpu->pool, linears_item, &all, all.first_item[all.n]);
    if (all.n < n) inc_cpu_linears(stage, first + all.n, n - all.n);
}
