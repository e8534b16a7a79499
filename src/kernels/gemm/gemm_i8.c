/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_i8.h"

#include <string.h>

#include "base/size.h"
#include "base/threads.h"

static const struct inc_gemm_i8_kernel kernels[] = {
#define INC_GEMM_I8(name, isa, mr, nr, pair_limit) {#name, isa, mr, nr, pair_limit, inc_gemm_i8_run_##name},
#include "kernels/gemm/gemm_i8.def"
#undef INC_GEMM_I8
};

const struct inc_gemm_i8_kernel *inc_gemm_i8_kernels(size_t *n)
{
    *n = sizeof kernels / sizeof kernels[0];
    return kernels;
}

const struct inc_gemm_i8_kernel *inc_gemm_i8_select(enum incise_isa isa)
{
    const struct inc_gemm_i8_kernel *best = kernels;
    for (size_t i = 1; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (kernels[i].isa <= isa) best = &kernels[i];
    }
    return best;
}

struct pack {
    const struct inc_ctx *ctx;
    const struct inc_gemm_i8_kernel *kernel;
    struct inc_gemm_i8_weights *weights;
    inc_weight_row_i16_fn *row;
    void *arg;
    size_t stride;    /* k rounded up to whole quads */
    int16_t *scratch; /* per worker: [nr][stride] */
    int8_t *found;    /* per worker: the quads of a strip; weights in [-255, 255] fill four at most, [stride][nr][4] */
    uint16_t *numbers; /* per worker: [stride], of these quads */
    unsigned char *faults; /* per strip: enum inc_quads_fault */
    struct inc_quads quads;
};

static int32_t sum_row(const int16_t *row, size_t k)
{
    int32_t sum = 0;
    for (size_t i = 0; i < k; i++) sum += row[i];
    return sum;
}

/* Bytes of a strip: the weights, the sums, the numbers of the quads. Below 2^25, as k <= INC_QUADS_MAX_K. */
static size_t strip_bytes(size_t nr, size_t n_quads)
{
    return n_quads * nr * 4 + nr * sizeof(int32_t) + n_quads * sizeof(uint16_t);
}

/* A strip that could not be allocated, or has a fault, is left with w == NULL. */
static void pack_strip(void *arg, size_t s, unsigned worker)
{
    const struct pack *pack = arg;
    const size_t nr = pack->kernel->nr, k = pack->weights->k;
    const size_t n = inc_min_size(nr, pack->weights->n - s * nr);
    int16_t *rows = pack->scratch + worker * nr * pack->stride;
    memset(rows, 0, nr * pack->stride * sizeof *rows);
    for (size_t j = 0; j < n; j++) {
        int16_t *row = rows + j * pack->stride;
        pack->row(pack->arg, s * nr + j, row);
        const enum inc_quads_fault fault = inc_quads_check_row(row, k);
        pack->faults[s] = (unsigned char)fault;
        if (fault != INC_QUADS_FINE) return;
    }
    int8_t *quads = pack->found + worker * 4 * nr * pack->stride;
    uint16_t *numbers = pack->numbers + worker * pack->stride;
    const size_t n_quads = inc_quads_store(&pack->quads, rows, pack->stride, 0, pack->stride, quads, numbers);
    int8_t *w = inc_alloc(pack->ctx, strip_bytes(nr, n_quads));
    if (!w) return;
    int32_t *sums = (int32_t *)(void *)(w + n_quads * nr * 4);
    uint16_t *index = (uint16_t *)(void *)(sums + nr);
    for (size_t j = 0; j < nr; j++) sums[j] = sum_row(rows + j * pack->stride, k);
    const size_t n_fours = inc_quads_order(&pack->quads, n_quads, quads, numbers, w, index);
    pack->weights->strips[s] = (struct inc_gemm_i8_strip){
        .w = w, .sums = sums, .k = index, .n_quads = (uint32_t)n_quads, .n_fours = (uint32_t)n_fours};
}

static enum incise_status check_strips(const struct pack *pack)
{
    const size_t k = pack->weights->k;
    for (size_t s = 0; s < pack->weights->n_strips; s++) {
        if (pack->faults[s] == INC_QUADS_RANGE)
            return inc_fail(pack->ctx, INCISE_ERROR_DATA, "a weight minus its zero point lies outside [-255, 255]");
        if (pack->faults[s] == INC_QUADS_OVERFLOW)
            return inc_fail(pack->ctx, INCISE_ERROR_DATA,
                            "a row of %zu integer weights is too large for sums of 32 bits", k);
    }
    for (size_t s = 0; s < pack->weights->n_strips; s++) {
        if (pack->weights->strips[s].w) continue;
        return inc_fail_memory(pack->ctx, strip_bytes(pack->weights->nr, k / 4), "packed weights");
    }
    return INCISE_OK;
}

static void sum_up(struct inc_gemm_i8_weights *weights, size_t all_quads)
{
    double quads = 0;
    for (size_t s = 0; s < weights->n_strips; s++) {
        weights->bytes += strip_bytes(weights->nr, weights->strips[s].n_quads);
        quads += weights->strips[s].n_quads;
    }
    weights->density = all_quads && weights->n_strips ? quads / ((double)all_quads * (double)weights->n_strips) : 1.0;
}

enum incise_status inc_gemm_i8_pack(const struct inc_ctx *ctx, struct inc_pool *pool,
                                    const struct inc_gemm_i8_kernel *kernel, size_t n, size_t k,
                                    inc_weight_row_i16_fn *row, void *arg, const float *w_scale,
                                    struct inc_gemm_i8_weights *out)
{
    const size_t nr = kernel->nr, n_strips = n / nr + (n % nr != 0), workers = pool ? inc_pool_threads(pool) : 1;
    *out = (struct inc_gemm_i8_weights){.n = n, .k = k, .nr = kernel->nr, .n_strips = n_strips};
    if (k > INC_QUADS_MAX_K) {
        return inc_fail(ctx, INCISE_ERROR_DATA, "integer weights of %zu inputs; at most %u are supported", k,
                        INC_QUADS_MAX_K);
    }
    struct pack pack = {.ctx = ctx, .kernel = kernel, .weights = out, .row = row, .arg = arg,
                        .stride = inc_round_up(k, 4), .quads = {kernel->nr, -128, 127, kernel->pair_limit}};
    enum incise_status status;
    out->strips = inc_alloc_zero(ctx, n_strips + 1, sizeof *out->strips);
    out->w_scale = inc_alloc_array(ctx, n, sizeof *out->w_scale);
    pack.faults = inc_alloc_zero(ctx, n_strips, 1);
    pack.scratch = inc_alloc_array(ctx, workers * nr, pack.stride * sizeof *pack.scratch);
    pack.found = inc_alloc_array(ctx, workers * nr, 4 * pack.stride);
    pack.numbers = inc_alloc_array(ctx, workers, pack.stride * sizeof *pack.numbers);
    if (!out->strips || !out->w_scale || !pack.faults || !pack.scratch || !pack.found || !pack.numbers) {
        status = inc_fail_memory(ctx, workers * nr * pack.stride * sizeof *pack.scratch, "packed weights");
    } else {
        memcpy(out->w_scale, w_scale, n * sizeof *w_scale);
        inc_pool_run(pool, pack_strip, &pack, n_strips);
        status = check_strips(&pack);
    }
    if (status == INCISE_OK) sum_up(out, pack.stride / 4);
    inc_free(ctx, pack.faults);
    inc_free(ctx, pack.scratch);
    inc_free(ctx, pack.found);
    inc_free(ctx, pack.numbers);
    if (status != INCISE_OK) inc_gemm_i8_release(ctx, out);
    return status;
}

void inc_gemm_i8_release(const struct inc_ctx *ctx, struct inc_gemm_i8_weights *weights)
{
    for (size_t s = 0; weights->strips && s < weights->n_strips; s++)
        inc_free(ctx, (void *)(uintptr_t)weights->strips[s].w);
    inc_free(ctx, weights->strips);
    inc_free(ctx, weights->w_scale);
    *weights = (struct inc_gemm_i8_weights){0};
}
