/* SPDX-License-Identifier: Apache-2.0 */
/* tests/data/tiny/<family>-hf gives the hidden states that transformers computed, op by op and fused; sharded weights;
 * what is refused. */
#include "formats/huggingface/huggingface.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "support/runner.h"

/* As for the other tiny models (fixture.c): a few hundred float additions per value, three layers. */
#define LIMIT 1e-5

static const char *const families[] = {"gemma3-hf",      "gemma3-causal-hf", "qwen3-hf", "roberta-hf",
                                       "xlm-roberta-hf", "distilbert-hf",    "mpnet-hf", "modernbert-hf"};
static const char *const shapes[] = {"1x7", "4x16", "1x120"};

static struct inc_graph *read_folder(const char *folder)
{
    struct inc_graph *graph;
    test_clear_error();
    if (inc_hf_read(test_ctx(), folder, &graph) != INCISE_OK) fail_msg("%s", test_last_error());
    assert_int_equal(inc_graph_verify(graph), INCISE_OK);
    return graph;
}

static bool has_shape(const char *family, const char *shape)
{
    char name[64];
    snprintf(name, sizeof name, "output_%s.npy", shape);
    return access(test_fixture_path(family, name), R_OK) == 0;
}

static void check_shape(const struct inc_graph *graph, struct test_runner *runner, const char *family,
                        const char *shape)
{
    struct test_inputs inputs;
    struct inc_tensor recorded, reference;
    test_inputs_load(graph, family, shape, &inputs);
    test_fixture_output(family, shape, &recorded);
    test_reference(graph, &inputs, &reference);
    const struct inc_tensor *mask = test_inputs_get(graph, &inputs, "attention_mask");
    double plain = test_difference(&reference, &recorded, mask);
    double fused = test_difference(test_run(runner, &inputs), &recorded, mask);
    printf("%-18s %-5s op by op %.1e, fused %.1e\n", family, shape, plain, fused);
    if (!(plain <= LIMIT && fused <= LIMIT)) fail_msg("%s %s: %g, fused %g", family, shape, plain, fused);
    inc_tensor_release(test_ctx(), &reference);
    inc_tensor_release(test_ctx(), &recorded);
    test_inputs_free(&inputs);
}

static void agree_with_transformers(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        struct inc_graph *graph = read_folder(test_fixture_path(families[f], NULL));
        struct test_runner runner;
        int n = 0;
        assert_int_equal(graph->n_parameters, 2);
        test_runner_open(&runner, graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
        if (!runner.program->fused) fail_msg("%s runs op by op: %s", families[f], runner.program->lowering.reason);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            if (!has_shape(families[f], shapes[s])) continue;
            check_shape(graph, &runner, families[f], shapes[s]);
            n++;
        }
        assert_true(n >= 2);
        test_runner_close(&runner);
        inc_graph_destroy(graph);
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- changed copies ---------------------------------------------------------------------------------------------- */

static char copy[] = "/tmp/incise-test-XXXXXX";

static void put(const char *name, const char *data, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", copy, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    fclose(file);
}

/* Copies `family`'s model files; in `changed` the first `from` becomes `to`. */
static void copy_folder(const char *family, const char *changed, const char *from, const char *to)
{
    DIR *folder = opendir(test_fixture_path(family, NULL));
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct inc_file file;
        if (strstr(entry->d_name, ".json") == NULL && strstr(entry->d_name, ".safetensors") == NULL) continue;
        assert_int_equal(inc_file_read(test_ctx(), test_fixture_path(family, entry->d_name), SIZE_MAX, &file), INCISE_OK);
        const char *text = (const char *)file.data;
        const char *at = strcmp(entry->d_name, changed) == 0 ? memmem(text, file.size, from, strlen(from)) : NULL;
        size_t before = at != NULL ? (size_t)(at - text) : file.size;
        size_t after = at != NULL ? file.size - before - strlen(from) : 0;
        char *whole = malloc(file.size + strlen(to) + 1);
        assert_non_null(whole);
        assert_true(at != NULL || strcmp(entry->d_name, changed) != 0);
        memcpy(whole, text, before);
        if (at != NULL) {
            memcpy(whole + before, to, strlen(to));
            memcpy(whole + before + strlen(to), at + strlen(from), after);
            before += strlen(to) + after;
        }
        put(entry->d_name, whole, before);
        free(whole);
        inc_file_release(test_ctx(), &file);
    }
    closedir(folder);
}

static void empty_folder(void)
{
    char path[512];
    DIR *folder = opendir(copy);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", copy, entry->d_name);
        remove(path);
    }
    closedir(folder);
}

#define INDEX "model.safetensors.index.json"
#define CONFIG "config.json"

static void refused(void **state)
{
    static const struct {
        const char *family, *file, *from, *to, *error;
    } cases[] = {
        {"gemma3-hf", CONFIG, "gemma3_text", "gemma3_test", "model_type 'gemma3_test'"},
        {"gemma3-hf", CONFIG, "\"full_attention\"", "\"linear_attention\"", "layer_types[1] 'linear_attention'"},
        {"gemma3-hf", CONFIG, "\"full_attention\",", "", "layer_types is no list of 3"},
        {"gemma3-hf", CONFIG, "\"float32\"", "\"float64\"", "dtype 'float64'"},
        {"gemma3-hf", CONFIG, "\"head_dim\": 12", "\"head_dim\": 11", "head_dim 11 is odd"},
        {"gemma3-hf", CONFIG, "{", "{\"rope_scaling\": {\"factor\": 8},", "rope_scaling is not supported"},
        {"gemma3-hf", CONFIG, "{", "{\"attn_logit_softcapping\": 50.0,", "attn_logit_softcapping is not supported"},
        {"gemma3-hf", CONFIG, "key_value_heads\": 2", "key_value_heads\": 3", "no multiple of num_key_value_heads 3"},
        {"gemma3-hf", CONFIG, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 0", "outside"},
        {"gemma3-hf", INDEX, "\"weight_map\"", "\"weight_mop\"", "'weight_map' is missing"},
        {"gemma3-hf", INDEX, "\"norm.weight\": \"model-", "\"norm.weight\": \"../model-", "no plain file name"},
        {"gemma3-hf", INDEX, "\"norm.weight\": \"model-", "\"norm.weight\": 7, \"x\": \"model-", "no plain file name"},
        {"gemma3-hf", INDEX, "\"norm.weight\"", "\"norm.weights\"", "tensor 'norm.weight' is in"},
        {"gemma3-hf", INDEX, "weight_map\": {", "weight_map\": {\"no\": \"model-00001-of-00002.safetensors\",",
         "tensor 'no' is not in 'model-00001-of-00002.safetensors'"},
        {"qwen3-hf", CONFIG, "{", "{\"use_sliding_window\": true,", "use_sliding_window true"},
        {"qwen3-hf", "model.safetensors", "model.norm.weight", "model.nurm.weight", "'model.norm.weight' is missing"},
        {"qwen3-hf", "model.safetensors", "lm_head.weight", "lm_hood.weight", "'lm_hood.weight' has no place"},
        {"roberta-hf", CONFIG, "{", "{\"pad_token_id\": 40,", "pad_token_id 40 leaves no positions"},
        {"roberta-hf", CONFIG, "\"type_vocab_size\": 2", "\"type_vocab_size\": 3", "does not have the shape 3x32"},
        {"distilbert-hf", CONFIG, "\"hidden_dim\"", "\"hidden_dam\"", "'hidden_dim' is missing"},
        {"mpnet-hf", CONFIG, "{", "{\"relative_attention_num_buckets\": 16,", "num_buckets 16 is not supported"},
        {"modernbert-hf", CONFIG, "{", "{\"hidden_activation\": \"silu\",", "hidden_activation 'silu'"},
        {"modernbert-hf", CONFIG, "{", "{\"attention_bias\": true,", "'model.layers.0.attn.Wqkv.bias' is missing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_graph *graph = NULL;
        copy_folder(cases[i].family, cases[i].file, cases[i].from, cases[i].to);
        test_clear_error();
        enum incise_status status = inc_hf_read(test_ctx(), copy, &graph);
        if (status != INCISE_ERROR_DATA || strstr(test_last_error(), cases[i].error) == NULL)
            fail_msg("%s, %s: status %d, '%s'", cases[i].family, cases[i].to, status, test_last_error());
        empty_folder();
        assert_int_equal(test_live_allocations(), 0);
    }
}

/* Two shards of a model that each hold a tensor of one name; an index of a shard that is not there. */
static void bad_shards(void **state)
{
    static const char index[] = "{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\"}}";
    static const char one[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}       ";
    static const char two[] = "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                              "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}    ";
    static const char config[] = "{\"model_type\": \"qwen3\"}";
    char bytes[256] = {0};
    struct inc_graph *graph;
    (void)state;
    put(CONFIG, config, strlen(config));
    put(INDEX, index, strlen(index));
    bytes[0] = (char)strlen(one);
    memcpy(bytes + 8, one, strlen(one));
    put("1.safetensors", bytes, 8 + strlen(one) + 4);
    assert_int_equal(inc_hf_read(test_ctx(), copy, &graph), INCISE_ERROR_NO_INPUT);
    memset(bytes, 0, sizeof bytes);
    bytes[0] = (char)strlen(two);
    memcpy(bytes + 8, two, strlen(two));
    put("2.safetensors", bytes, 8 + strlen(two) + 8);
    test_clear_error();
    assert_int_equal(inc_hf_read(test_ctx(), copy, &graph), INCISE_ERROR_DATA);
    if (strstr(test_last_error(), "tensor 'a' is in '2.safetensors', but the index puts it into 1.safetensors") == NULL)
        fail_msg("%s", test_last_error());
    empty_folder();
    assert_int_equal(test_live_allocations(), 0);
}

static void memory_failures(void **state)
{
    static const char *const tried[] = {"gemma3-hf", "mpnet-hf", "roberta-hf"};
    (void)state;
    for (size_t f = 0; f < sizeof tried / sizeof *tried; f++) {
        bool done = false;
        for (size_t n = 0; !done; n += 1 + n / 20) { /* every early one, then ever fewer */
            struct inc_graph *graph;
            test_fail_after(n);
            enum incise_status status = inc_hf_read(test_ctx(), test_fixture_path(tried[f], NULL), &graph);
            test_fail_after(SIZE_MAX);
            done = status == INCISE_OK;
            if (!done) assert_int_equal(status, INCISE_ERROR_MEMORY);
            inc_graph_destroy(graph);
            assert_int_equal(test_live_allocations(), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_with_transformers),
        cmocka_unit_test(refused),
        cmocka_unit_test(bad_shards),
        cmocka_unit_test(memory_failures),
    };
    if (mkdtemp(copy) == NULL) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(copy);
    return failed;
}
