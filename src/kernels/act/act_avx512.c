/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/simd_avx512.h"

#define KERNEL(name) name##_avx512
#include "kernels/act/act_rows.h"
