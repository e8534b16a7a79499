/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/residual.h"

#include <math.h>

/* The step that alone reads `buffer`; NULL if there are several, or if it is an output. */
static const struct inc_step *only_reader(const struct inc_plan *plan, uint32_t buffer)
{
    const struct inc_step *reader = NULL;
    for (size_t i = 0; i < plan->n_outputs; i++)
        if (plan->outputs[i].buffer == buffer) return NULL;
    for (size_t i = 0; i < plan->n_steps; i++)
        for (uint32_t k = 0; k < plan->steps[i].n_in; k++) {
            if (plan->steps[i].in[k].buffer != buffer) continue;
            if (reader != NULL) return NULL;
            reader = &plan->steps[i];
        }
    return reader;
}

bool inc_residual_find(const struct inc_plan *plan, size_t step, struct inc_residual *residual)
{
    const struct inc_step *linear = &plan->steps[step];
    if (linear->u.linear.act != INC_ACT_NONE) return false;
    if (linear->n_in > 1) {
        *residual = (struct inc_residual){.rows = linear->in[1]};
        return true;
    }
    const struct inc_step *norm = only_reader(plan, linear->out.buffer);
    if (norm == NULL || norm->op != INC_OP_RMS_NORM || norm->u.norm.groups != 1 || norm->width != linear->width)
        return false;
    const struct inc_step *add = only_reader(plan, norm->out.buffer);
    if (add == NULL || add->op != INC_OP_ROWWISE || add->u.rowwise.op != INC_OP_ADD || add->n_in != 2) return false;
    uint32_t other = add->in[0].buffer == norm->out.buffer ? 1 : 0;
    *residual = (struct inc_residual){.rows = add->in[other], .norm = &norm->u.norm};
    return true;
}

float inc_residual_scale(const struct inc_norm_step *norm, const float *row, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; i++) sum += (double)row[i] * (double)row[i];
    return (float)(1 / sqrt(sum / (double)width + (double)norm->eps));
}
