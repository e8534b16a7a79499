/* SPDX-License-Identifier: Apache-2.0 */
/* The public API: several threads with a session each on one model get the bits of one thread alone; misuse is refused.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "incise/session.h"
#include "support/fixture.h"

#define CALLERS 4
#define RUNS    20
#define LENGTH  16

static struct incise_engine *engine;
static struct incise_model *model;

static int set_up(void **state)
{
    struct incise_engine_options options;
    (void)state;
    incise_engine_options_init(&options);
    options.threads = 3;
    if (incise_engine_create(&options, &engine) != INCISE_OK) return 1;
    return incise_model_load(engine, test_fixture_path("bert", NULL), NULL, &model) != INCISE_OK;
}

static int tear_down(void **state)
{
    (void)state;
    incise_model_destroy(model);
    incise_engine_destroy(engine);
    return 0;
}

/* Ids of caller `seed`; its last two tokens are padding. */
struct batch {
    int64_t values[3][LENGTH];
    struct incise_tensor inputs[3];
};

static void make_batch(struct batch *batch, int64_t seed)
{
    for (size_t i = 0; i < 3; i++) {
        struct incise_port port;
        incise_model_input(model, i, &port);
        for (int64_t j = 0; j < LENGTH; j++)
            batch->values[i][j] = strcmp(port.name, "input_ids") == 0        ? (seed * 7 + j * 3) % 50
                                  : strcmp(port.name, "attention_mask") == 0 ? j < LENGTH - 2
                                                                             : 0;
        batch->inputs[i] = (struct incise_tensor){.type = INCISE_I64,
                                                  .rank = 2,
                                                  .dims = {1, LENGTH},
                                                  .data = batch->values[i],
                                                  .bytes = sizeof batch->values[i]};
    }
}

struct caller {
    int64_t seed;
    float *expected;
    size_t bytes;
    int failures;
};

static void *caller_main(void *arg)
{
    struct caller *caller = arg;
    struct incise_session *session = NULL;
    struct incise_tensor output;
    struct batch batch;
    make_batch(&batch, caller->seed);
    caller->failures += incise_session_create(model, &session) != INCISE_OK;
    for (int i = 0; i < RUNS && caller->failures == 0; i++) {
        caller->failures += incise_session_run(session, batch.inputs, 3, &output, 1) != INCISE_OK;
        caller->failures += caller->failures == 0 && memcmp(output.data, caller->expected, caller->bytes) != 0;
    }
    incise_session_destroy(session);
    return NULL;
}

static void test_threads_share_a_model(void **state)
{
    struct incise_session *session = NULL;
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    (void)state;
    assert_int_equal(incise_session_create(model, &session), INCISE_OK);
    for (int64_t i = 0; i < CALLERS; i++) {
        struct batch batch;
        struct incise_tensor output;
        make_batch(&batch, i);
        assert_int_equal(incise_session_run(session, batch.inputs, 3, &output, 1), INCISE_OK);
        callers[i] = (struct caller){.seed = i, .expected = malloc(output.bytes), .bytes = output.bytes};
        assert_non_null(callers[i].expected);
        memcpy(callers[i].expected, output.data, output.bytes);
    }
    incise_session_destroy(session);
    for (int i = 0; i < CALLERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, caller_main, &callers[i]), 0);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].failures, 0);
        free(callers[i].expected);
    }
}

static void test_misuse(void **state)
{
    struct incise_session *session = NULL;
    struct incise_tensor output;
    struct incise_engine_options options = {0};
    struct incise_engine *other = NULL;
    struct incise_load_options load = {0};
    struct incise_model *none = NULL;
    struct batch batch;
    (void)state;
    make_batch(&batch, 1);
    assert_int_equal(incise_session_create(model, &session), INCISE_OK);
    assert_int_equal(incise_session_run(session, batch.inputs, 2, &output, 1), INCISE_ERROR_DATA);
    assert_int_equal(incise_session_run(session, batch.inputs, 3, &output, 2), INCISE_ERROR_USAGE);
    batch.inputs[0].bytes--;
    assert_int_equal(incise_session_run(session, batch.inputs, 3, &output, 1), INCISE_ERROR_DATA);
    batch.inputs[0].bytes++;
    batch.inputs[0].rank = 9;
    assert_int_equal(incise_session_run(session, batch.inputs, 3, &output, 1), INCISE_ERROR_DATA);
    batch.inputs[0].rank = 2;
    assert_int_equal(incise_session_run(session, batch.inputs, 3, &output, 1), INCISE_OK);
    incise_session_destroy(session);
    assert_int_equal(incise_engine_create(&options, &other), INCISE_ERROR_USAGE); /* not initialized */
    assert_int_equal(incise_model_load(engine, "nowhere", &load, &none), INCISE_ERROR_USAGE);
    assert_int_equal(incise_model_load(engine, "nowhere", NULL, &none), INCISE_ERROR_NO_INPUT);
    incise_engine_options_init(&options);
    options.isa = 99;
    assert_int_equal(incise_engine_create(&options, &other), INCISE_ERROR_USAGE);
    incise_engine_destroy(NULL);
    incise_model_destroy(NULL);
    incise_session_destroy(NULL);
}

/* A limit that no run fits: the estimate refuses before anything is allocated, and names the option. */
static void test_memory_limit(void **state)
{
    struct incise_engine_options options;
    struct incise_engine *small = NULL;
    struct incise_model *loaded = NULL;
    struct incise_session *session = NULL;
    struct incise_tensor output;
    struct batch batch;
    (void)state;
    make_batch(&batch, 1);
    incise_engine_options_init(&options);
    options.max_memory = 1000000;
    assert_int_equal(incise_engine_create(&options, &small), INCISE_OK);
    assert_int_equal(incise_model_load(small, test_fixture_path("bert", NULL), NULL, &loaded), INCISE_OK);
    assert_int_equal(incise_session_create(loaded, &session), INCISE_OK);
    assert_int_equal(incise_session_run(session, batch.inputs, 3, &output, 1), INCISE_OK);
    static int64_t large[4000 * LENGTH];
    for (size_t i = 0; i < 3; i++) {
        batch.inputs[i].data = large;
        batch.inputs[i].dims[0] = 4000;
        batch.inputs[i].bytes = sizeof large;
    }
    assert_int_equal(incise_session_run(session, batch.inputs, 3, &output, 1), INCISE_ERROR_MEMORY);
    incise_session_destroy(session);
    incise_model_destroy(loaded);
    incise_engine_destroy(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_share_a_model),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
