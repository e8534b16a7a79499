/* SPDX-License-Identifier: Apache-2.0 */
/* Which masks are proved to be padding, causal or a window; and that those which are not still give what they say. */
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "lower/mask.h"
#include "lower/match.h"
#include "lower/passes.h"
#include "support/encoder.h"
#include "support/runner.h"

/* Encoder of one attention layer: sums of 16 products, softmax over at most 40 keys. */
#define LIMIT 1e-5

/* ---- proofs ------------------------------------------------------------------------------------------------------ */

struct proof {
    bool proved;
    char padding[32]; /* name of the input, or "" */
    bool causal;
    uint32_t window;
};

/* Builds the encoder around `mask` and destroys it. */
static struct proof prove(struct encoder *encoder, struct inc_value *mask)
{
    struct inc_lowering lowering = {.ctx = test_ctx(), .graph = encoder->graph};
    struct inc_mask_form form;
    struct proof proof = {0};
    const struct inc_node *attention = encoder_attention(encoder, encoder->x, mask)->node;
    encoder_finish(encoder, (struct inc_value *)&attention->outputs[0]);
    test_clear_error();
    assert_int_equal(inc_pass_unify_inputs(&lowering), INCISE_OK);
    assert_int_equal(inc_pass_fold_constants(&lowering), INCISE_OK);
    assert_int_equal(inc_pass_split_shapes(&lowering), INCISE_OK);
    assert_string_equal(lowering.reason, "");
    inc_mark_body(encoder->graph);
    if (inc_mask_prove(&lowering, mask, &proof.proved, &form) != INCISE_OK) fail_msg("%s", test_last_error());
    assert_string_equal(test_last_error(), "");
    if (form.padding != NULL) snprintf(proof.padding, sizeof proof.padding, "%s", form.padding->name);
    proof.causal = form.causal;
    proof.window = form.window;
    inc_graph_destroy(encoder->graph);
    assert_int_equal(test_live_allocations(), 0);
    return proof;
}

static void expect_form(const struct encoder_mask *mask)
{
    struct encoder encoder;
    encoder_start(&encoder);
    struct proof proof = prove(&encoder, encoder_mask(&encoder, mask));
    bool fine = proof.proved && strcmp(proof.padding, mask->padding ? "attention_mask" : "") == 0 &&
                proof.causal == mask->causal && proof.window == mask->window;
    if (!fine)
        fail_msg("padding %d causal %d window %d additive %d: got %d '%s' %d %u", mask->padding, mask->causal,
                 (int)mask->window, mask->additive, proof.proved, proof.padding, proof.causal, proof.window);
}

static void expect_unproved(const char *what, struct encoder *encoder, struct inc_value *mask)
{
    if (prove(encoder, mask).proved) fail_msg("%s: proved, though it is none of the forms", what);
}

static void forms_are_found(void **state)
{
    (void)state;
    for (int additive = 0; additive < 2; additive++)
        for (int causal = 0; causal < 2; causal++)
            for (int padding = 0; padding < 2; padding++) {
                static const int64_t windows[] = {0, 2, 3, 4, 9, 16, 17, 64};
                for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
                    if (!padding && !causal && windows[w] == 0) continue;
                    expect_form(&(struct encoder_mask){padding, causal, windows[w], 0, additive});
                }
            }
}

/* A window of 1 sees itself only, so whether it is causal too is one and the same. */
static void a_window_of_one(void **state)
{
    (void)state;
    for (int causal = 0; causal < 2; causal++) {
        struct encoder encoder;
        encoder_start(&encoder);
        struct proof proof =
            prove(&encoder, encoder_mask(&encoder, &(struct encoder_mask){.causal = causal, .window = 1}));
        assert_true(proof.proved);
        assert_int_equal(proof.window, 1);
    }
}

/* The rules change with the length, at a constant that only the file tells: nothing to prove. (Below 3 they would
 * agree.) */
static void rules_that_change_are_not_proved(void **state)
{
    (void)state;
    static const int64_t changes[] = {4, 9, 10, 11, 17, 23, 24, 25, 40, 100};
    struct encoder encoder;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        for (int window = 0; window < 2; window++) {
            char what[64];
            snprintf(what, sizeof what, "other below %d", (int)changes[i]);
            encoder_start(&encoder);
            expect_unproved(what, &encoder, encoder_mask(&encoder, &(struct encoder_mask){
                .padding = true, .causal = !window, .window = window ? 2 : 0, .all_visible_below = changes[i]}));
        }
}

static void long_windows_are_not_probed(void **state)
{
    (void)state;
    struct encoder encoder;
    encoder_start(&encoder);
    expect_unproved("window 1500", &encoder,
                    encoder_mask(&encoder, &(struct encoder_mask){.padding = true, .window = 1500}));
}

/* Causal until the length, as a float, passes a number that is no integer. */
static struct inc_value *fractional_mask(struct encoder *encoder)
{
    struct inc_value *causal = encoder_mask(encoder, &(struct encoder_mask){.causal = true});
    struct inc_value *length = encoder_convert(encoder, encoder_length(encoder), INC_F32);
    struct inc_value *longer = encoder_op(encoder, INC_OP_GREATER, length, encoder_float(encoder, 100.5), NULL);
    return encoder_op(encoder, INC_OP_LOGICAL_OR, causal, longer, NULL);
}

/* Keys are visible where a table of 64 numbers, all 0 but the one at 50, says so. */
static struct inc_value *table_mask(struct encoder *encoder)
{
    float numbers[64] = {[50] = -1e9f};
    struct inc_tensor tensor = {
        .type = INC_F32, .rank = 4, .dims = {1, 1, 1, 64}, .data = numbers, .bytes = sizeof numbers};
    struct inc_node *table = inc_graph_add_constant(encoder->graph, NULL, &tensor, NULL, NULL);
    assert_non_null(table);
    struct inc_value *end = encoder_unsqueeze(encoder, encoder_length(encoder), 1, (int64_t[]){0});
    struct inc_value *inputs[] = {&table->outputs[0], encoder_ints(encoder, 1, (int64_t[]){0}), end,
                                  encoder_ints(encoder, 1, (int64_t[]){1}), encoder_ints(encoder, 1, (int64_t[]){3})};
    struct inc_node *slice = inc_graph_add(encoder->graph, INC_OP_SLICE, NULL, inputs, 5, NULL);
    assert_non_null(slice);
    return &slice->outputs[0];
}

/* Tokens see those of their own type: two inputs decide. */
static struct inc_value *type_mask(struct encoder *encoder)
{
    struct inc_value *rows = encoder_unsqueeze(encoder, encoder->types, 2, (int64_t[]){1, 3});
    struct inc_value *columns = encoder_unsqueeze(encoder, encoder->types, 2, (int64_t[]){1, 2});
    struct inc_value *same = encoder_op(encoder, INC_OP_EQUAL, rows, columns, NULL);
    return encoder_op(encoder, INC_OP_LOGICAL_AND, same, encoder_mask(encoder, &(struct encoder_mask){.padding = true}),
                      NULL);
}

/* Nearer keys count more: a bias, not a mask. */
static struct inc_value *distance_bias(struct encoder *encoder)
{
    struct inc_value *near = encoder_mask(encoder, &(struct encoder_mask){.window = 3});
    return encoder_op(encoder, INC_OP_SELECT, near, encoder_float(encoder, 0), encoder_float(encoder, -1.5));
}

static struct inc_value *changing_mask(struct encoder *encoder)
{
    return encoder_mask(encoder, &(struct encoder_mask){.padding = true, .causal = true, .all_visible_below = 17});
}

static struct inc_value *long_window(struct encoder *encoder)
{
    return encoder_mask(encoder, &(struct encoder_mask){.padding = true, .window = 1500, .additive = true});
}

static const struct {
    const char *name;
    struct inc_value *(*make)(struct encoder *encoder);
} biases[] = {
    {"a rule that changes at 100.5", fractional_mask}, {"a table", table_mask},
    {"two inputs", type_mask},                         {"a bias", distance_bias},
    {"a rule that changes at 17", changing_mask},      {"a long window", long_window},
};

static void other_masks_are_not_proved(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof biases / sizeof biases[0]; i++) {
        struct encoder encoder;
        encoder_start(&encoder);
        expect_unproved(biases[i].name, &encoder, biases[i].make(&encoder));
    }
}

/* ---- what runs --------------------------------------------------------------------------------------------------- */

static void fill_inputs(const struct encoder *encoder, int64_t batch, int64_t length, struct test_inputs *inputs)
{
    uint64_t random = test_seed();
    test_inputs_make(encoder->graph, batch, length, inputs);
    for (int64_t s = 0; s < batch; s++)
        for (int64_t j = 0; j < length; j++) {
            *test_inputs_at(encoder->graph, inputs, "input_ids", s, j) =
                (int64_t)test_random_below(&random, ENCODER_VOCABULARY);
            *test_inputs_at(encoder->graph, inputs, "attention_mask", s, j) =
                s == 0 || test_random_below(&random, 4) > 0;
            *test_inputs_at(encoder->graph, inputs, "token_type_ids", s, j) = (int64_t)test_random_below(&random, 2);
        }
}

static void expect_reference(const char *what, struct encoder *encoder, bool all_rows)
{
    static const int64_t lengths[] = {1, 2, 7, 16, 17, 33};
    struct test_runner runner;
    test_runner_open(&runner, encoder->graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    if (!runner.program->fused) fail_msg("%s: %s", what, runner.program->lowering.reason);
    assert_true(all_rows == (runner.program->lowering.mask == NULL));
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct test_inputs inputs;
        struct inc_tensor reference;
        fill_inputs(encoder, 3, lengths[i], &inputs);
        test_reference(encoder->graph, &inputs, &reference);
        const struct inc_tensor *mask = all_rows ? NULL : test_inputs_get(encoder->graph, &inputs, "attention_mask");
        double difference = test_difference(test_run(&runner, &inputs), &reference, mask);
        if (!(difference <= LIMIT)) fail_msg("%s, length %d: differs by %g", what, (int)lengths[i], difference);
        inc_tensor_release(test_ctx(), &reference);
        test_inputs_free(&inputs);
    }
    test_runner_close(&runner);
    inc_graph_destroy(encoder->graph);
    assert_int_equal(test_live_allocations(), 0);
}

static void biases_give_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof biases / sizeof biases[0]; i++) {
        struct encoder encoder;
        encoder_start(&encoder);
        struct inc_value *output = encoder_attention(&encoder, encoder.x, biases[i].make(&encoder));
        encoder_finish(&encoder, output);
        expect_reference(biases[i].name, &encoder, true);
    }
}

static void forms_give_the_reference(void **state)
{
    (void)state;
    static const struct encoder_mask forms[] = {
        {.padding = true}, {.padding = true, .causal = true, .additive = true}, {.padding = true, .window = 3},
        {.padding = true, .causal = true, .window = 4}, {.causal = true}, {.window = 1, .additive = true},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct encoder encoder;
        encoder_start(&encoder);
        struct inc_value *output = encoder_attention(&encoder, encoder.x, encoder_mask(&encoder, &forms[i]));
        encoder_finish(&encoder, output);
        expect_reference("a form", &encoder, !forms[i].padding);
    }
}

/* One layer hides padding, the other has a mask that stays a bias, no mask, or another form: padded rows matter to it.
 */
static void layers_may_differ(void **state)
{
    (void)state;
    static const struct encoder_mask padding = {.padding = true, .additive = true}, causal = {.causal = true};
    for (int other = 0; other < 6; other++) {
        struct encoder encoder;
        encoder_start(&encoder);
        struct inc_value *masks[2] = {encoder_mask(&encoder, &padding), NULL};
        if (other / 2 == 0) masks[1] = long_window(&encoder);
        if (other / 2 == 1) masks[1] = encoder_mask(&encoder, &causal);
        struct inc_value *x = encoder_attention(&encoder, encoder.x, masks[other % 2]);
        encoder_finish(&encoder, encoder_attention(&encoder, x, masks[1 - other % 2]));
        expect_reference("two layers", &encoder, true);
    }
}

/* A boolean mask that is false everywhere hides everything; a float one of 0 hides nothing. */
static void scalar_masks(void **state)
{
    (void)state;
    for (int boolean = 0; boolean < 2; boolean++) {
        struct encoder encoder;
        struct test_runner runner;
        struct test_inputs inputs;
        struct inc_tensor reference;
        encoder_start(&encoder);
        struct inc_value *zero = encoder_float(&encoder, 0);
        struct inc_value *mask = boolean ? encoder_convert(&encoder, zero, INC_BOOL) : zero;
        encoder_finish(&encoder, encoder_attention(&encoder, encoder.x, mask));
        fill_inputs(&encoder, 2, 5, &inputs);
        test_reference(encoder.graph, &inputs, &reference);
        test_runner_open(&runner, encoder.graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
        test_clear_error();
        enum incise_status status = inc_run_execute(runner.run, inputs.tensors, inputs.n);
        if (boolean) { /* fused or not: zeros, or a refusal, but nothing else */
            const float *out = runner.run->outputs[0].data;
            for (size_t i = 0; status == INCISE_OK && i < inc_tensor_elements(&reference); i++)
                assert_true(out[i] == 0);
        } else {
            assert_int_equal(status, INCISE_OK);
            assert_true(test_difference(&runner.run->outputs[0], &reference, NULL) <= LIMIT);
        }
        test_runner_close(&runner);
        inc_tensor_release(test_ctx(), &reference);
        test_inputs_free(&inputs);
        inc_graph_destroy(encoder.graph);
        assert_int_equal(test_live_allocations(), 0);
    }
}

/* A model made for at most 12 tokens is proved at those. */
static void bounded_lengths(void **state)
{
    (void)state;
    struct encoder encoder;
    encoder_start(&encoder);
    for (size_t i = 1; i < encoder.graph->n_symbols; i++) encoder.graph->symbols[i].max = 12;
    struct proof proof = prove(&encoder, encoder_mask(&encoder, &(struct encoder_mask){.padding = true, .window = 3}));
    assert_true(proof.proved);
    assert_int_equal(proof.window, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_found),
        cmocka_unit_test(a_window_of_one),
        cmocka_unit_test(rules_that_change_are_not_proved),
        cmocka_unit_test(long_windows_are_not_probed),
        cmocka_unit_test(other_masks_are_not_proved),
        cmocka_unit_test(biases_give_the_reference),
        cmocka_unit_test(forms_give_the_reference),
        cmocka_unit_test(layers_may_differ),
        cmocka_unit_test(scalar_masks),
        cmocka_unit_test(bounded_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
