/* SPDX-License-Identifier: Apache-2.0 */
/* Calibration batches, streams from cached rows, and one-pass statistics against rows that taps show. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/linalg.h"
#include "compress/statistics.h"
#include "compress/stream.h"
#include "support/calibrated.h"

enum { TEXTS = 600, MAX_SLOTS = 64, MAX_WIDTH = 128 };

/* What is expected of one slot's input, in double, text by text. */
struct expected {
    size_t width;
    double n, sum[MAX_WIDTH], means[MAX_WIDTH], products[MAX_WIDTH * MAX_WIDTH], absolute[MAX_WIDTH * MAX_WIDTH];
    float low[MAX_WIDTH], high[MAX_WIDTH], rest_low[MAX_WIDTH], rest_high[MAX_WIDTH];
    uint64_t peaks[INC_PEAK_BINS];
};

static void look(void *user, enum inc_tap_point point, uint32_t slot, const float *rows, size_t n, size_t width,
                 size_t stride)
{
    struct expected *expected = (struct expected *)user + slot;
    if (point != INC_TAP_LINEAR_INPUT) return;
    assert_true(slot < MAX_SLOTS && width <= MAX_WIDTH);
    for (size_t i = 0; i < width && expected->width == 0; i++) {
        expected->low[i] = expected->rest_low[i] = INFINITY;
        expected->high[i] = expected->rest_high[i] = -INFINITY;
    }
    expected->width = width;
    const double weight = (double)((float)INC_TEXT_COUNTS / (float)n); /* of a token; the mean of the text counts too */
    expected->n += (double)n * weight + INC_TEXT_COUNTS;
    double *mean = calloc(width, sizeof *mean);
    assert_non_null(mean);
    for (size_t i = 0; i < width; i++)
        for (size_t t = 0; t < n; t++) mean[i] += (double)rows[t * stride + i] / (double)n;
    for (size_t i = 0; i < width; i++)
        for (size_t j = 0; j < width; j++) {
            expected->products[i * width + j] += INC_TEXT_COUNTS * mean[i] * mean[j];
            expected->absolute[i * width + j] += INC_TEXT_COUNTS * fabs(mean[i] * mean[j]);
        }
    for (size_t i = 0; i < width; i++) {
        expected->sum[i] += INC_TEXT_COUNTS * mean[i];
        expected->means[i] += INC_TEXT_COUNTS * fabs(mean[i]);
    }
    free(mean);
    for (size_t t = 0; t < n; t++) {
        const float *x = rows + t * stride;
        float peak = 0;
        for (size_t i = 0; i < width; i++) {
            peak = fmaxf(peak, fabsf(x[i]));
            expected->sum[i] += weight * (double)x[i];
            expected->low[i] = fminf(expected->low[i], x[i]);
            expected->high[i] = fmaxf(expected->high[i], x[i]);
            if (t > 0) expected->rest_low[i] = fminf(expected->rest_low[i], x[i]);
            if (t > 0) expected->rest_high[i] = fmaxf(expected->rest_high[i], x[i]);
            for (size_t j = 0; j < width; j++) {
                expected->products[i * width + j] += weight * (double)x[i] * (double)x[j];
                expected->absolute[i * width + j] += weight * fabs((double)x[i] * (double)x[j]);
            }
        }
        size_t bin = 0; /* peak in [2^((bin - 32) / 2), ...) */
        while (bin + 1 < INC_PEAK_BINS && (double)peak >= exp2(((double)bin + 1 - 32) / 2)) bin++;
        expected->peaks[bin]++;
    }
}

/* One text at a time: nothing is padded. */
static struct expected *expect(struct test_calibrated *c)
{
    struct expected *expected = calloc(MAX_SLOTS, sizeof *expected);
    struct inc_run *run = c->runner.run;
    assert_non_null(expected);
    run->tap = look;
    run->tap_user = expected;
    for (size_t i = 0; i < c->calibration->n_texts; i++) {
        const struct inc_calibration_text *text = &c->calibration->texts[i];
        struct inc_tensor tensors[INC_MAX_TEXT_INPUTS];
        int64_t data[INC_MAX_TEXT_INPUTS][32];
        for (size_t k = 0; k < c->calibration->inputs.n; k++) {
            inc_text_inputs_fill(&c->calibration->inputs, k, c->calibration->ids + text->first, text->count,
                                 text->count, data[k]);
            tensors[k] = (struct inc_tensor){.type = INC_I64,
                                             .rank = 2,
                                             .dims = {1, (int64_t)text->count},
                                             .data = data[k],
                                             .bytes = text->count * sizeof(int64_t)};
        }
        assert_int_equal(inc_run_execute(run, tensors, c->calibration->inputs.n), INCISE_OK);
    }
    run->tap = NULL;
    return expected;
}

static void compare(const struct inc_input_statistics *input, const struct expected *expected)
{
    size_t width = expected->width;
    assert_int_equal(input->gram.left, width);
    assert_true(fabs(input->gram.n - expected->n) < 1e-9 * expected->n);
    for (size_t i = 0; i < width; i++) {
        assert_true(fabs(input->gram.left_sum[i] - expected->sum[i]) <
                    1e-9 * expected->n + 0x1p-24 * expected->means[i]); /* means are floats */
        assert_true(input->low[i] == expected->low[i] && input->high[i] == expected->high[i]);
        assert_true(input->rest_low[i] == expected->rest_low[i] && input->rest_high[i] == expected->rest_high[i]);
        for (size_t j = 0; j <= i; j++)
            assert_true(fabs(input->gram.products[i * width + j] - expected->products[i * width + j]) <=
                        expected->absolute[i * width + j] * 1025 * 0x1p-24);
    }
    assert_memory_equal(input->peaks, expected->peaks, sizeof input->peaks);
}

static void check_model(const char *model, size_t n_inputs)
{
    struct test_calibrated c;
    struct inc_statistics *statistics;
    test_calibrated_open(&c, model, NULL, TEXTS, test_seed());
    size_t tokens = 0, held_out = 0;
    for (size_t i = 0; i < c.calibration->n_batches; i++) {
        const struct inc_calibration_batch *batch = &c.calibration->batches[i];
        assert_int_equal(batch->row, tokens);
        assert_true(batch->n * batch->length <= 4096);
        tokens += batch->tokens;
        held_out += batch->held_out ? batch->n : 0;
    }
    assert_int_equal(tokens, c.calibration->n_ids);
    assert_int_equal(held_out, TEXTS / 16 * 2); /* both kinds of prompt */
    assert_true(c.calibration->n_batches > 2);
    assert_int_equal(inc_statistics_collect(c.calibration, c.runner.program, NULL, NULL, NULL, &statistics), INCISE_OK);
    assert_int_equal(statistics->n_inputs, n_inputs);
    struct expected *expected = expect(&c);
    const struct inc_plan *plan = &c.runner.program->plan;
    struct inc_reader_group *groups;
    struct inc_arena arena;
    size_t n_groups, seen = 0;
    inc_arena_init(&arena, test_ctx());
    assert_int_equal(inc_reader_groups(plan, &arena, &groups, &n_groups), INCISE_OK);
    assert_true(inc_statistics_fit(statistics, plan, groups, n_groups));
    for (size_t i = 0; i < n_groups; i++)
        for (size_t k = 0; k < groups[i].n; k++, seen++)
            compare(&statistics->inputs[i], &expected[plan->steps[groups[i].steps[k]].u.linear.slot]);
    assert_int_equal(seen, plan->n_slots);
    inc_arena_fini(&arena);
    free(expected);
    inc_statistics_destroy(statistics);
    test_calibrated_close(&c);
}

/* Two layers with four inputs each: q, k, v share one, and so do gate and up. */
static void sums_are_those_of_single_texts(void **state)
{
    (void)state;
    check_model("bert", 8);
    check_model("gemma", 8);
}

static void parts_merge_to_the_whole(void **state)
{
    (void)state;
    struct test_calibrated c, other;
    struct inc_statistics *a, *b, *both;
    test_calibrated_open(&c, "bert", NULL, 40, 1);
    test_calibrated_open(&other, "bert", NULL, 1, 2); /* one passage only */
    assert_int_equal(inc_statistics_collect(c.calibration, c.runner.program, NULL, NULL, NULL, &a), INCISE_OK);
    assert_int_equal(inc_statistics_collect(c.calibration, c.runner.program, NULL, NULL, NULL, &both), INCISE_OK);
    assert_int_equal(inc_statistics_collect(other.calibration, other.runner.program, NULL, NULL, NULL, &b), INCISE_OK);
    inc_statistics_merge(both, b);
    for (size_t i = 0; i < both->n_inputs; i++) {
        const struct inc_input_statistics *x = &a->inputs[i], *y = &b->inputs[i], *sum = &both->inputs[i];
        assert_true(sum->gram.n == x->gram.n + y->gram.n);
        for (size_t k = 0; k < sum->gram.left; k++) {
            assert_true(sum->gram.left_sum[k] == x->gram.left_sum[k] + y->gram.left_sum[k]);
            assert_true(sum->low[k] == fminf(x->low[k], y->low[k]) && sum->high[k] == fmaxf(x->high[k], y->high[k]));
            assert_true(sum->rest_high[k] == fmaxf(x->rest_high[k], y->rest_high[k]));
        }
        for (size_t k = 0; k < sum->gram.left * sum->gram.left; k++)
            assert_true(sum->gram.products[k] == x->gram.products[k] + y->gram.products[k]);
        for (size_t k = 0; k < INC_PEAK_BINS; k++) assert_true(sum->peaks[k] == x->peaks[k] + y->peaks[k]);
    }
    inc_statistics_destroy(a), inc_statistics_destroy(b), inc_statistics_destroy(both);
    test_calibrated_close(&c), test_calibrated_close(&other);
}

/* From kept rows the same bits come out as from the start. */
static void streams_go_on_from_kept_rows(void **state)
{
    (void)state;
    struct test_calibrated c;
    struct inc_stream kept, whole;
    test_calibrated_open(&c, "gemma", NULL, 300, 3);
    const struct inc_plan *plan = &c.runner.program->plan;
    assert_int_equal(inc_stream_open(c.calibration, c.runner.program, &kept), INCISE_OK);
    assert_int_equal(inc_stream_open(c.calibration, c.runner.program, &whole), INCISE_OK);
    for (size_t step = 0; step < plan->n_steps; step += 3) {
        struct inc_operand rows = plan->steps[step].in[0];
        assert_int_equal(inc_stream_advance(&kept, step), INCISE_OK);
        for (size_t batch = 0; batch < c.calibration->n_batches; batch++) {
            size_t stride;
            assert_int_equal(inc_stream_run(&kept, batch, step), INCISE_OK);
            assert_int_equal(inc_stream_run(&whole, batch, step), INCISE_OK);
            if (plan->buffers[rows.buffer].kind != INC_BUFFER_ROWS) continue;
            const float *a = inc_run_rows(kept.run, rows.buffer, &stride);
            const float *b = inc_run_rows(whole.run, rows.buffer, &stride);
            for (size_t t = 0; t < kept.run->batch.n_tokens; t++)
                assert_memory_equal(a + t * stride, b + t * stride, plan->buffers[rows.buffer].width * sizeof *a);
        }
    }
    assert_int_equal(whole.n_cuts, 0);
    assert_true(kept.n_cuts > 2);
    inc_stream_close(&kept), inc_stream_close(&whole);
    test_calibrated_close(&c);
}

/* Weights so large that the rows behind them overflow. */
static void a_layer_that_overflows_is_named(void **state)
{
    (void)state;
    struct inc_graph *graph = test_fixture_graph("bert");
    struct test_calibrated c;
    struct inc_statistics *statistics;
    for (struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (strcmp(node->name, "self.encoder.layer.0.intermediate.dense.weight") == 0 ||
            strcmp(node->name, "self.encoder.layer.0.output.dense.weight") == 0)
            for (size_t i = 0; i < inc_tensor_elements(&node->data); i++) ((float *)node->data.data)[i] *= 1e30f;
    test_calibrated_open(&c, NULL, graph, 4, 1);
    test_clear_error();
    assert_int_equal(inc_statistics_collect(c.calibration, c.runner.program, NULL, NULL, NULL, &statistics),
                     INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "not finite on the calibration texts"));
    assert_non_null(strstr(test_last_error(), "layer.1"));
    test_calibrated_close(&c);
}

static enum incise_status create(struct test_calibrated *c, const char *const *texts, size_t n)
{
    size_t lengths[4];
    struct inc_calibration *calibration;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", test_fixture_path("bert-hf", NULL));
    for (size_t i = 0; i < n; i++) lengths[i] = strlen(texts[i]);
    const struct incise_calibration source = {.texts = texts, .lengths = lengths, .n = n};
    test_clear_error();
    enum incise_status status = inc_calibration_create(c->graph, c->runner.pool, c->runner.device, folder, &source,
                                                       &calibration);
    if (status == INCISE_OK) inc_calibration_destroy(calibration);
    return status;
}

static void texts_without_tokens_are_refused(void **state)
{
    (void)state;
    struct test_calibrated c;
    const char *const empty[] = {"", ""}, *const broken[] = {"fine", "\xff"}, *const some[] = {"", "a b"};
    test_calibrated_open(&c, "bert", NULL, 1, 1);
    assert_int_equal(create(&c, empty, 0), INCISE_ERROR_DATA);
    assert_int_equal(create(&c, empty, 2), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "hold no tokens"));
    assert_int_equal(create(&c, broken, 2), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "calibration text 1"));
    assert_int_equal(create(&c, some, 2), INCISE_OK);
    test_calibrated_close(&c);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct test_calibrated c;
    struct inc_statistics *statistics;
    test_calibrated_open(&c, "bert", NULL, 8, 1);
    struct inc_ctx small = *test_ctx();
    small.max_memory = 6 * 64 * 64 * sizeof(double); /* eight inputs, two of them wider */
    c.calibration->ctx = &small;
    test_clear_error();
    assert_int_equal(inc_statistics_collect(c.calibration, c.runner.program, NULL, NULL, NULL, &statistics),
                     INCISE_ERROR_MEMORY);
    assert_non_null(strstr(test_last_error(), "statistics of 8 layer inputs"));
    c.calibration->ctx = test_ctx();
    for (size_t n = 0;; n++) {
        test_fail_after(n);
        enum incise_status status = inc_statistics_collect(c.calibration, c.runner.program, NULL, NULL, NULL,
                                                           &statistics);
        test_fail_after(SIZE_MAX);
        if (status == INCISE_OK) break;
        assert_int_equal(status, INCISE_ERROR_MEMORY);
    }
    inc_statistics_destroy(statistics);
    test_calibrated_close(&c);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_single_texts),   cmocka_unit_test(parts_merge_to_the_whole),
        cmocka_unit_test(streams_go_on_from_kept_rows),     cmocka_unit_test(a_layer_that_overflows_is_named),
        cmocka_unit_test(texts_without_tokens_are_refused), cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
