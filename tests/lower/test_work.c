/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/work.h"

#include <stdlib.h>

#include "support/runner.h"

static void test_visible_pairs(void **state)
{
    (void)state;
    for (size_t n = 0; n < 20; n++)
        for (uint32_t window = 0; window < 25; window++)
            for (int causal = 0; causal < 2; causal++) {
                int pairs = 0;
                for (int i = 0; i < (int)n; i++)
                    for (int j = 0; j < (int)n; j++)
                        pairs += (window == 0 || abs(i - j) < (int)window) && (!causal || j <= i);
                assert_true(inc_visible_pairs(n, causal, window) == pairs);
            }
}

/* Padding is no work; a Linear makes out * in multiplications per real token. */
static void test_operations(void **state)
{
    (void)state;
    struct inc_graph *graph = test_fixture_graph("bert");
    struct test_runner runner;
    struct test_inputs inputs;
    test_runner_open(&runner, graph, INCISE_ISA_SCALAR, 1, INC_INTEGER_AS_WRITTEN);
    test_inputs_make(graph, 2, 5, &inputs);
    for (int64_t j = 0; j < 5; j++) *test_inputs_at(graph, &inputs, "attention_mask", 0, j) = 1;
    for (int64_t j = 0; j < 3; j++) *test_inputs_at(graph, &inputs, "attention_mask", 1, j) = 1;
    test_run(&runner, &inputs);
    const struct inc_plan *plan = &runner.program->plan;
    size_t linears = 0, attentions = 0, others = 0;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct inc_step *step = &plan->steps[i];
        struct incise_work work;
        inc_step_work(runner.program, i, &runner.run->batch, &work);
        assert_true(work.bytes > 0);
        if (step->op == INC_OP_LINEAR) {
            const struct inc_weight *weight = &plan->slots[step->u.linear.slot].weight;
            assert_int_equal(work.limit, INCISE_LIMIT_F32);
            assert_true(work.operations == 2.0 * 8 * (double)weight->out * (double)weight->in);
            assert_true(work.done == work.operations);
            linears++;
        } else if (step->op == INC_OP_ATTENTION) {
            assert_true(work.operations == 4.0 * (25 + 9) * step->u.attention.heads * step->u.attention.head_dim);
            attentions++;
        } else {
            assert_int_equal(work.limit, INCISE_LIMIT_READ);
            assert_true(work.operations == 0);
            others++;
        }
    }
    assert_true(linears > 0 && attentions > 0 && others > 0);
    test_inputs_free(&inputs);
    test_runner_close(&runner);
    inc_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_visible_pairs),
        cmocka_unit_test(test_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
