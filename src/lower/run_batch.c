/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/run_batch.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

static enum incise_status fresh(const struct inc_ctx *ctx, void **memory, size_t count, size_t size)
{
    inc_free(ctx, *memory);
    *memory = inc_alloc_array(ctx, count, size);
    return *memory != NULL ? INCISE_OK : inc_fail_memory(ctx, count * size, "a batch");
}

/* Bytes of the arenas of all domains, one behind the other, with room for `rows` of each. */
static bool arena_size(const struct inc_plan *plan, const size_t rows[INC_DOMAINS], size_t *bytes)
{
    *bytes = 0;
    for (int d = 0; d < INC_DOMAINS; d++) {
        size_t part;
        if (!inc_size_mul(rows[d], plan->domain_bytes[d], &part) || !inc_size_add(*bytes, part, bytes)) return false;
    }
    return true;
}

/* Room for `sequences` of `length`; what is large enough is kept. */
static enum incise_status reserve(struct inc_run *run, size_t sequences, size_t length)
{
    const struct inc_program *program = run->program;
    const struct inc_plan *plan = &program->plan;
    const struct inc_ctx *ctx = program->ctx;
    size_t rows[INC_DOMAINS], bytes, tokens;
    bool fits = inc_size_mul(sequences, length, &tokens) && tokens <= INT32_MAX / 2;
    if (fits) { /* whole cache lines even of rows of 4 bytes, so that every buffer starts at one */
        tokens = inc_max_size(inc_round_up(tokens, 16), run->capacity[INC_DOMAIN_TOKENS]);
        rows[INC_DOMAIN_TOKENS] = tokens;
        rows[INC_DOMAIN_SEQUENCES] = inc_max_size(inc_round_up(sequences, 16), run->capacity[INC_DOMAIN_SEQUENCES]);
    }
    if (!fits || !arena_size(plan, rows, &bytes))
        return inc_fail(ctx, INCISE_ERROR_DATA, "a batch of %zu x %zu tokens is too large", sequences, length);
    if (memcmp(rows, run->capacity, sizeof rows) == 0) return INCISE_OK;
    memset(run->capacity, 0, sizeof run->capacity);
    INC_TRY(fresh(ctx, (void **)&run->start, rows[INC_DOMAIN_SEQUENCES] + 1, sizeof *run->start));
    INC_TRY(fresh(ctx, (void **)&run->position, tokens, sizeof *run->position));
    INC_TRY(fresh(ctx, (void **)&run->sequence, tokens, sizeof *run->sequence));
    INC_TRY(fresh(ctx, &run->arena, bytes, 1));
    size_t scratch = program->device->ops->scratch_bytes(program->device, plan->steps, plan->n_steps, plan->n_buffers,
                                                         tokens);
    INC_TRY(fresh(ctx, &run->scratch, scratch, 1));
    run->arena_bytes = bytes;
    run->scratch_bytes = scratch;
    memcpy(run->capacity, rows, sizeof rows);
    return INCISE_OK;
}

static void lay_out_buffers(struct inc_run *run)
{
    const struct inc_plan *plan = &run->program->plan;
    unsigned char *arenas[INC_DOMAINS], *next = run->arena;
    for (int d = 0; d < INC_DOMAINS; d++) {
        arenas[d] = next;
        next += plan->domain_bytes[d] * run->capacity[d];
    }
    for (size_t i = 0; i < plan->n_buffers; i++) {
        const struct inc_plan_buffer *buffer = &plan->buffers[i];
        run->buffers[i] = arenas[buffer->domain] + buffer->offset * run->capacity[buffer->domain];
    }
}

static const struct inc_tensor *padding_of(const struct inc_run *run)
{
    const struct inc_graph *graph = run->program->lowering.graph;
    for (size_t i = 0; i < graph->n_parameters; i++)
        if (graph->parameters[i] == run->program->lowering.mask) return &run->feeds[i].tensor;
    return NULL;
}

enum incise_status inc_run_pack_tokens(struct inc_run *run)
{
    const struct inc_tensor *padding = padding_of(run);
    size_t sequences = (size_t)run->feeds[0].tensor.dims[0], length = (size_t)run->feeds[0].tensor.dims[1], n = 0;
    INC_TRY(reserve(run, sequences, length));
    for (size_t s = 0; s < sequences; s++) {
        run->start[s] = (uint32_t)n;
        for (size_t j = 0; j < length; j++) {
            int64_t kept = padding == NULL ? 1 : inc_tensor_get_i64(padding, s * length + j);
            if (kept != 0 && kept != 1)
                return inc_fail(run->program->ctx, INCISE_ERROR_DATA,
                                "input '%s': element [%zu, %zu] is %lld, not 0 or 1", run->program->lowering.mask->name,
                                s, j, (long long)kept);
            if (kept == 0) continue;
            run->position[n] = (int32_t)j;
            run->sequence[n++] = (uint32_t)s;
        }
    }
    run->start[sequences] = (uint32_t)n;
    lay_out_buffers(run);
    run->batch = (struct inc_batch){.n_tokens = n,
                                    .n_sequences = sequences,
                                    .start = run->start,
                                    .position = run->position,
                                    .biases = run->biases,
                                    .n_buffers = run->program->plan.n_buffers,
                                    .buffers = run->buffers,
                                    .row_bytes = run->row_bytes};
    return INCISE_OK;
}

/* ---- index part ------------------------------------------------------------------------------------------------ */

/* Element (s, j) of an index value that may lack either axis. */
static size_t index_element(const struct inc_plan_buffer *buffer, const struct inc_tensor *tensor, uint32_t s,
                            int32_t j)
{
    size_t length = buffer->sequence_axis < 0 ? 1 : (size_t)tensor->dims[buffer->sequence_axis];
    return (buffer->batch_axis < 0 ? 0 : s * length) + (buffer->sequence_axis < 0 ? 0 : (size_t)j);
}

/* Shape inference takes what the file says of symbols: a table of 32 positions cut to the length has 32 rows at 33. */
static enum incise_status check_index(const struct inc_run *run, const struct inc_plan_buffer *buffer,
                                      const struct inc_tensor *tensor)
{
    const int64_t *dims = run->feeds[0].tensor.dims;
    size_t expected = buffer->width;
    bool fits = true;
    if (buffer->batch_axis >= 0) fits = tensor->dims[buffer->batch_axis] == dims[0], expected *= (size_t)dims[0];
    if (buffer->sequence_axis >= 0)
        fits = fits && tensor->dims[buffer->sequence_axis] == dims[1], expected *= (size_t)dims[1];
    if (fits && inc_tensor_elements(tensor) == expected) return INCISE_OK;
    return inc_fail(run->program->ctx, INCISE_ERROR_DATA,
                    "layer '%s' does not reach a batch of %lld x %lld tokens: the model is made for less",
                    buffer->value->node->name, (long long)dims[0], (long long)dims[1]);
}

static void pack_ids(const struct inc_run *run, const struct inc_plan_buffer *buffer, const struct inc_tensor *tensor,
                     int32_t *out)
{
    for (size_t t = 0; t < run->batch.n_tokens; t++) {
        int64_t id = inc_tensor_get_i64(tensor, index_element(buffer, tensor, run->sequence[t], run->position[t]));
        out[t] = id < INT32_MIN || id > INT32_MAX ? INT32_MIN : (int32_t)id; /* the gather reports what is outside */
    }
}

static void pack_rows(const struct inc_run *run, const struct inc_plan_buffer *buffer, const struct inc_tensor *tensor,
                      unsigned char *out)
{
    for (size_t t = 0; t < run->batch.n_tokens; t++) {
        size_t row = index_element(buffer, tensor, run->sequence[t], run->position[t]);
        inc_tensor_to_f32(tensor, row * buffer->width, buffer->width, (float *)(void *)(out + t * buffer->row_bytes));
    }
}

/* The row of the token at `position` of sequence s, -1 if that is padding; positions rise within a sequence. */
static int32_t find_row(const struct inc_batch *batch, size_t s, int64_t position)
{
    uint32_t low = batch->start[s], end = batch->start[s + 1], high = end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (batch->position[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && batch->position[low] == position ? (int32_t)low : -1;
}

/* As a Gather counts: a negative position is one from the end. */
static enum incise_status pack_picks(const struct inc_run *run, const struct inc_plan_buffer *buffer,
                                     const struct inc_tensor *tensor, int32_t *out)
{
    int64_t length = run->feeds[0].tensor.dims[1];
    for (size_t s = 0; s < run->batch.n_sequences; s++) {
        int64_t position = inc_tensor_get_i64(tensor, buffer->batch_axis < 0 ? 0 : s);
        if (position < -length || position >= length)
            return inc_fail(run->program->ctx, INCISE_ERROR_DATA, "layer '%s' picks token %lld of %lld",
                            buffer->value->node->name, (long long)position, (long long)length);
        out[s] = find_row(&run->batch, s, position < 0 ? position + length : position);
    }
    return INCISE_OK;
}

static enum incise_status pack_buffer(const struct inc_run *run, const struct inc_plan_buffer *buffer,
                                      const struct inc_tensor *tensor, void *out)
{
    INC_TRY(check_index(run, buffer, tensor));
    if (buffer->kind == INC_BUFFER_PICKS) return pack_picks(run, buffer, tensor, out);
    if (buffer->kind == INC_BUFFER_IDS)
        pack_ids(run, buffer, tensor, out);
    else
        pack_rows(run, buffer, tensor, out);
    return INCISE_OK;
}

/* Booleans become 0 and -inf, so that every bias is additive. */
static enum incise_status make_additive(const struct inc_run *run, struct inc_tensor *mask)
{
    const struct inc_ctx *ctx = run->program->ctx;
    if (mask->type == INC_F32) return INCISE_OK;
    struct inc_tensor additive = {0};
    INC_TRY(inc_tensor_create(ctx, INC_F32, mask->rank, mask->dims, &additive));
    float *out = additive.data;
    for (size_t i = 0; i < inc_tensor_elements(mask); i++)
        out[i] = mask->type == INC_BOOL ? (inc_tensor_get_i64(mask, i) != 0 ? 0.0f : -INFINITY)
                                        : (float)inc_tensor_get_f64(mask, i);
    inc_tensor_release(ctx, mask);
    *mask = additive;
    return INCISE_OK;
}

static enum incise_status set_bias(struct inc_run *run, size_t index, struct inc_tensor *mask)
{
    int64_t length = run->feeds[0].tensor.dims[1];
    INC_TRY(make_additive(run, mask));
    bool fits = mask->rank >= 2 && mask->rank <= 4 && mask->dims[mask->rank - 1] == length &&
                (mask->dims[mask->rank - 2] == length || mask->dims[mask->rank - 2] == 1);
    int64_t dims[4] = {1, 1, 1, 1};
    for (int i = 0; fits && i < mask->rank; i++) dims[4 - mask->rank + i] = mask->dims[i];
    if (!fits || (dims[0] != 1 && dims[0] != run->feeds[0].tensor.dims[0]))
        return inc_fail(run->program->ctx, INCISE_ERROR_DATA, "attention mask '%s' does not fit the batch",
                        run->program->plan.biases[index].value->node->name);
    size_t row = (size_t)length, head = row * (size_t)dims[2];
    run->biases[index] = (struct inc_bias){.data = mask->data,
                                           .sequence_stride = dims[0] == 1 ? 0 : head * (size_t)dims[1],
                                           .head_stride = dims[1] == 1 ? 0 : head,
                                           .row_stride = dims[2] == 1 ? 0 : row};
    return INCISE_OK;
}

enum incise_status inc_run_pack_index(struct inc_run *run)
{
    const struct inc_plan *plan = &run->program->plan;
    size_t next = 0;
    for (size_t i = 0; i < plan->n_buffers; i++) {
        if (plan->buffers[i].value == NULL) continue;
        INC_TRY(pack_buffer(run, &plan->buffers[i], &run->wanted[next++].tensor, run->buffers[i]));
    }
    for (size_t i = 0; i < plan->n_biases; i++) INC_TRY(set_bias(run, i, &run->wanted[next + i].tensor));
    return INCISE_OK;
}

/* ---- outputs --------------------------------------------------------------------------------------------------- */

static enum incise_status unpack_one(struct inc_run *run, size_t index)
{
    const struct inc_lowering *lowering = &run->program->lowering;
    const struct inc_plan_output *output = &run->program->plan.outputs[index];
    enum inc_domain domain = run->program->plan.buffers[output->buffer].domain;
    const struct inc_shape *shape = &lowering->graph->results[index]->inputs[0]->shape;
    struct inc_tensor *tensor = &run->outputs[index];
    const int64_t *batch = run->feeds[0].tensor.dims; /* [sequences, length] */
    int leading = domain == INC_DOMAIN_TOKENS ? 2 : 1;
    int64_t dims[INC_MAX_RANK];
    for (int i = 0; i < shape->rank; i++) dims[i] = i < leading ? batch[i] : shape->dims[i].value;
    INC_TRY(inc_tensor_create(lowering->ctx, INC_F32, shape->rank, dims, tensor));
    memset(tensor->data, 0, tensor->bytes);
    size_t stride, length = (size_t)batch[1];
    const float *rows = inc_run_rows(run, output->buffer, &stride);
    for (size_t r = 0; r < inc_batch_rows(&run->batch, domain); r++) {
        size_t to = domain == INC_DOMAIN_TOKENS ? run->sequence[r] * length + (size_t)run->position[r] : r;
        memcpy((float *)tensor->data + to * output->width, rows + r * stride + output->column,
               output->width * sizeof(float));
    }
    return INCISE_OK;
}

enum incise_status inc_run_unpack(struct inc_run *run)
{
    for (size_t i = 0; i < run->program->plan.n_outputs; i++) INC_TRY(unpack_one(run, i));
    return INCISE_OK;
}
