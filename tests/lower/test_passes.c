/* SPDX-License-Identifier: Apache-2.0 */
/* The graph after each pass and the plan, against golden texts (INCISE_UPDATE=1 writes them anew), and models that
 * cannot run fused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "lower/passes.h"
#include "support/encoder.h"
#include "support/runner.h"

/* ---- golden texts ------------------------------------------------------------------------------------------------ */

/* Compares with golden/<model>-<what>.txt beside this test, or writes it. */
static void check_golden(const char *model, const char *what, const struct inc_buffer *text)
{
    static char wanted[256 * 1024];
    char path[200];
    assert_int_equal(inc_buffer_check(text), INCISE_OK);
    snprintf(path, sizeof path, "lower/golden/%s-%s.txt", model, what);
    bool update = getenv("INCISE_UPDATE") != NULL;
    FILE *file = fopen(path, update ? "wb" : "rb");
    if (file == NULL) fail_msg("%s cannot be opened", path);
    if (update) {
        assert_int_equal(fwrite(text->data, 1, text->length, file), text->length);
    } else {
        wanted[fread(wanted, 1, sizeof wanted - 1, file)] = '\0';
        if (strcmp(wanted, text->data) != 0) {
            size_t same = 0;
            while (wanted[same] == text->data[same]) same++;
            while (same > 0 && text->data[same - 1] != '\n') same--;
            fail_msg("%s: not as wanted from\n%.300s", path, text->data + same);
        }
    }
    fclose(file);
}

static void check_pass(struct inc_graph *graph, const char *model, const char *pass)
{
    struct inc_lowering lowering = {.ctx = test_ctx()};
    struct inc_buffer dump;
    inc_buffer_init(&dump, test_ctx());
    assert_int_equal(inc_graph_clone(graph, &lowering.graph), INCISE_OK);
    if (inc_lower_run(&lowering, pass, &dump) != INCISE_OK) fail_msg("%s", test_last_error());
    assert_string_equal(lowering.reason, "");
    assert_int_equal(inc_graph_verify(lowering.graph), INCISE_OK);
    check_golden(model, pass, &dump);
    inc_graph_destroy(lowering.graph);
    inc_buffer_fini(&dump);
}

static void print_step(const struct inc_plan *plan, size_t index, struct inc_buffer *text)
{
    const struct inc_step *step = &plan->steps[index];
    for (size_t i = 0; i < plan->n_cuts; i++)
        if (plan->cuts[i] == index) inc_buffer_printf(text, "---- cut: b%u\n", plan->cut_buffers[i]);
    if (index == 0 || step->stage != plan->steps[index - 1].stage) inc_buffer_printf(text, "stage %u\n", step->stage);
    inc_buffer_printf(text, "%zu b%u[%u] = %s(", index, step->out.buffer, step->width, inc_ops[step->op].name);
    for (uint32_t i = 0; i < step->n_in; i++)
        inc_buffer_printf(text, "%sb%u", i > 0 ? ", " : "", step->in[i].buffer);
    for (uint32_t i = 0; i < step->n_in; i++)
        if (step->in[i].column > 0) inc_buffer_printf(text, " in%u+%u", i, step->in[i].column);
    inc_buffer_puts(text, ")");
    if (step->op == INC_OP_LINEAR)
        inc_buffer_printf(text, " slot%u%s act=%s", step->u.linear.slot, step->u.linear.bias != NULL ? " bias" : "",
                          inc_act_name(step->u.linear.act));
    if (step->op == INC_OP_GATED_ACT) inc_buffer_printf(text, " act=%s", inc_act_name(step->u.gated));
    if (step->op == INC_OP_RMS_NORM) inc_buffer_printf(text, " groups=%u", step->u.norm.groups);
    if (step->op == INC_OP_ROPE) inc_buffer_printf(text, " heads=%u", step->u.rope.heads);
    if (step->op == INC_OP_ROWWISE) inc_buffer_printf(text, " %s", inc_ops[step->u.rowwise.op].name);
    if (step->op == INC_OP_ATTENTION)
        inc_buffer_printf(text, " heads=%u/%u scale=%g causal=%d window=%u", step->u.attention.heads,
                          step->u.attention.kv_heads, (double)step->u.attention.scale, step->u.attention.causal,
                          step->u.attention.window);
    inc_buffer_printf(text, " \"%s\"\n", step->name);
}

static void print_plan(const struct inc_program *program, struct inc_buffer *text)
{
    const struct inc_plan *plan = &program->plan;
    static const char *const kinds[] = {"rows", "quantized", "ids", "index rows"};
    inc_buffer_printf(text, "padding: %s\n", program->lowering.mask != NULL ? program->lowering.mask->name : "none");
    for (size_t i = 0; i < plan->n_steps; i++) print_step(plan, i, text);
    for (size_t i = 0; i < plan->n_outputs; i++)
        inc_buffer_printf(text, "output %zu: b%u+%u[%u]\n", i, plan->outputs[i].buffer, plan->outputs[i].column,
                          plan->outputs[i].width);
    for (size_t i = 0; i < plan->n_buffers; i++)
        inc_buffer_printf(text, "b%zu: %s[%u]%s steps %u..%u at %zu\n", i, kinds[plan->buffers[i].kind],
                          plan->buffers[i].width,
                          plan->buffers[i].domain == INC_DOMAIN_SEQUENCES ? " per sequence" : "",
                          plan->buffers[i].first_step, plan->buffers[i].last_step, plan->buffers[i].offset);
    inc_buffer_printf(text, "bytes per token: %zu, per sequence: %zu\n", plan->domain_bytes[INC_DOMAIN_TOKENS],
                      plan->domain_bytes[INC_DOMAIN_SEQUENCES]);
}

/* Buffers that live at the same time lie apart, and a buffer is written before it is read. */
static void check_memory(const struct inc_plan *plan)
{
    for (size_t i = 0; i < plan->n_buffers; i++) {
        const struct inc_plan_buffer *a = &plan->buffers[i];
        assert_true(a->first_step <= a->last_step && a->offset + a->row_bytes <= plan->domain_bytes[a->domain]);
        for (size_t j = 0; j < i; j++) {
            const struct inc_plan_buffer *b = &plan->buffers[j];
            bool together = a->domain == b->domain && a->first_step <= b->last_step && b->first_step <= a->last_step;
            bool apart = a->offset + a->row_bytes <= b->offset || b->offset + b->row_bytes <= a->offset;
            if (together && !apart) fail_msg("buffers %zu and %zu share memory", j, i);
        }
    }
    for (uint32_t s = 0; s < plan->n_steps; s++)
        for (uint32_t i = 0; i < plan->steps[s].n_in; i++) {
            const struct inc_plan_buffer *buffer = &plan->buffers[plan->steps[s].in[i].buffer];
            assert_true(buffer->value != NULL || buffer->first_step < s);
        }
}

static void check_plan(struct inc_graph *graph, const char *model, enum inc_integer_mode mode, const char *what)
{
    const struct inc_program_options options = {.mode = mode};
    struct inc_device *device;
    struct inc_program *program;
    struct inc_buffer text;
    inc_buffer_init(&text, test_ctx());
    assert_int_equal(inc_null_device_create(test_ctx(), &device), INCISE_OK);
    if (inc_program_create(graph, device, &options, &program) != INCISE_OK) fail_msg("%s", test_last_error());
    assert_true(program->fused);
    check_memory(&program->plan);
    print_plan(program, &text);
    check_golden(model, what, &text);
    inc_program_destroy(program);
    device->ops->destroy(device);
    inc_buffer_fini(&text);
}

static void passes_give_the_golden_graphs(void **state)
{
    (void)state;
    static const char *const models[] = {"bert", "gemma"};
    for (size_t m = 0; m < 2; m++) {
        struct inc_graph *graph = test_fixture_graph(models[m]);
        for (size_t p = 0; p < inc_n_passes; p++) check_pass(graph, models[m], inc_passes[p].name);
        check_plan(graph, models[m], INC_INTEGER_NONE, "plan");
        inc_graph_destroy(graph);
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void integer_plans(void **state)
{
    (void)state;
    static const char *const models[] = {"bert-int8-asym", "gemma-int8-sym"};
    for (size_t m = 0; m < 2; m++) {
        struct inc_graph *graph = test_fixture_graph(models[m]);
        check_plan(graph, models[m], INC_INTEGER_ALL, "plan");
        inc_graph_destroy(graph);
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- models that cannot run fused -------------------------------------------------------------------------------- */

static struct inc_value *mean_of_tokens(struct encoder *encoder, struct inc_value *x)
{
    struct inc_value *mean = encoder_op(encoder, INC_OP_REDUCE_MEAN, x, encoder_ints(encoder, 1, (int64_t[]){1}), NULL);
    inc_attr_set_bool(mean->node, "keep_dims", true);
    return encoder_op(encoder, INC_OP_SUBTRACT, x, mean, NULL);
}

static struct inc_value *product_of_activations(struct encoder *encoder, struct inc_value *x)
{
    struct inc_value *scores = encoder_op(encoder, INC_OP_MATMUL, x, encoder_linear(encoder, x, ENCODER_WIDTH), NULL);
    inc_attr_set_bool(scores->node, "transpose_b", true);
    return encoder_op(encoder, INC_OP_MATMUL, scores, x, NULL);
}

static struct inc_value *running_sum(struct encoder *encoder, struct inc_value *x)
{
    return encoder_op(encoder, INC_OP_CUM_SUM, x, encoder_int(encoder, 1), NULL);
}

static struct inc_value *softmax_over_tokens(struct encoder *encoder, struct inc_value *x)
{
    struct inc_value *y = encoder_op(encoder, INC_OP_SOFTMAX, x, NULL, NULL);
    inc_attr_set_int(y->node, "axis", 1);
    return y;
}

/* [1, 1, 1, width] makes rows of rank 4 of those of rank 3. */
static struct inc_value *wide_constant(struct encoder *encoder, int64_t width)
{
    return encoder_weights(encoder, 4, (int64_t[]){1, 1, 1, width});
}

static struct inc_value *bias_of_higher_rank(struct encoder *encoder, struct inc_value *x)
{
    x = encoder_op(encoder, INC_OP_ADD, encoder_linear(encoder, x, ENCODER_WIDTH),
                   wide_constant(encoder, ENCODER_WIDTH), NULL);
    return encoder_op(encoder, INC_OP_SQUEEZE, x, encoder_ints(encoder, 1, (int64_t[]){0}), NULL);
}

/* The mask as floats [batch, length, width]: no rows of the body. */
static struct inc_value *mask_rows(struct encoder *encoder)
{
    struct inc_value *mask =
        encoder_unsqueeze(encoder, encoder_convert(encoder, encoder->mask, INC_F32), 1, (int64_t[]){2});
    return encoder_op(encoder, INC_OP_MULTIPLY, mask, encoder_weights(encoder, 1, (int64_t[]){ENCODER_WIDTH}), NULL);
}

static struct inc_value *residual_of_the_index_part(struct encoder *encoder, struct inc_value *x)
{
    return encoder_op(encoder, INC_OP_ADD, encoder_linear(encoder, x, ENCODER_WIDTH), mask_rows(encoder), NULL);
}

static struct inc_value *values_of_the_index_part(struct encoder *encoder, struct inc_value *x)
{
    struct inc_value *rows = encoder_unsqueeze(encoder, mask_rows(encoder), 1, (int64_t[]){1});
    x = encoder_unsqueeze(encoder, x, 1, (int64_t[]){1});
    struct inc_value *y = encoder_op(encoder, INC_OP_SDPA, x, rows, rows);
    return encoder_op(encoder, INC_OP_SQUEEZE, y, encoder_ints(encoder, 1, (int64_t[]){1}), NULL);
}

/* act(gate [B, S, W]) * up [1, B, S, W] */
static struct inc_value *gate_of_lower_rank(struct encoder *encoder, struct inc_value *x)
{
    struct inc_value *gate = encoder_op(encoder, INC_OP_TANH, encoder_linear(encoder, x, ENCODER_WIDTH), NULL, NULL);
    struct inc_value *up = encoder_unsqueeze(encoder, encoder_linear(encoder, x, ENCODER_WIDTH), 1, (int64_t[]){0});
    x = encoder_op(encoder, INC_OP_MULTIPLY, gate, up, NULL);
    return encoder_op(encoder, INC_OP_SQUEEZE, x, encoder_ints(encoder, 1, (int64_t[]){0}), NULL);
}

/* [batch, length] transposed to [length, batch] and read as if nothing had happened. */
static struct inc_value *swapped_tokens(struct encoder *encoder, struct inc_value *x)
{
    x = encoder_op(encoder, INC_OP_TRANSPOSE, x, encoder_ints(encoder, 3, (int64_t[]){1, 0, 2}), NULL);
    return encoder_op(encoder, INC_OP_RELU, x, NULL, NULL);
}

static struct inc_value *two_tokens(struct encoder *encoder, struct inc_value *x)
{
    return encoder_op(encoder, INC_OP_GATHER, x, encoder_ints(encoder, 2, (int64_t[]){0, 1}), encoder_int(encoder, 1));
}

static struct inc_value *output_of_the_index_part(struct encoder *encoder, struct inc_value *x)
{
    (void)x;
    return mask_rows(encoder);
}

static const struct {
    const char *reason; /* part of it: the op that is named; "" if the model is fused after all */
    struct inc_value *(*make)(struct encoder *encoder, struct inc_value *x);
} models[] = {
    {"ReduceMean", mean_of_tokens},
    {"MatMul", product_of_activations},
    {"CumSum", running_sum},
    {"SoftMax", softmax_over_tokens},
    {"Add", bias_of_higher_rank},
    {"Add", residual_of_the_index_part},
    {"Attention", values_of_the_index_part},
    {"GatedAct", gate_of_lower_rank},
    {"Result", swapped_tokens},
    {"Gather", two_tokens},
    {"output", output_of_the_index_part},
};

static void other_models_run_by_the_reference(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct encoder encoder;
        struct test_runner runner;
        struct test_inputs inputs;
        struct inc_tensor reference;
        encoder_start(&encoder);
        encoder_finish(&encoder, models[m].make(&encoder, encoder.x));
        test_runner_open(&runner, encoder.graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
        const char *reason = runner.program->lowering.reason;
        if (runner.program->fused || strstr(reason, models[m].reason) == NULL)
            fail_msg("model %zu: '%s' does not name %s", m, reason, models[m].reason);
        test_inputs_make(encoder.graph, 3, 5, &inputs);
        for (int64_t i = 0; i < 15; i++) {
            *test_inputs_at(encoder.graph, &inputs, "input_ids", i / 5, i % 5) = i;
            *test_inputs_at(encoder.graph, &inputs, "attention_mask", i / 5, i % 5) = i % 5 < 3;
        }
        test_reference(encoder.graph, &inputs, &reference);
        test_same_bits(test_run(&runner, &inputs), &reference);
        inc_tensor_release(test_ctx(), &reference);
        test_inputs_free(&inputs);
        test_runner_close(&runner);
        inc_graph_destroy(encoder.graph);
        assert_int_equal(test_live_allocations(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_give_the_golden_graphs),
        cmocka_unit_test(integer_plans),
        cmocka_unit_test(other_models_run_by_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
