/* SPDX-License-Identifier: Apache-2.0 */
/* Words for vectors of outputs beside those of act/simd_avx2.h; gemm_lanes_avx512.h has the same ones. */
#ifndef INC_KERNELS_GEMM_LANES_H
#define INC_KERNELS_GEMM_LANES_H

#include "base/size.h"
#include "kernels/act/simd_avx2.h"

enum { LANES = VF_LANES };
typedef __m256i lanes_i32, lanes_mask;

/* Of n outputs, those of a vector whose first is `first`. */
static inline lanes_mask outputs_in(size_t first, size_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n > first ? inc_min_size(n - first, LANES) : 0)), lanes);
}

#define load_i32(p)             _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define load_those(p, mask)     _mm256_maskload_ps(p, mask) /* 0 for the others */
#define store_those(p, mask, x) _mm256_maskstore_ps(p, mask, x)
#define all_i32(x)              _mm256_set1_epi32(x)
#define mul_i32(x, y)           _mm256_mullo_epi32(x, y)
#define to_f32(x)               _mm256_cvtepi32_ps(x)

#endif
