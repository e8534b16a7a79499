/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "kernels/act/simd_avx512.h"
#include "kernels/quant/size_avx512.h"

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
