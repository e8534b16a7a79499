/* SPDX-License-Identifier: Apache-2.0 */
/* What the tiles of integers on AVX2 have in common. */
#ifndef INC_KERNELS_GEMM_LANES_AVX2_H
#define INC_KERNELS_GEMM_LANES_AVX2_H

#include <immintrin.h>

#include "base/size.h"

static inline __m256i load(const void *p)
{
    return _mm256_loadu_si256(p);
}

/* Of n outputs, those of the eight from `first` on. */
static inline __m256i outputs_in(size_t first, size_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n > first ? inc_min_size(n - first, 8) : 0)), lanes);
}

#endif
