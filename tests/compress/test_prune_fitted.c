/* SPDX-License-Identifier: Apache-2.0 */
/* prune with calibration texts, on the tiny models. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/bias.h"
#include "compress/changes.h"
#include "compress/targets.h"
#include "support/calibrated.h"

enum { TEXTS = 400 };

struct case_options {
    const char *pattern, *method, *refit, *ignore;
    double sparsity;
    const char *allocate;
};

static enum incise_status prune(struct test_calibrated *c, const struct case_options *given,
                                struct incise_changes **changes)
{
    struct incise_prune_options options;
    incise_prune_options_init(&options);
    options.pattern = given->pattern;
    options.method = given->method;
    options.refit = given->refit;
    options.ignore = given->ignore;
    options.sparsity = given->sparsity;
    options.allocate = given->allocate;
    assert_int_equal(inc_changes_create(test_ctx(), changes), INCISE_OK);
    test_clear_error();
    return inc_prune(c->graph, c->runner.pool, &options, c->calibration, *changes);
}

/* What pruning makes of the model's outputs on the texts, relative to what they were. */
static double loss_of(const char *model, const struct case_options *options, size_t *zero_blocks)
{
    struct test_calibrated c;
    struct incise_changes *changes;
    size_t n;
    test_calibrated_open(&c, model, NULL, TEXTS, 5);
    double *before = test_calibrated_outputs(&c, c.graph, &n);
    if (prune(&c, options, &changes) != INCISE_OK) fail_msg("%s", test_last_error());
    *zero_blocks = 0;
    for (size_t i = 0; i < incise_changes_count(changes); i++) *zero_blocks += (size_t)changes->rows[i].zero_blocks;
    assert_int_equal(inc_graph_verify(c.graph), INCISE_OK);
    double *after = test_calibrated_outputs(&c, c.graph, &n);
    double loss = test_distance(after, before, n);
    free(before), free(after);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
    return loss;
}

static void nothing_removed_changes_nothing(void **state)
{
    (void)state;
    static const char *const models[] = {"bert", "gemma", "bert-f16"}, *const refits[] = {"none", "dense", "residual"};
    for (size_t m = 0; m < 3; m++)
        for (size_t r = 0; r < 3; r++) {
            size_t zeros;
            const struct case_options options = {"block:8x4", "obs", refits[r], NULL, 0, NULL};
            double loss = loss_of(models[m], &options, &zeros);
            assert_true(loss < (m == 2 ? 1e-3 : 1e-5)); /* f16 rounds its weights anew */
            assert_int_equal(zeros, 0);
        }
}

/* Better masks and better fits lose less, on these texts, in the order of what they know. */
static void methods_rank_as_they_should(void **state)
{
    (void)state;
    static const char *const models[] = {"bert", "gemma"};
    for (size_t m = 0; m < 2; m++) {
        size_t zeros[5];
        const struct case_options options[] = {{"block:8x4", "magnitude", "none", NULL, 0.5, NULL},
                                               {"block:8x4", "magnitude", "dense", NULL, 0.5, NULL},
                                               {"block:8x4", "wanda", "dense", NULL, 0.5, NULL},
                                               {"block:8x4", "obs", "dense", NULL, 0.5, NULL},
                                               {"block:8x4", NULL, NULL, NULL, 0.5, NULL}};
        double loss[5];
        for (size_t i = 0; i < 5; i++) loss[i] = loss_of(models[m], &options[i], &zeros[i]);
        assert_true(loss[1] < 0.9 * loss[0]);
        assert_true(loss[3] < 0.95 * loss[1]);
        assert_true(loss[3] < loss[2] && loss[2] < loss[0]);
        assert_true(loss[4] < 1.02 * loss[3]);
        assert_int_equal(zeros[2], zeros[3]);
        assert_int_equal(zeros[3], zeros[4]);
    }
}

static void whatever_is_ignored_keeps_its_bits(void **state)
{
    (void)state;
    struct test_calibrated c;
    struct incise_changes *changes;
    const struct case_options options = {"block:8x4", "obs", "residual", "layer.0|query", 0.5, NULL};
    test_calibrated_open(&c, "bert", NULL, TEXTS, 5);
    struct inc_graph *untouched = test_fixture_graph("bert");
    assert_int_equal(prune(&c, &options, &changes), INCISE_OK);
    assert_int_equal(incise_changes_count(changes), 5);
    size_t same = 0, different = 0;
    struct inc_node *a = c.graph->first;
    for (struct inc_node *b = untouched->first; b != NULL; b = b->next) {
        if (b->op != INC_OP_CONSTANT || b->data.rank != 2 || strstr(b->name, "encoder.layer") == NULL) continue;
        for (a = c.graph->first; strcmp(a->name, b->name) != 0; a = a->next) assert_non_null(a->next);
        bool equal = memcmp(a->data.data, b->data.data, b->data.bytes) == 0;
        bool ignored = strstr(b->name, "layer.0") != NULL || strstr(b->name, "query") != NULL;
        assert_int_equal(equal, ignored);
        same += equal;
        different += !equal;
    }
    assert_int_equal(same, 7);
    assert_int_equal(different, 5);
    inc_graph_destroy(untouched);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
}

/* Gemma's layers have no bias: refit adds one, in f32, and the model stays fused. */
static void biases_are_added(void **state)
{
    (void)state;
    struct test_calibrated c;
    struct incise_changes *changes;
    struct inc_targets targets;
    uint32_t input;
    const struct case_options options = {"block:8x4", "obs", "dense", NULL, 0.5, NULL};
    test_calibrated_open(&c, "gemma", NULL, TEXTS, 5);
    assert_int_equal(inc_targets_select(c.graph, false, NULL, NULL, &targets), INCISE_OK);
    for (size_t i = 0; i < targets.n; i++) assert_null(inc_bias_find(targets.items[i].reader, &input));
    assert_int_equal(prune(&c, &options, &changes), INCISE_OK);
    for (size_t i = 0; i < targets.n; i++) assert_non_null(inc_bias_find(targets.items[i].reader, &input));
    assert_int_equal(inc_graph_infer(c.graph), INCISE_OK);
    inc_targets_release(&targets);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
}

static void a_single_text_is_enough(void **state)
{
    (void)state;
    struct test_calibrated c;
    struct incise_changes *changes;
    const struct case_options options = {"block:8x4", "obs", "residual", NULL, 0.5, NULL};
    test_calibrated_open(&c, "bert", NULL, 1, 3);
    size_t n;
    assert_int_equal(prune(&c, &options, &changes), INCISE_OK);
    double *outputs = test_calibrated_outputs(&c, c.graph, &n);
    for (size_t i = 0; i < n; i++) assert_true(isfinite(outputs[i]));
    free(outputs);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
}

/* Layer 1 is made nearly useless: most of what goes then goes there, up to 20 points above the common share. */
static void shares_follow_the_losses(void **state)
{
    (void)state;
    static const char *const methods[] = {"obs", "wanda", "magnitude"};
    for (size_t m = 0; m < 3; m++) {
        struct test_calibrated c;
        struct incise_changes *changes;
        const struct case_options options = {"block:8x4", methods[m], "dense", NULL, 0.3, "global"};
        struct inc_graph *graph = test_fixture_graph("bert");
        for (struct inc_node *node = graph->first; node != NULL; node = node->next)
            if (strcmp(node->name, "self.encoder.layer.1.output.dense.weight") == 0)
                memset((float *)node->data.data + 24 * 96, 0, 40 * 96 * sizeof(float)); /* 5 of 8 strips */
        test_calibrated_open(&c, NULL, graph, 100, 5);
        if (prune(&c, &options, &changes) != INCISE_OK) fail_msg("%s", test_last_error());
        double zero = 0, all = 0;
        for (size_t i = 0; i < incise_changes_count(changes); i++) {
            const struct incise_change *change = &changes->rows[i];
            double share = (double)change->zero_blocks / (double)change->blocks;
            bool useless = strstr(change->name, "layer.1.output") != NULL;
            assert_true(useless ? share >= 0.625 : share <= 0.5 + 1e-9);
            zero += useless ? 0.5 * (double)change->blocks : (double)change->zero_blocks;
            all += (double)change->blocks;
        }
        if (m < 2) assert_true(fabs(zero / all - 0.3) < 0.01);
        incise_changes_destroy(changes);
        test_calibrated_close(&c);
    }
}

/* ---- channels ---------------------------------------------------------------------------------------------------- */

static float *constant_data(struct inc_graph *graph, const char *name)
{
    for (struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (strcmp(node->name, name) == 0) return node->data.data;
    fail_msg("no constant '%s'", name);
    return NULL;
}

static struct inc_node *matmul_of(struct inc_graph *graph, const char *part)
{
    for (struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (node->op == INC_OP_MATMUL && strstr(node->name, part) != NULL) return node;
    fail_msg("no layer '%s'", part);
    return NULL;
}

static float *bias_data(struct inc_graph *graph, const char *part)
{
    uint32_t input;
    struct inc_node *add = inc_bias_find(matmul_of(graph, part), &input);
    assert_non_null(add);
    return add->inputs[input]->node->data.data;
}

/* Outputs that the next norm wipes out are the first to go: of BERT the one behind the residual, of Gemma the one
 * before it. */
static void outputs_count_by_the_gain_behind_them(void **state)
{
    (void)state;
    static const char *const models[] = {"bert", "gemma"}, *const gains[] = {"Constant_237", "Constant_101202"};
    static const char *const layers[] = {"layer.1.output", "layers.0.mlp.down_proj"};
    for (size_t m = 0; m < 2; m++) {
        struct test_calibrated c;
        struct incise_changes *changes;
        struct inc_graph *graph = test_fixture_graph(models[m]);
        const struct case_options options = {"block:8x4", "obs", "dense", NULL, 0.2, NULL}; /* 38 of 192 blocks */
        memset(constant_data(graph, gains[m]), 0, 8 * sizeof(float));
        test_calibrated_open(&c, NULL, graph, 100, 5);
        if (prune(&c, &options, &changes) != INCISE_OK) fail_msg("%s", test_last_error());
        const float *weights = matmul_of(graph, layers[m])->inputs[1]->node->data.data;
        for (size_t i = 0; i < 8 * 96; i++) assert_true(weights[i] == 0);
        incise_changes_destroy(changes);
        test_calibrated_close(&c);
    }
}

/* The first 32 of 96 channels become twins of others, or constant. */
static void spoil_channels(struct inc_graph *graph, bool constant)
{
    for (int layer = 0; layer < 2; layer++) {
        char name[64], part[64];
        snprintf(name, sizeof name, "self.encoder.layer.%d.intermediate.dense.weight", layer);
        snprintf(part, sizeof part, "layer.%d.intermediate", layer);
        float *weights = constant_data(graph, name), *bias = bias_data(graph, part);
        for (size_t i = 0; i < 32; i++) {
            memcpy(weights + i * 64, weights + (i + 40) * 64, 64 * sizeof *weights);
            if (constant) memset(weights + i * 64, 0, 64 * sizeof *weights);
            bias[i] = constant ? 1.5f : bias[i + 40];
        }
    }
}

enum { SOUND, TWINS, CONSTANT };

/* What removing 32 of 96 channels does to the outputs. */
static double loss_of_channels(int kind)
{
    struct inc_graph *graph = test_fixture_graph("bert");
    struct test_calibrated c;
    struct incise_changes *changes;
    const struct case_options options = {"channel", "obs", "dense", NULL, 1.0 / 3, NULL};
    size_t n;
    if (kind != SOUND) spoil_channels(graph, kind == CONSTANT);
    test_calibrated_open(&c, NULL, graph, TEXTS, 5);
    double *before = test_calibrated_outputs(&c, c.graph, &n);
    if (prune(&c, &options, &changes) != INCISE_OK) fail_msg("%s", test_last_error());
    assert_int_equal(incise_changes_count(changes), 12);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(changes->rows[i].zero_blocks, changes->rows[i].blocks == 96 ? 32 : 0);
    double *after = test_calibrated_outputs(&c, c.graph, &n);
    double loss = test_distance(after, before, n);
    free(before), free(after);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
    return loss;
}

/* Twins can go but for what the ridge holds them back; constant channels become bias, exactly. */
static void useless_channels_go_for_nothing(void **state)
{
    (void)state;
    double sound = loss_of_channels(SOUND), twins = loss_of_channels(TWINS), constant = loss_of_channels(CONSTANT);
    assert_true(twins < 0.05 * sound);
    assert_true(constant < 1e-5);
}

/* The constants shrink, and the graph stays valid and fused. */
static void channels_leave_the_graph(void **state)
{
    (void)state;
    static const char *const models[] = {"bert", "gemma", "bert-f16"};
    static const char *const inner[] = {"layer.0.intermediate", "layers.0.mlp.gate_proj", "layer.0.intermediate"};
    static const char *const outer[] = {"layer.0.output", "layers.0.mlp.down_proj", "layer.0.output"};
    for (size_t m = 0; m < 3; m++) {
        struct test_calibrated c;
        struct incise_changes *changes;
        const struct case_options options = {"channel", "obs", "residual", NULL, 0.6, NULL};
        test_calibrated_open(&c, models[m], NULL, TEXTS, 5);
        size_t n;
        double *before = test_calibrated_outputs(&c, c.graph, &n);
        assert_int_equal(matmul_of(c.graph, inner[m])->inputs[1]->shape.dims[0].value, 96);
        if (prune(&c, &options, &changes) != INCISE_OK) fail_msg("%s", test_last_error());
        assert_int_equal(inc_graph_verify(c.graph), INCISE_OK);
        assert_int_equal(matmul_of(c.graph, inner[m])->inputs[1]->shape.dims[0].value, 32);
        assert_int_equal(matmul_of(c.graph, outer[m])->inputs[1]->shape.dims[1].value, 32);
        double *after = test_calibrated_outputs(&c, c.graph, &n);
        double loss = test_distance(after, before, n);
        assert_true(loss > 1e-6 && loss < 0.5);
        free(before), free(after);
        incise_changes_destroy(changes);
        test_calibrated_close(&c);
    }
}

/* A layer that is not selected keeps its width; one that ends no feed-forward layer has no channels to prune. */
static void channels_are_selected_by_the_outer_layer(void **state)
{
    (void)state;
    struct test_calibrated c;
    struct incise_changes *changes;
    const struct case_options none = {"channel", "obs", "dense", "[01].output.dense", 0.6, NULL};
    const struct case_options one = {"channel", "wanda", "dense", "layer.0.output|attention|intermediate", 0.6, NULL};
    test_calibrated_open(&c, "bert", NULL, 60, 5);
    assert_int_equal(prune(&c, &none, &changes), INCISE_ERROR_USAGE);
    assert_non_null(strstr(test_last_error(), "ends a feed-forward layer"));
    incise_changes_destroy(changes);
    assert_int_equal(prune(&c, &one, &changes), INCISE_OK);
    assert_int_equal(incise_changes_count(changes), 1);
    assert_int_equal(matmul_of(c.graph, "layer.0.output")->inputs[1]->shape.dims[1].value, 96);
    assert_int_equal(matmul_of(c.graph, "layer.1.output.dense")->inputs[1]->shape.dims[1].value, 32);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void refuse(const char *model, const char *pattern, const char *part)
{
    struct test_calibrated c;
    struct incise_changes *changes;
    const struct case_options options = {pattern, "obs", "residual", NULL, 0.5, NULL};
    test_calibrated_open(&c, model, NULL, 4, 3);
    assert_int_equal(prune(&c, &options, &changes), INCISE_ERROR_USAGE);
    assert_non_null(strstr(test_last_error(), part));
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
}

static void what_cannot_be_fitted_is_named(void **state)
{
    (void)state;
    refuse("bert-int8-asym", "block:8x4", "is quantized (u8)");
    refuse("bert-static-int8", "block:8x4", "is quantized (i8)");
    refuse("bert-int8-asym", "channel", "is quantized (u8)");
}

/* Elements of the Linears that are left and not zero. */
static double count_left(struct inc_graph *graph)
{
    struct inc_targets targets;
    double left = 0;
    assert_int_equal(inc_targets_select(graph, false, NULL, NULL, &targets), INCISE_OK);
    for (size_t i = 0; i < targets.n; i++) {
        const struct inc_tensor *data = &targets.items[i].weight.constant->data;
        for (size_t k = 0; k < inc_tensor_elements(data); k++) left += ((const float *)data->data)[k] != 0;
    }
    inc_targets_release(&targets);
    return left;
}

static int64_t width_of(struct inc_graph *graph, const char *part)
{
    return (int64_t)inc_tensor_elements(&matmul_of(graph, part)->inputs[1]->node->data) / 64;
}

/* 2 layers of 4 x 64 x 64 and 2 x 64 x 96: channels in steps of 32, at most three quarters; blocks make up the rest. */
static void channels_go_before_blocks(void **state)
{
    (void)state;
    static const struct {
        double share;
        const char *ignore;
        int64_t widths[2];
    } cases[] = {{0.2, NULL, {64, 64}}, {0.6, NULL, {32, 32}}, {0.2, "layer.0.intermediate", {96, 32}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct test_calibrated c;
        struct incise_changes *changes;
        const struct case_options options = {"block:8x4", NULL, NULL, cases[i].ignore, cases[i].share, "channels"};
        double all = 2 * (4 * 64 * 64 + 2 * 64 * 96), ignored = cases[i].ignore != NULL ? 64 * 96 : 0;
        test_calibrated_open(&c, "bert", NULL, 100, 5);
        if (prune(&c, &options, &changes) != INCISE_OK) fail_msg("%s", test_last_error());
        assert_int_equal(inc_graph_verify(c.graph), INCISE_OK);
        assert_int_equal(width_of(c.graph, "layer.0.intermediate"), cases[i].widths[0]);
        assert_int_equal(width_of(c.graph, "layer.1.intermediate"), cases[i].widths[1]);
        assert_true(fabs(count_left(c.graph) - ignored - (1 - cases[i].share) * (all - ignored)) <= 32);
        incise_changes_destroy(changes);
        test_calibrated_close(&c);
    }
    struct test_calibrated c;
    struct incise_changes *changes;
    const struct case_options options = {"channel", NULL, NULL, NULL, 0.5, "channels"};
    test_calibrated_open(&c, "bert", NULL, 10, 5);
    assert_int_equal(prune(&c, &options, &changes), INCISE_ERROR_USAGE);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
}

/* Gemma's products go through a norm into the stream: they make up for what it has lost, too. */
static void a_norm_lets_residuals_through(void **state)
{
    (void)state;
    size_t zeros;
    const struct case_options dense = {"block:32x32", "obs", "dense", NULL, 0.7, NULL};
    const struct case_options residual = {"block:32x32", "obs", "residual", NULL, 0.7, NULL};
    double without = loss_of("gemma", &dense, &zeros), with = loss_of("gemma", &residual, &zeros);
    assert_true(with < 0.95 * without);
}

/* Layers that keep all their inputs are fitted, too. */
static void all_layers_make_up_for_channels(void **state)
{
    (void)state;
    size_t zeros;
    const struct case_options alone = {"channel", NULL, NULL, "attention|intermediate", 2.0 / 3, NULL};
    const struct case_options together = {"channel", NULL, NULL, NULL, 2.0 / 3, NULL};
    double left = loss_of("bert", &alone, &zeros), fitted = loss_of("bert", &together, &zeros);
    assert_true(fitted < 0.95 * left);
}

/* Every allocation from the `first` one on that is tried may be the last that succeeds. */
static void survive_short_memory(const char *allocate, size_t first)
{
    enum incise_status status = INCISE_ERROR_MEMORY;
    for (size_t n = first; status != INCISE_OK; n += n < 40 ? 7 : 61) {
        struct test_calibrated c;
        struct incise_changes *changes;
        struct incise_prune_options options;
        test_calibrated_open(&c, "bert-f16", NULL, 12, 3);
        incise_prune_options_init(&options);
        options.pattern = "block:8x4";
        options.sparsity = 0.5;
        options.allocate = allocate;
        assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
        test_fail_after(n);
        status = inc_prune(c.graph, c.runner.pool, &options, c.calibration, changes);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
        incise_changes_destroy(changes);
        test_calibrated_close(&c);
    }
}

static void memory_may_be_short(void **state)
{
    (void)state;
    struct incise_changes *changes;
    const struct case_options options = {"block:8x4", "obs", "residual", NULL, 0.5, NULL};
    survive_short_memory("uniform", 0);
    survive_short_memory("channels", 300);
    struct test_calibrated c;
    test_calibrated_open(&c, "bert", NULL, 12, 3);
    struct inc_ctx small = *test_ctx();
    small.max_memory = 100000;
    c.graph->ctx = &small;
    test_clear_error();
    assert_int_equal(prune(&c, &options, &changes), INCISE_ERROR_MEMORY);
    assert_non_null(strstr(test_last_error(), "--max-memory"));
    c.graph->ctx = test_ctx();
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_removed_changes_nothing),
        cmocka_unit_test(methods_rank_as_they_should),
        cmocka_unit_test(whatever_is_ignored_keeps_its_bits),
        cmocka_unit_test(biases_are_added),
        cmocka_unit_test(a_single_text_is_enough),
        cmocka_unit_test(shares_follow_the_losses),
        cmocka_unit_test(outputs_count_by_the_gain_behind_them),
        cmocka_unit_test(useless_channels_go_for_nothing),
        cmocka_unit_test(channels_leave_the_graph),
        cmocka_unit_test(channels_are_selected_by_the_outer_layer),
        cmocka_unit_test(what_cannot_be_fitted_is_named),
        cmocka_unit_test(channels_go_before_blocks),
        cmocka_unit_test(a_norm_lets_residuals_through),
        cmocka_unit_test(all_layers_make_up_for_channels),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
