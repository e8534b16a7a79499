/* SPDX-License-Identifier: Apache-2.0 */
/* How the product of a Linear goes on: into the residual stream, at once (BERT) or through a norm (Gemma), and from there
 * through the norm of who reads the stream next. */
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

#endif
