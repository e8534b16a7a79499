/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that work on rows one by one. */
#include <string.h>

#include "base/size.h"
#include "device/cpu/cpu_device.h"

struct rows_run {
    const struct inc_cpu *cpu;
    const struct inc_step *step;
    const struct inc_batch *batch;
};

typedef void rows_fn(const struct rows_run *run, size_t row, size_t rows);

static void layer_norm_rows(const struct rows_run *run, size_t row, size_t rows)
{
    const struct inc_step *step = run->step;
    const struct inc_norm_step *norm = &step->u.norm;
    run->cpu->norm->layer(rows, step->width, inc_cpu_row(run->batch, step->in[0], row),
                          inc_cpu_stride(run->batch, step->in[0]), norm->gamma, norm->beta, norm->eps,
                          inc_cpu_row(run->batch, step->out, row), inc_cpu_stride(run->batch, step->out));
}

static void rms_norm_rows(const struct rows_run *run, size_t row, size_t rows)
{
    const struct inc_step *step = run->step;
    const struct inc_norm_step *norm = &step->u.norm;
    const bool residual = step->n_in > 1;
    run->cpu->norm->rms(rows, norm->groups, step->width / norm->groups, inc_cpu_row(run->batch, step->in[0], row),
                        inc_cpu_stride(run->batch, step->in[0]), norm->gamma, norm->eps,
                        residual ? inc_cpu_row(run->batch, step->in[1], row) : NULL,
                        residual ? inc_cpu_stride(run->batch, step->in[1]) : 0,
                        inc_cpu_row(run->batch, step->out, row), inc_cpu_stride(run->batch, step->out));
}

static void l2_rows(const struct rows_run *run, size_t row, size_t rows)
{
    const struct inc_step *step = run->step;
    run->cpu->norm->l2(rows, step->width, inc_cpu_row(run->batch, step->in[0], row),
                       inc_cpu_stride(run->batch, step->in[0]), step->u.l2.least, step->u.l2.added,
                       inc_cpu_row(run->batch, step->out, row), inc_cpu_stride(run->batch, step->out));
}

static void rope_rows(const struct rows_run *run, size_t row, size_t rows)
{
    const struct inc_step *step = run->step;
    for (size_t t = row; t < row + rows; t++)
        run->cpu->act->rope(step->u.rope.heads, step->u.rope.head_dim, inc_cpu_row(run->batch, step->in[0], t),
                            inc_cpu_row(run->batch, step->in[1], t), inc_cpu_row(run->batch, step->in[2], t),
                            inc_cpu_row(run->batch, step->out, t));
}

static void gated_rows(const struct rows_run *run, size_t row, size_t rows)
{
    const struct inc_step *step = run->step;
    run->cpu->act->gated(step->u.gated, rows, step->width, inc_cpu_row(run->batch, step->in[0], row),
                         inc_cpu_stride(run->batch, step->in[0]), inc_cpu_row(run->batch, step->in[1], row),
                         inc_cpu_stride(run->batch, step->in[1]), inc_cpu_row(run->batch, step->out, row),
                         inc_cpu_stride(run->batch, step->out));
}

/* Each row's scale lies behind its bytes. */
static void quantize_rows(const struct rows_run *run, size_t row, size_t rows)
{
    enum { MOST = 16 }; /* rows at a time */
    const struct inc_step *step = run->step;
    const struct inc_quantize_kernel *kernel = run->cpu->quantize;
    const size_t stride = run->batch->row_bytes[step->out.buffer], ldx = inc_cpu_stride(run->batch, step->in[0]);
    for (size_t t = row, n; t < row + rows; t += n) {
        n = inc_min_size(row + rows - t, MOST);
        const float *x = inc_cpu_row(run->batch, step->in[0], t);
        uint8_t *q = (uint8_t *)run->batch->buffers[step->out.buffer] + t * stride;
        float scale[MOST];
        if (step->u.quantize.fixed)
            kernel->fixed(n, step->width, x, ldx, &step->u.quantize.grid, q, stride, scale);
        else
            kernel->rows(n, step->width, x, ldx, q, stride, scale);
        for (size_t i = 0; i < n; i++) memcpy(q + (i + 1) * stride - INC_CPU_SCALE_BYTES, &scale[i], sizeof scale[i]);
    }
}

static void rowwise_rows(const struct rows_run *run, size_t row, size_t rows)
{
    const struct inc_step *step = run->step;
    for (size_t t = row; t < row + rows; t++)
        inc_cpu_rowwise_row(run->cpu, step, inc_cpu_row(run->batch, step->in[0], t),
                            step->n_in == 2 ? inc_cpu_row(run->batch, step->in[1], t) : NULL,
                            inc_cpu_row(run->batch, step->out, t));
}

static void gather_rows(const struct rows_run *run, size_t row, size_t rows)
{
    const struct inc_step *step = run->step;
    const int32_t *ids = run->batch->buffers[step->in[0].buffer];
    const struct inc_weight *table = &step->u.gather.table;
    const struct inc_weight_bytes in_bytes = inc_weight_bytes_of(table);
    for (size_t t = row; t < row + rows; t++) {
        const int64_t id = ids[t] < 0 ? ids[t] + table->out : ids[t];
        float *out = inc_cpu_row(run->batch, step->out, t);
        if (in_bytes.bytes != NULL)
            run->cpu->quantize->back(step->width, in_bytes.bytes + (size_t)id * step->width,
                                     inc_weight_bytes_scale(&in_bytes, id), out);
        else
            inc_weight_row_f32(table, id, out);
    }
}

static rows_fn *function_of(enum inc_op op)
{
    switch (op) {
    case INC_OP_LAYER_NORM: return layer_norm_rows;
    case INC_OP_RMS_NORM: return rms_norm_rows;
    case INC_OP_NORMALIZE_L2: return l2_rows;
    case INC_OP_ROPE: return rope_rows;
    case INC_OP_GATED_ACT: return gated_rows;
    case INC_OP_QUANTIZE_ROWS: return quantize_rows;
    case INC_OP_EMBEDDING_GATHER: return gather_rows;
    default: return rowwise_rows;
    }
}

void inc_cpu_rows(const struct inc_cpu *cpu, const struct inc_step *step, const struct inc_batch *batch, size_t row,
                  size_t rows)
{
    struct rows_run run = {.cpu = cpu, .step = step, .batch = batch};
    function_of(step->op)(&run, row, rows);
}

enum incise_status inc_cpu_check_ids(const struct inc_cpu *cpu, const struct inc_step *step,
                                     const struct inc_batch *batch)
{
    const int32_t *ids = batch->buffers[step->in[0].buffer];
    int64_t rows = step->u.gather.table.out;
    for (size_t t = 0; t < batch->n_tokens; t++)
        if (ids[t] >= rows || ids[t] < -rows)
            return inc_fail(cpu->base.ctx, INCISE_ERROR_DATA,
                            "layer '%s': id %d of token %d is outside a table of %lld rows", step->u.gather.source,
                            ids[t], batch->position[t], (long long)rows);
    return INCISE_OK;
}
