/* SPDX-License-Identifier: Apache-2.0 */
/* The vector vocabulary of the row kernels, one lane wide. simd_avx2.h and simd_avx512.h define the same names, so a
 * kernel is written once and compiled per instruction set: include exactly one of the three, in a *_ref.c, *_avx2.c
 * or *_avx512.c file.
 *   load_n / store_n  touch the first n lanes only, n in [0, VF_LANES]; lanes not loaded are 0
 *   max, min          return b when either operand is NaN
 *   fma, fnma         a*b + c and c - a*b, rounded once
 *   round             to nearest, ties to even
 *   scale2(x, n)      x * 2^n, rounded once; n is integral, in [-160, 160] unless x is NaN
 *   power2(t)         2^n for t = n + VF_ROUND, n in [-126, 127]; else anything
 *   select_lt         lane-wise a < b ? yes : no
 *   select_n          the first n lanes from yes, the others from no */
#ifndef INC_KERNELS_SIMD_H
#define INC_KERNELS_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VF_LANES 1u

typedef float vf;

static inline vf vf_set1(float x) { return x; }
static inline vf vf_load(const float *p) { return *p; }
static inline vf vf_load_n(const float *p, size_t n) { return n ? *p : 0.0f; }
static inline void vf_store(float *p, vf x) { *p = x; }

static inline void vf_store_n(float *p, vf x, size_t n)
{
    if (n) *p = x;
}

static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_div(vf a, vf b) { return a / b; }
static inline vf vf_fma(vf a, vf b, vf c) { return fmaf(a, b, c); }
static inline vf vf_fnma(vf a, vf b, vf c) { return fmaf(-a, b, c); }
static inline vf vf_sqrt(vf a) { return sqrtf(a); }
static inline vf vf_max(vf a, vf b) { return a > b ? a : b; }
static inline vf vf_min(vf a, vf b) { return a < b ? a : b; }
static inline vf vf_abs(vf a) { return fabsf(a); }
static inline vf vf_copysign(vf size, vf sign) { return copysignf(size, sign); }
static inline vf vf_round(vf a) { return rintf(a); }
static inline vf vf_select_lt(vf a, vf b, vf yes, vf no) { return a < b ? yes : no; }
static inline vf vf_select_n(size_t n, vf yes, vf no) { return n ? yes : no; }
static inline vf vf_scale2(vf x, vf n) { return isnan(x) ? x : ldexpf(x, (int)n); }

static inline vf vf_power2(vf t)
{
    uint32_t bits;
    memcpy(&bits, &t, sizeof bits);
    bits <<= 23;
    memcpy(&t, &bits, sizeof t);
    return t;
}

static inline float vf_reduce_add(vf a) { return a; }
static inline float vf_reduce_max(vf a) { return a; }

#include "kernels/act/simd_math.h"

#endif
