/* SPDX-License-Identifier: Apache-2.0 */
/* The helpers of the other tests do what they promise. */
#include "support/support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void errors_are_kept(void **state)
{
    (void)state;
    test_clear_error();
    assert_string_equal(test_last_error(), "");
    assert_int_equal(inc_fail(test_ctx(), INCISE_ERROR_DATA, "layer %d: bad", 17), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "layer 17: bad"));
    test_clear_error();
    assert_string_equal(test_last_error(), "");
}

static void allocations_are_counted_and_fail_on_demand(void **state)
{
    (void)state;
    const struct inc_ctx *ctx = test_ctx();
    size_t before = test_live_allocations();
    test_fail_after(2);
    void *a = inc_alloc(ctx, 1), *b = inc_alloc(ctx, 100), *c = inc_alloc(ctx, 1);
    test_fail_after(SIZE_MAX);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(c);
    assert_int_equal((uintptr_t)a % INC_ALIGN, 0);
    assert_int_equal((uintptr_t)b % INC_ALIGN, 0);
    assert_int_equal(test_live_allocations(), before + 2);
    inc_free(ctx, a);
    inc_free(ctx, b);
    assert_int_equal(test_live_allocations(), before);
}

static void random_numbers_repeat_and_stay_in_range(void **state)
{
    (void)state;
    uint64_t one = test_seed(), two = one;
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        float x = test_random_float(&one, -2.0f, 3.0f);
        assert_true(x >= -2.0f && x < 3.0f);
        assert_true(x == test_random_float(&two, -2.0f, 3.0f));
        assert_true(test_random_below(&one, 7) < 7);
        assert_true(test_random_below(&two, 7) < 7);
        sum += (double)x;
    }
    assert_true(sum / 1000 > 0 && sum / 1000 < 1);
}

/* Whether reading `at` kills a child process. */
static int read_is_fatal(const volatile unsigned char *at)
{
    pid_t pid = fork();
    if (pid == 0) {
        /* A sanitizer's own handler would print a report; die by the plain signal. */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        unsigned char byte = *at;
        _exit(byte == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status);
}

static void guard_pages_guard(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 63, 4096, 4097, 10000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int at_end = 0; at_end <= 1; at_end++) {
            unsigned char *memory = test_guarded_alloc(sizes[i], at_end);
            memset(memory, 0, sizes[i]);
            assert_int_equal(read_is_fatal(memory), 0);
            assert_true(read_is_fatal(at_end ? memory + sizes[i] : memory - 1));
            test_guarded_free(memory, sizes[i], at_end);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_kept),
        cmocka_unit_test(allocations_are_counted_and_fail_on_demand),
        cmocka_unit_test(random_numbers_repeat_and_stay_in_range),
        cmocka_unit_test(guard_pages_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
