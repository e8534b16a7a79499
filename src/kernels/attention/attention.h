/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of one sequence of packed tokens: out = softmax(scale * Q K^T + bias, over the visible keys) V.
 *
 * The products are those of floats (gemm/gemm_f32.h) or of integers (gemm/gemm_i8.h). In integers: queries and keys
 * have a scale per row and 8 bits (quant/quantize.h); weights exp(s - max) of a block of keys are q / 255; values have
 * a scale per column of the block and 8 bits. The softmax is float, and the weights' sum is that of the q. */
#ifndef INC_KERNELS_ATTENTION_H
#define INC_KERNELS_ATTENTION_H

#include "base/context.h"

/* Query head h uses key and value head h / (heads / kv_heads). ld* count elements from one token to the next. */
struct inc_attention_args {
    size_t n;                 /* tokens */
    const float *q, *k, *v;   /* [n][heads*head_dim], [n][kv_heads*head_dim] twice */
    size_t ldq, ldk, ldv;
    float *out;               /* [n][heads*head_dim]; must not overlap the inputs */
    size_t ldo;
    unsigned heads, kv_heads; /* heads is a multiple of kv_heads, which is at least 1 */
    unsigned head_dim;        /* at least 1 */
    float scale;
    const int32_t *pos;       /* n rising positions; NULL = 0..n-1 */
    bool causal;              /* key j is visible to query i only if pos[j] <= pos[i] */
    uint32_t window;          /* and only if |pos[i] - pos[j]| < window; 0 = no such limit */
    const float *bias;        /* added to the scaled scores: bias[head*head_stride_bias + i*ld_bias + j]; NULL = none */
    size_t ld_bias, head_stride_bias; /* 0 = shared by all rows, by all heads */
};

/* What is kept of a query row between key blocks: the largest score (not yet scaled, if there is no bias), the sum of
 * the weights exp(score - max), and the factor that the last block put on everything before it. */
struct inc_attention_row {
    float max, sum, rescale;
};

/* The row functions of integer products, with the same results on every instruction set. nr is gemm_i8's. */
struct inc_attention_i8 {
    /* n rows of d values, ldx apart, to bytes around `zero` (0 or 128) as in quant/quantize.h, `zero` behind d up to a
     * multiple of 16, which is how far apart the rows of q are. scale: [n]. Returns whether all scales are finite. */
    bool (*quantize)(size_t n, size_t d, const float *x, size_t ldx, unsigned zero, uint8_t *q, float *scale);
    /* sums[j] = the sum of key j < nr of a strip of `quads` quads */
    void (*sum_keys)(size_t quads, const int8_t *strip, int32_t *sums);
    /* n value rows of d <= nr columns -> one gemm_i8 strip of ceil(n / 4) quads and the columns' scales [nr]; missing
     * rows and columns are 0. A column with NaN or infinity has scale NaN. */
    void (*pack_values)(size_t n, size_t d, const float *v, size_t ldv, int8_t *out, float *scale);
    /* As softmax below, but the weights w become bytes q = 255 w, rounded, their sum that of the q / 255. `weights` may
     * be s, or lie before it. Scores that are NaN are looked for if `suspect`, and make the sum NaN; their bytes are
     * 0. 255 w is off by a fiftieth at most. */
    void (*softmax)(float *s, size_t n, float scale, const float *bias, bool suspect, uint8_t *weights,
                    struct inc_attention_row *row);
};

struct inc_attention_kernel {
    const char *name;
    enum incise_isa isa;
    /* n <= nr key rows of d values of 32 bits -> one gemm_f32 strip [d][nr]; missing keys are 0. */
    void (*pack_keys)(size_t n, size_t d, const float *k, size_t ldk, float *out);
    /* n value rows of d <= nr columns -> one gemm_f32 strip [n][nr]; missing columns are 0. */
    void (*pack_values)(size_t n, size_t d, const float *v, size_t ldv, float *out);
    /* Turns n raw scores of a row into the weights of scale*s + bias and updates *row. bias may be NULL. */
    void (*softmax)(float *s, size_t n, float scale, const float *bias, struct inc_attention_row *row);
    /* o = o * factor + add; add may be NULL. */
    void (*combine)(float *o, size_t n, float factor, const float *add);
    const struct inc_attention_i8 *i8; /* the products are of integers; NULL: of floats */
};

#define INC_ATTENTION(name, isa) extern const struct inc_attention_kernel inc_attention_##name;
#include "kernels/attention/attention.def"
#undef INC_ATTENTION

/* All kernels compiled in, in rising order of instruction set; whether the CPU has it is the caller's check. */
const struct inc_attention_kernel *const *inc_attention_kernels(size_t *n);
/* The best kernel for `isa` with products of floats, or of integers if `integers` and there is one that is no slower
 * (VNNI); never NULL. */
const struct inc_attention_kernel *inc_attention_select(enum incise_isa isa, bool integers);

/* Independent items of work: one per key/value head and block of queries. Results depend on neither the order of the
 * items nor who runs them nor what else is in the batch. */
size_t inc_attention_items(const struct inc_attention_args *args);
/* Bytes of scratch memory that each worker needs, for any n. */
size_t inc_attention_scratch(const struct inc_attention_kernel *kernel, unsigned heads, unsigned kv_heads,
                             unsigned head_dim);
/* Computes item `item` of `args`. `scratch` is 64-byte aligned. A query that sees no key (all hidden, or by a bias of
 * -inf) gives 0. */
void inc_attention_run(const struct inc_attention_kernel *kernel, const struct inc_attention_args *args, size_t item,
                       void *scratch);

#endif
