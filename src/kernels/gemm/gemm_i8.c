/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_i8.h"

#include <string.h>

#include "base/size.h"
#include "base/threads.h"
#include "kernels/select.h"

static const struct inc_gemm_i8_kernel kernels[] = {
#define INC_GEMM_I8(name, isa, mr, nr, pair_limit, light_and_halves) \
    {#name, isa, mr, nr, pair_limit, light_and_halves, inc_gemm_i8_run_##name},
#include "kernels/gemm/gemm_i8.def"
#undef INC_GEMM_I8
};

INC_KERNEL_FAMILY(gemm_i8);

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
static size_t strip_bytes(size_t nr, const struct inc_quads_order *order)
{
    return inc_quads_bytes(nr, order) + nr * sizeof(int32_t) + inc_quads_count(order) * sizeof(uint16_t);
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
    struct inc_quads_order order = inc_quads_sides(&pack->quads, n_quads, quads);
    int8_t *w = inc_alloc(pack->ctx, strip_bytes(nr, &order));
    if (!w) return;
    int32_t *sums = (int32_t *)(void *)(w + inc_quads_bytes(nr, &order));
    uint16_t *index = (uint16_t *)(void *)(sums + nr);
    for (size_t j = 0; j < nr; j++) sums[j] = sum_row(rows + j * pack->stride, k);
    inc_quads_sort(&pack->quads, n_quads, quads, numbers, w, index, &order);
    pack->weights->strips[s] = (struct inc_gemm_i8_strip){w, sums, index, order};
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
        return inc_fail_memory(pack->ctx, 4 * pack->weights->nr * k, "packed weights");
    }
    return INCISE_OK;
}

static void sum_up(struct inc_gemm_i8_weights *weights, size_t all_quads)
{
    double quads = 0;
    for (size_t s = 0; s < weights->n_strips; s++) {
        const struct inc_quads_order *order = &weights->strips[s].order;
        weights->bytes += strip_bytes(weights->nr, order);
        quads += (double)inc_quads_bytes(weights->nr, order) / (4 * weights->nr);
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
                        .stride = inc_round_up(k, 4),
                        .quads = {kernel->nr, -128, 127, kernel->pair_limit, kernel->light_and_halves}};
    enum incise_status status;
    float *scale = inc_alloc_array(ctx, n, sizeof *scale);
    out->w_scale = scale;
    out->strips = inc_alloc_zero(ctx, n_strips + 1, sizeof *out->strips);
    pack.faults = inc_alloc_zero(ctx, n_strips, 1);
    pack.scratch = inc_alloc_array(ctx, workers * nr, pack.stride * sizeof *pack.scratch);
    pack.found = inc_alloc_array(ctx, workers * nr, 4 * pack.stride);
    pack.numbers = inc_alloc_array(ctx, workers, pack.stride * sizeof *pack.numbers);
    if (!out->strips || !scale || !pack.faults || !pack.scratch || !pack.found || !pack.numbers) {
        status = inc_fail_memory(ctx, workers * nr * pack.stride * sizeof *pack.scratch, "packed weights");
    } else {
        memcpy(scale, w_scale, n * sizeof *w_scale);
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
    for (size_t s = 0; weights->strips && !weights->restored && s < weights->n_strips; s++)
        inc_free(ctx, (void *)(uintptr_t)weights->strips[s].w);
    if (!weights->restored) inc_free(ctx, (void *)(uintptr_t)weights->w_scale);
    inc_free(ctx, weights->strips);
    *weights = (struct inc_gemm_i8_weights){0};
}

enum { COUNTS = 5 }; /* of struct inc_quads_order */

/* Tables: the order of each strip; numbers of the quads; sums; scales. */
void inc_gemm_i8_save(const struct inc_gemm_i8_weights *weights, struct inc_packed_out *out)
{
    struct inc_buffer counts, numbers, sums;
    inc_buffer_init(&counts, out->tables.ctx);
    inc_buffer_init(&numbers, out->tables.ctx);
    inc_buffer_init(&sums, out->tables.ctx);
    for (size_t s = 0; s < weights->n_strips; s++) {
        const struct inc_gemm_i8_strip *strip = &weights->strips[s];
        const struct inc_quads_order *order = &strip->order;
        const uint32_t count[COUNTS] = {(uint32_t)order->light, (uint32_t)order->fours, (uint32_t)order->whole,
                                        (uint32_t)order->half[0], (uint32_t)order->half[1]};
        inc_buffer_append(&counts, count, sizeof count);
        inc_buffer_append(&numbers, strip->k, inc_quads_count(order) * sizeof *strip->k);
        inc_buffer_append(&sums, strip->sums, weights->nr * sizeof *strip->sums);
        inc_packed_put(out, strip->w, inc_quads_bytes(weights->nr, order));
    }
    inc_packed_put_table(out, &counts);
    inc_packed_put_table(out, &numbers);
    inc_packed_put_table(out, &sums);
    inc_blob_put(&out->tables, weights->w_scale, weights->n * sizeof *weights->w_scale);
}

/* What is left of the tables. */
struct saved {
    const uint32_t *counts;
    const uint16_t *numbers;
    size_t n_numbers;
    const int32_t *sums;
};

static bool restore_strip(const struct inc_gemm_i8_kernel *kernel, const struct inc_gemm_i8_weights *weights,
                          struct saved *saved, struct inc_packed *packed, struct inc_gemm_i8_strip *strip)
{
    const uint32_t *c = saved->counts;
    const struct inc_quads_order order = {c[0], c[1], c[2], {c[3], c[4]}};
    const size_t n_quads = inc_quads_count(&order);
    if (n_quads > saved->n_numbers || !inc_quads_check(saved->numbers, &order, weights->k)) return false;
    if (!kernel->light_and_halves && n_quads > order.whole) return false;
    const int8_t *w = inc_packed_take(packed, inc_quads_bytes(weights->nr, &order));
    *strip = (struct inc_gemm_i8_strip){w, saved->sums, saved->numbers, order};
    saved->counts += COUNTS;
    saved->numbers += n_quads;
    saved->n_numbers -= n_quads;
    saved->sums += weights->nr;
    return w != NULL;
}

enum incise_status inc_gemm_i8_restore(const struct inc_ctx *ctx, const struct inc_gemm_i8_kernel *kernel, size_t n,
                                       size_t k, struct inc_packed *packed, struct inc_gemm_i8_weights *weights)
{
    const size_t nr = kernel->nr, n_strips = n / nr + (n % nr != 0);
    struct saved saved;
    *weights = (struct inc_gemm_i8_weights){.n = n, .k = k, .nr = kernel->nr, .n_strips = n_strips, .restored = true};
    saved.counts = inc_packed_table(packed, n_strips, COUNTS * sizeof *saved.counts);
    saved.numbers = inc_packed_array(packed, &saved.n_numbers, sizeof *saved.numbers);
    saved.sums = inc_packed_table(packed, n_strips, nr * sizeof *saved.sums);
    weights->w_scale = inc_packed_table(packed, n, sizeof *weights->w_scale);
    if (!saved.counts || !saved.numbers || !saved.sums || !weights->w_scale) return INCISE_ERROR_DATA;
    weights->strips = inc_alloc_zero(ctx, n_strips + 1, sizeof *weights->strips);
    if (!weights->strips) return inc_fail_memory(ctx, n_strips * sizeof *weights->strips, "packed weights");
    bool fine = true;
    for (size_t s = 0; s < n_strips && fine; s++)
        fine = restore_strip(kernel, weights, &saved, packed, &weights->strips[s]);
    if (fine && saved.n_numbers == 0) {
        sum_up(weights, inc_round_up(k, 4) / 4);
        return INCISE_OK;
    }
    inc_gemm_i8_release(ctx, weights);
    return INCISE_ERROR_DATA;
}
