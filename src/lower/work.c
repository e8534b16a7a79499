/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/work.h"

double inc_visible_pairs(size_t n, bool causal, uint32_t window)
{
    double pairs = (double)n * (double)n;
    if (window != 0 && n > window) pairs -= (double)(n - window) * (double)(n - window + 1);
    return causal ? (pairs + (double)n) / 2 : pairs;
}

static double attention_operations(const struct inc_attention_step *attention, const struct inc_batch *batch)
{
    double pairs = 0;
    for (size_t s = 0; s < batch->n_sequences; s++)
        pairs += inc_visible_pairs(batch->start[s + 1] - batch->start[s], attention->causal, attention->window);
    return 4.0 * pairs * (double)attention->heads * (double)attention->head_dim; /* q k^T and p v */
}

/* Bytes of one row of input and output. */
static double row_bytes(const struct inc_plan *plan, const struct inc_step *step)
{
    const double width = step->width, floats = sizeof(float);
    switch (step->op) {
    case INC_OP_LINEAR: {
        const struct inc_slot *slot = &plan->slots[step->u.linear.slot];
        return (slot->integer ? 1 : floats) * (double)slot->weight.in + floats * width * (double)step->n_in;
    }
    case INC_OP_ATTENTION:
        return floats * 2 * (double)step->u.attention.head_dim *
               (double)(step->u.attention.heads + step->u.attention.kv_heads);
    case INC_OP_ROPE: return floats * 2 * (width + (double)step->u.rope.head_dim);
    case INC_OP_QUANTIZE_ROWS: return (floats + 1) * width;
    case INC_OP_EMBEDDING_GATHER: return (floats + inc_type_bits(step->u.gather.table.type) / 8.0) * width;
    default: return floats * width * (double)(step->n_in + 1);
    }
}

void inc_step_work(const struct inc_program *program, size_t index, const struct inc_batch *batch,
                   struct incise_work *work)
{
    const struct inc_step *step = &program->plan.steps[index];
    const double rows = (double)inc_batch_rows(batch, step->op == INC_OP_POOL ? INC_DOMAIN_TOKENS : step->domain);
    struct inc_step_info info = {.density = 1};
    program->device->ops->describe(program->device, step, program->prepared[index], &info);
    *work = (struct incise_work){.limit = info.limit,
                                 .bytes = rows * row_bytes(&program->plan, step) + (double)info.bytes};
    if (step->op == INC_OP_LINEAR)
        work->operations = 2.0 * rows * (double)step->width *
                           (double)program->plan.slots[step->u.linear.slot].weight.in;
    else if (step->op == INC_OP_ATTENTION)
        work->operations = attention_operations(&step->u.attention, batch);
    work->done = work->operations * info.density;
}
