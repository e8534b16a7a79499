/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/simd_avx512.h"

enum { MR = 12 };

#define TILE_AT 2 /* 32 instructions and 22 loads for 24 products, not 38 and 14 */

static inline vf fma_at(const float *x, vf w, vf sum)
{
    __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*x));
    return sum;
}

#include "kernels/gemm/gemm_f32_tile.h"

INC_TILES(12, 32)

void inc_gemm_f32_run_avx512(size_t m, size_t n, const struct inc_gemm_f32_strip *strips, const float *a, size_t lda,
                         const float *bias, float *c, size_t ldc)
{
    struct strip_job job = {.a = a, .bias = bias, .lda = lda, .ldc = ldc, .c = c};
    run_strips(tiles_32, &job, m, n, SLAB_ROWS, strips);
}
