/* SPDX-License-Identifier: Apache-2.0 */
#include "support/encoder.h"

#include <float.h>
#include <stdlib.h>

#include "graph/attr.h"

static struct inc_value *parameter(struct encoder *encoder, const char *name)
{
    struct inc_node *node = inc_graph_add(encoder->graph, INC_OP_PARAMETER, name, NULL, 0, NULL);
    assert_non_null(node);
    inc_attr_set_type(node, "element_type", INC_I64);
    struct inc_shape *shape = inc_attr_shape(node, "shape");
    shape->rank = 2;
    for (int d = 0; d < 2; d++) shape->dims[d] = inc_dim_new(encoder->graph, INC_SYMBOL_INPUT, 0, -1);
    return &node->outputs[0];
}

struct inc_value *encoder_op(struct encoder *encoder, enum inc_op op, struct inc_value *a, struct inc_value *b,
                             struct inc_value *c)
{
    struct inc_value *inputs[] = {a, b, c};
    struct inc_node *node = inc_graph_add(encoder->graph, op, NULL, inputs, c != NULL ? 3 : b != NULL ? 2 : 1, NULL);
    assert_non_null(node);
    return &node->outputs[0];
}

static struct inc_value *constant(struct encoder *encoder, enum inc_type type, int rank, const int64_t *dims,
                                  const void *data)
{
    struct inc_tensor tensor = {.type = type, .rank = rank, .data = (void *)data};
    size_t count;
    for (int d = 0; d < rank; d++) tensor.dims[d] = dims[d];
    assert_true(inc_tensor_count(rank, dims, type, &count, &tensor.bytes));
    struct inc_node *node = inc_graph_add_constant(encoder->graph, NULL, &tensor, NULL, NULL);
    assert_non_null(node);
    return &node->outputs[0];
}

struct inc_value *encoder_ints(struct encoder *encoder, size_t n, const int64_t *values)
{
    return constant(encoder, INC_I64, 1, (int64_t[]){(int64_t)n}, values);
}

struct inc_value *encoder_int(struct encoder *encoder, int64_t value)
{
    return constant(encoder, INC_I64, 0, NULL, &value);
}

struct inc_value *encoder_float(struct encoder *encoder, double value)
{
    const float number = (float)value;
    return constant(encoder, INC_F32, 0, NULL, &number);
}

struct inc_value *encoder_weights(struct encoder *encoder, int rank, const int64_t *dims)
{
    size_t n, bytes;
    assert_true(inc_tensor_count(rank, dims, INC_F32, &n, &bytes));
    float *data = malloc(bytes);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++) data[i] = test_random_float(&encoder->random, -0.5f, 0.5f);
    struct inc_value *value = constant(encoder, INC_F32, rank, dims, data);
    free(data);
    return value;
}

struct inc_value *encoder_convert(struct encoder *encoder, struct inc_value *value, enum inc_type type)
{
    struct inc_value *converted = encoder_op(encoder, INC_OP_CONVERT, value, NULL, NULL);
    inc_attr_set_type(converted->node, "destination_type", type);
    return converted;
}

struct inc_value *encoder_unsqueeze(struct encoder *encoder, struct inc_value *value, size_t n, const int64_t *axes)
{
    return encoder_op(encoder, INC_OP_UNSQUEEZE, value, encoder_ints(encoder, n, axes), NULL);
}

struct inc_value *encoder_length(struct encoder *encoder)
{
    struct inc_value *shape = encoder_op(encoder, INC_OP_SHAPE_OF, encoder->ids, NULL, NULL);
    return encoder_op(encoder, INC_OP_GATHER, shape, encoder_int(encoder, 1), encoder_int(encoder, 0));
}

void encoder_start(struct encoder *encoder)
{
    *encoder = (struct encoder){.random = test_seed()};
    assert_int_equal(inc_graph_create(test_ctx(), &encoder->graph), INCISE_OK);
    encoder->graph->source = "encoder";
    encoder->ids = parameter(encoder, "input_ids");
    encoder->mask = parameter(encoder, "attention_mask");
    encoder->types = parameter(encoder, "token_type_ids");
    struct inc_value *table = encoder_weights(encoder, 2, (int64_t[]){ENCODER_VOCABULARY, ENCODER_WIDTH});
    encoder->x = encoder_op(encoder, INC_OP_GATHER, table, encoder->ids, encoder_int(encoder, 0));
}

void encoder_finish(struct encoder *encoder, struct inc_value *output)
{
    assert_non_null(inc_graph_add(encoder->graph, INC_OP_RESULT, "output", &output, 1, NULL));
    test_clear_error();
    if (inc_graph_infer(encoder->graph) != INCISE_OK || inc_graph_verify(encoder->graph) != INCISE_OK)
        fail_msg("%s", test_last_error());
}

struct inc_value *encoder_linear(struct encoder *encoder, struct inc_value *x, int64_t width)
{
    struct inc_value *weight = encoder_weights(encoder, 2, (int64_t[]){width, ENCODER_WIDTH});
    struct inc_value *product = encoder_op(encoder, INC_OP_MATMUL, x, weight, NULL);
    inc_attr_set_bool(product->node, "transpose_b", true);
    return product;
}

static struct inc_value *heads(struct encoder *encoder, struct inc_value *x)
{
    static const int64_t split[] = {0, 0, ENCODER_HEADS, ENCODER_WIDTH / ENCODER_HEADS}, order[] = {0, 2, 1, 3};
    struct inc_value *rows = encoder_op(encoder, INC_OP_RESHAPE, encoder_linear(encoder, x, ENCODER_WIDTH),
                                        encoder_ints(encoder, 4, split), NULL);
    inc_attr_set_bool(rows->node, "special_zero", true);
    return encoder_op(encoder, INC_OP_TRANSPOSE, rows, encoder_ints(encoder, 4, order), NULL);
}

struct inc_value *encoder_attention(struct encoder *encoder, struct inc_value *x, struct inc_value *mask)
{
    static const int64_t joined[] = {0, 0, ENCODER_WIDTH}, order[] = {0, 2, 1, 3};
    struct inc_value *inputs[] = {heads(encoder, x), heads(encoder, x), heads(encoder, x), mask};
    struct inc_node *node = inc_graph_add(encoder->graph, INC_OP_SDPA, NULL, inputs, mask != NULL ? 4 : 3, NULL);
    assert_non_null(node);
    struct inc_value *rows =
        encoder_op(encoder, INC_OP_TRANSPOSE, &node->outputs[0], encoder_ints(encoder, 4, order), NULL);
    struct inc_value *join = encoder_op(encoder, INC_OP_RESHAPE, rows, encoder_ints(encoder, 3, joined), NULL);
    inc_attr_set_bool(join->node, "special_zero", true);
    return encoder_linear(encoder, join, ENCODER_WIDTH);
}

/* ---- masks ------------------------------------------------------------------------------------------------------ */

/* 0, 1, ... length - 1 along `axis` of a tensor of rank 4. */
static struct inc_value *positions(struct encoder *encoder, int64_t axis)
{
    struct inc_value *range = encoder_op(encoder, INC_OP_RANGE, encoder_int(encoder, 0), encoder_length(encoder),
                                         encoder_int(encoder, 1));
    inc_attr_set_type(range->node, "output_type", INC_I64);
    return encoder_unsqueeze(encoder, range, 3, axis == 2 ? (int64_t[]){0, 1, 3} : (int64_t[]){0, 1, 2});
}

static struct inc_value *both(struct encoder *encoder, struct inc_value *a, struct inc_value *b)
{
    return a == NULL ? b : b == NULL ? a : encoder_op(encoder, INC_OP_LOGICAL_AND, a, b, NULL);
}

struct inc_value *encoder_mask(struct encoder *encoder, const struct encoder_mask *form)
{
    struct inc_value *visible = NULL;
    struct inc_value *i = positions(encoder, 2), *j = positions(encoder, 3);
    if (form->causal) visible = encoder_op(encoder, INC_OP_LESS_EQUAL, j, i, NULL);
    if (form->window > 0) {
        struct inc_value *distance =
            encoder_op(encoder, INC_OP_ABS, encoder_op(encoder, INC_OP_SUBTRACT, i, j, NULL), NULL, NULL);
        visible = both(encoder, visible,
                       encoder_op(encoder, INC_OP_LESS, distance, encoder_int(encoder, form->window), NULL));
    }
    if (form->all_visible_below > 0) {
        struct inc_value *shorter = encoder_op(encoder, INC_OP_LESS, encoder_length(encoder),
                                               encoder_int(encoder, form->all_visible_below), NULL);
        visible = encoder_op(encoder, INC_OP_LOGICAL_OR, visible, shorter, NULL);
    }
    if (form->padding)
        visible =
            both(encoder, visible,
                 encoder_unsqueeze(encoder, encoder_convert(encoder, encoder->mask, INC_BOOL), 2, (int64_t[]){1, 2}));
    if (!form->additive) return visible;
    return encoder_op(encoder, INC_OP_SELECT, visible, encoder_float(encoder, 0), encoder_float(encoder, -FLT_MAX));
}
