/* SPDX-License-Identifier: Apache-2.0 */
/* incise_convert, incise_prune and incise_quantize from folder to folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compress/changes.h"
#include "formats/openvino/ir.h"
#include "graph/weight.h"
#include "incise/compress.h"
#include "support/fixture.h"
#include "support/support.h"

static char folder[64];
static struct incise_engine *engine;
static char log_text[4096];

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static bool exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

static void keep_log(void *user, enum incise_log_level level, const char *text)
{
    (void)user;
    (void)level;
    snprintf(log_text, sizeof log_text, "%s", text);
}

static int set_up(void **state)
{
    struct incise_engine_options options;
    (void)state;
    strcpy(folder, "/tmp/incise-test-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    incise_engine_options_init(&options);
    options.threads = 2;
    options.log = keep_log;
    return (int)incise_engine_create(&options, &engine);
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    incise_engine_destroy(engine);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* Every MatMul's weight in `path` equals the one of the layer of that name in `graph`, bit by bit. Returns how many. */
static int compare_weights(const char *path, const struct inc_graph *graph)
{
    struct inc_graph *written;
    int n = 0;
    assert_int_equal(inc_ir_read(test_ctx(), path, &written), INCISE_OK);
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next) {
        struct inc_weight a, b;
        if (node->op != INC_OP_MATMUL) continue;
        if (!inc_weight_match(node->inputs[1], inc_attr_bool(node, "transpose_b"), &a)) continue;
        const struct inc_node *other = written->first;
        while (other != NULL && strcmp(other->name, node->name) != 0) other = other->next;
        assert_non_null(other);
        assert_true(inc_weight_match(other->inputs[1], inc_attr_bool(other, "transpose_b"), &b));
        assert_true(a.out == b.out && a.in == b.in && a.type == b.type);
        float *rows = calloc((size_t)a.in * 2, sizeof *rows);
        for (int64_t r = 0; r < a.out; r++) {
            inc_weight_row_f32(&a, r, rows);
            inc_weight_row_f32(&b, r, rows + a.in);
            assert_memory_equal(rows, rows + a.in, (size_t)a.in * sizeof *rows);
        }
        free(rows);
        n++;
    }
    assert_string_equal(inc_info_get(written, "incise/version"), "0.1.0");
    inc_graph_destroy(written);
    return n;
}

static void count_progress(void *user, size_t done, size_t total, const char *name)
{
    size_t *calls = user;
    ++*calls;
    assert_int_equal(done, *calls);
    assert_true(done <= total && name[0] != '\0');
}

/* What is written is what the edit in memory gives, for every kind of weights there is. */
static void files_hold_the_edit(void **state)
{
    (void)state;
    for (const struct test_fixture *fixture = test_fixtures; fixture->model != NULL; fixture++) {
        struct incise_prune_options options;
        struct incise_changes *changes, *expected;
        struct inc_graph *graph;
        size_t calls = 0;
        incise_prune_options_init(&options);
        options.pattern = "block:4x8";
        options.sparsity = 0.7;
        options.force = 1;
        options.progress = count_progress;
        options.progress_user = &calls;
        const char *model = test_fixture_path(fixture->model, NULL);
        assert_int_equal(incise_prune(engine, model, in_folder("pruned"), &options, &changes), INCISE_OK);
        assert_int_equal(inc_ir_read(test_ctx(), test_fixture_path(fixture->model, NULL), &graph), INCISE_OK);
        assert_int_equal(inc_changes_create(test_ctx(), &expected), INCISE_OK);
        options.progress = NULL;
        assert_int_equal(inc_prune(graph, NULL, &options, NULL, expected), INCISE_OK);
        int n = compare_weights(in_folder("pruned"), graph);
        assert_int_equal(incise_changes_count(changes), n);
        assert_int_equal(calls, n);
        for (size_t i = 0; i < (size_t)n; i++) {
            struct incise_change a, b;
            incise_changes_get(changes, i, &a);
            incise_changes_get(expected, i, &b);
            assert_string_equal(a.name, b.name);
            assert_true(a.zero_blocks == b.zero_blocks && a.zero_blocks > a.blocks / 2 && a.zeros == b.zeros &&
                        a.error == b.error);
        }
        incise_changes_destroy(changes);
        incise_changes_destroy(expected);
        inc_graph_destroy(graph);
    }
}

static void quantized_after_pruned_keeps_zeros(void **state)
{
    (void)state;
    struct incise_prune_options prune;
    struct incise_quantize_options quantize;
    struct incise_changes *changes;
    struct inc_graph *graph;
    incise_prune_options_init(&prune);
    prune.pattern = "element";
    prune.sparsity = 0.7;
    const char *model = test_fixture_path("bert", "openvino_model.xml");
    assert_int_equal(incise_prune(engine, model, in_folder("p"), &prune, NULL), INCISE_OK);
    incise_quantize_options_init(&quantize);
    quantize.activations = "float";
    assert_int_equal(incise_quantize(engine, in_folder("p"), in_folder("pq"), &quantize, &changes), INCISE_OK);
    for (size_t i = 0; i < incise_changes_count(changes); i++) {
        struct incise_change change;
        incise_changes_get(changes, i, &change);
        bool table = strstr(change.name, "Gather") != NULL;
        assert_true(change.error > 0 && change.error < (table ? 0.05 : 0.02));
        assert_true(table || change.zeros >= 0.69);
    }
    incise_changes_destroy(changes);
    assert_int_equal(inc_ir_read(test_ctx(), in_folder("pq"), &graph), INCISE_OK);
    assert_string_equal(inc_info_get(graph, "incise/activations"), "float");
    assert_non_null(strstr(inc_info_get(graph, "incise/pruned"), "element magnitude l1 sparsity=0.7"));
    inc_graph_destroy(graph);
    assert_int_equal(incise_quantize(engine, in_folder("pq"), in_folder("pqq"), &quantize, NULL), INCISE_ERROR_USAGE);
    assert_non_null(strstr(log_text, "quantized already"));
    assert_false(exists(in_folder("pqq")));
}

static void converted_folders_keep_their_company(void **state)
{
    (void)state;
    const char *company[] = {"tokenizer.json", "config.json", "1_Pooling/config.json", "openvino_model.xml"};
    struct incise_quantize_options options;
    char path[256];
    assert_int_equal(incise_convert(engine, test_fixture_path("bert-hf", NULL), in_folder("converted"), NULL),
                     INCISE_OK);
    incise_quantize_options_init(&options);
    const char *converted = in_folder("converted/openvino_model.xml");
    assert_int_equal(incise_quantize(engine, converted, in_folder("small"), &options, NULL), INCISE_OK);
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "%s/%s", in_folder(i < 4 ? "converted" : "small"), company[i % 4]);
        assert_true(exists(path));
    }
}

static void what_cannot_work_leaves_nothing(void **state)
{
    (void)state;
    struct incise_prune_options options;
    struct incise_convert_options convert;
    const char *model = test_fixture_path("bert", NULL);
    char bert[256];
    snprintf(bert, sizeof bert, "%s", model);
    incise_prune_options_init(&options);
    options.select = "no such layer";
    assert_int_equal(incise_prune(engine, bert, in_folder("none"), &options, NULL), INCISE_ERROR_USAGE);
    assert_false(exists(in_folder("none")));
    options.select = NULL;
    assert_int_equal(incise_prune(engine, in_folder("absent"), in_folder("none"), &options, NULL),
                     INCISE_ERROR_NO_INPUT);
    assert_false(exists(in_folder("none")));
    assert_int_equal(incise_prune(engine, bert, in_folder("a/b"), &options, NULL), INCISE_ERROR_CREATE);
    assert_int_equal(incise_prune(engine, bert, in_folder("twice"), &options, NULL), INCISE_OK);
    assert_int_equal(incise_prune(engine, bert, in_folder("twice"), &options, NULL), INCISE_ERROR_CREATE);
    options.force = 1;
    const char *itself = in_folder("twice");
    assert_int_equal(incise_prune(engine, itself, itself, &options, NULL), INCISE_OK);
    options.struct_size = 0;
    assert_int_equal(incise_prune(engine, bert, in_folder("none"), &options, NULL), INCISE_ERROR_USAGE);
    assert_non_null(strstr(log_text, "incise_prune_options_init"));
    incise_convert_options_init(&convert);
    convert.task = "translation";
    assert_int_equal(incise_convert(engine, bert, in_folder("none"), &convert), INCISE_ERROR_USAGE);
    assert_non_null(strstr(log_text, "task 'translation'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_hold_the_edit), cmocka_unit_test(quantized_after_pruned_keeps_zeros),
        cmocka_unit_test(converted_folders_keep_their_company), cmocka_unit_test(what_cannot_work_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
