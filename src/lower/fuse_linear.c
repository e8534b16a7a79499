/* SPDX-License-Identifier: Apache-2.0 */
/* needs: nothing. gives: Linear(x, W[, bias]) for a MatMul of the body with a constant, perhaps compressed, 2-D weight
 * and the Add of a channel vector behind it. */
#include "lower/match.h"
#include "lower/passes.h"

static bool is_linear(const struct inc_node *node)
{
    struct inc_weight weight;
    return node->op == INC_OP_MATMUL && !inc_attr_bool(node, "transpose_a") && node->inputs[0]->node->mark == 1 &&
           node->inputs[1]->node->mark == 0 &&
           inc_weight_match(node->inputs[1], inc_attr_bool(node, "transpose_b"), &weight) &&
           inc_last_dim(node->inputs[0]) == weight.in;
}

enum incise_status inc_pass_fuse_linear(struct inc_lowering *lowering)
{
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next) {
        struct inc_value *inputs[3], *variable;
        if (!is_linear(node)) continue;
        struct inc_value *product = &node->outputs[0], *last = product;
        uint32_t n_inputs = 2;
        inputs[0] = node->inputs[0];
        inputs[1] = node->inputs[1];
        struct inc_node *add = product->n_uses == 1 && product->uses[0].node->op == INC_OP_ADD ? product->uses[0].node
                                                                                               : NULL;
        if (add != NULL && inc_split_constant(add, &variable, &inputs[2]) && variable == product &&
            inc_const_vector(inputs[2], product)) {
            last = &add->outputs[0];
            n_inputs = 3;
        }
        bool transpose_b = inc_attr_bool(node, "transpose_b");
        const char *name = node->name; /* selection and reports go by the MatMul's name, not by the Add's */
        struct inc_node *linear = inc_fuse(lowering, INC_OP_LINEAR, inputs, n_inputs, last);
        if (linear == NULL) return INCISE_ERROR_MEMORY;
        linear->name = name;
        inc_attr_set_bool(linear, "transpose_b", transpose_b);
        inc_attr_set_bool(linear, "bias", n_inputs == 3);
        linear->mark = 1;
    }
    return INCISE_OK;
}
