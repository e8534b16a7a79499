/* SPDX-License-Identifier: Apache-2.0 */
/* incise_embedder: pooling by hand, batches and threads, misuse, memory that runs out. */
#include "incise/embed.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "incise/session.h"
#include "support/fixture.h"
#include "text/tokenizer.h"

static struct incise_engine *engine;
static char log_text[4096];

static const char *const texts[] = {
    "the small model", "run fast, and test", "", "zero blocks 0 1 2 3 4 5 6 7 8 9 a b c", "unable", "the small model"};
enum { TEXTS = sizeof texts / sizeof texts[0], WIDTH = 64 };

static void keep_log(void *user, enum incise_log_level level, const char *text)
{
    (void)user;
    (void)level;
    snprintf(log_text, sizeof log_text, "%s", text);
}

static struct incise_engine *create_engine(void)
{
    struct incise_engine_options options;
    struct incise_engine *made = NULL;
    incise_engine_options_init(&options);
    options.threads = 2;
    options.allocator = test_ctx()->allocator;
    options.log = keep_log;
    assert_int_equal(incise_engine_create(&options, &made), INCISE_OK);
    return made;
}

static int set_up(void **state)
{
    (void)state;
    engine = create_engine();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    incise_engine_destroy(engine);
    return test_live_allocations() == 0 ? 0 : -1;
}

/* The tokenizer lies in another folder than the model. */
static struct incise_embed_options default_options(void)
{
    static char tokenizer[256];
    struct incise_embed_options options;
    snprintf(tokenizer, sizeof tokenizer, "%s", test_fixture_path("bert-hf", NULL));
    incise_embed_options_init(&options);
    options.tokenizer = tokenizer;
    return options;
}

static enum incise_status create(const struct incise_embed_options *options, struct incise_embedder **embedder)
{
    return incise_embedder_create(engine, test_fixture_path("bert", NULL), options, embedder);
}

static void run(struct incise_embedder *embedder, const char *const *given, size_t n, float *out)
{
    struct incise_text_batch batch = {.texts = given, .n = n};
    assert_int_equal(incise_embedder_run(embedder, &batch, out, NULL), INCISE_OK);
}

/* Token vectors of one text, from a session; the number of tokens is returned. */
static size_t token_vectors(struct incise_model *model, const char *text, float *out)
{
    struct inc_tokenizer *tokenizer;
    struct inc_ids ids;
    struct incise_session *session;
    struct incise_tensor inputs[3], output;
    int64_t values[3][32] = {{0}};
    assert_int_equal(inc_tokenizer_load(test_ctx(), test_fixture_path("bert-hf", NULL), &tokenizer), INCISE_OK);
    inc_ids_init(&ids, test_ctx());
    assert_int_equal(inc_tokenizer_encode(tokenizer, text, strlen(text), 32, &ids), INCISE_OK);
    size_t n = ids.count;
    for (int i = 0; i < 3; i++) {
        struct incise_port port;
        incise_model_input(model, (size_t)i, &port);
        for (size_t t = 0; t < n; t++)
            values[i][t] = strcmp(port.name, "input_ids") == 0 ? ids.ids[t] : strcmp(port.name, "attention_mask") == 0;
        inputs[i] = (struct incise_tensor){
            .type = INCISE_I64, .rank = 2, .dims = {1, (int64_t)n}, .data = values[i], .bytes = n * sizeof(int64_t)};
    }
    assert_int_equal(incise_session_create(model, &session), INCISE_OK);
    assert_int_equal(incise_session_run(session, inputs, 3, &output, 1), INCISE_OK);
    memcpy(out, output.data, output.bytes);
    incise_session_destroy(session);
    inc_ids_release(&ids);
    inc_tokenizer_destroy(tokenizer);
    return n;
}

/* Component k of the pooled vector, straight from the definition. */
static double pooled(const char *pooling, const float *rows, size_t n, size_t k)
{
    double sum = 0, best = -INFINITY;
    for (size_t t = 0; t < n; t++) {
        double value = (double)rows[t * WIDTH + k];
        sum += value;
        best = value > best ? value : best;
    }
    if (strcmp(pooling, "cls") == 0) return (double)rows[k];
    if (strcmp(pooling, "last") == 0) return (double)rows[(n - 1) * WIDTH + k];
    if (strcmp(pooling, "mean_sqrt_len") == 0) return sum / sqrt((double)n);
    return strcmp(pooling, "max") == 0 ? best : sum / (double)n;
}

static void test_pooling(void **state)
{
    static const char *const poolings[] = {"mean", "cls", "last", "max", "mean_sqrt_len"};
    (void)state;
    for (int p = 0; p < 5; p++)
        for (int normalize = 0; normalize < 2; normalize++) {
            struct incise_embed_options options = default_options();
            struct incise_embedder *embedder;
            float vectors[TEXTS * 48], rows[32 * WIDTH];
            options.pooling = poolings[p];
            options.normalize = normalize;
            options.dimensions = 48;
            assert_int_equal(create(&options, &embedder), INCISE_OK);
            assert_int_equal(incise_embedder_width(embedder), 48);
            run(embedder, texts, TEXTS, vectors);
            for (size_t i = 0; i < TEXTS; i++) {
                size_t n = token_vectors(incise_embedder_model(embedder), texts[i], rows);
                double squares = 0;
                for (size_t k = 0; k < 48; k++) squares += pow(pooled(poolings[p], rows, n, k), 2);
                for (size_t k = 0; k < 48; k++) {
                    double wanted = pooled(poolings[p], rows, n, k) / (normalize ? sqrt(squares) : 1);
                    assert_true(fabs((double)vectors[i * 48 + k] - wanted) <= 1e-7 * (1 + fabs(wanted)));
                }
            }
            incise_embedder_destroy(embedder);
        }
}

/* The same bits alone, in any batch, and whatever runs beside it. */
struct job {
    struct incise_embedder *embedder;
    float vectors[TEXTS * WIDTH];
};

static void *run_job(void *arg)
{
    struct job *job = arg;
    struct incise_text_batch batch = {.texts = texts, .n = TEXTS};
    for (int i = 0; i < 5; i++)
        if (incise_embedder_run(job->embedder, &batch, job->vectors, NULL) != INCISE_OK) return arg;
    return NULL;
}

static void test_batches_and_threads(void **state)
{
    struct incise_embed_options options = default_options();
    struct incise_embedder *embedder, *small;
    float alone[TEXTS * WIDTH], batched[TEXTS * WIDTH];
    struct job jobs[2];
    pthread_t threads[2];
    (void)state;
    assert_int_equal(create(&options, &embedder), INCISE_OK);
    options.batch_tokens = 1; /* a text per batch, as longer ones than the budget still run */
    assert_int_equal(create(&options, &small), INCISE_OK);
    for (size_t i = 0; i < TEXTS; i++) run(embedder, texts + i, 1, alone + i * WIDTH);
    run(small, texts, TEXTS, batched);
    assert_memory_equal(alone, batched, sizeof alone);
    assert_memory_equal(alone, alone + (TEXTS - 1) * WIDTH, WIDTH * sizeof(float)); /* the same text twice */
    for (int i = 0; i < 2; i++) {
        jobs[i].embedder = embedder;
        assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
        assert_memory_equal(alone, jobs[i].vectors, sizeof alone);
    }
    incise_embedder_destroy(embedder);
    incise_embedder_destroy(small);
}

static void test_lengths(void **state)
{
    struct incise_embed_options options = default_options();
    struct incise_embedder *embedder;
    struct incise_embed_stats stats;
    const char *const given[] = {"a", "a b c d e f g h i j", "a b c d e f g h i j k l m n o p q r s t u v w x y z",
                                 "b c"};
    struct incise_text_batch batch = {.texts = given, .n = 4};
    float vectors[4 * WIDTH];
    (void)state;
    options.max_length = 10;
    assert_int_equal(create(&options, &embedder), INCISE_OK);
    assert_int_equal(incise_embedder_run(embedder, &batch, vectors, &stats), INCISE_OK);
    assert_int_equal(stats.tokens, 3 + 10 + 10 + 4);
    assert_int_equal(stats.truncated, 2);
    assert_int_equal(stats.first_cut, 1);
    assert_int_equal(stats.longest_cut, 2);
    assert_int_equal(stats.longest_tokens, 26 + 2);
    batch.lengths = (size_t[]){1, 3, 3, 3}; /* only these bytes count */
    assert_int_equal(incise_embedder_run(embedder, &batch, vectors, &stats), INCISE_OK);
    assert_int_equal(stats.tokens, 3 + 4 + 4 + 4);
    assert_int_equal(stats.truncated, 0);
    assert_memory_equal(vectors + WIDTH, vectors + 2 * WIDTH, WIDTH * sizeof(float));
    batch.n = 0;
    assert_int_equal(incise_embedder_run(embedder, &batch, vectors, &stats), INCISE_OK);
    assert_int_equal(stats.tokens, 0);
    incise_embedder_destroy(embedder);
}

/* A copy of the tiny IR in a folder of its own, with the files that decide about prompts. */
static const char *model_with(const char *prompts, const char *pooling)
{
    static char folder[] = "prompts.model";
    char command[1024];
    snprintf(command, sizeof command, "rm -rf %s && mkdir -p %s/1_Pooling && cp %s/openvino_model.* %s", folder, folder,
             test_fixture_path("bert", NULL), folder);
    assert_int_equal(system(command), 0);
    const char *const files[][2] = {{"config_sentence_transformers.json", prompts}, {"1_Pooling/config.json", pooling}};
    for (int i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, files[i][0]);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(files[i][1], file);
        fclose(file);
    }
    return folder;
}

static void remove_model(const char *folder)
{
    char command[256];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static const char prompts[] = "{\"prompts\": {\"query\": \"run fast: \", \"passage\": \"the model \", \"empty\": null},"
                              " \"default_prompt_name\": \"query\"}";
static const char mean_pooling[] = "{\"pooling_mode_mean_tokens\": true}";

/* A prompt is text before the text. */
static void test_prompts(void **state)
{
    static const char *const cases[][2] = {{"query", "run fast: small"},
                                           {NULL, "run fast: small"},
                                           {"passage", "the model small"},
                                           {"document", "the model small"},
                                           {"empty", "small"}};
    const char *folder = model_with(prompts, mean_pooling), *prompt = NULL;
    struct incise_embed_options options = default_options();
    struct incise_embedder *embedder;
    struct incise_text_batch batch = {.texts = (const char *const[]){"small"}, .n = 1};
    float given[WIDTH], wanted[WIDTH];
    (void)state;
    assert_int_equal(incise_embedder_create(engine, folder, &options, &embedder), INCISE_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        batch.prompt = cases[i][0];
        assert_int_equal(incise_embedder_run(embedder, &batch, given, NULL), INCISE_OK);
        struct incise_text_batch joined = {.texts = &cases[i][1], .n = 1, .prompt = "empty"};
        assert_int_equal(incise_embedder_run(embedder, &joined, wanted, NULL), INCISE_OK);
        assert_memory_equal(given, wanted, sizeof given);
    }
    assert_int_equal(incise_embedder_prompt(embedder, "document", &prompt), INCISE_OK);
    assert_string_equal(prompt, "the model ");
    batch.prompt = "quarry";
    assert_int_equal(incise_embedder_run(embedder, &batch, given, NULL), INCISE_ERROR_USAGE);
    assert_non_null(strstr(log_text, "'quarry'"));
    assert_non_null(strstr(log_text, "query, document, passage, empty"));
    incise_embedder_destroy(embedder);

    options = default_options(); /* a model without the file has both names, and nothing behind them */
    assert_int_equal(create(&options, &embedder), INCISE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(incise_embedder_prompt(embedder, ((const char *[]){NULL, "query", "document"})[i], &prompt),
                         INCISE_OK);
        assert_string_equal(prompt, "");
    }
    assert_int_equal(incise_embedder_prompt(embedder, "passage", &prompt), INCISE_ERROR_USAGE);
    incise_embedder_destroy(embedder);
    remove_model(folder);
}

static void test_bad_prompts(void **state)
{
    static const char *const bad[] = {"{\"prompts\": [1]}", "{\"prompts\": {\"query\": 1}}",
                                      "{\"prompts\": {}, \"default_prompt_name\": \"query\"}",
                                      "{\"default_prompt_name\": 3}", "{\"prompts\""};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct incise_embed_options options = default_options();
        struct incise_embedder *embedder;
        const char *folder = model_with(bad[i], mean_pooling);
        assert_int_equal(incise_embedder_create(engine, folder, &options, &embedder), INCISE_ERROR_DATA);
        assert_non_null(strstr(log_text, "config_sentence_transformers.json"));
        remove_model(folder);
    }
}

/* include_prompt false: the vectors of [CLS] and of the prompt's tokens are not in the mean. */
static void test_prompt_left_out(void **state)
{
    const char *folder = model_with(prompts, "{\"pooling_mode_mean_tokens\": true, \"include_prompt\": false}");
    struct incise_embed_options options = default_options();
    struct incise_embedder *embedder;
    struct incise_text_batch batch = {.texts = (const char *const[]){"the small model"}, .n = 1, .prompt = "query"};
    float given[WIDTH], rows[32 * WIDTH];
    enum { PROMPT = 1 + 3 }; /* [CLS] run fast : */
    (void)state;
    options.normalize = 0;
    assert_int_equal(incise_embedder_create(engine, folder, &options, &embedder), INCISE_OK);
    assert_int_equal(incise_embedder_run(embedder, &batch, given, NULL), INCISE_OK);
    size_t n = token_vectors(incise_embedder_model(embedder), "run fast: the small model", rows);
    assert_true(n > PROMPT);
    for (size_t k = 0; k < WIDTH; k++) {
        double wanted = pooled("mean", rows + PROMPT * WIDTH, n - PROMPT, k);
        assert_true(fabs((double)given[k] - wanted) <= 1e-7 * (1 + fabs(wanted)));
    }
    incise_embedder_destroy(embedder);
    options.max_length = PROMPT; /* with [SEP] in the last place, nothing but the prompt is left */
    assert_int_equal(incise_embedder_create(engine, folder, &options, &embedder), INCISE_OK);
    assert_int_equal(incise_embedder_run(embedder, &batch, given, NULL), INCISE_ERROR_DATA);
    assert_non_null(strstr(log_text, "text 0: no tokens besides the prompt's"));
    incise_embedder_destroy(embedder);
    remove_model(folder);
}

/* "key=value;" of each property, in order. */
static void add_property(void *user, const char *key, const char *value)
{
    char *text = user;
    size_t length = strlen(text);
    snprintf(text + length, 2048 - length, "%s=%s;", key, value);
}

/* What decides the bits is told, and a change of any of it is seen. */
static void test_describe(void **state)
{
    struct incise_embed_options options = default_options();
    struct incise_embedder *embedder;
    const char *folder = model_with(prompts, mean_pooling);
    char first[2048] = "", other[2048] = "", wanted[256];
    (void)state;
    options.max_length = 32;
    assert_int_equal(incise_embedder_create(engine, folder, &options, &embedder), INCISE_OK);
    assert_int_equal(incise_embedder_describe(embedder, NULL, add_property, first), INCISE_OK);
    assert_int_equal(incise_embedder_describe(embedder, "none", add_property, other), INCISE_ERROR_USAGE);
    assert_string_equal(other, "");
    incise_embedder_destroy(embedder);
    snprintf(wanted, sizeof wanted, "isa=%s;compute=auto;max_length=32;prompt=run fast: ;pooling=mean;",
             incise_isa_name(incise_engine_isa(engine)));
    assert_ptr_equal(strstr(first, "incise="), first);
    assert_non_null(strstr(first, wanted));
    assert_non_null(strstr(first, "width=64;normalize=true;"));

    char path[256];
    snprintf(path, sizeof path, "%s/openvino_model.bin", folder);
    FILE *file = fopen(path, "r+b"); /* the lowest bit of a weight */
    assert_non_null(file);
    fseek(file, 40000, SEEK_SET);
    int byte = getc(file);
    fseek(file, 40000, SEEK_SET);
    putc(byte ^ 1, file);
    fclose(file);
    assert_int_equal(incise_embedder_create(engine, folder, &options, &embedder), INCISE_OK);
    assert_int_equal(incise_embedder_describe(embedder, NULL, add_property, other), INCISE_OK);
    incise_embedder_destroy(embedder);
    size_t same = 0;
    while (first[same] == other[same]) same++;
    const char *model = strstr(first, "model=");
    assert_int_equal(strspn(model + 6, "0123456789abcdef "), 32 + 1 + 32); /* .xml and .bin */
    assert_in_range(same, (size_t)(model - first) + 6 + 33, (size_t)(model - first) + 6 + 65);
    assert_string_equal(strstr(first, "tokenizer="), strstr(other, "tokenizer="));
    remove_model(folder);
}

static void test_misuse(void **state)
{
    struct incise_embed_options options = default_options();
    struct incise_embedder *embedder = NULL;
    const char *const bad[] = {"fine", "\xff"};
    struct incise_text_batch batch = {.texts = bad, .n = 2, .numbers = (const size_t[]){3, 101}};
    float vectors[2 * WIDTH];
    (void)state;
    options.pooling = "median";
    assert_int_equal(create(&options, &embedder), INCISE_ERROR_USAGE);
    options = default_options();
    options.dimensions = WIDTH + 1;
    assert_int_equal(create(&options, &embedder), INCISE_ERROR_USAGE);
    options = default_options();
    options.struct_size--;
    assert_int_equal(create(&options, &embedder), INCISE_ERROR_USAGE);
    assert_int_equal(create(NULL, &embedder), INCISE_ERROR_NO_INPUT); /* no tokenizer beside it */
    options = default_options();
    assert_int_equal(create(&options, &embedder), INCISE_OK);
    assert_non_null(strstr(log_text, "mean")); /* no 1_Pooling: said, not silent */
    assert_int_equal(incise_embedder_run(embedder, &batch, vectors, NULL), INCISE_ERROR_DATA);
    assert_non_null(strstr(log_text, "text 101: not UTF-8 at byte 0"));
    run(embedder, texts, TEXTS, (float[TEXTS * WIDTH]){0}); /* still usable */
    incise_embedder_destroy(embedder);
}

/* Every allocation of a run, and some of a creation, fails once. */
static void test_out_of_memory(void **state)
{
    struct incise_embed_options options = default_options();
    struct incise_embedder *embedder = NULL;
    struct incise_text_batch batch = {.texts = texts, .n = TEXTS};
    size_t n = 0;
    float vectors[TEXTS * WIDTH];
    enum incise_status status = INCISE_ERROR_MEMORY;
    (void)state;
    for (; status != INCISE_OK; n += 17) {
        test_fail_after(n);
        status = create(&options, &embedder);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
    }
    assert_true(n > 17);
    status = INCISE_ERROR_MEMORY;
    for (n = 0; status != INCISE_OK; n++) {
        test_fail_after(n);
        status = incise_embedder_run(embedder, &batch, vectors, NULL);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
    }
    assert_true(n > 5);
    incise_embedder_destroy(embedder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pooling),       cmocka_unit_test(test_batches_and_threads),
        cmocka_unit_test(test_lengths),       cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_bad_prompts),   cmocka_unit_test(test_prompt_left_out),
        cmocka_unit_test(test_describe),      cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
