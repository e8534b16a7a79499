/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files that the package gguf wrote: every type of block, and tiny models with what transformers computes from
 * their weights; vocabularies; weights that stay quantized; what is refused; memory that fails. */
#include "formats/gguf/gguf_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "formats/npy/npy.h"
#include "graph/weight.h"
#include "support/runner.h"
#include "text/tokenizer.h"

/* As for the other tiny models (fixture.c). */
#define LIMIT 1e-5

static const char *const models[] = {"gemma-embedding-gguf", "gemma3-gguf", "bert-gguf"};
#define N_MODELS (sizeof models / sizeof *models)

static const struct inc_gguf_options features = {false, false};

static void open_model(const char *model, struct inc_gguf *file)
{
    static char path[512]; /* lives as long as the file */
    test_clear_error();
    snprintf(path, sizeof path, "%s", test_fixture_path(model, "model.gguf"));
    if (inc_gguf_open(test_ctx(), path, file) != INCISE_OK) fail_msg("%s", test_last_error());
}

static struct inc_graph *build_model(const char *model, const struct inc_gguf_options *options)
{
    struct inc_gguf file;
    struct inc_graph *graph;
    open_model(model, &file);
    if (inc_gguf_build(&file, options, &graph) != INCISE_OK) fail_msg("%s", test_last_error());
    inc_gguf_close(&file);
    assert_int_equal(inc_graph_verify(graph), INCISE_OK);
    return graph;
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static void types(void **state)
{
    static const char *const names[] = {"F32",  "F16",  "BF16", "Q4_0", "Q4_1", "Q5_0",
                                        "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"};
    struct inc_gguf file;
    struct inc_tensor values;
    float got[512];
    (void)state;
    open_model("types-gguf", &file);
    const char *path = test_fixture_path("types-gguf", "values.npy");
    assert_int_equal(inc_npy_read(test_ctx(), path, 1 << 20, &values), INCISE_OK);
    assert_int_equal(file.n_tensors, 11);
    for (size_t t = 0; t < 11; t++) {
        const float *expected = (const float *)values.data + t * 512;
        const struct inc_gguf_tensor *tensor = inc_gguf_find_tensor(&file, names[t]);
        assert_non_null(tensor);
        assert_string_equal(tensor->type->name, names[t]);
        assert_int_equal(tensor->dims[0], 2);
        assert_int_equal(tensor->dims[1], 256);
        assert_int_equal(inc_gguf_read_f32(&file, tensor, 0, 512, got), INCISE_OK);
        for (size_t i = 0; i < 512; i++)
            if (got[i] != expected[i])
                fail_msg("%s value %zu: %.9g, not %.9g", names[t], i, (double)got[i], (double)expected[i]);
        assert_int_equal(inc_gguf_read_f32(&file, tensor, 256, 256, got), INCISE_OK); /* the second row alone */
        assert_memory_equal(got, expected + 256, 256 * sizeof *got);
    }
    inc_tensor_release(test_ctx(), &values);
    inc_gguf_close(&file);
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

/* max |a - b| of two lists of vectors of length 1. */
static double vector_difference(const struct inc_tensor *a, const struct inc_tensor *b)
{
    double worst = 0;
    assert_int_equal(a->bytes, b->bytes);
    for (size_t i = 0; i < a->bytes / sizeof(float); i++)
        worst = fmax(worst, fabs((double)((const float *)a->data)[i] - (double)((const float *)b->data)[i]));
    return worst;
}

static void check_sentence(const struct test_runner *runner, const char *model, const char *shape)
{
    char name[64];
    struct inc_tensor recorded;
    snprintf(name, sizeof name, "sentence_%s.npy", shape);
    assert_int_equal(inc_npy_read(test_ctx(), test_fixture_path(model, name), 1 << 20, &recorded), INCISE_OK);
    double difference = vector_difference(&runner->run->outputs[1], &recorded);
    if (!(difference <= LIMIT)) fail_msg("%s %s: text vectors differ by %g", model, shape, difference);
    inc_tensor_release(test_ctx(), &recorded);
}

static void check_model(const char *model, bool embedding)
{
    const struct inc_gguf_options options = {.embedding = embedding};
    struct inc_graph *graph = build_model(model, &options);
    struct test_runner runner;
    assert_int_equal(graph->n_results, embedding ? 2 : 1);
    test_runner_open(&runner, graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    if (!embedding && !runner.program->fused) fail_msg("%s runs op by op: %s", model, runner.program->lowering.reason);
    for (const char *const *shape = test_fixture_shapes; *shape != NULL; shape++) {
        struct test_inputs inputs;
        struct inc_tensor recorded, reference;
        test_inputs_load(graph, model, *shape, &inputs);
        test_fixture_output(model, *shape, &recorded);
        test_reference(graph, &inputs, &reference);
        const struct inc_tensor *mask = test_inputs_get(graph, &inputs, "attention_mask");
        double plain = test_difference(&reference, &recorded, mask);
        double fused = test_difference(test_run(&runner, &inputs), &recorded, mask);
        printf("%-20s %-5s op by op %.1e, fused %.1e\n", model, *shape, plain, fused);
        if (!(plain <= LIMIT && fused <= LIMIT)) fail_msg("%s %s: %g, fused %g", model, *shape, plain, fused);
        if (embedding) check_sentence(&runner, model, *shape);
        inc_tensor_release(test_ctx(), &reference);
        inc_tensor_release(test_ctx(), &recorded);
        test_inputs_free(&inputs);
    }
    test_runner_close(&runner);
    inc_graph_destroy(graph);
}

static void agree_with_transformers(void **state)
{
    (void)state;
    for (size_t m = 0; m < N_MODELS; m++) check_model(models[m], false);
    check_model("gemma-embedding-gguf", true);
    check_model("bert-gguf", true);
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- kept integers ----------------------------------------------------------------------------------------------- */

static const struct inc_node *find_node(const struct inc_graph *graph, const char *name)
{
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (strcmp(node->name, name) == 0) return node;
    fail_msg("no node '%s'", name);
    return NULL;
}

/* Both nodes' weights, input `index` [out, in], have the same bits; counts those that are grouped integers by type. */
static void same_weight(const struct inc_node *a, const struct inc_node *b, uint32_t index, size_t counts[2])
{
    struct inc_weight x, y;
    float row_x[512], row_y[512];
    assert_true(inc_weight_match(a->inputs[index], true, &x) && inc_weight_match(b->inputs[index], true, &y));
    assert_true(x.in == y.in && x.out == y.out && x.in <= 512);
    if (y.type == INC_I8 || y.type == INC_I4) {
        assert_int_equal(y.group, y.in == 32 ? 0 : 32); /* 0: one scale for the row */
        assert_int_equal(y.scale.tensor->type, INC_F16);
        counts[y.type == INC_I4]++;
    }
    for (int64_t row = 0; row < x.out; row++) {
        inc_weight_row_f32(&x, row, row_x);
        inc_weight_row_f32(&y, row, row_y);
        assert_memory_equal(row_x, row_y, (size_t)x.in * sizeof *row_x);
    }
}

static void same_outputs(const char *model, struct inc_graph *plain, struct inc_graph *kept)
{
    struct test_runner runners[2];
    struct test_inputs inputs;
    struct inc_tensor reference;
    test_inputs_load(plain, model, "4x16", &inputs);
    test_runner_open(&runners[0], plain, incise_isa_detect(), 2, INC_INTEGER_NONE);
    test_runner_open(&runners[1], kept, incise_isa_detect(), 2, INC_INTEGER_NONE);
    assert_true(runners[1].program->fused);
    test_same_bits(test_run(&runners[0], &inputs), test_run(&runners[1], &inputs));
    test_reference(kept, &inputs, &reference);
    const struct inc_tensor *mask = test_inputs_get(plain, &inputs, "attention_mask");
    assert_true(test_difference(&reference, test_run(&runners[1], &inputs), mask) <= LIMIT);
    inc_tensor_release(test_ctx(), &reference);
    for (int i = 0; i < 2; i++) test_runner_close(&runners[i]);
    test_inputs_free(&inputs);
}

static void keep_quantized(void **state)
{
    const struct inc_gguf_options keep = {.keep_quantized = true};
    size_t counts[2] = {0, 0};
    (void)state;
    for (size_t m = 0; m < N_MODELS; m++) {
        struct inc_graph *plain = build_model(models[m], &features), *kept = build_model(models[m], &keep);
        for (const struct inc_node *node = plain->first; node != NULL; node = node->next) {
            struct inc_weight weight;
            if (node->op == INC_OP_MATMUL && inc_weight_match(node->inputs[1], true, &weight))
                same_weight(node, find_node(kept, node->name), 1, counts);
            if (node->op == INC_OP_GATHER && strstr(node->name, "aten::embedding") != NULL)
                same_weight(node, find_node(kept, node->name), 0, counts);
        }
        same_outputs(models[m], plain, kept);
        inc_graph_destroy(plain);
        inc_graph_destroy(kept);
    }
    assert_true(counts[0] >= 10 && counts[1] >= 2);
    assert_int_equal(test_live_allocations(), 0);
}

static void nothing_to_keep(void **state)
{
    const struct inc_gguf_options keep = {.keep_quantized = true};
    struct inc_gguf file;
    struct inc_graph *graph;
    (void)state;
    open_model("gemma3-gguf", &file);
    for (size_t i = 0; i < file.n_tensors; i++)
        if (file.tensors[i].type->id == INC_GGUF_Q8_0) file.tensors[i].type = inc_gguf_type_find(0);
    assert_int_equal(inc_gguf_build(&file, &keep, &graph), INCISE_ERROR_USAGE);
    assert_non_null(strstr(test_last_error(), "no matrix has type Q8_0 or Q4_0"));
    inc_gguf_close(&file);
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- vocabularies ------------------------------------------------------------------------------------------------ */

static char folder[] = "/tmp/incise-test-XXXXXX";

static void read_written(const char *name, struct inc_file *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/out/%s", folder, name);
    if (inc_file_read(test_ctx(), path, 1 << 20, file) != INCISE_OK) fail_msg("%s", test_last_error());
}

static void remove_written(void)
{
    static const char *const names[] = {"tokenizer.json", "config.json", "1_Pooling/config.json",
                                        "sentence_bert_config.json", "1_Pooling", ""};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/out/%s", folder, names[i]);
        remove(path);
    }
}

static enum incise_status write_sidecars(struct inc_gguf *file)
{
    char path[512];
    struct inc_output out;
    snprintf(path, sizeof path, "%s/out", folder);
    INC_TRY(inc_output_begin(test_ctx(), path, false, &out));
    enum incise_status status = inc_gguf_write_sidecars(file, &out);
    if (status == INCISE_OK) status = inc_output_commit(&out);
    inc_output_discard(&out);
    return status;
}

/* tokenizer.json is what Hugging Face's converter makes of the vocabulary, byte by byte. */
static void vocabularies(void **state)
{
    (void)state;
    for (size_t m = 0; m < N_MODELS; m++) {
        struct inc_gguf model;
        struct inc_file ours, theirs;
        struct inc_tokenizer *tokenizer;
        open_model(models[m], &model);
        if (write_sidecars(&model) != INCISE_OK) fail_msg("%s", test_last_error());
        inc_gguf_close(&model);
        read_written("tokenizer.json", &ours);
        const char *expected = test_fixture_path(models[m], "tokenizer.json");
        assert_int_equal(inc_file_read(test_ctx(), expected, 1 << 20, &theirs), INCISE_OK);
        for (size_t i = 0; i < ours.size; i++)
            if (i >= theirs.size || ours.data[i] != theirs.data[i])
                fail_msg("%s from byte %zu on: %.60s, not %.60s", models[m], i, ours.data + i, theirs.data + i);
        assert_int_equal(ours.size, theirs.size);
        assert_int_equal(inc_tokenizer_load_json(test_ctx(), "ours", ours.data, ours.size, &tokenizer), INCISE_OK);
        inc_tokenizer_destroy(tokenizer);
        inc_file_release(test_ctx(), &ours);
        inc_file_release(test_ctx(), &theirs);
        remove_written();
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void sidecars(void **state)
{
    struct inc_gguf model;
    struct inc_file text;
    (void)state;
    open_model("bert-gguf", &model);
    assert_int_equal(write_sidecars(&model), INCISE_OK);
    inc_gguf_close(&model);
    read_written("1_Pooling/config.json", &text);
    assert_non_null(strstr((const char *)text.data, "\"pooling_mode_cls_token\": true"));
    assert_non_null(strstr((const char *)text.data, "\"word_embedding_dimension\": 32"));
    inc_file_release(test_ctx(), &text);
    read_written("config.json", &text);
    assert_non_null(strstr((const char *)text.data, "\"model_type\": \"bert\""));
    inc_file_release(test_ctx(), &text);
    read_written("sentence_bert_config.json", &text);
    assert_non_null(strstr((const char *)text.data, "\"max_seq_length\": 32"));
    inc_file_release(test_ctx(), &text);
    remove_written();
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- changed files ----------------------------------------------------------------------------------------------- */

/* Copies the model with every `from` overwritten by `to`, both of `n` bytes. */
static void patched(const char *model, const char *from, const char *to, size_t n, struct inc_file *copy)
{
    assert_int_equal(inc_file_read(test_ctx(), test_fixture_path(model, "model.gguf"), 1 << 20, copy), INCISE_OK);
    unsigned char *at = memmem(copy->data, copy->size, from, n);
    if (at == NULL) fail_msg("%s holds no '%s'", model, from);
    for (; at != NULL; at = memmem(at, (size_t)(copy->data + copy->size - at), from, n)) memcpy(at, to, n);
}

static enum incise_status whole(const struct inc_file *bytes, bool embedding)
{
    const struct inc_gguf_options options = {.embedding = embedding};
    struct inc_gguf file;
    struct inc_graph *graph = NULL;
    INC_TRY(inc_gguf_open_memory(test_ctx(), "model", bytes->data, bytes->size, &file));
    enum incise_status status = write_sidecars(&file);
    if (status == INCISE_OK) status = inc_gguf_build(&file, &options, &graph);
    inc_graph_destroy(graph);
    inc_gguf_close(&file);
    remove_written();
    return status;
}

#define GEMMA "gemma3-gguf"
#define EMBEDDING "gemma-embedding-gguf"
#define BERT "bert-gguf"
#define KEY(text) text, sizeof(text) - 1

static void refused(void **state)
{
    static const struct {
        const char *model, *from;
        size_t n;
        const char *to, *error;
    } cases[] = {
        {GEMMA, KEY("\x06\0\0\0\0\0\0\0gemma3"), "\x06\0\0\0\0\0\0\0gemma9", "architecture 'gemma9' is not supported"},
        {GEMMA, KEY("gemma3.block_count"), "gemma3.block_cound", "'gemma3.block_count' is missing"},
        {GEMMA, KEY("gemma3.rope.freq_base\x06"), "gemma3.rope.freq_bass\x06", "'gemma3.rope.freq_base' is missing"},
        {GEMMA, KEY("block_count\x04\0\0\0\x02\0\0\0"), "block_count\x04\0\0\0\xff\xff\xff\xff",
         "'num_hidden_layers' is 4294967295"},
        {GEMMA, KEY("block_count\x04\0\0\0\x02"), "block_count\x04\0\0\0\x03", "tensor 'blk.2."},
        {GEMMA, KEY("block_count\x04\0\0\0\x02"), "block_count\x04\0\0\0\x01", "'blk.1.attn_k.weight' has no place"},
        {GEMMA, KEY("block_count\x04"), "block_count\x06", "'gemma3.block_count' is f32, not an integer"},
        {GEMMA, KEY("head_count\x04\0\0\0\x02"), "head_count\x04\0\0\0\0", "'num_attention_heads' is 0"},
        {GEMMA, KEY("value_length\x04\0\0\0\x10"), "value_length\x04\0\0\0\x11", "attention.value_length"},
        {GEMMA, KEY("gemma3.attention.value_length\x04"), "gemma3.rope.scaling.factor___\x04", NULL},
        {GEMMA, KEY("blk.1.ffn_up.weight"), "blk.1.ffn_ap.weight", "tensor 'blk.1.ffn_up.weight' is missing"},
        {GEMMA, KEY("\x05\0\0\0\0\0\0\0llama"), "\x05\0\0\0\0\0\0\0gpt-2",
         "'tokenizer.ggml.model' is gpt-2, which is not supported"},
        {GEMMA, KEY("add_space_prefix\x07\0\0\0\0"), "add_space_prefix\x07\0\0\0\x01", "add_space_prefix' is true"},
        {GEMMA, KEY("bos_token_id\x04\0\0\0\x02\0"), "bos_token_id\x04\0\0\0\x02\x01",
         "'tokenizer.ggml.bos_token_id' is 258, outside 0.."},
        {GEMMA, KEY("bos_token_id"), "bos_token_ib", "'tokenizer.ggml.bos_token_id' is missing"},
        {EMBEDDING, KEY("<0xF1>"), "<0x-1>", "'<0x-1>' is of type byte, but is no <0xHH>"},
        {EMBEDDING, KEY("<0xF1>"), "<0xF2>", "are both '<0xF2>'"},
        {EMBEDDING, KEY("pooling_type\x04\0\0\0\x01"), "pooling_type\x04\0\0\0\x04", "pooling_type' is 4, outside 0.."},
        {EMBEDDING, KEY("pooling_type\x04\0\0\0\x01"), "pooling_type\x04\0\0\0\0", "says how texts get vectors"},
        {EMBEDDING, KEY("dense_3.weight\x02\0\0\0\x40\0\0\0\0\0\0\0\x20"),
         "dense_3.weight\x02\0\0\0\x20\0\0\0\0\0\0\0\x40", "'dense_3.weight' does not have the shape 64x64"},
        {BERT, KEY("attention.causal\x07\0\0\0\0"), "attention.causal\x07\0\0\0\x01", "attention.causal' is true"},
        {BERT, KEY("token_types.weight"), "token_tipes.weight", "tensor 'token_types.weight' is missing"},
        {BERT, KEY("seperator_token_id"), "separator_token_id", "'tokenizer.ggml.seperator_token_id' is missing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_file bytes;
        patched(cases[i].model, cases[i].from, cases[i].to, cases[i].n, &bytes);
        test_clear_error();
        enum incise_status status = whole(&bytes, strcmp(cases[i].model, EMBEDDING) == 0);
        const char *error = cases[i].error;
        if (error == NULL ? status != INCISE_OK
                          : status != INCISE_ERROR_DATA || strstr(test_last_error(), error) == NULL)
            fail_msg("case %zu: status %d, '%s'", i, status, test_last_error());
        inc_file_release(test_ctx(), &bytes);
        assert_int_equal(test_live_allocations(), 0);
    }
}

static void memory_failures(void **state)
{
    (void)state;
    for (size_t m = 0; m < N_MODELS; m++) {
        struct inc_file bytes;
        bool done = false;
        const char *path = test_fixture_path(models[m], "model.gguf");
        assert_int_equal(inc_file_read(test_ctx(), path, 1 << 20, &bytes), INCISE_OK);
        for (size_t n = 0; !done; n += 1 + n / 10) { /* every early one, then ever fewer */
            test_fail_after(n);
            enum incise_status status = whole(&bytes, m != 1);
            test_fail_after(SIZE_MAX);
            done = status == INCISE_OK;
            if (!done) assert_int_equal(status, INCISE_ERROR_MEMORY);
            assert_int_equal(test_live_allocations(), 1);
        }
        inc_file_release(test_ctx(), &bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),          cmocka_unit_test(agree_with_transformers), cmocka_unit_test(keep_quantized),
        cmocka_unit_test(nothing_to_keep), cmocka_unit_test(vocabularies),           cmocka_unit_test(sidecars),
        cmocka_unit_test(refused),        cmocka_unit_test(memory_failures),
    };
    if (mkdtemp(folder) == NULL) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
