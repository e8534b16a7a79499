/* SPDX-License-Identifier: Apache-2.0 */
/* Shape rules of linear algebra, attention, normalizations, reductions and the ops that lowering makes. */
#include <math.h>

#include "base/size.h"
#include "graph/shape_rules.h"

/* ---- MatMul ---------------------------------------------------------------------------------------------------- */

/* An operand as a stack of matrices: a vector is one row (left) or one column (right). */
struct matrices {
    struct inc_shape batch;
    struct inc_dim rows, columns;
};

static struct matrices split_matrices(const struct inc_shape *shape, bool transpose, bool left)
{
    struct matrices m = {.batch = *shape, .rows = inc_dim_const(1), .columns = inc_dim_const(1)};
    if (shape->rank == 1) {
        *(left ? &m.columns : &m.rows) = shape->dims[0];
        m.batch.rank = 0;
        return m;
    }
    m.batch.rank = shape->rank - 2;
    m.rows = shape->dims[shape->rank - (transpose ? 1 : 2)];
    m.columns = shape->dims[shape->rank - (transpose ? 2 : 1)];
    return m;
}

SHAPE_RULE(matmul)
{
    const struct inc_shape *shapes[] = {&node->inputs[0]->shape, &node->inputs[1]->shape};
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_FLOAT));
    INC_TRY(inc_rule_same_type(infer, node, 0, 1));
    for (uint32_t i = 0; i < 2; i++)
        if (shapes[i]->rank == 0) return inc_node_fail(infer->graph, node, "input %u is a scalar", (unsigned)i);
    struct matrices a = split_matrices(shapes[0], inc_attr_bool(node, "transpose_a"), true);
    struct matrices b = split_matrices(shapes[1], inc_attr_bool(node, "transpose_b"), false);
    struct inc_dim inner;
    if (!inc_dim_unify(a.columns, b.rows, &inner))
        return inc_node_fail(infer->graph, node, "rows of %lld times columns of %lld", (long long)a.columns.value,
                             (long long)b.rows.value);
    struct inc_shape out;
    INC_TRY(inc_rule_broadcast(infer, node, &a.batch, &b.batch, &out));
    if (shapes[0]->rank > 1) out.dims[out.rank++] = a.rows;
    if (shapes[1]->rank > 1) out.dims[out.rank++] = b.columns;
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, &out, NULL);
}

/* ---- attention ------------------------------------------------------------------------------------------------- */

static enum incise_status check_sdpa_types(const struct inc_infer *infer, const struct inc_node *node)
{
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_FLOAT));
    INC_TRY(inc_rule_same_type(infer, node, 0, 1));
    INC_TRY(inc_rule_same_type(infer, node, 0, 2));
    if (node->n_inputs > 3 && node->inputs[3]->type != INC_BOOL) INC_TRY(inc_rule_same_type(infer, node, 0, 3));
    if (node->n_inputs > 4) {
        size_t n;
        INC_TRY(inc_rule_same_type(infer, node, 0, 4));
        if (inc_shape_count(&node->inputs[4]->shape, &n) && n != 1)
            return inc_node_fail(infer->graph, node, "the scale must be one number");
    }
    for (uint32_t i = 0; i < 3; i++)
        if (node->inputs[i]->shape.rank < 3)
            return inc_node_fail(infer->graph, node, "input %u has rank %d, needs 3 or more", (unsigned)i,
                                 node->inputs[i]->shape.rank);
    return INCISE_OK;
}

/* The mask must broadcast to the scores [batch..., queries, keys]. Ignored when `causal` is set. */
static enum incise_status check_mask(const struct inc_infer *infer, const struct inc_node *node,
                                     const struct inc_shape *scores)
{
    if (node->n_inputs < 4 || inc_attr_bool(node, "causal")) return INCISE_OK;
    const struct inc_shape *mask = &node->inputs[3]->shape;
    struct inc_shape both;
    INC_TRY(inc_rule_broadcast(infer, node, scores, mask, &both));
    bool larger = both.rank != scores->rank;
    for (int i = 0; !larger && i < both.rank; i++)
        larger = inc_dim_equal(scores->dims[i], inc_dim_const(1)) && inc_dim_is_const(both.dims[i]) &&
                 both.dims[i].value > 1;
    if (larger) return inc_node_fail(infer->graph, node, "the mask is larger than the scores it masks");
    return INCISE_OK;
}

/* q [batch..., L, E], k [batch..., S, E], v [batch..., S, V] give [batch..., L, V]. */
SHAPE_RULE(sdpa)
{
    INC_TRY(check_sdpa_types(infer, node));
    const struct inc_shape *q = &node->inputs[0]->shape, *k = &node->inputs[1]->shape, *v = &node->inputs[2]->shape;
    struct inc_shape batches[] = {*q, *k, *v}, out;
    for (int i = 0; i < 3; i++) batches[i].rank -= 2;
    struct inc_dim width, keys;
    if (!inc_dim_unify(q->dims[q->rank - 1], k->dims[k->rank - 1], &width))
        return inc_node_fail(infer->graph, node, "queries and keys differ in width");
    if (!inc_dim_unify(k->dims[k->rank - 2], v->dims[v->rank - 2], &keys))
        return inc_node_fail(infer->graph, node, "keys and values differ in number");
    INC_TRY(inc_rule_broadcast(infer, node, &batches[0], &batches[1], &out));
    INC_TRY(inc_rule_broadcast(infer, node, &out, &batches[2], &out));
    struct inc_shape scores = out;
    scores.dims[scores.rank++] = q->dims[q->rank - 2];
    scores.dims[scores.rank++] = keys;
    INC_TRY(check_mask(infer, node, &scores));
    out.dims[out.rank++] = q->dims[q->rank - 2];
    out.dims[out.rank++] = v->dims[v->rank - 1];
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, &out, NULL);
}

/* ---- normalizations and reductions ----------------------------------------------------------------------------- */

/* Output = input 0, which is float. */
static enum incise_status same_as_input(struct inc_infer *infer, struct inc_node *node)
{
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, &node->inputs[0]->shape, NULL);
}

static enum incise_status check_eps(const struct inc_infer *infer, const struct inc_node *node)
{
    double eps = inc_attr_float(node, "eps");
    if (eps >= 0 && isfinite(eps)) return INCISE_OK;
    return inc_node_fail(infer->graph, node, "eps %g is not a number that is 0 or more", eps);
}

static enum incise_status norm_rule(struct inc_infer *infer, struct inc_node *node, const char *const *modes)
{
    unsigned axes;
    bool known;
    int mode;
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_FLOAT));
    INC_TRY(inc_rule_axes(infer, node, 1, node->inputs[0]->shape.rank, &axes, &known));
    INC_TRY(check_eps(infer, node));
    INC_TRY(inc_rule_word(infer, node, "eps_mode", modes, &mode));
    return same_as_input(infer, node);
}

SHAPE_RULE(mvn)
{
    static const char *const modes[] = {"INSIDE_SQRT", "OUTSIDE_SQRT", NULL};
    return norm_rule(infer, node, modes);
}

SHAPE_RULE(normalize_l2)
{
    static const char *const modes[] = {"add", "max", NULL};
    return norm_rule(infer, node, modes);
}

SHAPE_RULE(softmax)
{
    int64_t axis = inc_attr_int(node, "axis");
    int place;
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_FLOAT));
    if (node->op == INC_OP_SOFTMAX1 && axis < 0)
        return inc_node_fail(infer->graph, node, "axis %lld is negative", (long long)axis);
    INC_TRY(inc_rule_axis(infer, node, axis, node->inputs[0]->shape.rank, &place));
    return same_as_input(infer, node);
}

SHAPE_RULE(cum_sum)
{
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_NUMBER));
    struct inc_dim axis;
    size_t n, count;
    int place;
    if (node->n_inputs == 2) {
        INC_TRY(inc_rule_class(infer, node, 1, INC_CLASS_INTEGER));
        if (inc_shape_count(&node->inputs[1]->shape, &count) && count != 1)
            return inc_node_fail(infer->graph, node, "input 1 must be one number");
        if (inc_rule_elements(infer, node, 1, &axis, 1, &n) && n == 1 && inc_dim_is_const(axis))
            INC_TRY(inc_rule_axis(infer, node, axis.value, node->inputs[0]->shape.rank, &place));
    } else {
        INC_TRY(inc_rule_axis(infer, node, 0, node->inputs[0]->shape.rank, &place));
    }
    return same_as_input(infer, node);
}

/* The one element that a reduction of all known elements leaves. */
static struct inc_dim reduce_elements(struct inc_infer *infer, const struct inc_node *node, const struct inc_dim *e,
                                      size_t n)
{
    struct inc_graph *graph = infer->graph;
    struct inc_dim unknown = inc_rule_unknown_element(infer, node, 0, 0);
    bool product = node->op == INC_OP_REDUCE_PROD, sum = node->op == INC_OP_REDUCE_SUM;
    if (product || sum) {
        struct inc_dim total = inc_dim_const(product);
        for (size_t i = 0; i < n; i++)
            total = product ? inc_dim_mul(graph, total, e[i]) : inc_dim_add(graph, total, e[i]);
        return inc_dim_equal(total, INC_DIM_OVERFLOW) ? unknown : total;
    }
    if (n == 0 || (node->op != INC_OP_REDUCE_MAX && node->op != INC_OP_REDUCE_MIN)) return unknown;
    struct inc_dim best = e[0];
    for (size_t i = 0; i < n; i++) {
        if (!inc_dim_is_const(e[i])) return n == 1 ? e[0] : unknown;
        if (node->op == INC_OP_REDUCE_MAX ? e[i].value > best.value : e[i].value < best.value) best = e[i];
    }
    return best;
}

SHAPE_RULE(reduce)
{
    const struct inc_value *input = node->inputs[0];
    bool keep = inc_attr_bool(node, "keep_dims"), known;
    unsigned axes;
    size_t n;
    INC_TRY(inc_rule_class(infer, node, 0, INC_CLASS_NUMBER));
    INC_TRY(inc_rule_axes(infer, node, 1, input->shape.rank, &axes, &known));
    if (!known && !keep) return inc_node_fail(infer->graph, node, "input 1 must be constant when keep_dims is false");
    struct inc_shape out = {.rank = 0};
    for (int i = 0; i < input->shape.rank; i++) {
        if (!known)
            out.dims[out.rank++] = inc_rule_unknown_dim(infer, node, 0, (size_t)i);
        else if (!(axes >> i & 1))
            out.dims[out.rank++] = input->shape.dims[i];
        else if (keep)
            out.dims[out.rank++] = inc_dim_const(1);
    }
    const struct inc_dim *e = inc_rule_known(infer, node, 0, &n);
    if (!e || !known || axes != (1u << input->shape.rank) - 1)
        return inc_rule_set(infer, node, 0, input->type, &out, NULL);
    struct inc_dim result = reduce_elements(infer, node, e, n);
    return inc_rule_set(infer, node, 0, input->type, &out, &result);
}

/* ---- fused ops ------------------------------------------------------------------------------------------------- */

/* Type and shape are what lowering has set. */
SHAPE_RULE(packed)
{
    if (node->outputs[0].shape.rank >= 0) return INCISE_OK;
    return inc_node_fail(infer->graph, node, "its shape was not set when it was made");
}
