/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/act.h"

#include "kernels/select.h"

static const struct inc_act_kernel kernels[] = {
#define INC_ACT_KERNEL(name, isa) \
    {#name, isa, inc_act_##name, inc_act_gated_##name, inc_act_add_##name, inc_act_scale_##name, inc_act_rope_##name},
#include "kernels/act/act.def"
#undef INC_ACT_KERNEL
};

INC_KERNEL_FAMILY(act);
