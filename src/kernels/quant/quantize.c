/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quant/quantize.h"

#include "kernels/select.h"

static const struct inc_quantize_kernel kernels[] = {
#define INC_QUANTIZE(name, isa) \
    {#name, isa, inc_quantize_rows_##name, inc_quantize_static_##name, inc_dequantize_##name},
#include "kernels/quant/quantize.def"
#undef INC_QUANTIZE
};

INC_KERNEL_FAMILY(quantize);
