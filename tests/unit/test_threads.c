/* SPDX-License-Identifier: Apache-2.0 */
/* The pool runs every item once, whatever the number of threads, callers and pauses between loops. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/threads.h"
#include "support/support.h"

#define ITEMS 1000

struct counts {
    atomic_int runs[ITEMS];
    atomic_uint worker_mask;
};

static void count_item(void *arg, size_t item, unsigned worker)
{
    struct counts *counts = arg;
    atomic_fetch_add(&counts->runs[item], 1);
    atomic_fetch_or(&counts->worker_mask, 1u << worker);
}

static void check_loop(struct inc_pool *pool, size_t items)
{
    struct counts counts;
    memset(&counts, 0, sizeof counts);
    inc_pool_run(pool, count_item, &counts, items);
    for (size_t i = 0; i < ITEMS; i++) assert_int_equal(atomic_load(&counts.runs[i]), i < items ? 1 : 0);
    assert_true(atomic_load(&counts.worker_mask) < 1u << inc_pool_threads(pool));
}

static void test_every_item_once(void **state)
{
    (void)state;
    check_loop(NULL, ITEMS);
    for (int threads = 1; threads <= 5; threads++) {
        struct inc_pool *pool = NULL;
        assert_int_equal(inc_pool_create(test_ctx(), threads, threads == 3, &pool), INCISE_OK);
        assert_int_equal(inc_pool_threads(pool), threads);
        for (size_t items = 0; items < 12; items++) check_loop(pool, items);
        usleep(1000); /* longer than the spin: the workers sleep */
        for (int i = 0; i < 50; i++) check_loop(pool, ITEMS);
        inc_pool_destroy(pool);
    }
}

static void *caller_main(void *arg)
{
    for (int i = 0; i < 100; i++) check_loop(arg, 100);
    return NULL;
}

static void test_callers_queue(void **state)
{
    (void)state;
    struct inc_pool *pool = NULL;
    pthread_t callers[4];
    assert_int_equal(inc_pool_create(test_ctx(), 3, false, &pool), INCISE_OK);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&callers[i], NULL, caller_main, pool), 0);
    for (int i = 0; i < 4; i++) pthread_join(callers[i], NULL);
    inc_pool_destroy(pool);
}

static void test_bad_counts(void **state)
{
    (void)state;
    struct inc_pool *pool = NULL;
    assert_int_equal(inc_pool_create(test_ctx(), 0, false, &pool), INCISE_ERROR_USAGE);
    assert_int_equal(inc_pool_create(test_ctx(), 100000, false, &pool), INCISE_ERROR_USAGE);
    assert_null(pool);
    for (size_t n = 0; n < 3; n++) {
        test_fail_after(n);
        enum incise_status status = inc_pool_create(test_ctx(), 2, false, &pool);
        test_fail_after(SIZE_MAX);
        assert_int_equal(status, n < 2 ? INCISE_ERROR_MEMORY : INCISE_OK);
    }
    inc_pool_destroy(pool);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once),
        cmocka_unit_test(test_callers_queue),
        cmocka_unit_test(test_bad_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
