/* SPDX-License-Identifier: Apache-2.0 */
/* Every shape rule, as a table of one-node graphs. Each case whose inputs are all constant in shape runs a second time
 * as the evaluator runs rules: on tensors, where it must give the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/shape.h"
#include "support/support.h"

#define MAX_INPUTS 6
#define MAX_TEXT 600

static struct inc_graph *graph;

static int setup(void **state)
{
    (void)state;
    test_clear_error();
    return inc_graph_create(test_ctx(), &graph) == INCISE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    inc_graph_destroy(graph);
    return test_live_allocations() == 0 ? 0 : -1;
}

/* ---- inputs from text ------------------------------------------------------------------------------------------ */

static struct inc_node *set_attr(struct inc_node *node, const char *name, const char *text, size_t length)
{
    const char *cursor = inc_ops[node->op].attrs;
    struct inc_attr_spec spec;
    for (uint32_t i = 0; inc_attr_spec_next(&cursor, &spec); i++) {
        if (strncmp(spec.name, name, strlen(spec.name)) != 0 || name[strlen(spec.name)] != '=') continue;
        if (inc_attr_parse(graph, &spec, text, length, &node->attrs[i])) return node;
    }
    fail_msg("attribute %s", name);
    return node;
}

/* Attributes as IR spells them: "axis=1 mode=numpy". */
static void set_attrs(struct inc_node *node, const char *text)
{
    while (*text) {
        const char *value = strchr(text, '=') + 1;
        size_t length = strcspn(value, " ");
        set_attr(node, text, value, length);
        text = value + length + (value[length] == ' ');
    }
}

static struct inc_value *add_constant(enum inc_type type, int rank, const int64_t *dims, const long double *values,
                                      size_t n)
{
    struct inc_tensor tensor;
    assert_int_equal(inc_tensor_create(test_ctx(), type, rank, dims, &tensor), INCISE_OK);
    for (size_t i = 0; i < n; i++) {
        switch (type) {
        case INC_I64: ((int64_t *)tensor.data)[i] = (int64_t)values[i]; break;
        case INC_I32: ((int32_t *)tensor.data)[i] = (int32_t)values[i]; break;
        case INC_F32: ((float *)tensor.data)[i] = (float)values[i]; break;
        case INC_BOOL: ((uint8_t *)tensor.data)[i] = values[i] != 0; break;
        default: fail_msg("no constants of this type");
        }
    }
    struct inc_node *node = inc_graph_add_constant(graph, NULL, &tensor, NULL, NULL);
    inc_tensor_release(test_ctx(), &tensor);
    assert_non_null(node);
    return &node->outputs[0];
}

/* "f32[?,3]" a Parameter; "i64{1,2}" a list of constants; "i64:5" a scalar constant; "shape[?,3]" the ShapeOf of a
 * Parameter; "i32*[?,3]" the same as i32. */
static struct inc_value *add_input(const char *text)
{
    char type_name[8];
    enum inc_type type = INC_F32;
    size_t length = strcspn(text, "[{:*");
    memcpy(type_name, text, length);
    type_name[length] = '\0';
    bool shape_of = strcmp(type_name, "shape") == 0 || text[length] == '*';
    if (strcmp(type_name, "shape") != 0) assert_true(inc_type_parse(type_name, &type));
    if (text[length] == '{' || text[length] == ':') {
        long double values[80];
        size_t n = 0;
        const char *p = text + length + 1;
        while (*p && *p != '}') {
            char *end;
            values[n++] = strtold(p, &end);
            p = end + (*end == ',');
        }
        return add_constant(type, text[length] == '{', (int64_t[]){(int64_t)n}, values, n);
    }
    struct inc_node *parameter = inc_graph_add(graph, INC_OP_PARAMETER, NULL, NULL, 0, NULL);
    const char *shape = strchr(text, '[') + 1;
    set_attr(parameter, "shape=", shape, strcspn(shape, "]"));
    inc_attr_set_type(parameter, "element_type", shape_of ? INC_F32 : type);
    if (!shape_of) return &parameter->outputs[0];
    struct inc_value *value = &parameter->outputs[0];
    struct inc_node *node = inc_graph_add(graph, INC_OP_SHAPE_OF, NULL, &value, 1, NULL);
    inc_attr_set_type(node, "output_type", strcmp(type_name, "shape") == 0 ? INC_I64 : type);
    return &node->outputs[0];
}

/* Inputs separated by blanks. */
static uint32_t add_inputs(const char *text, struct inc_value **inputs)
{
    uint32_t n = 0;
    while (*text) {
        char one[400];
        size_t length = strcspn(text, " ");
        memcpy(one, text, length);
        one[length] = '\0';
        inputs[n++] = add_input(one);
        text += length + (text[length] == ' ');
    }
    return n;
}

/* ---- results as text ------------------------------------------------------------------------------------------- */

/* "f32[s1,3]", with "{...}" for known elements, blanks between outputs; opaque symbols are all "u". */
static void format_outputs(const struct inc_node *node, bool elements, char *text, size_t size)
{
    size_t at = 0;
    for (uint32_t o = 0; o < node->n_outputs; o++) {
        const struct inc_value *value = &node->outputs[o];
        size_t n = 1;
        at += (size_t)snprintf(text + at, size - at, "%s%s[", o ? " " : "", inc_type_name(value->type));
        for (int list = 0; list < 2; list++) {
            const struct inc_dim *dims = list ? value->elements : value->shape.dims;
            size_t count = list ? n : (size_t)value->shape.rank;
            if (list && (!elements || !value->elements)) continue;
            if (list) at += (size_t)snprintf(text + at, size - at, "{");
            for (size_t i = 0; i < count; i++) {
                char one[100];
                inc_dim_format(graph, dims[i], one, sizeof one);
                bool opaque = one[0] == 'u';
                at += (size_t)snprintf(text + at, size - at, "%s%s", i ? "," : "", opaque ? "u" : one);
                if (!list && inc_dim_is_const(dims[i])) n *= (size_t)dims[i].value;
            }
            at += (size_t)snprintf(text + at, size - at, list ? "}" : "]");
        }
    }
}

/* ---- the runs -------------------------------------------------------------------------------------------------- */

static struct inc_node *build(enum inc_op op, const char *attrs, const char *inputs, uint32_t n_outputs)
{
    struct inc_value *values[MAX_INPUTS];
    uint32_t n = add_inputs(inputs, values);
    struct inc_node *node = inc_graph_add_outputs(graph, op, "it", values, n, n_outputs, NULL);
    assert_non_null(node);
    set_attrs(node, attrs);
    return node;
}

/* Runs the rule again on tensors. False if an input has no constant shape, or its data is not known. */
static bool run_on_tensors(struct inc_node *node, char *text, size_t size)
{
    const struct inc_tensor *data[MAX_INPUTS];
    struct inc_tensor tensors[MAX_INPUTS];
    struct inc_value inputs[MAX_INPUTS], *pointers[MAX_INPUTS], outputs[4] = {0};
    struct inc_node copy = *node;
    int64_t values[MAX_INPUTS][64];
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct inc_value *in = node->inputs[i];
        inputs[i] = (struct inc_value){.type = in->type, .shape = in->shape};
        pointers[i] = &inputs[i];
        data[i] = in->node->op == INC_OP_CONSTANT ? &in->node->data : NULL;
        for (int d = 0; d < in->shape.rank; d++)
            if (!inc_dim_is_const(in->shape.dims[d])) return false;
        if (!in->elements || data[i]) continue;
        tensors[i] =
            (struct inc_tensor){.type = INC_I64, .rank = 1, .dims = {in->shape.dims[0].value}, .data = values[i]};
        for (int64_t k = 0; k < tensors[i].dims[0]; k++) {
            if (!inc_dim_is_const(in->elements[k])) return false;
            values[i][k] = in->elements[k].value;
        }
        data[i] = &tensors[i];
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        outputs[i] = (struct inc_value){.node = &copy, .port = i};
        outputs[i].shape.rank = -1;
    }
    copy.inputs = pointers;
    copy.outputs = outputs;
    size_t n_symbols = graph->n_symbols, bytes = graph->arena.bytes;
    struct inc_infer infer = {.graph = graph, .data = data};
    enum incise_status status = inc_shape_infer_node(&infer, &copy);
    assert_int_equal(graph->n_symbols, n_symbols);
    assert_int_equal(graph->arena.bytes, bytes);
    if (status != INCISE_OK) {
        snprintf(text, size, "!%s", test_last_error());
        return true;
    }
    format_outputs(&copy, false, text, size);
    for (uint32_t i = 0; i < node->n_outputs; i++) assert_null(outputs[i].elements);
    return true;
}

struct test_case {
    enum inc_op op;
    const char *attrs, *inputs, *expected; /* expected "!text": an error that holds the text */
};

static void check_case(const struct test_case *t)
{
    char text[MAX_TEXT], again[MAX_TEXT];
    struct inc_node *node = build(t->op, t->attrs, t->inputs, inc_ops[t->op].n_outputs ? inc_ops[t->op].n_outputs : 2);
    test_clear_error();
    enum incise_status status = inc_graph_infer(graph);
    if (t->expected[0] == '!') {
        bool right = status == INCISE_ERROR_DATA && strstr(test_last_error(), t->expected + 1) != NULL;
        if (!right)
            fail_msg("%s(%s) %s: status %d, '%s'", inc_ops[t->op].name, t->inputs, t->attrs, status, test_last_error());
        assert_non_null(strstr(test_last_error(), "'it' ("));
        if (run_on_tensors(node, again, sizeof again)) assert_int_equal(again[0], '!');
        return;
    }
    if (status != INCISE_OK) fail_msg("%s(%s) %s: %s", inc_ops[t->op].name, t->inputs, t->attrs, test_last_error());
    format_outputs(node, true, text, sizeof text);
    if (strcmp(text, t->expected) != 0)
        fail_msg("%s(%s) %s: %s, not %s", inc_ops[t->op].name, t->inputs, t->attrs, text, t->expected);
    assert_int_equal(inc_graph_verify(graph), INCISE_OK);
    size_t bytes = graph->arena.bytes, n_symbols = graph->n_symbols;
    assert_int_equal(inc_graph_infer(graph), INCISE_OK); /* again: the same, and nothing new is stored */
    format_outputs(node, true, again, sizeof again);
    assert_string_equal(again, text);
    assert_int_equal(graph->arena.bytes, bytes);
    assert_int_equal(graph->n_symbols, n_symbols);
    if (!run_on_tensors(node, again, sizeof again)) return;
    format_outputs(node, false, text, sizeof text);
    if (strstr(text, "[u")) { /* what depends on data is an error when there is none */
        assert_non_null(strstr(again, "depends on data that is not known"));
        return;
    }
    assert_string_equal(again, text);
}

static void check_cases(const struct test_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(setup(NULL), 0);
        check_case(&cases[i]);
        assert_int_equal(teardown(NULL), 0);
    }
}

#define CHECK(...)                                             \
    do {                                                       \
        static const struct test_case cases[] = {__VA_ARGS__}; \
        check_cases(cases, sizeof cases / sizeof *cases);      \
    } while (0)

/* ---- the tables ------------------------------------------------------------------------------------------------ */

static void test_elementwise(void **state)
{
    (void)state;
    CHECK({INC_OP_ADD, "", "f32[?,3] f32[3]", "f32[s1,3]"}, {INC_OP_ADD, "", "f32[?,1] f32[1,?]", "f32[s1,s2]"},
          {INC_OP_ADD, "", "f32[?,4] f32[?,4]", "f32[s1,4]"}, /* different symbols: taken to be equal */
          {INC_OP_ADD, "", "f32[?] f32[5]", "f32[5]"}, {INC_OP_ADD, "", "f32[] f32[0,2]", "f32[0,2]"},
          {INC_OP_ADD, "", "f32[2] f32[3]", "!2 and 3 do not broadcast in dimension 0"},
          {INC_OP_ADD, "", "f32[2] f16[2]", "!differ in type: f32 and f16"},
          {INC_OP_ADD, "", "boolean[2] boolean[2]", "!needed"},
          {INC_OP_ADD, "auto_broadcast=pdpd", "f32[2] f32[2]", "!auto_broadcast 'pdpd' is not supported"},
          {INC_OP_ADD, "auto_broadcast=none", "f32[2] f32[1]", "!auto_broadcast is none"},
          {INC_OP_ADD, "auto_broadcast=none", "f32[2,?] f32[2,3]", "f32[2,3]"},
          {INC_OP_ADD, "", "f32[1,1,1,1,1,1,1,1] f32[2]", "f32[1,1,1,1,1,1,1,2]"},
          {INC_OP_ADD, "", "f32[4294967296,1] f32[1,4294967296]", "!too large"},
          {INC_OP_ADD, "", "f32[2]", "!1 inputs are not allowed"}, {INC_OP_LESS, "", "i64[?] i64:3", "boolean[s1]"},
          {INC_OP_EQUAL, "", "boolean[2] boolean[2]", "boolean[2]"},
          {INC_OP_LOGICAL_AND, "", "boolean[?] boolean[1]", "boolean[s1]"},
          {INC_OP_LOGICAL_AND, "", "i64[2] i64[2]", "!needed"}, {INC_OP_LOGICAL_NOT, "", "boolean[?]", "boolean[s1]"},
          {INC_OP_BITWISE_AND, "", "boolean[?,1] boolean[4]", "boolean[s1,4]"},
          {INC_OP_BITWISE_OR, "", "f32[2] f32[2]", "!needed"},
          {INC_OP_SELECT, "", "boolean[?,1] f32[] f32[4]", "f32[s1,4]"},
          {INC_OP_SELECT, "", "i32[2] f32[] f32[4]", "!input 0 is i32"},
          {INC_OP_GELU, "approximation_mode=TANH", "f32[?]", "f32[s1]"},
          {INC_OP_GELU, "approximation_mode=SOME", "f32[?]", "!approximation_mode 'SOME'"},
          {INC_OP_TANH, "", "i32[2]", "!needed"}, {INC_OP_RELU, "", "i32[2]", "i32[2]"},
          {INC_OP_CLAMP, "min=1 max=-1", "f32[2]", "!min 1 is above max -1"},
          {INC_OP_CLAMP, "min=-1 max=1", "f32[2]", "f32[2]"}, {INC_OP_SWISH, "", "f32[?] f32:1", "f32[s1]"},
          {INC_OP_SWISH, "", "f32[?] f32[2]", "!one number"},
          {INC_OP_CONVERT, "destination_type=f16", "i4[3]", "f16[3]"},
          {INC_OP_FAKE_QUANTIZE, "levels=256", "f32[?,8] f32[] f32[] f32[1,8] f32[1,8]", "f32[s1,8]"},
          {INC_OP_FAKE_QUANTIZE, "levels=1", "f32[?,8] f32[] f32[] f32[] f32[]", "!levels 1 is below 2"},
          {INC_OP_FAKE_QUANTIZE, "levels=2", "f32[8] f32[7] f32[] f32[] f32[]", "!do not broadcast"});
}

static void test_elements(void **state)
{
    (void)state;
    CHECK({INC_OP_ADD, "", "shape[?,12] i64{1,2}", "i64[2]{(s1+1),14}"},
          {INC_OP_SUBTRACT, "", "shape[?,12] i64:2", "i64[2]{(s1+-2),10}"},
          {INC_OP_MULTIPLY, "", "shape[?,12] shape[?,2]", "i64[2]{(s1*s2),24}"},
          {INC_OP_MULTIPLY, "", "i64{9223372036854774784,3} i64{2,2}", "i64[2]{u,6}"},
          {INC_OP_MULTIPLY, "", "i32{2000000000,3} i32{2,2}", "i32[2]{u,6}"}, /* wraps at run time */
          {INC_OP_DIVIDE, "", "i64{-7,7,12} i64{2,2,0}", "i64[3]{-4,3,u}"},
          {INC_OP_DIVIDE, "m_pythondiv=false", "i64{-7,7} i64:2", "i64[2]{-3,3}"},
          {INC_OP_DIVIDE, "", "shape[?,8] i64:2", "i64[2]{u,4}"},
          {INC_OP_POWER, "", "i64{2,-3} i64{10,3}", "i64[2]{1024,-27}"},
          {INC_OP_POWER, "", "i64{2,2} i64{63,1000000}", "i64[2]{u,u}"},
          {INC_OP_MAXIMUM, "", "shape[?,4] i64{-1,9}", "i64[2]{s1,9}"},
          {INC_OP_MINIMUM, "", "shape[2..9,4] i64{2,9}", "i64[2]{2,4}"},
          {INC_OP_MAXIMUM, "", "shape[?,4] i64{1,9}", "i64[2]{u,9}"},
          {INC_OP_EQUAL, "", "shape[?,4] i64{-1,4}", "boolean[2]{0,1}"},
          {INC_OP_EQUAL, "", "shape[?,4] i64{1,3}", "boolean[2]{u,0}"},
          {INC_OP_GREATER, "", "shape[3..,4] i64{2,4}", "boolean[2]{1,0}"},
          {INC_OP_SELECT, "", "boolean{1,0} shape[?,?] i64{5,6}", "i64[2]{s1,6}"},
          {INC_OP_CONVERT, "destination_type=i32", "shape[?,4]", "i32[2]{s1,4}"},
          {INC_OP_CONVERT, "destination_type=u8", "i64{255,256}", "u8[2]{255,u}"},
          {INC_OP_CONVERT, "destination_type=boolean", "i64{-2,0}", "boolean[2]{1,0}"},
          {INC_OP_NEGATIVE, "", "shape[?,4]", "i64[2]{(s1*-1),-4}"}, {INC_OP_ABS, "", "i64{-4,4}", "i64[2]{4,4}"},
          {INC_OP_LOGICAL_NOT, "", "boolean{1,0}", "boolean[2]{0,1}"},
          {INC_OP_LOGICAL_AND, "", "boolean{1,0} boolean{1,1}", "boolean[2]{1,0}"},
          {INC_OP_REDUCE_PROD, "keep_dims=true", "shape[?,4,?] i64{0}", "i64[1]{(s1*s2*4)}"},
          {INC_OP_REDUCE_SUM, "", "shape[?,4] i64:0", "i64[]{(s1+4)}"},
          {INC_OP_REDUCE_MAX, "", "shape[3,4] i64:-1", "i64[]{4}"},
          {INC_OP_REDUCE_PROD, "", "i64{} i64{0}", "i64[]{1}"},
          {INC_OP_GATHER, "", "shape[?,4] i64:1 i64:0", "i64[]{4}"},
          {INC_OP_GATHER, "", "shape[?,4] i64{-2,-1,0} i64:0", "i64[3]{s1,4,s1}"},
          {INC_OP_GATHER, "", "shape[?,4] i64{2} i64:0", "i64[1]{u}"},
          {INC_OP_CONCAT, "axis=0", "shape[?,4] i64{7} i64[1]", "i64[4]{s1,4,7,u}"},
          {INC_OP_SPLIT, "num_splits=2", "shape[?,4] i64:0", "i64[1]{s1} i64[1]{4}"},
          {INC_OP_VARIADIC_SPLIT, "", "shape[?,4,5] i64:0 i64{1,-1}", "i64[1]{s1} i64[2]{4,5}"},
          {INC_OP_SLICE, "", "shape[?,4,5] i64{1} i64{9223372036854775807} i64{1}", "i64[2]{4,5}"},
          {INC_OP_SLICE, "", "shape[?,4,5] i64{-1} i64{-9} i64{-2}", "i64[2]{5,s1}"},
          {INC_OP_STRIDED_SLICE, "begin_mask= end_mask= shrink_axis_mask=1", "shape[?,4] i64{1} i64{2} i64{1}",
           "i64[]{4}"},
          {INC_OP_STRIDED_SLICE, "begin_mask=1 end_mask=0", "shape[?,4] i64{1} i64{1}", "i64[1]{s1}"},
          {INC_OP_UNSQUEEZE, "", "i64:7 i64:0", "i64[1]{7}"}, {INC_OP_SQUEEZE, "", "shape[?] i64:0", "i64[]{s1}"},
          {INC_OP_RESHAPE, "", "shape[?,4] i64{2,1}", "i64[2,1]{s1,4}"},
          {INC_OP_BROADCAST, "", "i64:7 i64{2}", "i64[2]{7,7}"},
          {INC_OP_RANGE, "output_type=i64", "i64:2 i64:8 i64:3", "i64[2]{2,5}"});
}

static void test_compute(void **state)
{
    (void)state;
    CHECK({INC_OP_MATMUL, "transpose_b=true", "f32[?,?,8] f32[16,8]", "f32[s1,s2,16]"},
          {INC_OP_MATMUL, "", "f32[?,1,3,8] f32[5,8,2]", "f32[s1,5,3,2]"},
          {INC_OP_MATMUL, "transpose_a=true", "f32[8,3] f32[8,2]", "f32[3,2]"},
          {INC_OP_MATMUL, "transpose_a=true", "f32[8] f32[8,2]", "f32[2]"},
          {INC_OP_MATMUL, "", "f32[4,8] f32[8]", "f32[4]"}, {INC_OP_MATMUL, "", "f32[8] f32[8]", "f32[]"},
          {INC_OP_MATMUL, "", "f32[4,8] f32[7,2]", "!rows of 8 times columns of 7"},
          {INC_OP_MATMUL, "", "f32[] f32[7,2]", "!input 0 is a scalar"},
          {INC_OP_MATMUL, "", "i32[2,2] i32[2,2]", "!needed"},
          {INC_OP_MATMUL, "", "f32[2,2,2] f32[3,2,2]", "!broadcast"},
          {INC_OP_SDPA, "", "f32[?,12,?,32] f32[?,12,?,32] f32[?,12,?,32] f32[?,1,?,?]", "f32[s1,12,s2,32]"},
          {INC_OP_SDPA, "", "f32[2,4,5,32] f32[2,1,7,32] f32[2,1,7,16] boolean[7]", "f32[2,4,5,16]"},
          {INC_OP_SDPA, "", "f32[2,4,5,32] f32[2,4,7,32] f32[2,4,7,16] f32[5,6]", "!broadcast"},
          {INC_OP_SDPA, "", "f32[1,4,5,32] f32[1,4,7,32] f32[1,4,7,16] f32[2,1,5,7]", "!mask is larger"},
          {INC_OP_SDPA, "causal=true", "f32[4,5,32] f32[4,7,32] f32[4,7,32] f32[] f32:2", "f32[4,5,32]"},
          {INC_OP_SDPA, "", "f32[4,5,32] f32[4,7,31] f32[4,7,32]", "!differ in width"},
          {INC_OP_SDPA, "", "f32[4,5,32] f32[4,7,32] f32[4,8,32]", "!differ in number"},
          {INC_OP_SDPA, "", "f32[5,32] f32[7,32] f32[7,32]", "!has rank 2"},
          {INC_OP_SDPA, "", "f32[4,5,32] f32[4,7,32] f32[4,7,32] f32[] f32[2]", "!one number"},
          {INC_OP_MVN, "eps=1e-12 eps_mode=inside_sqrt normalize_variance=true", "f32[?,8] i64{-1}", "f32[s1,8]"},
          {INC_OP_MVN, "eps=1e-12 eps_mode=INSIDE_SQRT", "f32[?,8] i64{2}", "!axis 2 is outside rank 2"},
          {INC_OP_MVN, "eps=1e-12 eps_mode=ASIDE", "f32[?,8] i64{1}", "!eps_mode 'ASIDE'"},
          {INC_OP_MVN, "eps=-1 eps_mode=INSIDE_SQRT", "f32[?,8] i64{1}", "!eps -1"},
          {INC_OP_NORMALIZE_L2, "eps=1e-12 eps_mode=max", "f32[?,8] i64{1}", "f32[s1,8]"},
          {INC_OP_SOFTMAX, "axis=-1", "f32[?,8]", "f32[s1,8]"}, {INC_OP_SOFTMAX, "axis=2", "f32[?,8]", "!axis 2"},
          {INC_OP_SOFTMAX, "axis=-9223372036854775808", "f32[?,8]", "!axis"},
          {INC_OP_SOFTMAX1, "axis=-1", "f32[?,8]", "!negative"}, {INC_OP_SOFTMAX, "axis=0", "f32[]", "!axis 0"},
          {INC_OP_REDUCE_MEAN, "keep_dims=true", "f32[?,4,8] i64{-1,1}", "f32[s1,1,1]"},
          {INC_OP_REDUCE_MEAN, "", "f32[?,4,8] i64{-1}", "f32[s1,4]"},
          {INC_OP_REDUCE_MEAN, "", "f32[?,4,8] i64{2,-1}", "!axis 2 is given twice"},
          {INC_OP_REDUCE_MEAN, "", "f32[?,4,8] i64[1]", "!input 1 must be constant"},
          {INC_OP_REDUCE_MEAN, "keep_dims=true", "f32[?,4] i64[?]", "f32[u,u]"},
          {INC_OP_REDUCE_L2, "", "f32[2,3] i64{}", "f32[2,3]"}, {INC_OP_CUM_SUM, "", "i64[?,4] i64:1", "i64[s1,4]"},
          {INC_OP_CUM_SUM, "", "i64[?,4] i64:2", "!axis 2"}, {INC_OP_CUM_SUM, "", "f32[]", "!axis 0"},
          {INC_OP_ROPE, "", "f32[2] f32[2] f32[2]", "!not set"});
}

static void test_reshape(void **state)
{
    (void)state;
    CHECK({INC_OP_SHAPE_OF, "output_type=i32", "f32[?,3,?]", "i32[3]{s1,3,s2}"},
          {INC_OP_SHAPE_OF1, "", "f32[]", "i64[0]{}"}, {INC_OP_SHAPE_OF, "output_type=u8", "f32[2]", "!neither"},
          {INC_OP_RESHAPE, "special_zero=true", "f32[?,?,384] i64{0,0,12,32}", "f32[s1,s2,12,32]"},
          {INC_OP_RESHAPE, "special_zero=true", "f32[?,?,384] i64{0,-1,12,32}", "f32[s1,s2,12,32]"},
          {INC_OP_RESHAPE, "special_zero=true", "f32[?,?,384] i64{-1,384}", "f32[(s1*s2),384]"},
          {INC_OP_RESHAPE, "", "f32[?,12] i64{-1,4}", "f32[(s1*3),4]"},
          {INC_OP_RESHAPE, "", "f32[?,3] i64{-1,4}", "f32[u,4]"},
          {INC_OP_RESHAPE, "", "f32[6] i64{-1,4}", "!6 elements do not fill rows of 4"},
          {INC_OP_RESHAPE, "", "f32[6] i64{2,4}", "!6 elements do not fill a shape of 8"},
          {INC_OP_RESHAPE, "", "f32[6] i64{-1,-1}", "!two -1"}, {INC_OP_RESHAPE, "", "f32[6] i64{-2}", "!negative"},
          {INC_OP_RESHAPE, "special_zero=true", "f32[6] i64{1,0}", "!no dimension 1 to copy"},
          {INC_OP_RESHAPE, "", "f32[0,3] i64{0,-1}", "f32[0,0]"},
          {INC_OP_RESHAPE, "", "f32[2,3] i64{0,-1}", "!rows of 0"}, {INC_OP_RESHAPE, "", "f32[1] i64{}", "f32[]"},
          {INC_OP_RESHAPE, "", "f32[?,4] i64[3]", "f32[u,u,u]"},
          {INC_OP_RESHAPE, "", "f32[?,4] i64[?]", "!rank of the result depends on data"},
          {INC_OP_RESHAPE, "", "f32[1] i64{1,1,1,1,1,1,1,1,1}", "!rank 9 is more than 8"},
          {INC_OP_RESHAPE, "", "f32[?,8] shape[?,4,2]", "f32[s2,4,2]"},
          {INC_OP_RESHAPE, "", "f32[1] i64{4611686018427387904,4611686018427387904,-1}", "!"},
          {INC_OP_RESHAPE, "", "f32[1] f32{1}", "!input 1 is f32"},
          {INC_OP_TRANSPOSE, "", "f32[?,2,3] i64{0,-1,1}", "f32[s1,3,2]"},
          {INC_OP_TRANSPOSE, "", "f32[?,2,3] i64{}", "f32[3,2,s1]"},
          {INC_OP_TRANSPOSE, "", "f32[?,2] i64{0,0}", "!given twice"},
          {INC_OP_TRANSPOSE, "", "f32[?,2] i64{0,2}", "!axis 2"},
          {INC_OP_TRANSPOSE, "", "f32[?,2] i64{0}", "!an order of 1 for rank 2"},
          {INC_OP_SQUEEZE, "", "f32[1,?,1,3] i64{0,2}", "f32[s1,3]"}, {INC_OP_SQUEEZE, "", "f32[1,2,1]", "f32[2]"},
          {INC_OP_SQUEEZE, "", "f32[1,?,1]", "!depends on dimension 1"},
          {INC_OP_SQUEEZE, "", "f32[2,1] i64{0}", "!is 2, not 1"},
          {INC_OP_SQUEEZE15, "allow_axis_skip=true", "f32[2,1] i64{0,1}", "f32[2]"},
          {INC_OP_SQUEEZE15, "allow_axis_skip=true", "f32[?,1] i64{0,1}", "!depends on dimension 0"},
          {INC_OP_UNSQUEEZE, "", "f32[?,3] i64{0,-1}", "f32[1,s1,3,1]"},
          {INC_OP_UNSQUEEZE, "", "f32[?,3] i64{0,0}", "!given twice"},
          {INC_OP_UNSQUEEZE, "", "f32[?] i64[1]", "!constant"},
          {INC_OP_UNSQUEEZE, "", "f32[1,1,1,1,1,1,1,1] i64:0", "!rank 9"},
          {INC_OP_CONCAT, "axis=-1", "f32[?,2] f32[?,3] f32[4,?]", "f32[4,(s3+5)]"},
          {INC_OP_CONCAT, "axis=0", "f32[2] f32[2,1]", "!input 1 has rank 2"},
          {INC_OP_CONCAT, "axis=1", "f32[2]", "!axis 1"},
          {INC_OP_CONCAT, "axis=0", "f32[2,3] f32[2,4]", "!input 1 has 4 in dimension 1"},
          {INC_OP_CONCAT, "axis=0", "f32[2] i32[2]", "!differ in type"},
          {INC_OP_CONCAT, "axis=0", "f32[] f32[]", "!scalars"},
          {INC_OP_CONCAT, "axis=0", "u8[9223372036854775807] u8[1]", "!too large"});
}

static void test_parts(void **state)
{
    (void)state;
    CHECK(
        {INC_OP_SPLIT, "num_splits=2", "f32[?,6] i64:-1", "f32[s1,3] f32[s1,3]"},
        {INC_OP_SPLIT, "num_splits=2", "f32[?,5] i64:1", "!5 does not split"},
        {INC_OP_SPLIT, "num_splits=3", "f32[?,6] i64:1", "!num_splits is 3 with 2"},
        {INC_OP_SPLIT, "num_splits=0", "f32[6] i64:0", "!num_splits is 0"},
        {INC_OP_VARIADIC_SPLIT, "", "f32[?,6] i64:1 i64{2,-1}", "f32[s1,2] f32[s1,4]"},
        {INC_OP_VARIADIC_SPLIT, "", "f32[?,6] i64:1 i64{2,5}", "!do not add up"},
        {INC_OP_VARIADIC_SPLIT, "", "f32[?,6] i64:1 i64{7,-1}", "!longer"},
        {INC_OP_VARIADIC_SPLIT, "", "f32[?,6] i64:1 i64{-1,-1}", "!part 1 has length -1"},
        {INC_OP_VARIADIC_SPLIT, "", "f32[6] i64:0 i64{6}", "!1 lengths for 2"},
        {INC_OP_VARIADIC_SPLIT, "", "f32[?] i64:0 i64{2,-1}", "f32[2] f32[(s1+-2)]"},
        {INC_OP_VARIADIC_SPLIT, "", "i64{1,2} i64:0 shape[100,?]", "i64[100] i64[s1]"},
        {INC_OP_SLICE, "", "f32[?,8] i64{0} i64{4} i64{1} i64{-1}", "f32[s1,4]"},
        {INC_OP_SLICE, "", "f32[?,8] i64{0,1} i64{9223372036854775807,-1} i64{1,2}", "f32[s1,3]"},
        {INC_OP_SLICE, "", "f32[9] i64{-1} i64{-10} i64{-3}", "f32[3]"},
        {INC_OP_SLICE, "", "f32[9] i64{5} i64{2} i64{1}", "f32[0]"},
        {INC_OP_SLICE, "", "f32[9] i64{-9223372036854775808} i64{9223372036854775807} i64{9223372036854775807}",
         "f32[1]"},
        {INC_OP_SLICE, "", "f32[9] i64{9223372036854775807} i64{-9223372036854775808} i64{-9223372036854775808}",
         "f32[1]"},
        {INC_OP_SLICE, "", "f32[512] i64{0} shape[?] i64{1}", "f32[s1]"},
        {INC_OP_SLICE, "", "f32[?] i64{0} i64{5} i64{1}", "f32[u]"},
        {INC_OP_SLICE, "", "f32[5..] i64{0} i64{5} i64{1}", "f32[5]"},
        {INC_OP_SLICE, "", "f32[1..] i64{0} i64{-1} i64{1}", "f32[(s1+-1)]"},
        {INC_OP_SLICE, "", "f32[?] i64{-1} i64{-9223372036854775807} i64{-1}", "f32[s1]"},
        {INC_OP_SLICE, "", "f32[?] i64{0} i64{9223372036854775807} i64{2}", "f32[u]"},
        {INC_OP_SLICE, "", "f32[9] i64{0} i64{1} i64{0}", "!a step is 0"},
        {INC_OP_SLICE, "", "f32[9] i64{0,0} i64{1,1} i64{1,1}", "!2 entries for rank 1"},
        {INC_OP_SLICE, "", "f32[9,9] i64{0,0} i64{1,1} i64{1,1} i64{1,1}", "!given twice"},
        {INC_OP_SLICE, "", "f32[9] i64{0} i64{1,2} i64{1}", "!input 2 has 2 entries"},
        {INC_OP_STRIDED_SLICE, "begin_mask=1,0 end_mask=1,1", "f32[?,8] i64{0,2} i64{0,0} i64{1,1}", "f32[s1,6]"},
        {INC_OP_STRIDED_SLICE, "begin_mask=0,0,0 end_mask=0,0,0 ellipsis_mask=1,0,0 shrink_axis_mask=0,0,1",
         "f32[?,4,8] i64{0,1,2} i64{0,3,3}", "f32[s1,2]"},
        {INC_OP_STRIDED_SLICE, "begin_mask=0,1 end_mask=0,1 new_axis_mask=1,0", "f32[?,4] i64{0,0} i64{0,0}",
         "f32[1,s1,4]"},
        {INC_OP_STRIDED_SLICE, "begin_mask=0 end_mask=0 shrink_axis_mask=1", "f32[4] i64{4} i64{5}",
         "!index 4 is outside"},
        {INC_OP_STRIDED_SLICE, "begin_mask=0,0 end_mask=0,0 ellipsis_mask=1,1", "f32[4] i64{0,0} i64{0,0}",
         "!two ellipses"},
        {INC_OP_STRIDED_SLICE, "begin_mask=0,0 end_mask=0,0", "f32[4] i64{0,0} i64{1,1}", "!more entries than rank 1"},
        {INC_OP_STRIDED_SLICE, "begin_mask=0 end_mask=0 new_axis_mask=1", "f32[1,1,1,1,1,1,1,1] i64{0} i64{1}",
         "!rank 8"},
        {INC_OP_GATHER, "", "f32[100,8] i64[?,?] i64:0", "f32[s1,s2,8]"},
        {INC_OP_GATHER, "batch_dims=1", "f32[?,5,8] i64[?,3] i64:1", "f32[s1,3,8]"},
        {INC_OP_GATHER, "batch_dims=-1", "f32[2,5] i64[2,3] i64:1", "f32[2,3]"},
        {INC_OP_GATHER, "batch_dims=1", "f32[2,5] i64[3,3] i64:1", "!differ in batch dimension 0"},
        {INC_OP_GATHER, "batch_dims=2", "f32[2,5] i64[2,3] i64:1", "!batch_dims 2"},
        {INC_OP_GATHER, "batch_dims=-9223372036854775808", "f32[2,5] i64[2,3] i64:1", "!batch_dims"},
        {INC_OP_GATHER, "", "f32[5] i64[3] i64[]", "!input 2 must be constant"},
        {INC_OP_GATHER, "", "f32[5] f32[3] i64:0", "!input 1 is f32"},
        {INC_OP_GATHER, "", "f32[1,1,1,1,1] i64[1,1,1,1,1] i64:0", "!rank 9"},
        {INC_OP_GATHER1, "", "f32[5,2] i32[3] i32:1", "f32[5,3]"});
}

static void test_repeat(void **state)
{
    (void)state;
    CHECK({INC_OP_BROADCAST, "", "f32[] shape[?,3]", "f32[s1,3]"},
          {INC_OP_BROADCAST, "", "f32[3] i64{2,3}", "f32[2,3]"},
          {INC_OP_BROADCAST, "", "f32[3] i64{2,1}", "!3 does not broadcast to 1"},
          {INC_OP_BROADCAST, "mode=bidirectional", "f32[3,1] i64{2,1,4}", "f32[2,3,4]"},
          {INC_OP_BROADCAST, "mode=bidirectional", "f32[?,1,3] i64{2,1}", "f32[s1,2,3]"},
          {INC_OP_BROADCAST, "mode=explicit", "f32[3] i64{2,3,4} i64{1}", "f32[2,3,4]"},
          {INC_OP_BROADCAST, "mode=explicit", "f32[3] i64{2,3,4} i64{2}", "!dimension 0"},
          {INC_OP_BROADCAST, "mode=explicit", "f32[3] i64{2,3}", "!needs an axes mapping"},
          {INC_OP_BROADCAST, "mode=explicit", "f32[3,2] i64{2,3} i64{1,0}", "!not rising"},
          {INC_OP_BROADCAST, "mode=pdpd", "f32[3] i64{2,3}", "!mode 'pdpd'"},
          {INC_OP_BROADCAST, "", "f32[2,3] i64{3}", "!rank 2"},
          {INC_OP_BROADCAST, "", "f32[3] i64{-1,3}", "!the target has -1"},
          {INC_OP_BROADCAST, "", "f32[] i64[2]", "f32[u,u]"},
          {INC_OP_BROADCAST, "", "f32[] i64{4294967296,4294967296}", "!too large"},
          {INC_OP_TILE, "", "f32[?,3] i64{2,1,2}", "f32[2,s1,6]"},
          {INC_OP_TILE, "", "f32[?,3] shape[?]", "f32[s1,(s2*3)]"},
          {INC_OP_TILE, "", "f32[3] i64{-1}", "!-1 repetitions"}, {INC_OP_TILE, "", "f32[2] i64[1]", "f32[u]"},
          {INC_OP_TILE, "", "f32[4] i64{9223372036854775807}", "!too large"},
          {INC_OP_PAD, "", "f32[?,3] i64{1,0} i64{0,2}", "f32[(s1+1),5]"},
          {INC_OP_PAD, "", "f32[3] i64{-1} i64{0}", "!a pad is -1"},
          {INC_OP_PAD12, "", "f32[3] i64{-1} i64{0} f32:0", "f32[2]"},
          {INC_OP_PAD12, "", "f32[3] i64{-4} i64{0}", "!is -1"},
          {INC_OP_PAD, "pad_mode=reflect", "f32[3] i64{3} i64{0}", "!too large for a dimension of 3"},
          {INC_OP_PAD, "pad_mode=symmetric", "f32[3] i64{3} i64{0}", "f32[6]"},
          {INC_OP_PAD, "pad_mode=edge", "f32[0] i64{1} i64{0}", "!too large"},
          {INC_OP_PAD, "pad_mode=wrap", "f32[3] i64{1} i64{0}", "!pad_mode 'wrap'"},
          {INC_OP_PAD, "", "f32[3] i64{1,1} i64{0}", "!2 entries"},
          {INC_OP_PAD, "", "f32[3] i64{9223372036854775807} i64{0}", "!too large"},
          {INC_OP_PAD, "", "f32[3] i64[1] i64{0}", "f32[u]"},
          {INC_OP_PAD, "", "f32[3] i64{1} i64{0} i64:0", "!differ in type"},
          {INC_OP_RANGE, "output_type=f32", "i64:0 i64:10 i64:4", "f32[3]"},
          {INC_OP_RANGE, "output_type=i64", "i64:5 i64:0 i64:-2", "i64[3]{5,3,1}"},
          {INC_OP_RANGE, "output_type=i64", "i64:5 i64:0 i64:1", "i64[0]{}"},
          {INC_OP_RANGE, "output_type=f32", "f32:0 f32:1 f32:0.25", "f32[4]"},
          {INC_OP_RANGE, "output_type=i64", "f32:0.9 f32:3.9 f32:1.5", "i64[3]{0,1,2}"}, /* each truncated first */
          {INC_OP_RANGE, "output_type=i64", "i64:0 i64:5 i64:0", "!the step is 0"},
          {INC_OP_RANGE, "output_type=i64", "i64:0 f32:5 f32:0.5", "!the step is 0"},
          {INC_OP_RANGE, "output_type=boolean", "i64:0 i64:5 i64:1", "!boolean"},
          {INC_OP_RANGE, "output_type=i64", "i64:0 i64:5 i64{1,2}", "!one number"},
          {INC_OP_RANGE, "output_type=f32", "f32:0 f32:1e30 f32:1", "!too large"},
          {INC_OP_RANGE, "output_type=f32", "f32:0 f32:nan f32:1", "!not finite"},
          {INC_OP_RANGE, "output_type=i8", "i64:-9223372036854775808 i64:9223372036854775807 i64:1", "!too large"});
}

/* ---- chains ---------------------------------------------------------------------------------------------------- */

static struct inc_value *apply(enum inc_op op, const char *attrs, struct inc_value *a, struct inc_value *b,
                               struct inc_value *d)
{
    struct inc_value *inputs[] = {a, b, d};
    struct inc_node *node = inc_graph_add(graph, op, NULL, inputs, d ? 3 : b ? 2 : 1, NULL);
    assert_non_null(node);
    set_attrs(node, attrs);
    return &node->outputs[0];
}

static void check_value(const struct inc_value *value, const char *expected)
{
    char text[MAX_TEXT];
    format_outputs(value->node, true, text, sizeof text);
    assert_string_equal(text, expected);
}

/* How exporters split heads: ShapeOf, Gather of two dims, Concat with constants, Reshape; and build positions. */
static void test_shape_subgraph(void **state)
{
    (void)state;
    struct inc_value *x = add_input("f32[?,?,384]"), *mask = add_input("i64[?,?]");
    struct inc_value *shape = apply(INC_OP_SHAPE_OF, "", x, NULL, NULL), *axis = add_input("i64:0");
    struct inc_value *batch = apply(INC_OP_GATHER, "", shape, add_input("i64{0}"), axis);
    struct inc_value *length = apply(INC_OP_GATHER, "", shape, add_input("i64:1"), axis);
    struct inc_value *list = apply(INC_OP_UNSQUEEZE, "", length, axis, NULL);
    struct inc_value *pattern = apply(INC_OP_CONCAT, "axis=0", batch, list, add_input("i64{12,-1}"));
    struct inc_value *heads = apply(INC_OP_RESHAPE, "", x, pattern, NULL);
    struct inc_value *positions = apply(INC_OP_RANGE, "output_type=i64", axis, length, add_input("i64:1"));
    struct inc_value *rows = apply(INC_OP_ADD, "", apply(INC_OP_UNSQUEEZE, "", positions, axis, NULL), mask, NULL);
    struct inc_value *flat = apply(INC_OP_RESHAPE, "", heads, add_input("i64{-1,32}"), NULL);
    assert_int_equal(inc_graph_infer(graph), INCISE_OK);
    check_value(pattern, "i64[4]{s1,s2,12,-1}");
    check_value(heads, "f32[s1,s2,12,32]");
    check_value(positions, "i64[s2]");
    check_value(rows, "i64[s3,s2]"); /* the mask's own length is another symbol: the older one is kept */
    check_value(flat, "f32[(s1*s2*12),32]");
}

/* Rows of more than INC_MAX_KNOWN elements are not followed, but the evaluator's tensors are read whole. */
static void test_long_list(void **state)
{
    (void)state;
    long double lengths[70];
    for (int i = 0; i < 70; i++) lengths[i] = 1;
    struct inc_value *inputs[] = {add_input("f32[70]"), add_input("i64:0"), NULL};
    inputs[2] = add_constant(INC_I64, 1, (int64_t[]){70}, lengths, 70);
    struct inc_node *node = inc_graph_add_outputs(graph, INC_OP_VARIADIC_SPLIT, NULL, inputs, 3, 70, NULL);
    assert_non_null(node);
    assert_int_equal(inc_graph_infer(graph), INCISE_OK);
    assert_int_equal(node->outputs[69].shape.dims[0].value, 1);
    assert_null(inputs[2]->elements);
}

static void test_unconnected(void **state)
{
    (void)state;
    struct inc_value *none[] = {NULL, NULL};
    struct inc_node *node = inc_graph_add(graph, INC_OP_ADD, "sum", none, 2, NULL);
    struct inc_infer infer = {.graph = graph};
    assert_non_null(node);
    assert_int_equal(inc_shape_infer_node(&infer, node), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "layer 0 'sum' (Add opset1): input 0 is not connected"));
}

/* ---- random nodes ---------------------------------------------------------------------------------------------- */

static int64_t odd_number(uint64_t *random)
{
    static const int64_t odd[] = {0,         0,        1, 1, 2, 3, 4, 8, -1, -2, -9, 70, INT32_MAX, INT64_C(1) << 32,
                                  INT64_MAX, INT64_MIN};
    return odd[test_random_below(random, sizeof odd / sizeof *odd)];
}

static struct inc_value *random_input(uint64_t *random)
{
    static const enum inc_type types[] = {INC_F32, INC_I64, INC_I64, INC_I32, INC_BOOL};
    enum inc_type type = types[test_random_below(random, 5)];
    size_t rank = test_random_below(random, 4);
    if (test_random_below(random, 3) > 0) { /* a constant of few elements */
        long double values[9];
        for (int i = 0; i < 9; i++)
            values[i] = type == INC_BOOL || type == INC_I32 ? i % 3 - 1 : (long double)odd_number(random);
        if (test_random_below(random, 2))
            for (int i = 0; i < 9; i++) values[i] = (long double)test_random_below(random, 5) - 1;
        return add_constant(type, rank > 0, (int64_t[]){(int64_t)rank}, values, rank > 0 ? rank : 1);
    }
    char text[160] = "";
    size_t at = 0;
    for (size_t i = 0; i < rank; i++) {
        int64_t dim = odd_number(random);
        at += (size_t)snprintf(text + at, sizeof text - at, dim < 0 ? "%s?" : "%s%lld", i ? "," : "", (long long)dim);
    }
    struct inc_node *node = inc_graph_add(graph, INC_OP_PARAMETER, NULL, NULL, 0, NULL);
    set_attr(node, "shape=", text, at);
    inc_attr_set_type(node, "element_type", type);
    if (test_random_below(random, 3) > 0) return &node->outputs[0];
    struct inc_value *value = &node->outputs[0];
    return apply(INC_OP_SHAPE_OF, "", value, NULL, NULL);
}

static void random_attrs(struct inc_node *node, uint64_t *random)
{
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        struct inc_attr *attr = &node->attrs[i];
        if (test_random_below(random, 3) == 0) continue;
        if (attr->kind == INC_ATTR_INT) attr->u.i = odd_number(random);
        if (attr->kind == INC_ATTR_BOOL) attr->u.b = test_random_below(random, 2);
        if (attr->kind == INC_ATTR_FLOAT) attr->u.f = test_random_below(random, 2) ? -1e300 : 1e-5;
        if (attr->kind == INC_ATTR_TYPE) attr->u.type = (enum inc_type)test_random_below(random, INC_TYPE_COUNT);
        if (attr->kind == INC_ATTR_INTS) {
            static const int64_t masks[] = {1, 0, 1, 0, 0, 1, 1};
            attr->u.ints.v = masks + test_random_below(random, 4);
            attr->u.ints.n = test_random_below(random, 4);
        }
    }
}

/* Any node with any inputs gives an error or a graph that verifies; on tensors likewise. */
static void test_random_nodes(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    size_t fine = 0;
    char text[MAX_TEXT];
    for (int round = 0; round < 30000; round++) {
        enum inc_op op = (enum inc_op)(INC_OP_ADD + (int)test_random_below(&random, INC_OP_LINEAR - INC_OP_ADD));
        uint32_t most = inc_ops[op].max_inputs < 5 ? inc_ops[op].max_inputs : 5, least = inc_ops[op].min_inputs;
        uint32_t n = least + (uint32_t)test_random_below(&random, most - least + 1);
        struct inc_value *inputs[MAX_INPUTS];
        assert_int_equal(setup(NULL), 0);
        for (uint32_t i = 0; i < n; i++)
            inputs[i] = i && test_random_below(&random, 4) == 0 ? inputs[0] : random_input(&random);
        uint32_t n_outputs =
            inc_ops[op].n_outputs ? inc_ops[op].n_outputs : 1 + (uint32_t)test_random_below(&random, 4);
        struct inc_node *node = inc_graph_add_outputs(graph, op, NULL, inputs, n, n_outputs, NULL);
        assert_non_null(node);
        random_attrs(node, &random);
        enum incise_status status = inc_graph_infer(graph);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_DATA);
        if (status == INCISE_OK) {
            fine++;
            if (inc_graph_verify(graph) != INCISE_OK) fail_msg("round %d: %s", round, test_last_error());
        }
        bool inferred = true;
        for (uint32_t i = 0; i < n; i++) inferred = inferred && inputs[i]->shape.rank >= 0;
        if (inferred) (void)run_on_tensors(node, text, sizeof text);
        assert_int_equal(teardown(NULL), 0);
    }
    assert_true(fine > 1000); /* the generator reaches behind the checks */
}

static void test_memory(void **state)
{
    (void)state;
    for (size_t n = 0; n < 12; n++) {
        assert_int_equal(setup(NULL), 0);
        struct inc_value *shape = add_input("shape[?,?,384]");
        struct inc_value *product = apply(INC_OP_MULTIPLY, "", shape, add_input("i64:3"), NULL);
        apply(INC_OP_RESHAPE, "", add_input("f32[?,?,384]"), product, NULL);
        for (int i = 0; i < 400; i++) product = apply(INC_OP_ADD, "", product, shape, NULL);
        test_fail_after(n);
        enum incise_status status = inc_graph_infer(graph);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
        if (n == 0) assert_int_equal(status, INCISE_ERROR_MEMORY);
        assert_int_equal(inc_graph_infer(graph), INCISE_OK);
        assert_int_equal(teardown(NULL), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_compute),
        cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_repeat),
        TEST(test_shape_subgraph),
        TEST(test_long_list),
        TEST(test_unconnected),
        cmocka_unit_test(test_random_nodes),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
