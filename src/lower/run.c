/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/run.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "graph/eval_ref/eval.h"
#include "lower/run_batch.h"

/* ---- life ------------------------------------------------------------------------------------------------------ */

static enum incise_status allocate_run(struct inc_run *run)
{
    const struct inc_program *program = run->program;
    const struct inc_plan *plan = &program->plan;
    const struct inc_graph *graph = program->lowering.graph;
    const struct inc_ctx *ctx = program->ctx;
    size_t n_index = 0;
    for (size_t i = 0; i < plan->n_buffers; i++) n_index += plan->buffers[i].value != NULL;
    run->buffers = inc_alloc_zero(ctx, plan->n_buffers, sizeof(void *));
    run->row_bytes = inc_alloc_zero(ctx, plan->n_buffers, sizeof *run->row_bytes);
    run->passing = inc_alloc_zero(ctx, plan->n_buffers, sizeof *run->passing);
    run->biases = inc_alloc_zero(ctx, plan->n_biases, sizeof *run->biases);
    run->feeds = inc_alloc_zero(ctx, graph->n_parameters, sizeof *run->feeds);
    run->wanted = inc_alloc_zero(ctx, n_index + plan->n_biases, sizeof *run->wanted);
    run->evaluated = inc_alloc_zero(ctx, n_index + plan->n_biases, sizeof *run->evaluated);
    run->outputs = inc_alloc_zero(ctx, graph->n_results, sizeof *run->outputs);
    run->seconds = inc_alloc_zero(ctx, plan->n_steps, sizeof *run->seconds);
    if (run->buffers == NULL || run->row_bytes == NULL || run->passing == NULL || run->biases == NULL ||
        run->feeds == NULL || run->wanted == NULL || run->evaluated == NULL || run->outputs == NULL ||
        run->seconds == NULL)
        return inc_fail_memory(ctx, plan->n_buffers * sizeof(void *), "a session");
    for (size_t i = 0; i < plan->n_buffers; i++) {
        run->row_bytes[i] = plan->buffers[i].row_bytes;
        run->passing[i] = plan->buffers[i].passing;
        if (plan->buffers[i].value == NULL) continue;
        run->wanted[run->n_wanted++] = (struct inc_index_value){plan->buffers[i].value, plan->buffers[i].by_shape, {0}};
    }
    for (size_t i = 0; i < plan->n_biases; i++)
        run->wanted[run->n_wanted++] = (struct inc_index_value){plan->biases[i].value, plan->biases[i].by_shape, {0}};
    for (size_t i = 0; i < graph->n_parameters; i++) run->feeds[i].value = &graph->parameters[i]->outputs[0];
    return INCISE_OK;
}

enum incise_status inc_run_create(struct inc_program *program, struct inc_run **out)
{
    struct inc_run *run = inc_alloc_zero(program->ctx, 1, sizeof *run);
    if (run == NULL) return inc_fail_memory(program->ctx, sizeof *run, "a session");
    run->program = program;
    enum incise_status status = allocate_run(run);
    if (status != INCISE_OK) {
        inc_run_destroy(run);
        return status;
    }
    *out = run;
    return INCISE_OK;
}

/* All values of the index part but those that fit a batch of dims[0] x dims[1]. */
static void release_index(struct inc_run *run, const int64_t dims[2])
{
    bool same = memcmp(dims, run->index_dims, sizeof run->index_dims) == 0;
    for (size_t i = 0; i < run->n_wanted; i++) {
        if (same && run->wanted[i].by_shape) continue;
        inc_tensor_release(run->program->ctx, &run->wanted[i].tensor);
        memset(&run->wanted[i].tensor, 0, sizeof run->wanted[i].tensor);
    }
    if (!same) memset(run->index_dims, 0, sizeof run->index_dims);
}

static void release_outputs(struct inc_run *run)
{
    for (size_t i = 0; i < run->program->lowering.graph->n_results; i++) {
        inc_tensor_release(run->program->ctx, &run->outputs[i]);
        memset(&run->outputs[i], 0, sizeof run->outputs[i]);
    }
}

void inc_run_destroy(struct inc_run *run)
{
    if (run == NULL) return;
    const struct inc_ctx *ctx = run->program->ctx;
    if (run->wanted != NULL) release_index(run, (const int64_t[]){-1, -1});
    if (run->outputs != NULL) release_outputs(run);
    void *all[] = {run->arena,   run->start,  run->position, run->sequence, run->buffers,
                   run->passing, run->biases, run->scratch,  run->feeds,    run->row_bytes,
                   run->wanted,  run->outputs, run->evaluated, run->seconds};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) inc_free(ctx, all[i]);
    inc_free(ctx, run);
}

/* ---- inputs ---------------------------------------------------------------------------------------------------- */

static const char *input_name(const struct inc_node *parameter)
{
    return parameter->outputs[0].n_names > 0 ? parameter->outputs[0].names[0] : parameter->name;
}

static enum incise_status take_inputs(struct inc_run *run, const struct inc_tensor *inputs, size_t n_inputs)
{
    const struct inc_graph *graph = run->program->lowering.graph;
    if (n_inputs != graph->n_parameters)
        return inc_fail(graph->ctx, INCISE_ERROR_DATA, "%s: %zu inputs given, the model has %zu", graph->source,
                        n_inputs, graph->n_parameters);
    for (size_t i = 0; i < n_inputs; i++) {
        const struct inc_node *parameter = graph->parameters[i];
        if (inputs[i].type != parameter->outputs[0].type)
            return inc_fail(graph->ctx, INCISE_ERROR_DATA, "%s: input '%s': its type is %s, the model wants %s",
                            graph->source, input_name(parameter), inc_type_name(inputs[i].type),
                            inc_type_name(parameter->outputs[0].type));
        if (run->program->fused &&
            (inputs[i].rank != 2 || inputs[i].dims[0] != inputs[0].dims[0] || inputs[i].dims[1] != inputs[0].dims[1] ||
             inputs[i].dims[0] < 1 || inputs[i].dims[1] < 1))
            return inc_fail(graph->ctx, INCISE_ERROR_DATA,
                            "%s: input '%s': must be [batch, length], the same for all inputs and not empty",
                            graph->source, input_name(parameter));
        run->feeds[i].tensor = inputs[i];
        run->feeds[i].tensor.owned = false;
    }
    return INCISE_OK;
}

/* Bytes of an additive bias [B or 1, H or 1, length or 1, length]. */
static bool bias_bytes(const struct inc_value *bias, size_t sequences, size_t length, size_t *bytes)
{
    const size_t sizes[] = {sequences, 1, length, length};
    *bytes = sizeof(float);
    for (int i = 1; i <= bias->shape.rank && i <= 4; i++) {
        struct inc_dim dim = bias->shape.dims[bias->shape.rank - i];
        size_t size = inc_dim_is_const(dim) ? (size_t)dim.value : sizes[4 - i];
        if (!inc_size_mul(*bytes, size, bytes)) return false;
    }
    return true;
}

size_t inc_run_estimate(const struct inc_program *program, size_t sequences, size_t length)
{
    const struct inc_plan *plan = &program->plan;
    size_t tokens, bytes, part, bias, per_row[INC_DOMAINS];
    for (int d = 0; d < INC_DOMAINS; d++) per_row[d] = plan->domain_bytes[d] + 3 * sizeof(int32_t);
    for (size_t i = 0; i < plan->n_outputs; i++)
        per_row[plan->buffers[plan->outputs[i].buffer].domain] += (size_t)plan->outputs[i].width * sizeof(float);
    for (size_t i = 0; i < plan->n_buffers; i++) /* the index value before it is packed, and one step of its making */
        if (plan->buffers[i].value != NULL) per_row[plan->buffers[i].domain] += 2 * plan->buffers[i].row_bytes;
    if (!inc_size_mul(sequences, length, &tokens) || !inc_size_mul(tokens, per_row[INC_DOMAIN_TOKENS], &bytes) ||
        !inc_size_mul(sequences, per_row[INC_DOMAIN_SEQUENCES], &part) || !inc_size_add(bytes, part, &bytes))
        return SIZE_MAX;
    for (size_t i = 0; i < plan->n_biases; i++)
        if (!bias_bytes(plan->biases[i].value, sequences, length, &bias) || !inc_size_add(bytes, bias, &bytes))
            return SIZE_MAX;
    size_t scratch = program->device->ops->scratch_bytes(program->device, plan->steps, plan->n_steps, plan->n_buffers,
                                                         tokens);
    if (!inc_size_add(bytes, scratch, &bytes)) return SIZE_MAX;
    return bytes;
}

static enum incise_status check_memory(const struct inc_run *run, size_t sequences, size_t length)
{
    const struct inc_ctx *ctx = run->program->ctx;
    size_t estimate = inc_run_estimate(run->program, sequences, length);
    if (ctx->max_memory == 0 || estimate <= ctx->max_memory) return INCISE_OK;
    return inc_fail(
        ctx, INCISE_ERROR_MEMORY,
        "%zu x %zu tokens need about %zu MiB, more than the limit of %zu MiB: use a smaller batch or --max-memory",
        sequences, length, estimate >> 20, ctx->max_memory >> 20);
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

/* The index part: what depends on [batch, length] only is evaluated once for runs of the same shape. */
static enum incise_status evaluate_index(struct inc_run *run, size_t n_inputs)
{
    const int64_t *dims = run->feeds[0].tensor.dims;
    release_index(run, dims);
    bool kept = run->index_dims[0] != 0;
    size_t n = 0;
    for (size_t i = 0; i < run->n_wanted; i++)
        if (!kept || !run->wanted[i].by_shape) run->evaluated[n++].value = run->wanted[i].value;
    if (n > 0) INC_TRY(inc_eval_run(run->program->lowering.graph, run->feeds, n_inputs, run->evaluated, n));
    n = 0;
    for (size_t i = 0; i < run->n_wanted; i++)
        if (!kept || !run->wanted[i].by_shape) run->wanted[i].tensor = run->evaluated[n++].tensor;
    memcpy(run->index_dims, dims, sizeof run->index_dims);
    return INCISE_OK;
}

enum incise_status inc_run_begin(struct inc_run *run, const struct inc_tensor *inputs, size_t n_inputs)
{
    INC_TRY(take_inputs(run, inputs, n_inputs));
    INC_TRY(check_memory(run, (size_t)inputs[0].dims[0], (size_t)inputs[0].dims[1]));
    INC_TRY(inc_run_pack_tokens(run));
    INC_TRY(evaluate_index(run, n_inputs));
    return inc_run_pack_index(run);
}

float *inc_run_rows(const struct inc_run *run, uint32_t buffer, size_t *stride)
{
    *stride = run->row_bytes[buffer] / sizeof(float);
    return run->buffers[buffer];
}

static void tap_rows(const struct inc_run *run, enum inc_tap_point point, uint32_t index, struct inc_operand operand,
                     size_t width)
{
    size_t stride, n = inc_batch_rows(&run->batch, run->program->plan.buffers[operand.buffer].domain);
    const float *rows = inc_run_rows(run, operand.buffer, &stride);
    run->tap(run->tap_user, point, index, rows + operand.column, n, width, stride);
}

/* The float rows behind quantized ones are gone when the Linear runs, so they are shown when they are quantized. */
static void tap_before(const struct inc_run *run, size_t index)
{
    const struct inc_plan *plan = &run->program->plan;
    const struct inc_step *step = &plan->steps[index];
    for (size_t i = 0; i < plan->n_cuts; i++)
        if (plan->cuts[i] == index) {
            const struct inc_plan_buffer *buffer = &plan->buffers[plan->cut_buffers[i]];
            tap_rows(run, INC_TAP_RESIDUAL, (uint32_t)index, (struct inc_operand){plan->cut_buffers[i], 0},
                     buffer->width);
        }
    if (step->op == INC_OP_LINEAR && !plan->slots[step->u.linear.slot].integer)
        tap_rows(run, INC_TAP_LINEAR_INPUT, step->u.linear.slot, step->in[0],
                 (size_t)plan->slots[step->u.linear.slot].weight.in);
    if (step->op != INC_OP_QUANTIZE_ROWS) return;
    for (size_t i = index + 1; i <= plan->buffers[step->out.buffer].last_step && i < plan->n_steps; i++) {
        const struct inc_step *reader = &plan->steps[i];
        if (reader->op == INC_OP_LINEAR && reader->in[0].buffer == step->out.buffer)
            tap_rows(run, INC_TAP_LINEAR_INPUT, reader->u.linear.slot, step->in[0], step->width);
    }
}

/* Steps of the stage of step `first` from there on, `to` at most. */
static size_t stage_steps(const struct inc_plan *plan, size_t first, size_t to)
{
    size_t end = first + 1;
    while (end < to && plan->steps[end].stage == plan->steps[first].stage) end++;
    return end - first;
}

/* Whether steps [first, first + n) are a whole stage. */
static bool is_stage(const struct inc_plan *plan, size_t first, size_t n)
{
    const size_t end = first + n;
    return (first == 0 || plan->steps[first - 1].stage != plan->steps[first].stage) &&
           (end == plan->n_steps || plan->steps[end].stage != plan->steps[first].stage);
}

/* Stage by stage; with taps step by step. */
enum incise_status inc_run_steps(struct inc_run *run, size_t from, size_t to)
{
    struct inc_program *program = run->program;
    for (size_t i = from, n; i < to; i += n) {
        const struct inc_step *step = &program->plan.steps[i];
        n = run->tap != NULL ? 1 : stage_steps(&program->plan, i, to);
        if (run->tap != NULL) tap_before(run, i);
        run->batch.passing = is_stage(&program->plan, i, n) ? run->passing : NULL;
        run->batch.seconds = run->timed ? run->seconds + i : NULL;
        INC_TRY(program->device->ops->run(program->device, step, program->prepared + i, n, &run->batch, run->scratch));
        if (run->tap != NULL && step->op == INC_OP_LINEAR)
            tap_rows(run, INC_TAP_LINEAR_OUTPUT, step->u.linear.slot, step->out, step->width);
    }
    return INCISE_OK;
}

/* ---- reference ------------------------------------------------------------------------------------------------- */

static enum incise_status run_reference(struct inc_run *run)
{
    const struct inc_graph *graph = run->program->lowering.graph;
    struct inc_feed *wanted = inc_alloc_zero(graph->ctx, graph->n_results, sizeof *wanted);
    if (wanted == NULL) return inc_fail_memory(graph->ctx, graph->n_results * sizeof *wanted, "outputs");
    for (size_t i = 0; i < graph->n_results; i++) wanted[i].value = graph->results[i]->inputs[0];
    enum incise_status status = inc_eval_run(graph, run->feeds, graph->n_parameters, wanted, graph->n_results);
    for (size_t i = 0; i < graph->n_results && status == INCISE_OK; i++) run->outputs[i] = wanted[i].tensor;
    inc_free(graph->ctx, wanted);
    return status;
}

enum incise_status inc_run_execute(struct inc_run *run, const struct inc_tensor *inputs, size_t n_inputs)
{
    release_outputs(run);
    if (!run->program->fused) {
        INC_TRY(take_inputs(run, inputs, n_inputs));
        return run_reference(run);
    }
    INC_TRY(inc_run_begin(run, inputs, n_inputs));
    memset(run->seconds, 0, run->program->plan.n_steps * sizeof *run->seconds);
    INC_TRY(inc_run_steps(run, 0, run->program->plan.n_steps));
    return inc_run_unpack(run);
}
