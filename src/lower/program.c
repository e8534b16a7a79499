/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/program.h"

#include <string.h>
#include <xxhash.h>

#include "base/size.h"

static const struct inc_slot *slot_of(const struct inc_program *program, const struct inc_step *step)
{
    return step->op == INC_OP_LINEAR ? &program->plan.slots[step->u.linear.slot] : NULL;
}

/* What a Linear before step `index` has of the same weights; NULL if there is none. */
static struct inc_prepared *find_same(const struct inc_program *program, size_t index)
{
    const struct inc_plan *plan = &program->plan;
    const struct inc_slot *slot = slot_of(program, &plan->steps[index]);
    for (size_t i = 0; slot != NULL && i < index; i++) {
        const struct inc_slot *other = slot_of(program, &plan->steps[i]);
        if (other != NULL && other->integer == slot->integer && inc_weight_same(&other->weight, &slot->weight))
            return program->prepared[i];
    }
    return NULL;
}

/* Leaves *prepared NULL when there are none for the step, or they do not fit. */
static enum incise_status restore(const struct inc_program *program, const struct inc_program_options *options,
                                  const struct inc_step *step, struct inc_prepared **prepared)
{
    struct inc_device *device = program->device;
    const struct inc_slot *slot = slot_of(program, step);
    if (options->n_packed != program->plan.n_slots || slot == NULL) return INCISE_OK;
    const struct inc_packed_slot *packed = &options->packed[step->u.linear.slot];
    if (packed->name != XXH3_64bits(slot->name, strlen(slot->name))) return INCISE_OK;
    enum incise_status status = device->ops->restore(device, slot, &packed->packed, prepared);
    if (status != INCISE_ERROR_DATA) return status;
    return inc_fail(program->ctx, status, "layer '%s': its packed weights are damaged", slot->name);
}

static enum incise_status prepare_steps(struct inc_program *program, const struct inc_program_options *options)
{
    const struct inc_plan *plan = &program->plan;
    struct inc_device *device = program->device;
    program->prepared = inc_alloc_zero(program->ctx, plan->n_steps, sizeof(struct inc_prepared *));
    if (program->prepared == NULL) return inc_fail_memory(program->ctx, plan->n_steps * sizeof(void *), "a program");
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct inc_step *step = &plan->steps[i];
        program->prepared[i] = find_same(program, i);
        if (program->prepared[i] == NULL) INC_TRY(restore(program, options, step, &program->prepared[i]));
        if (program->prepared[i] != NULL) continue;
        INC_TRY(device->ops->prepare(device, step, slot_of(program, step), &program->prepared[i]));
        program->n_packed += step->op == INC_OP_LINEAR;
    }
    return INCISE_OK;
}

/* Step `index` no longer needs its prepared form; others may. */
static void release_prepared(struct inc_program *program, size_t index)
{
    struct inc_prepared *prepared = program->prepared[index];
    program->prepared[index] = NULL;
    for (size_t i = 0; i < program->plan.n_steps; i++)
        if (program->prepared[i] == prepared) return;
    program->device->ops->release(program->device, prepared);
}

/* In a plan whose slots take anything: lets a Linear read what its slot wants. */
static void choose_input(struct inc_plan *plan, struct inc_step *step)
{
    if (step->op != INC_OP_LINEAR || step->u.linear.floats.buffer == INC_NO_BUFFER) return;
    struct inc_linear_step *linear = &step->u.linear;
    const struct inc_slot *slot = &plan->slots[linear->slot];
    step->in[0] = slot->integer ? linear->copy : linear->floats;
    linear->zero = inc_slot_zero(slot);
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].op == INC_OP_QUANTIZE_ROWS && plan->steps[i].out.buffer == linear->copy.buffer)
            plan->steps[i].u.quantize = slot->input;
}

static enum incise_status compile(struct inc_program *program, struct inc_graph *graph,
                                  const struct inc_program_options *options)
{
    INC_TRY(inc_graph_clone(graph, &program->lowering.graph));
    if (options->reference) return inc_lower_refuse(&program->lowering, "the reference evaluator was asked for");
    INC_TRY(inc_lower_run(&program->lowering, options->dump_after, options->dump));
    if (program->lowering.reason[0] == '\0')
        INC_TRY(inc_plan_create(&program->lowering, program->device, options->mode, options->replaceable,
                                &program->plan));
    if (program->lowering.reason[0] == '\0') {
        for (size_t i = 0; i < program->plan.n_steps; i++) choose_input(&program->plan, &program->plan.steps[i]);
        INC_TRY(prepare_steps(program, options));
        program->fused = true;
        return INCISE_OK;
    }
    /* Half-lowered graphs do not run: start again from the file's ops. */
    inc_graph_destroy(program->lowering.graph);
    program->lowering.graph = NULL;
    return inc_graph_clone(graph, &program->lowering.graph);
}

enum incise_status inc_program_create(struct inc_graph *graph, struct inc_device *device,
                                      const struct inc_program_options *options, struct inc_program **out)
{
    const struct inc_ctx *ctx = graph->ctx;
    struct inc_program *program = inc_alloc_zero(ctx, 1, sizeof *program);
    if (program == NULL) return inc_fail_memory(ctx, sizeof *program, "a program");
    program->ctx = program->lowering.ctx = ctx;
    program->device = device;
    program->lowering.weights_checked = options->packed != NULL;
    enum incise_status status = compile(program, graph, options);
    if (status != INCISE_OK) {
        inc_program_destroy(program);
        return status;
    }
    *out = program;
    return INCISE_OK;
}

void inc_program_destroy(struct inc_program *program)
{
    if (program == NULL) return;
    for (size_t i = 0; program->prepared != NULL && i < program->plan.n_steps; i++) release_prepared(program, i);
    inc_free(program->ctx, program->prepared);
    inc_plan_release(program->ctx, &program->plan);
    inc_graph_destroy(program->lowering.graph);
    inc_free(program->ctx, program);
}

static struct inc_prepared *prepared_of(const struct inc_program *program, uint32_t slot)
{
    const struct inc_step *step = inc_plan_linear_of(&program->plan, slot);
    return step != NULL ? program->prepared[step - program->plan.steps] : NULL;
}

uint64_t inc_program_save(const struct inc_program *program, uint32_t slot, struct inc_packed_out *out)
{
    const struct inc_prepared *prepared = prepared_of(program, slot);
    const char *name = program->plan.slots[slot].name;
    if (prepared != NULL && out != NULL) program->device->ops->save(program->device, prepared, out);
    return XXH3_64bits(name, strlen(name));
}

uint32_t inc_program_first_same(const struct inc_program *program, uint32_t slot)
{
    uint32_t first = 0;
    while (first < slot && prepared_of(program, first) != prepared_of(program, slot)) first++;
    return first;
}

static bool is_same_input(const struct inc_slot *a, const struct inc_slot *b)
{
    if (a->integer != b->integer) return false;
    return !a->integer || (a->input.fixed == b->input.fixed &&
                           (!a->input.fixed || (a->input.grid.scale == b->input.grid.scale &&
                                                a->input.grid.zero == b->input.grid.zero &&
                                                a->input.grid.lo == b->input.grid.lo &&
                                                a->input.grid.hi == b->input.grid.hi)));
}

static bool fits(const struct inc_program *program, const struct inc_step *step, const struct inc_slot *slot)
{
    const struct inc_slot *old = &program->plan.slots[step->u.linear.slot];
    return slot->weight.out == old->weight.out && slot->weight.in == old->weight.in &&
           (!slot->integer || inc_weight_is_integer(&slot->weight)) &&
           (step->u.linear.floats.buffer != INC_NO_BUFFER || is_same_input(slot, old)) &&
           program->device->ops->supports(program->device, step, slot);
}

enum incise_status inc_program_replace_slot(struct inc_program *program, uint32_t index, const struct inc_slot *content)
{
    struct inc_plan *plan = &program->plan;
    struct inc_step *step = inc_plan_linear_of(plan, index);
    struct inc_prepared *fresh = NULL;
    struct inc_slot slot = *content;
    slot.name = plan->slots[index].name;
    if (step == NULL || !fits(program, step, &slot))
        return inc_fail(program->ctx, INCISE_ERROR_USAGE, "layer '%s': the new weights do not fit its slot", slot.name);
    INC_TRY(inc_weight_check(program->lowering.graph, &slot.weight));
    INC_TRY(program->device->ops->prepare(program->device, step, &slot, &fresh));
    size_t at = (size_t)(step - plan->steps);
    release_prepared(program, at);
    program->prepared[at] = fresh;
    plan->slots[index] = slot;
    choose_input(plan, step);
    return INCISE_OK;
}

enum incise_status inc_program_replace_table(struct inc_program *program, size_t index, const struct inc_weight *table)
{
    struct inc_gather_step *step = &program->plan.steps[index].u.gather;
    if (table->out != step->table.out || table->in != step->table.in)
        return inc_fail(program->ctx, INCISE_ERROR_USAGE, "layer '%s': the new table has another size", step->source);
    INC_TRY(inc_weight_check(program->lowering.graph, table));
    step->table = *table;
    return INCISE_OK;
}

void inc_program_replace_bias(struct inc_program *program, uint32_t slot, const float *bias)
{
    struct inc_step *step = inc_plan_linear_of(&program->plan, slot);
    if (step != NULL) step->u.linear.bias = bias;
}
