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

/* Queries of one head whose scores of a block of keys stay in the L1 cache, from one product to the other: as many as
 * have so many scores, a multiple of CHUNK_STEP, so that they make whole tiles. */
#define SCORE_FLOATS 8192
#define CHUNK_STEP   12
_Static_assert(SCORE_FLOATS >= CHUNK_STEP * (KEY_BLOCK_MAX + 16), "a chunk has rows");

struct chunk {
    size_t g, query, n; /* query head of the group; first query, counted from the item's; queries */
};

/* Rows of scores are a cache line apart from a power of two, or their lines would fall into the same cache set. */
static inline size_t score_stride(size_t keys)
{
    return inc_round_up(keys, 16) + 16;
}

/* What products of integers need: quantized queries, the block's keys as strips, the places of quads. */
struct integers {
    const struct inc_gemm_i8_kernel *gemm;
    uint8_t *q;          /* [rows][row_bytes] */
    uint8_t *k;          /* [nr][row_bytes], a strip before it is packed */
    size_t row_bytes;    /* head_dim rounded up to 16 */
    float *q_scale;      /* [rows] */
    float *k_scale;      /* [keys] of the block */
    int32_t *k_sums;     /* [keys] */
    bool finite_keys;    /* none of the block's keys holds NaN or infinity */
    float *v_scale;      /* [head_dim] of the block */
    float *weight_scale; /* [queries] of a chunk */
    uint16_t *quads;     /* 0, 1, 2, ... for head_dim or a block of keys */
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
    size_t low, high;       /* keys of the current block that some query sees */
    bool is_first, is_last; /* block */
    float *keys, *values;   /* of the block, packed */
    float *scores, *partial; /* of a chunk, [n][score_stride] and [n][head_dim] */
    struct inc_attention_row *rows;
    struct span *visible; /* of each query */
    struct integers i8;   /* if the kernel multiplies integers */
};

/* Bytes of scratch beside that of float products; a multiple of 64. */
size_t inc_attention_i8_scratch(size_t rows, size_t head_dim);
/* Places item->i8 at `scratch` and quantizes the item's queries. */
void inc_attention_i8_begin(struct item *item, void *scratch);
void inc_attention_i8_pack_keys(struct item *item);
void inc_attention_i8_pack_values(const struct item *item);
/* Scores of the chunk, like those of float products. */
void inc_attention_i8_multiply_keys(const struct item *item, const struct chunk *chunk);
/* Scores [low, high) of row i of the chunk to bytes at the row's place, 0 for the block's other keys. bias[j] belongs
 * to key low + j. */
void inc_attention_i8_softmax(const struct item *item, const struct chunk *chunk, size_t i, size_t low, size_t high,
                              const float *bias);
/* to[i * ld + x] = the block's part of the output of row i, x < head_dim, divided by the row's sum if there is but one
 * block. */
void inc_attention_i8_multiply_values(const struct item *item, const struct chunk *chunk, float *to, size_t ld);

#endif
