/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/simd_avx2.h"

enum { MR = 6 };

#define TILE_AT 0

static inline vf fma_at(const float *x, vf w, vf sum)
{
    return vf_fma(vf_set1(*x), w, sum);
}

#include "kernels/gemm/gemm_f32_tile.h"

INC_TILES(6, 32)

void inc_gemm_f32_run_avx2(size_t m, size_t n, const struct inc_gemm_f32_strip *strips, const float *a, size_t lda,
                         const float *bias, float *c, size_t ldc)
{
    struct strip_job job = {.a = a, .bias = bias, .lda = lda, .ldc = ldc, .c = c};
    run_strips(tiles_32, &job, m, n, SLAB_ROWS, strips);
}
