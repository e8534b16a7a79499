/* SPDX-License-Identifier: Apache-2.0 */
/* needs: folded constants, split shapes, proved masks (lowering->mask). gives: Pool(x[, weights or index]) for what
 * makes one vector of the token vectors x [batch, length, channels]: sum(x * w) / max(sum(w), least), or over the root
 * of that     what w repeats over the channels are the weights max(w ? x : least) x[:, i] one token: the first, the
 * last real one, ... Where padded tokens are dropped, w must be the input that tells them apart, and the Pool then
 * needs no weights. */
#include <string.h>

#include "graph/shape.h"
#include "lower/match.h"
#include "lower/passes.h"

#define LOWEST (-1e9) /* this or less stands for minus infinity: sentence-transformers writes -1e9 */

static const char *const mode_names[] = {"mean", "mean_sqrt", "max", "token"};
#define N_MODES (sizeof mode_names / sizeof *mode_names)

const char *inc_pool_mode_name(enum inc_pool_mode mode)
{
    return mode_names[mode];
}

bool inc_pool_mode_parse(const char *name, enum inc_pool_mode *mode)
{
    for (size_t i = 0; i < N_MODES; i++) {
        if (strcmp(mode_names[i], name) != 0) continue;
        *mode = (enum inc_pool_mode)i;
        return true;
    }
    return false;
}

/* What a node pools. */
struct pooling {
    enum inc_pool_mode mode;
    struct inc_value *x;
    struct inc_value *weights; /* [batch, length]; NULL for a token */
    struct inc_value *index;   /* of a token: one for all, or [batch] or [batch, 1] with batch_dims = 1 */
    int64_t batch_dims;
    double least;
};

/* [batch, length] or [batch, length, constant] */
static bool is_per_token(const struct inc_lowering *lowering, const struct inc_value *value)
{
    const struct inc_shape *shape = &value->shape;
    return (shape->rank == 2 || (shape->rank == 3 && inc_dim_is_const(shape->dims[2]))) &&
           inc_dim_equal(shape->dims[0], lowering->batch) && inc_dim_equal(shape->dims[1], lowering->sequence);
}

static bool is_token_rows(const struct inc_lowering *lowering, const struct inc_value *value)
{
    return value->node->mark == 1 && value->shape.rank == 3 && is_per_token(lowering, value);
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

static struct inc_value *unconverted(struct inc_value *value)
{
    while (value->node->op == INC_OP_CONVERT && inc_type_is_float(value->type)) value = value->node->inputs[0];
    return value;
}

/* The [batch, length] values that `value` repeats over the channels, as numbers or, for `truth`, as booleans; NULL if
 * it is made otherwise. */
static struct inc_value *weights_of(const struct inc_lowering *lowering, struct inc_value *value, bool truth)
{
    while (value->node->mark != 1 && is_per_token(lowering, value)) {
        const struct inc_node *node = value->node;
        bool number = node->op == INC_OP_CONVERT &&
                      (inc_type_is_float(value->type) || (truth && value->type == INC_BOOL));
        bool repeats = (node->op == INC_OP_BROADCAST || node->op == INC_OP_BROADCAST1) &&
                       node->inputs[0]->shape.rank == value->shape.rank;
        if (!number && !repeats && node->op != INC_OP_UNSQUEEZE) return value->shape.rank == 2 ? value : NULL;
        value = node->inputs[0];
    }
    return NULL;
}

static bool is_padding(const struct inc_lowering *lowering, const struct inc_value *weights)
{
    while (weights->node->op == INC_OP_CONVERT) weights = weights->node->inputs[0];
    return weights->node == lowering->mask;
}

/* [batch, length, 1] in f32, before `before`. NULL: memory. */
static struct inc_value *add_weights(struct inc_graph *graph, struct inc_value *weights, struct inc_node *before)
{
    struct inc_infer infer = {.graph = graph};
    const int64_t last = 2;
    struct inc_node *convert = inc_graph_add(graph, INC_OP_CONVERT, NULL, &weights, 1, before);
    if (convert == NULL) return NULL;
    inc_attr_set_type(convert, "destination_type", INC_F32);
    struct inc_value *inputs[] = {&convert->outputs[0], inc_add_integers(graph, &last, 1, 1, before)};
    if (inputs[1] == NULL) return NULL;
    struct inc_node *column = inc_graph_add(graph, INC_OP_UNSQUEEZE, NULL, inputs, 2, before);
    if (column == NULL || inc_shape_infer_node(&infer, convert) != INCISE_OK ||
        inc_shape_infer_node(&infer, column) != INCISE_OK)
        return NULL;
    return &column->outputs[0];
}

/* ---- patterns ---------------------------------------------------------------------------------------------------- */

/* What `op` reduces over the tokens to make `value`; NULL if it does not. */
static struct inc_value *reduced(const struct inc_lowering *lowering, const struct inc_value *value, enum inc_op op)
{
    const struct inc_node *node = inc_made_by(value, op);
    if (node == NULL || !inc_reduces_axis(node, 1) || !is_per_token(lowering, node->inputs[0])) return NULL;
    return node->inputs[0];
}

/* max(sum of the weights, least) or its root, of the same rank as the sum that it divides. */
static bool is_weight_sum(const struct inc_lowering *lowering, struct inc_value *value, struct pooling *pooling)
{
    value = unconverted(value);
    if (value->node->op == INC_OP_SQRT) {
        pooling->mode = INC_POOL_MEAN_SQRT;
        value = value->node->inputs[0];
    }
    (void)inc_split_floor(value, &value, &pooling->least);
    struct inc_value *weights = reduced(lowering, unconverted(value), INC_OP_REDUCE_SUM);
    return weights != NULL && weights_of(lowering, weights, false) == pooling->weights;
}

static bool is_mean(const struct inc_lowering *lowering, const struct inc_node *node, struct pooling *pooling)
{
    struct inc_value *weights;
    if (node->op != INC_OP_DIVIDE) return false;
    const struct inc_value *sum = node->inputs[0];
    const struct inc_value *product = reduced(lowering, sum, INC_OP_REDUCE_SUM);
    if (product == NULL || !inc_split_product(product, &pooling->x, &weights)) return false;
    pooling->weights = weights_of(lowering, weights, false);
    return pooling->weights != NULL && node->inputs[1]->shape.rank == sum->shape.rank &&
           inc_same_shape(sum, &node->outputs[0]) && is_weight_sum(lowering, node->inputs[1], pooling);
}

static bool is_max(const struct inc_lowering *lowering, const struct inc_node *node, struct pooling *pooling)
{
    if (node->op != INC_OP_REDUCE_MAX) return false;
    const struct inc_value *kept = reduced(lowering, &node->outputs[0], INC_OP_REDUCE_MAX);
    const struct inc_node *select = kept == NULL ? NULL : inc_made_by(kept, INC_OP_SELECT);
    if (select == NULL || !inc_const_scalar(select->inputs[2], &pooling->least) || pooling->least > LOWEST)
        return false;
    pooling->mode = INC_POOL_MAX;
    pooling->x = select->inputs[1];
    pooling->weights = weights_of(lowering, select->inputs[0], true);
    return pooling->weights != NULL;
}

/* x[:, i] by a Gather: one index for all sequences, or one of each. */
static bool is_token(const struct inc_lowering *lowering, const struct inc_node *node, struct pooling *pooling)
{
    int64_t axis;
    if (node->op != INC_OP_GATHER && node->op != INC_OP_GATHER7 && node->op != INC_OP_GATHER1) return false;
    if (inc_const_ints(node->inputs[2], &axis, 1) != 1 || (axis != 1 && axis != 1 - 3)) return false;
    pooling->mode = INC_POOL_TOKEN;
    pooling->x = node->inputs[0];
    pooling->batch_dims = node->op == INC_OP_GATHER1 ? 0 : inc_attr_int(node, "batch_dims");
    pooling->index = node->inputs[1];
    const struct inc_shape *shape = &pooling->index->shape;
    if (pooling->index->node->mark == 1 || pooling->batch_dims < 0 || pooling->batch_dims > 1) return false;
    if (shape->rank < pooling->batch_dims || shape->rank > pooling->batch_dims + 1) return false;
    if (pooling->batch_dims == 1 && !inc_dim_equal(shape->dims[0], lowering->batch)) return false;
    return shape->rank == pooling->batch_dims || inc_dim_equal(shape->dims[shape->rank - 1], inc_dim_const(1));
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

static enum incise_status fuse(struct inc_lowering *lowering, struct inc_node *node, const struct pooling *pooling)
{
    struct inc_value *inputs[] = {pooling->x, pooling->index};
    bool by_padding = pooling->weights != NULL && lowering->mask != NULL;
    if (by_padding && !is_padding(lowering, pooling->weights))
        return inc_lower_refuse(lowering, "'%s' does not pool the tokens that attention sees", node->name);
    if (pooling->weights != NULL && !by_padding) {
        inputs[1] = add_weights(lowering->graph, pooling->weights, node);
        if (inputs[1] == NULL) return INCISE_ERROR_MEMORY;
    }
    struct inc_node *pool = inc_fuse(lowering, INC_OP_POOL, inputs, by_padding ? 1 : 2, &node->outputs[0]);
    if (pool == NULL) return INCISE_ERROR_MEMORY;
    pool->mark = 1;
    inc_attr_set_float(pool, "least", pooling->least);
    inc_attr_set_int(pool, "batch_dims", pooling->batch_dims);
    return inc_attr_set_string(lowering->graph, pool, "mode", inc_pool_mode_name(pooling->mode));
}

enum incise_status inc_pass_fuse_pool(struct inc_lowering *lowering)
{
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next) {
        struct pooling pooling = {.mode = INC_POOL_MEAN};
        if (node->mark != 1) continue;
        if (!is_mean(lowering, node, &pooling) && !is_max(lowering, node, &pooling) &&
            !is_token(lowering, node, &pooling))
            continue;
        if (is_token_rows(lowering, pooling.x)) INC_TRY(fuse(lowering, node, &pooling));
    }
    return INCISE_OK;
}
