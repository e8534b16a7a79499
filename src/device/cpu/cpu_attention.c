/* SPDX-License-Identifier: Apache-2.0 */
/* Attention: the items of all sequences in one parallel loop. */
#include "base/size.h"
#include "device/cpu/cpu_device.h"

struct attention_run {
    const struct inc_cpu_stage *stage;
    const struct inc_step *step;
    const struct inc_batch *batch;
    unsigned char *scratch; /* per worker, then the first item of each sequence */
    size_t worker_bytes;
    size_t *first_item; /* n_sequences + 1 */
};

static struct inc_attention_args sequence_args(const struct attention_run *run, size_t sequence)
{
    const struct inc_batch *batch = run->batch;
    const struct inc_step *step = run->step;
    const struct inc_attention_step *attention = &step->u.attention;
    size_t start = batch->start[sequence];
    struct inc_attention_args args = {
        .n = batch->start[sequence + 1] - start,
        .q = inc_cpu_row(batch, step->in[0], start),
        .k = inc_cpu_row(batch, step->in[1], start),
        .v = inc_cpu_row(batch, step->in[2], start),
        .ldq = inc_cpu_stride(batch, step->in[0]),
        .ldk = inc_cpu_stride(batch, step->in[1]),
        .ldv = inc_cpu_stride(batch, step->in[2]),
        .out = inc_cpu_row(batch, step->out, start),
        .ldo = inc_cpu_stride(batch, step->out),
        .heads = attention->heads,
        .kv_heads = attention->kv_heads,
        .head_dim = attention->head_dim,
        .scale = attention->scale,
        .pos = batch->position + start,
        .causal = attention->causal,
        .window = attention->window,
    };
    if (attention->bias != INC_NO_BUFFER) { /* no padding is dropped then: rows are positions */
        const struct inc_bias *bias = &batch->biases[attention->bias];
        args.bias = bias->data + sequence * bias->sequence_stride;
        args.ld_bias = bias->row_stride;
        args.head_stride_bias = bias->head_stride;
    }
    return args;
}

static void attention_item(void *arg, size_t item, unsigned worker)
{
    const struct attention_run *run = arg;
    size_t low = 0, high = run->batch->n_sequences; /* the last sequence that starts at or before the item */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (run->first_item[middle] <= item)
            low = middle;
        else
            high = middle;
    }
    struct inc_attention_args args = sequence_args(run, low);
    double start = inc_cpu_clock(run->stage);
    inc_attention_run(inc_cpu_attention_kernel(run->stage->cpu, run->step), &args, item - run->first_item[low],
                      run->scratch + worker * run->worker_bytes);
    inc_cpu_busy(run->stage, worker, 0, start);
}

const struct inc_attention_kernel *inc_cpu_attention_kernel(const struct inc_cpu *cpu, const struct inc_step *step)
{
    bool integer = step->u.attention.integer && step->u.attention.head_dim <= INC_QUADS_MAX_K;
    return integer ? cpu->attention_i8 : cpu->attention;
}

size_t inc_cpu_attention_scratch(const struct inc_cpu *cpu, const struct inc_step *step)
{
    const struct inc_attention_step *attention = &step->u.attention;
    const struct inc_attention_kernel *kernel = inc_cpu_attention_kernel(cpu, step);
    size_t bytes = inc_attention_scratch(kernel, attention->heads, attention->kv_heads, attention->head_dim);
    return inc_round_up(bytes, INC_ALIGN);
}

void inc_cpu_attention(const struct inc_cpu_stage *stage, void *scratch, size_t worker_bytes)
{
    struct inc_cpu *cpu = stage->cpu;
    const struct inc_batch *batch = stage->batch;
    struct attention_run run = {.stage = stage,
                                .step = stage->steps,
                                .batch = batch,
                                .scratch = scratch,
                                .worker_bytes = worker_bytes};
    run.first_item = (size_t *)(void *)(run.scratch + worker_bytes * inc_pool_threads(cpu->pool));
    size_t items = 0;
    for (size_t s = 0; s < batch->n_sequences; s++) {
        struct inc_attention_args args = sequence_args(&run, s);
        run.first_item[s] = items;
        items += args.n > 0 ? inc_attention_items(&args) : 0;
    }
    run.first_item[batch->n_sequences] = items;
    inc_pool_run(cpu->pool, attention_item, &run, items);
}
