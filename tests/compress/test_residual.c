/* SPDX-License-Identifier: Apache-2.0 */
/* Where products enter the residual stream, and what making up for it there brings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/changes.h"
#include "compress/residual.h"
#include "support/calibrated.h"

static void check_model(const char *model, size_t direct, size_t normed)
{
    struct inc_graph *graph = test_fixture_graph(model);
    struct test_runner runner;
    size_t found[2] = {0, 0};
    test_runner_open(&runner, graph, INCISE_ISA_SCALAR, 1, INC_INTEGER_NONE);
    const struct inc_plan *plan = &runner.program->plan;
    for (size_t i = 0; i < plan->n_steps; i++) {
        struct inc_residual residual;
        if (plan->steps[i].op != INC_OP_LINEAR || !inc_residual_find(plan, i, &residual)) continue;
        found[residual.norm != NULL]++;
        assert_true(plan->buffers[residual.rows.buffer].width == plan->steps[i].width);
    }
    assert_int_equal(found[0], direct);
    assert_int_equal(found[1], normed);
    test_runner_close(&runner);
    inc_graph_destroy(graph);
}

/* Two output projections per layer. */
static void residuals_are_found_behind_norms_too(void **state)
{
    (void)state;
    check_model("bert", 4, 0);
    check_model("gemma", 0, 4);
}

static void a_scale_makes_rows_of_root_mean_square_one(void **state)
{
    (void)state;
    const float row[] = {1, -5, 3, 1};
    const struct inc_norm_step norm = {.eps = 7};
    assert_true(fabsf(inc_residual_scale(&norm, row, 4) - 0.25f) < 1e-7f);
}

static double loss_of(const char *refit)
{
    struct test_calibrated c;
    struct incise_changes *changes;
    struct incise_prune_options options;
    size_t n;
    incise_prune_options_init(&options);
    options.pattern = "block:8x4";
    options.refit = refit;
    test_calibrated_open(&c, "gemma", NULL, 400, 5);
    double *before = test_calibrated_outputs(&c, c.graph, &n);
    assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
    assert_int_equal(inc_prune(c.graph, c.runner.pool, &options, c.calibration, changes), INCISE_OK);
    double *after = test_calibrated_outputs(&c, c.graph, &n), loss = test_distance(after, before, n);
    free(before), free(after);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
    return loss;
}

static void making_up_through_the_norm_loses_less(void **state)
{
    (void)state;
    double dense = loss_of("dense"), residual = loss_of("residual");
    assert_true(residual < 0.99 * dense);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residuals_are_found_behind_norms_too),
        cmocka_unit_test(a_scale_makes_rows_of_root_mean_square_one),
        cmocka_unit_test(making_up_through_the_norm_loses_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
