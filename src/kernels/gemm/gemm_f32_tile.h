/* SPDX-License-Identifier: Apache-2.0 */
/* The register tile of gemm_f32, written once on the vf vocabulary. A kernel file includes a simd header, defines
 * TILE_MR (6 or 12) and includes this: it gets run_tiles. A tile is `rows` rows by two vectors of outputs.
 * Accumulators are named variables: GCC 12 keeps an array in memory. */
#ifndef INC_KERNELS_GEMM_F32_TILE_H
#define INC_KERNELS_GEMM_F32_TILE_H

#include "kernels/gemm/gemm_f32.h"

#define TILE_NR (2 * VF_LANES)
#define TILE_PREFETCH 8 /* k-steps that weights are fetched ahead */

#define ROWS_1(X) X(0)
#define ROWS_2(X) ROWS_1(X) X(1)
#define ROWS_3(X) ROWS_2(X) X(2)
#define ROWS_4(X) ROWS_3(X) X(3)
#define ROWS_5(X) ROWS_4(X) X(4)
#define ROWS_6(X) ROWS_5(X) X(5)
#define ROWS_7(X) ROWS_6(X) X(6)
#define ROWS_8(X) ROWS_7(X) X(7)
#define ROWS_9(X) ROWS_8(X) X(8)
#define ROWS_10(X) ROWS_9(X) X(9)
#define ROWS_11(X) ROWS_10(X) X(10)
#define ROWS_12(X) ROWS_11(X) X(11)

#define TILE_ZERO(i) vf low##i = vf_set1(0.0f), high##i = vf_set1(0.0f);
/* The empty statement keeps clang from loading all rows' inputs first, which leaves no registers for the sums. */
#define TILE_STEP(i)                                                  \
    {                                                                 \
        const vf x = vf_set1(p[i * lda]);                             \
        low##i = vf_fma(x, w0, low##i);                               \
        high##i = vf_fma(x, w1, high##i);                             \
        __asm__ volatile("" : "+v"(low##i), "+v"(high##i)::"memory"); \
    }
/* C is fetched while the sums are made: without this the stores cost 10 % of a sparse tile. */
#define TILE_FETCH(i)                   \
    __builtin_prefetch(c + i * ldc, 1); \
    __builtin_prefetch(c + i * ldc + VF_LANES, 1);
#define TILE_BIAS(i)              \
    low##i = vf_add(low##i, b0);  \
    high##i = vf_add(high##i, b1);
#define TILE_STORE(i)                        \
    vf_store(c + i * ldc, low##i);           \
    vf_store(c + i * ldc + VF_LANES, high##i);
#define TILE_STORE_N(i)                               \
    vf_store_n(c + i * ldc, low##i, n0);              \
    if (n1) vf_store_n(c + i * ldc + VF_LANES, high##i, n1);

/* Fetching past the end of a strip is harmless. */
#define TILE_LOAD                                         \
    const vf w0 = vf_load(w), w1 = vf_load(w + VF_LANES); \
    __builtin_prefetch(w + TILE_PREFETCH * TILE_NR);      \
    if (VF_LANES > 8) __builtin_prefetch(w + TILE_PREFETCH * TILE_NR + VF_LANES);

#define TILE_FN(rows)                                                                                             \
    static void tile_##rows(size_t n, const struct inc_gemm_f32_strip *strip, const float *a, size_t lda,         \
                            const float *bias, float *c, size_t ldc)                                              \
    {                                                                                                             \
        const float *w = strip->w, *const end = w + (size_t)strip->n_steps * TILE_NR;                             \
        const uint32_t *k = strip->k;                                                                             \
        const size_t n0 = n < VF_LANES ? n : VF_LANES, n1 = n - n0;                                               \
        ROWS_##rows(TILE_FETCH)                                                                                   \
        ROWS_##rows(TILE_ZERO)                                                                                    \
        if (k) {                                                                                                  \
            for (; w < end; w += TILE_NR) {                                                                       \
                const float *p = a + *k++;                                                                        \
                TILE_LOAD                                                                                         \
                ROWS_##rows(TILE_STEP)                                                                            \
            }                                                                                                     \
        } else {                                                                                                  \
            for (const float *p = a; w < end; w += TILE_NR, p++) {                                                \
                TILE_LOAD                                                                                         \
                ROWS_##rows(TILE_STEP)                                                                            \
            }                                                                                                     \
        }                                                                                                         \
        if (bias) {                                                                                               \
            const vf b0 = vf_load_n(bias, n0), b1 = n1 ? vf_load_n(bias + VF_LANES, n1) : vf_set1(0.0f);          \
            ROWS_##rows(TILE_BIAS)                                                                                \
        }                                                                                                         \
        if (n == TILE_NR) {                                                                                       \
            ROWS_##rows(TILE_STORE)                                                                               \
        } else {                                                                                                  \
            ROWS_##rows(TILE_STORE_N)                                                                             \
        }                                                                                                         \
    }

TILE_FN(1)
TILE_FN(2)
TILE_FN(3)
TILE_FN(4)
TILE_FN(5)
TILE_FN(6)
#if TILE_MR > 6
TILE_FN(7)
TILE_FN(8)
TILE_FN(9)
TILE_FN(10)
TILE_FN(11)
TILE_FN(12)
#endif

typedef void tile_fn(size_t n, const struct inc_gemm_f32_strip *strip, const float *a, size_t lda, const float *bias,
                     float *c, size_t ldc);

/* m rows in as few tiles as possible, their heights equal but for one row: no thin remainder. */
static void run_tiles(size_t m, size_t n, const struct inc_gemm_f32_strip *strip, const float *a, size_t lda,
                      const float *bias, float *c, size_t ldc)
{
    static tile_fn *const tiles[TILE_MR] = {
        tile_1, tile_2, tile_3, tile_4, tile_5, tile_6,
#if TILE_MR > 6
        tile_7, tile_8, tile_9, tile_10, tile_11, tile_12,
#endif
    };
    for (size_t left = (m + TILE_MR - 1) / TILE_MR; left; left--) {
        const size_t rows = (m + left - 1) / left;
        tiles[rows - 1](n, strip, a, lda, bias, c, ldc);
        m -= rows;
        a += rows * lda;
        c += rows * ldc;
    }
}

#endif
