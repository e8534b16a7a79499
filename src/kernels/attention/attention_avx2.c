/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/simd_avx2.h"

/* Four values from p and four from p + stride. */
static inline vf gather_lanes(const float *p, size_t stride)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + stride), 1);
}

#define ROWS_NR 16

/* Transposes the 4x4 matrix in each group of four lanes; row i goes to out + i * ROWS_NR. */
static inline void store_transposed(vf x0, vf x1, vf x2, vf x3, float *out)
{
    const __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(x0, x1)), b = _mm256_castps_pd(_mm256_unpackhi_ps(x0, x1));
    const __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(x2, x3)), d = _mm256_castps_pd(_mm256_unpackhi_ps(x2, x3));
    vf_store(out, _mm256_castpd_ps(_mm256_unpacklo_pd(a, c)));
    vf_store(out + ROWS_NR, _mm256_castpd_ps(_mm256_unpackhi_pd(a, c)));
    vf_store(out + 2 * ROWS_NR, _mm256_castpd_ps(_mm256_unpacklo_pd(b, d)));
    vf_store(out + 3 * ROWS_NR, _mm256_castpd_ps(_mm256_unpackhi_pd(b, d)));
}

#define ROWS_TRANSPOSE
#include "kernels/attention/attention_rows.h"

ATTENTION_KERNEL(avx2, INCISE_ISA_AVX2, NULL)
