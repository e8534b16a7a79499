/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps against golden texts (INCISE_UPDATE=1 writes them anew), rt_info, the verifier, and the op table. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "formats/openvino/ir.h"
#include "graph/graph.h"
#include "support/support.h"

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

static struct inc_node *add(enum inc_op op, const char *name, struct inc_value *a, struct inc_value *b)
{
    struct inc_value *inputs[] = {a, b};
    struct inc_node *node = inc_graph_add(graph, op, name, inputs, b ? 2 : a ? 1 : 0, NULL);
    assert_non_null(node);
    return node;
}

static struct inc_node *add_ints(int64_t *values, int64_t n)
{
    struct inc_tensor tensor = {.type = INC_I64, .rank = 1, .dims = {n}, .data = values, .bytes = (size_t)n * 8};
    struct inc_node *node = inc_graph_add_constant(graph, "list", &tensor, NULL, NULL);
    assert_non_null(node);
    return node;
}

static void parse(struct inc_node *node, uint32_t index, const char *text)
{
    const char *cursor = inc_ops[node->op].attrs;
    struct inc_attr_spec spec;
    for (uint32_t i = 0; i <= index; i++) assert_true(inc_attr_spec_next(&cursor, &spec));
    assert_true(inc_attr_parse(graph, &spec, text, strlen(text), &node->attrs[index]));
}

/* One of everything that a dump shows. */
static void build(void)
{
    struct inc_node *x = add(INC_OP_PARAMETER, "x", NULL, NULL),
                    *shape = add(INC_OP_SHAPE_OF, "shape of \"x\"", &x->outputs[0], NULL);
    struct inc_node *axis = add_ints((int64_t[]){1}, 1), *pattern = add_ints((int64_t[]){0, -1, 4}, 3);
    struct inc_node *heads = add(INC_OP_RESHAPE, "heads", &x->outputs[0], &pattern->outputs[0]);
    struct inc_node *norm = add(INC_OP_NORMALIZE_L2, NULL, &heads->outputs[0], &axis->outputs[0]);
    struct inc_node *split = inc_graph_add_outputs(
        graph, INC_OP_SPLIT, "halves", (struct inc_value *[]){&shape->outputs[0], &shape->outputs[0]}, 2, 3, NULL);
    int64_t zero = 0;
    struct inc_tensor scalar = {.type = INC_I64, .rank = 0, .data = &zero, .bytes = 8};
    struct inc_node *first = inc_graph_add_constant(graph, "first", &scalar, NULL, split);
    assert_non_null(split);
    assert_non_null(first);
    assert_int_equal(inc_node_set_input(graph, split, 1, &first->outputs[0]), INCISE_OK);
    struct inc_node *cut = inc_graph_add_outputs(
        graph, INC_OP_STRIDED_SLICE, "cut\n",
        (struct inc_value *[]){&shape->outputs[0], &axis->outputs[0], &axis->outputs[0]}, 3, 1, NULL);
    assert_non_null(cut);
    parse(x, 0, "?,2..8,12");
    parse(x, 1, "f32");
    parse(norm, 0, "9.9999997473787516e-06");
    parse(norm, 1, "add");
    parse(heads, 0, "true");
    parse(split, 0, "3");
    parse(cut, 0, "0, 1");
    parse(cut, 1, "");
    add(INC_OP_RESULT, "y", &norm->outputs[0], NULL);
    add(INC_OP_RESULT, "z", &split->outputs[2], NULL);
    assert_int_equal(inc_graph_infer(graph), INCISE_OK);
    assert_int_equal(inc_info_set(graph, "incise/activations", "dynamic"), INCISE_OK);
    assert_int_equal(inc_info_set(graph, "OpenVINO Runtime", "1 \"2\""), INCISE_OK);
    norm->info = graph->info;
}

/* Compares with golden/<name>.txt beside this test, or writes it. */
static void check_golden(const struct inc_graph *g, bool with_info, const char *name)
{
    char path[100], wanted[64 * 1024];
    struct inc_buffer out;
    inc_buffer_init(&out, test_ctx());
    assert_int_equal(inc_graph_dump(g, with_info, &out), INCISE_OK);
    snprintf(path, sizeof path, "graph/golden/%s.txt", name);
    bool update = getenv("INCISE_UPDATE") != NULL;
    FILE *file = fopen(path, update ? "wb" : "rb");
    assert_non_null(file);
    if (update) {
        assert_int_equal(fwrite(out.data, 1, out.length, file), out.length);
    } else {
        wanted[fread(wanted, 1, sizeof wanted - 1, file)] = '\0';
        if (strcmp(wanted, out.data) != 0) {
            size_t same = 0;
            while (wanted[same] == out.data[same]) same++;
            while (same > 0 && out.data[same - 1] != '\n') same--;
            fail_msg("%s: not as wanted from\n%.300s", path, out.data + same);
        }
    }
    assert_int_equal(fclose(file), 0);
    inc_buffer_fini(&out);
}

static void test_small(void **state)
{
    (void)state;
    build();
    check_golden(graph, true, "small");
    assert_int_equal(inc_graph_verify(graph), INCISE_OK);
    struct inc_graph *copy;
    assert_int_equal(inc_graph_clone(graph, &copy), INCISE_OK);
    if (!getenv("INCISE_UPDATE")) check_golden(copy, true, "small");
    inc_graph_destroy(copy);
}

/* The dump does not follow the locale of the process. */
static void test_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C"};
    for (size_t i = 0; i < 4 && !setlocale(LC_ALL, names[i]); i++) continue;
    build();
    if (!getenv("INCISE_UPDATE")) check_golden(graph, true, "small");
    setlocale(LC_ALL, "C");
}

static void check_model(const char *folder, const char *name)
{
    struct inc_graph *model;
    assert_int_equal(inc_ir_read(test_ctx(), folder, &model), INCISE_OK);
    assert_int_equal(inc_graph_verify(model), INCISE_OK);
    for (const struct inc_node *node = model->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_outputs; i++) assert_true(node->outputs[i].shape.rank >= 0);
    check_golden(model, false, name);
    inc_graph_destroy(model);
}

static void test_models(void **state)
{
    (void)state;
    check_model("data/tiny/bert", "bert");
    check_model("data/tiny/bert-int4-asym", "bert-int4-asym");
    check_model("data/tiny/gemma", "gemma");
}

static void test_dump_memory(void **state)
{
    (void)state;
    struct inc_buffer out;
    build();
    inc_buffer_init(&out, test_ctx());
    test_fail_after(1);
    assert_int_equal(inc_graph_dump(graph, true, &out), INCISE_ERROR_MEMORY);
    test_fail_after(SIZE_MAX);
    inc_buffer_fini(&out);
}

/* ---- rt_info --------------------------------------------------------------------------------------------------- */

static void test_info(void **state)
{
    (void)state;
    assert_null(inc_info_get(graph, "incise/activations"));
    assert_int_equal(inc_info_set(graph, "incise/activations", "float"), INCISE_OK);
    assert_int_equal(inc_info_set(graph, "incise/float_layers", "a,b"), INCISE_OK);
    assert_int_equal(inc_info_set(graph, "incise/activations", "dynamic"), INCISE_OK);
    assert_string_equal(inc_info_get(graph, "incise/activations"), "dynamic");
    assert_string_equal(inc_info_get(graph, "incise/float_layers"), "a,b");
    assert_null(inc_info_get(graph, "incise"));
    assert_null(inc_info_get(graph, "incise/activations/more"));
    assert_null(inc_info_get(graph, "inc"));
    assert_null(inc_info_get(graph, ""));
    assert_int_equal(inc_info_set(graph, "", "x"), INCISE_ERROR_USAGE);
    assert_int_equal(inc_info_set(graph, "OpenVINO Runtime/9 lives", "7"), INCISE_OK);
    assert_string_equal(inc_info_get(graph, "OpenVINO Runtime/9 lives"), "7");
    assert_string_equal(graph->info->next->name, "info"); /* no XML name: <info name="..."> */
    struct inc_info *copy = inc_info_clone(graph, graph->info);
    assert_non_null(copy);
    graph->info->child->values[0] = "changed";
    graph->info = copy;
    assert_string_equal(inc_info_get(graph, "incise/activations"), "dynamic");
}

static void test_info_depth(void **state)
{
    (void)state;
    char path[2 * 5000 + 1];
    for (size_t i = 0; i < sizeof path - 1; i++) path[i] = i % 2 ? '/' : 'a';
    path[sizeof path - 1] = '\0';
    assert_int_equal(inc_info_set(graph, path, "deep"), INCISE_OK);
    assert_string_equal(inc_info_get(graph, path), "deep");
    assert_null(inc_info_clone(graph, graph->info));
}

/* ---- the verifier ---------------------------------------------------------------------------------------------- */

static void check_broken(const char *text)
{
    test_clear_error();
    assert_int_equal(inc_graph_verify(graph), INCISE_ERROR_DATA);
    if (!strstr(test_last_error(), text)) fail_msg("'%s' does not say '%s'", test_last_error(), text);
}

static void test_verify(void **state)
{
    (void)state;
    struct inc_node *x = add(INC_OP_PARAMETER, "x", NULL, NULL), *y = add(INC_OP_ABS, "y", &x->outputs[0], NULL);
    struct inc_node *z = add(INC_OP_CLAMP, "z", &y->outputs[0], NULL), *list = add_ints((int64_t[]){1, 2}, 2);
    parse(x, 0, "?,4");
    add(INC_OP_RESULT, "out", &z->outputs[0], NULL);
    assert_int_equal(inc_graph_infer(graph), INCISE_OK);
    assert_int_equal(inc_graph_verify(graph), INCISE_OK);
#define BREAK(place, value, text)                             \
    do {                                                      \
        __typeof__(place) was = place;                        \
        place = value;                                        \
        check_broken(text);                                   \
        place = was;                                          \
        assert_int_equal(inc_graph_verify(graph), INCISE_OK); \
    } while (0)
    BREAK(y->inputs[0], NULL, "'y' (Abs opset1): input 0 is not connected");
    BREAK(y->inputs[0], &z->outputs[0], "comes from a later layer");
    BREAK(y->inputs[0], &y->outputs[0], "comes from a later layer");
    BREAK(z->inputs[0], &x->outputs[0], "has a use that is none");
    BREAK(x->outputs[0].n_uses, 0, "missing among the uses");
    BREAK(z->outputs[0].port, 1, "does not");
    BREAK(z->n_inputs, 0, "0 inputs are not allowed");
    BREAK(z->n_outputs, 0, "not");
    BREAK(z->id, y->id, "used twice");
    BREAK(z->id, 1000, "not below the next id");
    BREAK(graph->n_nodes, 4, "more nodes");
    BREAK(graph->n_nodes, 6, "n_nodes says 6");
    BREAK(z->prev, x, "not linked");
    BREAK(y->outputs[0].shape.rank, -1, "not set");
    BREAK(y->outputs[0].shape.rank, 9, "not set");
    BREAK(y->outputs[0].shape.dims[1].value, -4, "dimension 1 of output 0 makes no sense");
    BREAK(y->outputs[0].shape.dims[0].symbol, 99, "dimension 0 of output 0 makes no sense");
    BREAK(y->outputs[0].elements, &y->outputs[0].shape.dims[0], "cannot have known elements");
    BREAK(y->outputs[0].type, INC_TYPE_COUNT, "not set");
    BREAK(z->attrs[0].u.f, (double)NAN, "attribute min makes no sense");
    BREAK(z->attrs[1].name, "minimum", "attribute max is missing");
    BREAK(x->attrs[0].u.shape.rank, 9, "attribute shape makes no sense");
    BREAK(list->data.bytes, 15, "15 bytes");
    BREAK(list->data.dims[0], 3, "differ");
    BREAK(graph->n_results, 0, "listed are 1 and 0");
    BREAK(graph->results[0], z, "entry 0 of the results");
}

/* ---- the op table ---------------------------------------------------------------------------------------------- */

static void test_find(void **state)
{
    (void)state;
    enum inc_op op;
    for (int i = 0; i < INC_OP_COUNT; i++) {
        assert_non_null(inc_ops[i].shape);
        assert_non_null(inc_ops[i].eval);
        if (!inc_ops[i].opset) continue;
        assert_true(inc_op_find(inc_ops[i].name, inc_ops[i].opset, &op));
        assert_int_equal(op, i);
    }
    assert_true(inc_op_find("softmax", "opset8", &op));
    assert_int_equal(op, INC_OP_SOFTMAX);
    assert_true(inc_op_find("SOFTMAX", "opset1", &op));
    assert_int_equal(op, INC_OP_SOFTMAX1);
    assert_false(inc_op_find("SoftMax", "opset2", &op));
    assert_false(inc_op_find("Linear", "opset1", &op)); /* fused ops are in no file */
    assert_false(inc_op_find("", "opset1", &op));
}

static bool parses(enum inc_attr_kind kind, const char *text, struct inc_attr *attr)
{
    const struct inc_attr_spec spec = {.name = "a", .kind = kind};
    return inc_attr_parse(graph, &spec, text, strlen(text), attr);
}

static void test_parse_numbers(void **state)
{
    (void)state;
    struct inc_attr a;
    static const char *const bad_ints[] = {"", "-", "1x", "1.0", "9223372036854775808", "0x1", "1 2"};
    static const char *const bad_floats[] = {
        "",      "inf", "nan", "-INF", "1e999",
        "0x1p3", "1,5", "1e",  "--1",  "1111111111111111111111111111111111111111111111111111111111111111111111"};
    static const char *const bad_lists[] = {",", "1,", "1,,2", "a"};
    assert_true(parses(INC_ATTR_INT, " -9223372036854775808 ", &a) && a.u.i == INT64_MIN);
    assert_true(parses(INC_ATTR_INT, "+7", &a) && a.u.i == 7);
    for (size_t i = 0; i < sizeof bad_ints / sizeof *bad_ints; i++) assert_false(parses(INC_ATTR_INT, bad_ints[i], &a));
    assert_true(parses(INC_ATTR_FLOAT, "9.9999997473787516e-06", &a) && a.u.f == (double)1e-5f);
    assert_true(parses(INC_ATTR_FLOAT, "-1", &a) && a.u.f == -1);
    for (size_t i = 0; i < sizeof bad_floats / sizeof *bad_floats; i++)
        assert_false(parses(INC_ATTR_FLOAT, bad_floats[i], &a));
    assert_true(parses(INC_ATTR_INTS, "1, -2,3", &a) && a.u.ints.n == 3 && a.u.ints.v[1] == -2);
    assert_true(parses(INC_ATTR_INTS, "", &a) && a.u.ints.n == 0);
    for (size_t i = 0; i < sizeof bad_lists / sizeof *bad_lists; i++)
        assert_false(parses(INC_ATTR_INTS, bad_lists[i], &a));
}

static void test_parse_words(void **state)
{
    (void)state;
    struct inc_attr a = {.name = "kept"};
    assert_true(parses(INC_ATTR_BOOL, "True", &a) && a.u.b);
    assert_true(parses(INC_ATTR_BOOL, "0", &a) && !a.u.b);
    assert_false(parses(INC_ATTR_BOOL, "2", &a));
    assert_false(parses(INC_ATTR_BOOL, "", &a));
    assert_true(parses(INC_ATTR_TYPE, "bf16", &a) && a.u.type == INC_BF16);
    assert_false(parses(INC_ATTR_TYPE, "nf4", &a));
    assert_false(parses(INC_ATTR_TYPE, "a type of very many letters", &a));
    assert_true(parses(INC_ATTR_STRING, " numpy ", &a));
    assert_string_equal(a.u.s, "numpy");
    assert_string_equal(a.name, "kept");
}

static void test_parse_shapes(void **state)
{
    (void)state;
    struct inc_attr a;
    static const char *const bad[] = {"...", "?,...", "-2", "3..2", "..", "-1..4", "?,", "1,1,1,1,1,1,1,1,1", "x"};
    assert_true(parses(INC_ATTR_SHAPE, "?,1..10, 384,-1,5..5,..7", &a));
    assert_int_equal(a.u.shape.rank, 6);
    assert_true(inc_dim_is_const(a.u.shape.dims[2]) && a.u.shape.dims[2].value == 384);
    const struct inc_symbol *symbols = graph->symbols;
    assert_int_equal(symbols[a.u.shape.dims[0].symbol].max, -1);
    assert_int_equal(symbols[a.u.shape.dims[1].symbol].min, 1);
    assert_int_equal(symbols[a.u.shape.dims[1].symbol].max, 10);
    assert_true(inc_dim_is_const(a.u.shape.dims[4]) && a.u.shape.dims[4].value == 5);
    assert_int_equal(symbols[a.u.shape.dims[5].symbol].max, 7);
    assert_true(parses(INC_ATTR_SHAPE, "", &a) && a.u.shape.rank == 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(parses(INC_ATTR_SHAPE, bad[i], &a));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_small),         TEST(test_locale),      TEST(test_models),       TEST(test_dump_memory),
        TEST(test_info),          TEST(test_info_depth),  TEST(test_verify),       TEST(test_find),
        TEST(test_parse_numbers), TEST(test_parse_words), TEST(test_parse_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
