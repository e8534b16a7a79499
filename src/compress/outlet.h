/* SPDX-License-Identifier: Apache-2.0 */
/* How the product of a Linear goes on: into the residual stream, at once (BERT) or through a norm (Gemma), and from
 * there through the norm of who reads the stream next. */
#ifndef INC_COMPRESS_OUTLET_H
#define INC_COMPRESS_OUTLET_H

#include "lower/program.h"

struct inc_outlet {
    const struct inc_operand *residual; /* what the product, or its norm, is added to; NULL: it enters no stream */
    const struct inc_step *norm;        /* an RMSNorm before that, which alone reads the product; NULL: none */
    const struct inc_step *next;        /* the norm that reads the sum; NULL: none */
};

/* Of step `step` of the plan, a Linear. */
struct inc_outlet inc_outlet_find(const struct inc_plan *plan, size_t step);

/* weights[width]: what an error of each output weighs, the gains of both norms multiplied; 1 where there are none. */
void inc_outlet_weigh(const struct inc_outlet *outlet, size_t width, double *weights);

/* shares[width]: how much of what the residual has lost a product asks for that goes through a norm. Its output i would
 * have to grow by lost_i rms(y) / g_i, and a large product of an output of little weight takes the others' share of
 * what the norm lets through: of w_i^2 / (w_i^2 + INC_OUTLET_DAMPING mean w^2), w the weights above, so much is asked;
 * divided by g_i. 0 where the gain is 0. */
void inc_outlet_damp(const struct inc_outlet *outlet, size_t width, double *shares);

#define INC_OUTLET_DAMPING 0.3

/* rms(y) of a row as the norm before the stream takes it. */
double inc_outlet_rms(const struct inc_outlet *outlet, size_t width, const float *row);

#endif
