/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_f32 written once on the vf vocabulary. A kernel file includes a simd header, defines TILE_MR (6 or 12), TILE_AT
 * and fma_at, and includes this: it gets run_strips. A tile is `rows` rows by two vectors of outputs.
 *   TILE_AT                of three rows, those whose input the products take from memory, not from a register
 *   fma_at(x, w, sum)      sum + *x * w */
#ifndef INC_KERNELS_GEMM_F32_TILE_H
#define INC_KERNELS_GEMM_F32_TILE_H

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/unroll.h"

#define TILE_NR   (2 * VF_LANES)
#define UNROLL    4   /* k-steps per iteration: what is not arithmetic counts on a core that is shared */
#define SLAB_ROWS 132 /* whole tiles; A and C of so many rows stay in L2 while all strips pass over them */

/* What a tile needs besides its rows: one strip of one call. */
struct strip_job {
    const struct inc_gemm_f32_strip *strip;
    size_t lda, ldc, n;
    struct inc_share share; /* of the next strip */
    const float *bias;
};

/* sum += a[i * lda] * w for all rows: one k-step. */
static inline __attribute__((always_inline)) void add_step(const size_t rows, vf sum[TILE_MR][2], const float *w,
                                                           const float *a, size_t lda)
{
    const vf w0 = vf_load(w), w1 = vf_load(w + VF_LANES);
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) {
        const float *x = &a[i % 3 * lda];
        if ((int)(i % 3) < TILE_AT) {
            sum[i][0] = fma_at(x, w0, sum[i][0]);
            sum[i][1] = fma_at(x, w1, sum[i][1]);
        } else {
            const vf in_register = vf_set1(*x);
            sum[i][0] = vf_fma(in_register, w0, sum[i][0]);
            sum[i][1] = vf_fma(in_register, w1, sum[i][1]);
        }
        /* Keeps clang from loading all rows' inputs first, which leaves no registers for the sums. */
        __asm__ volatile("" : "+v"(sum[i][0]), "+v"(sum[i][1]) : : "memory");
        /* One pointer per three rows, reached as a + {0, 1, 2} * lda; hidden, or GCC keeps twelve and spills. */
        if (i % 3 == 2) {
            a += 3 * lda;
            __asm__("" : "+r"(a));
        }
    }
}

static inline __attribute__((always_inline)) void store_sums(const size_t rows, vf sum[TILE_MR][2],
                                                             const struct strip_job *job, float *c)
{
    const size_t n0 = inc_min_size(job->n, VF_LANES), n1 = job->n - n0;
    if (job->bias) {
        const vf b0 = vf_load_n(job->bias, n0), b1 = n1 ? vf_load_n(job->bias + VF_LANES, n1) : b0;
        INC_UNROLL
        for (size_t i = 0; i < rows; i++) {
            sum[i][0] = vf_add(sum[i][0], b0);
            sum[i][1] = vf_add(sum[i][1], b1);
        }
    }
    INC_UNROLL
    for (size_t i = 0; i < rows; i++, c += job->ldc) {
        if (n1 == VF_LANES) {
            vf_store(c, sum[i][0]);
            vf_store(c + VF_LANES, sum[i][1]);
        } else {
            vf_store_n(c, sum[i][0], n0);
            if (n1) vf_store_n(c + VF_LANES, sum[i][1], n1);
        }
    }
}

static inline __attribute__((always_inline)) void run_tile(const size_t rows, const struct strip_job *job,
                                                           const float *a, float *c)
{
    vf sum[TILE_MR][2];
    INC_UNROLL
    for (size_t i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = vf_set1(0.0f);
        /* C is fetched while the sums are made: without this the stores cost 10 % of a sparse tile. */
        __builtin_prefetch(c + i * job->ldc, 1);
        if (VF_LANES > 8) __builtin_prefetch(c + i * job->ldc + VF_LANES, 1);
    }
    const size_t lda = job->lda;
    const float *w = job->strip->w;
    const uint32_t *k = job->strip->k;
    const unsigned char *next = job->share.next;
    size_t left = job->strip->n_steps;
    if (k) {
        for (; left >= UNROLL; left -= UNROLL, w += UNROLL * TILE_NR, k += UNROLL) {
            next = inc_fetch_share(next, job->share.lines);
            INC_UNROLL
            for (size_t i = 0; i < UNROLL; i++) add_step(rows, sum, w + i * TILE_NR, a + k[i], lda);
        }
        for (; left; left--, w += TILE_NR) add_step(rows, sum, w, a + *k++, lda);
    }
    for (; left >= UNROLL; left -= UNROLL, w += UNROLL * TILE_NR, a += UNROLL) {
        next = inc_fetch_share(next, job->share.lines);
        INC_UNROLL
        for (size_t i = 0; i < UNROLL; i++) add_step(rows, sum, w + i * TILE_NR, a + i, lda);
    }
    for (; left; left--, w += TILE_NR) add_step(rows, sum, w, a++, lda);
    store_sums(rows, sum, job, c);
}

typedef void tile_fn(const struct strip_job *job, const float *a, float *c);

#define TILE(rows)                                                                \
    static void tile_##rows(const struct strip_job *job, const float *a, float *c) \
    {                                                                             \
        run_tile(rows, job, a, c);                                                \
    }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if TILE_MR > 6
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif

static tile_fn *const tiles[TILE_MR + 1] = {
    NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6,
#if TILE_MR > 6
    tile_7, tile_8, tile_9, tile_10, tile_11, tile_12,
#endif
};

static void run_strips(size_t m, size_t n, const struct inc_gemm_f32_strip *strips, const float *a, size_t lda,
                       const float *bias, float *c, size_t ldc)
{
    struct strip_job job = {.lda = lda, .ldc = ldc};
    for (size_t top = 0; top < m; top += SLAB_ROWS) {
        const size_t height = inc_min_size(SLAB_ROWS, m - top), n_tiles = (height + TILE_MR - 1) / TILE_MR;
        for (size_t first = 0; first < n; first += TILE_NR) {
            job.strip = &strips[first / TILE_NR];
            job.n = inc_min_size(TILE_NR, n - first);
            job.bias = bias ? bias + first : NULL;
            const struct inc_gemm_f32_strip *next = n - first > TILE_NR ? job.strip + 1 : NULL;
            const size_t next_bytes = next ? next->n_steps * (size_t)TILE_NR * sizeof *next->w : 0;
            for (size_t t = 0; t < n_tiles; t++) {
                job.share = inc_share_of(next ? next->w : NULL, next_bytes, t, n_tiles, job.strip->n_steps / UNROLL);
                /* Tiles of nearly equal height: 13 rows are 7 + 6, not 12 + 1. */
                const size_t begin = top + height * t / n_tiles, end = top + height * (t + 1) / n_tiles;
                tiles[end - begin](&job, a + begin * lda, c + begin * ldc + first);
            }
        }
    }
}

#endif
