/* SPDX-License-Identifier: Apache-2.0 */
#include "support/op_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/attr.h"
#include "support/support.h"

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static char *read_all(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot open %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    char *data = calloc((size_t)size + 1, 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    *length = (size_t)size;
    return data;
}

static struct inc_tensor parse_tensor(const char *type, const char *dims, size_t offset, char *data, size_t length)
{
    struct inc_tensor tensor = {0};
    size_t count;
    if (!inc_type_parse(type, &tensor.type)) fail_msg("type %s", type);
    for (const char *at = dims; *at >= '0' && *at <= '9';) {
        char *end;
        assert_true(tensor.rank < INC_MAX_RANK);
        tensor.dims[tensor.rank++] = strtoll(at, &end, 10);
        at = *end == ',' ? end + 1 : end;
    }
    assert_true(inc_tensor_count(tensor.rank, tensor.dims, tensor.type, &count, &tensor.bytes));
    assert_true(offset <= length && tensor.bytes <= length - offset);
    tensor.data = data + offset;
    return tensor;
}

static void parse_line(struct op_cases *cases, const char *line, size_t length)
{
    struct op_case *last = cases->n > 0 ? &cases->cases[cases->n - 1] : NULL;
    char a[64], b[64], c[64];
    size_t n;
    if (sscanf(line, "case %63s", a) == 1) {
        cases->cases = realloc(cases->cases, (cases->n + 1) * sizeof *cases->cases);
        assert_non_null(cases->cases);
        last = &cases->cases[cases->n++];
        *last = (struct op_case){0};
        memcpy(last->name, a, sizeof last->name);
    } else if (sscanf(line, "op %63s %63s %zu", a, b, &n) == 3) {
        if (!inc_op_find(a, b, &last->op)) fail_msg("%s: the op table lacks %s %s", last->name, a, b);
    } else if (sscanf(line, "attr %31s %63s", a, b) == 2) {
        assert_true(last->n_attrs < OP_CASE_ATTRS);
        memcpy(last->attrs[last->n_attrs].name, a, 32);
        memcpy(last->attrs[last->n_attrs++].value, b, 64);
    } else if (sscanf(line, "in %63s %63s %63s %zu", a, b, c, &n) == 4) {
        assert_true(last->n_inputs < OP_CASE_INPUTS);
        last->constant[last->n_inputs] = strcmp(a, "constant") == 0;
        last->inputs[last->n_inputs++] = parse_tensor(b, c, n, cases->data, length);
    } else if (sscanf(line, "out %63s %63s %zu", a, b, &n) == 3) {
        assert_true(last->n_outputs < OP_CASE_OUTPUTS);
        last->outputs[last->n_outputs++] = parse_tensor(a, b, n, cases->data, length);
    } else if (line[0] != '#') {
        fail_msg("cases.txt: %s", line);
    }
}

void op_cases_load(struct op_cases *cases)
{
    size_t length, text_length;
    *cases = (struct op_cases){0};
    cases->data = read_all("data/ops/cases.bin", &length);
    char *text = read_all("data/ops/cases.txt", &text_length), *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        parse_line(cases, line, length);
    free(text);
    assert_true(cases->n > 0);
}

void op_cases_free(struct op_cases *cases)
{
    free(cases->cases);
    free(cases->data);
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

struct inc_value *op_case_constant(struct inc_graph *graph, const struct inc_tensor *tensor)
{
    struct inc_node *node = inc_graph_add_constant(graph, NULL, tensor, NULL, NULL);
    assert_non_null(node);
    return &node->outputs[0];
}

struct inc_value *op_case_parameter(struct inc_graph *graph, const struct inc_tensor *tensor, bool dynamic)
{
    struct inc_node *node = inc_graph_add(graph, INC_OP_PARAMETER, NULL, NULL, 0, NULL);
    assert_non_null(node);
    inc_attr_set_type(node, "element_type", tensor->type);
    struct inc_shape *shape = inc_attr_shape(node, "shape");
    shape->rank = tensor->rank;
    for (int d = 0; d < tensor->rank; d++)
        shape->dims[d] = dynamic ? inc_dim_new(graph, INC_SYMBOL_INPUT, 0, -1) : inc_dim_const(tensor->dims[d]);
    return &node->outputs[0];
}

static void set_attr(struct inc_graph *graph, struct inc_node *node, const char *name, const char *value)
{
    struct inc_attr_spec spec;
    for (const char *cursor = inc_ops[node->op].attrs; inc_attr_spec_next(&cursor, &spec);) {
        if (strcmp(spec.name, name) != 0) continue;
        for (uint32_t i = 0; i < node->n_attrs; i++) {
            if (strcmp(node->attrs[i].name, name) != 0) continue;
            struct inc_attr parsed = {0};
            assert_true(inc_attr_parse(graph, &spec, value, strlen(value), &parsed));
            node->attrs[i].u = parsed.u;
            return;
        }
    }
    fail_msg("%s has no attribute %s", node->name, name);
}

struct inc_node *op_case_build(struct inc_graph *graph, const struct op_case *op_case, bool dynamic,
                               struct inc_value *inputs[OP_CASE_INPUTS])
{
    for (uint32_t i = 0; i < op_case->n_inputs; i++)
        inputs[i] = op_case->constant[i] ? op_case_constant(graph, &op_case->inputs[i])
                                         : op_case_parameter(graph, &op_case->inputs[i], dynamic);
    struct inc_node *node = inc_graph_add_outputs(graph, op_case->op, op_case->name, inputs, op_case->n_inputs,
                                                  op_case->n_outputs, NULL);
    assert_non_null(node);
    for (size_t i = 0; i < op_case->n_attrs; i++)
        set_attr(graph, node, op_case->attrs[i].name, op_case->attrs[i].value);
    return node;
}
