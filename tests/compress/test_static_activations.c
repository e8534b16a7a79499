/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges from distributions, and the FakeQuantize nodes that static quantization writes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/changes.h"
#include "compress/static_activations.h"
#include "support/calibrated.h"

enum { N = 100000 };

/* Laplace: the largest are ten times the usual ones, and the range that holds them costs more than cutting them off. */
static void heavy_tailed(float *values, uint64_t *seed)
{
    for (int i = 0; i < N; i++) {
        float u = test_random_float(seed, 0, 1);
        values[i] = (i % 2 == 0 ? 1.0f : -1.0f) * logf(fmaxf(u, 1e-7f));
    }
}

/* What rounding to 256 levels of the range costs, value by value. */
static double squared_error(const float *values, float low, float high)
{
    double step = ((double)high - (double)low) / 255, sum = 0;
    for (int i = 0; i < N; i++) {
        double x = fmin(fmax((double)values[i], (double)low), (double)high);
        double d = (double)values[i] - ((double)low + rint((x - (double)low) / step) * step);
        sum += d * d;
    }
    return sum;
}

static struct inc_distribution *distribution_of(const float *values)
{
    struct inc_distribution *seen = calloc(1, sizeof *seen);
    assert_non_null(seen);
    assert_true(inc_distribution_add(seen, values, N / 100, 100, 100));
    return seen;
}

static void ranges_hold_zero_and_what_was_seen(void **state)
{
    (void)state;
    static float values[N];
    float low, high, cut_low, cut_high;
    uint64_t seed = test_seed();
    heavy_tailed(values, &seed);
    struct inc_distribution *seen = distribution_of(values);
    inc_distribution_range(seen, INC_RANGE_MINMAX, &low, &high);
    inc_distribution_range(seen, INC_RANGE_MSE, &cut_low, &cut_high);
    double step = ((double)high - (double)low) / 255, zero = -(double)low / step;
    assert_true(fabs(zero - rint(zero)) < 1e-3);
    for (int i = 0; i < N; i++)
        assert_true((double)values[i] >= (double)low - step && (double)values[i] <= (double)high + step);
    assert_true(squared_error(values, cut_low, cut_high) < 0.95 * squared_error(values, low, high));
    assert_true(cut_low > low && cut_high < high);
    free(seen);
}

static void positive_values_start_at_zero(void **state)
{
    (void)state;
    static float values[N];
    float low, high;
    uint64_t seed = test_seed();
    for (int i = 0; i < N; i++) values[i] = test_random_float(&seed, 1, 3);
    struct inc_distribution *seen = distribution_of(values);
    for (int range = 0; range < 2; range++) {
        inc_distribution_range(seen, (enum inc_range)range, &low, &high);
        assert_true(low == 0 && high > 2.9f && high < 3.1f);
    }
    free(seen);
}

static void what_is_not_finite_is_noticed(void **state)
{
    (void)state;
    const float bad[] = {1, 2, NAN, 4}, worse[] = {1, INFINITY, 3, 4};
    struct inc_distribution *seen = calloc(1, sizeof *seen);
    float low, high;
    assert_non_null(seen);
    inc_distribution_range(seen, INC_RANGE_MSE, &low, &high); /* nothing seen */
    assert_true(low <= 0 && high > low);
    assert_false(inc_distribution_add(seen, bad, 2, 2, 2));
    assert_false(inc_distribution_add(seen, worse, 2, 2, 2));
    free(seen);
}

static size_t count(const struct inc_graph *graph, enum inc_op op)
{
    size_t n = 0;
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next) n += node->op == op;
    return n;
}

/* Layers that read one value share its FakeQuantize; every Linear with INT8 weights multiplies integers, and the model
 * stays near what it was. */
static void every_linear_gets_a_grid(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t values; /* that Linears read: per layer q k v, o, up (and gate), down */
    } models[] = {{"bert", 2 * 4}, {"gemma", 2 * 4}};
    for (size_t m = 0; m < 2; m++) {
        for (int range = 0; range < 2; range++) {
            struct test_calibrated c;
            struct incise_quantize_options options;
            struct incise_changes *changes;
            size_t n;
            test_calibrated_open(&c, models[m].name, NULL, 200, 5);
            double *before = test_calibrated_outputs(&c, c.graph, &n);
            incise_quantize_options_init(&options);
            options.round = "nearest";
            options.activations = "static";
            options.range = range == 0 ? "minmax" : "mse";
            assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
            if (inc_quantize(c.graph, c.runner.pool, &options, c.calibration, changes) != INCISE_OK)
                fail_msg("%s", test_last_error());
            assert_int_equal(inc_graph_verify(c.graph), INCISE_OK);
            assert_int_equal(count(c.graph, INC_OP_FAKE_QUANTIZE), models[m].values);
            struct test_runner runner;
            test_runner_open(&runner, c.graph, incise_isa_detect(), 2, INC_INTEGER_AS_WRITTEN);
            assert_true(runner.program->fused);
            for (size_t s = 0; s < runner.program->plan.n_slots; s++)
                assert_true(runner.program->plan.slots[s].integer);
            test_runner_close(&runner);
            double *after = test_calibrated_outputs(&c, c.graph, &n);
            double distance = test_distance(after, before, n);
            assert_true(distance > 0 && distance < 0.1);
            free(before), free(after);
            incise_changes_destroy(changes);
            test_calibrated_close(&c);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_hold_zero_and_what_was_seen),
        cmocka_unit_test(positive_values_start_at_zero),
        cmocka_unit_test(what_is_not_finite_is_noticed),
        cmocka_unit_test(every_linear_gets_a_grid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
