/* SPDX-License-Identifier: Apache-2.0 */
/* What a session keeps of the index part: values of the shape stay, values of the contents do not, and no run's output
 * depends on the runs before it. */
#include <string.h>

#include "support/encoder.h"
#include "support/runner.h"

enum { SHORT = 7, LONG = 12 };

/* Nearer keys count more: depends on the length only. */
static struct inc_value *distance_bias(struct encoder *encoder)
{
    struct inc_value *near = encoder_mask(encoder, &(struct encoder_mask){.window = 3});
    return encoder_op(encoder, INC_OP_SELECT, near, encoder_float(encoder, 0), encoder_float(encoder, -1.5));
}

/* Tokens see those of their own type. */
static struct inc_value *type_mask(struct encoder *encoder)
{
    struct inc_value *rows = encoder_unsqueeze(encoder, encoder->types, 2, (int64_t[]){1, 3});
    struct inc_value *columns = encoder_unsqueeze(encoder, encoder->types, 2, (int64_t[]){1, 2});
    return encoder_op(encoder, INC_OP_EQUAL, rows, columns, NULL);
}

static struct inc_graph *make_graph(void)
{
    struct encoder encoder;
    encoder_start(&encoder);
    struct inc_value *x = encoder_attention(&encoder, encoder.x, distance_bias(&encoder));
    encoder_finish(&encoder, encoder_attention(&encoder, x, type_mask(&encoder)));
    return encoder.graph;
}

static void make_inputs(const struct inc_graph *graph, int64_t length, int64_t seed, struct test_inputs *inputs)
{
    test_inputs_make(graph, 2, length, inputs);
    for (int64_t s = 0; s < 2; s++)
        for (int64_t j = 0; j < length; j++) {
            *test_inputs_at(graph, inputs, "input_ids", s, j) = (seed * 3 + s * 17 + j * 5) % ENCODER_VOCABULARY;
            *test_inputs_at(graph, inputs, "token_type_ids", s, j) = (seed + s + j) % 3 == 0;
            *test_inputs_at(graph, inputs, "attention_mask", s, j) = 1;
        }
}

/* The first output of a session that has run nothing before. */
static void run_alone(struct inc_graph *graph, const struct test_inputs *inputs, struct inc_tensor *output)
{
    struct test_runner runner;
    test_runner_open(&runner, graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    test_keep(test_run(&runner, inputs), output);
    test_runner_close(&runner);
}

/* One run after others; notes where the values of the index part lie. */
static void check_run(struct test_runner *runner, struct inc_graph *graph, int64_t length, int64_t seed,
                      bool same_shape, const void **places)
{
    struct test_inputs inputs;
    struct inc_tensor alone = {0};
    size_t kept = 0;
    make_inputs(graph, length, seed, &inputs);
    run_alone(graph, &inputs, &alone);
    test_same_bits(test_run(runner, &inputs), &alone);
    for (size_t i = 0; i < runner->run->n_wanted; i++) {
        const struct inc_index_value *value = &runner->run->wanted[i];
        if (value->by_shape && same_shape) assert_ptr_equal(value->tensor.data, places[i]);
        kept += value->by_shape;
        places[i] = value->tensor.data;
    }
    assert_true(kept > 0 && kept < runner->run->n_wanted);
    inc_tensor_release(test_ctx(), &alone);
    test_inputs_free(&inputs);
}

static void shapes_are_kept(void **state)
{
    (void)state;
    static const int64_t lengths[] = {SHORT, SHORT, LONG, LONG, SHORT};
    const void *places[8] = {NULL};
    struct inc_graph *graph = make_graph();
    struct test_runner runner;
    test_runner_open(&runner, graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    assert_true(runner.program->fused && runner.run->n_wanted <= 8);
    for (size_t r = 0; r < sizeof lengths / sizeof lengths[0]; r++)
        check_run(&runner, graph, lengths[r], (int64_t)r, r > 0 && lengths[r] == lengths[r - 1], places);
    test_runner_close(&runner);
    inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* Inputs that are refused leave a session that runs. */
static void failures_leave_a_session(void **state)
{
    (void)state;
    struct inc_graph *graph = make_graph();
    struct test_runner runner;
    struct test_inputs good, bad;
    struct inc_tensor first = {0};
    test_runner_open(&runner, graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
    make_inputs(graph, SHORT, 1, &good);
    make_inputs(graph, LONG, 1, &bad);
    test_keep(test_run(&runner, &good), &first);
    *test_inputs_at(graph, &bad, "input_ids", 1, 3) = ENCODER_VOCABULARY;
    assert_int_equal(inc_run_execute(runner.run, bad.tensors, bad.n), INCISE_ERROR_DATA);
    test_same_bits(test_run(&runner, &good), &first);
    inc_tensor_release(test_ctx(), &first);
    test_inputs_free(&good);
    test_inputs_free(&bad);
    test_runner_close(&runner);
    inc_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_kept),
        cmocka_unit_test(failures_leave_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
