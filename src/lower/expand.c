/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/expand.h"

#include <math.h>

#include "graph/shape.h"
#include "lower/match.h"

/* One node's expansion: its ops are added before the node. Once something failed, every value is NULL. */
struct expansion {
    struct inc_lowering *lowering;
    struct inc_node *node;
    enum incise_status status;
};

/* ---- building -------------------------------------------------------------------------------------------------- */

static struct inc_value *noted(struct expansion *ex, struct inc_value *value)
{
    if (value == NULL) ex->status = INCISE_ERROR_MEMORY;
    return value;
}

static struct inc_value *emit(struct expansion *ex, enum inc_op op, struct inc_value *const *inputs, uint32_t n_inputs)
{
    for (uint32_t i = 0; i < n_inputs; i++)
        if (inputs[i] == NULL) return NULL;
    struct inc_node *node = inc_graph_add(ex->lowering->graph, op, NULL, inputs, n_inputs, ex->node);
    return noted(ex, node == NULL ? NULL : &node->outputs[0]);
}

static struct inc_value *unary(struct expansion *ex, enum inc_op op, struct inc_value *a)
{
    return emit(ex, op, &a, 1);
}

static struct inc_value *binary(struct expansion *ex, enum inc_op op, struct inc_value *a, struct inc_value *b)
{
    return emit(ex, op, (struct inc_value *[]){a, b}, 2);
}

static struct inc_value *ternary(struct expansion *ex, enum inc_op op, struct inc_value *a, struct inc_value *b,
                                 struct inc_value *c)
{
    return emit(ex, op, (struct inc_value *[]){a, b, c}, 3);
}

static struct inc_value *integers(struct expansion *ex, const int64_t *values, int64_t n)
{
    return noted(ex, inc_add_integers(ex->lowering->graph, values, n, 1, ex->node));
}

static struct inc_value *integer(struct expansion *ex, int64_t value)
{
    return noted(ex, inc_add_integers(ex->lowering->graph, &value, 1, 0, ex->node));
}

static struct inc_value *number(struct expansion *ex, enum inc_type type, double value)
{
    return noted(ex, inc_add_float(ex->lowering->graph, type, value, ex->node));
}

static struct inc_value *activation(struct expansion *ex, struct inc_value *x)
{
    static const struct {
        enum inc_op op;
        const char *mode; /* of Gelu */
    } ops[] = {
        [INC_ACT_RELU] = {INC_OP_RELU, NULL},        [INC_ACT_GELU_ERF] = {INC_OP_GELU, "ERF"},
        [INC_ACT_GELU_TANH] = {INC_OP_GELU, "TANH"}, [INC_ACT_SILU] = {INC_OP_SWISH, NULL},
        [INC_ACT_TANH] = {INC_OP_TANH, NULL},        [INC_ACT_SIGMOID] = {INC_OP_SIGMOID, NULL},
    };
    enum inc_act act;
    if (!inc_act_parse(inc_attr_string(ex->node, "act"), &act)) {
        ex->status = inc_node_fail(ex->lowering->graph, ex->node, "has an unknown activation");
        return NULL;
    }
    if (act == INC_ACT_NONE) return x;
    struct inc_value *y = unary(ex, ops[act].op, x);
    if (y != NULL && ops[act].mode != NULL)
        ex->status = inc_attr_set_string(ex->lowering->graph, y->node, "approximation_mode", ops[act].mode);
    return ex->status == INCISE_OK ? y : NULL;
}

/* ---- Linear, gates, embeddings ----------------------------------------------------------------------------------- */

static struct inc_value *expand_linear(struct expansion *ex)
{
    const struct inc_node *node = ex->node;
    struct inc_value *y = binary(ex, INC_OP_MATMUL, node->inputs[0], node->inputs[1]);
    if (y != NULL) inc_attr_set_bool(y->node, "transpose_b", inc_attr_bool(node, "transpose_b"));
    if (inc_attr_bool(node, "bias")) y = binary(ex, INC_OP_ADD, y, node->inputs[2]);
    y = activation(ex, y);
    if (inc_attr_bool(node, "residual")) y = binary(ex, INC_OP_ADD, y, node->inputs[node->n_inputs - 1]);
    return y;
}

static struct inc_value *expand_gated(struct expansion *ex)
{
    return binary(ex, INC_OP_MULTIPLY, activation(ex, ex->node->inputs[0]), ex->node->inputs[1]);
}

static struct inc_value *expand_embedding(struct expansion *ex)
{
    return ternary(ex, INC_OP_GATHER, ex->node->inputs[0], ex->node->inputs[1], integer(ex, 0));
}

/* ---- Pool -------------------------------------------------------------------------------------------------------- */

/* What each token counts, [B, S, 1]: the weights, else the padding input. */
static struct inc_value *token_weights(struct expansion *ex, enum inc_type type)
{
    struct inc_value *weights = ex->node->n_inputs > 1 ? ex->node->inputs[1] : NULL;
    if (weights == NULL && ex->lowering->mask != NULL)
        weights = binary(ex, INC_OP_UNSQUEEZE, &ex->lowering->mask->outputs[0], integers(ex, (int64_t[]){2}, 1));
    else if (weights == NULL)
        ex->status = inc_node_fail(ex->lowering->graph, ex->node, "has neither weights nor padding");
    struct inc_value *converted = weights == NULL ? NULL : unary(ex, INC_OP_CONVERT, weights);
    if (converted != NULL) inc_attr_set_type(converted->node, "destination_type", type);
    return converted;
}

/* Over the tokens; the axis is kept if the node keeps it. */
static struct inc_value *over_tokens(struct expansion *ex, enum inc_op op, struct inc_value *value)
{
    struct inc_value *reduced = binary(ex, op, value, integers(ex, (int64_t[]){1}, 1));
    if (reduced != NULL) inc_attr_set_bool(reduced->node, "keep_dims", ex->node->outputs[0].shape.rank == 3);
    return reduced;
}

static struct inc_value *expand_token(struct expansion *ex)
{
    struct inc_value *row = ternary(ex, INC_OP_GATHER, ex->node->inputs[0], ex->node->inputs[1], integer(ex, 1));
    if (row != NULL) inc_attr_set_int(row->node, "batch_dims", inc_attr_int(ex->node, "batch_dims"));
    return row;
}

static struct inc_value *expand_pool(struct expansion *ex)
{
    struct inc_value *x = ex->node->inputs[0];
    struct inc_value *least = number(ex, x->type, inc_attr_float(ex->node, "least"));
    enum inc_pool_mode mode;
    if (!inc_pool_mode_parse(inc_attr_string(ex->node, "mode"), &mode)) {
        ex->status = inc_node_fail(ex->lowering->graph, ex->node, "has an unknown mode");
        return NULL;
    }
    if (mode == INC_POOL_TOKEN) return expand_token(ex);
    if (mode == INC_POOL_MAX)
        return over_tokens(ex, INC_OP_REDUCE_MAX, ternary(ex, INC_OP_SELECT, token_weights(ex, INC_BOOL), x, least));
    struct inc_value *weights = token_weights(ex, x->type);
    struct inc_value *sum = over_tokens(ex, INC_OP_REDUCE_SUM, binary(ex, INC_OP_MULTIPLY, x, weights));
    struct inc_value *count = binary(ex, INC_OP_MAXIMUM, over_tokens(ex, INC_OP_REDUCE_SUM, weights), least);
    return binary(ex, INC_OP_DIVIDE, sum, mode == INC_POOL_MEAN_SQRT ? unary(ex, INC_OP_SQRT, count) : count);
}

/* ---- norms ------------------------------------------------------------------------------------------------------- */

/* The scale, then the shift, where the node has them. */
static struct inc_value *scale_and_shift(struct expansion *ex, struct inc_value *y)
{
    if (ex->node->n_inputs > 1) y = binary(ex, INC_OP_MULTIPLY, y, ex->node->inputs[1]);
    if (ex->node->n_inputs > 2) y = binary(ex, INC_OP_ADD, y, ex->node->inputs[2]);
    return y;
}

static struct inc_value *expand_layer_norm(struct expansion *ex)
{
    struct inc_value *y = binary(ex, INC_OP_MVN, ex->node->inputs[0], integers(ex, (int64_t[]){-1}, 1));
    if (y == NULL) return NULL;
    inc_attr_set_float(y->node, "eps", inc_attr_float(ex->node, "eps"));
    inc_attr_set_bool(y->node, "normalize_variance", true);
    ex->status = inc_attr_set_string(ex->lowering->graph, y->node, "eps_mode", "INSIDE_SQRT");
    return ex->status == INCISE_OK ? scale_and_shift(ex, y) : NULL;
}

static struct inc_value *expand_rms_norm(struct expansion *ex)
{
    struct inc_value *x = ex->node->inputs[0];
    struct inc_value *square = binary(ex, INC_OP_POWER, x, number(ex, x->type, 2));
    struct inc_value *mean = binary(ex, INC_OP_REDUCE_MEAN, square, integers(ex, (int64_t[]){-1}, 1));
    if (mean == NULL) return NULL;
    inc_attr_set_bool(mean->node, "keep_dims", true);
    struct inc_value *sum = binary(ex, INC_OP_ADD, mean, number(ex, x->type, inc_attr_float(ex->node, "eps")));
    return scale_and_shift(ex, binary(ex, INC_OP_DIVIDE, x, unary(ex, INC_OP_SQRT, sum)));
}

/* ---- RoPE -------------------------------------------------------------------------------------------------------- */

/* Channels [begin, end). */
static struct inc_value *channels(struct expansion *ex, struct inc_value *x, int64_t begin, int64_t end)
{
    struct inc_value *inputs[] = {x, integers(ex, &begin, 1), integers(ex, &end, 1), integers(ex, (int64_t[]){1}, 1),
                                  integers(ex, (int64_t[]){-1}, 1)};
    return emit(ex, INC_OP_SLICE, inputs, 5);
}

static struct inc_value *expand_rope(struct expansion *ex)
{
    struct inc_value *x = ex->node->inputs[0];
    int64_t width = inc_last_dim(x);
    struct inc_value *second = unary(ex, INC_OP_NEGATIVE, channels(ex, x, width / 2, width));
    struct inc_value *rotated = binary(ex, INC_OP_CONCAT, second, channels(ex, x, 0, width / 2));
    if (rotated == NULL) return NULL;
    inc_attr_set_int(rotated->node, "axis", -1);
    return binary(ex, INC_OP_ADD, binary(ex, INC_OP_MULTIPLY, x, ex->node->inputs[1]),
                  binary(ex, INC_OP_MULTIPLY, rotated, ex->node->inputs[2]));
}

/* ---- Attention --------------------------------------------------------------------------------------------------- */

/* 0, 1, ... along the length axis of x [B, H, length, D], with an axis of size 1 put in at `axis`. */
static struct inc_value *positions(struct expansion *ex, struct inc_value *x, int64_t axis)
{
    struct inc_value *length = ternary(ex, INC_OP_GATHER, unary(ex, INC_OP_SHAPE_OF, x), integer(ex, 2),
                                       integer(ex, 0));
    struct inc_value *range = ternary(ex, INC_OP_RANGE, integer(ex, 0), length, integer(ex, 1));
    if (range == NULL) return NULL;
    inc_attr_set_type(range->node, "output_type", INC_I64);
    return binary(ex, INC_OP_UNSQUEEZE, range, integer(ex, axis));
}

/* `mask` and `other`; NULL as `mask`: there is none yet. */
static struct inc_value *both(struct expansion *ex, struct inc_value *mask, struct inc_value *other)
{
    return mask == NULL ? other : binary(ex, INC_OP_LOGICAL_AND, mask, other);
}

/* The boolean mask of the attributes and the padding input (struct inc_mask_form); NULL if all is visible. */
static struct inc_value *visible(struct expansion *ex)
{
    const struct inc_node *node = ex->node;
    struct inc_value *mask = NULL, *distance = NULL;
    bool causal = inc_attr_bool(node, "causal");
    int64_t window = inc_attr_int(node, "window");
    if (causal || window != 0)
        distance = binary(ex, INC_OP_SUBTRACT, positions(ex, node->inputs[0], 1), positions(ex, node->inputs[1], 0));
    if (causal) mask = binary(ex, INC_OP_GREATER_EQUAL, distance, integer(ex, 0));
    if (window != 0)
        mask = both(ex, mask, binary(ex, INC_OP_LESS, unary(ex, INC_OP_ABS, distance), integer(ex, window)));
    if (ex->lowering->mask == NULL || ex->status != INCISE_OK) return mask;
    struct inc_value *kept = unary(ex, INC_OP_CONVERT, &ex->lowering->mask->outputs[0]);
    if (kept == NULL) return NULL;
    inc_attr_set_type(kept->node, "destination_type", INC_BOOL);
    return both(ex, mask, binary(ex, INC_OP_UNSQUEEZE, kept, integers(ex, (int64_t[]){1, 2}, 2)));
}

/* That mask together with the bias input. Hidden keys get -inf, which hides them as false does. */
static struct inc_value *masked_bias(struct expansion *ex)
{
    struct inc_value *mask = visible(ex);
    struct inc_value *bias = ex->node->n_inputs > 3 ? ex->node->inputs[3] : NULL;
    if (bias == NULL || ex->status != INCISE_OK) return mask;
    if (mask == NULL) return bias;
    if (bias->type == INC_BOOL) return binary(ex, INC_OP_LOGICAL_AND, mask, bias);
    return ternary(ex, INC_OP_SELECT, mask, bias, number(ex, bias->type, -INFINITY));
}

/* Keys or values with each head repeated until there are as many as query heads. One head broadcasts by itself. */
static struct inc_value *repeat_heads(struct expansion *ex, struct inc_value *x)
{
    struct inc_dim heads = ex->node->inputs[0]->shape.dims[1], own = x->shape.dims[1];
    if (inc_dim_equal(heads, own) || inc_dim_equal(own, inc_dim_const(1))) return x;
    if (!inc_dim_is_const(heads) || !inc_dim_is_const(own) || own.value < 1 || heads.value % own.value != 0) {
        ex->status = inc_node_fail(ex->lowering->graph, ex->node, "has query and key heads that do not fit together");
        return NULL;
    }
    int64_t *index = inc_arena_alloc(&ex->lowering->graph->arena, (size_t)heads.value, sizeof *index);
    if (index == NULL) {
        ex->status = inc_fail_memory(ex->lowering->ctx, (size_t)heads.value * sizeof *index, "an expansion");
        return NULL;
    }
    for (int64_t i = 0; i < heads.value; i++) index[i] = i / (heads.value / own.value);
    return ternary(ex, INC_OP_GATHER, x, integers(ex, index, heads.value), integer(ex, 1));
}

static struct inc_value *expand_attention(struct expansion *ex)
{
    struct inc_node *node = ex->node;
    struct inc_value *k = repeat_heads(ex, node->inputs[1]), *v = repeat_heads(ex, node->inputs[2]);
    struct inc_value *inputs[5] = {node->inputs[0], k, v};
    enum inc_type type = inputs[0]->type;
    double scale = inc_attr_float(node, "scale");
    uint32_t n_inputs = 3;
    struct inc_value *mask = masked_bias(ex);
    if (ex->status != INCISE_OK) return NULL;
    if (mask != NULL) inputs[n_inputs++] = mask;
    if (scale != 1.0 / sqrt((double)inc_last_dim(inputs[0]))) {
        if (mask == NULL) inputs[n_inputs++] = number(ex, type, 0);
        inputs[n_inputs++] = number(ex, type, scale);
    }
    return emit(ex, INC_OP_SDPA, inputs, n_inputs);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

/* Rowwise and QuantizeRows are steps of a plan and never nodes of a graph. */
static struct inc_value *(*const expanders[INC_OP_COUNT])(struct expansion *ex) = {
    [INC_OP_LINEAR] = expand_linear,
    [INC_OP_ATTENTION] = expand_attention,
    [INC_OP_LAYER_NORM] = expand_layer_norm,
    [INC_OP_RMS_NORM] = expand_rms_norm,
    [INC_OP_ROPE] = expand_rope,
    [INC_OP_GATED_ACT] = expand_gated,
    [INC_OP_EMBEDDING_GATHER] = expand_embedding,
    [INC_OP_POOL] = expand_pool,
};

static enum incise_status replace(struct inc_lowering *lowering, struct inc_node *node)
{
    struct inc_graph *graph = lowering->graph;
    struct inc_infer infer = {.graph = graph};
    struct expansion ex = {.lowering = lowering, .node = node};
    struct inc_node *before = node->prev; /* what the node reads comes before it */
    struct inc_value *value = expanders[node->op](&ex), *old = &node->outputs[0];
    if (value == NULL) return ex.status;
    for (struct inc_node *added = before->next; added != node; added = added->next)
        INC_TRY(inc_shape_infer_node(&infer, added));
    if (value->type != old->type || !inc_same_shape(value, old))
        return inc_node_fail(graph, node, "is expanded into ops of another type or shape");
    value->node->name = node->name;
    value->names = old->names;
    value->n_names = old->n_names;
    INC_TRY(inc_value_replace(graph, old, value));
    inc_graph_remove(graph, node);
    return INCISE_OK;
}

enum incise_status inc_expand(struct inc_lowering *lowering)
{
    struct inc_node *next;
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = next) {
        next = node->next;
        if (expanders[node->op] != NULL) INC_TRY(replace(lowering, node));
    }
    return INCISE_OK;
}
