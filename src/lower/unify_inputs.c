/* SPDX-License-Identifier: Apache-2.0 */
/* needs: a file graph. gives: all [?, ?] integer inputs share the batch symbol and the length symbol, so that shape
 * inference can tell rows of tokens apart from channels. Runs check that the given tensors agree. */
#include "lower/passes.h"

static bool is_token_input(const struct inc_node *node)
{
    const struct inc_value *value = &node->outputs[0];
    return !inc_type_is_float(value->type) && value->shape.rank == 2 && !inc_dim_is_const(value->shape.dims[0]) &&
           !inc_dim_is_const(value->shape.dims[1]);
}

enum incise_status inc_pass_unify_inputs(struct inc_lowering *lowering)
{
    struct inc_graph *graph = lowering->graph;
    const struct inc_node *leader = NULL;
    for (size_t i = 0; i < graph->n_parameters; i++) {
        struct inc_node *parameter = graph->parameters[i];
        if (!is_token_input(parameter))
            return inc_lower_refuse(lowering, "input '%s' is not a dynamic [batch, length] integer tensor",
                                    parameter->name);
        if (leader == NULL) leader = parameter;
        struct inc_attr *shape = (struct inc_attr *)inc_node_attr(parameter, "shape");
        for (int d = 0; d < 2; d++) shape->u.shape.dims[d] = leader->outputs[0].shape.dims[d];
    }
    if (leader == NULL) return inc_lower_refuse(lowering, "the model has no inputs");
    lowering->batch = leader->outputs[0].shape.dims[0];
    lowering->sequence = leader->outputs[0].shape.dims[1];
    return inc_graph_infer(graph);
}
