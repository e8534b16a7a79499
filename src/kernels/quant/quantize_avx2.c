/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernels/act/simd_avx2.h"

typedef __m256i vu;

static inline vu vu_zero(void) { return _mm256_setzero_si256(); }
static inline vu vu_max_size(vu a, vf x) { return _mm256_max_epu32(a, _mm256_castps_si256(vf_abs(x))); }

static inline uint32_t vu_reduce_max(vu a)
{
    __m128i x = _mm_max_epu32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_max_epu32(x, _mm_shuffle_epi32(x, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(x, _mm_shuffle_epi32(x, 0xb1)));
}

static inline void store_u8(uint8_t *q, vf x, int32_t zero, size_t n)
{
    const __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(zero));
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    const int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    memcpy(q, &bytes, n);
}

#define KERNEL(name) name##_avx2
#include "kernels/quant/quantize_rows.h"
