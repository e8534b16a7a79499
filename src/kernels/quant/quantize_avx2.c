/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernels/act/simd_avx2.h"

typedef __m256i vu;

static inline vu vu_zero(void) { return _mm256_setzero_si256(); }
static inline vu vu_max_size(vu a, vf x) { return _mm256_max_epu32(a, _mm256_castps_si256(vf_abs(x))); }

/* Transposes within 128 bits on the way: lane i of what is left is a[i]'s. */
static inline void vu_reduce_max_4(const vu a[4], uint32_t bits[4])
{
    const __m256i x01 = _mm256_max_epu32(_mm256_unpacklo_epi32(a[0], a[1]), _mm256_unpackhi_epi32(a[0], a[1]));
    const __m256i x23 = _mm256_max_epu32(_mm256_unpacklo_epi32(a[2], a[3]), _mm256_unpackhi_epi32(a[2], a[3]));
    const __m256i x = _mm256_max_epu32(_mm256_unpacklo_epi64(x01, x23), _mm256_unpackhi_epi64(x01, x23));
    const __m128i half = _mm_max_epu32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storeu_si128((__m128i *)(void *)bits, half);
}

static inline void store_u8_4(uint8_t *q, const vf x[4], int32_t zero, size_t n)
{
    const __m256i add = _mm256_set1_epi16((int16_t)zero), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i x01 = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
    const __m256i x23 = _mm256_packs_epi32(_mm256_cvtps_epi32(x[2]), _mm256_cvtps_epi32(x[3]));
    const __m256i mixed = _mm256_packus_epi16(_mm256_add_epi16(x01, add), _mm256_add_epi16(x23, add));
    const __m256i bytes = _mm256_permutevar8x32_epi32(mixed, order);
    if (n == 32)
        _mm256_storeu_si256((__m256i *)(void *)q, bytes);
    else
        memcpy(q, &bytes, n);
}

static inline vf vf_load_s8(const int8_t *q)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)q)));
}

#define KERNEL(name) name##_avx2
#include "kernels/quant/quantize_rows.h"
