/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/bias.h"

#include "base/half.h"

const struct inc_tensor *inc_vector_behind(const struct inc_value *value, const struct inc_value *rows)
{
    if (value->node->op == INC_OP_CONVERT) value = value->node->inputs[0];
    if (value->node->op != INC_OP_CONSTANT || rows->shape.rank < 1) return NULL;
    const struct inc_tensor *data = &value->node->data;
    struct inc_dim last = rows->shape.dims[rows->shape.rank - 1];
    bool is_vector = inc_type_is_float(data->type) && data->rank >= 1 && data->rank <= rows->shape.rank &&
                     inc_dim_is_const(last) && data->dims[data->rank - 1] == last.value &&
                     inc_tensor_elements(data) == (size_t)last.value;
    return is_vector ? data : NULL;
}

struct inc_node *inc_bias_find(const struct inc_node *matmul, uint32_t *input)
{
    const struct inc_value *product = &matmul->outputs[0];
    if (product->n_uses != 1 || product->uses[0].node->op != INC_OP_ADD) return NULL;
    struct inc_node *add = product->uses[0].node;
    *input = 1 - product->uses[0].index;
    return inc_vector_behind(add->inputs[*input], product) != NULL ? add : NULL;
}

struct inc_value *inc_vector_add(struct inc_graph *graph, const char *name, enum inc_type type, const float *values,
                                 size_t n, struct inc_node *before)
{
    struct inc_tensor tensor;
    const int64_t dims[] = {(int64_t)n};
    if (inc_tensor_create(graph->ctx, type, 1, dims, &tensor) != INCISE_OK) return NULL;
    for (size_t i = 0; i < n; i++) {
        if (type == INC_F16)
            ((uint16_t *)tensor.data)[i] = inc_f16_from_f32(values[i]);
        else if (type == INC_BF16)
            ((uint16_t *)tensor.data)[i] = inc_bf16_from_f32(values[i]);
        else
            ((float *)tensor.data)[i] = values[i];
    }
    struct inc_node *node = name != NULL ? inc_graph_add_constant(graph, name, &tensor, NULL, before) : NULL;
    inc_tensor_release(graph->ctx, &tensor);
    return node != NULL ? &node->outputs[0] : NULL;
}

enum incise_status inc_bias_store(struct inc_graph *graph, struct inc_node *matmul, const float *bias, size_t n)
{
    uint32_t input;
    struct inc_value *product = &matmul->outputs[0];
    struct inc_node *add = inc_bias_find(matmul, &input);
    if (product->type != INC_F32 && product->type != INC_F16 && product->type != INC_BF16)
        return inc_fail(graph->ctx, INCISE_ERROR_DATA, "layer '%s': its rows are %s; a bias needs f32, f16 or bf16",
                        matmul->name, inc_type_name(product->type));
    const char *vector_name = inc_arena_printf(&graph->arena, "%s/bias", matmul->name);
    struct inc_value *vector =
        inc_vector_add(graph, vector_name, product->type, bias, n, add != NULL ? add : matmul);
    if (vector == NULL) return inc_fail_memory(graph->ctx, n * sizeof *bias, "a bias");
    if (add != NULL) return inc_node_set_input(graph, add, input, vector);
    struct inc_value *inputs[] = {vector, vector};
    const char *name = inc_arena_printf(&graph->arena, "%s/add_bias", matmul->name);
    add = name != NULL ? inc_graph_add(graph, INC_OP_ADD, name, inputs, 2, matmul->next) : NULL;
    if (add == NULL) return inc_fail_memory(graph->ctx, 0, "a bias");
    add->outputs[0].type = product->type;
    add->outputs[0].shape = product->shape;
    INC_TRY(inc_value_replace(graph, product, &add->outputs[0]));
    return inc_node_set_input(graph, add, 0, product);
}
