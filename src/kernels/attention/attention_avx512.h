/* SPDX-License-Identifier: Apache-2.0 */
/* The row functions on 16 lanes; included by the kernel files of AVX-512 and up. */
#ifndef INC_KERNELS_ATTENTION_AVX512_H
#define INC_KERNELS_ATTENTION_AVX512_H

#include "kernels/act/simd_avx512.h"

/* Four values from each of p, p + stride, p + 2*stride, p + 3*stride. */
static inline vf gather_lanes(const float *p, size_t stride)
{
    vf x = _mm512_castps128_ps512(_mm_loadu_ps(p));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p + stride), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 2 * stride), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps(p + 3 * stride), 3);
}

#define ROWS_NR 32

/* Transposes the 4x4 matrix in each group of four lanes; row i goes to out + i * ROWS_NR. */
static inline void store_transposed(vf x0, vf x1, vf x2, vf x3, float *out)
{
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(x0, x1)), b = _mm512_castps_pd(_mm512_unpackhi_ps(x0, x1));
    const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(x2, x3)), d = _mm512_castps_pd(_mm512_unpackhi_ps(x2, x3));
    vf_store(out, _mm512_castpd_ps(_mm512_unpacklo_pd(a, c)));
    vf_store(out + ROWS_NR, _mm512_castpd_ps(_mm512_unpackhi_pd(a, c)));
    vf_store(out + 2 * ROWS_NR, _mm512_castpd_ps(_mm512_unpacklo_pd(b, d)));
    vf_store(out + 3 * ROWS_NR, _mm512_castpd_ps(_mm512_unpackhi_pd(b, d)));
}

#define ROWS_TRANSPOSE
#include "kernels/attention/attention_rows.h"

#endif
