/* SPDX-License-Identifier: Apache-2.0 */
/* The reference evaluator on whole models: tests/data/tiny against what OpenVINO recorded there. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/npy/npy.h"
#include "formats/openvino/ir.h"
#include "graph/eval_ref/eval.h"
#include "support/support.h"

enum { MAX_INPUTS = 4 };

static void read_npy(const char *folder, const char *file, struct inc_tensor *tensor)
{
    char path[256];
    snprintf(path, sizeof path, "data/tiny/%s/%s", folder, file);
    if (inc_npy_read(test_ctx(), path, (size_t)1 << 20, tensor) != INCISE_OK) fail_msg("%s", test_last_error());
}

/* Largest difference over the real tokens, relative to the largest output. */
static double largest_error(const struct inc_tensor *got, const struct inc_tensor *expected,
                            const struct inc_tensor *mask)
{
    double error = 0, scale = 0;
    assert_int_equal(got->rank, 3);
    for (int d = 0; d < 3; d++) assert_int_equal(got->dims[d], expected->dims[d]);
    size_t width = (size_t)got->dims[2], rows = inc_tensor_elements(mask);
    assert_int_equal(rows * width, inc_tensor_elements(got));
    for (size_t i = 0; i < rows * width; i++) {
        if (inc_tensor_get_i64(mask, i / width) == 0) continue;
        double e = inc_tensor_get_f64(expected, i), g = inc_tensor_get_f64(got, i);
        assert_true(isfinite(g));
        error = fmax(error, fabs(e - g));
        scale = fmax(scale, fabs(e));
    }
    return error / scale;
}

static double run_model(const char *folder, const char *shape)
{
    char path[256];
    struct inc_graph *graph;
    struct inc_feed feeds[MAX_INPUTS];
    struct inc_tensor expected, *mask = NULL;
    snprintf(path, sizeof path, "data/tiny/%s/openvino_model.xml", folder);
    if (inc_ir_read(test_ctx(), path, &graph) != INCISE_OK) fail_msg("%s", test_last_error());
    if (inc_graph_infer(graph) != INCISE_OK) fail_msg("%s", test_last_error());
    assert_true(graph->n_parameters <= MAX_INPUTS && graph->n_results == 1);
    for (size_t i = 0; i < graph->n_parameters; i++) {
        feeds[i].value = &graph->parameters[i]->outputs[0];
        assert_true(feeds[i].value->n_names > 0);
        const char *name = feeds[i].value->names[0];
        snprintf(path, sizeof path, "input_%s_%s.npy", shape, name);
        read_npy(folder, path, &feeds[i].tensor);
        if (strcmp(name, "attention_mask") == 0) mask = &feeds[i].tensor;
    }
    assert_non_null(mask);
    snprintf(path, sizeof path, "output_%s.npy", shape);
    read_npy(folder, path, &expected);
    struct inc_feed wanted = {.value = graph->results[0]->inputs[0]};
    if (inc_eval_run(graph, feeds, graph->n_parameters, &wanted, 1) != INCISE_OK) fail_msg("%s", test_last_error());
    double error = largest_error(&wanted.tensor, &expected, mask);
    for (size_t i = 0; i < graph->n_parameters; i++) inc_tensor_release(test_ctx(), &feeds[i].tensor);
    inc_tensor_release(test_ctx(), &wanted.tensor);
    inc_tensor_release(test_ctx(), &expected);
    inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
    return error;
}

/* Float sums of at most 96 terms over a few dozen layers in a row. With FakeQuantize a difference of one rounding may
 * move a value by a whole step of 1/255 of its range. */
static const struct {
    const char *folder;
    double bound;
} models[] = {
    {"bert", 5e-6},          {"bert-f16", 5e-6}, {"bert-int8-asym", 5e-6}, {"bert-int4-asym", 5e-6},
    {"bert-int4-sym", 5e-6}, {"gemma", 5e-6},    {"gemma-int8-sym", 5e-6}, {"bert-static-int8", 1e-2},
};

static void tiny_models_agree_with_openvino(void **state)
{
    (void)state;
    static const char *const shapes[] = {"1x7", "4x16"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        for (size_t s = 0; s < 2; s++) {
            double error = run_model(models[m].folder, shapes[s]);
            print_message("%s %s: %.2g\n", models[m].folder, shapes[s], error);
            if (!(error <= models[m].bound)) fail_msg("%s %s differs by %g", models[m].folder, shapes[s], error);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_models_agree_with_openvino),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
