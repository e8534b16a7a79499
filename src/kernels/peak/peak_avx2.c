/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "kernels/peak/peak_loop.h"

#define STEP_FMA(s) __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(s) : "x"(x), "x"(w));
/* 8-bit weights: two products fit in 16 bits, so that all are widened at once. */
#define STEP_INT8(s)                                                                       \
    {                                                                                      \
        __m256i t;                                                                         \
        __asm__ volatile("vpmaddubsw %3, %2, %1\n\tvpmaddwd %2, %1, %1\n\tvpaddd %1, %0, %0" \
                         : "+x"(s), "=&x"(t)                                               \
                         : "x"(x), "x"(w));                                                \
    }
/* 4-bit weights: sixteen products fit in 16 bits (gemm_group.h), and are widened together. */
#define MADD_16 "vpmaddubsw %4, %3, %2\n\tvpaddw %2, %1, %1\n\t"
#define STEP_INT4(s)                                                                                            \
    {                                                                                                           \
        __m256i t, u;                                                                                           \
        __asm__ volatile("vpmaddubsw %4, %3, %1\n\t" MADD_16 MADD_16 MADD_16 MADD_16 MADD_16 MADD_16 MADD_16     \
                         "vpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0"                                             \
                         : "+x"(s), "=&x"(t), "=&x"(u)                                                          \
                         : "x"(x), "x"(w));                                                                     \
    }

INC_PEAK_LOOP(f32_avx2, __m256, _mm256_set1_ps(1), STEP_FMA)
INC_PEAK_LOOP(int8_avx2, __m256i, _mm256_set1_epi8(1), STEP_INT8)
INC_PEAK_LOOP(int4_avx2, __m256i, _mm256_set1_epi8(1), STEP_INT4)
