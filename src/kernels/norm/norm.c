/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm/norm.h"

static const struct inc_norm_kernel kernels[] = {
#define INC_NORM(name, isa) {#name, isa, inc_layer_norm_##name, inc_rms_norm_##name, inc_l2_norm_##name},
#include "kernels/norm/norm.def"
#undef INC_NORM
};

const struct inc_norm_kernel *inc_norm_kernels(size_t *n)
{
    *n = sizeof kernels / sizeof kernels[0];
    return kernels;
}

const struct inc_norm_kernel *inc_norm_select(enum incise_isa isa)
{
    const struct inc_norm_kernel *best = kernels;
    for (size_t i = 1; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (kernels[i].isa <= isa) best = &kernels[i];
    }
    return best;
}
