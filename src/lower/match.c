/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/match.h"

#include <float.h>

#include "base/half.h"
#include "graph/weight.h"

bool inc_const_scalar(const struct inc_value *value, double *scalar)
{
    const struct inc_tensor *data = inc_const_of(value);
    if (data == NULL || inc_tensor_elements(data) != 1) return false;
    *scalar = inc_tensor_get_f64(data, 0);
    return true;
}

size_t inc_const_ints(const struct inc_value *value, int64_t *out, size_t capacity)
{
    const struct inc_tensor *data = inc_const_of(value);
    if (data == NULL || inc_type_is_float(data->type) || inc_tensor_elements(data) > capacity) return SIZE_MAX;
    size_t n = inc_tensor_elements(data);
    for (size_t i = 0; i < n; i++) out[i] = inc_tensor_get_i64(data, i);
    return n;
}

bool inc_const_vector(const struct inc_value *value, const struct inc_value *rows)
{
    const struct inc_tensor *data = inc_const_of(value);
    int64_t width = inc_last_dim(rows);
    return data != NULL && inc_type_is_float(data->type) && data->rank >= 1 && data->rank <= rows->shape.rank &&
           data->dims[data->rank - 1] == width && inc_tensor_elements(data) == (size_t)width;
}

bool inc_split_constant(const struct inc_node *node, struct inc_value **variable, struct inc_value **constant)
{
    int which = inc_const_of(node->inputs[1]) != NULL ? 1 : inc_const_of(node->inputs[0]) != NULL ? 0 : -1;
    if (which < 0) return false;
    *constant = node->inputs[which];
    *variable = node->inputs[1 - which];
    return true;
}

bool inc_split_floor(const struct inc_value *value, struct inc_value **variable, double *floor)
{
    const struct inc_node *node = value->node;
    struct inc_value *constant;
    if (node->op == INC_OP_MAXIMUM)
        return inc_split_constant(node, variable, &constant) && inc_const_scalar(constant, floor);
    if (node->op != INC_OP_CLAMP || inc_attr_float(node, "max") < (double)FLT_MAX) return false;
    *variable = node->inputs[0];
    *floor = inc_attr_float(node, "min");
    return true;
}

bool inc_split_product(const struct inc_value *product, struct inc_value **x, struct inc_value **other)
{
    const struct inc_node *node = inc_made_by(product, INC_OP_MULTIPLY);
    if (node == NULL) return false;
    for (int i = 0; i < 2; i++)
        if (node->inputs[i]->node->mark == 1 && node->inputs[1 - i]->node->mark == 0) {
            *x = node->inputs[i];
            *other = node->inputs[1 - i];
            return true;
        }
    return false;
}

bool inc_is_square(const struct inc_value *value, struct inc_value **x)
{
    const struct inc_node *node = value->node;
    double exponent;
    if (node->op != INC_OP_POWER && node->op != INC_OP_MULTIPLY) return false;
    *x = node->inputs[0];
    if (node->op == INC_OP_MULTIPLY) return node->inputs[1] == *x;
    return inc_const_scalar(node->inputs[1], &exponent) && exponent == 2.0;
}

bool inc_reduces_axis(const struct inc_node *node, int axis)
{
    int64_t listed;
    if (inc_const_ints(node->inputs[1], &listed, 1) != 1) return false;
    return listed == axis || listed == axis - node->inputs[0]->shape.rank;
}

int64_t inc_last_dim(const struct inc_value *value)
{
    if (value->shape.rank < 1) return -1;
    struct inc_dim last = value->shape.dims[value->shape.rank - 1];
    return inc_dim_is_const(last) ? last.value : -1;
}

bool inc_same_shape(const struct inc_value *a, const struct inc_value *b)
{
    if (a->shape.rank != b->shape.rank) return false;
    for (int i = 0; i < a->shape.rank; i++)
        if (!inc_dim_equal(a->shape.dims[i], b->shape.dims[i])) return false;
    return true;
}

struct inc_value *inc_add_integers(struct inc_graph *graph, const int64_t *values, int64_t n, int rank,
                                   struct inc_node *before)
{
    struct inc_tensor tensor = {
        .type = INC_I64, .rank = rank, .dims = {n}, .data = (void *)values, .bytes = (size_t)n * sizeof *values};
    struct inc_node *node = inc_graph_add_constant(graph, NULL, &tensor, NULL, before);
    return node == NULL ? NULL : &node->outputs[0];
}

struct inc_value *inc_add_float(struct inc_graph *graph, enum inc_type type, double value, struct inc_node *before)
{
    float f = (float)value;
    uint16_t half = type == INC_F16 ? inc_f16_from_f32(f) : inc_bf16_from_f32(f);
    struct inc_tensor tensor = {.type = type, .bytes = inc_type_bits(type) / 8};
    tensor.data = type == INC_F64 ? (void *)&value : type == INC_F32 ? (void *)&f : (void *)&half;
    struct inc_node *node = inc_graph_add_constant(graph, NULL, &tensor, NULL, before);
    return node == NULL ? NULL : &node->outputs[0];
}

struct inc_node *inc_fuse(struct inc_lowering *lowering, enum inc_op op, struct inc_value *const *inputs,
                          uint32_t n_inputs, struct inc_value *like)
{
    struct inc_graph *graph = lowering->graph;
    struct inc_node *node = inc_graph_add(graph, op, like->node->name, inputs, n_inputs, like->node);
    if (node == NULL) return NULL;
    node->outputs[0].type = like->type;
    node->outputs[0].shape = like->shape;
    node->outputs[0].names = like->names; /* an output of the model keeps its tensor names */
    node->outputs[0].n_names = like->n_names;
    if (inc_value_replace(graph, like, &node->outputs[0]) != INCISE_OK) return NULL;
    return node;
}

/* Such indices are pairs of positions, and what they gather is a bias of attention. */
static bool has_dim_twice(const struct inc_shape *shape)
{
    for (int i = 0; i < shape->rank; i++)
        for (int j = 0; j < i && !inc_dim_is_const(shape->dims[i]); j++)
            if (inc_dim_equal(shape->dims[i], shape->dims[j])) return true;
    return false;
}

bool inc_is_token_embedding(const struct inc_node *node)
{
    struct inc_weight table;
    if (node->op == INC_OP_EMBEDDING_GATHER) return true;
    if (node->op != INC_OP_GATHER && node->op != INC_OP_GATHER7 && node->op != INC_OP_GATHER1) return false;
    return inc_const_of(node->inputs[1]) == NULL && !has_dim_twice(&node->inputs[1]->shape) &&
           inc_weight_match(node->inputs[0], true, &table);
}

static void mark_from(struct inc_graph *graph, bool (*is_source)(const struct inc_node *node))
{
    for (struct inc_node *node = graph->first; node != NULL; node = node->next) {
        node->mark = is_source(node);
        bool shape_only = node->op == INC_OP_SHAPE_OF || node->op == INC_OP_SHAPE_OF1;
        for (uint32_t i = 0; i < node->n_inputs && !shape_only; i++)
            if (node->inputs[i]->node->mark == 1) node->mark = 1;
    }
}

void inc_mark_body(struct inc_graph *graph)
{
    mark_from(graph, inc_is_token_embedding);
}

static bool is_parameter(const struct inc_node *node)
{
    return node->op == INC_OP_PARAMETER;
}

void inc_mark_contents(struct inc_graph *graph)
{
    mark_from(graph, is_parameter);
}
