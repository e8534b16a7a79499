/* SPDX-License-Identifier: Apache-2.0 */
/* The reference evaluator at its edges: bad input, empty tensors, limits, feeds, what a failure leaves behind. */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "graph/eval_ref/eval.h"
#include "support/op_cases.h"
#include "support/support.h"

/* ---- small graphs ------------------------------------------------------------------------------------------------ */

#define DIMS(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}
#define SCALAR 0, NULL

static struct inc_tensor tensor(enum inc_type type, const void *data, int rank, const int64_t *dims)
{
    size_t count;
    struct inc_tensor t = {.type = type, .rank = rank};
    for (int d = 0; d < rank; d++) t.dims[d] = dims[d];
    assert_true(inc_tensor_count(rank, t.dims, type, &count, &t.bytes));
    memcpy(&t.data, &data, sizeof data); /* feeds and constants are only read */
    return t;
}

static struct inc_graph *new_graph(const struct inc_ctx *ctx)
{
    struct inc_graph *graph;
    assert_int_equal(inc_graph_create(ctx, &graph), INCISE_OK);
    return graph;
}

static struct inc_value *constant(struct inc_graph *graph, enum inc_type type, const void *data, int rank,
                                  const int64_t *dims)
{
    struct inc_tensor t = tensor(type, data, rank, dims);
    return op_case_constant(graph, &t);
}

static struct inc_value *parameter(struct inc_graph *graph, enum inc_type type, int rank, const int64_t *dims)
{
    struct inc_tensor t = tensor(type, NULL, rank, dims);
    return op_case_parameter(graph, &t, false);
}

static struct inc_value *add(struct inc_graph *graph, enum inc_op op, const char *name, struct inc_value *a,
                             struct inc_value *b, struct inc_value *c, struct inc_value *d)
{
    struct inc_value *inputs[] = {a, b, c, d};
    uint32_t n = d ? 4 : c ? 3 : b ? 2 : 1;
    struct inc_node *node = inc_graph_add(graph, op, name, inputs, n, NULL);
    assert_non_null(node);
    return &node->outputs[0];
}

static struct inc_value *convert(struct inc_graph *graph, struct inc_value *a, enum inc_type to)
{
    struct inc_value *value = add(graph, INC_OP_CONVERT, NULL, a, NULL, NULL, NULL);
    inc_attr_set_type(value->node, "destination_type", to);
    return value;
}

static void infer(struct inc_graph *graph)
{
    if (inc_graph_infer(graph) != INCISE_OK) fail_msg("%s", test_last_error());
}

/* Evaluates one value from at most one feed. */
static enum incise_status eval(const struct inc_graph *graph, const struct inc_value *fed,
                               const struct inc_tensor *feed, const struct inc_value *value, struct inc_tensor *out)
{
    struct inc_feed feeds[1], wanted[1] = {{.value = value}};
    test_clear_error();
    if (fed) feeds[0] = (struct inc_feed){fed, *feed};
    enum incise_status status = inc_eval_run(graph, feeds, fed != NULL, wanted, 1);
    *out = wanted[0].tensor;
    if (status != INCISE_OK) assert_null(out->data);
    return status;
}

static void expect_floats(struct inc_tensor *got, const float *expected, size_t n)
{
    assert_int_equal(got->type, INC_F32);
    assert_int_equal(inc_tensor_elements(got), n);
    for (size_t i = 0; i < n; i++)
        if (((float *)got->data)[i] != expected[i])
            fail_msg("element %zu is %.9g, not %.9g", i, (double)((float *)got->data)[i], (double)expected[i]);
    inc_tensor_release(test_ctx(), got);
}

static void expect_i64(struct inc_tensor *got, const int64_t *expected, size_t n)
{
    assert_int_equal(inc_tensor_elements(got), n);
    for (size_t i = 0; i < n; i++) assert_int_equal(inc_tensor_get_i64(got, i), expected[i]);
    inc_tensor_release(test_ctx(), got);
}

static void expect_failure(enum incise_status got, enum incise_status status, const char *text)
{
    assert_int_equal(got, status);
    if (!strstr(test_last_error(), text)) fail_msg("'%s' does not say '%s'", test_last_error(), text);
}

/* ---- indices and arithmetic -------------------------------------------------------------------------------------- */

static void ids_outside_the_table_are_named(void **state)
{
    (void)state;
    const float table[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int64_t zero = 0, good[] = {3, -4}, high[] = {0, 4}, low[] = {-5, 0};
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *ids = parameter(graph, INC_I64, DIMS(2));
    struct inc_value *axis = constant(graph, INC_I64, &zero, SCALAR);
    struct inc_value *data = constant(graph, INC_F32, table, DIMS(4, 2));
    struct inc_value *rows = add(graph, INC_OP_GATHER, "embeddings", data, ids, axis, NULL);
    struct inc_value *old = add(graph, INC_OP_GATHER7, "old", data, ids, axis, NULL);
    struct inc_tensor out, feed = tensor(INC_I64, good, DIMS(2));
    infer(graph);
    assert_int_equal(eval(graph, ids, &feed, rows, &out), INCISE_OK);
    expect_floats(&out, (float[]){6, 7, 0, 1}, 4);
    expect_failure(eval(graph, ids, &feed, old, &out), INCISE_ERROR_DATA, "index -4 at position 1");
    feed = tensor(INC_I64, high, DIMS(2));
    expect_failure(eval(graph, ids, &feed, rows, &out), INCISE_ERROR_DATA, "index 4 at position 1");
    expect_failure(eval(graph, ids, &feed, rows, &out), INCISE_ERROR_DATA, "'embeddings'");
    feed = tensor(INC_I64, low, DIMS(2));
    expect_failure(eval(graph, ids, &feed, rows, &out), INCISE_ERROR_DATA, "index -5 at position 0");
    inc_graph_destroy(graph);
}

static void integer_division(void **state)
{
    (void)state;
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *a = parameter(graph, INC_I64, DIMS(3)), *b = parameter(graph, INC_I64, DIMS(3));
    struct inc_value *quotient = add(graph, INC_OP_DIVIDE, "ratio", a, b, NULL, NULL);
    const int64_t x[] = {INT64_MIN, -7, 9}, y[] = {-1, 2, -3}, zeros[] = {1, 0, 1};
    infer(graph);
    struct inc_feed feeds[] = {{a, tensor(INC_I64, x, DIMS(3))}, {b, tensor(INC_I64, y, DIMS(3))}};
    struct inc_feed wanted = {.value = quotient};
    assert_int_equal(inc_eval_run(graph, feeds, 2, &wanted, 1), INCISE_OK);
    expect_i64(&wanted.tensor, (int64_t[]){INT64_MIN, -4, -3}, 3);
    feeds[1].tensor = tensor(INC_I64, zeros, DIMS(3));
    expect_failure(inc_eval_run(graph, feeds, 2, &wanted, 1), INCISE_ERROR_DATA, "division by zero at element 1");
    inc_graph_destroy(graph);
}

static void conversions_saturate(void **state)
{
    (void)state;
    const float x[] = {NAN, INFINITY, -INFINITY, 3e10f, -0.9f, 0x1p-130f};
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *in = constant(graph, INC_F32, x, DIMS(6));
    struct inc_value *i32 = convert(graph, in, INC_I32), *u8 = convert(graph, in, INC_U8);
    struct inc_value *i64 = convert(graph, in, INC_I64), *boolean = convert(graph, in, INC_BOOL);
    struct inc_value *i4 = convert(graph, convert(graph, in, INC_I4), INC_I32);
    struct inc_tensor out;
    infer(graph);
    assert_int_equal(eval(graph, NULL, NULL, i32, &out), INCISE_OK);
    expect_i64(&out, (int64_t[]){0, INT32_MAX, INT32_MIN, INT32_MAX, 0, 0}, 6);
    assert_int_equal(eval(graph, NULL, NULL, u8, &out), INCISE_OK);
    expect_i64(&out, (int64_t[]){0, 255, 0, 255, 0, 0}, 6);
    assert_int_equal(eval(graph, NULL, NULL, i64, &out), INCISE_OK);
    expect_i64(&out, (int64_t[]){0, INT64_MAX, INT64_MIN, INT64_C(30000001024), 0, 0}, 6);
    assert_int_equal(eval(graph, NULL, NULL, boolean, &out), INCISE_OK);
    expect_i64(&out, (int64_t[]){1, 1, 1, 1, 1, 1}, 6);
    assert_int_equal(eval(graph, NULL, NULL, i4, &out), INCISE_OK);
    expect_i64(&out, (int64_t[]){0, 7, -8, 7, 0, 0}, 6);
    inc_graph_destroy(graph);
}

static void fake_quantize_rounds_half_to_even(void **state)
{
    (void)state;
    const float x[] = {0.5f, 1.5f, 2.5f, -1, 300, 255, 0}, low = 0, high = 255, out_low = 10, out_high = 265;
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *in[] = {constant(graph, INC_F32, x, DIMS(7)), constant(graph, INC_F32, &low, SCALAR),
                              constant(graph, INC_F32, &high, SCALAR), constant(graph, INC_F32, &out_low, SCALAR),
                              constant(graph, INC_F32, &out_high, SCALAR)};
    struct inc_node *node = inc_graph_add(graph, INC_OP_FAKE_QUANTIZE, NULL, in, 5, NULL);
    struct inc_tensor out;
    inc_attr_set_int(node, "levels", 256);
    infer(graph);
    assert_int_equal(eval(graph, NULL, NULL, &node->outputs[0], &out), INCISE_OK);
    expect_floats(&out, (float[]){10, 12, 12, 10, 265, 265, 10}, 7);
    inc_graph_destroy(graph);
}

static void half_values_are_held_in_float(void **state)
{
    (void)state;
    const float x[] = {1.0f + 0x1p-20f, 1e6f};
    const uint16_t half[] = {0x3c00, 0xc100};
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *cut = convert(graph, constant(graph, INC_F32, x, DIMS(2)), INC_F16);
    struct inc_value *stored = constant(graph, INC_F16, half, DIMS(2));
    struct inc_tensor out;
    infer(graph);
    assert_int_equal(eval(graph, NULL, NULL, cut, &out), INCISE_OK);
    expect_floats(&out, x, 2);
    assert_int_equal(eval(graph, NULL, NULL, stored, &out), INCISE_OK);
    expect_floats(&out, (float[]){1, -2.5f}, 2);
    inc_graph_destroy(graph);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

static void masked_rows_give_zero(void **state)
{
    (void)state;
    const float q[] = {1, 2, 3, 4}, k[] = {1, 0, 0, 1, 1, 1}, v[] = {1, 2, 3, 4, 5, 6};
    const float mask[] = {-INFINITY, -INFINITY, -INFINITY, 0, -INFINITY, -INFINITY};
    const uint8_t allowed[] = {0, 0, 0, 1, 0, 0};
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *query = constant(graph, INC_F32, q, DIMS(1, 2, 2));
    struct inc_value *key = constant(graph, INC_F32, k, DIMS(1, 3, 2));
    struct inc_value *value = constant(graph, INC_F32, v, DIMS(1, 3, 2));
    struct inc_value *bias = constant(graph, INC_F32, mask, DIMS(2, 3));
    struct inc_value *choice = constant(graph, INC_BOOL, allowed, DIMS(2, 3));
    struct inc_value *a = add(graph, INC_OP_SDPA, NULL, query, key, value, bias);
    struct inc_value *b = add(graph, INC_OP_SDPA, NULL, query, key, value, choice);
    struct inc_tensor out;
    infer(graph);
    assert_int_equal(eval(graph, NULL, NULL, a, &out), INCISE_OK);
    expect_floats(&out, (float[]){0, 0, 1, 2}, 4);
    assert_int_equal(eval(graph, NULL, NULL, b, &out), INCISE_OK);
    expect_floats(&out, (float[]){0, 0, 1, 2}, 4);
    inc_graph_destroy(graph);
}

/* ---- empty tensors ----------------------------------------------------------------------------------------------- */

static void empty_tensors(void **state)
{
    (void)state;
    const float six[] = {1, 2, 3, 4, 5, 6};
    const int64_t one = 1;
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *full = constant(graph, INC_F32, six, DIMS(3, 2));
    struct inc_value *rows = parameter(graph, INC_F32, DIMS(0, 3)), *axis = constant(graph, INC_I64, &one, SCALAR);
    struct inc_value *no_rows = add(graph, INC_OP_MATMUL, NULL, rows, full, NULL, NULL);
    struct inc_value *reverse = constant(graph, INC_I64, NULL, DIMS(0));
    struct inc_value *columns = add(graph, INC_OP_TRANSPOSE, NULL, rows, reverse, NULL, NULL);
    struct inc_value *sum = add(graph, INC_OP_REDUCE_SUM, NULL, columns, axis, NULL, NULL);
    struct inc_value *product = add(graph, INC_OP_MATMUL, NULL, columns, rows, NULL, NULL);
    struct inc_value *max = add(graph, INC_OP_REDUCE_MAX, NULL, columns, axis, NULL, NULL);
    struct inc_value *softmax = add(graph, INC_OP_SOFTMAX, NULL, columns, NULL, NULL, NULL);
    struct inc_value *doubled = add(graph, INC_OP_ADD, NULL, softmax, columns, NULL, NULL);
    struct inc_tensor out, feed = tensor(INC_F32, NULL, DIMS(0, 3));
    infer(graph);
    assert_int_equal(eval(graph, rows, &feed, no_rows, &out), INCISE_OK);
    assert_int_equal(out.dims[0], 0);
    assert_int_equal(out.dims[1], 2);
    expect_floats(&out, NULL, 0);
    assert_int_equal(eval(graph, rows, &feed, sum, &out), INCISE_OK);
    expect_floats(&out, (float[]){0, 0, 0}, 3);
    assert_int_equal(eval(graph, rows, &feed, product, &out), INCISE_OK);
    expect_floats(&out, (float[9]){0}, 9);
    assert_int_equal(eval(graph, rows, &feed, max, &out), INCISE_OK);
    expect_floats(&out, (float[]){-FLT_MAX, -FLT_MAX, -FLT_MAX}, 3);
    assert_int_equal(eval(graph, rows, &feed, doubled, &out), INCISE_OK);
    expect_floats(&out, NULL, 0);
    inc_graph_destroy(graph);
}

/* ---- feeds and wanted values ------------------------------------------------------------------------------------- */

static void feeds_are_checked(void **state)
{
    (void)state;
    const float six[] = {1, 2, 3, 4, 5, 6};
    const int64_t ids[] = {1, 2, 3, 4, 5, 6};
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *in = parameter(graph, INC_F32, DIMS(2, 3));
    in->node->name = "tokens";
    struct inc_shape *shape = &in->node->attrs[0].u.shape; /* the first attribute of Parameter */
    shape->dims[0] = inc_dim_new(graph, INC_SYMBOL_INPUT, 1, 4);
    struct inc_value *negative = add(graph, INC_OP_NEGATIVE, NULL, in, NULL, NULL, NULL);
    struct inc_tensor out, feed = tensor(INC_F32, six, DIMS(2, 3));
    infer(graph);
    expect_failure(eval(graph, NULL, NULL, negative, &out), INCISE_ERROR_DATA, "'tokens'");
    assert_int_equal(eval(graph, in, &feed, negative, &out), INCISE_OK);
    expect_floats(&out, (float[]){-1, -2, -3, -4, -5, -6}, 6);
    feed = tensor(INC_I64, ids, DIMS(2, 3));
    expect_failure(eval(graph, in, &feed, negative, &out), INCISE_ERROR_DATA, "type f32, was given i64");
    feed = tensor(INC_F32, six, DIMS(6));
    expect_failure(eval(graph, in, &feed, negative, &out), INCISE_ERROR_DATA, "rank 2");
    feed = tensor(INC_F32, six, DIMS(3, 2));
    expect_failure(eval(graph, in, &feed, negative, &out), INCISE_ERROR_DATA, "3 in dimension 1");
    feed = tensor(INC_F32, six, DIMS(0, 3));
    expect_failure(eval(graph, in, &feed, negative, &out), INCISE_ERROR_DATA, "1..4");
    feed = tensor(INC_F32, six, DIMS(5, 3));
    expect_failure(eval(graph, in, &feed, negative, &out), INCISE_ERROR_DATA, "1..4");
    feed = tensor(INC_F32, six, DIMS(2, 3));
    feed.bytes = 20;
    expect_failure(eval(graph, in, &feed, negative, &out), INCISE_ERROR_DATA, "size");
    inc_graph_destroy(graph);
}

static void inner_values_can_be_fed(void **state)
{
    (void)state;
    const float two = 2, fed[] = {10, 20};
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *in = parameter(graph, INC_F32, DIMS(2)), *factor = constant(graph, INC_F32, &two, SCALAR);
    struct inc_value *sum = add(graph, INC_OP_ADD, NULL, in, in, NULL, NULL);
    struct inc_value *product = add(graph, INC_OP_MULTIPLY, NULL, sum, factor, NULL, NULL);
    struct inc_feed feed = {sum, tensor(INC_F32, fed, DIMS(2))};
    struct inc_feed wanted[] = {{.value = product}, {.value = sum}, {.value = factor}, {.value = product}};
    infer(graph);
    if (inc_eval_run(graph, &feed, 1, wanted, 4) != INCISE_OK) fail_msg("%s", test_last_error());
    expect_floats(&wanted[0].tensor, (float[]){20, 40}, 2);
    expect_floats(&wanted[1].tensor, fed, 2);
    expect_floats(&wanted[2].tensor, &two, 1);
    expect_floats(&wanted[3].tensor, (float[]){20, 40}, 2);
    inc_graph_destroy(graph);
}

static void fused_ops_are_refused(void **state)
{
    (void)state;
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *in = parameter(graph, INC_F32, DIMS(2, 3));
    const float six[6] = {0};
    struct inc_tensor out, feed = tensor(INC_F32, six, DIMS(2, 3));
    infer(graph);
    struct inc_node *node = inc_graph_add(graph, INC_OP_RMS_NORM, "norm", &in, 1, NULL);
    assert_non_null(node);
    expect_failure(eval(graph, in, &feed, &node->outputs[0], &out), INCISE_ERROR_DATA, "fused");
    inc_graph_destroy(graph);
}

/* ---- tables behind a decompression chain ------------------------------------------------------------------------- */

/* [rows, 4] u8 -> Convert f16 -> Subtract -> Multiply -> Convert f32. */
static struct inc_value *u8_table(struct inc_graph *graph, const uint8_t *q, int64_t rows, const uint8_t *zero,
                                  const uint16_t *scale)
{
    struct inc_value *weight = convert(graph, constant(graph, INC_U8, q, DIMS(rows, 4)), INC_F16);
    struct inc_value *point = convert(graph, constant(graph, INC_U8, zero, DIMS(rows, 1)), INC_F16);
    struct inc_value *shifted = add(graph, INC_OP_SUBTRACT, NULL, weight, point, NULL, NULL);
    struct inc_value *step = constant(graph, INC_F16, scale, DIMS(rows, 1));
    return convert(graph, add(graph, INC_OP_MULTIPLY, NULL, shifted, step, NULL, NULL), INC_F32);
}

/* [rows, 4] i4 in two groups: [rows, 2, 2] -> Convert f16 -> Multiply -> Reshape -> Convert f32. */
static struct inc_value *i4_table(struct inc_graph *graph, const uint8_t *q, int64_t rows, const uint16_t *scale)
{
    const int64_t shape[] = {rows, 4};
    struct inc_value *weight = convert(graph, constant(graph, INC_I4, q, DIMS(rows, 2, 2)), INC_F16);
    struct inc_value *step = constant(graph, INC_F16, scale, DIMS(rows, 2, 1));
    struct inc_value *product = add(graph, INC_OP_MULTIPLY, NULL, weight, step, NULL, NULL);
    struct inc_value *target = constant(graph, INC_I64, shape, DIMS(2));
    return convert(graph, add(graph, INC_OP_RESHAPE, NULL, product, target, NULL, NULL), INC_F32);
}

static struct inc_value *quantized_table(struct inc_graph *graph, const float *data, int64_t rows)
{
    const float low = -1, high = 1;
    struct inc_value *a = constant(graph, INC_F32, &low, SCALAR), *b = constant(graph, INC_F32, &high, SCALAR);
    struct inc_value *in[] = {constant(graph, INC_F32, data, DIMS(rows, 4)), a, b, a, b};
    struct inc_node *node = inc_graph_add(graph, INC_OP_FAKE_QUANTIZE, NULL, in, 5, NULL);
    assert_non_null(node);
    inc_attr_set_int(node, "levels", 16);
    return &node->outputs[0];
}

static void rows_of_a_table_are_the_tables(void **state)
{
    (void)state;
    enum { ROWS = 64 };
    uint64_t random = test_seed();
    uint8_t q[ROWS * 4], zero[ROWS];
    uint16_t scale[ROWS * 2];
    float data[ROWS * 4];
    for (size_t i = 0; i < ROWS * 4; i++) q[i] = (uint8_t)test_random_below(&random, 256);
    for (size_t i = 0; i < ROWS * 4; i++) data[i] = test_random_float(&random, -1.2f, 1.2f);
    for (size_t i = 0; i < ROWS; i++) zero[i] = (uint8_t)test_random_below(&random, 256);
    for (size_t i = 0; i < ROWS * 2; i++) scale[i] = (uint16_t)(0x2000 + test_random_below(&random, 0x1000));
    const int64_t axis = 0, ids[] = {5, 0, -1};
    struct inc_ctx limited = *test_ctx();
    limited.max_memory = sizeof(float) * ROWS * 4 - 1; /* too little for the decompressed table */
    for (int kind = 0; kind < 3; kind++) {
        struct inc_graph *graph = new_graph(&limited);
        struct inc_value *table = kind == 0   ? u8_table(graph, q, ROWS, zero, scale)
                                  : kind == 1 ? i4_table(graph, q, ROWS, scale)
                                              : quantized_table(graph, data, ROWS);
        struct inc_value *rows = add(graph, INC_OP_GATHER, NULL, table, constant(graph, INC_I64, ids, DIMS(3)),
                                     constant(graph, INC_I64, &axis, SCALAR), NULL);
        struct inc_tensor picked, all;
        infer(graph);
        if (eval(graph, NULL, NULL, rows, &picked) != INCISE_OK) fail_msg("%s", test_last_error());
        expect_failure(eval(graph, NULL, NULL, table, &all), INCISE_ERROR_MEMORY, "limit");
        limited.max_memory = 0;
        assert_int_equal(eval(graph, NULL, NULL, table, &all), INCISE_OK);
        limited.max_memory = sizeof(float) * ROWS * 4 - 1;
        for (size_t i = 0; i < 3; i++)
            assert_memory_equal((float *)picked.data + 4 * i, (float *)all.data + 4 * ((ids[i] + ROWS) % ROWS), 16);
        inc_tensor_release(test_ctx(), &picked);
        inc_tensor_release(test_ctx(), &all);
        inc_graph_destroy(graph);
    }
}

/* ---- limits and failures ----------------------------------------------------------------------------------------- */

/* A bit of everything: data-dependent shapes, scratch, several outputs alive at once. */
static struct inc_value *mixed_graph(struct inc_graph *graph, struct inc_value **in)
{
    static const float weights[12] = {1, -1, 2, 0, 1, 3, 2, 2, -2, 1, 0, 1};
    static const int64_t minus_one = -1, shape[] = {0, -1};
    *in = parameter(graph, INC_F32, DIMS(2, 3));
    struct inc_value *weight = constant(graph, INC_F32, weights, DIMS(3, 4));
    struct inc_value *product = add(graph, INC_OP_MATMUL, NULL, *in, weight, NULL, NULL);
    struct inc_value *sum = add(graph, INC_OP_REDUCE_SUM, NULL, product,
                                constant(graph, INC_I64, &minus_one, SCALAR), NULL, NULL);
    struct inc_value *pattern = constant(graph, INC_I64, shape, DIMS(2));
    struct inc_value *flat = add(graph, INC_OP_RESHAPE, NULL, sum, pattern, NULL, NULL);
    inc_attr_set_bool(flat->node, "special_zero", true);
    struct inc_value *target = add(graph, INC_OP_SHAPE_OF, NULL, product, NULL, NULL, NULL);
    struct inc_value *wide = add(graph, INC_OP_BROADCAST, NULL, flat, target, NULL, NULL);
    return add(graph, INC_OP_ADD, NULL, wide, add(graph, INC_OP_SOFTMAX, NULL, product, NULL, NULL, NULL), NULL, NULL);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    const float six[] = {1, 2, 3, 4, 5, 6};
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *in, *out = mixed_graph(graph, &in);
    infer(graph);
    size_t live = test_live_allocations(), n = 0;
    for (enum incise_status status = INCISE_ERROR_MEMORY; status != INCISE_OK; n++) {
        struct inc_feed feed = {in, tensor(INC_F32, six, DIMS(2, 3))}, wanted = {.value = out};
        assert_true(n < 10000);
        test_clear_error();
        test_fail_after(n);
        status = inc_eval_run(graph, &feed, 1, &wanted, 1);
        test_fail_after(SIZE_MAX);
        if (status != INCISE_OK) {
            assert_int_equal(status, INCISE_ERROR_MEMORY);
            assert_true(strlen(test_last_error()) > 0);
            assert_null(wanted.tensor.data);
        }
        inc_tensor_release(test_ctx(), &wanted.tensor);
        assert_int_equal(test_live_allocations(), live);
    }
    assert_true(n > 20); /* the sweep did fail allocations */
    inc_graph_destroy(graph);
}

static void the_memory_limit_holds(void **state)
{
    (void)state;
    const float six[] = {1, 2, 3, 4, 5, 6};
    struct inc_ctx limited = *test_ctx();
    struct inc_graph *graph = new_graph(&limited);
    struct inc_value *in, *out = mixed_graph(graph, &in);
    struct inc_tensor got, feed = tensor(INC_F32, six, DIMS(2, 3));
    infer(graph);
    limited.max_memory = 64;
    expect_failure(eval(graph, in, &feed, out, &got), INCISE_ERROR_MEMORY, "limit of 64");
    limited.max_memory = 64 << 10;
    assert_int_equal(eval(graph, in, &feed, out, &got), INCISE_OK);
    inc_tensor_release(test_ctx(), &got);
    inc_graph_destroy(graph);
}

static void dead_results_are_freed(void **state)
{
    (void)state;
    enum { N = 1024, LAYERS = 10 };
    static const float data[N] = {1, 2, 3};
    struct inc_ctx limited = *test_ctx();
    struct inc_graph *graph = new_graph(&limited);
    struct inc_value *in = parameter(graph, INC_F32, DIMS(N)), *at = in;
    struct inc_tensor got, feed = tensor(INC_F32, data, DIMS(N));
    for (int i = 0; i < LAYERS; i++) at = add(graph, INC_OP_NEGATIVE, NULL, at, NULL, NULL, NULL);
    infer(graph);
    limited.max_memory = 2 * sizeof data; /* one layer's input and output; the feed is the caller's */
    if (eval(graph, in, &feed, at, &got) != INCISE_OK) fail_msg("%s", test_last_error());
    expect_floats(&got, data, N);
    inc_graph_destroy(graph);
}

struct worker {
    const struct inc_graph *graph;
    const struct inc_value *in, *out;
    int failures;
};

static void *evaluate_often(void *arg)
{
    struct worker *worker = arg;
    static const float six[] = {1, 2, 3, 4, 5, 6};
    float first = 0;
    for (int i = 0; i < 200; i++) {
        struct inc_feed feed = {worker->in, tensor(INC_F32, six, DIMS(2, 3))}, wanted = {.value = worker->out};
        if (inc_eval_run(worker->graph, &feed, 1, &wanted, 1) != INCISE_OK) {
            worker->failures++;
            continue;
        }
        if (i == 0) first = *(float *)wanted.tensor.data;
        worker->failures += *(float *)wanted.tensor.data != first;
        inc_tensor_release(test_ctx(), &wanted.tensor);
    }
    return NULL;
}

static void threads_share_a_graph(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    struct inc_graph *graph = new_graph(test_ctx());
    struct inc_value *in, *out = mixed_graph(graph, &in);
    infer(graph);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){graph, in, out, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate_often, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].failures, 0);
    }
    inc_graph_destroy(graph);
}

static int no_leak(void **state)
{
    (void)state;
    return test_live_allocations() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(ids_outside_the_table_are_named, no_leak),
        cmocka_unit_test_teardown(integer_division, no_leak),
        cmocka_unit_test_teardown(conversions_saturate, no_leak),
        cmocka_unit_test_teardown(fake_quantize_rounds_half_to_even, no_leak),
        cmocka_unit_test_teardown(half_values_are_held_in_float, no_leak),
        cmocka_unit_test_teardown(masked_rows_give_zero, no_leak),
        cmocka_unit_test_teardown(empty_tensors, no_leak),
        cmocka_unit_test_teardown(feeds_are_checked, no_leak),
        cmocka_unit_test_teardown(inner_values_can_be_fed, no_leak),
        cmocka_unit_test_teardown(fused_ops_are_refused, no_leak),
        cmocka_unit_test_teardown(rows_of_a_table_are_the_tables, no_leak),
        cmocka_unit_test_teardown(every_failed_allocation_is_survived, no_leak),
        cmocka_unit_test_teardown(the_memory_limit_holds, no_leak),
        cmocka_unit_test_teardown(dead_results_are_freed, no_leak),
        cmocka_unit_test_teardown(threads_share_a_graph, no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
