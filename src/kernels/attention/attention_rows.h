/* SPDX-License-Identifier: Apache-2.0 */
/* The row functions of attention, written once on the vf vocabulary. A kernel file includes a simd header, defines
 * ROWS_NR (gemm_f32's nr) and, if vectors have lanes of four, ROWS_TRANSPOSE with gather_lanes and store_transposed,
 * includes this, and names the functions in its struct inc_attention_kernel. */
#ifndef INC_KERNELS_ATTENTION_ROWS_H
#define INC_KERNELS_ATTENTION_ROWS_H

#include <math.h>

#include "kernels/attention/attention.h"

static void pack_keys_plain(size_t n, size_t first_key, size_t keys, size_t first, size_t d, const float *k, size_t ldk,
                            float *out)
{
    for (size_t i = first; i < d; i++) {
        for (size_t j = first_key; j < first_key + keys; j++) out[i * ROWS_NR + j] = j < n ? k[j * ldk + i] : 0.0f;
    }
}

static void pack_keys(size_t n, size_t d, const float *k, size_t ldk, float *out)
{
#ifdef ROWS_TRANSPOSE
    for (size_t j = 0; j < ROWS_NR; j += VF_LANES) {
        size_t i = 0;
        for (; j + VF_LANES <= n && i + 4 <= d; i += 4) {
            const float *from = k + j * ldk + i;
            const vf x0 = gather_lanes(from, 4 * ldk), x1 = gather_lanes(from + ldk, 4 * ldk);
            const vf x2 = gather_lanes(from + 2 * ldk, 4 * ldk), x3 = gather_lanes(from + 3 * ldk, 4 * ldk);
            store_transposed(x0, x1, x2, x3, out + i * ROWS_NR + j);
        }
        pack_keys_plain(n, j, VF_LANES, i, d, k, ldk, out);
    }
#else
    pack_keys_plain(n, 0, ROWS_NR, 0, d, k, ldk, out);
#endif
}

/* Rows lie far apart, where no hardware prefetcher follows. */
#define VALUE_PREFETCH 8

static void pack_values(size_t n, size_t d, const float *v, size_t ldv, float *out)
{
    for (size_t i = 0; i < n; i++, v += ldv, out += ROWS_NR) {
        const float *ahead = i + VALUE_PREFETCH < n ? v + VALUE_PREFETCH * ldv : v;
        __builtin_prefetch(ahead);
        __builtin_prefetch(ahead + (d - 1));
        size_t j = 0;
        for (; j + VF_LANES <= d; j += VF_LANES) vf_store(out + j, vf_load(v + j));
        for (; j < ROWS_NR; j += VF_LANES) vf_store(out + j, j < d ? vf_load_n(v + j, d - j) : vf_set1(0.0f));
    }
}

/* 2^x. Weights below 2^-125 of the largest are dropped: they would be denormal, and slow. */
static inline vf weight(vf x)
{
    return vf_select_lt(x, vf_set1(-125.0f), vf_set1(0.0f), vf_exp2_fast(x));
}

/* s = s * scale + bias, so that what follows need not know either. */
static void scale_scores(float *s, size_t n, float scale, const float *bias)
{
    const vf factor = vf_set1(scale);
    for (size_t i = 0; i < n; i += VF_LANES) {
        const size_t lanes = n - i < VF_LANES ? n - i : VF_LANES;
        const vf add = bias ? vf_load_n(bias + i, lanes) : vf_set1(0.0f);
        vf_store_n(s + i, vf_fma(vf_load_n(s + i, lanes), factor, add), lanes);
    }
}

static float largest(const float *s, size_t n)
{
    vf top = vf_set1(-INFINITY);
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) top = vf_max(vf_load(s + i), top);
    if (i < n) top = vf_max(vf_select_n(n - i, vf_load_n(s + i, n - i), top), top);
    return vf_reduce_max(top);
}

/* What makes the exponents of a row's scores: (s - max) * factor. */
struct shift {
    vf max, factor;
};

/* Takes the scores into the row's largest, and finds out what that does to the blocks before. The difference to it is
 * taken before anything is scaled, so scores of -1e9 (what additive masks hide with) lose nothing. */
static inline struct shift begin_softmax(const float *s, size_t n, float scale, struct inc_attention_row *row)
{
    const float before = row->max, found = largest(s, n);
    if (found > before) row->max = found;
    const struct shift shift = {vf_set1(row->max > -INFINITY ? row->max : 0.0f), vf_set1(scale * VF_LOG2E)};
    row->rescale = 0.0f;
    if (before > -INFINITY)
        row->rescale = vf_reduce_max(weight(vf_mul(vf_sub(vf_set1(before), shift.max), shift.factor)));
    return shift;
}

/* max ignores NaN, which the weights then carry into the sum. */
static void softmax(float *s, size_t n, float scale, const float *bias, struct inc_attention_row *row)
{
    const bool plain = bias == NULL && scale > 0.0f;
    if (!plain) scale_scores(s, n, scale, bias);
    const struct shift shift = begin_softmax(s, n, plain ? scale : 1.0f, row);
    vf sum = vf_set1(0.0f);
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        const vf w = weight(vf_mul(vf_sub(vf_load(s + i), shift.max), shift.factor));
        vf_store(s + i, w);
        sum = vf_add(sum, w);
    }
    if (i < n) {
        const vf w = weight(vf_mul(vf_sub(vf_load_n(s + i, n - i), shift.max), shift.factor));
        vf_store_n(s + i, w, n - i);
        sum = vf_add(sum, vf_select_n(n - i, w, vf_set1(0.0f)));
    }
    row->sum = row->sum * row->rescale + vf_reduce_add(sum);
}

static void combine(float *o, size_t n, float factor, const float *add)
{
    const vf f = vf_set1(factor), zero = vf_set1(0.0f);
    size_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        vf_store(o + i, vf_fma(vf_load(o + i), f, add ? vf_load(add + i) : zero));
    }
    const size_t rest = n - i;
    if (rest) vf_store_n(o + i, vf_fma(vf_load_n(o + i, rest), f, add ? vf_load_n(add + i, rest) : zero), rest);
}

#define ATTENTION_KERNEL(name, isa, i8)                                                     \
    const struct inc_attention_kernel inc_attention_##name = {#name,   isa,     pack_keys, pack_values, \
                                                              softmax, combine, i8};

#endif
