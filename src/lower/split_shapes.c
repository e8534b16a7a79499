/* SPDX-License-Identifier: Apache-2.0 */
/* needs: shapes with symbols. gives: no ShapeOf reads the body. The shape of a body value is rebuilt from constants and
 * the shape of a model input, so that what depends only on shapes can be evaluated before the body runs. */
#include "lower/match.h"
#include "lower/passes.h"

/* A one-element tensor with dimension `axis` of the first model input. */
static struct inc_value *add_input_dim(struct inc_graph *graph, int64_t axis, struct inc_node *before)
{
    struct inc_value *ids = &graph->parameters[0]->outputs[0];
    struct inc_node *shape = inc_graph_add(graph, INC_OP_SHAPE_OF, NULL, &ids, 1, before);
    if (shape == NULL) return NULL;
    const int64_t zero = 0;
    struct inc_value *inputs[] = {&shape->outputs[0], inc_add_integers(graph, &axis, 1, 1, before),
                                  inc_add_integers(graph, &zero, 1, 0, before)};
    if (inputs[1] == NULL || inputs[2] == NULL) return NULL;
    struct inc_node *gather = inc_graph_add(graph, INC_OP_GATHER, NULL, inputs, 3, before);
    return gather == NULL ? NULL : &gather->outputs[0];
}

/* Replaces one ShapeOf; refuses when a dimension is neither constant, batch nor length. */
static enum incise_status rebuild(struct inc_lowering *lowering, struct inc_node *node)
{
    struct inc_graph *graph = lowering->graph;
    const struct inc_shape *shape = &node->inputs[0]->shape;
    struct inc_value *parts[INC_MAX_RANK];
    if (shape->rank == 0) return inc_lower_refuse(lowering, "'%s' takes the shape of a scalar", node->name);
    for (int i = 0; i < shape->rank; i++) {
        struct inc_dim dim = shape->dims[i];
        if (inc_dim_is_const(dim))
            parts[i] = inc_add_integers(graph, &dim.value, 1, 1, node);
        else if (inc_dim_equal(dim, lowering->batch))
            parts[i] = add_input_dim(graph, 0, node);
        else if (inc_dim_equal(dim, lowering->sequence))
            parts[i] = add_input_dim(graph, 1, node);
        else
            return inc_lower_refuse(lowering, "'%s' takes a shape that is not made of batch, length and constants",
                                    node->name);
        if (parts[i] == NULL) return INCISE_ERROR_MEMORY;
    }
    struct inc_node *concat = inc_graph_add(graph, INC_OP_CONCAT, NULL, parts, (uint32_t)shape->rank, node);
    if (concat == NULL) return INCISE_ERROR_MEMORY;
    inc_attr_set_int(concat, "axis", 0);
    struct inc_value *result = &concat->outputs[0];
    struct inc_node *convert = inc_graph_add(graph, INC_OP_CONVERT, NULL, &result, 1, node);
    if (convert == NULL) return INCISE_ERROR_MEMORY;
    inc_attr_set_type(convert, "destination_type", node->outputs[0].type);
    return inc_value_replace(graph, &node->outputs[0], &convert->outputs[0]);
}

enum incise_status inc_pass_split_shapes(struct inc_lowering *lowering)
{
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next) {
        if (node->op != INC_OP_SHAPE_OF && node->op != INC_OP_SHAPE_OF1) continue;
        if (node->inputs[0]->node->mark == 1) INC_TRY(rebuild(lowering, node));
        if (lowering->reason[0] != '\0') return INCISE_OK;
    }
    return inc_graph_infer(lowering->graph);
}
