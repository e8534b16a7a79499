/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, lowering, packing and running a tiny model while the n-th allocation, or all from the n-th on, fail. */
#include <stdio.h>
#include <string.h>

#include "formats/openvino/ir.h"
#include "support/runner.h"

/* The smallest model at every allocation; for what else the larger ones do, at some of theirs. */
static const struct {
    const char *folder;
    enum inc_integer_mode mode;
    size_t stride;
} models[] = {
    {"bert-f16", INC_INTEGER_NONE, 1},
    {"bert-int8-asym", INC_INTEGER_ALL, 5},
    {"bert-static-int8", INC_INTEGER_AS_WRITTEN, 7},
    {"gemma", INC_INTEGER_NONE, 131},
};

struct sweep {
    const char *folder;
    enum inc_integer_mode mode;
    struct test_inputs inputs;
    struct inc_tensor expected;
};

typedef void fail_fn(size_t n); /* test_fail_after or test_fail_once_after */

/* From the file to outputs; what was made is destroyed in any case. */
static enum incise_status whole_run(const struct sweep *sweep, bool *same)
{
    const struct inc_program_options options = {.mode = sweep->mode};
    struct inc_graph *graph = NULL;
    struct test_runner runner = {0};
    enum incise_status status = inc_ir_read(test_ctx(), test_fixture_path(sweep->folder, NULL), &graph);
    if (status == INCISE_OK) status = inc_pool_create(test_ctx(), 1, false, &runner.pool);
    if (status == INCISE_OK)
        status = inc_cpu_device_create(test_ctx(), runner.pool, incise_isa_detect(), &runner.device);
    if (status == INCISE_OK) status = inc_program_create(graph, runner.device, &options, &runner.program);
    inc_graph_destroy(graph);
    if (status == INCISE_OK) status = inc_run_create(runner.program, &runner.run);
    if (status == INCISE_OK) status = inc_run_execute(runner.run, sweep->inputs.tensors, sweep->inputs.n);
    test_fail_after(SIZE_MAX);
    *same = status == INCISE_OK && sweep->expected.bytes == runner.run->outputs[0].bytes &&
            memcmp(sweep->expected.data, runner.run->outputs[0].data, sweep->expected.bytes) == 0;
    test_runner_close(&runner);
    return status;
}

static void start(struct sweep *sweep, size_t model)
{
    *sweep = (struct sweep){.folder = models[model].folder, .mode = models[model].mode};
    struct inc_graph *graph = test_fixture_graph(sweep->folder);
    struct test_runner runner;
    test_inputs_load(graph, sweep->folder, "4x16", &sweep->inputs);
    test_runner_open(&runner, graph, incise_isa_detect(), 1, sweep->mode);
    assert_true(runner.program->fused);
    test_keep(test_run(&runner, &sweep->inputs), &sweep->expected);
    test_runner_close(&runner);
    inc_graph_destroy(graph);
}

static void finish(struct sweep *sweep)
{
    inc_tensor_release(test_ctx(), &sweep->expected);
    test_inputs_free(&sweep->inputs);
    assert_int_equal(test_live_allocations(), 0);
}

/* True if nothing failed. A failure is a memory error that was reported, and leaves nothing behind. */
static bool try_once(const struct sweep *sweep, fail_fn *arm, size_t n, size_t live)
{
    bool same;
    test_clear_error();
    arm(n);
    enum incise_status status = whole_run(sweep, &same);
    if (test_live_allocations() != live) fail_msg("%s, allocation %zu: leaks", sweep->folder, n);
    if (status == INCISE_OK) {
        if (!same) fail_msg("%s, allocation %zu: other outputs, and no error", sweep->folder, n);
        return true;
    }
    if (status != INCISE_ERROR_MEMORY)
        fail_msg("%s, allocation %zu: status %d: %s", sweep->folder, n, status, test_last_error());
    if (test_last_error()[0] == '\0') fail_msg("%s, allocation %zu: an error without a word", sweep->folder, n);
    return false;
}

/* How many allocations a whole run makes: the last one is found by doubling and halving. */
static size_t count_allocations(const struct sweep *sweep, size_t live)
{
    size_t low = 0, high = 64;
    while (!try_once(sweep, test_fail_after, high, live)) low = high, high *= 2;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (try_once(sweep, test_fail_after, middle, live))
            high = middle;
        else
            low = middle;
    }
    return high;
}

static void sweep_all(fail_fn *arm)
{
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct sweep sweep;
        start(&sweep, m);
        size_t live = test_live_allocations(), total = count_allocations(&sweep, live), survived = 0;
        assert_in_range(total, 200, 100000);
        for (size_t n = 0; n < total; n += models[m].stride) survived += try_once(&sweep, arm, n, live);
        if (!try_once(&sweep, arm, total, live)) fail_msg("%s: a later allocation failed", sweep.folder);
        printf("%s: %zu allocations, %zu not needed\n", sweep.folder, total, survived);
        if (arm == test_fail_after) assert_int_equal(survived, 0);
        finish(&sweep);
    }
}

static void memory_runs_out(void **state)
{
    (void)state;
    sweep_all(test_fail_after);
}

static void one_allocation_fails(void **state)
{
    (void)state;
    sweep_all(test_fail_once_after);
}

/* A run that failed for memory, at its first batch or at a larger one, works again at once. */
static void runs_recover(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct sweep sweep;
        struct test_runner runner;
        struct test_inputs small;
        start(&sweep, m);
        struct inc_graph *graph = test_fixture_graph(sweep.folder);
        test_inputs_load(graph, sweep.folder, "1x7", &small);
        test_runner_open(&runner, graph, incise_isa_detect(), 2, sweep.mode);
        bool refused = true;
        for (size_t n = 0; refused; n++) {
            inc_run_destroy(runner.run);
            runner.run = NULL;
            assert_int_equal(inc_run_create(runner.program, &runner.run), INCISE_OK);
            if (n % 2 == 1) (void)test_run(&runner, &small);
            (n % 4 < 2 ? test_fail_after : test_fail_once_after)(n / 4);
            enum incise_status status = inc_run_execute(runner.run, sweep.inputs.tensors, sweep.inputs.n);
            test_fail_after(SIZE_MAX);
            if (status != INCISE_OK) assert_int_equal(status, INCISE_ERROR_MEMORY);
            refused = status != INCISE_OK || n % 4 != 0;
            test_same_bits(test_run(&runner, &sweep.inputs), &sweep.expected);
        }
        test_inputs_free(&small);
        test_runner_close(&runner);
        inc_graph_destroy(graph);
        finish(&sweep);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(one_allocation_fails),
        cmocka_unit_test(runs_recover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
