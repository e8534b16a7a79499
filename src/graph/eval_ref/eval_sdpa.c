/* SPDX-License-Identifier: Apache-2.0 */
/* ScaledDotProductAttention: softmax(q k^T * scale + mask) v, one query row at a time, in double. A row whose keys are
 * all masked gives 0. */
#include <math.h>

#include "graph/eval_ref/eval_internal.h"

enum { Q, K, V, MASK, OPERANDS };

struct attention {
    size_t depth, keys, width;       /* E, S, Ev */
    int64_t mask_step;               /* between the mask elements of neighbouring keys: 1, or 0 when it is broadcast */
    double scale;
    bool causal;
    const float *q, *k, *v, *mask;   /* mask: one of these two, or neither */
    const uint8_t *allowed;
    double *scores, *sum;            /* [keys], [width] */
};

static double dot(const float *a, const float *b, size_t n)
{
    double lane[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t l = 0; l < 4; l++) lane[l] += (double)a[i + l] * (double)b[i + l];
    for (; i < n; i++) lane[0] += (double)a[i] * (double)b[i];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* Scores of query row `row` (counted within its sequence); false when every key is masked. */
static bool score_row(const struct attention *at, size_t row, const float *q, const float *k, int64_t mask)
{
    bool any = false;
    for (size_t s = 0; s < at->keys; s++) {
        int64_t m = mask + (int64_t)s * at->mask_step;
        bool hidden = (at->causal && s > row) || (at->allowed && !at->allowed[m]);
        double score = hidden ? -INFINITY : dot(q, k + s * at->depth, at->depth) * at->scale;
        if (at->mask) score += (double)at->mask[m];
        at->scores[s] = score;
        if (!(score <= -INFINITY)) any = true; /* NaN counts: it must reach the result */
    }
    return any;
}

static void attend_row(const struct attention *at, size_t row, const int64_t offset[OPERANDS], float *out)
{
    for (size_t e = 0; e < at->width; e++) out[e] = 0.0f;
    if (!score_row(at, row, at->q + offset[Q], at->k + offset[K], offset[MASK])) return;
    double max = -INFINITY, total = 0;
    for (size_t s = 0; s < at->keys; s++) max = at->scores[s] > max ? at->scores[s] : max;
    for (size_t e = 0; e < at->width; e++) at->sum[e] = 0;
    for (size_t s = 0; s < at->keys; s++) {
        double weight = exp(at->scores[s] - max);
        const float *v = at->v + offset[V] + s * at->width;
        total += weight;
        if (weight == 0.0) continue;
        for (size_t e = 0; e < at->width; e++) at->sum[e] += weight * (double)v[e];
    }
    for (size_t e = 0; e < at->width; e++) out[e] = (float)(at->sum[e] / total);
}

/* Strides of operand `k`, whose last two dims are a matrix: its batch dims broadcast, and its rows follow the query
 * rows (by_row) or start anew for each of them. */
static bool set_strides(struct inc_walk *walk, int k, const struct inc_tensor *tensor, bool by_row)
{
    int64_t stride = 1;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        int at = walk->rank - tensor->rank + d;
        bool batch = at < walk->rank - 2, row = at == walk->rank - 2;
        if (at < 0 || ((batch || (row && by_row)) && tensor->dims[d] != 1 && tensor->dims[d] != walk->dims[at]))
            return false;
        if (batch || (row && by_row)) walk->strides[k][at] = tensor->dims[d] == 1 ? 0 : stride;
        stride = inc_walk_mul(stride, tensor->dims[d]);
    }
    return true;
}

static enum incise_status prepare(struct inc_eval *eval, const struct inc_node *node, struct attention *at,
                                  struct inc_walk *walk)
{
    const struct inc_tensor *q = eval->in[Q], *k = eval->in[K], *v = eval->in[V], *out = &eval->out[0];
    if (q->rank < 2 || k->rank < 2 || v->rank < 2 || out->rank < 2)
        return inc_node_fail(eval->scratch_graph, node, "query, key and value need rank 2 or more");
    at->depth = (size_t)q->dims[q->rank - 1];
    at->keys = (size_t)k->dims[k->rank - 2];
    at->width = (size_t)v->dims[v->rank - 1];
    inc_walk_init(walk, out->rank, out->dims, OPERANDS);
    walk->dims[out->rank - 1] = 1; /* whole rows */
    bool fits = k->dims[k->rank - 1] == q->dims[q->rank - 1] && v->dims[v->rank - 2] == k->dims[k->rank - 2] &&
                out->dims[out->rank - 1] == v->dims[v->rank - 1] && set_strides(walk, Q, q, true) &&
                set_strides(walk, K, k, false) && set_strides(walk, V, v, false);
    at->causal = inc_attr_bool(node, "causal");
    if (node->n_inputs > MASK && !at->causal) {
        const struct inc_tensor *mask = eval->in[MASK];
        int64_t last = mask->rank > 0 ? mask->dims[mask->rank - 1] : 1;
        at->mask_step = last == 1 ? 0 : 1;
        fits = fits && (last == 1 || last == (int64_t)at->keys) && set_strides(walk, MASK, mask, true);
        if (mask->type == INC_BOOL) at->allowed = mask->data;
        else if (!(at->mask = inc_eval_floats(eval, node, MASK))) return INCISE_ERROR_MEMORY;
    }
    if (!fits) return inc_node_fail(eval->scratch_graph, node, "query, key, value and mask do not fit each other");
    at->scale = 1.0 / sqrt((double)at->depth);
    if (node->n_inputs > 4) {
        if (inc_tensor_elements(eval->in[4]) != 1)
            return inc_node_fail(eval->scratch_graph, node, "the scale must be one number");
        at->scale = inc_tensor_get_f64(eval->in[4], 0);
    }
    inc_walk_start(walk);
    return INCISE_OK;
}

enum incise_status inc_eval_sdpa(struct inc_eval *eval, struct inc_node *node)
{
    struct attention at = {0};
    struct inc_walk walk;
    INC_TRY(prepare(eval, node, &at, &walk));
    at.q = inc_eval_floats(eval, node, Q);
    at.k = at.q ? inc_eval_floats(eval, node, K) : NULL;
    at.v = at.k ? inc_eval_floats(eval, node, V) : NULL;
    at.scores = at.v ? inc_eval_scratch(eval, node, at.keys, sizeof(double)) : NULL;
    at.sum = at.scores ? inc_eval_scratch(eval, node, at.width, sizeof(double)) : NULL;
    if (!at.sum) return INCISE_ERROR_MEMORY;
    size_t queries = (size_t)eval->out[0].dims[eval->out[0].rank - 2], n = 0;
    float *out = eval->out[0].data;
    for (size_t r = 0; r < walk.runs; r++, inc_walk_next(&walk)) {
        for (int64_t i = 0; i < walk.run; i++, n++) {
            int64_t offset[OPERANDS];
            for (int k = 0; k < OPERANDS; k++) offset[k] = walk.offset[k] + i * walk.step[k];
            attend_row(&at, n % queries, offset, out + n * at.width);
        }
    }
    return INCISE_OK;
}
