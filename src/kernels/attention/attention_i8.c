/* SPDX-License-Identifier: Apache-2.0 */
/* The products of attention in integers: quantize, pack, multiply with gemm_i8, as attention.c does with gemm_f32. */
#include <math.h>

#include "kernels/attention/attention_item.h"

#define WEIGHT_STEPS 255.0f
#define ZERO         INC_QUANTIZE_ZERO /* of queries; weights have 0 */

/* Bytes of the parts, in the order of struct integers. */
static void scratch_parts(size_t rows, size_t head_dim, size_t part[6])
{
    const size_t row_bytes = inc_round_up(head_dim, 64), longest = inc_max_size(head_dim, KEY_BLOCK_MAX);
    part[0] = rows * row_bytes;
    part[1] = NR_MAX * row_bytes;
    part[2] = inc_round_up(rows * sizeof(float), INC_ALIGN);
    part[3] = part[2];
    part[4] = inc_round_up(head_dim, NR_MAX) * sizeof(float);
    part[5] = inc_round_up(inc_round_up(longest, 4) / 4 * sizeof(uint16_t), INC_ALIGN);
}

size_t inc_attention_i8_scratch(size_t rows, size_t head_dim)
{
    size_t part[6], bytes = 0;
    scratch_parts(rows, head_dim, part);
    for (int i = 0; i < 6; i++) bytes += part[i];
    return bytes;
}

static void place(struct item *item, unsigned char *at)
{
    struct integers *i8 = &item->i8;
    size_t part[6];
    scratch_parts(item->group * item->queries, item->args->head_dim, part);
    i8->gemm = inc_gemm_i8_select(item->kernel->isa);
    i8->quantize = inc_quantize_select(item->kernel->isa);
    i8->row_bytes = inc_round_up(item->args->head_dim, 64);
    i8->q = at, at += part[0];
    i8->k = at, at += part[1];
    i8->q_scale = (float *)(void *)at, at += part[2];
    i8->weight_scale = (float *)(void *)at, at += part[3];
    i8->v_scale = (float *)(void *)at, at += part[4];
    i8->quads = (uint16_t *)(void *)at;
    for (size_t i = 0; i < part[5] / sizeof *i8->quads; i++) i8->quads[i] = (uint16_t)i;
}

void inc_attention_i8_begin(struct item *item, void *scratch)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim;
    place(item, scratch);
    const struct integers *i8 = &item->i8;
    for (size_t g = 0; g < item->group; g++) {
        const float *q = args->q + item->first * args->ldq + (item->kv_head * item->group + g) * d;
        i8->quantize->rows(item->queries, d, q, args->ldq, i8->q + g * item->queries * i8->row_bytes, i8->row_bytes,
                           i8->q_scale + g * item->queries);
    }
    for (size_t r = 0; r < item->group * item->queries; r++) i8->weight_scale[r] = 1.0f / WEIGHT_STEPS;
}

/* All quads of w, in their order. */
static struct inc_gemm_i8_strip dense_strip(const int8_t *w, const int32_t *sums, const uint16_t *numbers, size_t quads)
{
    return (struct inc_gemm_i8_strip){
        .w = w, .sums = sums, .k = numbers, .n_quads = (uint32_t)quads, .n_fours = (uint32_t)(quads / 4)};
}

/* Strip by strip: keys to bytes, quads of bytes to where gemm_i8 wants them, all query heads at once. */
void inc_attention_i8_scores(const struct item *item)
{
    const struct inc_attention_args *args = item->args;
    const struct integers *i8 = &item->i8;
    const size_t d = args->head_dim, nr = i8->gemm->nr, stride = score_stride(d), keys = item->high - item->low;
    const size_t quads = inc_round_up(d, 4) / 4;
    const float *k = args->k + item->low * args->ldk + item->kv_head * d;
    for (size_t j = 0; j < keys; j += nr) {
        const size_t n = inc_min_size(nr, keys - j);
        int32_t sums[NR_MAX] = {0};
        float scale[NR_MAX];
        i8->quantize->rows(n, d, k + j * args->ldk, args->ldk, i8->k, i8->row_bytes, scale);
        item->kernel->i8->flip_rows(n, i8->row_bytes, i8->k, i8->row_bytes, sums);
        item->kernel->pack_keys(n, quads, (const float *)(const void *)i8->k, i8->row_bytes / 4, item->packed);
        const struct inc_gemm_i8_strip strips[2] = {dense_strip((const int8_t *)item->packed, sums, i8->quads, quads)};
        i8->gemm->run(item->group * item->queries, n, strips, i8->q, i8->row_bytes, ZERO, i8->q_scale, scale, NULL,
                      item->scores + j, stride);
    }
}

void inc_attention_i8_weights(const struct item *item, size_t row, float before)
{
    struct inc_attention_row *state = &item->rows[row];
    float *weights = item->scores + row * score_stride(item->args->head_dim);
    const uint32_t sum = item->kernel->i8->pack_weights(item->high - item->low, weights);
    if (!isnan(state->sum)) state->sum = before * state->rescale + (float)sum * (1.0f / WEIGHT_STEPS);
}

void inc_attention_i8_pack_values(const struct item *item)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim, nr = item->i8.gemm->nr, keys = item->high - item->low;
    const float *v = args->v + item->low * args->ldv + item->kv_head * d;
    int8_t *packed = (int8_t *)item->packed;
    for (size_t j = 0; j < d; j += nr)
        item->kernel->i8->pack_values(keys, inc_min_size(nr, d - j), v + j, args->ldv,
                                      packed + j * inc_round_up(keys, 4), item->i8.v_scale + j);
}

void inc_attention_i8_values(const struct item *item, size_t g, float *to, size_t ld)
{
    static const int32_t no_sums[NR_MAX];
    const struct integers *i8 = &item->i8;
    const size_t d = item->args->head_dim, nr = i8->gemm->nr, stride = score_stride(d);
    const size_t keys = inc_round_up(item->high - item->low, 4), row = g * item->queries;
    const uint8_t *weights = (const uint8_t *)(item->scores + row * stride);
    const int8_t *packed = (const int8_t *)item->packed;
    for (size_t j = 0; j < d; j += nr) {
        const struct inc_gemm_i8_strip strips[2] = {dense_strip(packed + j * keys, no_sums, i8->quads, keys / 4)};
        i8->gemm->run(item->queries, inc_min_size(nr, d - j), strips, weights, stride * sizeof(float), 0,
                      i8->weight_scale, i8->v_scale + j, NULL, to + j, ld);
    }
}
