/* SPDX-License-Identifier: Apache-2.0 */
#include "support/small_graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "support/support.h"

struct inc_graph *small_graph(void)
{
    struct inc_graph *graph = NULL;
    assert_int_equal(inc_graph_create(test_ctx(), &graph), INCISE_OK);
    graph->source = "small";
    return graph;
}

static void set_shape(struct inc_value *value, enum inc_type type, struct dims dims)
{
    value->type = type;
    value->shape.rank = dims.rank;
    for (int i = 0; i < dims.rank; i++) value->shape.dims[i] = inc_dim_const(dims.d[i]);
}

static void put(enum inc_type type, unsigned char *data, size_t i, double value)
{
    float f = (float)value;
    uint16_t half = type == INC_F16 ? inc_f16_from_f32(f) : inc_bf16_from_f32(f);
    int64_t n = (int64_t)value;
    if (type == INC_F32) memcpy(data + 4 * i, &f, 4);
    else if (type == INC_F16 || type == INC_BF16) memcpy(data + 2 * i, &half, 2);
    else if (type == INC_I64) memcpy(data + 8 * i, &n, 8);
    else if (inc_type_bits(type) == 8) data[i] = (unsigned char)n;
    else data[i / 2] = (unsigned char)(data[i / 2] | (n & 15) << (i % 2 * 4));
}

struct inc_value *small_constant(struct inc_graph *graph, const char *name, enum inc_type type, struct dims dims,
                                 const double *values)
{
    struct inc_tensor tensor = {.type = type, .rank = dims.rank};
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++) {
        tensor.dims[i] = dims.d[i];
        n *= (size_t)dims.d[i];
    }
    tensor.bytes = (n * inc_type_bits(type) + 7) / 8;
    tensor.data = calloc(1, tensor.bytes);
    for (size_t i = 0; i < n; i++) put(type, tensor.data, i, values[i]);
    struct inc_node *node = inc_graph_add_constant(graph, name, &tensor, NULL, NULL);
    assert_non_null(node);
    free(tensor.data);
    return &node->outputs[0];
}

struct inc_value *small_step(struct inc_graph *graph, enum inc_op op, struct inc_value *input,
                             struct inc_value *operand, enum inc_type type, struct dims dims)
{
    double target[4];
    for (int i = 0; i < dims.rank; i++) target[i] = (double)dims.d[i];
    if (op == INC_OP_RESHAPE)
        operand = small_constant(graph, NULL, INC_I64, (struct dims){1, {dims.rank}}, target);
    struct inc_value *inputs[] = {input, operand};
    struct inc_node *node = inc_graph_add(graph, op, NULL, inputs, op == INC_OP_CONVERT ? 1 : 2, NULL);
    assert_non_null(node);
    if (op == INC_OP_CONVERT) inc_attr_set_type(node, "destination_type", type);
    set_shape(&node->outputs[0], type, dims);
    return &node->outputs[0];
}

static struct inc_node *add(struct inc_graph *graph, enum inc_op op, const char *name, struct inc_value **inputs,
                            uint32_t n, enum inc_type type, struct dims dims)
{
    struct inc_node *node = inc_graph_add(graph, op, name, inputs, n, NULL);
    assert_non_null(node);
    if (node->n_outputs > 0) set_shape(&node->outputs[0], type, dims);
    return node;
}

struct inc_node *small_matmul(struct inc_graph *graph, const char *name, struct inc_value *weight, bool transpose_b)
{
    int64_t a = weight->shape.dims[0].value, b = weight->shape.dims[1].value;
    struct inc_node *x = add(graph, INC_OP_PARAMETER, NULL, NULL, 0, INC_F32, DIMS2(1, transpose_b ? b : a));
    struct inc_value *inputs[] = {&x->outputs[0], weight};
    struct inc_node *matmul = add(graph, INC_OP_MATMUL, name, inputs, 2, INC_F32, DIMS2(1, transpose_b ? a : b));
    inc_attr_set_bool(matmul, "transpose_b", transpose_b);
    struct inc_value *result[] = {&matmul->outputs[0]};
    (void)add(graph, INC_OP_RESULT, NULL, result, 1, INC_F32, DIMS2(1, 1));
    return matmul;
}

struct inc_node *small_gather(struct inc_graph *graph, const char *name, struct inc_value *table)
{
    const double zero = 0;
    struct inc_node *ids = add(graph, INC_OP_PARAMETER, NULL, NULL, 0, INC_I64, DIMS2(1, 3));
    struct inc_value *axis = small_constant(graph, NULL, INC_I64, (struct dims){0, {0}}, &zero);
    struct inc_value *inputs[] = {table, &ids->outputs[0], axis};
    struct inc_node *gather = add(graph, INC_OP_GATHER, name, inputs, 3, INC_F32,
                                  DIMS3(1, 3, table->shape.dims[1].value));
    struct inc_value *result[] = {&gather->outputs[0]};
    (void)add(graph, INC_OP_RESULT, NULL, result, 1, INC_F32, DIMS2(1, 1));
    return gather;
}

struct inc_node *small_find(const struct inc_graph *graph, const char *name)
{
    for (struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (strcmp(node->name, name) == 0) return node;
    return NULL;
}
