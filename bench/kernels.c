/* SPDX-License-Identifier: Apache-2.0 */
/* bench_kernels: single-thread rates of the FP32 kernels, as a share of a register-only FMA loop measured on the spot.
 * Rates count the skipped zeros as work. Times are CPU time of the thread, best of several rounds. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/context.h"
#include "base/size.h"
#include "bench.h"
#include "kernels/attention/attention.h"
#include "kernels/gemm/gemm_f32.h"

#define SLAB 132 /* rows that go through all strips before the next rows: they stay in the L2 cache */

static struct inc_ctx ctx;

static float *random_floats(size_t n, uint64_t seed)
{
    float *x = inc_alloc_array(&ctx, n, sizeof *x);
    if (!x) exit(71);
    for (size_t i = 0; i < n; i++) x[i] = (float)(random_next(&seed) % 2001) * 1e-3f - 1.0f;
    return x;
}

/* Twelve independent sums of vectors with `lanes` lanes, 1e7 times; returns GFLOP/s. */
#define PEAK_FN(name, isa, type, lanes, set1, fma, reg)                                                             \
    __attribute__((target(isa))) static double name(void)                                                           \
    {                                                                                                               \
        const type x = set1(1.0f), y = set1(1e-9f);                                                                 \
        type a = y, b = y, c = y, d = y, e = y, f = y, g = y, h = y, i = y, j = y, k = y, l = y;                    \
        const double start = cpu_seconds();                                                                         \
        for (int n = 0; n < 10000000; n++) {                                                                        \
            a = fma(x, y, a), b = fma(x, y, b), c = fma(x, y, c), d = fma(x, y, d), e = fma(x, y, e);               \
            f = fma(x, y, f), g = fma(x, y, g), h = fma(x, y, h), i = fma(x, y, i), j = fma(x, y, j);               \
            k = fma(x, y, k), l = fma(x, y, l);                                                                     \
            __asm__ volatile("" : "+" reg(a), "+" reg(b), "+" reg(c), "+" reg(d), "+" reg(e), "+" reg(f));          \
            __asm__ volatile("" : "+" reg(g), "+" reg(h), "+" reg(i), "+" reg(j), "+" reg(k), "+" reg(l));          \
        }                                                                                                           \
        return 12.0 * 2.0 * lanes * 1e7 / (cpu_seconds() - start) * 1e-9;                                           \
    }

PEAK_FN(peak_avx2, "avx2,fma", __m256, 8, _mm256_set1_ps, _mm256_fmadd_ps, "x")
PEAK_FN(peak_avx512, "avx512f", __m512, 16, _mm512_set1_ps, _mm512_fmadd_ps, "v")

/* NAN for the scalar kernel: the compiler decides how its reference runs. */
static double peak(enum incise_isa isa)
{
    double best = 0;
    for (int i = 0; i < 5 && isa != INCISE_ISA_SCALAR; i++) {
        const double rate = isa == INCISE_ISA_AVX2 ? peak_avx2() : peak_avx512();
        if (rate > best) best = rate;
    }
    return best;
}

struct masked {
    const float *w;
    size_t k;
    struct pattern pattern;
};

static void masked_row(void *arg, size_t row, float *out)
{
    const struct masked *masked = arg;
    for (size_t i = 0; i < masked->k; i++)
        out[i] = dropped(&masked->pattern, row, i) ? 0.0f : masked->w[row * masked->k + i];
}

static double gemm_rate(const struct inc_gemm_f32_kernel *kernel, const struct inc_gemm_f32_weights *weights, size_t m,
                        const float *a, float *c)
{
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = cpu_seconds();
        for (size_t i = 0; i < m; i += SLAB) {
            for (size_t s = 0; s < weights->n_strips; s++) {
                const size_t j = s * weights->nr;
                kernel->run(inc_min_size(SLAB, m - i), inc_min_size(weights->nr, weights->n - j), &weights->strips[s],
                            a + i * weights->k, weights->k, NULL, c + i * weights->n + j, weights->n);
            }
        }
        const double seconds = cpu_seconds() - start;
        if (seconds < best) best = seconds;
    }
    return 2.0 * (double)m * (double)weights->n * (double)weights->k / best * 1e-9;
}

static void bench_gemm(const struct inc_gemm_f32_kernel *kernel, struct shape shape)
{
    static const size_t columns[] = {32, 4, 1};
    const double top = peak(kernel->isa);
    float *a = random_floats(shape.m * shape.k, 1), *w = random_floats(shape.n * shape.k, 2);
    float *c = random_floats(shape.m * shape.n, 3);
    double dense = 0;
    printf("gemm_f32 %s M=%zu N=%zu K=%zu, peak %.1f GFLOP/s\n", kernel->name, shape.m, shape.n, shape.k, top);
    for (size_t i = 0; i < N_PATTERNS(3); i++) {
        struct masked masked = {w, shape.k, pattern_at(columns, i)};
        struct inc_gemm_f32_weights weights;
        if (inc_gemm_f32_pack(&ctx, NULL, kernel, shape.n, shape.k, masked_row, &masked, &weights)) exit(71);
        const double rate = gemm_rate(kernel, &weights, shape.m, a, c);
        if (!i) dense = rate;
        printf("  32x%-2zu %2.0f %%  %7.1f GFLOP/s  %3.0f %% of peak  x%.2f  (keeps %.3f)\n", masked.pattern.columns,
               100 * masked.pattern.sparsity, rate, top > 0 ? 100 * rate * weights.density / top : 0.0, rate / dense,
               weights.density);
        inc_gemm_f32_release(&ctx, &weights);
    }
    inc_free(&ctx, a), inc_free(&ctx, w), inc_free(&ctx, c);
}

static void bench_attention(enum incise_isa isa, size_t n, unsigned heads, unsigned kv_heads, unsigned head_dim)
{
    const struct inc_attention_kernel *kernel = inc_attention_select(isa);
    const size_t q = (size_t)heads * head_dim, kv = (size_t)kv_heads * head_dim;
    float *x = random_floats(n * q, 4), *k = random_floats(n * kv, 5), *v = random_floats(n * kv, 6);
    float *out = random_floats(n * q, 7);
    void *scratch = inc_alloc(&ctx, inc_attention_scratch(heads, kv_heads, head_dim));
    if (!scratch) exit(71);
    const struct inc_attention_args args = {.n = n, .q = x, .k = k, .v = v, .ldq = q, .ldk = kv, .ldv = kv, .out = out,
                                            .ldo = q, .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim,
                                            .scale = 0.125f};
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = cpu_seconds();
        for (size_t i = 0; i < inc_attention_items(&args); i++) inc_attention_run(kernel, &args, i, scratch);
        const double seconds = cpu_seconds() - start;
        if (seconds < best) best = seconds;
    }
    const double rate = 4.0 * (double)n * (double)n * (double)q / best * 1e-9, top = peak(isa);
    printf("attention %s n=%zu heads=%u/%u head_dim=%u  %7.1f GFLOP/s  %3.0f %% of peak\n", kernel->name, n, heads,
           kv_heads, head_dim, rate, 100 * rate / top);
    inc_free(&ctx, x), inc_free(&ctx, k), inc_free(&ctx, v), inc_free(&ctx, out), inc_free(&ctx, scratch);
}

int main(void)
{
    inc_ctx_init(&ctx);
    size_t n_kernels;
    const struct inc_gemm_f32_kernel *kernels = inc_gemm_f32_kernels(&n_kernels);
    for (size_t i = 0; i < n_kernels; i++) {
        if (kernels[i].isa > incise_isa_detect() || kernels[i].isa == INCISE_ISA_SCALAR) continue;
        bench_gemm(&kernels[i], (struct shape){4092, 768, 768});
        bench_gemm(&kernels[i], (struct shape){4096, 1536, 384});
        for (size_t m = 1; m <= 16; m *= 4) bench_gemm(&kernels[i], (struct shape){m, 768, 768});
        for (size_t n = 32; n <= 512; n *= 4) {
            bench_attention(kernels[i].isa, n, 12, 12, 64);
            bench_attention(kernels[i].isa, n, 3, 1, 256);
        }
    }
    return 0;
}
