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

/* What is wanted of a row: each costs an instruction per vector. */
enum { SUM = 1, SQUARES = 2, SHIFTED = 4 };

static inline __attribute__((always_inline)) void add_moments(const unsigned want, vf x, vf shift, vf *sum, vf *squares)
{
    const vf value = want & SHIFTED ? vf_sub(x, shift) : x;
    if (want & SUM) *sum = vf_add(*sum, value);
    if (want & SQUARES) *squares = vf_fma(value, value, *squares);
}

static inline double total(const vf part[CHAINS])
{
    return (double)vf_reduce_add(vf_add(vf_add(part[0], part[1]), vf_add(part[2], part[3])));
}

static inline __attribute__((always_inline)) void block_moments(const unsigned want, size_t d, const float *x,
                                                                float shift, struct moments *moments)
{
    const vf by = vf_set1(shift);
    vf sum[CHAINS], squares[CHAINS];
    INC_UNROLL
    for (size_t j = 0; j < CHAINS; j++) sum[j] = squares[j] = vf_set1(0.0f);
    size_t i = 0;
    for (; i + CHAINS * VF_LANES <= d; i += CHAINS * VF_LANES) {
        INC_UNROLL
        for (size_t j = 0; j < CHAINS; j++) add_moments(want, vf_load(x + i + j * VF_LANES), by, &sum[j], &squares[j]);
    }
    for (; i + VF_LANES <= d; i += VF_LANES) add_moments(want, vf_load(x + i), by, &sum[0], &squares[0]);
    if (i < d) {
        const vf there = vf_select_n(d - i, by, vf_set1(0.0f)); /* the lanes behind d are 0 - 0 */
        add_moments(want, vf_load_n(x + i, d - i), there, &sum[1], &squares[1]);
    }
    if (want & SUM) moments->sum += total(sum);
    if (want & SQUARES) moments->squares += total(squares);
}

static inline __attribute__((always_inline)) struct moments row_moments(const unsigned want, size_t d, const float *x,
                                                                        float shift)
{
    struct moments moments = {0};
    for (size_t i = 0; i < d; i += BLOCK) block_moments(want, inc_min_size(BLOCK, d - i), x + i, shift, &moments);
    return moments;
}

/* What turns x into y: (x [- shift - rest]) * factor [* gamma] [+ beta]. */
struct affine {
    vf shift, rest, factor;
    const float *gamma, *beta; /* or NULL */
};

enum { CENTRE = 1, GAMMA = 2, BETA = 4 };

static inline __attribute__((always_inline)) vf apply(const unsigned what, const struct affine *affine, vf x, vf gamma,
                                                      vf beta)
{
    if (what & CENTRE) x = vf_sub(vf_sub(x, affine->shift), affine->rest);
    x = vf_mul(x, affine->factor);
    if ((what & GAMMA) && (what & BETA)) return vf_fma(x, gamma, beta);
    return what & GAMMA ? vf_mul(x, gamma) : what & BETA ? vf_add(x, beta) : x;
}

static inline __attribute__((always_inline)) void apply_as(const unsigned what, const struct affine *affine, size_t d,
                                                           const float *x, float *y)
{
    const vf zero = vf_set1(0.0f);
    size_t i = 0;
    for (; i + VF_LANES <= d; i += VF_LANES) {
        const vf gamma = what & GAMMA ? vf_load(affine->gamma + i) : zero;
        const vf beta = what & BETA ? vf_load(affine->beta + i) : zero;
        vf_store(y + i, apply(what, affine, vf_load(x + i), gamma, beta));
    }
    if (i == d) return;
    const vf gamma = what & GAMMA ? vf_load_n(affine->gamma + i, d - i) : zero;
    const vf beta = what & BETA ? vf_load_n(affine->beta + i, d - i) : zero;
    vf_store_n(y + i, apply(what, affine, vf_load_n(x + i, d - i), gamma, beta), d - i);
}

/* `centre`: CENTRE or 0. */
static inline __attribute__((always_inline)) void apply_row(const unsigned centre, const struct affine *affine,
                                                            size_t d, const float *x, float *y)
{
    if (affine->gamma && affine->beta) {
        apply_as(centre | GAMMA | BETA, affine, d, x, y);
    } else if (affine->gamma) {
        apply_as(centre | GAMMA, affine, d, x, y);
    } else if (affine->beta) {
        apply_as(centre | BETA, affine, d, x, y);
    } else {
        apply_as(centre, affine, d, x, y);
    }
}

/* Rows at a time: their reductions, roots and divisions are chains of dependent steps that overlap. */
#define ROWS 4

/* Two passes: a float mean, then the moments around it, which correct both the mean and the variance. */
void KERNEL(inc_layer_norm)(size_t m, size_t d, const float *x, size_t ldx, const float *gamma, const float *beta,
                            float eps, float *y, size_t ldy)
{
    for (size_t first = 0; first < m; first += ROWS) {
        const size_t n = inc_min_size(m - first, ROWS);
        struct affine affine[ROWS];
        float shift[ROWS];
        for (size_t r = 0; r < n; r++)
            shift[r] = (float)(row_moments(SUM, d, x + (first + r) * ldx, 0.0f).sum / (double)d);
        for (size_t r = 0; r < n; r++) {
            const struct moments around = row_moments(SUM | SQUARES | SHIFTED, d, x + (first + r) * ldx, shift[r]);
            const double rest = around.sum / (double)d, variance = around.squares / (double)d - rest * rest;
            affine[r] = (struct affine){
                .shift = vf_set1(shift[r]),
                .rest = vf_set1((float)rest),
                .factor = vf_set1((float)(1.0 / sqrt(fmax(variance, 0.0) + (double)eps))),
                .gamma = gamma,
                .beta = beta,
            };
        }
        for (size_t r = 0; r < n; r++)
            apply_row(CENTRE, &affine[r], d, x + (first + r) * ldx, y + (first + r) * ldy);
    }
}

/* n <= ROWS pieces; residual may be NULL. */
static void rms_norm_pieces(size_t n, size_t d, const float *x, size_t ldx, const float *gamma, float eps,
                            const float *residual, size_t ldr, float *y, size_t ldy)
{
    struct affine affine[ROWS];
    for (size_t r = 0; r < n; r++) {
        const double mean_square = row_moments(SQUARES, d, x + r * ldx, 0.0f).squares / (double)d;
        affine[r] = (struct affine){
            .factor = vf_set1((float)(1.0 / sqrt(mean_square + (double)eps))),
            .gamma = gamma,
            .beta = residual ? residual + r * ldr : NULL,
        };
    }
    for (size_t r = 0; r < n; r++) apply_row(0, &affine[r], d, x + r * ldx, y + r * ldy);
}

void KERNEL(inc_rms_norm)(size_t m, size_t groups, size_t d, const float *x, size_t ldx, const float *gamma, float eps,
                          const float *residual, size_t ldr, float *y, size_t ldy)
{
    if (groups == 1) {
        for (size_t r = 0; r < m; r += ROWS)
            rms_norm_pieces(inc_min_size(m - r, ROWS), d, x + r * ldx, ldx, gamma, eps,
                            residual ? residual + r * ldr : NULL, ldr, y + r * ldy, ldy);
        return;
    }
    for (size_t r = 0; r < m; r++) {
        for (size_t g = 0; g < groups; g += ROWS)
            rms_norm_pieces(inc_min_size(groups - g, ROWS), d, x + r * ldx + g * d, d, gamma, eps,
                            residual ? residual + r * ldr + g * d : NULL, d, y + r * ldy + g * d, d);
    }
}

void KERNEL(inc_l2_norm)(size_t m, size_t d, const float *x, size_t ldx, double least, double added, float *y,
                         size_t ldy)
{
    for (size_t r = 0; r < m; r++, x += ldx, y += ldy) {
        const double squares = row_moments(SQUARES, d, x, 0.0f).squares;
        const double floored = squares < least ? least : squares; /* NaN stays */
        const struct affine affine = {
            .factor = vf_set1((float)(1.0 / sqrt(floored + added))),
        };
        apply_row(0, &affine, d, x, y);
    }
}

#endif
