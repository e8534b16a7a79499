/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/attention_avx512.h"

ATTENTION_KERNEL(avx512, INCISE_ISA_AVX512, NULL)
