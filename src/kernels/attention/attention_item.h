/* SPDX-License-Identifier: Apache-2.0 */
/* One item of attention at work, shared by products in float (attention.c) and in integers (attention_i8.c). */
#ifndef INC_KERNELS_ATTENTION_ITEM_H
#define INC_KERNELS_ATTENTION_ITEM_H

#include "base/size.h"
#include "kernels/attention/attention.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_i8.h"
#include "kernels/quant/quantize.h"

/* Keys per block: as many as make KEY_FLOATS packed values, so that they stay in the L2 cache. */
#define KEY_FLOATS 65536
#define KEY_BLOCK_MIN 64
#define KEY_BLOCK_MAX 512
#define NR_MAX 32 /* every kernel's nr divides it, and the key blocks */

static inline size_t key_block(size_t head_dim)
{
    const size_t keys = KEY_FLOATS / head_dim / NR_MAX * NR_MAX;
    return inc_min_size(inc_max_size(keys, KEY_BLOCK_MIN), KEY_BLOCK_MAX);
}

/* Rows of scores are a cache line apart from a power of two, or their lines would fall into the same cache set. */
static inline size_t score_stride(size_t head_dim)
{
    return key_block(head_dim) + 16;
}

/* What products of integers need: quantized queries, a strip of keys before it is packed, the places of quads. */
struct integers {
    const struct inc_gemm_i8_kernel *gemm;
    const struct inc_quantize_kernel *quantize;
    uint8_t *q, *k;       /* [rows][row_bytes], [nr][row_bytes] */
    size_t row_bytes;     /* head_dim rounded up to 64 */
    float *q_scale;       /* [rows] */
    float *weight_scale;  /* [rows] 1 / 255 */
    float *v_scale;       /* [head_dim] of the block */
    uint16_t *quads;      /* 0, 1, 2, ... for head_dim or a block of keys */
};

struct span {
    size_t low, high;
};

/* One item at work. Rows are numbered query head by query head: row = g * queries + query - first. */
struct item {
    const struct inc_attention_kernel *kernel;
    const struct inc_gemm_f32_kernel *gemm;
    const struct inc_attention_args *args;
    size_t first, queries; /* the item's queries */
    size_t group, kv_head; /* query heads, and their common key/value head */
    size_t low, high;      /* keys of the current block that some query sees */
    float *packed, *scores, *partial;
    struct inc_attention_row *rows;
    struct span *visible; /* of each query */
    struct integers i8;   /* if the kernel multiplies integers */
};

/* Bytes of scratch beside that of float products; a multiple of 64. */
size_t inc_attention_i8_scratch(size_t rows, size_t head_dim);
/* Places item->i8 at `scratch` and quantizes the item's queries. */
void inc_attention_i8_begin(struct item *item, void *scratch);
/* Raw scores of the block's keys, like the float products. */
void inc_attention_i8_scores(const struct item *item);
/* Turns the weights of row `row`, 0 where hidden, into bytes at the row's place, and its sum into that of the bytes;
 * `before` is what the row's sum was before the block. */
void inc_attention_i8_weights(const struct item *item, size_t row, float before);
void inc_attention_i8_pack_values(const struct item *item);
/* to[i * ld + x] = the block's part of query head g's output, x < head_dim. */
void inc_attention_i8_values(const struct item *item, size_t g, float *to, size_t ld);

#endif
