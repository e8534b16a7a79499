/* SPDX-License-Identifier: Apache-2.0 */
/* Words for vectors of outputs beside those of act/simd_avx512.h; gemm_lanes_avx2.h has the same ones. */
#ifndef INC_KERNELS_GEMM_LANES_H
#define INC_KERNELS_GEMM_LANES_H

#include "base/size.h"
#include "kernels/act/simd_avx512.h"

enum { LANES = VF_LANES };
typedef __m512i lanes_i32;
typedef __mmask16 lanes_mask;

/* Of n outputs, those of a vector whose first is `first`. */
static inline lanes_mask outputs_in(size_t first, size_t n)
{
    return (__mmask16)_bzhi_u32(0xffff, (unsigned)(n > first ? inc_min_size(n - first, LANES) : 0));
}

#define load_i32(p)             _mm512_loadu_si512(p)
#define load_those(p, mask)     _mm512_maskz_loadu_ps(mask, p) /* 0 for the others */
#define store_those(p, mask, x) _mm512_mask_storeu_ps(p, mask, x)
#define all_i32(x)              _mm512_set1_epi32(x)
#define mul_i32(x, y)           _mm512_mullo_epi32(x, y)
#define to_f32(x)               _mm512_cvtepi32_ps(x)

#endif
