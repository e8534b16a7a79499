/* SPDX-License-Identifier: Apache-2.0 */
/* LayerNorm, RMSNorm and L2 normalization over rows of floats. y may be x (with ldy == ldx), but must not overlap it
 * otherwise; nothing needs alignment. A row with NaN or infinity becomes NaN (infinity: RMSNorm and L2 may leave 0 in
 * the other places). Squares must not overflow: |x| < 2^55. The result of a row depends on its values only, not on m or
 * on where it lies. */
#ifndef INC_KERNELS_NORM_H
#define INC_KERNELS_NORM_H

#include "base/context.h"

/* y = (x - mean) / sqrt(variance + eps) * gamma + beta for m rows of d floats; variance over d (biased). gamma, beta:
 * [d] or NULL. Error below 2e-6 * (1 + |y|) for d <= 65536 (gamma = 1, beta = 0), if the inputs are exact: the mean is
 * taken out twice, so a mean 1e4 times the deviation costs nothing more. */
typedef void inc_layer_norm_fn(size_t m, size_t d, const float *x, size_t ldx, const float *gamma, const float *beta,
                               float eps, float *y, size_t ldy);

/* y = x / sqrt(mean(x^2) + eps) * gamma [+ residual] for each of `groups` consecutive pieces of d floats in each of m
 * rows (heads of a query); gamma: [d], the same for all pieces, or NULL; residual: m rows, ldr floats apart, or NULL.
 * Relative error below 2e-6 for d <= 65536, before the residual is added by FMA (by a sum without gamma). y may be the
 * residual (with ldy == ldr), too. */
typedef void inc_rms_norm_fn(size_t m, size_t groups, size_t d, const float *x, size_t ldx, const float *gamma,
                             float eps, const float *residual, size_t ldr, float *y, size_t ldy);

/* y = x / sqrt(max(sum of x^2, least) + added) for m rows of d floats. Relative error below 2e-6 for d <= 65536, where
 * no square underflows: |x| > 2^-63 or 0. */
typedef void inc_l2_norm_fn(size_t m, size_t d, const float *x, size_t ldx, double least, double added, float *y,
                            size_t ldy);

struct inc_norm_kernel {
    const char *name;
    enum incise_isa isa;
    inc_layer_norm_fn *layer;
    inc_rms_norm_fn *rms;
    inc_l2_norm_fn *l2;
};

#define INC_NORM(name, isa)                     \
    inc_layer_norm_fn inc_layer_norm_##name;    \
    inc_rms_norm_fn inc_rms_norm_##name;        \
    inc_l2_norm_fn inc_l2_norm_##name;
#include "kernels/norm/norm.def"
#undef INC_NORM

/* All kernels compiled in, in rising order of instruction set; whether the CPU has it is the caller's check. */
const struct inc_norm_kernel *inc_norm_kernels(size_t *n);
/* The best kernel for `isa`; never NULL. */
const struct inc_norm_kernel *inc_norm_select(enum incise_isa isa);

#endif
