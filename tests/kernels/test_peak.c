/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak.h"

#include "base/threads.h"
#include "support/support.h"

static void test_selection(void **state)
{
    (void)state;
    const enum incise_isa best = incise_isa_detect();
    for (enum incise_limit limit = INCISE_LIMIT_F32; limit < INCISE_LIMIT_READ; limit++)
        for (enum incise_isa isa = INCISE_ISA_SCALAR; isa <= best; isa++) {
            const struct inc_peak_kernel *kernel = inc_peak_select(limit, isa);
            assert_non_null(kernel);
            assert_int_equal(kernel->limit, limit);
            assert_true(kernel->isa <= isa);
            if (isa > INCISE_ISA_SCALAR)
                assert_true(kernel->isa >= inc_peak_select(limit, (enum incise_isa)(isa - 1))->isa);
        }
}

/* A loop that the compiler had taken away would claim more than eight of its instructions each cycle at 8 GHz. */
static void test_rates_are_possible(void **state)
{
    struct inc_pool *pool;
    size_t n;
    const struct inc_peak_kernel *kernels = inc_peak_kernels(&n);
    (void)state;
    assert_int_equal(inc_pool_create(test_ctx(), 2, false, &pool), INCISE_OK);
    for (size_t i = 0; i < n; i++) {
        if (kernels[i].isa > incise_isa_detect()) continue;
        const double most = kernels[i].operations / 12 * 8 * 8e9;
        const double one = inc_peak_measure(&kernels[i], NULL, 1e-3), two = inc_peak_measure(&kernels[i], pool, 1e-3);
        assert_true(one > 1e7 && one < most);
        assert_true(two > 1e7 && two < 2 * most);
    }
    inc_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_rates_are_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
