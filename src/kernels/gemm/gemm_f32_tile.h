/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_f32 written once on the vf vocabulary. A kernel file includes a simd header, defines MR (6 or 12), TILE_AT and
 * fma_at, and includes this; INC_TILES then makes tiles of `height` rows by two vectors of outputs.
 *   TILE_AT                of three rows, those whose input the products take from memory, not from a register
 *   fma_at(x, w, sum)      sum + *x * w */
#ifndef INC_KERNELS_GEMM_F32_TILE_H
#define INC_KERNELS_GEMM_F32_TILE_H

#include "base/size.h"
#include "kernels/gemm/gemm_ahead.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_tile_rows.h"
#include "kernels/unroll.h"

enum { NR = 2 * VF_LANES };

#define UNROLL    4   /* k-steps per iteration (strip->fours): what is not arithmetic counts on a core that is shared */
#define SLAB_ROWS 132 /* whole tiles; A and C of so many rows stay in L2 while all strips pass over them */

#define STRIP struct inc_gemm_f32_strip
typedef vf tile_sums[MR][2];

struct strip_job {
    const float *a, *bias;
    size_t lda, ldc;
    float *c;
    /* of a strip */
    const struct inc_gemm_f32_strip *strip;
    struct inc_share share;
    size_t n; /* outputs */
};

static void begin_strip(struct strip_job *job, const struct inc_gemm_f32_strip *strip, size_t first, size_t n)
{
    job->strip = strip;
    job->n = inc_min_size(NR, n - first);
}

static inline size_t strip_bytes(const struct inc_gemm_f32_strip *strip)
{
    return strip->n_steps * NR * sizeof(float);
}

static inline size_t strip_steps(const struct inc_gemm_f32_strip *strip)
{
    return strip->n_steps / UNROLL + strip->n_steps % UNROLL;
}

#include "kernels/gemm/gemm_strips.h"

/* sum += x * w. Of the forms of this instruction GCC 12 takes others, too, that overwrite x or w, and moves sums. */
#define ADD_PRODUCT(sum, x, w) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))

/* sum += the inputs at byte `offset` of the rows times w: one k-step. */
static inline __attribute__((always_inline)) void add_step(const size_t height, tile_sums sum, const float *w,
                                                           struct inc_tile_rows *rows, const size_t offset)
{
    const vf w0 = vf_load(w), w1 = vf_load(w + VF_LANES);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        inc_tile_rows_hide(rows, i);
        const float *x = (const float *)(const void *)inc_tile_at(rows, i, offset);
        if ((int)(i % 3) < TILE_AT) {
            sum[i][0] = fma_at(x, w0, sum[i][0]);
            sum[i][1] = fma_at(x, w1, sum[i][1]);
        } else {
            const vf in_register = vf_set1(*x);
            ADD_PRODUCT(sum[i][0], in_register, w0);
            ADD_PRODUCT(sum[i][1], in_register, w1);
        }
        /* Keeps clang from loading all rows' inputs first, which leaves no registers for the sums. */
        __asm__ volatile("" : "+v"(sum[i][0]), "+v"(sum[i][1]) : : "memory");
    }
}

/* sum += the strip: fours of neighbours with one address, other fours, and the rest. */
static inline __attribute__((always_inline)) void add_strip(const size_t height, tile_sums sum,
                                                            const struct inc_gemm_f32_strip *strip,
                                                            const struct inc_tile_rows *rows, struct inc_share *share)
{
    const float *w = strip->w;
    const uint32_t *const k = strip->k;
    const size_t n = strip->n_steps, in_fours = n - n % UNROLL;
    struct inc_tile_rows at = *rows;
    size_t step = 0;
    for (const size_t end = !k || strip->fours ? in_fours : 0; step < end; step += UNROLL, w += UNROLL * NR) {
        inc_tile_rows_to(&at, rows, (k ? k[step] : step) * sizeof(float));
        inc_fetch_share(share);
        INC_UNROLL
        for (size_t i = 0; i < UNROLL; i++) add_step(height, sum, w + i * NR, &at, i * sizeof(float));
    }
    for (; step < in_fours; step += UNROLL, w += UNROLL * NR) {
        inc_fetch_share(share);
        INC_UNROLL
        for (size_t i = 0; i < UNROLL; i++) {
            inc_tile_rows_to(&at, rows, k[step + i] * sizeof(float));
            add_step(height, sum, w + i * NR, &at, 0);
        }
    }
    for (; step < n; step++, w += NR) {
        inc_tile_rows_to(&at, rows, (k ? k[step] : step) * sizeof(float));
        inc_fetch_share(share);
        add_step(height, sum, w, &at, 0);
    }
}

static inline __attribute__((always_inline)) void store_sums(const size_t height, tile_sums sum,
                                                             const struct strip_job *job, const float *bias, float *c)
{
    const size_t n0 = inc_min_size(job->n, VF_LANES), n1 = job->n - n0;
    if (bias) {
        const vf b0 = vf_load_n(bias, n0), b1 = n1 ? vf_load_n(bias + VF_LANES, n1) : b0;
        INC_UNROLL
        for (size_t i = 0; i < height; i++) {
            sum[i][0] = vf_add(sum[i][0], b0);
            sum[i][1] = vf_add(sum[i][1], b1);
        }
    }
    INC_UNROLL
    for (size_t i = 0; i < height; i++, c += job->ldc) {
        if (n1 == VF_LANES) {
            vf_store(c, sum[i][0]);
            vf_store(c + VF_LANES, sum[i][1]);
        } else {
            vf_store_n(c, sum[i][0], n0);
            if (n1) vf_store_n(c + VF_LANES, sum[i][1], n1);
        }
    }
}

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    (void)bits;
    const size_t stride = job->lda * sizeof(float);
    const struct inc_tile_rows rows = inc_tile_rows((const uint8_t *)(job->a + row * job->lda), stride);
    struct inc_share share = job->share;
    float *c = job->c + row * job->ldc + first;
    tile_sums sum;
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        sum[i][0] = sum[i][1] = vf_set1(0.0f);
        /* C is fetched while the sums are made: without this the stores cost 10 % of a sparse tile. */
        __builtin_prefetch(c + i * job->ldc, 1);
        if (VF_LANES > 8) __builtin_prefetch(c + i * job->ldc + VF_LANES, 1);
    }
    add_strip(height, sum, job->strip, &rows, &share);
    store_sums(height, sum, job, job->bias ? job->bias + first : NULL, c);
}

#endif
