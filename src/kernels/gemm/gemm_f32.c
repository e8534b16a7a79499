/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_f32.h"

#include <string.h>

#include "base/size.h"
#include "base/threads.h"
#include "kernels/select.h"

static const struct inc_gemm_f32_kernel kernels[] = {
#define INC_GEMM_F32(name, isa, mr, nr, dense_threshold) \
    {#name, isa, mr, nr, dense_threshold, inc_gemm_f32_run_##name},
#include "kernels/gemm/gemm_f32.def"
#undef INC_GEMM_F32
};

INC_KERNEL_FAMILY(gemm_f32);

struct pack {
    const struct inc_ctx *ctx;
    const struct inc_gemm_f32_kernel *kernel;
    struct inc_gemm_f32_weights *weights;
    inc_weight_row_fn *row;
    void *arg;
    unsigned char *scratch; /* per worker: [nr][k] floats, then a flag for each k */
    size_t scratch_bytes;
};

/* Bytes of a strip of `steps` k-steps: the weights, then (lists only) the indices. Fits: no more than scratch_bytes
 * plus 4 bytes a step, and inc_gemm_f32_pack has checked that. */
static size_t strip_bytes(size_t nr, size_t steps, bool list)
{
    return steps * nr * sizeof(float) + (list ? steps * sizeof(uint32_t) : 0);
}

/* Marks the k whose weights are not all zero (NaN counts as non-zero) and returns their number. */
static size_t mark_kept(const float *rows, size_t n, size_t k, unsigned char *kept)
{
    memset(kept, 0, k);
    for (size_t j = 0; j < n; j++) {
        const float *row = rows + j * k;
        for (size_t i = 0; i < k; i++) kept[i] |= (unsigned char)(row[i] != 0.0f);
    }
    size_t n_kept = 0;
    for (size_t i = 0; i < k; i++) n_kept += kept[i];
    return n_kept;
}

/* Whether steps 4i..4i+3 of n are neighbours for every i; `index` rises. */
static bool are_fours(const uint32_t *index, size_t n)
{
    for (size_t i = 0; i + 4 <= n; i += 4)
        if (index[i + 3] != index[i] + 3) return false;
    return true;
}

/* A strip that could not be allocated is left with w == NULL. */
static void pack_strip(void *arg, size_t s, unsigned worker)
{
    const struct pack *pack = arg;
    const size_t nr = pack->kernel->nr, k = pack->weights->k;
    const size_t n = inc_min_size(nr, pack->weights->n - s * nr);
    float *rows = (float *)(void *)(pack->scratch + worker * pack->scratch_bytes);
    unsigned char *kept = (unsigned char *)(rows + nr * k);

    for (size_t j = 0; j < n; j++) pack->row(pack->arg, s * nr + j, rows + j * k);
    const size_t n_kept = mark_kept(rows, n, k, kept);
    const bool list = (double)n_kept <= pack->kernel->dense_threshold * (double)k && n_kept < k;
    const size_t steps = list ? n_kept : k;

    float *w = inc_alloc(pack->ctx, strip_bytes(nr, steps, list));
    struct inc_gemm_f32_strip *strip = &pack->weights->strips[s];
    *strip = (struct inc_gemm_f32_strip){.w = w, .n_steps = (uint32_t)steps};
    if (!w) return;
    uint32_t *index = list ? (uint32_t *)(void *)(w + steps * nr) : NULL;
    strip->k = index;
    for (size_t i = 0; i < k; i++) {
        if (list && !kept[i]) continue;
        if (list) *index++ = (uint32_t)i;
        for (size_t j = 0; j < nr; j++) *w++ = j < n ? rows[j * k + i] : 0.0f;
    }
    strip->fours = list && are_fours(strip->k, steps);
}

/* Adds up what the strips hold; false if one could not be allocated. */
static bool sum_up(struct inc_gemm_f32_weights *weights)
{
    double steps = 0;
    for (size_t s = 0; s < weights->n_strips; s++) {
        const struct inc_gemm_f32_strip *strip = &weights->strips[s];
        if (!strip->w) return false;
        weights->n_lists += strip->k != NULL;
        weights->bytes += strip_bytes(weights->nr, strip->n_steps, strip->k != NULL);
        steps += strip->n_steps;
    }
    if (weights->n && weights->k) weights->density = steps / ((double)weights->n_strips * (double)weights->k);
    return true;
}

enum incise_status inc_gemm_f32_pack(const struct inc_ctx *ctx, struct inc_pool *pool,
                                     const struct inc_gemm_f32_kernel *kernel, size_t n, size_t k,
                                     inc_weight_row_fn *row, void *arg, struct inc_gemm_f32_weights *out)
{
    const size_t nr = kernel->nr, n_strips = n / nr + (n % nr != 0);
    size_t scratch_bytes, all_bytes, workers = pool ? inc_pool_threads(pool) : 1;
    *out = (struct inc_gemm_f32_weights){.n = n, .k = k, .nr = kernel->nr, .n_strips = n_strips, .density = 1.0};
    /* per k: nr weights, one flag, and room for one index in strip_bytes */
    if (k > UINT32_MAX || !inc_size_mul(k, (nr + 2) * sizeof(float), &scratch_bytes) ||
        !inc_size_add(scratch_bytes, INC_ALIGN, &scratch_bytes) ||
        !inc_size_mul(scratch_bytes / INC_ALIGN * INC_ALIGN, workers, &all_bytes)) {
        return inc_fail(ctx, INCISE_ERROR_DATA, "weights of %zu x %zu are too large to pack", n, k);
    }
    struct pack pack = {.ctx = ctx, .kernel = kernel, .weights = out, .row = row, .arg = arg,
                        .scratch_bytes = scratch_bytes / INC_ALIGN * INC_ALIGN};
    out->strips = inc_alloc_zero(ctx, n_strips + 1, sizeof *out->strips);
    pack.scratch = inc_alloc(ctx, all_bytes);
    if (!out->strips || !pack.scratch) goto fail;
    inc_pool_run(pool, pack_strip, &pack, n_strips);
    if (!sum_up(out)) goto fail;
    inc_free(ctx, pack.scratch);
    return INCISE_OK;

fail:
    inc_free(ctx, pack.scratch);
    inc_gemm_f32_release(ctx, out);
    return inc_fail_memory(ctx, all_bytes, "packed weights");
}

void inc_gemm_f32_release(const struct inc_ctx *ctx, struct inc_gemm_f32_weights *weights)
{
    for (size_t s = 0; weights->strips && !weights->restored && s < weights->n_strips; s++) {
        inc_free(ctx, (void *)(uintptr_t)weights->strips[s].w);
    }
    inc_free(ctx, weights->strips);
    *weights = (struct inc_gemm_f32_weights){0};
}

/* Tables: steps of each strip; indices of the strips that are lists, which have fewer than k steps. */
void inc_gemm_f32_save(const struct inc_gemm_f32_weights *weights, struct inc_packed_out *out)
{
    struct inc_buffer steps, index;
    inc_buffer_init(&steps, out->tables.ctx);
    inc_buffer_init(&index, out->tables.ctx);
    for (size_t s = 0; s < weights->n_strips; s++) {
        const struct inc_gemm_f32_strip *strip = &weights->strips[s];
        inc_buffer_append(&steps, &strip->n_steps, sizeof strip->n_steps);
        if (strip->k) inc_buffer_append(&index, strip->k, strip->n_steps * sizeof *strip->k);
        inc_packed_put(out, strip->w, strip_bytes(weights->nr, strip->n_steps, false));
    }
    inc_packed_put_table(out, &steps);
    inc_packed_put_table(out, &index);
}

/* A strip of `steps` steps, whose indices, if it is a list, are taken from *index. */
static bool restore_strip(const struct inc_gemm_f32_weights *weights, uint32_t steps, const uint32_t **index,
                          size_t *n_index, struct inc_packed *packed, struct inc_gemm_f32_strip *strip)
{
    if (steps > weights->k) return false;
    *strip = (struct inc_gemm_f32_strip){.n_steps = steps};
    if (steps < weights->k) {
        if (steps > *n_index) return false;
        for (size_t i = 0; i < steps; i++)
            if ((*index)[i] >= weights->k || (i > 0 && (*index)[i] <= (*index)[i - 1])) return false;
        strip->k = *index;
        strip->fours = are_fours(*index, steps);
        *index += steps;
        *n_index -= steps;
    }
    strip->w = inc_packed_take(packed, strip_bytes(weights->nr, steps, false));
    return strip->w != NULL;
}

enum incise_status inc_gemm_f32_restore(const struct inc_ctx *ctx, const struct inc_gemm_f32_kernel *kernel, size_t n,
                                        size_t k, struct inc_packed *packed, struct inc_gemm_f32_weights *weights)
{
    const size_t nr = kernel->nr, n_strips = n / nr + (n % nr != 0);
    size_t n_index;
    *weights = (struct inc_gemm_f32_weights){.n = n, .k = k, .nr = kernel->nr, .n_strips = n_strips, .density = 1.0,
                                             .restored = true};
    const uint32_t *steps = inc_packed_table(packed, n_strips, sizeof *steps);
    const uint32_t *index = inc_packed_array(packed, &n_index, sizeof *index);
    if (!steps || !index) return INCISE_ERROR_DATA;
    weights->strips = inc_alloc_zero(ctx, n_strips + 1, sizeof *weights->strips);
    if (!weights->strips) return inc_fail_memory(ctx, n_strips * sizeof *weights->strips, "packed weights");
    bool fine = true;
    for (size_t s = 0; s < n_strips && fine; s++)
        fine = restore_strip(weights, steps[s], &index, &n_index, packed, &weights->strips[s]);
    if (fine && n_index == 0 && sum_up(weights)) return INCISE_OK;
    inc_gemm_f32_release(ctx, weights);
    return INCISE_ERROR_DATA;
}
