/* SPDX-License-Identifier: Apache-2.0 */
/* needs: folded constants. gives: ScaledDotProductAttention for attention that is written out, as older exporters do:
 *
 *   MatMul(q, k^T) -> [Multiply or Divide by a number] -> [Add bias] -> [Add mask | Select(mask)] -> SoftMax ->
 * MatMul(., v)
 *
 * A row from which a mask of -inf hides everything is NaN in the file; it is 0 afterwards. */
#include <math.h>

#include "lower/match.h"
#include "lower/passes.h"

struct written_out {
    struct inc_node *scores; /* MatMul(q, k^T) */
    double scale;
    struct inc_value *mask; /* NULL: none */
    struct inc_value *bias; /* added to an additive mask; NULL: none */
    bool hides;             /* the mask is boolean, and true where keys are hidden */
};

/* Broadcasting to the scores is the attention's own. */
static struct inc_value *before_broadcast(struct inc_value *mask)
{
    while ((mask->node->op == INC_OP_BROADCAST || mask->node->op == INC_OP_BROADCAST1) && mask->node->n_inputs == 2 &&
           mask->node->inputs[0]->shape.rank == mask->shape.rank)
        mask = mask->node->inputs[0];
    return mask;
}

/* What `value` adds *mask to; `value` itself, and *mask as it was, if it adds none. */
static struct inc_value *take_added(struct inc_value *value, struct inc_value **mask)
{
    const struct inc_node *add = inc_made_by(value, INC_OP_ADD);
    for (int i = 0; i < 2 && add != NULL; i++)
        if (add->inputs[i]->node->mark == 1 && add->inputs[1 - i]->node->mark == 0 &&
            inc_same_shape(add->inputs[i], value)) {
            *mask = add->inputs[1 - i];
            return add->inputs[i];
        }
    return value;
}

/* What `value` replaces hidden keys in: Select(hidden, number, scores) or Select(visible, scores, number). */
static struct inc_value *take_selected_mask(struct inc_value *value, struct written_out *w)
{
    double number;
    const struct inc_node *select = inc_made_by(value, INC_OP_SELECT);
    if (select == NULL || select->inputs[0]->node->mark == 1) return value;
    for (uint32_t i = 1; i <= 2; i++) {
        struct inc_value *scores = select->inputs[3 - i];
        if (!inc_const_scalar(select->inputs[i], &number) || number > -1e4 || !inc_same_shape(scores, value)) continue;
        w->mask = select->inputs[0];
        w->hides = i == 1;
        return scores;
    }
    return value;
}

static struct inc_value *take_scale(struct inc_value *value, struct written_out *w)
{
    struct inc_value *variable, *constant;
    double number;
    const struct inc_node *node = value->node;
    bool divides = node->op == INC_OP_DIVIDE;
    w->scale = 1;
    if ((node->op != INC_OP_MULTIPLY && !divides) || !inc_split_constant(node, &variable, &constant) ||
        !inc_const_scalar(constant, &number) || !inc_same_shape(variable, value) ||
        (divides && constant != node->inputs[1]))
        return value;
    w->scale = divides ? 1 / number : number;
    return variable;
}

/* A MatMul of two activations [B, H, ., .]. */
static bool is_product(const struct inc_node *node)
{
    return node->op == INC_OP_MATMUL && !inc_attr_bool(node, "transpose_a") && node->inputs[0]->node->mark == 1 &&
           node->inputs[1]->node->mark == 1 && node->inputs[0]->shape.rank == 4 && node->inputs[1]->shape.rank == 4;
}

static bool is_written_out(const struct inc_node *product, struct written_out *w)
{
    const struct inc_node *softmax = product->inputs[0]->node;
    *w = (struct written_out){0};
    if (softmax->op != INC_OP_SOFTMAX && softmax->op != INC_OP_SOFTMAX1) return false;
    int64_t axis = inc_attr_int(softmax, "axis");
    if (axis != -1 && axis != 3) return false;
    struct inc_value *value = take_added(softmax->inputs[0], &w->mask);
    if (w->mask != NULL) value = take_added(value, &w->bias);
    if (w->mask == NULL) value = take_selected_mask(value, w);
    value = take_scale(value, w);
    w->scores = value->node;
    return is_product(w->scores) && isfinite(w->scale);
}

/* The second operand of a MatMul as if its transpose_b were `transpose_b`; NULL on failure. */
static struct inc_value *second_operand(struct inc_graph *graph, const struct inc_node *matmul, bool transpose_b,
                                        struct inc_node *before)
{
    static const int64_t swap[] = {0, 1, 3, 2};
    if (inc_attr_bool(matmul, "transpose_b") == transpose_b) return matmul->inputs[1];
    struct inc_value *inputs[] = {matmul->inputs[1], inc_add_integers(graph, swap, 4, 1, before)};
    struct inc_node *node = inputs[1] == NULL ? NULL : inc_graph_add(graph, INC_OP_TRANSPOSE, NULL, inputs, 2, before);
    return node == NULL ? NULL : &node->outputs[0];
}

static struct inc_value *mask_operand(struct inc_graph *graph, const struct written_out *w, struct inc_node *before)
{
    if (w->mask == NULL) return inc_add_float(graph, w->scores->outputs[0].type, 0, before);
    struct inc_value *mask = before_broadcast(w->mask);
    if (w->bias != NULL) {
        struct inc_value *terms[] = {mask, before_broadcast(w->bias)};
        struct inc_node *sum = inc_graph_add(graph, INC_OP_ADD, NULL, terms, 2, before);
        return sum == NULL ? NULL : &sum->outputs[0];
    }
    if (!w->hides) return mask;
    struct inc_node *visible = inc_graph_add(graph, INC_OP_LOGICAL_NOT, NULL, &mask, 1, before);
    return visible == NULL ? NULL : &visible->outputs[0];
}

static enum incise_status compose(struct inc_lowering *lowering, struct inc_node *product, const struct written_out *w)
{
    struct inc_graph *graph = lowering->graph;
    struct inc_value *inputs[] = {
        w->scores->inputs[0],
        second_operand(graph, w->scores, true, product),
        second_operand(graph, product, false, product),
        mask_operand(graph, w, product),
        inc_add_float(graph, w->scores->outputs[0].type, w->scale, product),
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        if (inputs[i] == NULL) return INCISE_ERROR_MEMORY;
    struct inc_node *attention = inc_fuse(lowering, INC_OP_SDPA, inputs, 5, &product->outputs[0]);
    if (attention == NULL) return INCISE_ERROR_MEMORY;
    attention->mark = 1;
    return INCISE_OK;
}

enum incise_status inc_pass_compose_attention(struct inc_lowering *lowering)
{
    struct written_out w;
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next)
        if (is_product(node) && is_written_out(node, &w)) INC_TRY(compose(lowering, node, &w));
    return inc_graph_infer(lowering->graph);
}
