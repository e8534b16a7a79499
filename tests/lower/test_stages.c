/* SPDX-License-Identifier: Apache-2.0 */
/* Stages: a batch large enough for slabs of rows to run through a whole stage gives the bits of small batches. */
#include <string.h>

#include "base/clock.h"
#include "support/runner.h"

enum { COPIES = 64, MANY = 3 * 4 * 132 }; /* rows from which three workers run slabs through whole stages */

/* `copies` times the recorded batch of 4 x 16, its masks as they are: lengths and padding differ. */
static void make_batch(const struct inc_graph *graph, const char *model, int64_t copies, struct test_inputs *batch)
{
    struct test_inputs recorded;
    test_inputs_load(graph, model, "4x16", &recorded);
    test_inputs_make(graph, 4 * copies, 16, batch);
    for (size_t i = 0; i < batch->n; i++)
        for (int64_t c = 0; c < copies; c++)
            memcpy((unsigned char *)batch->tensors[i].data + (size_t)c * recorded.tensors[i].bytes,
                   recorded.tensors[i].data, recorded.tensors[i].bytes);
    test_inputs_free(&recorded);
}

static void count_tokens(void *user, enum inc_tap_point point, uint32_t index, const float *rows, size_t n,
                         size_t width, size_t stride)
{
    (void)point, (void)index, (void)rows, (void)width, (void)stride;
    *(size_t *)user = n;
}

/* Each copy has the bits of the recorded batch alone; so has a run with taps, which goes step by step. */
static void check_model(const char *model, enum inc_integer_mode mode, int threads)
{
    struct inc_graph *graph = test_fixture_graph(model);
    struct test_runner runner;
    struct test_inputs batch, one;
    struct inc_tensor alone = {0};
    test_runner_open(&runner, graph, incise_isa_detect(), threads, mode);
    make_batch(graph, model, 1, &one);
    make_batch(graph, model, COPIES, &batch);
    test_keep(test_run(&runner, &one), &alone);
    for (int tapped = 0; tapped < 2; tapped++) {
        size_t tokens = MANY;
        runner.run->tap = tapped ? count_tokens : NULL;
        runner.run->tap_user = &tokens;
        const struct inc_tensor *together = test_run(&runner, &batch);
        assert_true(tokens >= MANY);
        for (size_t c = 0; c < COPIES; c++)
            assert_memory_equal((const unsigned char *)together->data + c * alone.bytes, alone.data, alone.bytes);
    }
    inc_tensor_release(test_ctx(), &alone);
    test_inputs_free(&one);
    test_inputs_free(&batch);
    test_runner_close(&runner);
    inc_graph_destroy(graph);
}

static void stages_do_not_matter(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        check_model("bert", INC_INTEGER_NONE, threads);
        check_model("bert-int8-asym", INC_INTEGER_ALL, threads);
        check_model("gemma", INC_INTEGER_NONE, threads);
        check_model("gemma-int8-sym", INC_INTEGER_ALL, threads);
        check_model("bert-int8-asym", INC_INTEGER_AND_ATTENTION, threads);
        check_model("gemma-int8-sym", INC_INTEGER_AND_ATTENTION, threads);
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* Every step took some time, and together they took no longer than the run. */
static void check_times(int64_t copies)
{
    struct inc_graph *graph = test_fixture_graph("bert");
    struct test_runner runner;
    struct test_inputs batch;
    test_runner_open(&runner, graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    make_batch(graph, "bert", copies, &batch);
    runner.run->timed = true;
    double start = inc_seconds(), sum = 0;
    test_run(&runner, &batch);
    double wall = inc_seconds() - start;
    for (size_t i = 0; i < runner.program->plan.n_steps; i++) {
        assert_true(runner.run->seconds[i] > 0);
        sum += runner.run->seconds[i];
    }
    assert_true(sum <= wall);
    test_inputs_free(&batch);
    test_runner_close(&runner);
    inc_graph_destroy(graph);
}

static void times_are_shares_of_the_run(void **state)
{
    (void)state;
    check_times(1);
    check_times(COPIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_do_not_matter),
        cmocka_unit_test(times_are_shares_of_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
