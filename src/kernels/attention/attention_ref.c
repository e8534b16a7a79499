/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/simd_scalar.h"

#define ROWS_NR 16
#include "kernels/attention/attention_rows.h"

ATTENTION_KERNEL(scalar, INCISE_ISA_SCALAR, NULL)
