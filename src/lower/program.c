/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/program.h"

#include <string.h>

#include "base/size.h"

static const struct inc_slot *slot_of(const struct inc_program *program, const struct inc_step *step)
{
    return step->op == INC_OP_LINEAR ? &program->plan.slots[step->u.linear.slot] : NULL;
}

static enum incise_status prepare_steps(struct inc_program *program)
{
    const struct inc_plan *plan = &program->plan;
    struct inc_device *device = program->device;
    program->prepared = inc_alloc_zero(program->ctx, plan->n_steps, sizeof(struct inc_prepared *));
    if (program->prepared == NULL) return inc_fail_memory(program->ctx, plan->n_steps * sizeof(void *), "a program");
    for (size_t i = 0; i < plan->n_steps; i++)
        INC_TRY(
            device->ops->prepare(device, &plan->steps[i], slot_of(program, &plan->steps[i]), &program->prepared[i]));
    return INCISE_OK;
}

static enum incise_status compile(struct inc_program *program, struct inc_graph *graph,
                                  const struct inc_program_options *options)
{
    INC_TRY(inc_graph_clone(graph, &program->lowering.graph));
    if (options->reference) return inc_lower_refuse(&program->lowering, "the reference evaluator was asked for");
    INC_TRY(inc_lower_run(&program->lowering, options->dump_after, options->dump));
    if (program->lowering.reason[0] == '\0')
        INC_TRY(inc_plan_create(&program->lowering, program->device, options->mode, &program->plan));
    if (program->lowering.reason[0] == '\0') {
        INC_TRY(prepare_steps(program));
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
    for (size_t i = 0; program->prepared != NULL && i < program->plan.n_steps; i++)
        program->device->ops->release(program->device, program->prepared[i]);
    inc_free(program->ctx, program->prepared);
    inc_plan_release(program->ctx, &program->plan);
    inc_graph_destroy(program->lowering.graph);
    inc_free(program->ctx, program);
}

enum incise_status inc_program_replace_slot(struct inc_program *program, uint32_t index,
                                            const struct inc_weight *weight)
{
    struct inc_plan *plan = &program->plan;
    struct inc_slot slot = plan->slots[index];
    if (weight->out != slot.weight.out || weight->in != slot.weight.in ||
        (slot.integer && !inc_weight_is_integer(weight)))
        return inc_fail(program->ctx, INCISE_ERROR_USAGE, "layer '%s': the new weights do not fit its slot", slot.name);
    INC_TRY(inc_weight_check(program->lowering.graph, weight));
    slot.weight = *weight;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct inc_step *step = &plan->steps[i];
        if (step->op != INC_OP_LINEAR || step->u.linear.slot != index) continue;
        struct inc_prepared *fresh = NULL;
        INC_TRY(program->device->ops->prepare(program->device, step, &slot, &fresh));
        program->device->ops->release(program->device, program->prepared[i]);
        program->prepared[i] = fresh;
    }
    plan->slots[index] = slot;
    return INCISE_OK;
}
