/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/act.h"

static const struct inc_act_kernel kernels[] = {
#define INC_ACT_KERNEL(name, isa) \
    {#name, isa, inc_act_##name, inc_act_gated_##name, inc_act_add_##name, inc_act_scale_##name, inc_act_rope_##name},
#include "kernels/act/act.def"
#undef INC_ACT_KERNEL
};

const struct inc_act_kernel *inc_act_kernels(size_t *n)
{
    *n = sizeof kernels / sizeof kernels[0];
    return kernels;
}

const struct inc_act_kernel *inc_act_select(enum incise_isa isa)
{
    const struct inc_act_kernel *best = kernels;
    for (size_t i = 1; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (kernels[i].isa <= isa) best = &kernels[i];
    }
    return best;
}
