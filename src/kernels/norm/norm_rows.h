/* SPDX-License-Identifier: Apache-2.0 */
/* The norms, written once on the vf vocabulary: a kernel file includes a simd header, defines KERNEL(name), and
 * includes this. */
#ifndef INC_KERNELS_NORM_ROWS_H
#define INC_KERNELS_NORM_ROWS_H

#include <math.h>

#include "base/size.h"
#include "kernels/norm/norm.h"
#include "kernels/unroll.h"

/* Sums are kept in float for a block, 16 terms a lane, and in double over blocks: the relative error of a sum of
 * positive terms stays below 16 + 2 + log2(16) + 1 roundings whatever d is. */
#define CHAINS 4u
#define BLOCK (16u * CHAINS * VF_LANES)

struct moments {
    double sum, squares; /* of x - shift */
};

static inline void add_moments(vf x, vf shift, vf *sum, vf *squares)
{
    const vf value = vf_sub(x, shift);
    *sum = vf_add(*sum, value);
    *squares = vf_fma(value, value, *squares);
}

static inline void block_moments(size_t d, const float *x, float shift, struct moments *moments)
{
    const vf by = vf_set1(shift);
    vf sum[CHAINS], squares[CHAINS];
    INC_UNROLL
    for (size_t j = 0; j < CHAINS; j++) sum[j] = squares[j] = vf_set1(0.0f);
    size_t i = 0;
    for (; i + CHAINS * VF_LANES <= d; i += CHAINS * VF_LANES) {
        INC_UNROLL
        for (size_t j = 0; j < CHAINS; j++) add_moments(vf_load(x + i + j * VF_LANES), by, &sum[j], &squares[j]);
    }
    for (; i + VF_LANES <= d; i += VF_LANES) add_moments(vf_load(x + i), by, &sum[0], &squares[0]);
    if (i < d) {
        float shifts[VF_LANES]; /* loaded like x, so that the lanes behind d are 0 - 0 */
        vf_store(shifts, by);
        add_moments(vf_load_n(x + i, d - i), vf_load_n(shifts, d - i), &sum[1], &squares[1]);
    }
    moments->sum += (double)vf_reduce_add(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
    moments->squares +=
        (double)vf_reduce_add(vf_add(vf_add(squares[0], squares[1]), vf_add(squares[2], squares[3])));
}

static struct moments row_moments(size_t d, const float *x, float shift)
{
    struct moments moments = {0};
    for (size_t i = 0; i < d; i += BLOCK) block_moments(inc_min_size(BLOCK, d - i), x + i, shift, &moments);
    return moments;
}

/* What turns x into y: ((x - shift) - rest) * factor [* gamma] [+ beta]. */
struct affine {
    vf shift, rest, factor;
    const float *gamma, *beta; /* or NULL */
};

static inline vf apply(const struct affine *affine, vf x)
{
    return vf_mul(vf_sub(vf_sub(x, affine->shift), affine->rest), affine->factor);
}

static inline void apply_row(const struct affine *affine, size_t d, const float *x, float *y)
{
    const float *gamma = affine->gamma, *beta = affine->beta;
    size_t i = 0;
    for (; i + VF_LANES <= d; i += VF_LANES) {
        vf value = apply(affine, vf_load(x + i));
        if (gamma && beta) {
            value = vf_fma(value, vf_load(gamma + i), vf_load(beta + i));
        } else if (gamma) {
            value = vf_mul(value, vf_load(gamma + i));
        } else if (beta) {
            value = vf_add(value, vf_load(beta + i));
        }
        vf_store(y + i, value);
    }
    if (i == d) return;
    const size_t n = d - i;
    vf value = apply(affine, vf_load_n(x + i, n));
    if (gamma && beta) {
        value = vf_fma(value, vf_load_n(gamma + i, n), vf_load_n(beta + i, n));
    } else if (gamma) {
        value = vf_mul(value, vf_load_n(gamma + i, n));
    } else if (beta) {
        value = vf_add(value, vf_load_n(beta + i, n));
    }
    vf_store_n(y + i, value, n);
}

/* Two passes: a float mean, then the moments around it, which correct both the mean and the variance. */
void KERNEL(inc_layer_norm)(size_t m, size_t d, const float *x, size_t ldx, const float *gamma, const float *beta,
                            float eps, float *y, size_t ldy)
{
    for (size_t r = 0; r < m; r++, x += ldx, y += ldy) {
        const float shift = (float)(row_moments(d, x, 0.0f).sum / (double)d);
        const struct moments around = row_moments(d, x, shift);
        const double rest = around.sum / (double)d;
        const double variance = around.squares / (double)d - rest * rest;
        const struct affine affine = {
            .shift = vf_set1(shift),
            .rest = vf_set1((float)rest),
            .factor = vf_set1((float)(1.0 / sqrt(fmax(variance, 0.0) + (double)eps))),
            .gamma = gamma,
            .beta = beta,
        };
        apply_row(&affine, d, x, y);
    }
}

void KERNEL(inc_rms_norm)(size_t m, size_t groups, size_t d, const float *x, size_t ldx, const float *gamma, float eps,
                          float *y, size_t ldy)
{
    for (size_t i = 0; i < m * groups; i++) {
        const float *from = x + i / groups * ldx + i % groups * d;
        const double mean_square = row_moments(d, from, 0.0f).squares / (double)d;
        const struct affine affine = {
            .shift = vf_set1(0.0f),
            .rest = vf_set1(0.0f),
            .factor = vf_set1((float)(1.0 / sqrt(mean_square + (double)eps))),
            .gamma = gamma,
        };
        apply_row(&affine, d, from, y + i / groups * ldy + i % groups * d);
    }
}

void KERNEL(inc_l2_norm)(size_t m, size_t d, const float *x, size_t ldx, double least, double added, float *y,
                         size_t ldy)
{
    for (size_t r = 0; r < m; r++, x += ldx, y += ldy) {
        const double squares = row_moments(d, x, 0.0f).squares;
        const double floored = squares < least ? least : squares; /* NaN stays */
        const struct affine affine = {
            .shift = vf_set1(0.0f),
            .rest = vf_set1(0.0f),
            .factor = vf_set1((float)(1.0 / sqrt(floored + added))),
        };
        apply_row(&affine, d, x, y);
    }
}

#endif
