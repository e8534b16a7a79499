/* SPDX-License-Identifier: Apache-2.0 */
/* Integer GEMM: u8 activations times integer weights, f32 out:
 *   c[m][n] = fmaf((float)sum_k (a[m][k] - a_zero) * w[n][k], a_scale[m] * w_scale[n], bias[n])
 * The sum is exact, so integers and float bits are the same on every instruction set, for every tile, dense or sparse.
 *
 * Weights are integers in [-255, 255] (quantized value minus zero point; 0 = pruned), packed once per kernel into
 * strips of nr outputs. A strip is the list of its quads (gemm_quads.h), fours of neighbours first: any pattern of
 * zeros that empties whole quads is skipped, nothing needs to be declared; s8 weights with k <= 65536 always can be
 * packed. */
#ifndef INC_KERNELS_GEMM_I8_H
#define INC_KERNELS_GEMM_I8_H

#include "base/context.h"
#include "base/packed.h"
#include "kernels/gemm/gemm_quads.h"

struct inc_pool;

struct inc_gemm_i8_strip {
    const int8_t *w;     /* quads, whole ones [nr][4], 64-byte aligned; outputs beyond n are 0 */
    const int32_t *sums; /* [nr] sum of an output's weights */
    const uint16_t *k;   /* number of each quad, k / 4 */
    struct inc_quads_order order; /* all 0 when all weights are 0 */
};

/* Outputs 0..n-1 of consecutive strips (one strip where n <= nr) for m rows: c[i * ldc + j] for i < m, j < n. One more
 * strip stands behind them, which the kernel fetches: likely the next one that this thread needs; all 0 at the end.
 * A: rows of u8, lda bytes apart, readable up to k rounded up to 4; what lies at k and behind does not matter. a_zero
 * in [0, 255]; a_scale: [m]; w_scale: [n]; bias: [n] or NULL for 0. C must not overlap the rest. No alignment is
 * needed. NaN in a_scale makes its row NaN. */
typedef void inc_gemm_i8_run_fn(size_t m, size_t n, const struct inc_gemm_i8_strip *strips, const uint8_t *a,
                                size_t lda, int32_t a_zero, const float *a_scale, const float *w_scale,
                                const float *bias, float *c, size_t ldc);

struct inc_gemm_i8_kernel {
    const char *name;
    enum incise_isa isa;
    unsigned mr, nr;
    int pair_limit; /* this and the next: see gemm_i8.def */
    bool light_and_halves;
    inc_gemm_i8_run_fn *run;
};

#define INC_GEMM_I8(name, isa, mr, nr, pair_limit, light_and_halves) inc_gemm_i8_run_fn inc_gemm_i8_run_##name;
#include "kernels/gemm/gemm_i8.def"
#undef INC_GEMM_I8

/* All kernels compiled in, in rising order of instruction set; whether the CPU has it is the caller's check. */
const struct inc_gemm_i8_kernel *inc_gemm_i8_kernels(size_t *n);
/* The best kernel for `isa`; never NULL. */
const struct inc_gemm_i8_kernel *inc_gemm_i8_select(enum incise_isa isa);

/* Strip s holds outputs s * nr .. min(n, (s + 1) * nr) - 1. */
struct inc_gemm_i8_weights {
    size_t n, k;
    unsigned nr;
    size_t n_strips;
    struct inc_gemm_i8_strip *strips; /* [n_strips + 1]; the last is all 0 */
    const float *w_scale; /* [n] */
    size_t bytes;   /* of all strips */
    double density; /* stored quads, repeated ones included, over all quads */
    bool restored;  /* w_scale and what the strips point to are not theirs */
};

/* Writes row `row` of W (k values in [-255, 255]) to out. Called from several threads at once, once per row. */
typedef void inc_weight_row_i16_fn(void *arg, size_t row, int16_t *out);

/* Packs W[n, k] for `kernel`, strips in parallel on `pool` (may be NULL). w_scale: [n], copied. INCISE_ERROR_DATA for k
 * above INC_QUADS_MAX_K, a weight outside [-255, 255], or a row that could overflow. Release *out with
 * inc_gemm_i8_release; after a failure it needs none. */
enum incise_status inc_gemm_i8_pack(const struct inc_ctx *ctx, struct inc_pool *pool,
                                    const struct inc_gemm_i8_kernel *kernel, size_t n, size_t k,
                                    inc_weight_row_i16_fn *row, void *arg, const float *w_scale,
                                    struct inc_gemm_i8_weights *out) __attribute__((warn_unused_result));
void inc_gemm_i8_release(const struct inc_ctx *ctx, struct inc_gemm_i8_weights *weights);

/* As inc_gemm_f32_save and inc_gemm_f32_restore. Sums of values that no packing gave wrap. */
void inc_gemm_i8_save(const struct inc_gemm_i8_weights *weights, struct inc_packed_out *out);
enum incise_status inc_gemm_i8_restore(const struct inc_ctx *ctx, const struct inc_gemm_i8_kernel *kernel, size_t n,
                                       size_t k, struct inc_packed *packed, struct inc_gemm_i8_weights *weights)
    __attribute__((warn_unused_result));

#endif
