/* SPDX-License-Identifier: Apache-2.0 */
/* Removal orders kept in a file: prune --traces. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "compress/changes.h"
#include "compress/traces.h"
#include "support/calibrated.h"

enum { TEXTS = 120 };

struct kept_case {
    const char *model, *pattern, *method, *allocate, *ignore;
    double sparsity;
    size_t texts;
};

static const struct kept_case plain = {"bert", "block:8x4", "obs", NULL, NULL, 0.5, TEXTS};

static size_t steps; /* that the last run went through, by its progress */

static void note_progress(void *user, size_t done, size_t total, const char *name)
{
    (void)user, (void)name;
    assert_true(done <= total);
    steps += done == total ? total : 0;
}

/* A folder of its own for each test. */
struct place {
    char folder[40], path[64];
};

static void make_place(struct place *place)
{
    snprintf(place->folder, sizeof place->folder, "/tmp/incise-traces-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/traces", place->folder);
}

static void remove_place(const struct place *place)
{
    unlink(place->path);
    assert_int_equal(rmdir(place->folder), 0); /* nothing else was left in it */
}

/* What pruning makes of the model, as text with the hashes of all constants; NULL if it fails with *status. */
static char *prune(const struct kept_case *given, const char *traces, enum incise_status *status)
{
    struct test_calibrated c;
    struct incise_changes *changes;
    struct incise_prune_options options;
    struct inc_buffer dump;
    char *text = NULL;
    incise_prune_options_init(&options);
    options.pattern = given->pattern;
    options.method = given->method;
    options.allocate = given->allocate;
    options.ignore = given->ignore;
    options.sparsity = given->sparsity;
    options.traces = traces;
    options.progress = note_progress;
    test_calibrated_open(&c, given->model, NULL, given->texts, 5);
    assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
    test_clear_error();
    steps = 0;
    *status = inc_prune(c.graph, c.runner.pool, &options, c.calibration, changes);
    inc_buffer_init(&dump, test_ctx());
    if (*status == INCISE_OK) {
        assert_int_equal(inc_graph_dump(c.graph, false, &dump), INCISE_OK);
        text = strdup(dump.data);
    }
    inc_buffer_fini(&dump);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
    return text;
}

static char *prune_well(const struct kept_case *given, const char *traces)
{
    enum incise_status status;
    char *text = prune(given, traces, &status);
    if (text == NULL) fail_msg("%s", test_last_error());
    return text;
}

/* A run that reads what another kept gives the bits of one that works it out itself, at any sparsity. */
static void kept_orders_give_the_same_bits(void **state)
{
    (void)state;
    static const struct kept_case cases[] = {{"bert", "block:8x4", "obs", NULL, NULL, 0.5, TEXTS},
                                             {"gemma", "block:5x3", "wanda", NULL, NULL, 0.5, TEXTS},
                                             {"gemma", "block:8x1", "obs", "global", NULL, 0.4, TEXTS},
                                             {"bert", "channel", "obs", NULL, NULL, 0.6, TEXTS},
                                             {"bert", "block:8x4", "obs", NULL, "layer.0|query", 0.5, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place first, second;
        struct kept_case other = cases[i];
        struct stat before, after;
        other.sparsity /= 2;
        make_place(&first), make_place(&second);
        char *written = prune_well(&cases[i], first.path);
        size_t steps_written = steps;
        assert_int_equal(stat(first.path, &before), 0);
        char *read = prune_well(&cases[i], first.path);
        assert_int_equal(steps_written, 2 * steps); /* the walk over the model as it is was spared */
        assert_string_equal(read, written);
        char *less = prune_well(&other, first.path), *direct = prune_well(&other, second.path);
        assert_string_equal(less, direct);
        assert_string_not_equal(less, written);
        assert_int_equal(stat(first.path, &after), 0);
        assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
        free(written), free(read), free(less), free(direct);
        remove_place(&first), remove_place(&second);
    }
}

/* The order is that of the model as it is: which blocks go in a layer does not hang on what went before. */
static void choices_do_not_hang_on_one_another(void **state)
{
    (void)state;
    struct place all, last;
    const struct kept_case one = {"bert", "block:8x4", "obs", NULL, "layer.0|layer.1.attention|intermediate",
                                  0.5,    TEXTS};
    make_place(&all), make_place(&last);
    free(prune_well(&plain, all.path));
    free(prune_well(&one, last.path));
    struct inc_kept kept[2];
    assert_int_equal(inc_kept_read(test_ctx(), all.path, &inc_traces_kind, &kept[0]), INCISE_OK);
    assert_int_equal(inc_kept_read(test_ctx(), last.path, &inc_traces_kind, &kept[1]), INCISE_OK);
    size_t n = SIZE_MAX, m = SIZE_MAX, found = 0;
    const char *wanted = inc_blob_take(&kept[1].sealed.tables, &m);
    for (const char *name; (name = inc_blob_take(&kept[0].sealed.tables, &n)) != NULL; n = SIZE_MAX) {
        bool same = n == m && memcmp(name, wanted, n) == 0;
        for (int t = 0; t < 2; t++) { /* losses, blocks */
            size_t bytes = SIZE_MAX, own = SIZE_MAX;
            const void *table = inc_blob_take(&kept[0].sealed.tables, &bytes);
            if (same) assert_memory_equal(inc_blob_take(&kept[1].sealed.tables, &own), table, bytes);
        }
        found += same;
    }
    assert_int_equal(found, 1);
    for (int i = 0; i < 2; i++) inc_kept_release(test_ctx(), &kept[i]);
    remove_place(&all), remove_place(&last);
}

static void refuse(const struct kept_case *given, const char *path, enum incise_status wanted, const char *part)
{
    enum incise_status status;
    char *text = prune(given, path, &status);
    assert_null(text);
    assert_int_equal(status, wanted);
    if (strstr(test_last_error(), part) == NULL) fail_msg("'%s' lacks '%s'", test_last_error(), part);
}

static void files_of_other_runs_are_refused(void **state)
{
    (void)state;
    struct place place;
    static const struct {
        struct kept_case given;
        const char *part;
    } others[] = {
        {{"bert-f16", "block:8x4", "obs", NULL, NULL, 0.5, TEXTS}, "model is "},
        {{"bert", "block:8x4", "obs", NULL, NULL, 0.5, TEXTS - 1}, "tokens is "},
        {{"bert", "block:4x4", "obs", NULL, NULL, 0.5, TEXTS}, "pattern is block:8x4 there and block:4x4 here"},
        {{"bert", "channel", "obs", NULL, NULL, 0.5, TEXTS}, "pattern is block:8x4 there and channel here"},
        {{"bert", "block:8x4", "wanda", NULL, NULL, 0.5, TEXTS}, "method is obs there and wanda here"},
        {{"bert", "block:8x4", "obs", NULL, "layer.0", 0.5, TEXTS}, "layers is 6 there and 12 here"}};
    struct kept_case half = plain;
    half.ignore = "layer.1";
    make_place(&place);
    free(prune_well(&plain, place.path));
    for (size_t i = 0; i < sizeof others / sizeof *others - 1; i++)
        refuse(&others[i].given, place.path, INCISE_ERROR_DATA, others[i].part);
    unlink(place.path);
    free(prune_well(&others[5].given, place.path));
    refuse(&plain, place.path, INCISE_ERROR_DATA, others[5].part);
    refuse(&half, place.path, INCISE_ERROR_DATA, "a layer is '");
    remove_place(&place);
    const struct kept_case magnitude = {"bert", "block:8x4", "magnitude", NULL, NULL, 0.5, TEXTS};
    refuse(&magnitude, place.path, INCISE_ERROR_USAGE, "not of magnitude");
    refuse(&plain, "/nowhere/at/all", INCISE_ERROR_CREATE, "/nowhere/at/all");
    assert_int_equal(steps, 0); /* before the work */
    refuse(&plain, "/tmp", INCISE_ERROR_CREATE, "is no file");
}

/* ---- hostile files ----------------------------------------------------------------------------------------------- */

static void write_bytes(const char *path, const unsigned char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

struct hostile {
    struct test_calibrated c;
    struct inc_targets targets;
    struct inc_origin origin;
};

static void open_hostile(struct hostile *h)
{
    test_calibrated_open(&h->c, "bert", NULL, 4, 5);
    assert_int_equal(inc_targets_select(h->c.graph, false, "layer.1.output", NULL, &h->targets), INCISE_OK);
    assert_int_equal(inc_origin_of(h->c.graph, h->c.calibration, &h->origin), INCISE_OK);
}

static void close_hostile(struct hostile *h)
{
    inc_targets_release(&h->targets);
    test_calibrated_close(&h->c);
}

static enum incise_status load(const struct hostile *h, const char *path)
{
    struct inc_traces traces;
    test_clear_error();
    assert_int_equal(inc_traces_create(&h->targets, 64, 24, NULL, &traces), INCISE_OK);
    enum incise_status status = inc_traces_load(&traces, &h->targets, &h->origin, path);
    inc_traces_release(&traces);
    return status;
}

/* A file of one layer, whole but for what is said. */
static void keep(const struct hostile *h, const char *path, size_t n_losses, const double *losses, size_t n_blocks,
                 const uint32_t *blocks)
{
    struct inc_buffer bytes;
    const char *name = h->targets.items[0].reader->name;
    inc_buffer_init(&bytes, test_ctx());
    inc_kept_begin(&bytes, &inc_traces_kind, &h->origin);
    inc_blob_put(&bytes, name, strlen(name));
    inc_blob_put(&bytes, losses, n_losses * sizeof *losses);
    inc_blob_put(&bytes, blocks, n_blocks * sizeof *blocks);
    assert_int_equal(inc_kept_write(&bytes, path), INCISE_OK);
    inc_buffer_fini(&bytes);
}

static void orders_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct hostile h;
    struct place place;
    static const struct {
        size_t n_losses, n_blocks;
        double losses[4];
        uint32_t blocks[4];
    } cases[] = {{4, 4, {0, 1, 1, 2}, {3, 1, 0, 2}},   {3, 4, {0, 1, 1}, {3, 1, 0, 2}},
                 {4, 3, {0, 1, 1, 2}, {3, 1, 0}},      {4, 4, {0, 1, 1, 2}, {3, 1, 1, 2}},
                 {4, 4, {0, 1, 1, 2}, {3, 1, 0, 4}},   {4, 4, {0, 1, 1, 2}, {3, 1, 0, UINT32_MAX}},
                 {4, 4, {0, 1, 0.5, 2}, {3, 1, 0, 2}}, {4, 4, {-1, 1, 1, 2}, {3, 1, 0, 2}}};
    open_hostile(&h), make_place(&place);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        keep(&h, place.path, cases[i].n_losses, cases[i].losses, cases[i].n_blocks, cases[i].blocks);
        assert_int_equal(load(&h, place.path), i == 0 ? INCISE_OK : INCISE_ERROR_DATA);
        if (i > 0) assert_non_null(strstr(test_last_error(), "is damaged"));
    }
    const double nan[] = {0, 1, 1, (double)NAN};
    keep(&h, place.path, 4, nan, 4, cases[0].blocks);
    assert_int_equal(load(&h, place.path), INCISE_ERROR_DATA);
    remove_place(&place), close_hostile(&h);
}

/* Any byte changed, and any end cut off, is noticed; with the hash made anew nothing worse happens either. */
static void damage_is_noticed(void **state)
{
    (void)state;
    struct hostile h;
    struct place place;
    struct inc_file file;
    const double losses[] = {0, 1, 1, 2};
    const uint32_t blocks[] = {3, 1, 0, 2};
    open_hostile(&h), make_place(&place);
    keep(&h, place.path, 4, losses, 4, blocks);
    assert_int_equal(inc_file_read(test_ctx(), place.path, SIZE_MAX, &file), INCISE_OK);
    for (size_t at = 0; at < file.size; at++) {
        file.data[at] ^= 0x81;
        write_bytes(place.path, file.data, file.size);
        assert_int_equal(load(&h, place.path), INCISE_ERROR_DATA);
        unsigned char header[64];
        memcpy(header, file.data, sizeof header);
        inc_sealed_mend(file.data, file.size);
        write_bytes(place.path, file.data, file.size);
        enum incise_status status = load(&h, place.path);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_DATA);
        memcpy(file.data, header, sizeof header);
        file.data[at] ^= 0x81;
    }
    for (size_t n = 0; n < file.size; n += 7) {
        write_bytes(place.path, file.data, n);
        assert_int_equal(load(&h, place.path), INCISE_ERROR_DATA);
    }
    inc_file_release(test_ctx(), &file);
    remove_place(&place), close_hostile(&h);
}

static void memory_may_be_short(void **state)
{
    (void)state;
    struct place place;
    make_place(&place);
    for (int kept = 0; kept < 2; kept++) { /* written, then read */
        enum incise_status status = INCISE_ERROR_MEMORY;
        for (size_t n = 0; status != INCISE_OK; n += n < 40 ? 7 : 199) {
            struct test_calibrated c;
            struct incise_changes *changes;
            struct incise_prune_options options;
            incise_prune_options_init(&options);
            options.pattern = "block:8x4";
            options.traces = place.path;
            test_calibrated_open(&c, "bert", NULL, 12, 3);
            assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
            if (kept == 0) unlink(place.path);
            test_fail_after(n);
            status = inc_prune(c.graph, c.runner.pool, &options, c.calibration, changes);
            test_fail_after(SIZE_MAX);
            assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
            incise_changes_destroy(changes);
            test_calibrated_close(&c);
        }
    }
    remove_place(&place);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_orders_give_the_same_bits),
        cmocka_unit_test(choices_do_not_hang_on_one_another),
        cmocka_unit_test(files_of_other_runs_are_refused),
        cmocka_unit_test(orders_that_cannot_be_are_refused),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
