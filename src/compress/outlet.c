/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/outlet.h"

#include <math.h>

#include "compress/producer.h"

/* The first norm of whole rows that `writer` writes; NULL: none. */
static const struct inc_step *norm_behind(const struct inc_plan *plan, const struct inc_step *writer)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct inc_step *step = &plan->steps[i];
        const bool is_norm = step->op == INC_OP_RMS_NORM || step->op == INC_OP_LAYER_NORM;
        if (!is_norm || step->width != writer->width || step->u.norm.groups > 1) continue;
        if (step->in[0].buffer == writer->out.buffer && step->in[0].column == 0) return step;
    }
    return NULL;
}

struct inc_outlet inc_outlet_find(const struct inc_plan *plan, size_t step)
{
    const struct inc_step *linear = &plan->steps[step], *sum = linear;
    struct inc_outlet outlet = {0};
    if (linear->u.linear.act != INC_ACT_NONE) return outlet;
    if (linear->n_in > 1) {
        outlet.residual = &linear->in[1];
    } else {
        const struct inc_step *norm = norm_behind(plan, linear);
        if (norm == NULL || norm->n_in == 1 || !inc_is_only_reader(plan, norm, linear->out.buffer)) return outlet;
        outlet.norm = sum = norm;
        outlet.residual = &norm->in[1];
    }
    outlet.next = norm_behind(plan, sum);
    return outlet;
}

static void multiply_gains(const struct inc_step *norm, size_t width, double *weights)
{
    if (norm == NULL || norm->u.norm.gamma == NULL) return;
    for (size_t i = 0; i < width; i++) weights[i] *= fabs((double)norm->u.norm.gamma[i]);
}

void inc_outlet_weigh(const struct inc_outlet *outlet, size_t width, double *weights)
{
    for (size_t i = 0; i < width; i++) weights[i] = 1;
    multiply_gains(outlet->norm, width, weights);
    multiply_gains(outlet->next, width, weights);
}

void inc_outlet_damp(const struct inc_outlet *outlet, size_t width, double *shares)
{
    const float *gamma = outlet->norm->u.norm.gamma;
    double mean = 0;
    inc_outlet_weigh(outlet, width, shares);
    for (size_t i = 0; i < width; i++) mean += shares[i] * shares[i] / (double)width;
    for (size_t i = 0; i < width; i++) {
        double square = shares[i] * shares[i], gain = gamma != NULL ? (double)gamma[i] : 1;
        shares[i] = square > 0 ? square / (square + INC_OUTLET_DAMPING * mean) / gain : 0;
    }
}

double inc_outlet_rms(const struct inc_outlet *outlet, size_t width, const float *row)
{
    double sum = 0;
    for (size_t i = 0; i < width; i++) sum += (double)row[i] * (double)row[i];
    return sqrt(sum / (double)width + (double)outlet->norm->u.norm.eps);
}
