/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/simd_avx2.h"

#define KERNEL(name) name##_avx2
#include "kernels/act/act_rows.h"
