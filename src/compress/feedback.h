/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding with error feedback (GPTQ, Frantar et al. 2022): the error of each input's weight is made up for by the
 * weights of the inputs that are rounded after it. */
#ifndef INC_COMPRESS_FEEDBACK_H
#define INC_COMPRESS_FEEDBACK_H

#include "compress/codes.h"
#include "compress/refit.h"

enum inc_feedback_order {
    INC_ORDER_NATURAL,
    INC_ORDER_ACTIVATION /* inputs of largest variance first */
};

/* Codes for V[out, in], whose scales are set, of small E|V x - q x|^2, H = Cov(x) + lambda I, in the given order.
 * `inverse` is H^-1. INCISE_ERROR_FAILED, not reported, if that is not positive definite. */
enum incise_status inc_feedback_round(struct inc_codes *codes, struct inc_pool *pool, const double *v,
                                      const double *inverse, const double *covariance, enum inc_feedback_order order)
    __attribute__((warn_unused_result));

#endif
