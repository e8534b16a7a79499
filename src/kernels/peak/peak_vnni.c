/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "kernels/peak/peak_loop.h"

#define STEP_DOT(s) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(x), "v"(w));

INC_PEAK_LOOP(int8_vnni, __m512i, _mm512_set1_epi8(1), STEP_DOT)
