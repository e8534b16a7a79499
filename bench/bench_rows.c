/* SPDX-License-Identifier: Apache-2.0 */
/* The row kernels around the products: nanoseconds per row, best of many. */
#include <math.h>
#include <stdio.h>

#include "bench.h"
#include "kernels/act/act.h"
#include "kernels/norm/norm.h"
#include "kernels/quant/quantize.h"

/* Nanoseconds per row of one call over m rows. */
#define TIME_ROWS(name, call)                                                       \
    {                                                                               \
        double best = 1e30;                                                         \
        for (size_t round = 0; round < 20 * bench->rounds; round++) {               \
            const double start = bench_seconds();                                   \
            call;                                                                   \
            best = fmin(best, bench_seconds() - start);                             \
        }                                                                           \
        printf("  %-20s %6.0f ns per row of %zu\n", name, best / (double)m * 1e9, d); \
    }

static void bench_isa(struct bench *bench, enum incise_isa isa, size_t m, size_t d)
{
    static const char *const names[] = {"relu", "gelu_erf", "gelu_tanh", "silu", "tanh", "sigmoid"};
    const struct inc_quantize_kernel *quantize = inc_quantize_select(isa);
    const struct inc_norm_kernel *norm = inc_norm_select(isa);
    const struct inc_act_kernel *act = inc_act_select(isa);
    float *x = bench_random_floats(bench, m * d, 3), *y = bench_alloc(bench, m * d, sizeof *y);
    float *scale = bench_alloc(bench, m, sizeof *scale);
    uint8_t *q = bench_alloc(bench, m, d);
    printf("rows %s\n", act->name);
    TIME_ROWS("quantize", quantize->rows(m, d, x, d, q, d, scale))
    TIME_ROWS("layer_norm", norm->layer(m, d, x, d, x, x, 1e-5f, y, d))
    TIME_ROWS("rms_norm", norm->rms(m, 1, d, x, d, x, 1e-5f, NULL, 0, y, d))
    for (int f = 0; f <= INC_ACT_SIGMOID; f++) TIME_ROWS(names[f], act->apply((enum inc_act)f, m, d, x, d, y, d))
    TIME_ROWS("add", act->add(m, d, x, d, x, d, y, d))
    inc_free(&bench->ctx, x), inc_free(&bench->ctx, y), inc_free(&bench->ctx, scale), inc_free(&bench->ctx, q);
}

void bench_rows(struct bench *bench)
{
    if (!bench_wants(bench, "rows")) return;
    for (enum incise_isa isa = INCISE_ISA_AVX2; isa <= INCISE_ISA_AVX512 && isa <= bench->isa; isa++)
        bench_isa(bench, isa, 64, 768);
}
