/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/simd_scalar.h"

#define KERNEL(name) name##_scalar
#include "kernels/act/act_rows.h"
