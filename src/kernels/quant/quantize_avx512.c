/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "kernels/act/simd_avx512.h"

typedef __m512i vu;

static inline vu vu_zero(void) { return _mm512_setzero_si512(); }
static inline vu vu_max_size(vu a, vf x) { return _mm512_max_epu32(a, _mm512_castps_si512(vf_abs(x))); }
static inline uint32_t vu_reduce_max(vu a) { return _mm512_reduce_max_epu32(a); }

static inline void store_u8(uint8_t *q, vf x, int32_t zero, size_t n)
{
    const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(zero));
    _mm_mask_storeu_epi8(q, vf_mask_n(n), _mm512_cvtepi32_epi8(whole));
}

#define KERNEL(name) name##_avx512
#include "kernels/quant/quantize_rows.h"
