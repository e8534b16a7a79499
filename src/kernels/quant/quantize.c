/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quant/quantize.h"

static const struct inc_quantize_kernel kernels[] = {
#define INC_QUANTIZE(name, isa) \
    {#name, isa, inc_quantize_rows_##name, inc_quantize_static_##name, inc_dequantize_##name},
#include "kernels/quant/quantize.def"
#undef INC_QUANTIZE
};

const struct inc_quantize_kernel *inc_quantize_kernels(size_t *n)
{
    *n = sizeof kernels / sizeof kernels[0];
    return kernels;
}

const struct inc_quantize_kernel *inc_quantize_select(enum incise_isa isa)
{
    const struct inc_quantize_kernel *best = kernels;
    for (size_t i = 1; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (kernels[i].isa <= isa) best = &kernels[i];
    }
    return best;
}
