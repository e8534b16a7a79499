/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of gemm_group, behind the words of their instruction set (gemm_lanes_*.h) and their tile's MR, NR (two
 * vectors) and tile_sums. */
#ifndef INC_KERNELS_GEMM_GROUP_STRIPS_H
#define INC_KERNELS_GEMM_GROUP_STRIPS_H

#include "kernels/gemm/gemm_group.h"

#define STRIP struct inc_gemm_group_strip

static inline size_t strip_bytes(const struct inc_gemm_group_strip *strip)
{
    return strip->bytes;
}

static inline size_t strip_steps(const struct inc_gemm_group_strip *strip)
{
    return strip->n_steps;
}

struct strip_job {
    const uint8_t *a;
    size_t lda, ldc;
    const float *a_scale, *bias;
    float *c;
    int32_t zero; /* what a group's sums are multiplied by to start from: -a_zero, or `times` that */
    float unit;   /* of the sums: 1, or 1 / times */
    struct unpacked *unpacked; /* where gemm_group_i4_avx2.c keeps a strip */
    /* of a strip */
    const struct inc_gemm_group_strip *strip;
    struct inc_share share;
    vf shift[2];
    lanes_mask mask[2];
};

static void begin_strip(struct strip_job *job, const struct inc_gemm_group_strip *strip, size_t first, size_t n)
{
    job->strip = strip;
    for (size_t j = 0; j < 2; j++) {
        const size_t output = first + LANES * j;
        job->mask[j] = outputs_in(output, n);
        job->shift[j] = job->bias ? load_those(job->bias + output, job->mask[j]) : vf_set1(0);
    }
}

#include "kernels/gemm/gemm_strips.h"

/* A group of a strip: its quads. Which of them are light is not known. */
struct group {
    const uint8_t *w;
    const uint16_t *k;
    struct inc_quads_order order;
};

/* `w`: where the strip's quads are, of `bits` a weight. */
static inline struct group group_of(const struct inc_gemm_group_strip *strip, size_t g, const uint8_t *w,
                                    const unsigned bits)
{
    const size_t begin = g ? strip->ends[g - 1] : 0;
    return (struct group){.w = w + begin * NR * bits / 2, .k = strip->k + begin,
                          .order = {.fours = strip->n_fours[g], .whole = strip->ends[g] - begin}};
}

/* What the sums of a group start from. */
static inline __attribute__((always_inline)) void begin_group(const size_t height, const struct strip_job *job,
                                                              size_t g, tile_sums sum)
{
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const lanes_i32 start = mul_i32(all_i32(job->zero), load_i32(job->strip->sums + g * NR + LANES * j));
        INC_UNROLL
        for (size_t i = 0; i < height; i++) sum[i][j] = start;
    }
}

/* total += the sums of a group, scaled. */
static inline __attribute__((always_inline)) void end_group(const size_t height, const struct strip_job *job, size_t g,
                                                            tile_sums sum, vf total[MR][2])
{
    INC_UNROLL
    for (size_t j = 0; j < 2; j++) {
        const vf scale = vf_mul(vf_set1(job->unit), vf_load(job->strip->scale + g * NR + LANES * j));
        INC_UNROLL
        for (size_t i = 0; i < height; i++) total[i][j] = vf_fma(to_f32(sum[i][j]), scale, total[i][j]);
    }
}

static inline __attribute__((always_inline)) void begin_rows(const size_t height, const struct strip_job *job, float *c,
                                                             vf total[MR][2])
{
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        total[i][0] = total[i][1] = vf_set1(0);
        fetch_outputs(c + i * job->ldc);
    }
}

static inline __attribute__((always_inline)) void store_rows(const size_t height, const struct strip_job *job,
                                                             size_t row, float *c, vf total[MR][2])
{
    INC_UNROLL
    for (size_t i = 0; i < height; i++) {
        const vf row_scale = vf_set1(job->a_scale[row + i]);
        INC_UNROLL
        for (size_t j = 0; j < 2; j++)
            store_those(c + i * job->ldc + LANES * j, job->mask[j], vf_fma(total[i][j], row_scale, job->shift[j]));
    }
}

/* times: what the tile's sums are of the true ones, a power of two. */
#define INC_GEMM_GROUP_RUN(name, bits, times)                                                                          \
    void inc_gemm_group_run_i##bits##_##name(size_t m, size_t n, const struct inc_gemm_group_strip *strips,            \
                                             const uint8_t *a, size_t lda, int32_t a_zero, const float *a_scale,       \
                                             const float *bias, float *c, size_t ldc)                                  \
    {                                                                                                                  \
        struct strip_job job = {.a = a, .lda = lda, .ldc = ldc, .a_scale = a_scale, .bias = bias, .c = c,              \
                                .zero = -(times) * a_zero, .unit = 1.0f / (times)};                                    \
        run_strips(tiles_##bits, &job, m, n, slab_of_bytes(lda), strips);                                              \
    }

#endif
