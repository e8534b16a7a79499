/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny models through the fused program, at every instruction set: against OpenVINO's recorded outputs and against
 * the reference evaluator, and that what shares a batch with a sequence does not matter. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "support/runner.h"

#define MASK "attention_mask"
#define MAX_THREADS 3

/* Instruction sets that this CPU lacks are named, so that a green run shows what it did not cover. */
static bool has_isa(enum incise_isa isa)
{
    if (isa <= incise_isa_detect()) return true;
    printf("skipped: this CPU has no %s\n", incise_isa_name(isa));
    return false;
}

static void expect_fused(const struct test_runner *runner, const char *model)
{
    if (!runner->program->fused) fail_msg("%s runs op by op: %s", model, runner->program->lowering.reason);
    assert_string_equal(runner->program->lowering.reason, "");
}

static void expect_close(const char *what, const struct inc_tensor *got, const struct inc_tensor *wanted,
                         const struct inc_tensor *mask, double limit)
{
    double difference = test_difference(got, wanted, mask);
    if (!(difference <= limit)) fail_msg("%s: differs by %g, limit %g", what, difference, limit);
}

static bool mask_at(const struct inc_tensor *mask, int64_t s, int64_t j)
{
    return ((const int64_t *)mask->data)[s * mask->dims[1] + j] != 0;
}

/* Row [s, j] of an output [batch, length, width]. */
static const float *row_of(const struct inc_tensor *output, int64_t s, int64_t j)
{
    return (const float *)output->data + (s * output->dims[1] + j) * output->dims[2];
}

static void expect_zero_padding(const struct inc_tensor *output, const struct inc_tensor *mask)
{
    for (int64_t s = 0; s < output->dims[0]; s++)
        for (int64_t j = 0; j < output->dims[1]; j++)
            for (int64_t c = 0; c < output->dims[2] && !mask_at(mask, s, j); c++)
                if (inc_f32_bits(row_of(output, s, j)[c]) != 0)
                    fail_msg("padded row [%d, %d] is not zero", (int)s, (int)j);
}

/* ---- against OpenVINO and the reference ------------------------------------------------------------------------- */

/* One thread against both; more threads against one. */
static void check_shape(const struct inc_graph *graph, struct test_runner runners[MAX_THREADS],
                        const struct test_fixture *fixture, const char *shape, enum incise_isa isa)
{
    struct test_inputs inputs;
    struct inc_tensor recorded, reference, first = {0};
    char what[100];
    test_inputs_load(graph, fixture->model, shape, &inputs);
    test_fixture_output(fixture->model, shape, &recorded);
    test_reference(graph, &inputs, &reference);
    const struct inc_tensor *mask = test_inputs_get(graph, &inputs, MASK);
    snprintf(what, sizeof what, "%s %s %s", fixture->model, shape, incise_isa_name(isa));
    test_keep(test_run(&runners[0], &inputs), &first);
    expect_close(what, &first, &recorded, mask, fixture->limit);
    expect_close(what, &first, &reference, mask, fixture->limit);
    expect_zero_padding(&first, mask);
    printf("%-30s %.1e to OpenVINO, %.1e to the reference\n", what, test_difference(&first, &recorded, mask),
           test_difference(&first, &reference, mask));
    for (int t = 1; t < MAX_THREADS; t++) test_same_bits(test_run(&runners[t], &inputs), &first);
    inc_tensor_release(test_ctx(), &first);
    inc_tensor_release(test_ctx(), &reference);
    inc_tensor_release(test_ctx(), &recorded);
    test_inputs_free(&inputs);
}

static void fused_agrees_with_openvino(void **state)
{
    (void)state;
    for (enum incise_isa isa = INCISE_ISA_SCALAR; isa <= INCISE_ISA_BF16; isa++) {
        if (!has_isa(isa)) continue;
        for (const struct test_fixture *fixture = test_fixtures; fixture->model; fixture++) {
            struct inc_graph *graph = test_fixture_graph(fixture->model);
            struct test_runner runners[MAX_THREADS];
            for (int t = 0; t < MAX_THREADS; t++) {
                test_runner_open(&runners[t], graph, isa, t + 1, INC_INTEGER_NONE);
                expect_fused(&runners[t], fixture->model);
            }
            for (const char *const *shape = test_fixture_shapes; *shape; shape++)
                check_shape(graph, runners, fixture, *shape, isa);
            for (int t = 0; t < MAX_THREADS; t++) test_runner_close(&runners[t]);
            inc_graph_destroy(graph);
        }
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- batches ---------------------------------------------------------------------------------------------------- */

/* Sequence `s` of `batch`, cut to its first `length` tokens. */
static void take_sequence(const struct inc_graph *graph, const struct test_inputs *batch, int64_t s, int64_t length,
                          struct test_inputs *one)
{
    test_inputs_make(graph, 1, length, one);
    for (size_t i = 0; i < one->n; i++)
        memcpy(one->tensors[i].data, (const int64_t *)batch->tensors[i].data + s * batch->tensors[i].dims[1],
               (size_t)length * sizeof(int64_t));
}

static int64_t real_length(const struct inc_tensor *mask, int64_t s)
{
    int64_t length = 0;
    while (length < mask->dims[1] && mask_at(mask, s, length)) length++;
    return length;
}

/* Rows of each sequence, run alone without padding, have the bits that they have in the mixed batch. */
static void check_alone(const struct inc_graph *graph, struct test_runner *runner, const struct test_inputs *batch,
                        const struct inc_tensor *mask, const struct inc_tensor *together)
{
    for (int64_t s = 0; s < together->dims[0]; s++) {
        struct test_inputs one;
        int64_t length = real_length(mask, s);
        take_sequence(graph, batch, s, length, &one);
        const struct inc_tensor *alone = test_run(runner, &one);
        for (int64_t j = 0; j < length; j++)
            assert_memory_equal(row_of(alone, 0, j), row_of(together, s, j), (size_t)together->dims[2] * sizeof(float));
        test_inputs_free(&one);
    }
}

static void check_holes(const struct inc_graph *graph, struct test_runner *runner, struct test_inputs *batch,
                        const struct test_fixture *fixture)
{
    uint64_t random = test_seed();
    struct inc_tensor reference;
    struct inc_tensor *mask = test_inputs_get(graph, batch, MASK);
    for (size_t i = 0; i < inc_tensor_elements(mask); i++)
        ((int64_t *)mask->data)[i] = test_random_below(&random, 3) > 0;
    const struct inc_tensor *output = test_run(runner, batch);
    test_reference(graph, batch, &reference);
    expect_close(fixture->model, output, &reference, mask, fixture->limit);
    expect_zero_padding(output, mask);
    inc_tensor_release(test_ctx(), &reference);
}

/* Sequence 1 without any token gives zeros; the others do not notice. Then a batch without any token at all. */
static void check_empty_sequences(const struct inc_graph *graph, struct test_runner *runner, struct test_inputs *batch,
                                  const struct inc_tensor *together)
{
    struct inc_tensor *mask = test_inputs_get(graph, batch, MASK);
    size_t sequence = (size_t)(together->dims[1] * together->dims[2]) * sizeof(float);
    memset((int64_t *)mask->data + mask->dims[1], 0, (size_t)mask->dims[1] * sizeof(int64_t));
    const struct inc_tensor *output = test_run(runner, batch);
    expect_zero_padding(output, mask);
    for (size_t s = 0; s < (size_t)together->dims[0]; s++)
        if (s != 1)
            assert_memory_equal((const char *)output->data + s * sequence, (const char *)together->data + s * sequence,
                                sequence);
    memset(mask->data, 0, mask->bytes);
    expect_zero_padding(test_run(runner, batch), mask);
}

static void batches_do_not_matter(void **state)
{
    (void)state;
    for (enum incise_isa isa = INCISE_ISA_SCALAR; isa <= INCISE_ISA_BF16; isa++) {
        if (!has_isa(isa)) continue;
        for (const struct test_fixture *fixture = test_fixtures; fixture->model; fixture++) {
            struct inc_graph *graph = test_fixture_graph(fixture->model);
            struct test_runner runner;
            struct test_inputs batch;
            struct inc_tensor together = {0}, mask = {0};
            test_runner_open(&runner, graph, isa, 2, INC_INTEGER_ALL);
            test_inputs_load(graph, fixture->model, "4x16", &batch);
            test_keep(test_inputs_get(graph, &batch, MASK), &mask);
            test_keep(test_run(&runner, &batch), &together);
            check_alone(graph, &runner, &batch, &mask, &together);
            check_empty_sequences(graph, &runner, &batch, &together);
            test_runner_close(&runner);
            test_runner_open(&runner, graph, isa, 2, INC_INTEGER_NONE);
            check_holes(graph, &runner, &batch, fixture);
            test_runner_close(&runner);
            inc_tensor_release(test_ctx(), &mask);
            inc_tensor_release(test_ctx(), &together);
            test_inputs_free(&batch);
            inc_graph_destroy(graph);
        }
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- bad inputs ------------------------------------------------------------------------------------------------- */

struct trial {
    const struct inc_graph *graph;
    struct test_runner runner;
    struct test_inputs inputs;
    struct inc_tensor canary;
};

/* The inputs as they are now are refused for a reason that has `text`; then the recorded ones still work. */
static void expect_refused(struct trial *trial, const struct inc_tensor *inputs, size_t n, const char *text)
{
    test_clear_error();
    if (inc_run_execute(trial->runner.run, inputs, n) != INCISE_ERROR_DATA) fail_msg("no refusal that says '%s'", text);
    if (strstr(test_last_error(), text) == NULL) fail_msg("'%s' does not say '%s'", test_last_error(), text);
    test_same_bits(test_run(&trial->runner, &trial->inputs), &trial->canary);
}

static void check_value(struct trial *trial, const char *name, int64_t value, const char *text)
{
    struct test_inputs bad;
    test_inputs_load(trial->graph, "bert", "4x16", &bad);
    *test_inputs_at(trial->graph, &bad, name, 2, 3) = value;
    expect_refused(trial, bad.tensors, bad.n, text);
    test_inputs_free(&bad);
}

static void check_shapes(struct trial *trial)
{
    struct inc_tensor bad[TEST_MAX_INPUTS];
    size_t n = trial->inputs.n;
    memcpy(bad, trial->inputs.tensors, n * sizeof bad[0]);
    bad[1].dims[1] = 8;
    expect_refused(trial, bad, n, "[batch, length]");
    bad[1].dims[1] = 16, bad[1].dims[0] = 2;
    expect_refused(trial, bad, n, "[batch, length]");
    bad[1].dims[0] = 4, bad[2].rank = 1;
    expect_refused(trial, bad, n, "[batch, length]");
    bad[2].rank = 2, bad[0].type = INC_I32;
    expect_refused(trial, bad, n, "i32");
    bad[0].type = INC_F32;
    expect_refused(trial, bad, n, "f32");
    bad[0].type = INC_I64;
    for (size_t i = 0; i < n; i++) bad[i].dims[0] = 0;
    expect_refused(trial, bad, n, "not empty");
    for (size_t i = 0; i < n; i++) bad[i].dims[0] = 4, bad[i].dims[1] = 0;
    expect_refused(trial, bad, n, "not empty");
    for (size_t i = 0; i < n; i++) bad[i].dims[1] = -16;
    expect_refused(trial, bad, n, "not empty");
    expect_refused(trial, trial->inputs.tensors, n - 1, "inputs given");
    expect_refused(trial, NULL, 0, "inputs given");
}

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    struct inc_graph *graph = test_fixture_graph("bert");
    struct trial trial = {.graph = graph};
    test_runner_open(&trial.runner, graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    test_inputs_load(graph, "bert", "4x16", &trial.inputs);
    test_keep(test_run(&trial.runner, &trial.inputs), &trial.canary);
    check_value(&trial, MASK, 2, "not 0 or 1");
    check_value(&trial, MASK, -1, "not 0 or 1");
    check_value(&trial, MASK, INT64_MIN, "not 0 or 1");
    static const int64_t ids[] = {100, -101, INT32_MAX, INT32_MIN, (int64_t)INT32_MAX + 1};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) check_value(&trial, "input_ids", ids[i], "outside a table");
    check_value(&trial, "token_type_ids", 2, "outside a table");
    check_shapes(&trial);
    inc_tensor_release(test_ctx(), &trial.canary);
    test_inputs_free(&trial.inputs);
    test_runner_close(&trial.runner);
    inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* Positions 32 and up do not exist in the tables of these models: an error of theirs, by both ways to run. */
static void too_long_is_refused(void **state)
{
    (void)state;
    struct inc_graph *graph = test_fixture_graph("bert");
    struct test_runner runner;
    struct test_inputs inputs;
    test_runner_open(&runner, graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
    for (int64_t length = 32; length <= 33; length++) {
        test_inputs_make(graph, 1, length, &inputs);
        for (int64_t j = 0; j < length; j++) *test_inputs_at(graph, &inputs, MASK, 0, j) = 1;
        test_clear_error();
        enum incise_status status = inc_run_execute(runner.run, inputs.tensors, inputs.n);
        assert_int_equal(status, length == 32 ? INCISE_OK : INCISE_ERROR_DATA);
        if (length == 33) assert_non_null(strstr(test_last_error(), "made for less"));
        test_inputs_free(&inputs);
    }
    test_runner_close(&runner);
    inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* A negative id counts from the table's end, as Gather of opset 8 says; before, the file converts ids to i32, which
 * wraps. */
static void odd_ids_mean_what_the_file_says(void **state)
{
    (void)state;
    struct inc_graph *graph = test_fixture_graph("bert");
    struct test_runner runner;
    struct test_inputs inputs;
    struct inc_tensor reference;
    test_runner_open(&runner, graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
    test_inputs_load(graph, "bert", "1x7", &inputs);
    *test_inputs_at(graph, &inputs, "input_ids", 0, 2) = -1;
    *test_inputs_at(graph, &inputs, "input_ids", 0, 3) = -100;
    *test_inputs_at(graph, &inputs, "input_ids", 0, 4) = (int64_t)1 << 32;
    test_reference(graph, &inputs, &reference);
    expect_close("odd ids", test_run(&runner, &inputs), &reference, NULL, 1e-5);
    inc_tensor_release(test_ctx(), &reference);
    test_inputs_free(&inputs);
    test_runner_close(&runner);
    inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- integers --------------------------------------------------------------------------------------------------- */

static const char *const integer_models[] = {"bert-int8-asym", "bert-static-int8", "gemma-int8-sym", "bert-int4-asym",
                                             "bert-int4-sym"};

/* An activation that differs in its last bit over instruction sets may round to the neighbouring step, 1/127 of its
 * row's largest; sums of 64 and more products average such steps out. */
#define INTEGER_ISA_LIMIT 2e-2

static void expect_rows_alike(const char *what, const struct inc_tensor *a, const struct inc_tensor *b,
                              const struct inc_tensor *mask)
{
    double least = 1;
    for (int64_t s = 0; s < a->dims[0]; s++)
        for (int64_t j = 0; j < a->dims[1]; j++) {
            double aa = 0, ab = 0, bb = 0;
            for (int64_t c = 0; c < a->dims[2]; c++) {
                double x = row_of(a, s, j)[c], y = row_of(b, s, j)[c];
                aa += x * x, ab += x * y, bb += y * y;
            }
            if (mask_at(mask, s, j)) least = fmin(least, ab / sqrt(aa * bb));
        }
    printf("%-24s integers against floats: least row cosine %.5f\n", what, least);
    if (!(least >= 0.99)) fail_msg("%s: a row has cosine %g", what, least);
}

static void check_integers(const struct inc_graph *graph, const char *model, enum incise_isa isa,
                           const struct inc_tensor *floats, const struct inc_tensor *mask, struct inc_tensor *scalar)
{
    struct test_inputs inputs;
    struct inc_tensor first = {0};
    test_inputs_load(graph, model, "4x16", &inputs);
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        struct test_runner runner;
        test_runner_open(&runner, (struct inc_graph *)graph, isa, threads, INC_INTEGER_ALL);
        expect_fused(&runner, model);
        for (size_t i = 0; i < runner.program->plan.n_slots; i++)
            if (!runner.program->plan.slots[i].integer)
                fail_msg("%s: '%s' is not integer", model, runner.program->plan.slots[i].name);
        const struct inc_tensor *output = test_run(&runner, &inputs);
        expect_zero_padding(output, mask);
        if (threads == 1)
            test_keep(output, &first);
        else
            test_same_bits(output, &first);
        test_runner_close(&runner);
    }
    expect_rows_alike(model, &first, floats, mask);
    if (isa == INCISE_ISA_SCALAR) test_keep(&first, scalar);
    expect_close(model, &first, scalar, mask, INTEGER_ISA_LIMIT);
    inc_tensor_release(test_ctx(), &first);
    test_inputs_free(&inputs);
}

static void integers_stay_close_to_floats(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof integer_models / sizeof integer_models[0]; m++) {
        struct inc_graph *graph = test_fixture_graph(integer_models[m]);
        struct test_runner runner;
        struct test_inputs inputs;
        struct inc_tensor floats = {0}, scalar = {0};
        test_inputs_load(graph, integer_models[m], "4x16", &inputs);
        test_runner_open(&runner, graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
        test_keep(test_run(&runner, &inputs), &floats);
        test_runner_close(&runner);
        for (enum incise_isa isa = INCISE_ISA_SCALAR; isa <= INCISE_ISA_BF16; isa++)
            if (has_isa(isa))
                check_integers(graph, integer_models[m], isa, &floats, test_inputs_get(graph, &inputs, MASK), &scalar);
        inc_tensor_release(test_ctx(), &scalar);
        inc_tensor_release(test_ctx(), &floats);
        test_inputs_free(&inputs);
        inc_graph_destroy(graph);
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void fill_rows(const struct inc_run *run, uint32_t buffer, uint64_t *random)
{
    size_t stride;
    float *rows = inc_run_rows(run, buffer, &stride);
    for (size_t i = 0; i < run->batch.n_tokens * stride; i++) rows[i] = test_random_float(random, -2, 2);
}

/* Appends to `out` what every Linear without activation makes of the same random rows. */
static size_t collect_linears(struct test_runner *runner, const struct test_inputs *inputs, float *out, size_t capacity)
{
    const struct inc_plan *plan = &runner->program->plan;
    struct inc_run *run = runner->run;
    uint64_t random = test_seed();
    size_t n = 0;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct inc_step *step = &plan->steps[i];
        if (step->op != INC_OP_LINEAR || step->u.linear.act != INC_ACT_NONE) continue;
        size_t quantize = i, stride;
        while (plan->steps[quantize].out.buffer != step->in[0].buffer) quantize--;
        assert_int_equal(plan->steps[quantize].op, INC_OP_QUANTIZE_ROWS);
        assert_int_equal(inc_run_begin(run, inputs->tensors, inputs->n), INCISE_OK);
        fill_rows(run, plan->steps[quantize].in[0].buffer, &random);
        assert_int_equal(inc_run_steps(run, quantize, quantize + 1), INCISE_OK);
        if (step->n_in > 1) fill_rows(run, step->in[1].buffer, &random);
        assert_int_equal(inc_run_steps(run, i, i + 1), INCISE_OK);
        const float *rows = inc_run_rows(run, step->out.buffer, &stride);
        for (size_t t = 0; t < run->batch.n_tokens; t++, n += step->width) {
            assert_true(n + step->width <= capacity);
            memcpy(out + n, rows + t * stride, step->width * sizeof *out);
        }
    }
    assert_true(n > 0);
    return n;
}

static void integer_linears_are_exact(void **state)
{
    (void)state;
    static float scalar[1 << 16], other[1 << 16];
    for (size_t m = 0; m < sizeof integer_models / sizeof integer_models[0]; m++) {
        struct inc_graph *graph = test_fixture_graph(integer_models[m]);
        struct test_inputs inputs;
        size_t n = 0;
        test_inputs_load(graph, integer_models[m], "4x16", &inputs);
        for (enum incise_isa isa = INCISE_ISA_SCALAR; isa <= INCISE_ISA_BF16; isa++) {
            struct test_runner runner;
            if (!has_isa(isa)) continue;
            test_runner_open(&runner, graph, isa, 2, INC_INTEGER_ALL);
            n = collect_linears(&runner, &inputs, isa == INCISE_ISA_SCALAR ? scalar : other,
                                sizeof scalar / sizeof *scalar);
            if (isa != INCISE_ISA_SCALAR) assert_memory_equal(other, scalar, n * sizeof *scalar);
            test_runner_close(&runner);
        }
        test_inputs_free(&inputs);
        inc_graph_destroy(graph);
    }
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fused_agrees_with_openvino), cmocka_unit_test(batches_do_not_matter),
        cmocka_unit_test(bad_inputs_are_refused),     cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(odd_ids_mean_what_the_file_says),
        cmocka_unit_test(integers_stay_close_to_floats), cmocka_unit_test(integer_linears_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
