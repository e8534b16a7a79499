/* SPDX-License-Identifier: Apache-2.0 */
/* Linears of the same bytes share one packed copy, which lives as long as one of them needs it; and a program takes the
 * packed weights of another one. */
#include <string.h>

#include "base/size.h"
#include "support/encoder.h"
#include "support/expanded.h"

enum { SLOTS = 4 };

static struct inc_value *linear(struct encoder *encoder, struct inc_value *x, struct inc_value *weight,
                                bool transpose)
{
    struct inc_value *product = encoder_op(encoder, INC_OP_MATMUL, x, weight, NULL);
    inc_attr_set_bool(product->node, "transpose_b", transpose);
    return encoder_op(encoder, INC_OP_TANH, product, NULL, NULL);
}

/* x W^T, then with another Constant of W's bytes, with W itself, and with W the other way round. */
static void make_encoder(struct encoder *encoder)
{
    encoder_start(encoder);
    const int64_t dims[] = {ENCODER_WIDTH, ENCODER_WIDTH};
    struct inc_value *weight = encoder_weights(encoder, 2, dims), *twin = encoder_weights(encoder, 2, dims);
    twin->node->data.data = weight->node->data.data;
    struct inc_value *x = linear(encoder, encoder->x, weight, true);
    x = linear(encoder, x, twin, true);
    x = linear(encoder, x, weight, true);
    encoder_finish(encoder, linear(encoder, x, weight, false));
}

static struct inc_prepared *prepared_of(const struct inc_program *program, uint32_t slot)
{
    return program->prepared[inc_plan_linear_of(&program->plan, slot) - program->plan.steps];
}

static void make_inputs(const struct inc_graph *graph, struct test_inputs *inputs)
{
    test_inputs_make(graph, 2, 5, inputs);
    for (int64_t s = 0; s < 2; s++)
        for (int64_t j = 0; j < 5; j++) {
            *test_inputs_at(graph, inputs, "input_ids", s, j) = (s * 7 + j * 3) % ENCODER_VOCABULARY;
            *test_inputs_at(graph, inputs, "attention_mask", s, j) = 1;
        }
}

static void test_packed_once(void **state)
{
    struct encoder encoder;
    struct test_runner runner;
    struct test_inputs inputs;
    struct inc_tensor first = {0}, expected;
    (void)state;
    make_encoder(&encoder);
    make_inputs(encoder.graph, &inputs);
    test_runner_open(&runner, encoder.graph, incise_isa_detect(), 2, INC_INTEGER_AS_WRITTEN);
    struct inc_program *program = runner.program;
    assert_true(program->fused);
    assert_int_equal(program->plan.n_slots, SLOTS);
    assert_int_equal(program->n_packed, 2);
    assert_ptr_equal(prepared_of(program, 0), prepared_of(program, 1));
    assert_ptr_equal(prepared_of(program, 0), prepared_of(program, 2));
    assert_ptr_not_equal(prepared_of(program, 0), prepared_of(program, 3));
    assert_int_equal(inc_program_first_same(program, 2), 0);
    assert_int_equal(inc_program_first_same(program, 3), 3);
    test_reference(encoder.graph, &inputs, &expected);
    assert_true(test_difference(test_run(&runner, &inputs), &expected, NULL) < 1e-5);
    test_keep(test_run(&runner, &inputs), &first);

    for (uint32_t i = 0; i < 3; i++) { /* each gets a copy of its own; the last of them frees the shared one */
        const struct inc_slot slot = program->plan.slots[i];
        test_succeed(inc_program_replace_slot(program, i, &slot));
        test_same_bits(test_run(&runner, &inputs), &first);
        assert_ptr_not_equal(prepared_of(program, i), prepared_of(program, (i + 1) % 3));
    }
    inc_tensor_release(test_ctx(), &first);
    inc_tensor_release(test_ctx(), &expected);
    test_inputs_free(&inputs);
    test_runner_close(&runner);
    inc_graph_destroy(encoder.graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* The values of one slot in memory as a file would have them. */
static unsigned char *values_of(const struct inc_packed_out *out, size_t *n)
{
    const size_t count = out->spans.length / sizeof(struct inc_packed_values);
    struct inc_packed_values values;
    unsigned char *memory = inc_alloc_zero(test_ctx(), count, 64 << 10);
    assert_non_null(memory);
    *n = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(&values, out->spans.data + i * sizeof values, sizeof values);
        memcpy(memory + *n, values.bytes, values.n);
        *n += inc_round_up(values.n, INC_ALIGN);
    }
    return memory;
}

static void test_taken_over(void **state)
{
    struct encoder encoder;
    struct test_runner runner;
    struct test_inputs inputs;
    struct inc_tensor first = {0};
    struct inc_packed_out outs[SLOTS];
    struct inc_packed_slot slots[SLOTS];
    unsigned char *values[SLOTS];
    size_t n;
    (void)state;
    make_encoder(&encoder);
    make_inputs(encoder.graph, &inputs);
    test_runner_open(&runner, encoder.graph, incise_isa_detect(), 2, INC_INTEGER_AS_WRITTEN);
    test_keep(test_run(&runner, &inputs), &first);
    for (uint32_t i = 0; i < SLOTS; i++) {
        inc_packed_out_init(&outs[i], test_ctx());
        slots[i].name = inc_program_save(runner.program, i, &outs[i]);
        values[i] = values_of(&outs[i], &n);
        const unsigned char *tables = (const unsigned char *)outs[i].tables.data;
        slots[i].packed = (struct inc_packed){{tables, tables + outs[i].tables.length}, {values[i], values[i] + n}};
    }
    struct inc_program_options options = {.mode = INC_INTEGER_AS_WRITTEN, .packed = slots, .n_packed = SLOTS};
    const size_t expected[] = {0, 1, 2}; /* packed anew: none; a slot of another name; a list of another length */
    for (size_t i = 0; i < 3; i++) {
        if (i == 1) slots[3].name ^= 1;
        if (i == 2) options.n_packed--;
        inc_run_destroy(runner.run);
        inc_program_destroy(runner.program);
        test_succeed(inc_program_create(encoder.graph, runner.device, &options, &runner.program));
        test_succeed(inc_run_create(runner.program, &runner.run));
        assert_int_equal(runner.program->n_packed, expected[i]);
        test_same_bits(test_run(&runner, &inputs), &first);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        inc_packed_out_fini(&outs[i]);
        inc_free(test_ctx(), values[i]);
    }
    inc_tensor_release(test_ctx(), &first);
    test_inputs_free(&inputs);
    test_runner_close(&runner);
    inc_graph_destroy(encoder.graph);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_once),
        cmocka_unit_test(test_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
