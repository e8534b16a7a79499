/* SPDX-License-Identifier: Apache-2.0 */
/* Linears: a grid of row slabs x strip chunks. Each item multiplies its slab, which stays in the L2 cache, with its
 * strips, then applies activation and residual while the chunk is warm. Linears that stand together share one grid. */
#include <string.h>

#include "base/size.h"
#include "device/cpu/cpu_device.h"

#define SLAB_ROWS_F32    60  /* whole tiles of 12, 10 and 6 rows; fit in L2 with 256 outputs and a strip of weights */
#define SLAB_ROWS        132 /* the same of quantized rows, a quarter the size: weights then pass half as often */
#define CHUNK_STRIPS     8 /* outputs that are finished (activation, residual) together: 256 columns x slab in L2 */
#define ITEMS_PER_THREAD 4
#define MOST_LINEARS     8 /* in one grid: query, key, value; gate, up */

struct linear_run {
    struct inc_cpu *cpu;
    const struct inc_step *step;
    const struct inc_prepared *prepared;
    const struct inc_batch *batch;
    size_t n, n_strips, nr, mr, slab; /* outputs; rows of a whole tile, and of a slab at most */
};

/* Linears that read the same rows. */
struct linears_run {
    const struct inc_cpu_stage *stage;
    size_t first, n; /* of the stage's steps */
    size_t rows, slab, slabs, strips_per_item;
    struct linear_run linears[MOST_LINEARS];
    size_t first_item[MOST_LINEARS + 1];
};

/* Rows [row, row + rows) by outputs [first, first + n), which begin with strip `strip`. */
struct product {
    size_t row, rows, strip, first, n;
    const float *bias;
    float *c;
    size_t ldc;
};

static void multiply_f32(const struct linear_run *run, const struct product *p)
{
    const struct inc_operand *x = &run->step->in[0];
    run->cpu->gemm_f32->run(p->rows, p->n, &run->prepared->u.f32.strips[p->strip], inc_cpu_row(run->batch, *x, p->row),
                            inc_cpu_stride(run->batch, *x), p->bias, p->c, p->ldc);
}

static void multiply_integers(const struct linear_run *run, const struct product *p)
{
    const struct inc_prepared *prepared = run->prepared;
    const uint32_t buffer = run->step->in[0].buffer;
    const size_t lda = run->batch->row_bytes[buffer];
    const uint8_t *a = (const uint8_t *)run->batch->buffers[buffer] + p->row * lda;
    const int32_t zero = run->step->u.linear.zero;
    float scale[SLAB_ROWS];
    for (size_t i = 0; i < p->rows; i++) memcpy(&scale[i], a + i * lda + lda - INC_CPU_SCALE_BYTES, sizeof scale[i]);
    if (prepared->form == INC_CPU_I8)
        run->cpu->gemm_i8->run(p->rows, p->n, &prepared->u.i8.strips[p->strip], a, lda, zero, scale,
                               prepared->u.i8.w_scale + p->first, p->bias, p->c, p->ldc);
    else
        prepared->u.group.kernel->run(p->rows, p->n, &prepared->u.group.weights.strips[p->strip], a, lda, zero, scale,
                                      p->bias, p->c, p->ldc);
}

static void multiply(const struct linear_run *run, size_t row, size_t rows, size_t strip, size_t n)
{
    const struct inc_step *step = run->step;
    const size_t first = strip * run->nr;
    const struct product product = {.row = row, .rows = rows, .strip = strip, .first = first, .n = n,
                                    .bias = step->u.linear.bias == NULL ? NULL : step->u.linear.bias + first,
                                    .c = inc_cpu_row(run->batch, step->out, row) + first,
                                    .ldc = inc_cpu_stride(run->batch, step->out)};
    if (run->prepared->form == INC_CPU_F32)
        multiply_f32(run, &product);
    else
        multiply_integers(run, &product);
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
        size_t first = chunk * run->nr;
        size_t n = inc_min_size(inc_min_size(chunk + CHUNK_STRIPS, end) * run->nr, run->n) - first;
        multiply(run, row, rows, chunk, n);
        finish(run, row, rows, first, n);
    }
}

static struct linear_run linear_run_of(const struct inc_cpu_stage *stage, size_t index)
{
    const struct inc_prepared *prepared = stage->prepared[index];
    struct linear_run run = {.cpu = stage->cpu, .step = &stage->steps[index], .prepared = prepared,
                             .batch = stage->batch, .slab = SLAB_ROWS};
    switch (prepared->form) {
    case INC_CPU_I8:
        run.mr = stage->cpu->gemm_i8->mr, run.nr = prepared->u.i8.nr;
        run.n = prepared->u.i8.n, run.n_strips = prepared->u.i8.n_strips;
        break;
    case INC_CPU_GROUP:
        run.mr = prepared->u.group.kernel->mr, run.nr = prepared->u.group.weights.nr;
        run.n = prepared->u.group.weights.n, run.n_strips = prepared->u.group.weights.n_strips;
        break;
    default:
        run.slab = SLAB_ROWS_F32;
        run.mr = stage->cpu->gemm_f32->mr, run.nr = prepared->u.f32.nr;
        run.n = prepared->u.f32.n, run.n_strips = prepared->u.f32.n_strips;
        break;
    }
    return run;
}

void inc_cpu_linear_rows(const struct inc_cpu_stage *stage, size_t index, size_t row, size_t rows)
{
    struct linear_run run = linear_run_of(stage, index);
    for (size_t end = row + rows; row < end; row += run.slab)
        multiply_rows(&run, row, inc_min_size(run.slab, end - row), 0, run.n_strips);
}

/* Items that are handed out in turns to threads, so that each thread's follow one another: its next strips are those
 * behind its last ones, which the kernels have fetched. */
static size_t in_lanes(size_t item, size_t items, size_t threads)
{
    const size_t lane = item % threads;
    return lane * (items / threads) + inc_min_size(lane, items % threads) + item / threads;
}

static void linears_item(void *arg, size_t item, unsigned worker)
{
    const struct linears_run *all = arg;
    size_t i = 0;
    item = in_lanes(item, all->first_item[all->n], inc_pool_threads(all->stage->cpu->pool));
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
    size_t items = inc_pool_threads(cpu->pool) * (size_t)ITEMS_PER_THREAD;
    size_t most = all->linears[0].slab;
    for (size_t i = 1; i < all->n; i++) most = inc_min_size(most, all->linears[i].slab);
    all->slabs = (all->rows + most - 1) / most;
    all->slab = inc_min_size(inc_round_up((all->rows + all->slabs - 1) / all->slabs, all->linears[0].mr), most);
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
