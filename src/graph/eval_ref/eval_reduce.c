/* SPDX-License-Identifier: Apache-2.0 */
/* Ops over groups of elements along some axes: Reduce*, MVN, NormalizeL2, Softmax, CumSum. Sums are double or int64. */
#include <float.h>
#include <math.h>
#include <strings.h>

#include "graph/eval_ref/eval_internal.h"

/* The input's elements as n_outer groups of n_inner: element j of group g lies at outer[g] + inner[j]. Both orders are
 * row-major, so that group g is element g of the reduced result. */
struct groups {
    size_t n_outer, n_inner;
    const int64_t *outer, *inner;
};

/* Offsets of the dims chosen (or not chosen) by `axes`. NULL: memory, reported. */
static const int64_t *offsets(struct inc_eval *eval, const struct inc_node *node, const bool *axes, bool chosen,
                              size_t *count)
{
    const struct inc_tensor *in = eval->in[0];
    struct inc_walk walk;
    int64_t stride = 1, dims[INC_MAX_RANK], strides[INC_MAX_RANK];
    int rank = 0;
    *count = 1;
    for (int d = in->rank - 1; d >= 0; stride = inc_walk_mul(stride, in->dims[d]), d--) strides[d] = stride;
    for (int d = 0; d < in->rank; d++) {
        if (axes[d] != chosen) continue;
        *count *= (size_t)in->dims[d];
        strides[rank] = strides[d];
        dims[rank++] = in->dims[d];
    }
    int64_t *out = inc_eval_scratch(eval, node, *count, sizeof *out);
    if (!out) return NULL;
    inc_walk_init(&walk, rank, dims, 1);
    for (int d = 0; d < rank; d++) walk.strides[0][d] = strides[d];
    inc_walk_start(&walk);
    size_t at = 0;
    for (size_t r = 0; r < walk.runs; r++, inc_walk_next(&walk))
        for (int64_t i = 0; i < walk.run; i++) out[at++] = walk.offset[0] + i * walk.step[0];
    return out;
}

static enum incise_status make_groups(struct inc_eval *eval, const struct inc_node *node, const bool *axes,
                                      struct groups *groups)
{
    groups->outer = offsets(eval, node, axes, false, &groups->n_outer);
    groups->inner = groups->outer ? offsets(eval, node, axes, true, &groups->n_inner) : NULL;
    return groups->inner ? INCISE_OK : INCISE_ERROR_MEMORY;
}

/* Groups along the axes that input 1 lists. */
static enum incise_status listed_groups(struct inc_eval *eval, const struct inc_node *node, struct groups *groups)
{
    bool axes[INC_MAX_RANK] = {false};
    size_t n = inc_tensor_elements(eval->in[1]);
    const int64_t *list = inc_eval_ints(eval, node, 1);
    if (!list) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        int axis;
        INC_TRY(inc_eval_axis(eval, node, list[i], eval->in[0]->rank, &axis));
        axes[axis] = true;
    }
    return make_groups(eval, node, axes, groups);
}

static enum incise_status axis_groups(struct inc_eval *eval, const struct inc_node *node, int64_t axis,
                                      struct groups *groups)
{
    bool axes[INC_MAX_RANK] = {false};
    int at;
    INC_TRY(inc_eval_axis(eval, node, axis, eval->in[0]->rank, &at));
    axes[at] = true;
    return make_groups(eval, node, axes, groups);
}

/* ---- Reduce ------------------------------------------------------------------------------------------------------ */

/* What OpenVINO gives for no elements. */
static double reduce_nothing(enum inc_op op)
{
    switch (op) {
    case INC_OP_REDUCE_PROD: return 1.0;
    case INC_OP_REDUCE_MAX: return -FLT_MAX;
    case INC_OP_REDUCE_MIN: return FLT_MAX;
    default: return 0.0;
    }
}

static double reduce_floats(enum inc_op op, const float *in, const int64_t *inner, size_t n)
{
    if (n == 0) return reduce_nothing(op);
    double sum = op == INC_OP_REDUCE_PROD ? 1.0 : op == INC_OP_REDUCE_MAX ? -INFINITY
                 : op == INC_OP_REDUCE_MIN ? INFINITY : 0.0;
    for (size_t j = 0; j < n; j++) {
        double x = (double)in[inner[j]];
        switch (op) {
        case INC_OP_REDUCE_PROD: sum *= x; break;
        case INC_OP_REDUCE_MAX: sum = x > sum || isnan(x) ? x : sum; break;
        case INC_OP_REDUCE_MIN: sum = x < sum || isnan(x) ? x : sum; break;
        case INC_OP_REDUCE_L2: sum += x * x; break;
        default: sum += x; break;
        }
    }
    if (op == INC_OP_REDUCE_MEAN) return sum / (double)n;
    return op == INC_OP_REDUCE_L2 ? sqrt(sum) : sum;
}

static int64_t reduce_ints(enum inc_op op, const int64_t *in, const int64_t *inner, size_t n)
{
    uint64_t sum = op == INC_OP_REDUCE_PROD;
    int64_t best = n > 0 ? in[inner[0]] : 0;
    for (size_t j = 0; j < n; j++) {
        int64_t x = in[inner[j]];
        if (op == INC_OP_REDUCE_PROD) sum *= (uint64_t)x;
        else sum += op == INC_OP_REDUCE_L2 ? (uint64_t)x * (uint64_t)x : (uint64_t)x;
        if (op == INC_OP_REDUCE_MAX ? x > best : x < best) best = x;
    }
    switch (op) {
    case INC_OP_REDUCE_MAX:
    case INC_OP_REDUCE_MIN: return best;
    case INC_OP_REDUCE_MEAN: return (int64_t)sum / (int64_t)n;
    case INC_OP_REDUCE_L2: return (int64_t)sqrt((double)sum);
    default: return (int64_t)sum;
    }
}

enum incise_status inc_eval_reduce(struct inc_eval *eval, struct inc_node *node)
{
    struct groups g;
    INC_TRY(listed_groups(eval, node, &g));
    if (inc_tensor_elements(&eval->out[0]) != g.n_outer)
        return inc_node_fail(eval->scratch_graph, node, "the result has another size");
    if (eval->out[0].type == INC_F32) {
        const float *in = inc_eval_floats(eval, node, 0);
        float *out = eval->out[0].data;
        if (!in) return INCISE_ERROR_MEMORY;
        for (size_t i = 0; i < g.n_outer; i++)
            out[i] = (float)reduce_floats(node->op, in + g.outer[i], g.inner, g.n_inner);
        return INCISE_OK;
    }
    const int64_t *in = inc_eval_ints(eval, node, 0);
    if (!in) return INCISE_ERROR_MEMORY;
    bool has_empty = node->op == INC_OP_REDUCE_SUM || node->op == INC_OP_REDUCE_PROD || node->op == INC_OP_REDUCE_L2;
    if (g.n_inner == 0 && g.n_outer > 0 && !has_empty)
        return inc_node_fail(eval->scratch_graph, node, "reduces integers over no elements");
    for (size_t i = 0; i < g.n_outer; i++) {
        int64_t v = reduce_ints(node->op, in + g.outer[i], g.inner, g.n_inner);
        inc_eval_store_ints(&eval->out[0], i, 1, &v);
    }
    return INCISE_OK;
}

/* ---- normalizations ---------------------------------------------------------------------------------------------- */

struct normalization {
    double eps;
    bool outside; /* MVN: eps is added to the root */
    bool variance;
    bool max;     /* NormalizeL2: max(sum, eps) instead of sum + eps */
};

static void mvn_group(const struct normalization *p, const float *in, const struct groups *g, float *out)
{
    double sum = 0, squares = 0, n = (double)g->n_inner;
    for (size_t j = 0; j < g->n_inner; j++) sum += (double)in[g->inner[j]];
    double mean = sum / n, divisor = 1;
    if (p->variance) {
        for (size_t j = 0; j < g->n_inner; j++) {
            double d = (double)in[g->inner[j]] - mean;
            squares += d * d;
        }
        divisor = p->outside ? sqrt(squares / n) + p->eps : sqrt(squares / n + p->eps);
    }
    for (size_t j = 0; j < g->n_inner; j++) out[g->inner[j]] = (float)(((double)in[g->inner[j]] - mean) / divisor);
}

static void l2_group(const struct normalization *p, const float *in, const struct groups *g, float *out)
{
    double squares = 0;
    for (size_t j = 0; j < g->n_inner; j++) squares += (double)in[g->inner[j]] * (double)in[g->inner[j]];
    double divisor = sqrt(p->max ? fmax(squares, p->eps) : squares + p->eps);
    for (size_t j = 0; j < g->n_inner; j++) out[g->inner[j]] = (float)((double)in[g->inner[j]] / divisor);
}

static void softmax_group(const struct normalization *p, const float *in, const struct groups *g, float *out)
{
    (void)p;
    double max = -INFINITY, sum = 0;
    for (size_t j = 0; j < g->n_inner; j++) max = fmax(max, (double)in[g->inner[j]]);
    for (size_t j = 0; j < g->n_inner; j++) sum += exp((double)in[g->inner[j]] - max);
    for (size_t j = 0; j < g->n_inner; j++) out[g->inner[j]] = (float)(exp((double)in[g->inner[j]] - max) / sum);
}

typedef void group_fn(const struct normalization *p, const float *in, const struct groups *g, float *out);

static enum incise_status run_groups(struct inc_eval *eval, const struct inc_node *node, const struct groups *g,
                                     group_fn *group, const struct normalization *p)
{
    if (eval->out[0].type != INC_F32)
        return inc_node_fail(eval->scratch_graph, node, "needs a float input, has %s",
                             inc_type_name(eval->in[0]->type));
    const float *in = inc_eval_floats(eval, node, 0);
    float *out = eval->out[0].data;
    if (!in) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; g->n_inner > 0 && i < g->n_outer; i++) group(p, in + g->outer[i], g, out + g->outer[i]);
    return INCISE_OK;
}

/* Which of two spellings the attribute eps_mode has. */
static enum incise_status eps_mode(struct inc_eval *eval, const struct inc_node *node, const char *first,
                                   const char *second, bool *is_second)
{
    const char *mode = inc_attr_string(node, "eps_mode");
    *is_second = strcasecmp(mode, second) == 0;
    if (*is_second || strcasecmp(mode, first) == 0) return INCISE_OK;
    return inc_node_fail(eval->scratch_graph, node, "eps_mode '%s' is neither %s nor %s", mode, first, second);
}

enum incise_status inc_eval_mvn(struct inc_eval *eval, struct inc_node *node)
{
    struct normalization p = {.eps = inc_attr_float(node, "eps"),
                              .variance = inc_attr_bool(node, "normalize_variance")};
    struct groups g;
    INC_TRY(eps_mode(eval, node, "inside_sqrt", "outside_sqrt", &p.outside));
    INC_TRY(listed_groups(eval, node, &g));
    return run_groups(eval, node, &g, mvn_group, &p);
}

enum incise_status inc_eval_normalize_l2(struct inc_eval *eval, struct inc_node *node)
{
    struct normalization p = {.eps = inc_attr_float(node, "eps")};
    struct groups g;
    INC_TRY(eps_mode(eval, node, "add", "max", &p.max));
    INC_TRY(listed_groups(eval, node, &g));
    return run_groups(eval, node, &g, l2_group, &p);
}

enum incise_status inc_eval_softmax(struct inc_eval *eval, struct inc_node *node)
{
    struct groups g;
    INC_TRY(axis_groups(eval, node, inc_attr_int(node, "axis"), &g));
    return run_groups(eval, node, &g, softmax_group, NULL);
}

/* ---- CumSum ------------------------------------------------------------------------------------------------------ */

enum incise_status inc_eval_cum_sum(struct inc_eval *eval, struct inc_node *node)
{
    bool exclusive = inc_attr_bool(node, "exclusive"), reverse = inc_attr_bool(node, "reverse");
    bool floats = eval->out[0].type == INC_F32;
    struct groups g;
    if (node->n_inputs > 1 && inc_tensor_elements(eval->in[1]) != 1)
        return inc_node_fail(eval->scratch_graph, node, "the axis must be one number");
    INC_TRY(axis_groups(eval, node, node->n_inputs > 1 ? inc_tensor_get_i64(eval->in[1], 0) : 0, &g));
    const float *in_floats = floats ? inc_eval_floats(eval, node, 0) : NULL;
    const int64_t *in_ints = floats ? NULL : inc_eval_ints(eval, node, 0);
    if (!in_floats && !in_ints) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < g.n_outer; i++) {
        double sum = 0;
        uint64_t total = 0;
        for (size_t j = 0; j < g.n_inner; j++) {
            int64_t at = g.outer[i] + g.inner[reverse ? g.n_inner - 1 - j : j];
            double before = sum;
            uint64_t before_ints = total;
            if (floats) {
                sum += (double)in_floats[at];
                ((float *)eval->out[0].data)[at] = (float)(exclusive ? before : sum);
            } else {
                total += (uint64_t)in_ints[at];
                int64_t v = (int64_t)(exclusive ? before_ints : total);
                inc_eval_store_ints(&eval->out[0], (size_t)at, 1, &v);
            }
        }
    }
    return INCISE_OK;
}
