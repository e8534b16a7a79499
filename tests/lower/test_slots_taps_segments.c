/* SPDX-License-Identifier: Apache-2.0 */
/* Slots can be refilled between runs, taps show the rows of a run, and segments give the bits of a full run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/act/act.h"
#include "lower/run_batch.h"
#include "support/runner.h"

struct subject {
    struct inc_graph *graph;
    struct test_runner runner;
    struct test_inputs inputs;
};

static void open_subject(struct subject *subject, const char *model, enum incise_isa isa, enum inc_integer_mode mode)
{
    subject->graph = test_fixture_graph(model);
    test_runner_open(&subject->runner, subject->graph, isa, 2, mode);
    assert_true(subject->runner.program->fused);
    test_inputs_load(subject->graph, model, "4x16", &subject->inputs);
}

static void close_subject_of(struct subject *subject)
{
    test_inputs_free(&subject->inputs);
    test_runner_close(&subject->runner);
    inc_graph_destroy(subject->graph);
}

/* The last one. */
static void close_subject(struct subject *subject)
{
    close_subject_of(subject);
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

/* Weights [out, in] = factor * those of `from`, in a graph of their own; a row is cut or filled up with ones. */
static struct inc_graph *copy_weight(const struct inc_weight *from, int64_t out, int64_t in, float factor,
                                     struct inc_weight *weight)
{
    struct inc_graph *graph;
    struct inc_tensor tensor;
    float *row = malloc((size_t)from->in * sizeof *row);
    assert_non_null(row);
    assert_int_equal(inc_graph_create(test_ctx(), &graph), INCISE_OK);
    assert_int_equal(inc_tensor_create(test_ctx(), INC_F32, 2, (int64_t[]){out, in}, &tensor), INCISE_OK);
    for (int64_t r = 0; r < out; r++) {
        inc_weight_row_f32(from, r % from->out, row);
        for (int64_t k = 0; k < in; k++) ((float *)tensor.data)[r * in + k] = k < from->in ? row[k] * factor : 1;
    }
    struct inc_node *node = inc_graph_add_constant(graph, "replacement", &tensor, NULL, NULL);
    assert_non_null(node);
    assert_true(inc_weight_match(&node->outputs[0], true, weight));
    inc_tensor_release(test_ctx(), &tensor);
    free(row);
    return graph;
}

/* Other weights, read as the old ones are. */
static enum incise_status refill(struct inc_program *program, uint32_t index, const struct inc_weight *weight)
{
    struct inc_slot slot = program->plan.slots[index];
    slot.weight = *weight;
    return inc_program_replace_slot(program, index, &slot);
}

static void expect_output(struct subject *subject, const struct inc_tensor *expected, bool equal)
{
    const struct inc_tensor *output = test_run(&subject->runner, &subject->inputs);
    if ((memcmp(output->data, expected->data, expected->bytes) == 0) != equal)
        fail_msg("the output %s", equal ? "changed" : "did not change");
}

/* What does not fit is refused, and the old weights stay. */
static void check_refusals(struct subject *subject, uint32_t slot, const struct inc_tensor *before)
{
    struct inc_program *program = subject->runner.program;
    const struct inc_weight old = program->plan.slots[slot].weight;
    const int64_t sizes[][2] = {{old.out + 1, old.in}, {old.out, old.in + 1}, {old.out - 1, old.in}, {1, 1}};
    struct inc_weight weight;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct inc_graph *graph = copy_weight(&old, sizes[i][0], sizes[i][1], 1, &weight);
        assert_int_equal(refill(program, slot, &weight), INCISE_ERROR_USAGE);
        inc_graph_destroy(graph);
    }
    struct inc_graph *graph = copy_weight(&old, old.out, old.in, NAN, &weight);
    test_clear_error();
    assert_int_equal(refill(program, slot, &weight), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "replacement"));
    inc_graph_destroy(graph);
    graph = copy_weight(&old, old.out, old.in, 2, &weight);
    size_t n = 0;
    for (;; n++) {
        test_fail_after(n);
        enum incise_status status = refill(program, slot, &weight);
        test_fail_after(SIZE_MAX);
        if (status == INCISE_OK) break;
        assert_int_equal(status, INCISE_ERROR_MEMORY);
        if (n == 0) expect_output(subject, before, true);
    }
    assert_true(n > 0);
    assert_int_equal(refill(program, slot, &old), INCISE_OK);
    inc_graph_destroy(graph);
    expect_output(subject, before, true);
}

static void slots_are_refilled(void **state)
{
    (void)state;
    static const char *const models[] = {"bert", "gemma", "bert-int8-asym"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct subject subject;
        struct inc_tensor before = {0}, doubled = {0};
        open_subject(&subject, models[m], incise_isa_detect(), INC_INTEGER_NONE);
        struct inc_program *program = subject.runner.program;
        test_keep(test_run(&subject.runner, &subject.inputs), &before);
        for (uint32_t slot = 0; slot < program->plan.n_slots; slot++) {
            const struct inc_weight old = program->plan.slots[slot].weight;
            struct inc_weight two, one;
            struct inc_graph *twice = copy_weight(&old, old.out, old.in, 2, &two);
            struct inc_graph *once = copy_weight(&old, old.out, old.in, 1, &one);
            assert_int_equal(refill(program, slot, &two), INCISE_OK);
            test_keep(test_run(&subject.runner, &subject.inputs), &doubled);
            expect_output(&subject, &before, false);
            expect_output(&subject, &doubled, true);
            assert_int_equal(refill(program, slot, &one), INCISE_OK);
            expect_output(&subject, &before, true);
            assert_int_equal(refill(program, slot, &two), INCISE_OK);
            assert_int_equal(refill(program, slot, &old), INCISE_OK);
            expect_output(&subject, &before, true);
            inc_graph_destroy(once);
            inc_graph_destroy(twice);
        }
        check_refusals(&subject, 0, &before);
        inc_tensor_release(test_ctx(), &doubled);
        inc_tensor_release(test_ctx(), &before);
        close_subject(&subject);
    }
}

static void integer_slots_take_integers_only(void **state)
{
    (void)state;
    struct subject subject;
    struct inc_tensor before = {0};
    struct inc_weight floats;
    open_subject(&subject, "bert-int8-asym", incise_isa_detect(), INC_INTEGER_ALL);
    struct inc_program *program = subject.runner.program;
    test_keep(test_run(&subject.runner, &subject.inputs), &before);
    const struct inc_weight old = program->plan.slots[1].weight, other = program->plan.slots[2].weight;
    struct inc_graph *graph = copy_weight(&old, old.out, old.in, 1, &floats);
    assert_int_equal(refill(program, 1, &floats), INCISE_ERROR_USAGE);
    expect_output(&subject, &before, true);
    assert_int_equal(refill(program, 1, &other), INCISE_OK);
    expect_output(&subject, &before, false);
    assert_int_equal(refill(program, 1, &old), INCISE_OK);
    expect_output(&subject, &before, true);
    inc_graph_destroy(graph);
    inc_tensor_release(test_ctx(), &before);
    close_subject(&subject);
}

/* A program that was made replaceable from `model`, run on the subject's inputs. */
static void open_replaceable(struct subject *subject, const char *model, enum inc_integer_mode mode)
{
    const struct inc_program_options options = {.mode = mode, .replaceable = true};
    open_subject(subject, model, incise_isa_detect(), mode);
    inc_run_destroy(subject->runner.run);
    inc_program_destroy(subject->runner.program);
    assert_int_equal(inc_program_create(subject->graph, subject->runner.device, &options, &subject->runner.program),
                     INCISE_OK);
    assert_int_equal(inc_run_create(subject->runner.program, &subject->runner.run), INCISE_OK);
}

/* From floats to integers, slot by slot, and back in another order; with all exchanged, the bits of a program that was
 * made that way. */
static void exchange_all(const char *model, enum inc_integer_mode from, enum inc_integer_mode to)
{
    struct subject subject, other;
    struct inc_tensor before = {0}, after = {0};
    open_subject(&other, model, incise_isa_detect(), from);
    test_keep(test_run(&other.runner, &other.inputs), &before);
    open_replaceable(&subject, model, from);
    const struct inc_plan *plan = &subject.runner.program->plan;
    expect_output(&subject, &before, true);
    close_subject_of(&other);
    open_subject(&other, model, incise_isa_detect(), to);
    test_keep(test_run(&other.runner, &other.inputs), &after);
    struct inc_slot *old = calloc(plan->n_slots, sizeof *old);
    assert_non_null(old);
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        old[i] = plan->slots[i];
        assert_int_equal(inc_program_replace_slot(subject.runner.program, i, &other.runner.program->plan.slots[i]),
                         INCISE_OK);
        expect_output(&subject, &before, false);
    }
    expect_output(&subject, &after, true);
    for (uint32_t i = 0; i < plan->n_slots; i++)
        assert_int_equal(inc_program_replace_slot(subject.runner.program, i, &old[i]), INCISE_OK);
    expect_output(&subject, &before, true);
    free(old);
    inc_tensor_release(test_ctx(), &before);
    inc_tensor_release(test_ctx(), &after);
    close_subject_of(&subject);
    close_subject(&other);
}

static void replaceable_slots_take_anything(void **state)
{
    (void)state;
    exchange_all("gemma-int8-sym", INC_INTEGER_NONE, INC_INTEGER_ALL);
    exchange_all("gemma-int8-sym", INC_INTEGER_ALL, INC_INTEGER_NONE);
    exchange_all("bert-int8-asym", INC_INTEGER_NONE, INC_INTEGER_ALL);
    exchange_all("bert-int4-sym", INC_INTEGER_ALL, INC_INTEGER_NONE);
}

/* ---- taps -------------------------------------------------------------------------------------------------------- */

enum { MAX_SLOTS = 64, MAX_CUTS = 64 };

/* Rows that a tap saw, packed. */
struct seen {
    float *rows;
    size_t n, width, times;
    uint32_t index;
};

struct recorder {
    struct inc_run *run;
    struct seen inputs[MAX_SLOTS], outputs[MAX_SLOTS], residuals[MAX_SLOTS]; /* residuals: added by the slot's Linear */
    struct seen cuts[MAX_CUTS];
    size_t n_cuts;
};

static void copy_rows(struct seen *seen, const float *rows, size_t n, size_t width, size_t stride)
{
    free(seen->rows);
    seen->rows = malloc(n * width * sizeof *rows);
    assert_non_null(seen->rows);
    for (size_t t = 0; t < n; t++) memcpy(seen->rows + t * width, rows + t * stride, width * sizeof *rows);
    seen->n = n;
    seen->width = width;
    seen->times++;
}

static const struct inc_step *step_of_slot(const struct inc_plan *plan, uint32_t slot)
{
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].op == INC_OP_LINEAR && plan->steps[i].u.linear.slot == slot) return &plan->steps[i];
    fail_msg("slot %u has no step", slot);
    return NULL;
}

static void record(void *user, enum inc_tap_point point, uint32_t index, const float *rows, size_t n, size_t width,
                   size_t stride)
{
    struct recorder *recorder = user;
    assert_true(stride >= width);
    if (point == INC_TAP_RESIDUAL) {
        assert_true(recorder->n_cuts < MAX_CUTS);
        recorder->cuts[recorder->n_cuts].index = index;
        copy_rows(&recorder->cuts[recorder->n_cuts++], rows, n, width, stride);
        return;
    }
    assert_true(index < MAX_SLOTS);
    copy_rows(point == INC_TAP_LINEAR_INPUT ? &recorder->inputs[index] : &recorder->outputs[index], rows, n, width,
              stride);
    const struct inc_step *step = step_of_slot(&recorder->run->program->plan, index);
    if (point != INC_TAP_LINEAR_OUTPUT || step->n_in < 2) return;
    size_t residual_stride;
    const float *residual = inc_run_rows(recorder->run, step->in[1].buffer, &residual_stride) + step->in[1].column;
    copy_rows(&recorder->residuals[index], residual, n, width, residual_stride);
}

static void start_recorder(struct recorder *recorder, struct inc_run *run)
{
    *recorder = (struct recorder){.run = run};
    run->tap = record;
    run->tap_user = recorder;
}

static void stop_recorder(struct recorder *recorder)
{
    recorder->run->tap = NULL;
    for (size_t i = 0; i < MAX_SLOTS; i++) {
        free(recorder->inputs[i].rows);
        free(recorder->outputs[i].rows);
        free(recorder->residuals[i].rows);
    }
    for (size_t i = 0; i < recorder->n_cuts; i++) free(recorder->cuts[i].rows);
}

/* Output rows against act(W x + bias) + residual in double. Floats: K + 2 roundings of the sum's absolute value (a
 * kernel's sums may run in any order); integers: half a step, 1/254 of the row's largest, for each input. Activations
 * have slopes below 1.2 and errors of 3e-7. */
static void check_linear(const struct recorder *recorder, const struct inc_slot *slot, uint32_t index)
{
    const struct inc_step *step = step_of_slot(&recorder->run->program->plan, index);
    const struct seen *in = &recorder->inputs[index], *out = &recorder->outputs[index];
    size_t k_count = (size_t)slot->weight.in;
    float *row = malloc(k_count * sizeof *row);
    assert_non_null(row);
    for (size_t o = 0; o < out->width; o++) {
        inc_weight_row_f32(&slot->weight, (int64_t)o, row);
        double bias = step->u.linear.bias != NULL ? step->u.linear.bias[o] : 0;
        for (size_t t = 0; t < out->n; t++) {
            const float *x = in->rows + t * k_count;
            double sum = bias, absolute = fabs(bias), weights = 0, top = 0;
            for (size_t k = 0; k < k_count; k++) {
                sum += (double)x[k] * row[k];
                absolute += fabs((double)x[k] * row[k]);
                weights += fabs((double)row[k]);
                top = fmax(top, fabs((double)x[k]));
            }
            float value = (float)sum;
            inc_act_select(INCISE_ISA_SCALAR)->apply(step->u.linear.act, 1, 1, &value, 1, &value, 1);
            double expected = step->u.linear.act == INC_ACT_NONE ? sum : value;
            double residual = step->n_in > 1 ? recorder->residuals[index].rows[t * out->width + o] : 0;
            double bound = (absolute * 1.2 + fabs(residual) + 1) * (double)(k_count + 4) * 0x1p-24;
            if (slot->integer) bound += weights * top / 254 * 1.2 * (1 + 1e-5);
            double error = fabs(out->rows[t * out->width + o] - (expected + residual));
            if (!(error <= bound))
                fail_msg("'%s' row %zu output %zu: off by %g, bound %g", slot->name, t, o, error, bound);
        }
    }
    free(row);
}

/* The residual rows at each cut are those that a run up to there leaves. */
static void check_cuts(struct subject *subject, const struct recorder *recorder)
{
    const struct inc_plan *plan = &subject->runner.program->plan;
    struct inc_run *run = subject->runner.run;
    assert_int_equal(recorder->n_cuts, plan->n_cuts);
    assert_true(plan->n_cuts >= 4);
    for (size_t i = 0; i < plan->n_cuts; i++) {
        const struct seen *seen = &recorder->cuts[i];
        size_t stride;
        assert_int_equal(seen->index, plan->cuts[i]);
        assert_int_equal(seen->width, plan->buffers[plan->cut_buffers[i]].width);
        assert_int_equal(plan->buffers[plan->cut_buffers[i]].kind, INC_BUFFER_ROWS);
        assert_int_equal(inc_run_begin(run, subject->inputs.tensors, subject->inputs.n), INCISE_OK);
        assert_int_equal(seen->n, inc_batch_rows(&run->batch, plan->buffers[plan->cut_buffers[i]].domain));
        assert_int_equal(inc_run_steps(run, 0, plan->cuts[i]), INCISE_OK);
        const float *rows = inc_run_rows(run, plan->cut_buffers[i], &stride);
        for (size_t t = 0; t < seen->n; t++)
            assert_memory_equal(rows + t * stride, seen->rows + t * seen->width, seen->width * sizeof *rows);
    }
}

static void check_taps(const char *model, enum inc_integer_mode mode)
{
    struct subject subject;
    struct recorder recorder;
    struct inc_tensor untapped = {0};
    open_subject(&subject, model, incise_isa_detect(), mode);
    const struct inc_plan *plan = &subject.runner.program->plan;
    assert_in_range(plan->n_slots, 1, MAX_SLOTS);
    test_keep(test_run(&subject.runner, &subject.inputs), &untapped);
    start_recorder(&recorder, subject.runner.run);
    expect_output(&subject, &untapped, true);
    subject.runner.run->tap = NULL;
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        assert_int_equal(recorder.inputs[i].times, 1);
        assert_int_equal(recorder.outputs[i].times, 1);
        assert_int_equal(recorder.inputs[i].width, plan->slots[i].weight.in);
        assert_int_equal(recorder.outputs[i].width, plan->slots[i].weight.out);
        assert_int_equal(recorder.inputs[i].n, 16 + 3 + 11 + 1); /* real tokens only */
        assert_int_equal(recorder.outputs[i].n, 16 + 3 + 11 + 1);
        check_linear(&recorder, &plan->slots[i], i);
    }
    check_cuts(&subject, &recorder);
    stop_recorder(&recorder);
    inc_tensor_release(test_ctx(), &untapped);
    close_subject(&subject);
}

static void taps_show_the_rows(void **state)
{
    (void)state;
    check_taps("bert", INC_INTEGER_NONE);
    check_taps("gemma", INC_INTEGER_NONE);
    check_taps("bert-int8-asym", INC_INTEGER_NONE);
    check_taps("bert-int8-asym", INC_INTEGER_ALL);
    check_taps("gemma-int8-sym", INC_INTEGER_ALL);
}

/* ---- segments ---------------------------------------------------------------------------------------------------- */

/* Runs [from, to) alone, from cached rows, in memory that holds NaN wherever the segment must not look. */
static void run_segment(struct subject *subject, struct inc_run *run, const struct seen *cached, uint32_t buffer,
                        size_t to)
{
    size_t stride;
    assert_int_equal(inc_run_begin(run, subject->inputs.tensors, subject->inputs.n), INCISE_OK);
    memset(run->arena, 0xff, run->arena_bytes);
    assert_int_equal(inc_run_begin(run, subject->inputs.tensors, subject->inputs.n), INCISE_OK);
    float *rows = inc_run_rows(run, buffer, &stride);
    for (size_t t = 0; t < cached->n; t++)
        memcpy(rows + t * stride, cached->rows + t * cached->width, cached->width * sizeof *rows);
    assert_int_equal(inc_run_steps(run, cached->index, to), INCISE_OK);
}

static void check_segments(const char *model, enum inc_integer_mode mode, enum incise_isa isa)
{
    struct subject subject;
    struct recorder recorder;
    struct inc_tensor whole = {0};
    struct inc_run *alone;
    open_subject(&subject, model, isa, mode);
    const struct inc_plan *plan = &subject.runner.program->plan;
    start_recorder(&recorder, subject.runner.run);
    test_keep(test_run(&subject.runner, &subject.inputs), &whole);
    subject.runner.run->tap = NULL;
    assert_int_equal(inc_run_create(subject.runner.program, &alone), INCISE_OK);
    for (size_t i = 0; i < plan->n_cuts; i++) {
        bool last = i + 1 == plan->n_cuts;
        run_segment(&subject, alone, &recorder.cuts[i], plan->cut_buffers[i], last ? plan->n_steps : plan->cuts[i + 1]);
        if (last) {
            assert_int_equal(inc_run_unpack(alone), INCISE_OK);
            test_same_bits(&alone->outputs[0], &whole);
            continue;
        }
        size_t stride;
        const struct seen *next = &recorder.cuts[i + 1];
        const float *rows = inc_run_rows(alone, plan->cut_buffers[i + 1], &stride);
        for (size_t t = 0; t < next->n; t++)
            assert_memory_equal(rows + t * stride, next->rows + t * next->width, next->width * sizeof *rows);
    }
    inc_run_destroy(alone);
    stop_recorder(&recorder);
    inc_tensor_release(test_ctx(), &whole);
    close_subject(&subject);
}

static void segments_give_the_bits_of_the_whole(void **state)
{
    (void)state;
    for (int best = 0; best < 2; best++) {
        enum incise_isa isa = best ? incise_isa_detect() : INCISE_ISA_SCALAR;
        check_segments("bert", INC_INTEGER_NONE, isa);
        check_segments("gemma", INC_INTEGER_NONE, isa);
        check_segments("bert-int8-asym", INC_INTEGER_ALL, isa);
        check_segments("gemma-int8-sym", INC_INTEGER_ALL, isa);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_refilled),
        cmocka_unit_test(integer_slots_take_integers_only),
        cmocka_unit_test(replaceable_slots_take_anything),
        cmocka_unit_test(taps_show_the_rows),
        cmocka_unit_test(segments_give_the_bits_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
