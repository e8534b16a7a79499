/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of gemm_i8, behind the words of their instruction set (gemm_lanes_*.h) and their tile: MR, NR (two
 * vectors), tile_sums, add_quads. */
#ifndef INC_KERNELS_GEMM_I8_STRIPS_H
#define INC_KERNELS_GEMM_I8_STRIPS_H

#include "kernels/gemm/gemm_i8.h"

#define STRIP struct inc_gemm_i8_strip

static inline size_t strip_bytes(const struct inc_gemm_i8_strip *strip)
{
    return inc_quads_bytes(NR, &strip->order);
}

static inline size_t strip_steps(const struct inc_gemm_i8_strip *strip)
{
    return inc_quads_steps(strip->order.whole);
}

struct strip_job {
    const uint8_t *a;
    size_t lda, ldc;
    int32_t a_zero;
    const float *a_scale, *w_scale, *bias;
    float *c;
    /* of a strip */
    const struct inc_gemm_i8_strip *strip;
    struct inc_share share;
    lanes_i32 start[2]; /* -a_zero * sums */
    vf scale[2], shift[2];
    lanes_mask mask[2];
};

static void begin_strip(struct strip_job *job, const struct inc_gemm_i8_strip *strip, size_t first, size_t n)
{
    job->strip = strip;
    for (size_t j = 0; j < 2; j++) {
        const size_t output = first + LANES * j;
        const lanes_mask mask = outputs_in(output, n);
        job->mask[j] = mask;
        job->start[j] = mul_i32(all_i32(-job->a_zero), load_i32(strip->sums + LANES * j));
        job->scale[j] = load_those(job->w_scale + output, mask);
        job->shift[j] = job->bias ? load_those(job->bias + output, mask) : vf_set1(0);
    }
}

#include "kernels/gemm/gemm_strips.h"

static inline __attribute__((always_inline)) void run_tile(const size_t height, const unsigned bits,
                                                           const struct strip_job *job, size_t row, size_t first)
{
    const struct inc_gemm_i8_strip *strip = job->strip;
    const struct inc_tile_rows rows = inc_tile_rows(job->a + row * job->lda, job->lda);
    struct inc_share share = job->share;
    float *c = job->c + row * job->ldc + first;
    tile_sums sum;
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        sum[i][0] = job->start[0];
        sum[i][1] = job->start[1];
        fetch_outputs(c + i * job->ldc);
    }
    add_quads(height, bits, sum, (const uint8_t *)strip->w, strip->k, &strip->order, &rows, &share);
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const vf row_scale = vf_set1(job->a_scale[row + i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++) {
            const vf value = vf_fma(to_f32(sum[i][j]), vf_mul(row_scale, job->scale[j]), job->shift[j]);
            store_those(c + i * job->ldc + LANES * j, job->mask[j], value);
        }
    }
}

#define INC_GEMM_I8_RUN(name)                                                                                          \
    void inc_gemm_i8_run_##name(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a,          \
                                size_t lda, int32_t a_zero, const float *a_scale, const float *w_scale,                \
                                const float *bias, float *c, size_t ldc)                                               \
    {                                                                                                                  \
        struct strip_job job = {.a = a, .lda = lda, .ldc = ldc, .a_zero = a_zero, .a_scale = a_scale,                  \
                                .w_scale = w_scale, .bias = bias, .c = c};                                             \
        run_strips(tiles_8, &job, m, n, slab_of_bytes(lda), strips);                                                   \
    }

#endif
