/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bench.h"
#include "kernels/attention/attention.h"

static void run_items(const struct inc_attention_kernel *kernel, const struct inc_attention_args *args, void *scratch)
{
    for (size_t i = 0; i < inc_attention_items(args); i++) inc_attention_run(kernel, args, i, scratch);
}

static void bench_heads(struct bench *bench, enum incise_isa isa, bool integers, size_t n, unsigned heads,
                        unsigned kv_heads, unsigned head_dim)
{
    const struct inc_attention_kernel *kernel = inc_attention_select(isa, integers);
    const size_t q = (size_t)heads * head_dim, kv = (size_t)kv_heads * head_dim;
    float *x = bench_random_floats(bench, n * q, 4), *k = bench_random_floats(bench, n * kv, 5);
    float *v = bench_random_floats(bench, n * kv, 6), *out = bench_random_floats(bench, n * q, 7);
    void *scratch = bench_alloc(bench, inc_attention_scratch(kernel, heads, kv_heads, head_dim), 1);
    double *rate = bench_alloc(bench, bench->rounds, sizeof *rate);
    double *share = bench_alloc(bench, bench->rounds, sizeof *share);
    const struct inc_attention_args args = {.n = n, .q = x, .k = k, .v = v, .ldq = q, .ldk = kv, .ldv = kv, .out = out,
                                            .ldo = q, .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim,
                                            .scale = 0.125f};
    for (size_t round = 0; round < bench->rounds; round++) {
        const double top = bench_peak(inc_peak_select(INCISE_LIMIT_F32, isa)), start = bench_seconds();
        run_items(kernel, &args, scratch);
        rate[round] = 4.0 * (double)n * (double)n * (double)q / (bench_seconds() - start) * 1e-9;
        share[round] = rate[round] / top;
    }
    const double median = bench_median(rate, bench->rounds);
    printf("attention %s n=%zu heads=%u/%u head_dim=%u  %8.1f %8.1f   %5.1f %%\n", kernel->name, n, heads, kv_heads,
           head_dim, median, rate[bench->rounds - 1], 100 * bench_median(share, bench->rounds));
    inc_free(&bench->ctx, x), inc_free(&bench->ctx, k), inc_free(&bench->ctx, v), inc_free(&bench->ctx, out);
    inc_free(&bench->ctx, scratch), inc_free(&bench->ctx, rate), inc_free(&bench->ctx, share);
}

void bench_attention(struct bench *bench)
{
    if (!bench_wants(bench, "attention")) return;
    printf("attention: GFLOP/s, best, share of the FMA peak\n");
    for (enum incise_isa isa = INCISE_ISA_AVX2; isa <= INCISE_ISA_VNNI && isa <= bench->isa; isa++) {
        for (size_t n = 32; n <= 512; n *= 4) {
            bench_heads(bench, isa, isa == INCISE_ISA_VNNI, n, 12, 12, 32);
            bench_heads(bench, isa, isa == INCISE_ISA_VNNI, n, 12, 12, 64);
            bench_heads(bench, isa, isa == INCISE_ISA_VNNI, n, 3, 1, 256);
        }
    }
}
