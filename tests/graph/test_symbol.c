/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "support/support.h"

static struct inc_graph *graph;

static int setup(void **state)
{
    (void)state;
    return inc_graph_create(test_ctx(), &graph) == INCISE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    test_fail_after(SIZE_MAX);
    inc_graph_destroy(graph);
    return test_live_allocations() == 0 ? 0 : -1;
}

static struct inc_dim input(void)
{
    return inc_dim_new(graph, INC_SYMBOL_INPUT, 0, -1);
}

static struct inc_dim c(int64_t value)
{
    return inc_dim_const(value);
}

static struct inc_dim add(struct inc_dim a, struct inc_dim b)
{
    return inc_dim_add(graph, a, b);
}

static struct inc_dim sub(struct inc_dim a, struct inc_dim b)
{
    return inc_dim_sub(graph, a, b);
}

static struct inc_dim mul(struct inc_dim a, struct inc_dim b)
{
    return inc_dim_mul(graph, a, b);
}

static struct inc_dim quotient(struct inc_dim a, struct inc_dim b)
{
    return inc_dim_div(graph, a, b);
}

static void check_text(struct inc_dim dim, const char *expected)
{
    char text[128];
    inc_dim_format(graph, dim, text, sizeof text);
    assert_string_equal(text, expected);
}

static void check_same(struct inc_dim a, struct inc_dim b)
{
    assert_true(inc_dim_valid(a));
    assert_true(inc_dim_equal(a, b));
}

static void test_constants(void **state)
{
    (void)state;
    check_same(add(c(3), c(4)), c(7));
    check_same(mul(c(-3), c(4)), c(-12));
    check_same(quotient(c(12), c(4)), c(3));
    assert_false(inc_dim_valid(mul(c(INT64_MAX), c(2))));
    assert_false(inc_dim_valid(add(c(INT64_MAX), c(1))));
    assert_false(inc_dim_valid(sub(c(0), c(INT64_MIN))));
    assert_int_equal(graph->n_symbols, 1); /* nothing was stored */
}

static void test_normal_form(void **state)
{
    (void)state;
    struct inc_dim a = input(), b = input();
    check_same(mul(mul(a, c(4)), c(2)), mul(a, c(8)));
    check_same(mul(a, b), mul(b, a));
    check_same(add(a, b), add(b, a));
    check_same(add(add(a, c(1)), c(-1)), a);
    check_same(add(a, a), mul(a, c(2)));
    check_same(sub(mul(a, c(3)), mul(a, c(3))), c(0));
    check_same(mul(a, c(0)), c(0));
    check_same(mul(a, c(1)), a);
    check_same(mul(add(a, c(1)), c(3)), add(mul(a, c(3)), c(3)));
    check_same(mul(add(a, b), add(a, b)), add(add(mul(a, a), mul(b, b)), mul(c(2), mul(a, b))));
    check_same(add(c(INT64_MAX), sub(a, c(INT64_MAX))), a);
}

static void test_division(void **state)
{
    (void)state;
    struct inc_dim a = input(), b = input();
    check_same(quotient(mul(a, c(12)), c(12)), a);
    check_same(quotient(mul(a, c(384)), c(12)), mul(a, c(32)));
    check_same(quotient(mul(mul(a, b), c(6)), mul(b, c(3))), mul(a, c(2)));
    check_same(quotient(add(mul(a, c(4)), c(8)), c(4)), add(a, c(2)));
    check_same(quotient(mul(add(a, b), c(6)), add(a, b)), c(6));
    check_same(quotient(a, a), c(1));
    check_same(quotient(c(0), a), c(0));
    struct inc_dim half = quotient(a, c(2));
    assert_int_equal(graph->symbols[half.symbol].kind, INC_SYMBOL_OPAQUE);
    check_same(quotient(a, c(2)), half); /* the same thing not followed is the same symbol */
    assert_false(inc_dim_equal(quotient(b, c(2)), half));
    assert_int_equal(inc_dim_min(graph, half), 0);
    assert_int_equal(graph->symbols[quotient(a, c(0)).symbol].kind, INC_SYMBOL_OPAQUE);
    assert_int_equal(graph->symbols[quotient(c(7), c(2)).symbol].kind, INC_SYMBOL_OPAQUE);
    assert_int_equal(graph->symbols[quotient(mul(a, c(INT64_MIN)), c(-1)).symbol].kind, INC_SYMBOL_OPAQUE);
}

static void test_format(void **state)
{
    (void)state;
    struct inc_dim a = input(), b = input();
    check_text(c(128), "128");
    check_text(c(-1), "-1");
    check_text(c(0), "0");
    check_text(a, "s1");
    check_text(mul(a, c(12)), "(s1*12)");
    check_text(mul(b, mul(a, c(12))), "(s1*s2*12)");
    check_text(add(add(c(1), mul(b, c(2))), a), "(s1+s2*2+1)");
    check_text(sub(a, c(5)), "(s1+-5)");
    char text[6];
    inc_dim_format(graph, mul(b, mul(a, c(12))), text, sizeof text);
    assert_string_equal(text, "(s1*s"); /* cut, terminated */
    char untouched = 'x';
    inc_dim_format(graph, a, &untouched, 0);
    assert_int_equal(untouched, 'x');
}

static void test_bounds(void **state)
{
    (void)state;
    struct inc_dim a = inc_dim_new(graph, INC_SYMBOL_INPUT, 3, 10), b = input();
    assert_int_equal(inc_dim_min(graph, add(mul(a, c(4)), c(1))), 13);
    assert_int_equal(inc_dim_min(graph, mul(a, b)), 0);
    assert_int_equal(inc_dim_min(graph, sub(a, b)), INT64_MIN);
    assert_int_equal(inc_dim_min(graph, sub(b, c(1))), -1);
    assert_int_equal(inc_dim_min(graph, mul(a, c(INT64_MAX))), INT64_MAX);
    assert_int_equal(inc_dim_min(graph, inc_dim_opaque(graph, 7, 0, INT64_MIN)), INT64_MIN);
}

static void test_opaque(void **state)
{
    (void)state;
    struct inc_dim first = inc_dim_opaque(graph, 7, 1, 0);
    check_same(inc_dim_opaque(graph, 7, 1, 0), first);
    assert_false(inc_dim_equal(inc_dim_opaque(graph, 7, 2, 0), first));
    assert_false(inc_dim_equal(inc_dim_opaque(graph, 8, 1, 0), first));
    assert_false(
        inc_dim_equal(inc_dim_new(graph, INC_SYMBOL_OPAQUE, 0, -1), inc_dim_new(graph, INC_SYMBOL_OPAQUE, 0, -1)));
}

/* What does not fit the normal form (too many terms or factors, coefficients that overflow) is opaque, and stays one
 * symbol; the number of symbols is bounded. */
static void test_too_big(void **state)
{
    (void)state;
    struct inc_dim sum = c(0), product = c(1), again = c(0);
    struct inc_dim inputs[40];
    for (int i = 0; i < 40; i++) inputs[i] = input();
    for (int i = 0; i < 40; i++) sum = add(sum, inputs[i]);
    for (int i = 0; i < 40; i++) product = mul(product, inputs[i]);
    for (int i = 0; i < 40; i++) again = add(again, inputs[i]);
    check_same(sum, again);
    assert_true(inc_dim_valid(product));
    assert_int_equal(inc_dim_min(graph, product), 0);
    struct inc_dim large = mul(inputs[0], c(INT64_MAX));
    assert_int_equal(graph->symbols[mul(large, c(2)).symbol].kind, INC_SYMBOL_OPAQUE);
    assert_int_equal(graph->symbols[add(large, large).symbol].kind, INC_SYMBOL_OPAQUE);
    struct inc_dim last = inputs[0];
    for (int64_t i = 2; i < 400000 && inc_dim_valid(last); i++) last = mul(inputs[0], c(i));
    assert_false(inc_dim_valid(last));
    assert_non_null(strstr(test_last_error(), "symbolic dimensions"));
    assert_false(inc_dim_valid(add(last, c(1))));
}

/* ---- random expressions against plain arithmetic --------------------------------------------------------------- */

enum { N_INPUTS = 3 };

/* The value of `dim` when input symbol i is values[i]: by walking the stored tree, opaque quotients divided. */
static int64_t evaluate(struct inc_dim dim, const int64_t *values)
{
    if (inc_dim_is_const(dim)) return dim.value;
    const struct inc_symbol *symbol = &graph->symbols[dim.symbol];
    if (symbol->kind == INC_SYMBOL_INPUT) return values[dim.symbol - 1];
    int64_t a = evaluate(symbol->a, values), b = evaluate(symbol->b, values);
    if (symbol->kind == INC_SYMBOL_ADD) return a + b;
    if (symbol->kind == INC_SYMBOL_MUL) return a * b;
    assert_int_equal(symbol->kind, INC_SYMBOL_OPAQUE);
    return symbol->of == '+' ? a + b : symbol->of == '*' ? a * b : b == 0 ? 0 : a / b;
}

static void test_random_expressions(void **state)
{
    (void)state;
    uint64_t random = test_seed();
    const int64_t values[N_INPUTS] = {5, 7, 11};
    struct inc_dim dims[N_INPUTS];
    for (int i = 0; i < N_INPUTS; i++) dims[i] = input();
    for (int round = 0; round < 3000; round++) {
        struct inc_dim dim = dims[test_random_below(&random, N_INPUTS)];
        int64_t value = evaluate(dim, values);
        for (int step = 0; step < 4; step++) {
            struct inc_dim other = dims[test_random_below(&random, N_INPUTS)];
            if (test_random_below(&random, 2)) other = c((int64_t)test_random_below(&random, 9) - 4);
            int64_t with = evaluate(other, values);
            switch (test_random_below(&random, 4)) {
            case 0: dim = add(dim, other), value += with; break;
            case 1: dim = sub(dim, other), value -= with; break;
            case 2: dim = mul(dim, other), value *= with; break;
            default:
                if (with == 0) break;
                /* multiplied first: the exact quotient must bring the same symbol back */
                check_same(quotient(mul(dim, other), other), dim);
            }
        }
        assert_int_equal(evaluate(dim, values), value);
    }
}

static void test_copy(void **state)
{
    (void)state;
    struct inc_dim a = input(), b = mul(a, c(8)), d = mul(add(a, c(1)), a);
    struct inc_graph *copy;
    assert_int_equal(inc_graph_clone(graph, &copy), INCISE_OK);
    check_same(inc_dim_mul(copy, a, c(8)), b); /* the copy finds the expressions again */
    check_same(inc_dim_add(copy, inc_dim_mul(copy, a, a), a), d);
    assert_int_equal(copy->n_symbols, graph->n_symbols);
    inc_graph_destroy(copy);
}

static void test_memory(void **state)
{
    (void)state;
    struct inc_dim a = input(), last = a;
    test_fail_after(3);
    for (int64_t i = 2; i < 100000 && inc_dim_valid(last); i++) last = mul(a, c(i));
    assert_false(inc_dim_valid(last));
    assert_false(inc_dim_valid(inc_dim_mul(graph, last, a)));
    assert_false(inc_dim_valid(inc_dim_div(graph, a, last)));
    assert_int_equal(inc_dim_min(graph, last), INT64_MIN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_constants), TEST(test_normal_form), TEST(test_division), TEST(test_format),
        TEST(test_bounds),    TEST(test_opaque),      TEST(test_too_big),  TEST(test_random_expressions),
        TEST(test_copy),      TEST(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
