/* SPDX-License-Identifier: Apache-2.0 */
/* Views: what reshapes, transposes, repeats and slices make of packed rows. */
#include <string.h>

#include "lower/view.h"
#include "support/support.h"

static struct inc_lowering lowering;
static struct inc_dim batch, length;

static int make_graph(void **state)
{
    (void)state;
    lowering.ctx = test_ctx();
    if (inc_graph_create(test_ctx(), &lowering.graph) != INCISE_OK) return 1;
    batch = lowering.batch = inc_dim_new(lowering.graph, INC_SYMBOL_INPUT, 0, -1);
    length = lowering.sequence = inc_dim_new(lowering.graph, INC_SYMBOL_INPUT, 0, -1);
    return 0;
}

static int drop_graph(void **state)
{
    (void)state;
    inc_graph_destroy(lowering.graph);
    return test_live_allocations() != 0;
}

/* 'B' batch, 'S' length, else channels given in order after the pattern: shape_of("BSc", 384). */
static struct inc_shape shape_of(const char *pattern, ...)
{
    struct inc_shape shape = {.rank = (int)strlen(pattern)};
    va_list args;
    va_start(args, pattern);
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i] = pattern[i] == 'B' ? batch : pattern[i] == 'S' ? length : inc_dim_const(va_arg(args, int));
    va_end(args);
    return shape;
}

static struct inc_view rows(int channels)
{
    struct inc_view view;
    struct inc_shape shape = shape_of("BSc", channels);
    int64_t width;
    assert_true(inc_view_of_shape(&lowering, &shape, &view, &width));
    assert_int_equal(width, channels);
    return view;
}

static void reshape(struct inc_view *view, struct inc_shape shape)
{
    assert_true(inc_view_reshape(&lowering, view, &shape, view));
}

static void expect_channel(const struct inc_view *view, int axis, int factor, int64_t size, int64_t stride)
{
    assert_true(factor < view->axes[axis].n);
    assert_int_equal(view->axes[axis].factors[factor].kind, INC_FACTOR_CHANNEL);
    assert_int_equal(view->axes[axis].factors[factor].size, size);
    assert_int_equal(view->axes[axis].factors[factor].stride, stride);
}

static void test_heads_and_back(void **state)
{
    const int64_t order[] = {0, 2, 1, 3};
    struct inc_view view = rows(384), start = view;
    int64_t width, inner;
    (void)state;
    reshape(&view, shape_of("BScc", 12, 32));
    assert_true(inc_view_transpose(&view, order, &view));
    expect_channel(&view, 1, 0, 12, 32);
    assert_int_equal(view.axes[2].factors[0].kind, INC_FACTOR_SEQUENCE);
    expect_channel(&view, 3, 0, 32, 1);
    assert_true(inc_view_groups(&view, &width, &inner));
    assert_int_equal(width, 384);
    assert_int_equal(inner, 32);
    assert_true(inc_view_transpose(&view, order, &view));
    reshape(&view, shape_of("BSc", 384));
    assert_true(inc_views_match(&view, &start));
}

static void test_transposed_heads_are_not_rows(void **state)
{
    const int64_t order[] = {0, 1, 3, 2};
    struct inc_view view = rows(384);
    struct inc_shape flat = shape_of("BSc", 384);
    int64_t width;
    (void)state;
    reshape(&view, shape_of("BScc", 12, 32));
    assert_true(inc_view_transpose(&view, order, &view)); /* [B, S, 32, 12]: the channels change their order */
    assert_false(inc_view_is_dense(&view, &width));
    reshape(&view, flat);
    assert_false(inc_view_is_dense(&view, &width));
    view = rows(384);
    const int64_t swap[] = {1, 0, 2};
    struct inc_shape tokens_first = shape_of("SBc", 384);
    assert_true(inc_view_transpose(&view, swap, &view));
    assert_false(inc_view_reshape(&lowering, &view, &flat, &view)); /* [S, B] read as [B, S] */
    reshape(&view, tokens_first);
}

/* Grouped heads repeated as the exporter writes it: [B, 2, S, 8] -> [B, 2, 1, S, 8] -> [B, 2, 3, S, 8] -> [B, 6, S, 8].
 */
static void test_repeated_heads(void **state)
{
    const int64_t order[] = {0, 2, 1, 3};
    struct inc_view view = rows(16);
    struct inc_shape repeated = shape_of("BccSc", 2, 3, 8);
    int64_t width;
    (void)state;
    reshape(&view, shape_of("BScc", 2, 8));
    assert_true(inc_view_transpose(&view, order, &view));
    reshape(&view, shape_of("BccSc", 2, 1, 8));
    assert_true(inc_view_broadcast(&lowering, &view, &repeated, &view));
    reshape(&view, shape_of("BcSc", 6, 8));
    assert_int_equal(view.axes[1].n, 2);
    expect_channel(&view, 1, 0, 2, 8);
    expect_channel(&view, 1, 1, 3, 0);
    assert_false(inc_view_is_dense(&view, &width));
}

static void test_slices(void **state)
{
    struct inc_view view = rows(96), part;
    int64_t width;
    (void)state;
    assert_true(inc_view_slice(&view, 2, 32, 32, &part));
    assert_int_equal(part.column, 32);
    assert_true(inc_view_is_dense(&part, &width));
    assert_int_equal(width, 32);
    assert_false(inc_view_slice(&view, 2, 80, 32, &part));
    assert_false(inc_view_slice(&view, 2, -1, 3, &part));
    assert_false(inc_view_slice(&view, 1, 0, 1, &part)); /* the length is no channel */
}

static void test_tokens_merged(void **state)
{
    struct inc_view view = rows(8);
    struct inc_shape merged = shape_of("cc", 1, 8);
    (void)state;
    merged.dims[0] = inc_dim_mul(lowering.graph, batch, length);
    reshape(&view, merged);
    assert_int_equal(view.axes[0].n, 2);
    reshape(&view, shape_of("BSc", 8));
    merged = shape_of("Bc", 8);
    assert_false(inc_view_reshape(&lowering, &view, &merged, &view));
}

/* A value without the batch axis lies in every row, so it matches; a channel never matches a repeated one. */
static void test_matching(void **state)
{
    struct inc_view full = rows(8), same, wide;
    struct inc_shape positions = shape_of("cSc", 1, 8), one = shape_of("BSc", 1);
    int64_t width;
    (void)state;
    assert_true(inc_view_of_shape(&lowering, &positions, &same, &width));
    assert_true(inc_views_match(&full, &same));
    assert_true(inc_view_of_shape(&lowering, &one, &wide, &width));
    assert_false(inc_views_match(&full, &wide));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_and_back), cmocka_unit_test(test_transposed_heads_are_not_rows),
        cmocka_unit_test(test_repeated_heads), cmocka_unit_test(test_slices),
        cmocka_unit_test(test_tokens_merged),  cmocka_unit_test(test_matching),
    };
    return cmocka_run_group_tests(tests, make_graph, drop_graph);
}
