/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "kernels/act/simd_avx512.h"

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

static inline void store_u8_4(uint8_t *q, const vf x[4], int32_t zero, size_t n)
{
    const __m512i add = _mm512_set1_epi16((int16_t)zero);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i x01 = _mm512_packs_epi32(_mm512_cvtps_epi32(x[0]), _mm512_cvtps_epi32(x[1]));
    const __m512i x23 = _mm512_packs_epi32(_mm512_cvtps_epi32(x[2]), _mm512_cvtps_epi32(x[3]));
    const __m512i bytes = _mm512_packus_epi16(_mm512_add_epi16(x01, add), _mm512_add_epi16(x23, add));
    _mm512_mask_storeu_epi8(q, _bzhi_u64(UINT64_MAX, (unsigned)n), _mm512_permutexvar_epi32(order, bytes));
}

static inline vf vf_load_s8(const int8_t *q)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)q)));
}

#define KERNEL(name) name##_avx512
#include "kernels/quant/quantize_rows.h"
