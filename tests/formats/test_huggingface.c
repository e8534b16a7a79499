/* SPDX-License-Identifier: Apache-2.0 */
/* tests/data/tiny/bert-hf becomes the graph of tests/data/tiny/bert, which is its export, and gives its outputs. */
#include "formats/huggingface/huggingface.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "formats/npy/npy.h"
#include "formats/openvino/ir.h"
#include "formats/safetensors/safetensors.h"
#include "graph/eval_ref/eval.h"
#include "support/support.h"

#define TINY "data/tiny/bert-hf"
#define EXPORT "data/tiny/bert"

static struct inc_graph *read_tiny(void)
{
    struct inc_graph *graph;
    enum incise_status status = inc_hf_read(test_ctx(), TINY, &graph);
    if (status != INCISE_OK) fail_msg("%s", test_last_error());
    assert_int_equal(inc_graph_verify(graph), INCISE_OK);
    return graph;
}

static void read_npy(const char *kind, const char *shape, const char *name, struct inc_tensor *tensor)
{
    char path[128];
    snprintf(path, sizeof path, EXPORT "/%s_%s%s%s.npy", kind, shape, *name ? "_" : "", name);
    assert_int_equal(inc_npy_read(test_ctx(), path, (size_t)1 << 20, tensor), INCISE_OK);
}

static void check_outputs(const char *shape)
{
    struct inc_graph *graph = read_tiny();
    struct inc_feed feeds[3], wanted = {.value = graph->results[0]->inputs[0]};
    struct inc_tensor expected;
    const int64_t *mask = NULL;
    assert_int_equal(graph->n_parameters, 3);
    for (size_t i = 0; i < 3; i++) {
        feeds[i].value = &graph->parameters[i]->outputs[0];
        read_npy("input", shape, graph->parameters[i]->name, &feeds[i].tensor);
        if (strcmp(graph->parameters[i]->name, "attention_mask") == 0) mask = feeds[i].tensor.data;
    }
    read_npy("output", shape, "", &expected);
    assert_int_equal(inc_eval_run(graph, feeds, 3, &wanted, 1), INCISE_OK);
    assert_int_equal(wanted.tensor.bytes, expected.bytes);
    const float *ours = wanted.tensor.data, *theirs = expected.data;
    double largest = 0, difference = 0;
    for (size_t i = 0; i < expected.bytes / sizeof(float); i++) {
        if (mask[i / 64] == 0) continue; /* rows of padding mean nothing */
        largest = fmax(largest, fabs((double)theirs[i]));
        difference = fmax(difference, fabs((double)ours[i] - (double)theirs[i]));
    }
    assert_true(largest > 1);
    if (!(difference <= 1e-5 * largest)) fail_msg("%s: difference %g of %g", shape, difference, largest);
    for (size_t i = 0; i < 3; i++) inc_tensor_release(test_ctx(), &feeds[i].tensor);
    inc_tensor_release(test_ctx(), &wanted.tensor);
    inc_tensor_release(test_ctx(), &expected);
    inc_graph_destroy(graph);
}

static void test_outputs(void **state)
{
    (void)state;
    check_outputs("1x7");
    check_outputs("4x16");
    assert_int_equal(test_live_allocations(), 0);
}

/* As many nodes of each op as the export has, and the same names of linear layers and inputs. */
static void test_same_ops(void **state)
{
    struct inc_graph *ours = read_tiny(), *theirs;
    long counts[INC_OP_COUNT] = {0};
    (void)state;
    assert_int_equal(inc_ir_read(test_ctx(), EXPORT, &theirs), INCISE_OK);
    for (struct inc_node *node = ours->first; node != NULL; node = node->next) counts[node->op]++;
    for (struct inc_node *node = theirs->first; node != NULL; node = node->next) counts[node->op]--;
    for (int op = 0; op < INC_OP_COUNT; op++) {
        if (counts[op] != 0 && op != INC_OP_CONSTANT) /* the export merges equal ones */
             fail_msg("%s: %ld more than the export", inc_ops[op].name, counts[op]);
    }
    size_t n_linear = 0;
    for (struct inc_node *node = ours->first; node != NULL; node = node->next) {
        if (node->op != INC_OP_MATMUL) continue;
        const char *weight = node->inputs[1]->node->name;
        assert_memory_equal(weight, "self.encoder.layer.", 19);
        assert_string_equal(node->inputs[1]->names[0], weight);
        assert_memory_equal(node->name, "__module.encoder.layer.", 23);
        n_linear++;
    }
    assert_int_equal(n_linear, 12);
    assert_string_equal(ours->parameters[0]->name, "input_ids");
    assert_string_equal(ours->results[0]->inputs[0]->names[0], "last_hidden_state");
    inc_graph_destroy(ours);
    inc_graph_destroy(theirs);
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- changed copies of the folder ---------------------------------------------------------------------------------
 */

static void write_bytes(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* `text` with the first `from` replaced by `to`, which must not be longer; padded with spaces when it is shorter. */
static void patch(char *text, size_t n, const char *from, const char *to)
{
    char *at = memmem(text, n, from, strlen(from));
    assert_non_null(at);
    assert_true(strlen(to) <= strlen(from));
    memset(at, ' ', strlen(from));
    memcpy(at, to, strlen(to));
}

/* Reads the folder with one replacement in config.json or in the header of the weights. */
static enum incise_status read_patched(const char *folder, bool config, const char *from, const char *to)
{
    static const char *const names[] = {"config.json", "model.safetensors"};
    struct inc_graph *graph = NULL;
    for (int i = 0; i < 2; i++) {
        char path[64];
        struct inc_file file;
        snprintf(path, sizeof path, TINY "/%s", names[i]);
        assert_int_equal(inc_file_read(test_ctx(), path, SIZE_MAX, &file), INCISE_OK);
        if (config == (i == 0)) patch((char *)file.data, file.size, from, to);
        write_bytes(folder, names[i], file.data, file.size);
        inc_file_release(test_ctx(), &file);
    }
    enum incise_status status = inc_hf_read(test_ctx(), folder, &graph);
    inc_graph_destroy(graph);
    return status;
}

static void test_refused(void **state)
{
    static const struct {
        bool config;
        const char *from, *to, *error;
    } cases[] = {
        {true, "\"bert\"", "\"bart\"", "model_type 'bart'"},
        {true, "\"model_type\"", "\"model_tipe\"", "'model_type' is missing"},
        {true, "\"gelu\"", "\"relu\"", "hidden_act 'relu'"},
        {true, "\"absolute\"", "\"relative\"", "position_embedding_type 'relative'"},
        {true, "\"vocab_size\": 100", "\"vocab_size\": 99",
         "embeddings.word_embeddings.weight' does not have the shape"},
        {true, "\"vocab_size\"", "\"vocab_sise\"", "'vocab_size' is missing"},
        {true, "\"num_attention_heads\": 4", "\"num_attention_heads\": 5", "no multiple"},
        {true, "\"num_attention_heads\": 4", "\"num_attention_heads\": 0", "outside"},
        {true, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "encoder.layer.1."},
        {true, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
         "'encoder.layer.2.attention.self.query.weight' is missing"},
        {true, "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": -1", "layer_norm_eps"},
        {true, "{", "[", "config.json: line "},
        {false, "layer.0.output.dense.bias", "layer.0.output.dense.bios", "layer.0.output.dense.bias' is missing"},
        {false, "embeddings.position_ids", "embeddings.position_idz", "'embeddings.position_idz' has no place"},
        {false, "\"dtype\":\"I64\"", "\"dtype\":\"I65\"", "type 'I65'"},
    };
    char folder[] = "/tmp/incise-test-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_clear_error();
        enum incise_status status = read_patched(folder, cases[i].config, cases[i].from, cases[i].to);
        if (status != INCISE_ERROR_DATA || strstr(test_last_error(), cases[i].error) == NULL)
            fail_msg("%s: status %d, '%s'", cases[i].to, status, test_last_error());
    }
    assert_int_equal(read_patched(folder, true, "\"vocab_size\"", "\"vocab_size\""), INCISE_OK);
    snprintf(path, sizeof path, "%s/config.json", folder);
    remove(path);
    struct inc_graph *graph;
    assert_int_equal(inc_hf_read(test_ctx(), folder, &graph), INCISE_ERROR_NO_INPUT);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    remove(path);
    rmdir(folder);
    assert_int_equal(test_live_allocations(), 0);
}

/* The tiny weights as bf16 (the upper halves of the floats), named "bert.*" as a model with a head on top has them. */
static void write_bf16_folder(const char *folder)
{
    struct inc_safetensors tiny;
    struct inc_buffer header, data, file;
    struct inc_file config;
    inc_buffer_init(&header, test_ctx());
    inc_buffer_init(&data, test_ctx());
    inc_buffer_init(&file, test_ctx());
    assert_int_equal(inc_file_read(test_ctx(), TINY "/config.json", SIZE_MAX, &config), INCISE_OK);
    write_bytes(folder, "config.json", config.data, config.size);
    inc_file_release(test_ctx(), &config);
    assert_int_equal(inc_safetensors_open(test_ctx(), TINY "/model.safetensors", SIZE_MAX, &tiny), INCISE_OK);
    for (size_t i = 0; i < tiny.n_tensors; i++) {
        const struct inc_tensor *t = &tiny.tensors[i].tensor;
        if (t->type != INC_F32) continue;
        size_t begin = data.length;
        for (size_t k = 0; k < t->bytes; k += 4) inc_buffer_append(&data, (const char *)t->data + k + 2, 2);
        inc_buffer_printf(&header, "%s\"bert.%s\":{\"dtype\":\"BF16\",\"shape\":[%d", header.length > 0 ? "," : "{",
                          tiny.tensors[i].name, (int)t->dims[0]);
        if (t->rank == 2) inc_buffer_printf(&header, ",%d", (int)t->dims[1]);
        inc_buffer_printf(&header, "],\"data_offsets\":[%zu,%zu]}", begin, data.length);
    }
    inc_buffer_puts(&header, "}");
    uint64_t length = header.length;
    inc_buffer_append(&file, &length, 8);
    inc_buffer_append(&file, header.data, header.length);
    inc_buffer_append(&file, data.data, data.length);
    write_bytes(folder, "model.safetensors", file.data, file.length);
    inc_safetensors_release(&tiny);
    inc_buffer_fini(&header);
    inc_buffer_fini(&data);
    inc_buffer_fini(&file);
}

static void test_bf16_with_prefix(void **state)
{
    char folder[] = "/tmp/incise-test-XXXXXX", path[64];
    struct inc_graph *graph, *tiny = read_tiny();
    (void)state;
    assert_non_null(mkdtemp(folder));
    write_bf16_folder(folder);
    assert_int_equal(inc_hf_read(test_ctx(), folder, &graph), INCISE_OK);
    struct inc_node *ours = graph->first, *theirs = tiny->first;
    for (; ours != NULL && theirs != NULL; ours = ours->next, theirs = theirs->next) {
        assert_int_equal(ours->op, theirs->op);
        if (ours->op != INC_OP_CONSTANT || ours->data.type != INC_F32) continue;
        assert_int_equal(ours->data.bytes, theirs->data.bytes);
        bool weight = strncmp(ours->name, "self.", 5) == 0;
        for (size_t i = 0; weight && i < ours->data.bytes / 4; i++) {
            uint32_t bits[2];
            memcpy(&bits[0], (char *)ours->data.data + 4 * i, 4);
            memcpy(&bits[1], (char *)theirs->data.data + 4 * i, 4);
            assert_int_equal(bits[0], bits[1] & 0xffff0000u);
        }
    }
    assert_true(ours == NULL && theirs == NULL);
    inc_graph_destroy(graph);
    inc_graph_destroy(tiny);
    snprintf(path, sizeof path, "%s/config.json", folder);
    remove(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    remove(path);
    rmdir(folder);
    assert_int_equal(test_live_allocations(), 0);
}

static void test_memory_failures(void **state)
{
    bool done = false;
    (void)state;
    for (size_t n = 0; !done; n += 1 + n / 20) { /* every early one, then ever fewer */
        struct inc_graph *graph;
        test_fail_after(n);
        enum incise_status status = inc_hf_read(test_ctx(), TINY, &graph);
        test_fail_after(SIZE_MAX);
        done = status == INCISE_OK;
        if (!done) assert_int_equal(status, INCISE_ERROR_MEMORY);
        inc_graph_destroy(graph);
        assert_int_equal(test_live_allocations(), 0);
    }
}

static void test_sidecars(void **state)
{
    char folder[] = "/tmp/incise-test-XXXXXX", target[64], path[96];
    static const char *const names[] = {"config.json", "sentence_bert_config.json", "tokenizer.json",
                                        "1_Pooling/config.json"};
    struct inc_output out;
    uint64_t size;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(target, sizeof target, "%s/out", folder);
    assert_int_equal(inc_output_begin(test_ctx(), target, false, &out), INCISE_OK);
    assert_int_equal(inc_hf_copy_sidecars(TINY, &out), INCISE_OK);
    assert_int_equal(inc_output_commit(&out), INCISE_OK);
    inc_output_discard(&out);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", target, names[i]);
        assert_true(inc_file_size(path, &size));
        remove(path);
    }
    snprintf(path, sizeof path, "%s/model.safetensors", target);
    assert_false(inc_file_size(path, &size));
    snprintf(path, sizeof path, "%s/1_Pooling", target);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(target), 0);
    rmdir(folder);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs),         cmocka_unit_test(test_same_ops), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bf16_with_prefix),
        cmocka_unit_test(test_memory_failures), cmocka_unit_test(test_sidecars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
