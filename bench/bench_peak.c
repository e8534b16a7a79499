/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "bench.h"

#define SUMS 12 /* enough to hide the latency of any of these instructions */

/* Twelve independent sums on registers; a step of one makes `products` products. */
#define PEAK_FN(name, isa, type, set1, products, iterations, step)                            \
    __attribute__((target(isa))) static double name(void)                                     \
    {                                                                                         \
        const type x = set1(0x3f800000), w = x, one = set1(0x00010001);                       \
        type t = x, s0 = x, s1 = x, s2 = x, s3 = x, s4 = x, s5 = x;                           \
        type s6 = x, s7 = x, s8 = x, s9 = x, sa = x, sb = x;                                  \
        const double start = bench_seconds();                                                 \
        for (int i = 0; i < (iterations); i++) {                                              \
            step(s0) step(s1) step(s2) step(s3) step(s4) step(s5)                             \
            step(s6) step(s7) step(s8) step(s9) step(sa) step(sb)                             \
        }                                                                                     \
        (void)one, (void)t;                                                                   \
        return SUMS * 2.0 * (products) * (iterations) / (bench_seconds() - start) * 1e-9;     \
    }

#define STEP_FMA_256(s) __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(s) : "x"(x), "x"(w));
#define STEP_FMA_512(s) __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(s) : "v"(x), "v"(w));
#define STEP_DOT_512(s) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(x), "v"(w));
/* 8-bit weights: two products fit in 16 bits, so that all are widened at once. */
#define STEP_I8_256(s)                                                                   \
    __asm__ volatile("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0" \
                     : "+x"(s), "=&x"(t)                                                 \
                     : "x"(x), "x"(w), "x"(one));
/* 4-bit weights: sixteen products fit in 16 bits (gemm_group.h), and are widened together. */
#define MADD_16 "vpmaddubsw %4, %3, %2\n\tvpaddw %2, %1, %1\n\t"
#define STEP_I4_256(s)                                                                                             \
    {                                                                                                              \
        type_256 u;                                                                                                \
        __asm__ volatile("vpmaddubsw %4, %3, %1\n\t" MADD_16 MADD_16 MADD_16 MADD_16 MADD_16 MADD_16 MADD_16        \
                         "vpmaddwd %5, %1, %1\n\tvpaddd %1, %0, %0"                                                \
                         : "+x"(s), "=&x"(t), "=&x"(u)                                                             \
                         : "x"(x), "x"(w), "x"(one));                                                              \
    }
typedef __m256i type_256;

PEAK_FN(fma_256, "avx2,fma", __m256i, _mm256_set1_epi32, 8, 200000, STEP_FMA_256)
PEAK_FN(fma_512, "avx512f", __m512i, _mm512_set1_epi32, 16, 200000, STEP_FMA_512)
PEAK_FN(i8_256, "avx2", __m256i, _mm256_set1_epi32, 32, 100000, STEP_I8_256)
PEAK_FN(i4_256, "avx2", __m256i, _mm256_set1_epi32, 256, 20000, STEP_I4_256)
PEAK_FN(dot_512, "avx512f,avx512vnni", __m512i, _mm512_set1_epi32, 64, 200000, STEP_DOT_512)

const char *const bench_peak_names[] = {"FMA 256", "FMA 512", "8-bit products 256", "4-bit products 256",
                                        "dot product 512"};

enum incise_isa bench_peak_isa(enum bench_peak peak)
{
    if (peak == BENCH_PEAK_DOT_512) return INCISE_ISA_VNNI;
    return peak == BENCH_PEAK_FMA_512 ? INCISE_ISA_AVX512 : INCISE_ISA_AVX2;
}

enum bench_peak bench_peak_widest(enum bench_peak peak, enum incise_isa isa)
{
    if (peak == BENCH_PEAK_FMA_256 && isa >= INCISE_ISA_AVX512) return BENCH_PEAK_FMA_512;
    return peak == BENCH_PEAK_I8_256 && isa >= INCISE_ISA_VNNI ? BENCH_PEAK_DOT_512 : peak;
}

double bench_peak(enum bench_peak peak)
{
    static double (*const peaks[])(void) = {fma_256, fma_512, i8_256, i4_256, dot_512};
    return peaks[peak]();
}

enum bench_peak bench_peak_f32(enum incise_isa isa)
{
    return bench_peak_widest(BENCH_PEAK_FMA_256, isa);
}

__attribute__((target("avx2"))) double bench_read_rate(const void *data, size_t bytes)
{
    const __m256i *p = data;
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    const double start = bench_seconds();
    for (size_t i = 0; i + 4 <= bytes / sizeof *p; i += 4) {
        _mm_prefetch((const char *)(p + i + 128), _MM_HINT_T0);
        _mm_prefetch((const char *)(p + i + 130), _MM_HINT_T0);
        a = _mm256_xor_si256(a, _mm256_loadu_si256(p + i));
        b = _mm256_xor_si256(b, _mm256_loadu_si256(p + i + 1));
        c = _mm256_xor_si256(c, _mm256_loadu_si256(p + i + 2));
        d = _mm256_xor_si256(d, _mm256_loadu_si256(p + i + 3));
    }
    __asm__ volatile("" : : "x"(a), "x"(b), "x"(c), "x"(d));
    return (double)bytes / (bench_seconds() - start) * 1e-9;
}
