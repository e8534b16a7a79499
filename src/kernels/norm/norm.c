/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm/norm.h"

#include "kernels/select.h"

static const struct inc_norm_kernel kernels[] = {
#define INC_NORM(name, isa) {#name, isa, inc_layer_norm_##name, inc_rms_norm_##name, inc_l2_norm_##name},
#include "kernels/norm/norm.def"
#undef INC_NORM
};

INC_KERNEL_FAMILY(norm);
