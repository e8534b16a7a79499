/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "kernels/peak/peak_loop.h"

#define STEP_FMA(s) __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(s) : "v"(x), "v"(w));

INC_PEAK_LOOP(f32_avx512, __m512, _mm512_set1_ps(1), STEP_FMA)
