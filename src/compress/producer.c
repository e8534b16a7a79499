/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/producer.h"

#include <string.h>

const struct inc_step *inc_writer_of(const struct inc_plan *plan, uint32_t buffer)
{
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].out.buffer == buffer) return &plan->steps[i];
    return NULL;
}

bool inc_is_only_reader(const struct inc_plan *plan, const struct inc_step *reader, uint32_t buffer)
{
    for (size_t i = 0; i < plan->n_outputs; i++)
        if (plan->outputs[i].buffer == buffer) return false;
    for (size_t i = 0; i < plan->n_steps; i++)
        for (uint32_t k = 0; k < plan->steps[i].n_in; k++)
            if (plan->steps[i].in[k].buffer == buffer &&
                (&plan->steps[i] != reader || plan->steps[i].in[k].column != 0))
                return false;
    return true;
}

const struct inc_step *inc_inner_linear(const struct inc_plan *plan, const struct inc_step *reader, uint32_t index,
                                        uint32_t width)
{
    uint32_t buffer = reader->in[index].buffer;
    const struct inc_step *step = inc_writer_of(plan, buffer);
    bool fits = step != NULL && step->op == INC_OP_LINEAR && step->n_in == 1 && step->width == width;
    return fits && inc_is_only_reader(plan, reader, buffer) ? step : NULL;
}

const struct inc_target *inc_target_of(const struct inc_plan *plan, const struct inc_targets *targets,
                                       const struct inc_step *step)
{
    const struct inc_slot *slot = &plan->slots[step->u.linear.slot];
    for (size_t i = 0; i < targets->n; i++) {
        const struct inc_target *target = &targets->items[i];
        if (target->weight.out == slot->weight.out && target->weight.in == slot->weight.in &&
            strcmp(target->reader->name, slot->name) == 0)
            return target;
    }
    return NULL;
}
