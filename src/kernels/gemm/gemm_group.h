/* SPDX-License-Identifier: Apache-2.0 */
/* Integer GEMM with grouped scales: u8 activations times 4- or 8-bit weights that have a scale for every `group`
 * inputs of an output.
 *   s[g]    = sum over the inputs k of group g of (a[m][k] - a_zero) * w[n][k]
 *   t       = fmaf((float)s[g], scale[n][g], t) for rising g, from t = 0
 *   c[m][n] = fmaf(t, a_scale[m], bias[n])
 * The sums are exact and the floats have one order, so all bits are the same on every instruction set, for every
 * tile, dense or sparse, but for the sign of a zero.
 *
 * Weights are integers (quantized value minus zero point; 0 = pruned): in [-8, 7] where a kernel stores 4 bits, else
 * in [-255, 255], split as gemm_quads.h says. A strip of nr outputs holds its groups that are not all zero, and of
 * these the quads that are not all zero, so that any pattern of zeros that empties whole quads is skipped.
 *
 * Four bits leave room: 8 quads, 16 products of an output, fit s16 (16 * 255 * 8 = 32640), so that the AVX2 kernel
 * widens once for 8 quads, not for each. The VNNI kernel takes weights as 16 * w, which needs no shift for half of
 * them; 16 * 255 * 8 * INC_QUADS_MAX_K still fits s32. */
#ifndef INC_KERNELS_GEMM_GROUP_H
#define INC_KERNELS_GEMM_GROUP_H

#include "base/context.h"
#include "base/packed.h"
#include "kernels/gemm/gemm_quads.h"

struct inc_pool;

/* Scales below this size count as 0: sixteenths of the others are exact. */
#define INC_GEMM_GROUP_LEAST_SCALE 0x1p-122f

struct inc_gemm_group_strip {
    /* Quads, a group's count being a multiple of kernel->step, its fours of neighbours first. 8 bits: [n_quads][nr][4].
     * 4 bits: blocks of `step` quads; of a block's elements e, [step][nr][4], byte i holds e[i] in its low half and
     * e[i + step * nr * 2] in its high one. 64-byte aligned; outputs beyond n are 0. */
    const uint8_t *w;
    const float *scale;      /* [n_groups][nr] */
    const int32_t *sums;     /* [n_groups][nr] sum of a group's weights */
    const uint32_t *ends;    /* [n_groups] index of the quad behind the group */
    const uint16_t *k;       /* [n_quads] number of each quad, k / 4 */
    const uint16_t *n_fours; /* [n_groups] fours with consecutive numbers, with which a group begins */
    uint32_t n_groups;       /* those that are not all zero */
    uint32_t n_steps;        /* inc_quads_steps of all groups */
    uint32_t bytes;          /* of w, and of the rest where it lies behind w */
};

/* Quads of all groups. */
static inline size_t inc_gemm_group_quads(const struct inc_gemm_group_strip *strip)
{
    return strip->n_groups ? strip->ends[strip->n_groups - 1] : 0;
}

/* Outputs 0..n-1 of consecutive strips (one strip where n <= nr) for m rows: c[i * ldc + j] for i < m, j < n. The strip
 * behind them, A, a_zero, a_scale, bias and C are those of inc_gemm_i8_run_fn. */
typedef void inc_gemm_group_run_fn(size_t m, size_t n, const struct inc_gemm_group_strip *strips, const uint8_t *a,
                                   size_t lda, int32_t a_zero, const float *a_scale, const float *bias, float *c,
                                   size_t ldc);

struct inc_gemm_group_kernel {
    const char *name;
    enum incise_isa isa;
    unsigned bits, mr, nr;
    int pair_limit;
    unsigned step;
    inc_gemm_group_run_fn *run;
};

#define INC_GEMM_GROUP(width, name, isa, bits, mr, nr, pair_limit, step) \
    inc_gemm_group_run_fn inc_gemm_group_run_##width##_##name;
#include "kernels/gemm/gemm_group.def"
#undef INC_GEMM_GROUP

/* All kernels compiled in; whether the CPU has their instruction set is the caller's check. */
const struct inc_gemm_group_kernel *inc_gemm_group_kernels(size_t *n);
/* The best kernel for `isa` that stores `bits` (4 or 8); never NULL. */
const struct inc_gemm_group_kernel *inc_gemm_group_select(enum incise_isa isa, unsigned bits);

/* Strip s holds outputs s * nr .. min(n, (s + 1) * nr) - 1. */
struct inc_gemm_group_weights {
    size_t n, k;
    unsigned nr;
    size_t n_strips;
    struct inc_gemm_group_strip *strips; /* [n_strips + 1]; the last is all 0 */
    size_t bytes;   /* of all strips */
    double density; /* stored quads, repeated and filled ones included, over all quads */
    bool restored;  /* what the strips point to is not theirs */
};

/* Writes row `row` of W, k values, to `out`, and its ceil(k / group) scales to `scale`. Called from several threads at
 * once, once per row. */
typedef void inc_group_row_fn(void *arg, size_t row, int16_t *out, float *scale);

/* Packs W[n, k] for `kernel`, strips in parallel on `pool` (may be NULL). `group`: a multiple of 4, or >= k.
 * INCISE_ERROR_DATA for k above INC_QUADS_MAX_K, a weight outside the kernel's range, or a row that could overflow.
 * Release *out with inc_gemm_group_release; after a failure it needs none. */
enum incise_status inc_gemm_group_pack(const struct inc_ctx *ctx, struct inc_pool *pool,
                                       const struct inc_gemm_group_kernel *kernel, size_t n, size_t k, size_t group,
                                       inc_group_row_fn *row, void *arg, struct inc_gemm_group_weights *out)
    __attribute__((warn_unused_result));
void inc_gemm_group_release(const struct inc_ctx *ctx, struct inc_gemm_group_weights *weights);

/* As inc_gemm_f32_save and inc_gemm_f32_restore. Sums of values that no packing gave wrap. */
void inc_gemm_group_save(const struct inc_gemm_group_kernel *kernel, const struct inc_gemm_group_weights *weights,
                         struct inc_packed_out *out);
enum incise_status inc_gemm_group_restore(const struct inc_ctx *ctx, const struct inc_gemm_group_kernel *kernel,
                                          size_t n, size_t k, struct inc_packed *packed,
                                          struct inc_gemm_group_weights *weights) __attribute__((warn_unused_result));

#endif
