/* SPDX-License-Identifier: Apache-2.0 */
#include "support/runner.h"

#include <string.h>

#include "formats/openvino/ir.h"

void test_runner_open(struct test_runner *runner, struct inc_graph *graph, enum incise_isa isa, int threads,
                      enum inc_integer_mode mode)
{
    const struct inc_program_options options = {.mode = mode};
    *runner = (struct test_runner){0};
    test_clear_error();
    if (inc_pool_create(test_ctx(), threads, false, &runner->pool) != INCISE_OK ||
        inc_cpu_device_create(test_ctx(), runner->pool, isa, &runner->device) != INCISE_OK ||
        inc_program_create(graph, runner->device, &options, &runner->program) != INCISE_OK ||
        inc_run_create(runner->program, &runner->run) != INCISE_OK)
        fail_msg("%s", test_last_error());
}

void test_runner_close(struct test_runner *runner)
{
    inc_run_destroy(runner->run);
    inc_program_destroy(runner->program);
    if (runner->device != NULL) runner->device->ops->destroy(runner->device);
    inc_pool_destroy(runner->pool);
    *runner = (struct test_runner){0};
}

struct inc_graph *test_fixture_graph(const char *folder)
{
    struct inc_graph *graph = NULL;
    test_clear_error();
    if (inc_ir_read(test_ctx(), test_fixture_path(folder, NULL), &graph) != INCISE_OK)
        fail_msg("%s", test_last_error());
    return graph;
}

void test_inputs_load(const struct inc_graph *graph, const char *folder, const char *shape, struct test_inputs *inputs)
{
    assert_in_range(graph->n_parameters, 1, TEST_MAX_INPUTS);
    inputs->n = graph->n_parameters;
    for (size_t i = 0; i < inputs->n; i++)
        test_fixture_input(folder, shape, graph->parameters[i]->outputs[0].names[0], &inputs->tensors[i]);
}

void test_inputs_make(const struct inc_graph *graph, int64_t batch, int64_t length, struct test_inputs *inputs)
{
    const int64_t dims[] = {batch, length};
    assert_in_range(graph->n_parameters, 1, TEST_MAX_INPUTS);
    inputs->n = graph->n_parameters;
    for (size_t i = 0; i < inputs->n; i++) {
        assert_int_equal(inc_tensor_create(test_ctx(), INC_I64, 2, dims, &inputs->tensors[i]), INCISE_OK);
        memset(inputs->tensors[i].data, 0, inputs->tensors[i].bytes);
    }
}

void test_inputs_free(struct test_inputs *inputs)
{
    for (size_t i = 0; i < inputs->n; i++) inc_tensor_release(test_ctx(), &inputs->tensors[i]);
    *inputs = (struct test_inputs){0};
}

struct inc_tensor *test_inputs_get(const struct inc_graph *graph, struct test_inputs *inputs, const char *name)
{
    for (size_t i = 0; i < inputs->n; i++) {
        const struct inc_value *value = &graph->parameters[i]->outputs[0];
        if (strcmp(value->n_names > 0 ? value->names[0] : value->node->name, name) == 0) return &inputs->tensors[i];
    }
    fail_msg("no input '%s'", name);
    return NULL;
}

int64_t *test_inputs_at(const struct inc_graph *graph, struct test_inputs *inputs, const char *name, int64_t s,
                        int64_t j)
{
    struct inc_tensor *tensor = test_inputs_get(graph, inputs, name);
    assert_int_equal(tensor->type, INC_I64);
    return (int64_t *)tensor->data + s * tensor->dims[1] + j;
}

const struct inc_tensor *test_run(struct test_runner *runner, const struct test_inputs *inputs)
{
    test_clear_error();
    if (inc_run_execute(runner->run, inputs->tensors, inputs->n) != INCISE_OK) fail_msg("%s", test_last_error());
    return &runner->run->outputs[0];
}

void test_reference(const struct inc_graph *graph, const struct test_inputs *inputs, struct inc_tensor *output)
{
    struct inc_feed feeds[TEST_MAX_INPUTS];
    struct inc_feed wanted = {.value = graph->results[0]->inputs[0]};
    for (size_t i = 0; i < inputs->n; i++)
        feeds[i] = (struct inc_feed){&graph->parameters[i]->outputs[0], inputs->tensors[i]};
    test_clear_error();
    if (inc_eval_run(graph, feeds, inputs->n, &wanted, 1) != INCISE_OK) fail_msg("%s", test_last_error());
    *output = wanted.tensor;
}

void test_same_bits(const struct inc_tensor *a, const struct inc_tensor *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->rank, b->rank);
    for (int i = 0; i < a->rank; i++) assert_int_equal(a->dims[i], b->dims[i]);
    assert_memory_equal(a->data, b->data, a->bytes);
}

void test_keep(const struct inc_tensor *tensor, struct inc_tensor *copy)
{
    inc_tensor_release(test_ctx(), copy);
    assert_int_equal(inc_tensor_create(test_ctx(), tensor->type, tensor->rank, tensor->dims, copy), INCISE_OK);
    memcpy(copy->data, tensor->data, tensor->bytes);
}
