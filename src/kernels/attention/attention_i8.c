/* SPDX-License-Identifier: Apache-2.0 */
/* The products of attention in integers: quantize, pack, multiply with gemm_i8, as attention.c does with gemm_f32. */
#include <math.h>
#include <string.h>

#include "kernels/attention/attention_item.h"

#define ZERO         INC_QUANTIZE_ZERO /* of queries; weights have 0 */
#define STEP         (1.0f / 255.0f)   /* of weights */
#define SCRATCH_PARTS 8

/* Bytes of the parts, in the order of struct integers. */
static void scratch_parts(size_t rows, size_t head_dim, size_t part[SCRATCH_PARTS])
{
    const size_t row_bytes = inc_round_up(head_dim, 16), longest = inc_max_size(head_dim, KEY_BLOCK_MAX);
    part[0] = inc_round_up(rows * row_bytes, INC_ALIGN);
    part[1] = NR_MAX * row_bytes;
    part[2] = inc_round_up(rows * sizeof(float), INC_ALIGN);
    part[3] = key_block(head_dim) * sizeof(float);
    part[4] = key_block(head_dim) * sizeof(int32_t);
    part[5] = inc_round_up(head_dim, NR_MAX) * sizeof(float);
    part[6] = part[2];
    part[7] = inc_round_up(inc_round_up(longest, 4) / 4 * sizeof(uint16_t), INC_ALIGN);
}

size_t inc_attention_i8_scratch(size_t rows, size_t head_dim)
{
    size_t part[SCRATCH_PARTS], bytes = 0;
    scratch_parts(rows, head_dim, part);
    for (int i = 0; i < SCRATCH_PARTS; i++) bytes += part[i];
    return bytes;
}

static void place(struct item *item, unsigned char *at)
{
    struct integers *i8 = &item->i8;
    size_t part[SCRATCH_PARTS];
    scratch_parts(item->group * item->queries, item->args->head_dim, part);
    i8->gemm = inc_gemm_i8_select(item->kernel->isa);
    i8->row_bytes = inc_round_up(item->args->head_dim, 16);
    i8->q = at, at += part[0];
    i8->k = at, at += part[1];
    i8->q_scale = (float *)(void *)at, at += part[2];
    i8->k_scale = (float *)(void *)at, at += part[3];
    i8->k_sums = (int32_t *)(void *)at, at += part[4];
    i8->v_scale = (float *)(void *)at, at += part[5];
    i8->weight_scale = (float *)(void *)at, at += part[6];
    i8->quads = (uint16_t *)(void *)at;
    for (size_t i = 0; i < part[7] / sizeof *i8->quads; i++) i8->quads[i] = (uint16_t)i;
}

void inc_attention_i8_begin(struct item *item, void *scratch)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim;
    place(item, scratch);
    const struct integers *i8 = &item->i8;
    for (size_t g = 0; g < item->group; g++) {
        const float *q = args->q + item->first * args->ldq + (item->kv_head * item->group + g) * d;
        const size_t row = g * item->queries;
        item->kernel->i8->quantize(item->queries, d, q, args->ldq, ZERO, i8->q + row * i8->row_bytes,
                                   i8->q_scale + row);
    }
}

/* Bytes of a strip of keys. */
static size_t strip_bytes(const struct item *item)
{
    return inc_round_up(item->args->head_dim, 4) * item->i8.gemm->nr;
}

/* Strip by strip: keys to bytes, quads of bytes to where gemm_i8 wants them. */
void inc_attention_i8_pack_keys(struct item *item)
{
    const struct inc_attention_args *args = item->args;
    struct integers *i8 = &item->i8;
    const size_t d = args->head_dim, nr = i8->gemm->nr, keys = item->high - item->low, quads = (d + 3) / 4;
    const float *k = args->k + item->low * args->ldk + item->kv_head * d;
    int8_t *out = (int8_t *)item->keys;
    i8->finite_keys = true;
    for (size_t j = 0; j < keys; j += nr, out += strip_bytes(item)) {
        const size_t n = inc_min_size(nr, keys - j);
        i8->finite_keys &= item->kernel->i8->quantize(n, d, k + j * args->ldk, args->ldk, 0, i8->k, i8->k_scale + j);
        item->kernel->pack_keys(n, quads, (const float *)(const void *)i8->k, i8->row_bytes / 4,
                                (float *)(void *)out);
        item->kernel->i8->sum_keys(quads, out, i8->k_sums + j);
    }
}

void inc_attention_i8_pack_values(const struct item *item)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim, nr = item->i8.gemm->nr, keys = item->high - item->low;
    const float *v = args->v + item->low * args->ldv + item->kv_head * d;
    int8_t *packed = (int8_t *)item->values;
    for (size_t j = 0; j < d; j += nr)
        item->kernel->i8->pack_values(keys, inc_min_size(nr, d - j), v + j, args->ldv,
                                      packed + j * inc_round_up(keys, 4), item->i8.v_scale + j);
}

/* All quads of w, in their order. */
static struct inc_gemm_i8_strip dense_strip(const int8_t *w, const int32_t *sums, const uint16_t *numbers, size_t quads)
{
    return (struct inc_gemm_i8_strip){w, sums, numbers, {.fours = quads / 4, .whole = quads}};
}

void inc_attention_i8_multiply_keys(const struct item *item, const struct chunk *chunk)
{
    const struct integers *i8 = &item->i8;
    const size_t nr = i8->gemm->nr, keys = item->high - item->low, quads = (item->args->head_dim + 3) / 4;
    const size_t row = chunk->g * item->queries + chunk->query;
    const int8_t *packed = (const int8_t *)item->keys;
    for (size_t j = 0; j < keys; j += nr, packed += strip_bytes(item)) {
        const struct inc_gemm_i8_strip strips[2] = {dense_strip(packed, i8->k_sums + j, i8->quads, quads)};
        i8->gemm->run(chunk->n, inc_min_size(nr, keys - j), strips, i8->q + row * i8->row_bytes, i8->row_bytes, ZERO,
                      i8->q_scale + row, i8->k_scale + j, NULL, item->scores + j, score_stride(keys));
    }
}

void inc_attention_i8_softmax(const struct item *item, const struct chunk *chunk, size_t i, size_t low, size_t high,
                              const float *bias)
{
    const size_t keys = item->high - item->low, row = chunk->g * item->queries + chunk->query + i;
    float *scores = item->scores + i * score_stride(keys);
    uint8_t *weights = (uint8_t *)scores;
    const bool suspect = bias != NULL || isnan(item->i8.q_scale[row]) || !item->i8.finite_keys;
    item->kernel->i8->softmax(scores + (low - item->low), high - low, item->args->scale, bias, suspect,
                              weights + (low - item->low), &item->rows[row]);
    memset(weights, 0, low - item->low);
    memset(weights + (high - item->low), 0, inc_round_up(keys, 4) - (high - item->low));
}

void inc_attention_i8_multiply_values(const struct item *item, const struct chunk *chunk, float *to, size_t ld)
{
    static const int32_t no_sums[NR_MAX];
    const struct integers *i8 = &item->i8;
    const size_t d = item->args->head_dim, nr = i8->gemm->nr, keys = item->high - item->low;
    const size_t quads = (keys + 3) / 4;
    const struct inc_attention_row *rows = &item->rows[chunk->g * item->queries + chunk->query];
    const bool is_only = item->is_first && item->is_last;
    for (size_t i = 0; i < chunk->n; i++)
        i8->weight_scale[i] = !is_only ? STEP : rows[i].sum == 0.0f ? 0.0f : STEP / rows[i].sum;
    const int8_t *packed = (const int8_t *)item->values;
    for (size_t j = 0; j < d; j += nr, packed += nr * 4 * quads) {
        const struct inc_gemm_i8_strip strips[2] = {dense_strip(packed, no_sums, i8->quads, quads)};
        i8->gemm->run(chunk->n, inc_min_size(nr, d - j), strips, (const uint8_t *)item->scores,
                      score_stride(keys) * sizeof(float), 0, i8->weight_scale, i8->v_scale + j, NULL, to + j, ld);
    }
}
