/* SPDX-License-Identifier: Apache-2.0 */
/* Every op of the table against OpenVINO's outputs (tests/data/ops). */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/eval_ref/eval.h"
#include "support/op_cases.h"
#include "support/support.h"

/* How far a float result may lie from OpenVINO's, which rounds every step to float and has vector approximations of
 * the transcendental functions: `ulps` * FLT_EPSILON times
 *   RELATIVE  the value
 *   UNIT      the value, or 1 if that is larger (functions bounded around 1, whose argument was rounded)
 *   SUM       the same op over absolute values (linear ops: the bound of a float sum), times its length, which is at
 *             most the largest dim of an input
 *   LARGEST   the largest magnitude among the first input (SDPA: the third) and 1 */
enum bound { EXACT, RELATIVE, UNIT, SUM, LARGEST };

static const struct {
    enum inc_op op;
    enum bound bound;
    double ulps;
} bounds[] = {
    {INC_OP_ADD, RELATIVE, 1}, {INC_OP_SUBTRACT, RELATIVE, 1}, {INC_OP_MULTIPLY, RELATIVE, 1},
    {INC_OP_DIVIDE, RELATIVE, 1}, {INC_OP_POWER, RELATIVE, 4}, {INC_OP_SQRT, RELATIVE, 1}, {INC_OP_EXP, RELATIVE, 4},
    {INC_OP_LOG, UNIT, 4}, {INC_OP_ERF, UNIT, 4}, {INC_OP_SIN, UNIT, 4}, {INC_OP_COS, UNIT, 4}, {INC_OP_TANH, UNIT, 4},
    {INC_OP_SIGMOID, UNIT, 4}, {INC_OP_GELU, UNIT, 8}, {INC_OP_GELU2, UNIT, 8}, {INC_OP_SWISH, UNIT, 4},
    {INC_OP_FAKE_QUANTIZE, LARGEST, 4}, {INC_OP_MATMUL, SUM, 1}, {INC_OP_SDPA, LARGEST, 4}, {INC_OP_MVN, LARGEST, 4},
    {INC_OP_SOFTMAX, UNIT, 4}, {INC_OP_SOFTMAX1, UNIT, 4}, {INC_OP_NORMALIZE_L2, UNIT, 4}, {INC_OP_REDUCE_MEAN, SUM, 1},
    {INC_OP_REDUCE_SUM, SUM, 1}, {INC_OP_REDUCE_PROD, RELATIVE, 24}, {INC_OP_REDUCE_L2, SUM, 1},
    {INC_OP_CUM_SUM, SUM, 1}, {INC_OP_RANGE, RELATIVE, 4},
};

static struct op_cases cases;

static int load(void **state)
{
    (void)state;
    op_cases_load(&cases);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    op_cases_free(&cases);
    return 0;
}

/* Evaluates the case (over absolute values of float inputs, if asked). The outputs are the caller's. */
static void evaluate(const struct op_case *op_case, bool dynamic, bool absolute,
                     struct inc_tensor outputs[OP_CASE_OUTPUTS])
{
    const struct inc_ctx *ctx = test_ctx();
    struct inc_graph *graph;
    struct inc_value *inputs[OP_CASE_INPUTS];
    struct inc_feed feeds[OP_CASE_INPUTS], wanted[OP_CASE_OUTPUTS];
    struct inc_tensor positive[OP_CASE_INPUTS] = {0};
    size_t n_feeds = 0;
    assert_int_equal(inc_graph_create(ctx, &graph), INCISE_OK);
    struct inc_node *node = op_case_build(graph, op_case, dynamic, inputs);
    if (inc_graph_infer(graph) != INCISE_OK) fail_msg("%s: %s", op_case->name, test_last_error());
    for (uint32_t i = 0; i < op_case->n_inputs; i++) {
        const struct inc_tensor *in = &op_case->inputs[i];
        if (op_case->constant[i]) continue;
        feeds[n_feeds] = (struct inc_feed){inputs[i], *in};
        if (absolute && in->type == INC_F32) {
            assert_int_equal(inc_tensor_create(ctx, INC_F32, in->rank, in->dims, &positive[i]), INCISE_OK);
            for (size_t k = 0; k < inc_tensor_elements(in); k++)
                ((float *)positive[i].data)[k] = fabsf(((const float *)in->data)[k]);
            feeds[n_feeds].tensor = positive[i];
        }
        n_feeds++;
    }
    for (uint32_t i = 0; i < op_case->n_outputs; i++) wanted[i] = (struct inc_feed){.value = &node->outputs[i]};
    if (inc_eval_run(graph, feeds, n_feeds, wanted, op_case->n_outputs) != INCISE_OK)
        fail_msg("%s: %s", op_case->name, test_last_error());
    for (uint32_t i = 0; i < op_case->n_outputs; i++) outputs[i] = wanted[i].tensor;
    for (uint32_t i = 0; i < op_case->n_inputs; i++) inc_tensor_release(ctx, &positive[i]);
    inc_graph_destroy(graph);
}

static double largest(const struct inc_tensor *tensor)
{
    double max = 1;
    for (size_t i = 0; i < inc_tensor_elements(tensor); i++) max = fmax(max, fabs(inc_tensor_get_f64(tensor, i)));
    return max;
}

/* The bound of element `i`. `sums`: the op over absolute values, where the bound needs it. */
static double allowed(const struct op_case *op_case, double expected, const struct inc_tensor *sums, size_t i)
{
    int64_t length = 1;
    for (uint32_t k = 0; k < op_case->n_inputs; k++)
        for (int d = 0; d < op_case->inputs[k].rank; d++)
            length = op_case->inputs[k].dims[d] > length ? op_case->inputs[k].dims[d] : length;
    for (size_t k = 0; k < sizeof bounds / sizeof bounds[0]; k++) {
        if (bounds[k].op != op_case->op) continue;
        double unit = bounds[k].ulps * (double)FLT_EPSILON;
        switch (bounds[k].bound) {
        case RELATIVE: return unit * fabs(expected);
        case UNIT: return unit * fmax(1, fabs(expected));
        case SUM: return unit * (double)length * inc_tensor_get_f64(sums, i);
        case LARGEST: return unit * largest(&op_case->inputs[op_case->op == INC_OP_SDPA ? 2 : 0]);
        default: return 0;
        }
    }
    return 0;
}

static void compare(const struct op_case *op_case, const struct inc_tensor *expected, const struct inc_tensor *got,
                    const struct inc_tensor *sums)
{
    bool floats = inc_type_is_float(expected->type);
    if (got->rank != expected->rank || got->type != (floats ? INC_F32 : expected->type))
        fail_msg("%s: type or rank", op_case->name);
    for (int d = 0; d < got->rank; d++)
        if (got->dims[d] != expected->dims[d])
            fail_msg("%s: dim %d is %lld", op_case->name, d, (long long)got->dims[d]);
    for (size_t i = 0; i < inc_tensor_elements(expected); i++) {
        double e = inc_tensor_get_f64(expected, i), g = inc_tensor_get_f64(got, i);
        bool same = floats ? e == g || (isnan(e) && isnan(g)) || fabs(e - g) <= allowed(op_case, e, sums, i)
                           : inc_tensor_get_i64(expected, i) == inc_tensor_get_i64(got, i);
        if (!same) fail_msg("%s: element %zu is %.9g, OpenVINO has %.9g", op_case->name, i, g, e);
    }
}

static void run_cases(bool dynamic)
{
    size_t before = test_live_allocations();
    for (size_t c = 0; c < cases.n; c++) {
        const struct op_case *op_case = &cases.cases[c];
        struct inc_tensor got[OP_CASE_OUTPUTS], sums[OP_CASE_OUTPUTS];
        evaluate(op_case, dynamic, false, got);
        evaluate(op_case, dynamic, true, sums);
        for (uint32_t i = 0; i < op_case->n_outputs; i++) {
            compare(op_case, &op_case->outputs[i], &got[i], &sums[i]);
            inc_tensor_release(test_ctx(), &got[i]);
            inc_tensor_release(test_ctx(), &sums[i]);
        }
    }
    assert_int_equal(test_live_allocations(), before);
}

static void ops_agree_with_openvino(void **state)
{
    (void)state;
    run_cases(false);
}

static void ops_agree_on_dynamic_shapes(void **state)
{
    (void)state;
    run_cases(true);
}

/* ---- damaged cases ----------------------------------------------------------------------------------------------- */

enum { MUTATIONS = 40, SPARE = 1 << 14 };

/* `n` bytes' worth of elements: small numbers, now and then an extreme one. */
static void fill(uint64_t *random, struct inc_tensor *tensor)
{
    static const int64_t extremes[] = {INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, 100, -100, 1 << 20, 255};
    size_t n = inc_tensor_elements(tensor);
    for (size_t i = 0; i < n; i++) {
        int64_t v = (int64_t)test_random_below(random, 8) - 3;
        if (test_random_below(random, 12) == 0) v = extremes[test_random_below(random, 8)];
        switch (inc_type_bits(tensor->type)) {
        case 64: ((int64_t *)tensor->data)[i] = v; break;
        case 32:
            if (tensor->type == INC_F32) ((float *)tensor->data)[i] = (float)v;
            else ((int32_t *)tensor->data)[i] = (int32_t)v;
            break;
        case 16: ((uint16_t *)tensor->data)[i] = (uint16_t)v; break;
        case 8: ((uint8_t *)tensor->data)[i] = (uint8_t)(tensor->type == INC_BOOL ? v & 1 : v); break;
        default: ((uint8_t *)tensor->data)[i / 2] = (uint8_t)v; break;
        }
    }
}

/* Gives one input another type, rank, dim or content; the data lies in `spare`. */
static void mutate_input(uint64_t *random, struct op_case *op_case, uint32_t k, char *spare)
{
    static const enum inc_type types[] = {INC_F32, INC_F16, INC_I64, INC_I32, INC_U8, INC_BOOL, INC_U4, INC_I8};
    static const int64_t sizes[] = {0, 1, 1, 2, 3, 4, 5, 7};
    struct inc_tensor *in = &op_case->inputs[k];
    size_t count, what = test_random_below(random, 6);
    if (what == 0) in->type = types[test_random_below(random, 8)];
    if (what == 1) in->rank = (int)test_random_below(random, 5);
    if (what == 2) op_case->constant[k] = !op_case->constant[k];
    for (int d = 0; d < in->rank; d++)
        if (in->dims[d] > 40 || (what <= 1 && in->dims[d] == 0) || (what == 3 && test_random_below(random, 2)))
            in->dims[d] = sizes[test_random_below(random, 8)];
    if (!inc_tensor_count(in->rank, in->dims, in->type, &count, &in->bytes) || in->bytes > SPARE / OP_CASE_INPUTS) {
        in->rank = 0;
        assert_true(inc_tensor_count(0, in->dims, in->type, &count, &in->bytes));
    }
    in->data = spare + k * (SPARE / OP_CASE_INPUTS / 8 * 8);
    fill(random, in);
}

static void mutate_attr(uint64_t *random, struct op_case *op_case)
{
    static const char *const numbers[] = {"0", "1", "-1", "2", "3", "7", "-3", "1000000007"};
    if (op_case->n_attrs == 0) return;
    char *value = op_case->attrs[test_random_below(random, op_case->n_attrs)].value;
    if (strchr("-0123456789", value[0])) strcpy(value, numbers[test_random_below(random, 8)]);
}

/* Evaluates whatever infers; what comes out does not matter, only that it is a result or a reported error. */
static void evaluate_damaged(const struct inc_ctx *ctx, const struct op_case *op_case, bool dynamic)
{
    struct inc_graph *graph;
    struct inc_value *inputs[OP_CASE_INPUTS];
    struct inc_feed feeds[OP_CASE_INPUTS], wanted[OP_CASE_OUTPUTS];
    size_t n_feeds = 0;
    assert_int_equal(inc_graph_create(ctx, &graph), INCISE_OK);
    struct inc_node *node = op_case_build(graph, op_case, dynamic, inputs);
    (void)!inc_graph_infer(graph);
    for (uint32_t i = 0; i < op_case->n_inputs; i++)
        if (!op_case->constant[i]) feeds[n_feeds++] = (struct inc_feed){inputs[i], op_case->inputs[i]};
    for (uint32_t i = 0; i < op_case->n_outputs; i++) wanted[i] = (struct inc_feed){.value = &node->outputs[i]};
    test_clear_error();
    enum incise_status status = inc_eval_run(graph, feeds, n_feeds, wanted, op_case->n_outputs);
    if (status != INCISE_OK) assert_true(strlen(test_last_error()) > 0);
    for (uint32_t i = 0; i < op_case->n_outputs; i++) inc_tensor_release(ctx, &wanted[i].tensor);
    inc_graph_destroy(graph);
}

static void damaged_cases_are_survived(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    size_t before = test_live_allocations();
    struct inc_ctx limited = *test_ctx();
    limited.max_memory = 1 << 20;
    uint64_t *spare = calloc(SPARE / 8, 8);
    assert_non_null(spare);
    for (size_t c = 0; c < cases.n; c++) {
        for (int m = 0; m < MUTATIONS; m++) {
            struct op_case damaged = cases.cases[c];
            for (size_t changes = 1 + test_random_below(&random, 3); changes > 0; changes--) {
                uint32_t k = (uint32_t)test_random_below(&random, damaged.n_inputs);
                mutate_input(&random, &damaged, k, (char *)spare);
                if (test_random_below(&random, 3) == 0) mutate_attr(&random, &damaged);
            }
            evaluate_damaged(&limited, &damaged, test_random_below(&random, 2));
        }
    }
    free(spare);
    assert_int_equal(test_live_allocations(), before);
}

static void every_op_has_a_case(void **state)
{
    (void)state;
    for (int op = 0; op < INC_OP_COUNT; op++) {
        bool seen = inc_ops[op].opset == NULL || op == INC_OP_PARAMETER || op == INC_OP_CONSTANT || op == INC_OP_RESULT;
        for (size_t c = 0; !seen && c < cases.n; c++) seen = cases.cases[c].op == (enum inc_op)op;
        if (!seen) fail_msg("no case for %s %s", inc_ops[op].name, inc_ops[op].opset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_has_a_case),
        cmocka_unit_test(ops_agree_with_openvino),
        cmocka_unit_test(ops_agree_on_dynamic_shapes),
        cmocka_unit_test(damaged_cases_are_survived),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
