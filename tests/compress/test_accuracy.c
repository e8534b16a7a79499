/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy control: the search on units whose losses add up, and mixtures of levels, which run in one program and from
 * the file graph to the same bits. */
#include <stdio.h>
#include <string.h>

#include "compress/accuracy.h"
#include "compress/bias.h"
#include "compress/levels.h"
#include "support/runner.h"

/* ---- the search ------------------------------------------------------------------------------------------------ */

enum { UNITS = 40, LEVELS = 3 };

struct model {
    double loss[UNITS][LEVELS], cost[UNITS][LEVELS], limit;
    unsigned level[UNITS], told[UNITS];
    size_t checks, moves, losses;
    bool known; /* the last verdict told */
};

static double total(const struct model *model)
{
    double sum = 0;
    for (size_t i = 0; i < UNITS; i++) sum += model->loss[i][model->level[i]];
    return sum;
}

static enum incise_status set_level(void *user, size_t unit, unsigned level)
{
    ((struct model *)user)->level[unit] = level;
    return INCISE_OK;
}

static double cost_of(void *user, size_t unit, unsigned level)
{
    return ((struct model *)user)->cost[unit][level];
}

static enum incise_status loss_now(void *user, double *loss)
{
    *loss = total(user);
    ((struct model *)user)->losses++;
    return INCISE_OK;
}

static enum incise_status check_now(void *user, struct inc_verdict *verdict)
{
    struct model *model = user;
    double loss = total(model);
    model->checks++;
    *verdict = (struct inc_verdict){"loss", loss, loss, model->limit, loss <= model->limit, 1};
    return INCISE_OK;
}

/* The decisions, followed, lead to what the search set. */
static void tell_move(void *user, size_t unit, unsigned from, unsigned to, const struct inc_verdict *verdict)
{
    struct model *model = user;
    model->moves++;
    model->known = verdict != NULL;
    if (unit == SIZE_MAX) {
        for (size_t i = 0; i < UNITS; i++) model->told[i] = to;
        return;
    }
    assert_int_equal(model->told[unit], from);
    model->told[unit] = to;
}

static void tell_ranked(void *user, size_t done, size_t n)
{
    (void)user, (void)done;
    assert_int_equal(n, UNITS);
}

static const struct inc_accuracy_ops ops = {set_level, cost_of, loss_now, check_now, tell_move, tell_ranked};

static void fill(struct model *model, uint64_t *seed)
{
    memset(model, 0, sizeof *model);
    for (size_t i = 0; i < UNITS; i++) {
        double size = test_random_float(seed, 1, 4), worst = test_random_float(seed, 0, 1);
        for (int l = 0; l < LEVELS; l++) model->cost[i][l] = size * (1 << l);
        model->loss[i][0] = worst * worst * worst;
        model->loss[i][1] = model->loss[i][0] * test_random_float(seed, 0, 1);
        model->level[i] = LEVELS - 1;
    }
}

static enum incise_status search(struct model *model, struct inc_verdict *last)
{
    return inc_accuracy_search(test_ctx(), &ops, model, UNITS, LEVELS, last);
}

static double cost_now(const struct model *model)
{
    double sum = 0;
    for (size_t i = 0; i < UNITS; i++) sum += model->cost[i][model->level[i]];
    return sum;
}

/* The requirement holds, what was told is what was done, and no more was paid than the convex bound asks for, but for
 * two of the largest steps. */
static void what_is_needed_is_given_back(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (int round = 0; round < 50; round++) {
        struct model model;
        struct inc_verdict last;
        fill(&model, &seed);
        for (size_t i = 0; i < UNITS; i++) model.level[i] = 0;
        double all = total(&model), least = cost_now(&model);
        for (size_t i = 0; i < UNITS; i++) model.level[i] = LEVELS - 1;
        double most = cost_now(&model), share = 0.1 + 0.8 * round / 50;
        model.limit = all * share;
        assert_int_equal(search(&model, &last), INCISE_OK);
        assert_true(last.met && total(&model) <= model.limit && last.value == total(&model));
        for (size_t i = 0; i < UNITS; i++) assert_int_equal(model.told[i], model.level[i]);
        assert_true(model.checks <= 14 + INC_ACCURACY_TRIES);
        assert_true(cost_now(&model) - least < (1 - share) * (most - least)); /* better than at random */
    }
}

static void one_culprit_is_found(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct model model;
    struct inc_verdict last;
    fill(&model, &seed);
    for (size_t i = 0; i < UNITS; i++) model.loss[i][0] = i == 17 ? 0.9 : 1e-4, model.loss[i][1] = model.loss[i][0] / 2;
    model.loss[17][1] = 1e-4;
    model.limit = 0.01;
    assert_int_equal(search(&model, &last), INCISE_OK);
    for (size_t i = 0; i < UNITS; i++) assert_int_equal(model.level[i], i == 17 ? 1 : 0);
    assert_int_equal(model.moves, 2);
}

static void what_holds_already_stays(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct model model;
    struct inc_verdict last;
    fill(&model, &seed);
    model.limit = UNITS;
    assert_int_equal(search(&model, &last), INCISE_OK);
    assert_true(last.met && model.checks == 1 && model.moves == 1 && model.known);
    assert_int_equal(model.losses, 0); /* nothing is ranked */
    for (size_t i = 0; i < UNITS; i++) assert_int_equal(model.level[i], 0);
}

static void what_cannot_hold_is_said(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct model model;
    struct inc_verdict last;
    fill(&model, &seed);
    model.limit = -1;
    assert_int_equal(search(&model, &last), INCISE_OK);
    assert_true(!last.met && last.bound == 0 && last.wanted == -1);
    for (size_t i = 0; i < UNITS; i++) assert_int_equal(model.level[i], LEVELS - 1);
    fill(&model, &seed);
    test_fail_after(0);
    assert_int_equal(search(&model, &last), INCISE_ERROR_MEMORY);
    test_fail_after(SIZE_MAX);
}

/* ---- levels ---------------------------------------------------------------------------------------------------- */

/* Every unit at a level of its own: the program and the file that is written agree to the bit. */
static void check_mixture(const char *name, const char *weights, const char *activations, uint64_t *seed)
{
    struct inc_graph *graph = test_fixture_graph(name), *mixed;
    struct incise_quantize_options options;
    struct incise_changes *changes;
    struct inc_levels levels;
    struct test_runner runner, written;
    struct test_inputs inputs;
    const struct inc_program_options replaceable = {.mode = INC_INTEGER_AS_WRITTEN, .replaceable = true};
    incise_quantize_options_init(&options);
    options.weights = weights;
    options.activations = activations;
    test_inputs_load(graph, name, "4x16", &inputs);
    test_runner_open(&runner, graph, incise_isa_detect(), 2, INC_INTEGER_AS_WRITTEN);
    inc_run_destroy(runner.run);
    inc_program_destroy(runner.program);
    assert_int_equal(inc_program_create(graph, runner.device, &replaceable, &runner.program), INCISE_OK);
    assert_int_equal(inc_run_create(runner.program, &runner.run), INCISE_OK);
    assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
    if (inc_levels_create(graph, runner.pool, &options, NULL, changes, &levels) != INCISE_OK)
        fail_msg("%s", test_last_error());
    for (size_t u = 0; u < levels.n_units; u++)
        assert_int_equal(inc_levels_set(&levels, runner.program, u, (unsigned)(test_random(seed) % levels.n_levels)),
                         INCISE_OK);
    assert_int_equal(inc_levels_finish(&levels, &mixed), INCISE_OK);
    assert_int_equal(inc_graph_verify(mixed), INCISE_OK);
    test_runner_open(&written, mixed, incise_isa_detect(), 2, INC_INTEGER_AS_WRITTEN);
    test_same_bits(test_run(&runner, &inputs), test_run(&written, &inputs));
    test_runner_close(&written);
    test_runner_close(&runner);
    inc_graph_destroy(mixed);
    inc_levels_destroy(&levels);
    incise_changes_destroy(changes);
    test_inputs_free(&inputs);
    inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
}

static void mixtures_are_written_as_they_run(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (int round = 0; round < 4; round++) {
        check_mixture("bert", "int8", "dynamic", &seed);
        check_mixture("bert", "int4", "float", &seed);
        check_mixture("gemma", "int4", "dynamic", &seed);
    }
}

/* ---- a model that plain INT8 breaks ---------------------------------------------------------------------------- */

static struct inc_node *find_node(const struct inc_graph *graph, int layer, const char *form)
{
    struct inc_node *node = graph->first;
    char name[128];
    snprintf(name, sizeof name, "%s.encoder.layer.%d.attention.%s", form[0] == '*' ? "__module" : "self", layer,
             form + (form[0] == '*'));
    while (node != NULL && strcmp(node->name, name) != 0) node = node->next;
    assert_non_null(node);
    return node;
}

/* Multiplies rows (outputs) or columns of an f32 constant by `factor`, every 20th from the 3rd on. */
static void scale_channels(struct inc_graph *graph, struct inc_node *node, bool columns, float factor)
{
    struct inc_blob *blob;
    size_t n = inc_tensor_elements(&node->data), width = (size_t)node->data.dims[node->data.rank - 1];
    float *data = inc_alloc_array(test_ctx(), n, sizeof *data);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++) {
        size_t channel = columns ? i % width : i / width;
        data[i] = ((const float *)node->data.data)[i] * (channel % 20 == 3 ? factor : 1);
    }
    assert_int_equal(inc_graph_add_blob(graph, data, n * sizeof *data, &blob), INCISE_OK);
    node->data.data = data;
}

/* What a few channels of the values are multiplied by, the output projection divides by again: the same function. */
static void break_model(struct inc_graph *graph, float factor)
{
    for (int layer = 0; layer < 2; layer++) {
        uint32_t input;
        struct inc_node *add = inc_bias_find(find_node(graph, layer, "*self.value/aten::linear/MatMul"), &input);
        assert_non_null(add);
        scale_channels(graph, find_node(graph, layer, "self.value.weight"), false, factor);
        scale_channels(graph, add->inputs[input]->node, true, factor);
        scale_channels(graph, find_node(graph, layer, "output.dense.weight"), true, 1 / factor);
    }
}

struct subject {
    struct test_runner runner;
    struct test_inputs inputs;
    struct inc_levels levels;
    struct inc_tensor base;
    double limit;
};

static enum incise_status subject_set(void *user, size_t unit, unsigned level)
{
    struct subject *subject = user;
    return inc_levels_set(&subject->levels, subject->runner.program, unit, level);
}

static double subject_cost(void *user, size_t unit, unsigned level)
{
    return inc_levels_cost(&((struct subject *)user)->levels, unit, level);
}

static enum incise_status subject_loss(void *user, double *loss)
{
    struct subject *subject = user;
    *loss = test_difference(test_run(&subject->runner, &subject->inputs), &subject->base, NULL);
    return INCISE_OK;
}

static enum incise_status subject_check(void *user, struct inc_verdict *verdict)
{
    struct subject *subject = user;
    double loss = 0;
    INC_TRY(subject_loss(user, &loss));
    *verdict = (struct inc_verdict){"difference", loss, loss, subject->limit, loss <= subject->limit, 1};
    return INCISE_OK;
}

static void subject_moved(void *user, size_t unit, unsigned from, unsigned to, const struct inc_verdict *verdict)
{
    (void)user, (void)unit, (void)from, (void)to, (void)verdict;
}

static void subject_ranked(void *user, size_t done, size_t n)
{
    (void)user, (void)done, (void)n;
}

/* The largest difference that plain INT8 makes; with `limit` > 0 the search then has to come below it. `floats` gets
 * what the model makes without it. */
static double quantize_broken(float factor, double limit, struct inc_tensor *floats)
{
    static const struct inc_accuracy_ops of_subject = {subject_set,   subject_cost,  subject_loss,
                                                       subject_check, subject_moved, subject_ranked};
    const struct inc_program_options replaceable = {.mode = INC_INTEGER_AS_WRITTEN, .replaceable = true};
    struct subject subject = {.limit = limit};
    struct inc_graph *graph = test_fixture_graph("bert");
    struct incise_quantize_options options;
    struct incise_changes *changes;
    struct inc_verdict last;
    double plain;
    break_model(graph, factor);
    incise_quantize_options_init(&options);
    test_inputs_load(graph, "bert", "4x16", &subject.inputs);
    test_runner_open(&subject.runner, graph, incise_isa_detect(), 2, INC_INTEGER_AS_WRITTEN);
    inc_run_destroy(subject.runner.run);
    inc_program_destroy(subject.runner.program);
    assert_int_equal(inc_program_create(graph, subject.runner.device, &replaceable, &subject.runner.program),
                     INCISE_OK);
    assert_int_equal(inc_run_create(subject.runner.program, &subject.runner.run), INCISE_OK);
    assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
    test_keep(test_run(&subject.runner, &subject.inputs), &subject.base);
    assert_int_equal(inc_levels_create(graph, subject.runner.pool, &options, NULL, changes, &subject.levels),
                     INCISE_OK);
    for (size_t u = 0; u < subject.levels.n_units; u++) assert_int_equal(subject_set(&subject, u, 0), INCISE_OK);
    assert_int_equal(subject_loss(&subject, &plain), INCISE_OK);
    for (size_t u = 0; u < subject.levels.n_units; u++)
        assert_int_equal(subject_set(&subject, u, subject.levels.n_levels - 1), INCISE_OK);
    if (limit > 0) {
        assert_int_equal(inc_accuracy_search(test_ctx(), &of_subject, &subject, subject.levels.n_units,
                                             subject.levels.n_levels, &last),
                         INCISE_OK);
        assert_true(last.met);
        size_t raised = 0;
        for (size_t u = 0; u < subject.levels.n_units; u++) raised += subject.levels.units[u].level > 0;
        assert_true(raised >= 1 && raised <= subject.levels.n_units / 2);
    }
    test_runner_close(&subject.runner);
    inc_levels_destroy(&subject.levels);
    incise_changes_destroy(changes);
    inc_tensor_release(test_ctx(), floats);
    *floats = subject.base;
    test_inputs_free(&subject.inputs);
    inc_graph_destroy(graph);
    return plain;
}

static void a_model_that_breaks_recovers(void **state)
{
    (void)state;
    struct inc_tensor before = {0}, after = {0};
    double whole = quantize_broken(1, 0, &before), broken = quantize_broken(100, 0, &after);
    assert_true(test_difference(&after, &before, NULL) < 1e-5); /* the same function */
    assert_true(broken > 1.5 * whole);
    (void)quantize_broken(100, 1.2 * whole, &after);
    inc_tensor_release(test_ctx(), &before);
    inc_tensor_release(test_ctx(), &after);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_needed_is_given_back), cmocka_unit_test(one_culprit_is_found),
        cmocka_unit_test(what_holds_already_stays),     cmocka_unit_test(what_cannot_hold_is_said),
        cmocka_unit_test(mixtures_are_written_as_they_run),
        cmocka_unit_test(a_model_that_breaks_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
