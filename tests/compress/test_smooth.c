/* SPDX-License-Identifier: Apache-2.0 */
/* Smoothing: the bits of the FP32 model stay, and large channels cost a quantized one less. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/changes.h"
#include "compress/smooth.h"
#include "compress/statistics.h"
#include "graph/weight.h"
#include "support/calibrated.h"

/* `statistics`: a file, or NULL. */
static size_t smooth(struct test_calibrated *c, const char *ignore, double strength, const char *statistics)
{
    struct inc_targets targets;
    size_t n = 0;
    assert_int_equal(inc_targets_select(c->graph, false, NULL, ignore, &targets), INCISE_OK);
    if (inc_smooth(c->graph, c->calibration, &targets, strength, statistics, &n) != INCISE_OK)
        fail_msg("%s", test_last_error());
    assert_int_equal(inc_graph_verify(c->graph), INCISE_OK);
    inc_targets_release(&targets);
    return n;
}

/* The largest |w| of column `c` of the layer whose name contains `name`. */
static float column_peak(struct inc_graph *graph, const char *name, int64_t c)
{
    struct inc_targets targets;
    float peak = -1, row[256];
    assert_int_equal(inc_targets_select(graph, false, name, NULL, &targets), INCISE_OK);
    const struct inc_weight *weight = &targets.items[0].weight;
    assert_true(weight->in <= 256);
    for (int64_t r = 0; r < weight->out; r++) {
        inc_weight_row_f32(weight, r, row);
        if (row[c] > peak || -row[c] > peak) peak = row[c] > 0 ? row[c] : -row[c];
    }
    inc_targets_release(&targets);
    return peak;
}

/* Per layer of gemma: both norms, the values, the gated product; of bert, whose norms feed the residual stream, too:
 * the values only. */
static void floats_keep_their_bits(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t groups;
    } models[] = {{"bert", 2}, {"gemma", 8}};
    for (size_t m = 0; m < 2; m++) {
        struct test_calibrated c;
        size_t n, n_after;
        test_calibrated_open(&c, models[m].name, NULL, 60, 5);
        float before = column_peak(c.graph, "o_proj|attention.output", 1);
        double *as_it_was = test_calibrated_outputs(&c, c.graph, &n);
        assert_int_equal(smooth(&c, NULL, 0.5, NULL), models[m].groups);
        double *smoothed = test_calibrated_outputs(&c, c.graph, &n_after);
        assert_int_equal(n, n_after);
        assert_memory_equal(as_it_was, smoothed, n * sizeof *smoothed);
        float changed = 0;
        for (int64_t i = 0; i < 8; i++) changed += column_peak(c.graph, "o_proj|attention.output", i) != before;
        assert_true(changed > 0);
        free(as_it_was), free(smoothed);
        test_calibrated_close(&c);
    }
}

/* What is ignored stays, and so does what would have to change with it. */
static void whatever_is_ignored_stays(void **state)
{
    (void)state;
    struct test_calibrated c;
    test_calibrated_open(&c, "gemma", NULL, 20, 5);
    /* Norms have other readers; the Linears that would be divided are no targets. */
    assert_int_equal(smooth(&c, "q_proj|v_proj|up_proj", 0.5, NULL), 0);
    test_calibrated_close(&c);
}

/* Multiplies row or column `channel` of the only layer whose name matches. */
static void scale_layer(struct inc_graph *graph, const char *name, bool column, int64_t channel, float factor)
{
    struct inc_targets targets;
    assert_int_equal(inc_targets_select(graph, false, name, NULL, &targets), INCISE_OK);
    assert_int_equal(targets.n, 1);
    const struct inc_weight *weight = &targets.items[0].weight;
    for (int64_t i = 0; i < (column ? weight->out : weight->in); i++)
        ((float *)weight->constant->data.data)[inc_weight_index(weight, column ? i : channel, column ? channel : i)] *=
            factor;
    inc_targets_release(&targets);
}

/* How far static INT8 takes gemma from itself when some channels of a gated product are 2^9 times as large. */
static double distance_of_int8(double strength)
{
    struct test_calibrated c;
    struct incise_quantize_options options;
    struct incise_changes *changes;
    struct inc_graph *graph = test_fixture_graph("gemma");
    size_t n;
    for (int64_t i = 3; i < 64; i += 20) {
        scale_layer(graph, "layers.0.mlp.up_proj", false, i, 512);
        scale_layer(graph, "layers.0.mlp.down_proj", true, i, 1.0f / 512);
    }
    test_calibrated_open(&c, NULL, graph, 60, 5);
    double *before = test_calibrated_outputs(&c, c.graph, &n);
    if (strength > 0) smooth(&c, NULL, strength, NULL);
    incise_quantize_options_init(&options);
    options.round = "nearest";
    options.activations = "static";
    options.range = "minmax";
    assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
    if (inc_quantize(c.graph, c.runner.pool, &options, c.calibration, changes) != INCISE_OK)
        fail_msg("%s", test_last_error());
    double *after = test_calibrated_outputs(&c, c.graph, &n);
    double distance = test_distance(after, before, n);
    free(before), free(after);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
    return distance;
}

static void large_channels_cost_less(void **state)
{
    (void)state;
    double plain = distance_of_int8(0), smoothed = distance_of_int8(0.5);
    assert_true(smoothed < plain / 3);
}

/* ---- from a file of statistics ----------------------------------------------------------------------------------- */

static void keep_statistics(struct test_calibrated *c, const struct inc_origin *origin, const char *path)
{
    const struct inc_statistics_place place = {.path = path, .origin = origin};
    struct inc_statistics *statistics;
    assert_int_equal(inc_statistics_collect(c->calibration, c->runner.program, &place, NULL, NULL, &statistics),
                     INCISE_OK);
    inc_statistics_destroy(statistics);
}

static void refuse(struct test_calibrated *c, const char *path, const char *part)
{
    struct inc_targets targets;
    size_t n;
    assert_int_equal(inc_targets_select(c->graph, false, NULL, NULL, &targets), INCISE_OK);
    test_clear_error();
    assert_int_equal(inc_smooth(c->graph, c->calibration, &targets, 0.5, path, &n), INCISE_ERROR_DATA);
    if (strstr(test_last_error(), part) == NULL) fail_msg("%s", test_last_error());
    inc_targets_release(&targets);
}

/* They hold what a run of the model shows: the same factors; nothing that such a file may hold does harm. */
static void statistics_stand_for_a_run(void **state)
{
    (void)state;
    char path[] = "/tmp/incise-smooth-XXXXXX";
    struct test_calibrated c[2];
    struct inc_origin origin;
    struct inc_statistics *statistics;
    struct inc_targets targets[2];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0 && unlink(path) == 0);
    for (int i = 0; i < 2; i++) {
        test_calibrated_open(&c[i], "gemma", NULL, 40, 5);
        assert_int_equal(inc_statistics_origin(c[i].graph, c[i].calibration, 0, 1, &origin), INCISE_OK);
        if (i == 1) keep_statistics(&c[i], &origin, path);
        assert_int_equal(smooth(&c[i], NULL, 0.5, i == 1 ? path : NULL), 8);
        assert_int_equal(inc_targets_select(c[i].graph, false, NULL, NULL, &targets[i]), INCISE_OK);
    }
    for (size_t t = 0; t < targets[0].n; t++)
        for (int64_t r = 0; r < targets[0].items[t].weight.out; r++) {
            float rows[2][256];
            assert_true(targets[0].items[t].weight.in <= 256);
            for (int i = 0; i < 2; i++) inc_weight_row_f32(&targets[i].items[t].weight, r, rows[i]);
            assert_memory_equal(rows[0], rows[1], (size_t)targets[0].items[t].weight.in * sizeof(float));
        }
    for (int i = 0; i < 2; i++) inc_targets_release(&targets[i]), test_calibrated_close(&c[i]);

    test_calibrated_open(&c[0], "gemma", NULL, 39, 5);
    refuse(&c[0], path, "belongs to another run");
    test_calibrated_close(&c[0]);
    test_calibrated_open(&c[0], "gemma", NULL, 40, 5);
    assert_int_equal(inc_statistics_load(test_ctx(), path, &origin, &statistics), INCISE_OK);
    statistics->inputs[1].high[2] = INFINITY;
    assert_int_equal(inc_statistics_save(statistics, &origin, path), INCISE_OK);
    refuse(&c[0], path, "is not finite");
    statistics->inputs[1].high[2] = 0;
    statistics->n_inputs--;
    assert_int_equal(inc_statistics_save(statistics, &origin, path), INCISE_OK);
    refuse(&c[0], path, "its layers are not those");
    statistics->n_inputs++;
    statistics->n_done--;
    assert_int_equal(inc_statistics_save(statistics, &origin, path), INCISE_OK);
    refuse(&c[0], path, "is not complete");
    inc_statistics_destroy(statistics);
    test_calibrated_close(&c[0]);
    unlink(path);
    assert_int_equal(test_live_allocations(), 0);
}

static void numbers_and_memory_may_be_bad(void **state)
{
    (void)state;
    struct test_calibrated c;
    struct inc_targets targets;
    size_t smoothed;
    enum incise_status status = INCISE_ERROR_MEMORY;
    for (size_t n = 0; status == INCISE_ERROR_MEMORY; n += 1 + n / 4) {
        test_calibrated_open(&c, "gemma", NULL, 3, 5);
        assert_int_equal(inc_targets_select(c.graph, false, NULL, NULL, &targets), INCISE_OK);
        test_fail_after(n);
        status = inc_smooth(c.graph, c.calibration, &targets, 0.5, NULL, &smoothed);
        test_fail_after(SIZE_MAX);
        inc_targets_release(&targets);
        test_calibrated_close(&c);
        assert_int_equal(test_live_allocations(), 0);
    }
    assert_int_equal(status, INCISE_OK);
    struct inc_graph *graph = test_fixture_graph("gemma");
    scale_layer(graph, "layers.0.mlp.up_proj", false, 0, 1e30f);
    scale_layer(graph, "layers.0.mlp.gate_proj", false, 0, 1e30f);
    test_calibrated_open(&c, NULL, graph, 3, 5);
    assert_int_equal(inc_targets_select(c.graph, false, NULL, NULL, &targets), INCISE_OK);
    test_clear_error();
    assert_int_equal(inc_smooth(c.graph, c.calibration, &targets, 0.5, NULL, &smoothed), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "not finite"));
    inc_targets_release(&targets);
    test_calibrated_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_keep_their_bits),
        cmocka_unit_test(whatever_is_ignored_stays),
        cmocka_unit_test(large_channels_cost_less),
        cmocka_unit_test(statistics_stand_for_a_run),
        cmocka_unit_test(numbers_and_memory_may_be_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
