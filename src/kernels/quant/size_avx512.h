/* SPDX-License-Identifier: Apache-2.0 */
/* The largest |x| of rows by their bits, which order NaN > infinity > any number. Behind act/simd_avx512.h. */
#ifndef INC_KERNELS_SIZE_AVX512_H
#define INC_KERNELS_SIZE_AVX512_H

typedef __m512i vu;

static inline vu vu_zero(void) { return _mm512_setzero_si512(); }
static inline vu vu_max_size(vu a, vf x) { return _mm512_max_epu32(a, _mm512_castps_si512(vf_abs(x))); }

/* Transposes within 128 bits on the way: lane i of what is left is a[i]'s. */
static inline void vu_reduce_max_4(const vu a[4], uint32_t bits[4])
{
    const __m512i x01 = _mm512_max_epu32(_mm512_unpacklo_epi32(a[0], a[1]), _mm512_unpackhi_epi32(a[0], a[1]));
    const __m512i x23 = _mm512_max_epu32(_mm512_unpacklo_epi32(a[2], a[3]), _mm512_unpackhi_epi32(a[2], a[3]));
    const __m512i x = _mm512_max_epu32(_mm512_unpacklo_epi64(x01, x23), _mm512_unpackhi_epi64(x01, x23));
    const __m256i half = _mm256_max_epu32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    const __m128i quarter = _mm_max_epu32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    _mm_storeu_si128((__m128i *)(void *)bits, quarter);
}

#endif
