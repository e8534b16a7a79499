/* SPDX-License-Identifier: Apache-2.0 */
/* tests/data/tiny/<family>-hf gives the hidden states that transformers computed, op by op and fused; sharded weights;
 * what is refused; the modules of sentence-transformers. */
#include "formats/huggingface/huggingface.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/file.h"
#include "graph/eval_ref/eval.h"
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
        assert_int_equal(inc_file_read(test_ctx(), test_fixture_path(family, entry->d_name), SIZE_MAX, &file),
                         INCISE_OK);
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

/* ---- modules of sentence-transformers ---------------------------------------------------------------------------- */

#define WIDTH 32 /* of modernbert-hf */
#define OUT 3    /* of the dense layer */
#define MODULES(activation) \
    "[{\"type\": \"s.Transformer\", \"path\": \"\"}, {\"type\": \"s.Pooling\", \"path\": \"P\"}," \
    " {\"type\": \"s.Dense\", \"path\": \"D\"}, {\"type\": \"s." activation "\", \"path\": \"N\"}]"
#define DENSE "{\"in_features\": 32, \"out_features\": 3}"

static float dense_weight(size_t o, size_t i)
{
    return (float)((double)((o * 7 + i * 5) % 11) / 8 - 0.6);
}

static float dense_bias(size_t o)
{
    return 0.25f * (float)o;
}

static void put_dense(void)
{
    static const char header[] = "{\"linear.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
                                 "\"linear.weight\":{\"dtype\":\"F32\",\"shape\":[3,32],\"data_offsets\":[12,396]}} ";
    char bytes[8 + sizeof header - 1 + 4 * OUT * (WIDTH + 1)] = {0};
    float values[OUT * (WIDTH + 1)];
    for (size_t o = 0; o < OUT; o++) {
        values[o] = dense_bias(o);
        for (size_t i = 0; i < WIDTH; i++) values[OUT + o * WIDTH + i] = dense_weight(o, i);
    }
    bytes[0] = (char)(sizeof header - 1);
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + 8 + sizeof header - 1, values, sizeof values);
    put("D/model.safetensors", bytes, sizeof bytes);
}

static void put_modules(const char *modules, const char *mode, const char *dense)
{
    char path[512], pooling[128];
    copy_folder("modernbert-hf", "", "", "");
    snprintf(path, sizeof path, "%s/P", copy);
    assert_int_equal(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%s/D", copy);
    assert_int_equal(mkdir(path, 0777), 0);
    snprintf(pooling, sizeof pooling, "{\"word_embedding_dimension\": 32, \"pooling_mode_%s\": true}", mode);
    put("modules.json", modules, strlen(modules));
    put("P/config.json", pooling, strlen(pooling));
    put("D/config.json", dense, strlen(dense));
    put_dense();
}

static void drop_modules(void)
{
    static const char *const names[] = {"P/config.json", "D/config.json", "D/model.safetensors", "P", "D"};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", copy, names[i]);
        remove(path);
    }
    empty_folder();
}

/* One text's vector from its rows, the first `n` of which are real. */
static void expected_vector(const float *rows, size_t n, int mode, double vector[OUT])
{
    double pooled[WIDTH], norm = 0;
    for (size_t c = 0; c < WIDTH; c++) {
        double sum = 0, most = (double)rows[c];
        for (size_t i = 0; i < n; i++) sum += (double)rows[i * WIDTH + c];
        for (size_t i = 0; i < n; i++) most = fmax(most, (double)rows[i * WIDTH + c]);
        const double by_mode[] = {sum / (double)n, (double)rows[c], most, sum / sqrt((double)n),
                                  (double)rows[(n - 1) * WIDTH + c]};
        pooled[c] = by_mode[mode];
    }
    for (size_t o = 0; o < OUT; o++) {
        double sum = (double)dense_bias(o);
        for (size_t c = 0; c < WIDTH; c++) sum += pooled[c] * (double)dense_weight(o, c);
        vector[o] = tanh(sum); /* the default activation */
        norm += vector[o] * vector[o];
    }
    for (size_t o = 0; o < OUT; o++) vector[o] /= sqrt(norm);
}

static void check_vectors(const struct inc_tensor *vectors, const float *rows, int mode)
{
    static const size_t lengths[] = {16, 3, 11, 1};
    assert_int_equal(vectors->bytes, 4 * OUT * sizeof(float));
    for (size_t t = 0; t < 4; t++) {
        double vector[OUT];
        expected_vector(rows + t * 16 * WIDTH, lengths[t], mode, vector);
        for (size_t o = 0; o < OUT; o++) {
            double got = (double)((const float *)vectors->data)[t * OUT + o];
            if (!(fabs(got - vector[o]) < 1e-4)) fail_msg("mode %d text %zu: %g, not %g", mode, t, got, vector[o]);
        }
    }
}

/* As the file says, and fused. */
static void check_mode(struct inc_graph *graph, const struct test_inputs *inputs, const float *rows, int mode)
{
    struct test_runner runner;
    struct inc_feed feeds[2], wanted = {.value = graph->results[1]->inputs[0]};
    for (size_t i = 0; i < 2; i++)
        feeds[i] = (struct inc_feed){.value = &graph->parameters[i]->outputs[0], .tensor = inputs->tensors[i]};
    assert_string_equal(wanted.value->names[0], "sentence_embedding");
    assert_int_equal(inc_eval_run(graph, feeds, 2, &wanted, 1), INCISE_OK);
    check_vectors(&wanted.tensor, rows, mode);
    inc_tensor_release(test_ctx(), &wanted.tensor);
    test_runner_open(&runner, graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    if (!runner.program->fused) fail_msg("mode %d: %s", mode, runner.program->lowering.reason);
    (void)test_run(&runner, inputs);
    check_vectors(&runner.run->outputs[1], rows, mode);
    test_runner_close(&runner);
}

static void modules(void **state)
{
    static const char *const modes[] = {"mean_tokens", "cls_token", "max_tokens", "mean_sqrt_len_tokens", "lasttoken"};
    struct inc_tensor recorded;
    (void)state;
    test_fixture_output("modernbert-hf", "4x16", &recorded);
    for (int m = 0; m < 5; m++) {
        struct inc_graph *graph;
        struct test_inputs inputs;
        put_modules(MODULES("Normalize"), modes[m], DENSE);
        test_clear_error();
        if (inc_hf_read_embedding(test_ctx(), copy, &graph) != INCISE_OK) fail_msg("%s", test_last_error());
        assert_int_equal(inc_graph_verify(graph), INCISE_OK);
        test_inputs_load(graph, "modernbert-hf", "4x16", &inputs);
        check_mode(graph, &inputs, recorded.data, m);
        test_inputs_free(&inputs);
        inc_graph_destroy(graph);
        drop_modules();
    }
    inc_tensor_release(test_ctx(), &recorded);
    assert_int_equal(test_live_allocations(), 0);
}

static void modules_refused(void **state)
{
    static const struct {
        const char *modules, *mode, *dense, *error;
    } cases[] = {
        {MODULES("LayerNorm"), "mean_tokens", DENSE, "module 3 's.LayerNorm' in 'N' is not supported"},
        {MODULES("Pooling\", \"x\": \"") , "mean_tokens", DENSE, "N/config.json"},
        {MODULES("Normalize"), "mean_tokens\": true, \"include_prompt\": false, \"x", DENSE, "--task features"},
        {MODULES("Normalize"), "weightedmean_tokens", DENSE, "'pooling_mode_weightedmean_tokens' is not supported"},
        {MODULES("Normalize"), "mean_tokens", "{\"in_features\": 31, \"out_features\": 3}", "in_features 31"},
        {MODULES("Normalize"), "mean_tokens", "{\"in_features\": 32, \"out_features\": 4}", "shape 4x32"},
        {"[{\"type\": \"s.Transformer\"}]", "mean_tokens", DENSE, "no pooling"},
        {"[]", "mean_tokens", DENSE, "no list of 1 to"},
        {"[7]", "mean_tokens", DENSE, "module 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_graph *graph = NULL;
        put_modules(cases[i].modules, cases[i].mode, cases[i].dense);
        test_clear_error();
        enum incise_status status = inc_hf_read_embedding(test_ctx(), copy, &graph);
        if (status == INCISE_OK || strstr(test_last_error(), cases[i].error) == NULL)
            fail_msg("case %zu: status %d, '%s'", i, status, test_last_error());
        drop_modules();
        assert_int_equal(test_live_allocations(), 0);
    }
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
        cmocka_unit_test(modules),
        cmocka_unit_test(modules_refused),
        cmocka_unit_test(memory_failures),
    };
    if (mkdtemp(copy) == NULL) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(copy);
    return failed;
}
