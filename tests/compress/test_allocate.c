/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of weights: one limit for all against brute force; lists of shares. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/allocate.h"
#include "support/small_graph.h"
#include "support/support.h"

/* Taking the cheapest elements one block at a time, whatever weight they are of, until the share is reached. */
static void the_cheapest_blocks_go(void **state)
{
    (void)state;
    enum { WEIGHTS = 4, MOST = 50 };
    uint64_t seed = test_seed();
    for (int round = 0; round < 50; round++) {
        double shares[WEIGHTS], all = 0, gone = 0;
        struct inc_removal removals[WEIGHTS][MOST];
        size_t taken[WEIGHTS] = {0};
        struct inc_trace traces[WEIGHTS];
        double share = 0.05 + 0.8 * (double)test_random_float(&seed, 0, 1), most = fmin(share + 0.2, 0.95);
        for (size_t w = 0; w < WEIGHTS; w++) {
            traces[w] = (struct inc_trace){removals[w], 20 + test_random_below(&seed, MOST - 20),
                                           (double)(1 + test_random_below(&seed, 8))};
            for (size_t k = 0; k < traces[w].n; k++)
                removals[w][k].loss = (k > 0 ? removals[w][k - 1].loss : 0) +
                                      (double)test_random_float(&seed, 0, 1) * (double)(w + 1);
            all += traces[w].elements * (double)traces[w].n;
        }
        inc_allocate_by_loss(traces, WEIGHTS, share, most, shares);
        while (gone < share * all) {
            size_t best = WEIGHTS;
            for (size_t w = 0; w < WEIGHTS; w++) {
                if (taken[w] == (size_t)floor(most * (double)traces[w].n)) continue;
                double cost = removals[w][taken[w]].loss / traces[w].elements;
                if (best == WEIGHTS || cost < removals[best][taken[best]].loss / traces[best].elements) best = w;
            }
            gone += traces[best].elements;
            taken[best]++;
        }
        for (size_t w = 0; w < WEIGHTS; w++) assert_int_equal(llround(shares[w] * (double)traces[w].n), taken[w]);
    }
}

static void nothing_and_equal_losses(void **state)
{
    (void)state;
    struct inc_removal equal[] = {{1, 0}, {1, 1}, {1, 2}, {1, 3}};
    const struct inc_trace traces[] = {{equal, 4, 1}, {equal, 4, 1}};
    double shares[2] = {9, 9};
    inc_allocate_by_loss(traces, 2, 0, 0.2, shares);
    assert_true(shares[0] == 0 && shares[1] == 0);
    inc_allocate_by_loss(traces, 2, 0.5, 0.75, shares);
    assert_true(shares[0] == 0.75 && shares[1] == 0.75); /* no more than most, whatever is equal */
}

static enum incise_status read_list(const struct inc_targets *targets, const char *text, double *shares)
{
    char path[] = "/tmp/incise-shares-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    for (size_t i = 0; i < targets->n; i++) shares[i] = 0.5;
    test_clear_error();
    enum incise_status status = inc_allocate_from_file(targets, path, shares);
    unlink(path);
    return status;
}

static void lists_name_layers(void **state)
{
    (void)state;
    const double values[4] = {1, 2, 3, 4};
    struct inc_graph *graph = small_graph();
    struct inc_targets targets;
    double shares[3];
    static const char *const names[] = {"a", "b layer", "c"};
    for (int i = 0; i < 3; i++)
        small_matmul(graph, names[i], small_constant(graph, NULL, INC_F32, DIMS2(2, 2), values), true);
    assert_int_equal(inc_targets_select(graph, false, NULL, NULL, &targets), INCISE_OK);
    assert_int_equal(read_list(&targets, "b layer\t0.25\n\nc\t0", shares), INCISE_OK);
    assert_true(shares[0] == 0.5 && shares[1] == 0.25 && shares[2] == 0);
    assert_int_equal(read_list(&targets, "", shares), INCISE_OK);
    assert_true(shares[2] == 0.5);
    assert_int_equal(read_list(&targets, "a\t0.1\nd\t0.2\n", shares), INCISE_ERROR_USAGE);
    assert_non_null(strstr(test_last_error(), ":2: there is no selected layer 'd'"));
    static const char *const broken[] = {"a 0.5", "a\t1", "a\t-0.1", "a\tx", "a\t", "a\tnan", "a\t0.5x"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_int_equal(read_list(&targets, broken[i], shares), INCISE_ERROR_DATA);
        assert_non_null(strstr(test_last_error(), ":1: "));
    }
    assert_int_equal(inc_allocate_from_file(&targets, "/nowhere/at/all", shares), INCISE_ERROR_NO_INPUT);
    inc_targets_release(&targets);
    inc_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cheapest_blocks_go),
        cmocka_unit_test(nothing_and_equal_losses),
        cmocka_unit_test(lists_name_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
