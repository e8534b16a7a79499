/* SPDX-License-Identifier: Apache-2.0 */
/* FP32 matrix product C[m,n] = A[m,k] * W[n,k]^T + bias, W packed once and possibly sparse.
 *
 * Bits: each output has one accumulator that starts at 0 and takes fma(a, w, sum) with k rising; bias is added last.
 * So results are equal over instruction sets, tiles, row counts and threads. A k-step whose weights are 0 for all
 * outputs of its strip may be skipped: that changes nothing while A is finite, but for the sign of a zero. */
#ifndef INC_KERNELS_GEMM_F32_H
#define INC_KERNELS_GEMM_F32_H

#include <stdbool.h>

#include "base/context.h"
#include "base/packed.h"

struct inc_pool;

/* The weights of up to nr outputs, in the order of use: one layout for dense and sparse. */
struct inc_gemm_f32_strip {
    const float *w;    /* [n_steps][nr], 64-byte aligned; outputs beyond n are 0 */
    const uint32_t *k; /* input index of each step, rising; NULL = dense: 0..n_steps-1 */
    uint32_t n_steps;
    bool fours; /* of a list: steps 4i..4i+3 are neighbours for every i, as masks of 4 or more inputs make them */
};

/* Outputs 0..n-1 of consecutive strips (one strip where n <= nr) for m rows: c[i*ldc + j] for i < m, j < n. One more
 * strip stands behind them, which the kernel fetches: likely the next one that this thread needs; all 0 at the end.
 * bias holds n values or is NULL. A and C are row-major with lda, ldc in elements, need no alignment, and must not
 * overlap. */
typedef void inc_gemm_f32_run_fn(size_t m, size_t n, const struct inc_gemm_f32_strip *strips, const float *a,
                                 size_t lda, const float *bias, float *c, size_t ldc);

struct inc_gemm_f32_kernel {
    const char *name;
    enum incise_isa isa;
    unsigned mr, nr;
    double dense_threshold;
    inc_gemm_f32_run_fn *run;
};

#define INC_GEMM_F32(name, isa, mr, nr, dense_threshold) inc_gemm_f32_run_fn inc_gemm_f32_run_##name;
#include "kernels/gemm/gemm_f32.def"
#undef INC_GEMM_F32

/* All kernels compiled in, in rising order of instruction set; whether the CPU has it is the caller's check. */
const struct inc_gemm_f32_kernel *inc_gemm_f32_kernels(size_t *n);
/* The best kernel for `isa`; never NULL. */
const struct inc_gemm_f32_kernel *inc_gemm_f32_select(enum incise_isa isa);

/* Strip s holds outputs s*nr .. min(n, (s+1)*nr)-1. */
struct inc_gemm_f32_weights {
    size_t n, k;
    unsigned nr;
    size_t n_strips;
    struct inc_gemm_f32_strip *strips; /* [n_strips + 1]; the last is all 0 */
    size_t n_lists; /* strips stored as lists */
    size_t bytes;   /* of all strips */
    double density; /* share of the multiplications that is left, 1 when every strip is dense */
    bool restored;  /* what the strips point to is not theirs */
};

/* Writes row `row` of W (k values) to out. Called from several threads at once, once per row. */
typedef void inc_weight_row_fn(void *arg, size_t row, float *out);

/* Packs W[n,k] for `kernel`, strips in parallel on `pool` (may be NULL). Zero is 0.0 or -0.0. Release *out with
 * inc_gemm_f32_release; after a failure it needs none. */
enum incise_status inc_gemm_f32_pack(const struct inc_ctx *ctx, struct inc_pool *pool,
                                     const struct inc_gemm_f32_kernel *kernel, size_t n, size_t k,
                                     inc_weight_row_fn *row, void *arg, struct inc_gemm_f32_weights *out)
    __attribute__((warn_unused_result));
void inc_gemm_f32_release(const struct inc_ctx *ctx, struct inc_gemm_f32_weights *weights);

/* Appends weights to `out`, and makes weights again of what was appended, which must stay where it is as long as they
 * live. INCISE_ERROR_DATA, not reported, when `packed` holds no W[n,k] for `kernel`; no bytes are safe to multiply but
 * those that pass. */
void inc_gemm_f32_save(const struct inc_gemm_f32_weights *weights, struct inc_packed_out *out);
enum incise_status inc_gemm_f32_restore(const struct inc_ctx *ctx, const struct inc_gemm_f32_kernel *kernel, size_t n,
                                        size_t k, struct inc_packed *packed, struct inc_gemm_f32_weights *weights)
    __attribute__((warn_unused_result));

#endif
