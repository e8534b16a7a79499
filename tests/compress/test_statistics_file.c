/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics in files: taken up after an interruption, in shards, joined, read by prune. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/changes.h"
#include "compress/statistics.h"
#include "compress/targets.h"
#include "support/calibrated.h"

enum { TEXTS = 600, SHARDS = 3, FILES = 6, SEED = 5 };

static char folder[40], paths[FILES][64];

static int make_place(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/incise-statistics-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < FILES; i++) snprintf(paths[i], sizeof paths[i], "%s/%d", folder, i);
    return 0;
}

static int remove_place(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++) unlink(paths[i]);
    return rmdir(folder); /* nothing else was left in it */
}

static enum incise_status collect(struct test_calibrated *c, const char *path, size_t shard, size_t shards)
{
    struct inc_origin origin;
    struct inc_statistics *statistics;
    const struct inc_statistics_place place = {.path = path, .origin = &origin};
    test_clear_error();
    assert_int_equal(inc_statistics_origin(c->graph, c->calibration, shard, shards, &origin), INCISE_OK);
    enum incise_status status = inc_statistics_collect(c->calibration, c->runner.program, &place, NULL, NULL,
                                                       &statistics);
    if (status == INCISE_OK) inc_statistics_destroy(statistics);
    return status;
}

static void collect_well(const char *model, size_t texts, const char *path, size_t shard, size_t shards)
{
    struct test_calibrated c;
    test_calibrated_open_shard(&c, model, NULL, texts, SEED, shard, shards);
    if (collect(&c, path, shard, shards) != INCISE_OK) fail_msg("%s", test_last_error());
    test_calibrated_close(&c);
}

static struct inc_file read_file(const char *path)
{
    struct inc_file file;
    assert_int_equal(inc_file_read(test_ctx(), path, SIZE_MAX, &file), INCISE_OK);
    return file;
}

static void check_same(const char *a, const char *b)
{
    struct inc_file x = read_file(a), y = read_file(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    inc_file_release(test_ctx(), &x), inc_file_release(test_ctx(), &y);
}

/* Whatever its origin. */
static struct inc_statistics *load(const char *path)
{
    struct inc_kept kept;
    struct inc_statistics *statistics;
    assert_int_equal(inc_kept_read(test_ctx(), path, &inc_statistics_kind, &kept), INCISE_OK);
    assert_int_equal(inc_statistics_load(test_ctx(), path, &kept.origin, &statistics), INCISE_OK);
    inc_kept_release(test_ctx(), &kept);
    return statistics;
}

/* A run that fails again and again, each time a little later, goes on where it was: the bytes are those of one run. */
static void interrupted_runs_go_on(void **state)
{
    (void)state;
    struct test_calibrated c;
    enum incise_status status = INCISE_ERROR_MEMORY;
    size_t last = 0, partial = 0;
    collect_well("bert", TEXTS, paths[0], 0, 0);
    test_calibrated_open(&c, "bert", NULL, TEXTS, SEED);
    assert_true(c.calibration->n_batches > 2);
    for (size_t n = 0; status != INCISE_OK; n++) {
        uint64_t size;
        struct inc_origin origin;
        struct inc_statistics *statistics;
        const struct inc_statistics_place place = {.path = paths[1], .origin = &origin};
        assert_int_equal(inc_statistics_origin(c.graph, c.calibration, 0, 0, &origin), INCISE_OK);
        test_fail_after(n);
        status = inc_statistics_collect(c.calibration, c.runner.program, &place, NULL, NULL, &statistics);
        test_fail_after(SIZE_MAX);
        if (status == INCISE_OK) inc_statistics_destroy(statistics);
        if (!inc_file_size(paths[1], &size)) continue;
        statistics = load(paths[1]);
        assert_true(statistics->n_done >= last);
        partial += statistics->n_done > last && statistics->n_done < statistics->n_batches;
        last = statistics->n_done;
        inc_statistics_destroy(statistics);
    }
    assert_true(partial > 0);
    check_same(paths[0], paths[1]);
    assert_int_equal(collect(&c, paths[1], 0, 0), INCISE_OK); /* nothing is left to do */
    check_same(paths[0], paths[1]);
    test_calibrated_close(&c);
}

/* The parts hold the same products; only in which order they are added differs, in tiles of up to 1024 floats. */
static void check_close(const struct inc_statistics *a, const struct inc_statistics *b)
{
    assert_int_equal(a->n_inputs, b->n_inputs);
    for (size_t i = 0; i < a->n_inputs; i++) {
        const struct inc_input_statistics *x = &a->inputs[i], *y = &b->inputs[i];
        size_t width = x->gram.left;
        assert_true(x->gram.n == y->gram.n);
        assert_memory_equal(x->low, y->low, width * sizeof *x->low);
        assert_memory_equal(x->high, y->high, width * sizeof *x->high);
        assert_memory_equal(x->rest_low, y->rest_low, width * sizeof *x->low);
        assert_memory_equal(x->rest_high, y->rest_high, width * sizeof *x->high);
        assert_memory_equal(x->peaks, y->peaks, sizeof x->peaks);
        for (size_t r = 0; r < width; r++) {
            assert_true(fabs(x->gram.left_sum[r] - y->gram.left_sum[r]) <= 1e-9 * x->gram.n);
            for (size_t k = 0; k <= r; k++) { /* sum |x_r x_k| <= |x_r| |x_k| */
                double bound = sqrt(x->gram.products[r * width + r] * x->gram.products[k * width + k]);
                assert_true(fabs(x->gram.products[r * width + k] - y->gram.products[r * width + k]) <=
                            bound * 2 * 1026 * 0x1p-24);
            }
        }
    }
}

static void shards_join_to_the_whole(void **state)
{
    (void)state;
    const char *const parts[] = {paths[0], paths[1], paths[2]}, *const mixed[] = {paths[2], paths[0], paths[1]};
    for (size_t i = 0; i < SHARDS; i++) collect_well("gemma", 100, paths[i], i, SHARDS);
    collect_well("gemma", 100, paths[3], 0, 0);
    assert_int_equal(inc_statistics_join(test_ctx(), parts, SHARDS, paths[4], true), INCISE_OK);
    assert_int_equal(inc_statistics_join(test_ctx(), mixed, SHARDS, paths[5], false), INCISE_OK);
    check_same(paths[4], paths[5]);
    struct inc_statistics *whole = load(paths[3]), *joined = load(paths[4]);
    check_close(whole, joined);
    inc_statistics_destroy(whole), inc_statistics_destroy(joined);
    struct test_calibrated c; /* it stands for a run over all texts */
    test_calibrated_open(&c, "gemma", NULL, 100, SEED);
    assert_int_equal(collect(&c, paths[4], 0, 0), INCISE_OK);
    check_same(paths[4], paths[5]);
    test_calibrated_close(&c);
}

/* With fewer texts than shards some have none. */
static void empty_shards_are_parts_too(void **state)
{
    (void)state;
    const char *const parts[] = {paths[0], paths[1], paths[2]};
    for (size_t i = 0; i < SHARDS; i++) collect_well("bert", 2, paths[i], i, SHARDS);
    collect_well("bert", 2, paths[3], 0, 1);
    assert_int_equal(inc_statistics_join(test_ctx(), parts, SHARDS, paths[4], true), INCISE_OK);
    struct inc_statistics *whole = load(paths[3]), *joined = load(paths[4]);
    check_close(whole, joined);
    inc_statistics_destroy(whole), inc_statistics_destroy(joined);
}

static void refuse_join(const char *const *parts, size_t n, const char *wanted)
{
    test_clear_error();
    assert_int_equal(inc_statistics_join(test_ctx(), parts, n, paths[5], true), INCISE_ERROR_DATA);
    if (strstr(test_last_error(), wanted) == NULL) fail_msg("'%s' lacks '%s'", test_last_error(), wanted);
}

static void parts_that_do_not_belong_together_are_named(void **state)
{
    (void)state;
    uint64_t size;
    for (size_t i = 0; i < 2; i++) collect_well("bert", 20, paths[i], i, 2);
    collect_well("bert", 21, paths[2], 1, 2);
    collect_well("gemma", 20, paths[3], 1, 2);
    collect_well("bert", 20, paths[4], 0, 0);
    refuse_join((const char *const[]){paths[0]}, 1, "shard 1/2 is missing");
    refuse_join((const char *const[]){paths[0], paths[0]}, 2, "are both shard 0/2");
    refuse_join((const char *const[]){paths[0], paths[2]}, 2, "tokens is ");
    refuse_join((const char *const[]){paths[0], paths[3]}, 2, "model is ");
    refuse_join((const char *const[]){paths[0], paths[4]}, 2, "is no shard");
    collect_well("bert", 20, paths[5], 1, 3);
    refuse_join((const char *const[]){paths[0], paths[5]}, 2, "one of 3 shards, not of 2");
    unlink(paths[5]);
    struct inc_statistics *part = load(paths[1]);
    struct inc_kept kept;
    assert_int_equal(inc_kept_read(test_ctx(), paths[1], &inc_statistics_kind, &kept), INCISE_OK);
    part->n_batches++;
    assert_int_equal(inc_statistics_save(part, &kept.origin, paths[1]), INCISE_OK);
    refuse_join((const char *const[]){paths[0], paths[1]}, 2, "is not complete (2 of 3 batches)");
    inc_statistics_destroy(part);
    inc_kept_release(test_ctx(), &kept);
    assert_false(inc_file_size(paths[5], &size));
    struct test_calibrated c;
    test_calibrated_open(&c, "bert", NULL, 20, SEED);
    assert_int_equal(collect(&c, paths[0], 0, 0), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "shard is 0/2 there and none here"));
    assert_int_equal(collect(&c, folder, 0, 0), INCISE_ERROR_CREATE);
    test_calibrated_close(&c);
}

/* ---- prune ------------------------------------------------------------------------------------------------------- */

static enum incise_status prune(struct test_calibrated *c, const char *statistics, const char *traces,
                                struct incise_changes **changes)
{
    struct incise_prune_options options;
    incise_prune_options_init(&options);
    options.pattern = "block:8x4";
    options.statistics = statistics;
    options.traces = traces;
    assert_int_equal(inc_changes_create(test_ctx(), changes), INCISE_OK);
    test_clear_error();
    return inc_prune(c->graph, c->runner.pool, &options, c->calibration, *changes);
}

/* Orders from the statistics lose what those from the model itself lose, but for rounding. */
static void prune_reads_them(void **state)
{
    (void)state;
    double *outputs[3];
    size_t n;
    collect_well("bert", TEXTS, paths[0], 0, 0);
    for (int i = 0; i < 2; i++) {
        struct test_calibrated c;
        struct incise_changes *changes;
        test_calibrated_open(&c, "bert", NULL, TEXTS, SEED);
        if (i == 0) outputs[2] = test_calibrated_outputs(&c, c.graph, &n);
        if (prune(&c, i == 0 ? NULL : paths[0], paths[1 + i], &changes) != INCISE_OK) fail_msg("%s", test_last_error());
        outputs[i] = test_calibrated_outputs(&c, c.graph, &n);
        incise_changes_destroy(changes);
        test_calibrated_close(&c);
    }
    double walked = test_distance(outputs[0], outputs[2], n), read = test_distance(outputs[1], outputs[2], n);
    assert_true(walked > 0.01 && fabs(walked - read) < 0.01 * walked);
    for (int i = 0; i < 3; i++) free(outputs[i]);
    unlink(paths[1]);
    struct test_calibrated c;
    struct incise_changes *changes;
    test_calibrated_open(&c, "bert", NULL, TEXTS - 1, SEED);
    assert_int_equal(prune(&c, paths[0], paths[1], &changes), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "tokens is "));
    incise_changes_destroy(changes);
    assert_int_equal(prune(&c, paths[0], NULL, &changes), INCISE_ERROR_USAGE);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
}

/* ---- hostile files ----------------------------------------------------------------------------------------------- */

/* Nothing that a sealed file may hold does harm: a byte changed here and there, or an end that is missing. */
static void damage_is_noticed(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    collect_well("bert", 3, paths[0], 0, 0);
    struct inc_file file = read_file(paths[0]);
    struct inc_origin origin;
    struct inc_kept kept;
    assert_int_equal(inc_kept_read(test_ctx(), paths[0], &inc_statistics_kind, &kept), INCISE_OK);
    origin = kept.origin;
    inc_kept_release(test_ctx(), &kept);
    for (int round = 0; round < 400; round++) {
        struct inc_statistics *statistics;
        size_t near = round % 2 == 0 ? 2048 : file.size,
               n = file.size - (round % 8 == 7 ? 1 + test_random_below(&seed, near) : 0);
        size_t at = 64 + test_random_below(&seed, near - 64);
        unsigned char flip = (unsigned char)(1 + test_random_below(&seed, 255));
        file.data[at] ^= flip;
        for (int sealed = 0; sealed < 2; sealed++) {
            unsigned char header[64];
            memcpy(header, file.data, sizeof header);
            if (sealed) inc_sealed_mend(file.data, n);
            FILE *out = fopen(paths[1], "wb");
            assert_non_null(out);
            assert_int_equal(fwrite(file.data, 1, n, out), n);
            assert_int_equal(fclose(out), 0);
            enum incise_status status = inc_statistics_load(test_ctx(), paths[1], &origin, &statistics);
            assert_true(status == INCISE_ERROR_DATA || (sealed && status == INCISE_OK));
            inc_statistics_destroy(statistics);
            memcpy(file.data, header, sizeof header);
        }
        file.data[at] ^= flip;
    }
    inc_file_release(test_ctx(), &file);
    assert_int_equal(test_live_allocations(), 0);
}

/* What is written doubles what the sums take; a file larger than the limit is not read. */
static void memory_is_bounded(void **state)
{
    (void)state;
    struct test_calibrated c;
    struct inc_statistics *statistics;
    struct inc_ctx small = *test_ctx();
    test_calibrated_open(&c, "bert", NULL, 8, SEED);
    c.calibration->ctx = &small;
    small.max_memory = (6 * 64 * 64 + 2 * 96 * 96) * sizeof(double);
    assert_int_equal(collect(&c, paths[0], 0, 0), INCISE_ERROR_MEMORY);
    assert_non_null(strstr(test_last_error(), "statistics of 8 layer inputs"));
    assert_int_equal(inc_statistics_collect(c.calibration, c.runner.program, NULL, NULL, NULL, &statistics), INCISE_OK);
    inc_statistics_destroy(statistics);
    small.max_memory *= 2;
    assert_int_equal(collect(&c, paths[0], 0, 0), INCISE_OK);
    small.max_memory = 100000;
    struct inc_kept kept;
    assert_int_equal(inc_kept_read(&small, paths[0], &inc_statistics_kind, &kept), INCISE_ERROR_MEMORY);
    inc_kept_release(&small, &kept);
    c.calibration->ctx = test_ctx();
    test_calibrated_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(interrupted_runs_go_on, make_place, remove_place),
        cmocka_unit_test_setup_teardown(shards_join_to_the_whole, make_place, remove_place),
        cmocka_unit_test_setup_teardown(empty_shards_are_parts_too, make_place, remove_place),
        cmocka_unit_test_setup_teardown(parts_that_do_not_belong_together_are_named, make_place, remove_place),
        cmocka_unit_test_setup_teardown(prune_reads_them, make_place, remove_place),
        cmocka_unit_test_setup_teardown(memory_is_bounded, make_place, remove_place),
        cmocka_unit_test_setup_teardown(damage_is_noticed, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
