/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny models, evaluated op by op, give what OpenVINO computed from the same files. */
#include "support/fixture.h"

#include <stdio.h>
#include <string.h>

#include "formats/openvino/ir.h"
#include "graph/eval_ref/eval.h"

/* Rounding of a few hundred float additions per value, two layers, norms that keep values near 1. */
#define LIMIT 1e-5

/* Evaluates the model's first output for the recorded inputs of `shape`. Padded rows do not count: with a sliding
 * window some see only masked keys, whose scores of -65504 + s keep no digits of s. */
static double difference_to_openvino(const struct inc_graph *graph, const char *model, const char *shape)
{
    struct inc_feed feeds[TEST_MAX_INPUTS];
    assert_in_range(graph->n_parameters, 1, TEST_MAX_INPUTS);
    for (size_t i = 0; i < graph->n_parameters; i++) {
        feeds[i].value = &graph->parameters[i]->outputs[0];
        test_fixture_input(model, shape, feeds[i].value->names[0], &feeds[i].tensor);
    }
    struct inc_feed wanted = {.value = graph->results[0]->inputs[0]};
    test_clear_error();
    if (inc_eval_run(graph, feeds, graph->n_parameters, &wanted, 1) != INCISE_OK) fail_msg("%s", test_last_error());
    struct inc_tensor expected;
    test_fixture_output(model, shape, &expected);
    struct inc_tensor mask;
    test_fixture_input(model, shape, "attention_mask", &mask);
    double difference = test_difference(&wanted.tensor, &expected, &mask);
    inc_tensor_release(test_ctx(), &mask);
    inc_tensor_release(test_ctx(), &expected);
    inc_tensor_release(test_ctx(), &wanted.tensor);
    for (size_t i = 0; i < graph->n_parameters; i++) inc_tensor_release(test_ctx(), &feeds[i].tensor);
    return difference;
}

static void reference_agrees_with_openvino(void **state)
{
    (void)state;
    for (const struct test_fixture *fixture = test_fixtures; fixture->model; fixture++) {
        struct inc_graph *graph = NULL;
        test_clear_error();
        if (inc_ir_read(test_ctx(), test_fixture_path(fixture->model, NULL), &graph) != INCISE_OK)
            fail_msg("%s", test_last_error());
        for (const char *const *shape = test_fixture_shapes; *shape; shape++) {
            double difference = difference_to_openvino(graph, fixture->model, *shape);
            printf("%-18s %-5s %.1e\n", fixture->model, *shape, difference);
            if (!(difference <= LIMIT)) fail_msg("%s %s: %g", fixture->model, *shape, difference);
        }
        inc_graph_destroy(graph);
    }
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reference_agrees_with_openvino)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
