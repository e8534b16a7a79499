/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_group.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "base/threads.h"

static const struct inc_gemm_group_kernel kernels[] = {
#define INC_GEMM_GROUP(width, name, isa, bits, mr, nr, pair_limit, step) \
    {#name " " #width, isa, bits, mr, nr, pair_limit, step, inc_gemm_group_run_##width##_##name},
#include "kernels/gemm/gemm_group.def"
#undef INC_GEMM_GROUP
};

const struct inc_gemm_group_kernel *inc_gemm_group_kernels(size_t *n)
{
    *n = sizeof kernels / sizeof kernels[0];
    return kernels;
}

const struct inc_gemm_group_kernel *inc_gemm_group_select(enum incise_isa isa, unsigned bits)
{
    const struct inc_gemm_group_kernel *best = NULL;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (kernels[i].bits == bits && kernels[i].isa <= isa) best = &kernels[i];
    }
    return best;
}

struct pack {
    const struct inc_ctx *ctx;
    const struct inc_gemm_group_kernel *kernel;
    struct inc_gemm_group_weights *weights;
    inc_group_row_fn *row;
    void *arg;
    struct inc_quads quads;
    size_t group, n_groups; /* inputs per group, groups per row */
    size_t stride;          /* k rounded up to whole quads */
    int16_t *scratch;       /* per worker: [nr][stride] weights */
    float *scales;          /* per worker: [nr][n_groups] */
    size_t block_quads;     /* that a group may have */
    int8_t *blocks;         /* per worker, twice: the quads of a group, as found and in order */
    uint16_t *numbers;      /* per worker: of the quads as found */
    unsigned char *faults;  /* per strip: enum inc_quads_fault */
};

/* Where the arrays of a strip start. */
struct strip_layout {
    size_t scale, sums, ends, k, n_fours, bytes;
};

/* Below 2^26, as k <= INC_QUADS_MAX_K. */
static struct strip_layout lay_out(const struct inc_gemm_group_kernel *kernel, size_t n_groups, size_t n_quads)
{
    struct strip_layout layout;
    layout.scale = inc_round_up(n_quads * kernel->nr * kernel->bits / 2, INC_ALIGN);
    layout.sums = layout.scale + n_groups * kernel->nr * sizeof(float);
    layout.ends = layout.sums + n_groups * kernel->nr * sizeof(int32_t);
    layout.k = layout.ends + n_groups * sizeof(uint32_t);
    layout.n_fours = layout.k + n_quads * sizeof(uint16_t);
    layout.bytes = layout.n_fours + n_groups * sizeof(uint16_t);
    return layout;
}

/* Two halves of a block share bytes: gemm_group.h, `w`. */
static void store_i4(const int8_t *block, size_t n, uint8_t *w)
{
    for (size_t i = 0; i < n / 2; i++) w[i] = (uint8_t)((block[i] & 15) | (block[i + n / 2] & 15) << 4);
}

/* Quads of a group: its own and those that fill the last step. */
static size_t count_quads(const struct pack *pack, const int16_t *rows, size_t g)
{
    const size_t begin = g * pack->group, end = inc_min_size(begin + pack->group, pack->stride);
    return inc_round_up(inc_quads_store(&pack->quads, rows, pack->stride, begin, end, NULL, NULL), pack->kernel->step);
}

/* Stores them at w, their numbers at k, and the number of fours. */
static size_t store_group(const struct pack *pack, const int16_t *rows, size_t g, unsigned worker, uint8_t *w,
                          uint16_t *k, uint16_t *n_fours)
{
    const struct inc_gemm_group_kernel *kernel = pack->kernel;
    const size_t quad = kernel->nr * 4u, begin = g * pack->group;
    const size_t end = inc_min_size(begin + pack->group, pack->stride);
    int8_t *found = pack->blocks + worker * 2 * pack->block_quads * quad, *block = found + pack->block_quads * quad;
    uint16_t *numbers = pack->numbers + worker * pack->block_quads;
    const size_t n = inc_quads_store(&pack->quads, rows, pack->stride, begin, end, found, numbers);
    const size_t whole = inc_round_up(n, kernel->step);
    if (n == 0) return 0;
    struct inc_quads_order order = {.whole = n};
    inc_quads_sort(&pack->quads, n, found, numbers, block, k, &order);
    *n_fours = (uint16_t)order.fours;
    memset(block + n * quad, 0, (whole - n) * quad);
    for (size_t i = n; i < whole; i++) k[i] = k[n - 1];
    if (kernel->bits == 8) memcpy(w, block, whole * quad);
    for (size_t i = 0; kernel->bits == 4 && i < whole; i += kernel->step)
        store_i4(block + i * quad, kernel->step * quad, w + i * quad / 2);
    return whole;
}

static void store_params(const struct pack *pack, const int16_t *rows, const float *scales, size_t g, float *scale,
                         int32_t *sums)
{
    const size_t begin = g * pack->group, end = inc_min_size(begin + pack->group, pack->weights->k);
    for (size_t j = 0; j < pack->kernel->nr; j++) {
        const float value = scales[j * pack->n_groups + g];
        scale[j] = fabsf(value) < INC_GEMM_GROUP_LEAST_SCALE ? 0.0f : value;
        sums[j] = 0;
        for (size_t i = begin; i < end; i++) sums[j] += rows[j * pack->stride + i];
    }
}

static uint32_t count_steps(const struct inc_gemm_group_strip *strip)
{
    size_t steps = 0;
    for (size_t g = 0; g < strip->n_groups; g++)
        steps += inc_quads_steps(strip->ends[g] - (g ? strip->ends[g - 1] : 0));
    return (uint32_t)steps;
}

static void store_strip(const struct pack *pack, const int16_t *rows, const float *scales, unsigned worker,
                        size_t n_groups, size_t n_quads, struct inc_gemm_group_strip *strip)
{
    const size_t nr = pack->kernel->nr;
    const struct strip_layout layout = lay_out(pack->kernel, n_groups, n_quads);
    unsigned char *memory = inc_alloc(pack->ctx, layout.bytes);
    if (!memory) return;
    float *scale = (float *)(void *)(memory + layout.scale);
    int32_t *sums = (int32_t *)(void *)(memory + layout.sums);
    uint32_t *ends = (uint32_t *)(void *)(memory + layout.ends), at = 0, stored = 0;
    uint16_t *k = (uint16_t *)(void *)(memory + layout.k), *n_fours = (uint16_t *)(void *)(memory + layout.n_fours);
    for (size_t g = 0; g < pack->n_groups; g++) {
        const size_t n = store_group(pack, rows, g, worker, memory + at * nr * pack->kernel->bits / 2, k + at,
                                     n_fours + stored);
        if (n == 0) continue;
        store_params(pack, rows, scales, g, scale + stored * nr, sums + stored * nr);
        at += (uint32_t)n;
        ends[stored++] = at;
    }
    *strip = (struct inc_gemm_group_strip){memory, scale, sums, ends, k, n_fours, stored, 0, (uint32_t)layout.bytes};
    strip->n_steps = count_steps(strip);
}

/* A strip that could not be allocated, or has a fault, is left with w == NULL. */
static void pack_strip(void *arg, size_t s, unsigned worker)
{
    const struct pack *pack = arg;
    const size_t nr = pack->kernel->nr, n = inc_min_size(nr, pack->weights->n - s * nr);
    int16_t *rows = pack->scratch + worker * nr * pack->stride;
    float *scales = pack->scales + worker * nr * pack->n_groups;
    memset(rows, 0, nr * pack->stride * sizeof *rows);
    memset(scales, 0, nr * pack->n_groups * sizeof *scales);
    for (size_t j = 0; j < n; j++) {
        int16_t *row = rows + j * pack->stride;
        pack->row(pack->arg, s * nr + j, row, scales + j * pack->n_groups);
        enum inc_quads_fault fault = inc_quads_check_row(row, pack->weights->k);
        for (size_t i = 0; pack->kernel->bits == 4 && i < pack->weights->k; i++)
            if (row[i] < pack->quads.low || row[i] > pack->quads.high) fault = INC_QUADS_RANGE;
        pack->faults[s] = (unsigned char)fault;
        if (fault != INC_QUADS_FINE) return;
    }
    size_t n_groups = 0, n_quads = 0;
    for (size_t g = 0; g < pack->n_groups; g++) {
        const size_t stored = count_quads(pack, rows, g);
        n_groups += stored != 0;
        n_quads += stored;
    }
    store_strip(pack, rows, scales, worker, n_groups, n_quads, &pack->weights->strips[s]);
}

static enum incise_status check_strips(const struct pack *pack)
{
    const struct inc_gemm_group_weights *weights = pack->weights;
    for (size_t s = 0; s < weights->n_strips; s++) {
        if (pack->faults[s] == INC_QUADS_RANGE)
            return inc_fail(pack->ctx, INCISE_ERROR_DATA, "a weight minus its zero point lies outside [%d, %d]",
                            pack->kernel->bits == 4 ? -8 : -255, pack->kernel->bits == 4 ? 7 : 255);
        if (pack->faults[s] == INC_QUADS_OVERFLOW)
            return inc_fail(pack->ctx, INCISE_ERROR_DATA,
                            "a row of %zu integer weights is too large for sums of 32 bits", weights->k);
    }
    for (size_t s = 0; s < weights->n_strips; s++) {
        if (weights->strips[s].w) continue;
        return inc_fail_memory(pack->ctx, lay_out(pack->kernel, pack->n_groups, pack->stride / 4).bytes,
                               "packed weights");
    }
    return INCISE_OK;
}

static void sum_up(const struct inc_gemm_group_kernel *kernel, struct inc_gemm_group_weights *weights)
{
    double quads = 0;
    for (size_t s = 0; s < weights->n_strips; s++) {
        const struct inc_gemm_group_strip *strip = &weights->strips[s];
        weights->bytes += lay_out(kernel, strip->n_groups, inc_gemm_group_quads(strip)).bytes;
        quads += (double)inc_gemm_group_quads(strip);
    }
    const double all = (double)(inc_round_up(weights->k, 4) / 4) * (double)weights->n_strips;
    weights->density = all > 0 ? quads / all : 1.0;
}

enum incise_status inc_gemm_group_pack(const struct inc_ctx *ctx, struct inc_pool *pool,
                                       const struct inc_gemm_group_kernel *kernel, size_t n, size_t k, size_t group,
                                       inc_group_row_fn *row, void *arg, struct inc_gemm_group_weights *out)
{
    const size_t nr = kernel->nr, workers = pool ? inc_pool_threads(pool) : 1;
    *out = (struct inc_gemm_group_weights){.n = n, .k = k, .nr = kernel->nr, .n_strips = n / nr + (n % nr != 0)};
    if (k > INC_QUADS_MAX_K || (group % 4 != 0 && group < k) || group == 0) {
        return inc_fail(ctx, INCISE_ERROR_DATA, "integer weights of %zu inputs in groups of %zu; at most %u inputs are "
                        "supported, in groups of whole fours", k, group, INC_QUADS_MAX_K);
    }
    group = inc_max_size(4, inc_min_size(group, inc_round_up(k, 4)));
    const bool i4 = kernel->bits == 4;
    struct pack pack = {.ctx = ctx, .kernel = kernel, .weights = out, .row = row, .arg = arg, .group = group,
                        .n_groups = k / group + (k % group != 0), .stride = inc_round_up(k, 4),
                        .quads = {kernel->nr, i4 ? -8 : -128, i4 ? 7 : 127, kernel->pair_limit, false}};
    /* of a group; weights in [-255, 255] fill four quads at most */
    pack.block_quads = inc_min_size(group, pack.stride) + kernel->step;
    enum incise_status status;
    out->strips = inc_alloc_zero(ctx, out->n_strips + 1, sizeof *out->strips);
    pack.faults = inc_alloc_zero(ctx, out->n_strips, 1);
    pack.scratch = inc_alloc_array(ctx, workers * nr, pack.stride * sizeof *pack.scratch);
    pack.scales = inc_alloc_array(ctx, workers * nr, pack.n_groups * sizeof *pack.scales);
    pack.blocks = inc_alloc_array(ctx, workers * 2 * pack.block_quads, 4 * nr);
    pack.numbers = inc_alloc_array(ctx, workers * pack.block_quads, sizeof *pack.numbers);
    if (!out->strips || !pack.faults || !pack.scratch || !pack.scales || !pack.blocks || !pack.numbers) {
        status = inc_fail_memory(ctx, workers * nr * pack.stride * sizeof *pack.scratch, "packed weights");
    } else {
        inc_pool_run(pool, pack_strip, &pack, out->n_strips);
        status = check_strips(&pack);
    }
    if (status == INCISE_OK) sum_up(kernel, out);
    inc_free(ctx, pack.faults);
    inc_free(ctx, pack.scratch);
    inc_free(ctx, pack.scales);
    inc_free(ctx, pack.blocks);
    inc_free(ctx, pack.numbers);
    if (status != INCISE_OK) inc_gemm_group_release(ctx, out);
    return status;
}

void inc_gemm_group_release(const struct inc_ctx *ctx, struct inc_gemm_group_weights *weights)
{
    for (size_t s = 0; weights->strips && !weights->restored && s < weights->n_strips; s++)
        inc_free(ctx, (void *)(uintptr_t)weights->strips[s].w);
    inc_free(ctx, weights->strips);
    *weights = (struct inc_gemm_group_weights){0};
}

/* ---- kept weights ---------------------------------------------------------------------------------------------- */

enum { COUNTS, ENDS, FOURS, SCALES, SUMS, NUMBERS, TABLES }; /* groups of each strip; the rest as in a strip */

static size_t value_bytes(const struct inc_gemm_group_kernel *kernel, size_t n_quads)
{
    return n_quads * kernel->nr * kernel->bits / 2;
}

void inc_gemm_group_save(const struct inc_gemm_group_kernel *kernel, const struct inc_gemm_group_weights *weights,
                         struct inc_packed_out *out)
{
    struct inc_buffer tables[TABLES];
    for (int i = 0; i < TABLES; i++) inc_buffer_init(&tables[i], out->tables.ctx);
    for (size_t s = 0; s < weights->n_strips; s++) {
        const struct inc_gemm_group_strip *strip = &weights->strips[s];
        const size_t params = (size_t)strip->n_groups * weights->nr, n_quads = inc_gemm_group_quads(strip);
        inc_buffer_append(&tables[COUNTS], &strip->n_groups, sizeof strip->n_groups);
        inc_buffer_append(&tables[ENDS], strip->ends, strip->n_groups * sizeof *strip->ends);
        inc_buffer_append(&tables[FOURS], strip->n_fours, strip->n_groups * sizeof *strip->n_fours);
        inc_buffer_append(&tables[SCALES], strip->scale, params * sizeof *strip->scale);
        inc_buffer_append(&tables[SUMS], strip->sums, params * sizeof *strip->sums);
        inc_buffer_append(&tables[NUMBERS], strip->k, n_quads * sizeof *strip->k);
        inc_packed_put(out, strip->w, value_bytes(kernel, n_quads));
    }
    for (int i = 0; i < TABLES; i++) inc_packed_put_table(out, &tables[i]);
}

/* What is left of the tables. */
struct saved {
    const uint32_t *counts, *ends;
    const uint16_t *fours;
    const float *scales;
    const int32_t *sums;
    const uint16_t *numbers;
    size_t n_ends, n_fours, n_scales, n_sums, n_numbers;
};

/* Whether the next n_groups groups may come from packing. */
static bool check_groups(const struct inc_gemm_group_kernel *kernel, size_t k, const struct saved *saved,
                         size_t n_groups)
{
    size_t at = 0;
    for (size_t g = 0; g < n_groups; g++) {
        const size_t end = saved->ends[g];
        if (end <= at || end > saved->n_numbers || (end - at) % kernel->step != 0) return false;
        const struct inc_quads_order order = {.fours = saved->fours[g], .whole = end - at};
        if (!inc_quads_check(saved->numbers + at, &order, k)) return false;
        at = end;
    }
    return value_bytes(kernel, at) <= UINT32_MAX;
}

static bool restore_strip(const struct inc_gemm_group_kernel *kernel, size_t k, struct saved *saved,
                          struct inc_packed *packed, struct inc_gemm_group_strip *strip)
{
    const size_t n_groups = *saved->counts++, params = n_groups * kernel->nr;
    if (n_groups > saved->n_ends || n_groups > saved->n_fours || params > saved->n_scales || params > saved->n_sums ||
        !check_groups(kernel, k, saved, n_groups))
        return false;
    *strip = (struct inc_gemm_group_strip){NULL, saved->scales, saved->sums, saved->ends, saved->numbers,
                                           saved->fours, (uint32_t)n_groups, 0, 0};
    const size_t n_quads = inc_gemm_group_quads(strip);
    strip->n_steps = count_steps(strip);
    strip->bytes = (uint32_t)value_bytes(kernel, n_quads);
    strip->w = inc_packed_take(packed, strip->bytes);
    saved->ends += n_groups, saved->n_ends -= n_groups;
    saved->fours += n_groups, saved->n_fours -= n_groups;
    saved->scales += params, saved->n_scales -= params;
    saved->sums += params, saved->n_sums -= params;
    saved->numbers += n_quads, saved->n_numbers -= n_quads;
    return strip->w != NULL;
}

enum incise_status inc_gemm_group_restore(const struct inc_ctx *ctx, const struct inc_gemm_group_kernel *kernel,
                                          size_t n, size_t k, struct inc_packed *packed,
                                          struct inc_gemm_group_weights *weights)
{
    const size_t nr = kernel->nr, n_strips = n / nr + (n % nr != 0);
    struct saved saved;
    *weights = (struct inc_gemm_group_weights){.n = n, .k = k, .nr = kernel->nr, .n_strips = n_strips,
                                               .restored = true};
    saved.counts = inc_packed_table(packed, n_strips, sizeof *saved.counts);
    saved.ends = inc_packed_array(packed, &saved.n_ends, sizeof *saved.ends);
    saved.fours = inc_packed_array(packed, &saved.n_fours, sizeof *saved.fours);
    saved.scales = inc_packed_array(packed, &saved.n_scales, sizeof *saved.scales);
    saved.sums = inc_packed_array(packed, &saved.n_sums, sizeof *saved.sums);
    saved.numbers = inc_packed_array(packed, &saved.n_numbers, sizeof *saved.numbers);
    if (!saved.counts || !saved.ends || !saved.fours || !saved.scales || !saved.sums || !saved.numbers)
        return INCISE_ERROR_DATA;
    weights->strips = inc_alloc_zero(ctx, n_strips + 1, sizeof *weights->strips);
    if (!weights->strips) return inc_fail_memory(ctx, n_strips * sizeof *weights->strips, "packed weights");
    bool fine = true;
    for (size_t s = 0; s < n_strips && fine; s++) fine = restore_strip(kernel, k, &saved, packed, &weights->strips[s]);
    if (fine && saved.n_ends + saved.n_fours + saved.n_scales + saved.n_sums + saved.n_numbers == 0) {
        sum_up(kernel, weights);
        return INCISE_OK;
    }
    inc_gemm_group_release(ctx, weights);
    return INCISE_ERROR_DATA;
}
