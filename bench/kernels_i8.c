/* SPDX-License-Identifier: Apache-2.0 */
/* bench_kernels_i8: single-thread rates of the integer GEMM, as a share of the same products on registers only, and
 * times of the row kernels around it. Rates count the skipped zeros as work. CPU time, best of several rounds. */
#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/context.h"
#include "bench.h"
#include "kernels/act/act.h"
#include "kernels/gemm/gemm_i8.h"
#include "kernels/norm/norm.h"
#include "kernels/quant/quantize.h"

static struct inc_ctx ctx;

static void *allocate(size_t n, size_t size)
{
    void *memory = inc_alloc_zero(&ctx, n, size);
    if (!memory) exit(71);
    return memory;
}

/* GOP/s of twelve independent sums on registers; a step multiplies, and adds, `products` pairs. */
#define PEAK_FN(name, isa, type, set1, products, step)                                                  \
    __attribute__((target(isa))) static double name(void)                                               \
    {                                                                                                   \
        const type x = set1(0x01010101), w = x, one = set1(0x00010001);                                 \
        type s0 = x, s1 = x, s2 = x, s3 = x, s4 = x, s5 = x, s6 = x, s7 = x, s8 = x, s9 = x, sa = x, sb = x; \
        const double start = cpu_seconds();                                                             \
        for (int i = 0; i < 3000000; i++) {                                                             \
            step(s0) step(s1) step(s2) step(s3) step(s4) step(s5)                                       \
            step(s6) step(s7) step(s8) step(s9) step(sa) step(sb)                                       \
        }                                                                                               \
        (void)one;                                                                                      \
        return 12.0 * 2.0 * products * 3e6 / (cpu_seconds() - start) * 1e-9;                            \
    }

#define STEP_VNNI(s) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(x), "v"(w));
#define STEP_AVX2(s)                                                                            \
    {                                                                                           \
        __m256i t;                                                                              \
        __asm__ volatile("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0" \
                         : "+x"(s), "=&x"(t)                                                    \
                         : "x"(x), "x"(w), "x"(one));                                           \
    }
PEAK_FN(peak_avx2, "avx2", __m256i, _mm256_set1_epi32, 32, STEP_AVX2)
PEAK_FN(peak_vnni, "avx512f,avx512vnni", __m512i, _mm512_set1_epi32, 64, STEP_VNNI)

static double peak(enum incise_isa isa)
{
    double best = 0;
    for (int i = 0; i < 9; i++) best = fmax(best, isa == INCISE_ISA_VNNI ? peak_vnni() : peak_avx2());
    return best;
}

struct masked {
    const int16_t *w;
    size_t k;
    struct pattern pattern;
};

static void masked_row(void *arg, size_t row, int16_t *out)
{
    const struct masked *masked = arg;
    for (size_t i = 0; i < masked->k; i++)
        out[i] = dropped(&masked->pattern, row, i) ? 0 : masked->w[row * masked->k + i];
}

/* About normal (the sum of twelve), the deviation being 127 / `top`: rows quantized by their largest value. */
static int16_t *random_weights(size_t n, double top)
{
    int16_t *w = allocate(n, sizeof *w);
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        double sum = -6;
        for (int j = 0; j < 12; j++) sum += (double)random_next(&state) / 2147483648.0;
        w[i] = (int16_t)fmax(-127, fmin(127, rint(sum * 127 / top)));
    }
    return w;
}

static double gemm_rate(const struct inc_gemm_i8_kernel *kernel, const struct inc_gemm_i8_weights *weights, size_t m,
                        const uint8_t *a, const float *a_scale, float *c)
{
    double best = 1e30;
    const size_t repeat = 1 + 1000 / m;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = cpu_seconds();
        for (size_t i = 0; i < repeat; i++)
            kernel->run(m, weights->n, weights->strips, a, weights->k, 128, a_scale, weights->w_scale, NULL, c,
                        weights->n);
        best = fmin(best, (cpu_seconds() - start) / (double)repeat);
    }
    return 2.0 * (double)m * (double)weights->n * (double)weights->k / best * 1e-9;
}

static void bench_gemm(const struct inc_gemm_i8_kernel *kernel, struct shape shape, double top)
{
    static const size_t widths[] = {32, 4};
    const double limit = peak(kernel->isa);
    uint8_t *a = allocate(shape.m * shape.k, 1);
    float *a_scale = allocate(shape.m, sizeof *a_scale), *w_scale = allocate(shape.n, sizeof *w_scale);
    float *c = allocate(shape.m * shape.n, sizeof *c);
    int16_t *w = random_weights(shape.n * shape.k, top);
    uint64_t state = 2;
    for (size_t i = 0; i < shape.m * shape.k; i++) a[i] = (uint8_t)random_next(&state);
    printf("gemm_i8 %s M=%zu N=%zu K=%zu, peak %.0f GOP/s, largest weight at %.1f deviations\n", kernel->name, shape.m,
           shape.n, shape.k, limit, top);
    double dense = 0;
    for (size_t i = 0; i < N_PATTERNS(2); i++) {
        struct masked masked = {w, shape.k, pattern_at(widths, i)};
        struct inc_gemm_i8_weights weights;
        if (inc_gemm_i8_pack(&ctx, NULL, kernel, shape.n, shape.k, masked_row, &masked, w_scale, &weights)) exit(71);
        const double rate = gemm_rate(kernel, &weights, shape.m, a, a_scale, c);
        if (!i) dense = rate;
        printf("  32x%-2zu %2.0f %%  %7.1f GOP/s  %3.0f %% of peak  x%.2f  (keeps %.3f)\n", masked.pattern.columns,
               100 * masked.pattern.sparsity, rate, 100 * rate * weights.density / limit, rate / dense,
               weights.density);
        inc_gemm_i8_release(&ctx, &weights);
    }
    inc_free(&ctx, a), inc_free(&ctx, a_scale), inc_free(&ctx, w_scale), inc_free(&ctx, c), inc_free(&ctx, w);
}

/* Nanoseconds per row of one call over m rows. */
#define TIME_ROWS(name, call)                                                       \
    {                                                                               \
        double best = 1e30;                                                         \
        for (int round = 0; round < 20 * ROUNDS; round++) {                         \
            const double start = cpu_seconds();                                     \
            call;                                                                   \
            best = fmin(best, cpu_seconds() - start);                               \
        }                                                                           \
        printf("  %-20s %6.0f ns per row of %zu\n", name, best / (double)m * 1e9, d); \
    }

static void bench_rows(enum incise_isa isa, size_t m, size_t d)
{
    static const char *const names[] = {"relu", "gelu_erf", "gelu_tanh", "silu", "tanh", "sigmoid"};
    const struct inc_quantize_kernel *quantize = inc_quantize_select(isa);
    const struct inc_norm_kernel *norm = inc_norm_select(isa);
    const struct inc_act_kernel *act = inc_act_select(isa);
    float *x = allocate(m * d, sizeof *x), *y = allocate(m * d, sizeof *y), *scale = allocate(m, sizeof *scale);
    uint8_t *q = allocate(m, d);
    uint64_t state = 3;
    for (size_t i = 0; i < m * d; i++) x[i] = (float)random_next(&state) * 0x1p-30f - 1.0f;
    printf("rows %s\n", act->name);
    TIME_ROWS("quantize", quantize->rows(m, d, x, d, q, d, scale))
    TIME_ROWS("layer_norm", norm->layer(m, d, x, d, x, x, 1e-5f, y, d))
    TIME_ROWS("rms_norm", norm->rms(m, 1, d, x, d, x, 1e-5f, y, d))
    for (int f = 0; f <= INC_ACT_SIGMOID; f++) TIME_ROWS(names[f], act->apply((enum inc_act)f, m, d, x, d, y, d))
    TIME_ROWS("add", act->add(m, d, x, d, x, d, y, d))
    inc_free(&ctx, x), inc_free(&ctx, y), inc_free(&ctx, scale), inc_free(&ctx, q);
}

int main(void)
{
    inc_ctx_init(&ctx);
    size_t n_kernels;
    const struct inc_gemm_i8_kernel *kernels = inc_gemm_i8_kernels(&n_kernels);
    for (size_t i = 0; i < n_kernels; i++) {
        if (kernels[i].isa > incise_isa_detect() || kernels[i].isa == INCISE_ISA_SCALAR) continue;
        bench_gemm(&kernels[i], (struct shape){4092, 768, 768}, 5);
        bench_gemm(&kernels[i], (struct shape){120, 768, 768}, 5);
        bench_gemm(&kernels[i], (struct shape){1, 768, 768}, 5);
        if (kernels[i].pair_limit == 128) bench_gemm(&kernels[i], (struct shape){120, 768, 768}, 3.2);
    }
    for (int isa = INCISE_ISA_AVX2; isa <= INCISE_ISA_AVX512 && isa <= (int)incise_isa_detect(); isa++)
        bench_rows((enum incise_isa)isa, 64, 768);
    return 0;
}
