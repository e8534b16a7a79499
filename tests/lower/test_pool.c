/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of texts, in the forms that exporters write them: every form becomes Pool (and NormalizeL2), expands to what
 * the file says, and runs to the reference's values with the same bits for any batch and any number of threads. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lower/expand.h"
#include "support/encoder.h"
#include "support/expanded.h"
#include "support/small_graph.h"

#define W ENCODER_WIDTH

/* ---- forms ------------------------------------------------------------------------------------------------------- */

static struct inc_value *op(struct encoder *e, enum inc_op op, struct inc_value *a, struct inc_value *b)
{
    return encoder_op(e, op, a, b, NULL);
}

static struct inc_value *reduce(struct encoder *e, enum inc_op kind, struct inc_value *x, int64_t axis, bool keep)
{
    struct inc_value *y = op(e, kind, x, encoder_ints(e, 1, &axis));
    inc_attr_set_bool(y->node, "keep_dims", keep);
    return y;
}

/* [batch, length, 1] */
static struct inc_value *column(struct encoder *e, enum inc_type type)
{
    return encoder_convert(e, encoder_unsqueeze(e, e->mask, 1, (int64_t[]){2}), type);
}

static struct inc_value *mean(struct encoder *e, struct inc_value *x, struct inc_value *real, bool keep)
{
    struct inc_value *count = reduce(e, INC_OP_REDUCE_SUM, real, 1, keep);
    return op(e, INC_OP_DIVIDE, reduce(e, INC_OP_REDUCE_SUM, op(e, INC_OP_MULTIPLY, x, real), 1, keep),
              op(e, INC_OP_MAXIMUM, count, encoder_float(e, 1e-9)));
}

static struct inc_value *mean_ours(struct encoder *e, struct inc_value *x)
{
    return mean(e, x, column(e, INC_F32), false);
}

static struct inc_value *mean_kept(struct encoder *e, struct inc_value *x)
{
    return mean(e, x, column(e, INC_F32), true);
}

/* mask.unsqueeze(-1).expand(x.size()).float(), as PyTorch exporters write it */
static struct inc_value *mean_expanded(struct encoder *e, struct inc_value *x)
{
    struct inc_value *mask = encoder_unsqueeze(e, e->mask, 1, (int64_t[]){-1});
    struct inc_value *shape = op(e, INC_OP_SHAPE_OF, x, NULL);
    struct inc_value *wide = op(e, INC_OP_BROADCAST, mask, shape);
    test_succeed(inc_attr_set_string(e->graph, wide->node, "mode", "bidirectional"));
    struct inc_value *real = encoder_convert(e, wide, INC_F32);
    struct inc_value *count = op(e, INC_OP_CLAMP, reduce(e, INC_OP_REDUCE_SUM, real, 1, false), NULL);
    inc_attr_set_float(count->node, "min", 1e-9);
    inc_attr_set_float(count->node, "max", (double)FLT_MAX);
    return op(e, INC_OP_DIVIDE, reduce(e, INC_OP_REDUCE_SUM, op(e, INC_OP_MULTIPLY, real, x), 1, false), count);
}

/* The count is that of the integer mask, and nothing keeps it from 0. */
static struct inc_value *mean_counted(struct encoder *e, struct inc_value *x)
{
    struct inc_value *count = encoder_convert(e, reduce(e, INC_OP_REDUCE_SUM, e->mask, 1, true), INC_F32);
    struct inc_value *sum = reduce(e, INC_OP_REDUCE_SUM, op(e, INC_OP_MULTIPLY, x, column(e, INC_F32)), -2, false);
    return op(e, INC_OP_DIVIDE, sum, count);
}

static struct inc_value *mean_sqrt(struct encoder *e, struct inc_value *x)
{
    struct inc_value *real = column(e, INC_F32);
    struct inc_value *sum = reduce(e, INC_OP_REDUCE_SUM, op(e, INC_OP_MULTIPLY, x, real), 1, false);
    struct inc_value *count = reduce(e, INC_OP_REDUCE_SUM, real, 1, false);
    count = op(e, INC_OP_MAXIMUM, encoder_float(e, 1e-9), count);
    return op(e, INC_OP_DIVIDE, sum, op(e, INC_OP_SQRT, count, NULL));
}

static struct inc_value *max(struct encoder *e, struct inc_value *x)
{
    return reduce(e, INC_OP_REDUCE_MAX,
                  encoder_op(e, INC_OP_SELECT, column(e, INC_BOOL), x, encoder_float(e, -1e9)), 1, false);
}

static struct inc_value *token(struct encoder *e, struct inc_value *x, struct inc_value *index, int64_t batch_dims)
{
    struct inc_value *row = encoder_op(e, INC_OP_GATHER, x, index, encoder_int(e, 1));
    inc_attr_set_int(row->node, "batch_dims", batch_dims);
    return row;
}

static struct inc_value *first(struct encoder *e, struct inc_value *x)
{
    return token(e, x, encoder_int(e, 0), 0);
}

static struct inc_value *first_kept(struct encoder *e, struct inc_value *x)
{
    return token(e, x, encoder_ints(e, 1, (int64_t[]){0}), 0);
}

static struct inc_value *last_place(struct encoder *e, struct inc_value *x)
{
    return token(e, x, encoder_int(e, -1), 0);
}

/* The largest position whose mask is 1. */
static struct inc_value *last_real(struct encoder *e, struct inc_value *x)
{
    struct inc_value *range = encoder_op(e, INC_OP_RANGE, encoder_int(e, 0), encoder_length(e), encoder_int(e, 1));
    inc_attr_set_type(range->node, "output_type", INC_I64);
    struct inc_value *at = op(e, INC_OP_MULTIPLY, encoder_unsqueeze(e, range, 1, (int64_t[]){0}), e->mask);
    return token(e, x, reduce(e, INC_OP_REDUCE_MAX, at, 1, false), 1);
}

static const struct form {
    const char *name;
    struct inc_value *(*pool)(struct encoder *e, struct inc_value *x);
    const char *mode;
    bool empty; /* what the file says of a text without tokens is what we give: else it is the row of a padded token */
} forms[] = {
    {"mean", mean_ours, "mean", true},
    {"mean, axis kept", mean_kept, "mean", true},
    {"mean, expanded mask", mean_expanded, "mean", true},
    {"mean, integer count", mean_counted, "mean", false},
    {"mean_sqrt", mean_sqrt, "mean_sqrt", true},
    {"max", max, "max", true},
    {"first token", first, "token", false},
    {"first token, axis kept", first_kept, "token", false},
    {"last place", last_place, "token", false},
    {"last real token", last_real, "token", false},
};
#define N_FORMS (sizeof forms / sizeof *forms)

/* ---- heads ------------------------------------------------------------------------------------------------------- */

/* x / max(||x||, 1e-12): by ReduceL2 and Maximum, by a root of squares and Clamp, or by NormalizeL2. */
static struct inc_value *normalize(struct encoder *e, struct inc_value *x, int way)
{
    struct inc_value *length;
    const int64_t last = -1;
    if (way == 2) {
        struct inc_value *y = op(e, INC_OP_NORMALIZE_L2, x, encoder_ints(e, 1, &last));
        inc_attr_set_float(y->node, "eps", 1e-10);
        test_succeed(inc_attr_set_string(e->graph, y->node, "eps_mode", "add"));
        return y;
    }
    if (way == 0) {
        length = op(e, INC_OP_MAXIMUM, reduce(e, INC_OP_REDUCE_L2, x, -1, true), encoder_float(e, 1e-12));
    } else {
        length = op(e, INC_OP_SQRT, reduce(e, INC_OP_REDUCE_SUM, op(e, INC_OP_MULTIPLY, x, x), -1, true), NULL);
        length = op(e, INC_OP_CLAMP, length, NULL);
        inc_attr_set_float(length->node, "min", 1e-12);
        inc_attr_set_float(length->node, "max", (double)FLT_MAX);
    }
    return op(e, INC_OP_DIVIDE, x, length);
}

/* i8 weights with a scale per output. */
static struct inc_value *integer_linear(struct encoder *e, struct inc_value *x, int64_t out)
{
    double q[64 * W], scale[64];
    for (int64_t i = 0; i < out * W; i++) q[i] = floor((double)test_random_float(&e->random, -127, 128));
    for (int64_t i = 0; i < out; i++) scale[i] = (double)test_random_float(&e->random, 0.002f, 0.004f);
    struct inc_value *bytes = small_constant(e->graph, "q", INC_I8, DIMS2(out, W), q);
    struct inc_value *weight = op(e, INC_OP_MULTIPLY, encoder_convert(e, bytes, INC_F32),
                                  small_constant(e->graph, "scale", INC_F32, DIMS2(out, 1), scale));
    struct inc_value *product = op(e, INC_OP_MATMUL, x, weight);
    inc_attr_set_bool(product->node, "transpose_b", true);
    return product;
}

/* Linear with bias and Tanh, an element-wise op, a Linear with INT8 weights, a residual, and a norm. */
static struct inc_value *head(struct encoder *e, struct inc_value *x, int way)
{
    struct inc_value *y = op(e, INC_OP_ADD, encoder_linear(e, x, W), encoder_weights(e, 2, (int64_t[]){1, W}));
    y = op(e, INC_OP_MULTIPLY, op(e, INC_OP_TANH, y, NULL), encoder_float(e, 1.5));
    y = op(e, INC_OP_ADD, integer_linear(e, y, W), x);
    return normalize(e, y, way);
}

/* An encoder whose attention hides padding (or that has none), and both its outputs. */
static void build(struct encoder *e, const struct form *form, bool attention, int way)
{
    encoder_start(e);
    struct inc_value *x = e->x;
    if (attention) {
        const struct encoder_mask mask = {.padding = true, .additive = true};
        x = op(e, INC_OP_ADD, encoder_attention(e, x, encoder_mask(e, &mask)), x);
    }
    struct inc_value *pooled = head(e, form->pool(e, x), way);
    assert_non_null(inc_graph_add(e->graph, INC_OP_RESULT, "tokens", &x, 1, NULL));
    encoder_finish(e, pooled);
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

enum { TEXTS = 4, LENGTH = 9 };

/* Padding on the right, holes, padding on the left, and no padding. */
static const int64_t masks[TEXTS][LENGTH] = {
    {1, 1, 1, 1, 0, 0, 0, 0, 0}, {1, 0, 1, 1, 0, 1, 0, 0, 0}, {0, 0, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}};

static void make_inputs(const struct encoder *e, struct test_inputs *inputs)
{
    uint64_t random = test_seed();
    test_inputs_make(e->graph, TEXTS, LENGTH, inputs);
    for (int64_t s = 0; s < TEXTS; s++)
        for (int64_t j = 0; j < LENGTH; j++) {
            *test_inputs_at(e->graph, inputs, "attention_mask", s, j) = masks[s][j];
            *test_inputs_at(e->graph, inputs, "input_ids", s, j) = (int64_t)(test_random(&random) % ENCODER_VOCABULARY);
        }
}

/* Output 1 of a file graph. */
static void reference(const struct inc_graph *graph, const struct test_inputs *inputs, struct inc_tensor *output)
{
    struct inc_feed feeds[TEST_MAX_INPUTS], wanted = {.value = graph->results[1]->inputs[0]};
    for (size_t i = 0; i < inputs->n; i++)
        feeds[i] = (struct inc_feed){&graph->parameters[i]->outputs[0], inputs->tensors[i]};
    test_succeed(inc_eval_run(graph, feeds, inputs->n, &wanted, 1));
    *output = wanted.tensor;
}

/* Unit vectors of 16 numbers behind a few hundred roundings. A text whose padding comes first has, as first token, a
 * padded one: zeros here, what the model makes of padding in the file. So has "last place" with padding behind. */
static void compare(const struct form *form, const struct inc_tensor *got, const struct inc_tensor *expected)
{
    assert_int_equal(got->bytes, expected->bytes);
    assert_int_equal(got->rank, expected->rank);
    for (int i = 0; i < got->rank; i++) assert_int_equal(got->dims[i], expected->dims[i]);
    for (int64_t s = 0; s < TEXTS; s++) {
        if ((form->pool == first || form->pool == first_kept) && masks[s][0] == 0) continue;
        if (form->pool == last_place && masks[s][LENGTH - 1] == 0) continue;
        for (int64_t k = s * W; k < (s + 1) * W; k++) {
            double x = ((const float *)got->data)[k], y = ((const float *)expected->data)[k];
            if (!(fabs(x - y) <= 2e-6)) fail_msg("%s: text %d: %g instead of %g", form->name, (int)s, x, y);
        }
    }
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static const struct inc_node *find_op(const struct inc_graph *graph, enum inc_op op)
{
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (node->op == op) return node;
    return NULL;
}

/* What the passes make of it expands to what it was. */
static void check_passes(struct encoder *e, const struct form *form, const struct test_inputs *inputs,
                         const struct inc_tensor *expected)
{
    struct inc_lowering lowering = {.ctx = test_ctx()};
    struct inc_tensor output = {0};
    test_succeed(inc_graph_clone(e->graph, &lowering.graph));
    test_succeed(inc_lower_run(&lowering, NULL, NULL));
    assert_string_equal(lowering.reason, "");
    const struct inc_node *pool = find_op(lowering.graph, INC_OP_POOL);
    assert_non_null(pool);
    assert_non_null(find_op(lowering.graph, INC_OP_NORMALIZE_L2));
    assert_string_equal(inc_attr_string(pool, "mode"), form->mode);
    bool second = strcmp(form->mode, "token") == 0 || lowering.mask == NULL;
    assert_int_equal(pool->n_inputs, second ? 2 : 1);
    test_succeed(inc_expand(&lowering));
    test_succeed(inc_graph_verify(lowering.graph));
    reference(lowering.graph, inputs, &output);
    compare(form, &output, expected);
    inc_tensor_release(test_ctx(), &output);
    inc_graph_destroy(lowering.graph);
}

/* Text s alone and without its padding, as a batch of one. */
static void check_alone(const struct encoder *e, struct test_runner *runner, const struct test_inputs *all, int64_t s,
                        const float *together)
{
    struct test_inputs one;
    int64_t n = 0;
    for (int64_t j = 0; j < LENGTH; j++) n += masks[s][j];
    test_inputs_make(e->graph, 1, n, &one);
    for (int64_t j = 0, t = 0; j < LENGTH; j++) {
        if (masks[s][j] == 0) continue;
        *test_inputs_at(e->graph, &one, "attention_mask", 0, t) = 1;
        *test_inputs_at(e->graph, &one, "input_ids", 0, t++) =
            *test_inputs_at(e->graph, (struct test_inputs *)all, "input_ids", s, j);
    }
    (void)test_run(runner, &one);
    assert_memory_equal(runner->run->outputs[1].data, together, W * sizeof(float));
    test_inputs_free(&one);
}

static void check_run(struct encoder *e, const struct form *form, const struct test_inputs *inputs, bool attention,
                      const struct inc_tensor *expected)
{
    struct inc_tensor kept = {0};
    for (int threads = 1; threads <= 3; threads++) {
        struct test_runner runner;
        test_runner_open(&runner, e->graph, incise_isa_detect(), threads, INC_INTEGER_NONE);
        if (!runner.program->fused) fail_msg("%s: %s", form->name, runner.program->lowering.reason);
        (void)test_run(&runner, inputs);
        const struct inc_tensor *output = &runner.run->outputs[1];
        assert_int_equal(runner.run->outputs[0].rank, 3);
        if (threads == 1) {
            compare(form, output, expected);
            test_keep(output, &kept);
        }
        test_same_bits(output, &kept);
        for (int64_t s = 0; s < TEXTS && attention; s++) {
            bool moved = form->pool == last_place ? masks[s][LENGTH - 1] == 0 : masks[s][0] == 0;
            if (strcmp(form->mode, "token") != 0 || form->pool == last_real || !moved)
                check_alone(e, &runner, inputs, s, (const float *)kept.data + s * W);
        }
        test_runner_close(&runner);
    }
    inc_tensor_release(test_ctx(), &kept);
}

static void every_form_runs_fused(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FORMS; f++)
        for (int attention = 0; attention < 2; attention++) {
            struct encoder e;
            struct test_inputs inputs;
            struct inc_tensor expected = {0};
            build(&e, &forms[f], attention, (int)f % 3);
            make_inputs(&e, &inputs);
            reference(e.graph, &inputs, &expected);
            check_passes(&e, &forms[f], &inputs, &expected);
            check_run(&e, &forms[f], &inputs, attention, &expected);
            inc_tensor_release(test_ctx(), &expected);
            test_inputs_free(&inputs);
            inc_graph_destroy(e.graph);
        }
    assert_int_equal(test_live_allocations(), 0);
}

/* A text without tokens gives what the file's formula gives, beside others and alone. */
static void texts_without_tokens(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FORMS; f++) {
        struct encoder e;
        struct test_inputs inputs;
        struct test_runner runner;
        if (!forms[f].empty) continue;
        for (int64_t texts = 1; texts <= 2; texts++) {
            encoder_start(&e);
            struct inc_value *x = encoder_attention(&e, e.x, encoder_mask(&e, &(struct encoder_mask){.padding = true}));
            encoder_finish(&e, forms[f].pool(&e, x));
            test_runner_open(&runner, e.graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
            assert_true(runner.program->fused);
            test_inputs_make(e.graph, texts, 3, &inputs);
            if (texts == 2) *test_inputs_at(e.graph, &inputs, "attention_mask", 1, 2) = 1;
            const struct inc_tensor *output = test_run(&runner, &inputs);
            for (size_t k = 0; k < W; k++)
                assert_true(((const float *)output->data)[k] == (strcmp(forms[f].mode, "max") == 0 ? -1e9f : 0));
            test_inputs_free(&inputs);
            test_runner_close(&runner);
            inc_graph_destroy(e.graph);
        }
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* A picked token that is padding gives zeros. */
static void padding_is_zeros(void **state)
{
    (void)state;
    struct encoder e;
    struct test_inputs inputs;
    struct test_runner runner;
    encoder_start(&e);
    struct inc_value *x = encoder_attention(&e, e.x, encoder_mask(&e, &(struct encoder_mask){.padding = true}));
    encoder_finish(&e, first(&e, x));
    make_inputs(&e, &inputs);
    test_runner_open(&runner, e.graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    const float *rows = test_run(&runner, &inputs)->data;
    for (int64_t s = 0; s < TEXTS; s++)
        for (int64_t k = 0; k < W; k++) assert_true((rows[s * W + k] == 0) == (masks[s][0] == 0));
    test_inputs_free(&inputs);
    test_runner_close(&runner);
    inc_graph_destroy(e.graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* A model's own positions can lie outside a text; a mask of other tokens than attention's cannot be pooled packed. */
static void what_does_not_fit(void **state)
{
    (void)state;
    struct encoder e;
    struct test_inputs inputs;
    struct test_runner runner;
    const struct encoder_mask mask = {.padding = true};
    encoder_start(&e);
    struct inc_value *x = encoder_attention(&e, e.x, encoder_mask(&e, &mask));
    encoder_finish(&e, token(&e, x, encoder_int(&e, LENGTH), 0));
    make_inputs(&e, &inputs);
    test_runner_open(&runner, e.graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
    assert_true(runner.program->fused);
    test_clear_error();
    assert_int_equal(inc_run_execute(runner.run, inputs.tensors, inputs.n), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "picks token 9 of 9"));
    test_inputs_free(&inputs);
    test_runner_close(&runner);
    inc_graph_destroy(e.graph);

    encoder_start(&e);
    x = encoder_attention(&e, e.x, encoder_mask(&e, &mask));
    e.mask = e.types;
    encoder_finish(&e, mean_ours(&e, x));
    test_runner_open(&runner, e.graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
    assert_false(runner.program->fused);
    assert_non_null(strstr(runner.program->lowering.reason, "does not pool the tokens that attention sees"));
    test_runner_close(&runner);
    inc_graph_destroy(e.graph);

    encoder_start(&e); /* token rows minus the text's mean: rows of both kinds in one op */
    x = encoder_attention(&e, e.x, encoder_mask(&e, &mask));
    encoder_finish(&e, op(&e, INC_OP_SUBTRACT, x, mean_kept(&e, x)));
    test_runner_open(&runner, e.graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
    assert_false(runner.program->fused);
    assert_non_null(strstr(runner.program->lowering.reason, "mixes rows of tokens with rows of sequences"));
    test_runner_close(&runner);
    inc_graph_destroy(e.graph);
    assert_int_equal(test_live_allocations(), 0);
}

static void note_rows(void *user, enum inc_tap_point point, uint32_t index, const float *rows, size_t n, size_t width,
                      size_t stride)
{
    size_t *seen = user; /* by slot */
    (void)rows, (void)stride, (void)width;
    if (point != INC_TAP_RESIDUAL) seen[index] += n;
}

/* The taps of the head show one row per text; INT8 weights multiply integers there too. */
static void head_is_tapped_and_quantized(void **state)
{
    (void)state;
    struct encoder e;
    struct test_inputs inputs;
    struct test_runner runner;
    struct inc_tensor floats = {0};
    build(&e, &forms[0], true, 0);
    make_inputs(&e, &inputs);
    for (int integer = 0; integer < 2; integer++) {
        size_t seen[8] = {0}, tokens = 0, of_texts = 0, integers = 0;
        test_runner_open(&runner, e.graph, incise_isa_detect(), 2, integer ? INC_INTEGER_ALL : INC_INTEGER_NONE);
        runner.run->tap = note_rows;
        runner.run->tap_user = seen;
        (void)test_run(&runner, &inputs);
        const struct inc_plan *plan = &runner.program->plan;
        assert_in_range(plan->n_slots, 3, 8);
        for (size_t i = 0; i < TEXTS * LENGTH; i++) tokens += masks[i / LENGTH][i % LENGTH] != 0;
        for (size_t i = 0; i < plan->n_slots; i++) {
            assert_true(seen[i] == 2 * tokens || seen[i] == 2 * TEXTS); /* input and output */
            of_texts += seen[i] == 2 * TEXTS;
            integers += plan->slots[i].integer;
        }
        assert_int_equal(of_texts, 2);
        assert_int_equal(integers, integer);
        const struct inc_tensor *output = &runner.run->outputs[1];
        if (!integer) test_keep(output, &floats);
        for (size_t i = 0; i < TEXTS * W; i++) /* sums of 16 terms, each off by half of 1/127 of the row's largest */
            assert_true(fabsf(((const float *)output->data)[i] - ((const float *)floats.data)[i]) < 0.02f);
        assert_int_equal(memcmp(output->data, floats.data, floats.bytes) == 0, !integer);
        test_runner_close(&runner);
    }
    inc_tensor_release(test_ctx(), &floats);
    test_inputs_free(&inputs);
    inc_graph_destroy(e.graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* Batches grow in one direction and then in the other: memory of tokens and of texts grows apart. */
static void batches_of_every_size(void **state)
{
    (void)state;
    struct encoder e;
    struct test_runner runner, fresh;
    build(&e, &forms[0], true, 0);
    test_runner_open(&runner, e.graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    static const int64_t sizes[][2] = {{1, 40}, {40, 1}, {3, 7}, {1, 200}, {100, 2}, {1, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct test_inputs inputs;
        test_inputs_make(e.graph, sizes[i][0], sizes[i][1], &inputs);
        for (int64_t s = 0; s < sizes[i][0]; s++)
            for (int64_t j = 0; j < sizes[i][1]; j++) {
                *test_inputs_at(e.graph, &inputs, "attention_mask", s, j) = j <= s || s % 2 == 0;
                *test_inputs_at(e.graph, &inputs, "input_ids", s, j) = (s + 3 * j) % ENCODER_VOCABULARY;
            }
        test_runner_open(&fresh, e.graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
        (void)test_run(&fresh, &inputs);
        (void)test_run(&runner, &inputs);
        test_same_bits(&runner.run->outputs[0], &fresh.run->outputs[0]);
        test_same_bits(&runner.run->outputs[1], &fresh.run->outputs[1]);
        assert_true(inc_run_estimate(runner.program, (size_t)sizes[i][0], (size_t)sizes[i][1]) > 0);
        test_runner_close(&fresh);
        test_inputs_free(&inputs);
    }
    test_runner_close(&runner);
    inc_graph_destroy(e.graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* Any allocation of lowering, planning, packing or running may fail: a typed error then, and nothing is lost. */
static void memory_failures(void **state)
{
    (void)state;
    static const size_t tried[] = {2, 9}; /* with weights and with an index of the index part */
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        struct encoder e;
        struct test_inputs inputs;
        struct test_runner opened;
        enum incise_status status = INCISE_ERROR_MEMORY;
        build(&e, &forms[tried[i]], false, 0);
        make_inputs(&e, &inputs);
        test_runner_open(&opened, e.graph, incise_isa_detect(), 1, INC_INTEGER_NONE); /* for its device */
        for (size_t n = 0; status != INCISE_OK; n += 1 + n / 20) { /* every early one, then fewer */
            const struct inc_program_options options = {.mode = INC_INTEGER_NONE};
            struct inc_program *program = NULL;
            struct inc_run *run = NULL;
            test_fail_after(n);
            status = inc_program_create(e.graph, opened.device, &options, &program);
            if (status == INCISE_OK) status = inc_run_create(program, &run);
            if (status == INCISE_OK) status = inc_run_execute(run, inputs.tensors, inputs.n);
            test_fail_after(SIZE_MAX);
            assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
            inc_run_destroy(run);
            inc_program_destroy(program);
        }
        test_runner_close(&opened);
        test_inputs_free(&inputs);
        inc_graph_destroy(e.graph);
        assert_int_equal(test_live_allocations(), 0);
    }
}

/* Rows of several parts, each with weights of its own. */
static void wide_rows(void **state)
{
    (void)state;
    struct encoder e;
    struct test_inputs inputs;
    struct inc_tensor expected = {0}, kept = {0};
    enum { WIDE = 300 };
    encoder_start(&e);
    struct inc_value *table = encoder_weights(&e, 2, (int64_t[]){ENCODER_VOCABULARY, WIDE});
    encoder_finish(&e, mean_sqrt(&e, encoder_op(&e, INC_OP_GATHER, table, e.ids, encoder_int(&e, 0))));
    make_inputs(&e, &inputs);
    *test_inputs_at(e.graph, &inputs, "attention_mask", 0, 1) = 3; /* no attention: a mask is any number */
    test_reference(e.graph, &inputs, &expected);
    for (int threads = 1; threads <= 3; threads++) {
        struct test_runner runner;
        test_runner_open(&runner, e.graph, incise_isa_detect(), threads, INC_INTEGER_NONE);
        assert_true(runner.program->fused);
        const struct inc_tensor *output = test_run(&runner, &inputs);
        if (threads == 1) test_keep(output, &kept);
        test_same_bits(output, &kept);
        test_runner_close(&runner);
    }
    for (size_t i = 0; i < TEXTS * WIDE; i++) {
        double x = ((const float *)kept.data)[i], y = ((const float *)expected.data)[i];
        assert_true(fabs(x - y) <= 4e-7 * (1 + fabs(y))); /* products of up to 1.5 and three results are rounded */
    }
    inc_tensor_release(test_ctx(), &kept);
    inc_tensor_release(test_ctx(), &expected);
    test_inputs_free(&inputs);
    inc_graph_destroy(e.graph);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_runs_fused),        cmocka_unit_test(texts_without_tokens),
        cmocka_unit_test(padding_is_zeros),             cmocka_unit_test(what_does_not_fit),
        cmocka_unit_test(head_is_tapped_and_quantized), cmocka_unit_test(batches_of_every_size),
        cmocka_unit_test(wide_rows),                    cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
