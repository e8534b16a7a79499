/* SPDX-License-Identifier: Apache-2.0 */
/* Every op of the table against OpenVINO's outputs (tests/data/ops). */
#include <float.h>
#include <math.h>
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
    };
    return cmocka_run_group_tests(tests, load, unload);
}
