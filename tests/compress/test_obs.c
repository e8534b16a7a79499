/* SPDX-License-Identifier: Apache-2.0 */
/* Block OBS and refit against brute force on small problems. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/linalg.h"
#include "compress/obs.h"
#include "compress/refit.h"
#include "support/support.h"

enum { OUT = 7, IN = 22 }; /* the last strip and the last blocks are cut short */

struct problem {
    double weights[OUT * IN], inputs[IN * IN], targets[OUT * IN];
    struct inc_fit fit;
    double lambda;
};

/* Correlated inputs of very different scales; targets that are not W Cov(x). */
static void make_problem(struct problem *problem, uint64_t *seed)
{
    enum { ROWS = 60 };
    double x[ROWS][IN];
    for (size_t t = 0; t < ROWS; t++)
        for (size_t i = 0; i < IN; i++) {
            x[t][i] = (double)test_random_float(seed, -1, 1) * exp2((double)(i % 5) - 2);
            if (i > 0) x[t][i] += 0.7 * x[t][i - 1];
        }
    memset(problem, 0, sizeof *problem);
    for (size_t i = 0; i < IN; i++)
        for (size_t j = 0; j < IN; j++)
            for (size_t t = 0; t < ROWS; t++) problem->inputs[i * IN + j] += x[t][i] * x[t][j] / ROWS;
    for (size_t i = 0; i < OUT * IN; i++) problem->weights[i] = (double)test_random_float(seed, -1, 1);
    for (size_t r = 0; r < OUT; r++)
        for (size_t j = 0; j < IN; j++) {
            for (size_t k = 0; k < IN; k++)
                problem->targets[r * IN + j] += problem->weights[r * IN + k] * problem->inputs[k * IN + j];
            problem->targets[r * IN + j] += 0.1 * (double)test_random_float(seed, -1, 1);
        }
    problem->fit = (struct inc_fit){OUT, IN, problem->weights, problem->inputs, problem->targets};
    problem->lambda = inc_fit_ridge(&problem->fit, 0.02);
}

/* The objective of one strip without its constant. */
static double objective(const struct problem *problem, const struct inc_blocks *blocks, size_t strip, const double *v)
{
    double sum = 0;
    for (size_t r = strip * blocks->height; r < strip * blocks->height + inc_strip_height(blocks, strip); r++)
        for (size_t i = 0; i < IN; i++) {
            double vi = v[r * IN + i], change = vi - problem->weights[r * IN + i];
            sum += problem->lambda * change * change - 2 * vi * problem->targets[r * IN + i];
            for (size_t j = 0; j < IN; j++) sum += vi * v[r * IN + j] * problem->inputs[i * IN + j];
        }
    return sum;
}

static double best_objective(const struct problem *problem, const struct inc_blocks *blocks, size_t strip,
                             const bool *chosen)
{
    double v[OUT * IN];
    assert_int_equal(inc_fit_masked(test_ctx(), NULL, &problem->fit, blocks, chosen, problem->lambda, v), INCISE_OK);
    return objective(problem, blocks, strip, v);
}

/* Each step of a strip takes the block whose removal costs least after a refit of all that stays, and its loss is that
 * cost, or the largest before. */
static void check_strip(const struct problem *problem, const struct inc_blocks *blocks, size_t strip,
                        const struct inc_removal *removals)
{
    bool chosen[OUT * IN] = {false};
    double now = best_objective(problem, blocks, strip, chosen), largest = 0;
    for (size_t i = 0, seen = 0; i < blocks->n; i++) {
        if (removals[i].block / blocks->across != strip) continue;
        double least = INFINITY, cost = 0;
        for (size_t b = 0; b < blocks->across; b++) {
            bool *candidate = &chosen[strip * blocks->across + b];
            if (*candidate) continue;
            *candidate = true;
            double increase = best_objective(problem, blocks, strip, chosen) - now;
            *candidate = false;
            least = fmin(least, increase);
            if (strip * blocks->across + b == removals[i].block) cost = increase;
        }
        assert_true(cost <= least + 1e-9 * (1 + fabs(now)));
        largest = fmax(largest, cost);
        assert_true(fabs(removals[i].loss - largest) < 1e-8 * (1 + fabs(now)));
        assert_false(chosen[removals[i].block]);
        chosen[removals[i].block] = true;
        now += cost;
        seen++;
        assert_true(seen <= blocks->across);
    }
}

static void the_trace_is_greedy_and_its_losses_are_exact(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{1, 1}, {3, 1}, {3, 4}, {4, 7}, {OUT, 1}, {32, 32}, {1, 5}};
    uint64_t seed = test_seed();
    struct inc_pool *pool;
    assert_int_equal(inc_pool_create(test_ctx(), 2, false, &pool), INCISE_OK);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct problem problem;
        struct inc_removal removals[OUT * IN];
        double start[OUT * IN], inverse[IN * IN];
        make_problem(&problem, &seed);
        struct inc_blocks blocks = inc_blocks_of(OUT, IN, shapes[s][0], shapes[s][1]);
        assert_true(inc_fit_whole(NULL, &problem.fit, problem.lambda, start, inverse));
        assert_int_equal(inc_obs_trace(test_ctx(), pool, &blocks, start, inverse, removals), INCISE_OK);
        for (size_t i = 1; i < blocks.n; i++) assert_true(removals[i].loss >= removals[i - 1].loss);
        for (size_t strip = 0; strip < blocks.down; strip++) check_strip(&problem, &blocks, strip, removals);
    }
    inc_pool_destroy(pool);
}

/* Enough columns that what is pending is applied and the matrices shrink several times. */
static void long_traces_agree_with_refits(void **state)
{
    (void)state;
    enum { R = 4, D = 300 };
    static const size_t widths[] = {1, 8, 32};
    uint64_t seed = test_seed();
    double *x = malloc(D * D * sizeof *x), *c = calloc(D * D, sizeof *c), *inverse = malloc(D * D * sizeof *c);
    double *w = malloc(R * D * sizeof *w), *t = calloc(R * D, sizeof *t), *v = malloc(R * D * sizeof *v);
    struct inc_removal *removals = malloc(D * sizeof *removals);
    for (size_t i = 0; i < D * D; i++) x[i] = (double)test_random_float(&seed, -1, 1);
    inc_linalg_multiply_transposed(D, D, D, 1.0 / D, x, D, x, D, c, D);
    for (size_t i = 0; i < R * D; i++) w[i] = (double)test_random_float(&seed, -1, 1);
    inc_linalg_multiply(NULL, R, D, D, 1, w, D, c, D, t, D);
    struct inc_fit fit = {R, D, w, c, t};
    double lambda = inc_fit_ridge(&fit, 0.01), loss, whole;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        struct inc_blocks blocks = inc_blocks_of(R, D, R, widths[i]);
        bool chosen[D] = {false};
        double sum = 0;
        assert_true(inc_fit_whole(NULL, &fit, lambda, v, inverse));
        assert_int_equal(inc_fit_loss(test_ctx(), NULL, &fit, v, &whole), INCISE_OK);
        assert_int_equal(inc_obs_trace(test_ctx(), NULL, &blocks, v, inverse, removals), INCISE_OK);
        for (size_t k = 0; k < blocks.n; k++) {
            double before = sum, largest = 0;
            inc_removals_choose(removals, k + 1, chosen);
            assert_int_equal(inc_fit_masked(test_ctx(), NULL, &fit, &blocks, chosen, lambda, v), INCISE_OK);
            assert_int_equal(inc_fit_loss(test_ctx(), NULL, &fit, v, &loss), INCISE_OK);
            sum = loss - whole;
            for (size_t j = 0; j < R * D; j++) sum += lambda * (v[j] - w[j]) * (v[j] - w[j]);
            assert_true(sum - before <= removals[k].loss * (1 + 1e-7) + 1e-9 * sum);
            for (size_t j = 0; j <= k; j++) largest = fmax(largest, removals[j].loss);
            assert_true(removals[k].loss == largest);
            if (k == 0) assert_true(fabs(sum - removals[k].loss) < 1e-7 * sum);
        }
        assert_true(sum > 0);
    }
    free(x), free(c), free(inverse), free(w), free(t), free(v), free(removals);
}

static void a_duplicated_column_costs_nothing(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct problem problem;
    struct inc_removal removals[IN];
    double start[OUT * IN], inverse[IN * IN];
    make_problem(&problem, &seed);
    for (size_t i = 0; i < IN; i++) problem.inputs[9 * IN + i] = problem.inputs[4 * IN + i]; /* x9 is x4 */
    for (size_t i = 0; i < IN; i++) problem.inputs[i * IN + 9] = problem.inputs[i * IN + 4];
    memset(problem.targets, 0, sizeof problem.targets);
    inc_linalg_multiply(NULL, OUT, IN, IN, 1, problem.weights, IN, problem.inputs, IN, problem.targets, IN);
    struct inc_blocks blocks = inc_blocks_of(OUT, IN, OUT, 1);
    double lambda = inc_fit_ridge(&problem.fit, 1e-6);
    assert_true(inc_fit_whole(NULL, &problem.fit, lambda, start, inverse));
    assert_int_equal(inc_obs_trace(test_ctx(), NULL, &blocks, start, inverse, removals), INCISE_OK);
    assert_true(removals[0].block == 4 || removals[0].block == 9);
    double bound = 0; /* all of its weight moved to the other one */
    for (size_t r = 0; r < OUT; r++)
        bound += 2 * lambda * problem.weights[r * IN + removals[0].block] * problem.weights[r * IN + removals[0].block];
    assert_true(removals[0].loss <= bound * (1 + 1e-6) && removals[0].loss < 1e-2 * removals[1].loss);
}

/* With targets W Cov(x) and nothing removed, W is the solution whatever the ridge. */
static void nothing_removed_changes_nothing(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct problem problem;
    double v[OUT * IN], inverse[IN * IN];
    const bool chosen[OUT * IN] = {false};
    make_problem(&problem, &seed);
    memset(problem.targets, 0, sizeof problem.targets);
    inc_linalg_multiply(NULL, OUT, IN, IN, 1, problem.weights, IN, problem.inputs, IN, problem.targets, IN);
    struct inc_blocks blocks = inc_blocks_of(OUT, IN, 3, 4);
    for (double lambda = 1e-3; lambda < 1e4; lambda *= 100) {
        assert_int_equal(inc_fit_masked(test_ctx(), NULL, &problem.fit, &blocks, chosen, lambda, v), INCISE_OK);
        for (size_t i = 0; i < OUT * IN; i++) assert_true(fabs(v[i] - problem.weights[i]) < 1e-10);
        assert_true(inc_fit_whole(NULL, &problem.fit, lambda, v, inverse));
        for (size_t i = 0; i < OUT * IN; i++) assert_true(fabs(v[i] - problem.weights[i]) < 1e-10);
    }
}

/* Inputs that never vary: their weights stay as they were, are the first to go, and do not disturb the others. */
static void dead_inputs_go_first(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct problem problem;
    struct inc_removal removals[IN];
    double v[OUT * IN], start[OUT * IN], inverse[IN * IN];
    const bool chosen[IN] = {false};
    make_problem(&problem, &seed);
    for (size_t d = 5; d <= 17; d += 12) {
        for (size_t i = 0; i < IN; i++) problem.inputs[d * IN + i] = problem.inputs[i * IN + d] = 0;
        for (size_t r = 0; r < OUT; r++) problem.targets[r * IN + d] = 0;
        for (size_t r = 0; r < OUT; r++) problem.weights[r * IN + d] *= 0.01;
    }
    struct inc_blocks blocks = inc_blocks_of(OUT, IN, OUT, 1);
    double lambda = inc_fit_ridge(&problem.fit, 0.01);
    assert_int_equal(inc_fit_masked(test_ctx(), NULL, &problem.fit, &blocks, chosen, 0, v), INCISE_ERROR_FAILED);
    assert_int_equal(inc_fit_masked(test_ctx(), NULL, &problem.fit, &blocks, chosen, lambda, v), INCISE_OK);
    for (size_t r = 0; r < OUT; r++) assert_true(fabs(v[r * IN + 5] - problem.weights[r * IN + 5]) < 1e-12);
    assert_true(inc_fit_whole(NULL, &problem.fit, lambda, start, inverse));
    assert_int_equal(inc_obs_trace(test_ctx(), NULL, &blocks, start, inverse, removals), INCISE_OK);
    assert_int_equal(removals[0].block + removals[1].block, 5 + 17);
}

/* A model that always says the same: no variance at all. */
static void a_zero_covariance_is_survived(void **state)
{
    (void)state;
    struct problem problem = {.weights = {0}};
    double v[OUT * IN], inverse[IN * IN];
    struct inc_removal removals[OUT * IN];
    problem.fit = (struct inc_fit){OUT, IN, problem.weights, problem.inputs, problem.targets};
    for (size_t i = 0; i < OUT * IN; i++) problem.weights[i] = (double)(i % 13) - 6;
    double lambda = inc_fit_ridge(&problem.fit, 0.01);
    struct inc_blocks blocks = inc_blocks_of(OUT, IN, 2, 2);
    assert_true(lambda == 1);
    assert_true(inc_fit_whole(NULL, &problem.fit, lambda, v, inverse));
    assert_int_equal(inc_obs_trace(test_ctx(), NULL, &blocks, v, inverse, removals), INCISE_OK);
    for (size_t i = 0; i < OUT * IN; i++) assert_true(v[i] == problem.weights[i]);
}

static void memory_may_be_short(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct problem problem;
    struct inc_removal removals[OUT * IN];
    double start[OUT * IN], inverse[IN * IN];
    const bool chosen[OUT * IN] = {false};
    make_problem(&problem, &seed);
    struct inc_blocks blocks = inc_blocks_of(OUT, IN, 3, 4);
    assert_true(inc_fit_whole(NULL, &problem.fit, problem.lambda, start, inverse));
    for (size_t n = 0, done = 0; !done; n++) {
        test_fail_after(n);
        enum incise_status trace = inc_obs_trace(test_ctx(), NULL, &blocks, start, inverse, removals);
        test_fail_after(n);
        enum incise_status fit = inc_fit_masked(test_ctx(), NULL, &problem.fit, &blocks, chosen, problem.lambda, start);
        test_fail_after(SIZE_MAX);
        assert_true(trace == INCISE_OK || trace == INCISE_ERROR_MEMORY);
        assert_true(fit == INCISE_OK || fit == INCISE_ERROR_MEMORY);
        done = trace == INCISE_OK && fit == INCISE_OK;
    }
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    inc_linalg_begin(test_ctx());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trace_is_greedy_and_its_losses_are_exact),
        cmocka_unit_test(long_traces_agree_with_refits),
        cmocka_unit_test(a_duplicated_column_costs_nothing),
        cmocka_unit_test(nothing_removed_changes_nothing),
        cmocka_unit_test(dead_inputs_go_first),
        cmocka_unit_test(a_zero_covariance_is_survived),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
