/* SPDX-License-Identifier: Apache-2.0 */
/* Attention written out as MatMul, SoftMax, MatMul: the tiny models, rewritten in the forms that older exporters use,
 * fuse into as many Attentions with the same proved masks, and mean the same. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lower/match.h"
#include "support/expanded.h"

enum mask_form {
    MASK_AS_IT_IS,      /* scores + the file's additive mask */
    MASK_TEN_THOUSAND,  /* scores + (1 - padding) * -10000 */
    MASK_SELECT,        /* Select(padding == 0, lowest float, scores), the condition broadcast to the scores */
    MASK_SELECT_VISIBLE /* Select(padding != 0, scores, -inf) */
};

struct form {
    enum mask_form mask;
    bool transpose_b; /* the MatMul transposes k, not a Transpose */
    bool divide;      /* scores / c, not scores * c */
    bool scale_first; /* q is scaled, not the scores */
    bool softmax1;    /* opset1 with axis 3, not opset8 with axis -1 */
    bool swapped;     /* mask + scores, not scores + mask */
    bool relative;    /* scores + a bias gathered by distance, before the mask */
};

struct writer {
    struct inc_graph *graph;
    struct inc_node *before;
    const struct form *form;
};

static struct inc_value *emit(const struct writer *w, enum inc_op op, struct inc_value *a, struct inc_value *b,
                              struct inc_value *c)
{
    struct inc_value *inputs[] = {a, b, c};
    struct inc_node *node = inc_graph_add(w->graph, op, NULL, inputs, c != NULL ? 3 : b != NULL ? 2 : 1, w->before);
    assert_non_null(node);
    return &node->outputs[0];
}

static struct inc_value *number(const struct writer *w, double value)
{
    return inc_add_float(w->graph, INC_F32, value, w->before);
}

static struct inc_value *integers(const struct writer *w, const int64_t *values, int64_t n)
{
    return inc_add_integers(w->graph, values, n, 1, w->before);
}

/* The mask input as [B, 1, 1, S]. */
static struct inc_value *padding(const struct writer *w)
{
    for (size_t i = 0; i < w->graph->n_parameters; i++) {
        struct inc_value *value = &w->graph->parameters[i]->outputs[0];
        if (strcmp(value->names[0], "attention_mask") == 0)
            return emit(w, INC_OP_UNSQUEEZE, value, integers(w, (int64_t[]){1, 2}, 2), NULL);
    }
    fail_msg("the model has no attention_mask");
    return NULL;
}

/* table[min(|i - j|, 3)] as [1, heads, S, S]. */
static struct inc_value *relative_bias(const struct writer *w, int64_t heads)
{
    float table[4 * 8];
    assert_in_range(heads, 1, 8);
    for (int64_t i = 0; i < 4 * heads; i++) table[i] = (float)(i * 7 % 5) - 2;
    const struct inc_tensor tensor = {.type = INC_F32, .rank = 2, .dims = {4, heads}, .data = table,
                                      .bytes = (size_t)(4 * heads) * sizeof(float)};
    struct inc_node *constant = inc_graph_add_constant(w->graph, NULL, &tensor, NULL, w->before);
    assert_non_null(constant);
    struct inc_value *zero = inc_add_integers(w->graph, (int64_t[]){0}, 1, 0, w->before);
    struct inc_value *one = inc_add_integers(w->graph, (int64_t[]){1}, 1, 0, w->before);
    struct inc_value *shape = emit(w, INC_OP_SHAPE_OF, &w->graph->parameters[0]->outputs[0], NULL, NULL);
    struct inc_value *range = emit(w, INC_OP_RANGE, zero, emit(w, INC_OP_GATHER, shape, one, zero), one);
    inc_attr_set_type(range->node, "output_type", INC_I64);
    struct inc_value *distance = emit(w, INC_OP_SUBTRACT, emit(w, INC_OP_UNSQUEEZE, range, zero, NULL),
                                      emit(w, INC_OP_UNSQUEEZE, range, one, NULL), NULL);
    distance = emit(w, INC_OP_MINIMUM, emit(w, INC_OP_ABS, distance, NULL, NULL), integers(w, (int64_t[]){3}, 1), NULL);
    struct inc_value *bias = emit(w, INC_OP_GATHER, &constant->outputs[0], distance, zero);
    bias = emit(w, INC_OP_TRANSPOSE, bias, integers(w, (int64_t[]){2, 0, 1}, 3), NULL);
    return emit(w, INC_OP_UNSQUEEZE, bias, zero, NULL);
}

static struct inc_value *masked(const struct writer *w, struct inc_value *scores, struct inc_value *mask)
{
    const int64_t zero = 0;
    struct inc_value *given = w->form->mask == MASK_AS_IT_IS ? NULL : padding(w), *compared, *shape;
    switch (w->form->mask) {
    case MASK_AS_IT_IS: break;
    case MASK_TEN_THOUSAND:
        given = emit(w, INC_OP_CONVERT, given, NULL, NULL);
        inc_attr_set_type(given->node, "destination_type", INC_F32);
        mask = emit(w, INC_OP_MULTIPLY, emit(w, INC_OP_SUBTRACT, number(w, 1), given, NULL), number(w, -10000), NULL);
        break;
    case MASK_SELECT:
        compared = emit(w, INC_OP_EQUAL, given, inc_add_integers(w->graph, &zero, 1, 0, w->before), NULL);
        shape = emit(w, INC_OP_SHAPE_OF, scores, NULL, NULL);
        compared = emit(w, INC_OP_BROADCAST, compared, shape, NULL);
        return emit(w, INC_OP_SELECT, compared, number(w, -3.4028234e38), scores);
    case MASK_SELECT_VISIBLE:
        compared = emit(w, INC_OP_NOT_EQUAL, given, inc_add_integers(w->graph, &zero, 1, 0, w->before), NULL);
        return emit(w, INC_OP_SELECT, compared, scores, number(w, -INFINITY));
    }
    return w->form->swapped ? emit(w, INC_OP_ADD, mask, scores, NULL) : emit(w, INC_OP_ADD, scores, mask, NULL);
}

/* Writes one ScaledDotProductAttention out. */
static void write_out(struct inc_graph *graph, struct inc_node *sdpa, const struct form *form)
{
    const struct writer w = {graph, sdpa, form};
    struct inc_value *q = sdpa->inputs[0], *k = sdpa->inputs[1];
    int64_t heads = q->shape.dims[1].value;
    double scale = 1 / sqrt((double)inc_last_dim(q));
    if (sdpa->n_inputs == 5) assert_true(inc_const_scalar(sdpa->inputs[4], &scale));
    struct inc_value *factor = number(&w, form->divide ? 1 / scale : scale);
    enum inc_op op = form->divide ? INC_OP_DIVIDE : INC_OP_MULTIPLY;
    if (form->scale_first) q = emit(&w, op, q, factor, NULL);
    if (!form->transpose_b) k = emit(&w, INC_OP_TRANSPOSE, k, integers(&w, (int64_t[]){0, 1, 3, 2}, 4), NULL);
    struct inc_value *scores = emit(&w, INC_OP_MATMUL, q, k, NULL);
    inc_attr_set_bool(scores->node, "transpose_b", form->transpose_b);
    if (!form->scale_first) scores = emit(&w, op, scores, factor, NULL);
    if (form->relative) scores = emit(&w, INC_OP_ADD, scores, relative_bias(&w, heads), NULL);
    scores = masked(&w, scores, sdpa->inputs[3]);
    struct inc_value *weights = emit(&w, form->softmax1 ? INC_OP_SOFTMAX1 : INC_OP_SOFTMAX, scores, NULL, NULL);
    inc_attr_set_int(weights->node, "axis", form->softmax1 ? 3 : -1);
    struct inc_value *result = emit(&w, INC_OP_MATMUL, weights, sdpa->inputs[2], NULL);
    test_succeed(inc_value_replace(graph, &sdpa->outputs[0], result));
}

/* Replaces every SDPA; returns how many there were. */
static size_t write_all_out(struct inc_graph *graph, const struct form *form)
{
    size_t n = 0;
    struct inc_node *next;
    for (struct inc_node *node = graph->first; node != NULL; node = next) {
        next = node->next;
        if (node->op != INC_OP_SDPA) continue;
        write_out(graph, node, form);
        n++;
    }
    inc_graph_remove_dead(graph);
    test_succeed(inc_graph_infer(graph));
    test_succeed(inc_graph_verify(graph));
    return n;
}

/* Attentions with `n_inputs` inputs (3: no bias is left); `windows`: those of them that have a window. */
static size_t count_attentions(const struct inc_graph *graph, uint32_t n_inputs, size_t *windows)
{
    size_t n = 0;
    *windows = 0;
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next) {
        if (node->op != INC_OP_ATTENTION || node->n_inputs != n_inputs) continue;
        n++;
        *windows += inc_attr_int(node, "window") != 0;
    }
    return n;
}

/* The rewritten file graph, evaluated, against the file's own (double sums, one rounding per score and weight more),
 * and the fused program against that (float sums: the fixture's limit). A bias is not in the file: then the program is
 * compared with the rewritten graph. */
static void check_form(const struct test_fixture *fixture, size_t expected_windows, const struct form *form)
{
    struct inc_graph *graph = test_fixture_graph(fixture->model);
    const struct inc_lowering written_out = {.ctx = test_ctx(), .graph = graph};
    struct test_recorded recorded[2];
    struct test_runner runner;
    size_t windows;
    for (size_t s = 0; s < 2; s++) test_record(graph, fixture->model, test_fixture_shapes[s], &recorded[s]);
    size_t n = write_all_out(graph, form);
    assert_true(n > 0);
    for (size_t s = 0; s < 2 && form->relative; s++) {
        struct test_recorded file = recorded[s];
        test_record(graph, fixture->model, test_fixture_shapes[s], &recorded[s]);
        assert_true(test_difference(&file.output, &recorded[s].output, recorded[s].mask) > 1e-3);
        test_release_recorded(&file);
    }
    assert_true(test_expanded_difference(&written_out, recorded, 2) <= 2e-6);
    test_runner_open(&runner, graph, incise_isa_detect(), 1, INC_INTEGER_NONE);
    assert_string_equal(runner.program->lowering.reason, "");
    assert_int_equal(count_attentions(runner.program->lowering.graph, form->relative ? 4 : 3, &windows), n);
    assert_int_equal(windows, expected_windows);
    assert_non_null(runner.program->lowering.mask);
    for (size_t s = 0; s < 2; s++) {
        const struct inc_tensor *output = test_run(&runner, &recorded[s].inputs);
        assert_true(test_difference(output, &recorded[s].output, recorded[s].mask) <= fixture->limit);
        test_release_recorded(&recorded[s]);
    }
    test_runner_close(&runner);
    inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
}

static void every_form_becomes_attention(void **state)
{
    (void)state;
    const struct test_fixture bert = {"bert", 1e-5};
    for (int mask = MASK_AS_IT_IS; mask <= MASK_SELECT_VISIBLE; mask++)
        for (int i = 0; i < 8; i++) {
            struct form form = {(enum mask_form)mask, i & 1, i & 2, i & 4, (i ^ i >> 1) & 1, (i ^ i >> 1) & 2, false};
            check_form(&bert, 0, &form);
        }
}

static void position_biases_stay_beside_the_mask(void **state)
{
    (void)state;
    const struct test_fixture bert = {"bert", 1e-5};
    for (int i = 0; i < 4; i++) {
        struct form form = {.mask = i & 1 ? MASK_AS_IT_IS : MASK_TEN_THOUSAND, .divide = true, .swapped = i & 2,
                            .relative = true};
        check_form(&bert, 0, &form);
    }
}

static void windows_are_found(void **state)
{
    (void)state;
    const struct test_fixture gemma = {"gemma", 1e-5};
    for (int i = 0; i < 4; i++) {
        struct form form = {MASK_AS_IT_IS, i & 1, i & 2, i & 1, i & 2, i & 1, false};
        check_form(&gemma, 1, &form);
    }
}

/* A SoftMax along another axis is no attention. */
static void other_axes_stay(void **state)
{
    (void)state;
    struct inc_lowering lowering = {.ctx = test_ctx(), .graph = test_fixture_graph("bert")};
    const struct form form = {.mask = MASK_AS_IT_IS};
    size_t windows;
    (void)write_all_out(lowering.graph, &form);
    for (struct inc_node *node = lowering.graph->first; node != NULL; node = node->next)
        if (node->op == INC_OP_SOFTMAX) inc_attr_set_int(node, "axis", 2);
    test_succeed(inc_lower_run(&lowering, NULL, NULL));
    assert_int_equal(count_attentions(lowering.graph, 3, &windows), 0);
    inc_graph_destroy(lowering.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_becomes_attention),
        cmocka_unit_test(windows_are_found),
        cmocka_unit_test(position_biases_stay_beside_the_mask),
        cmocka_unit_test(other_axes_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
