/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quant/quantize.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "support/support.h"

/* Runs `body` for each kernel that this CPU has; says which are skipped. */
static void for_each_kernel(void (*body)(const struct inc_quantize_kernel *kernel))
{
    size_t n;
    const struct inc_quantize_kernel *kernels = inc_quantize_kernels(&n);
    for (size_t i = 0; i < n; i++)
        if (test_can_run(kernels[i].name, kernels[i].isa)) body(&kernels[i]);
}

/* The header's formula, from definitions. */
static int expected(float x, float inv_scale, int zero, int lo, int hi)
{
    const double r = rint((double)(x * inv_scale));
    const double q = r + zero;
    return q < lo ? lo : q > hi ? hi : (int)q;
}

static float top_of(const float *x, size_t k)
{
    float top = 0;
    for (size_t i = 0; i < k; i++) top = fmaxf(top, fabsf(x[i]));
    return top;
}

struct rows {
    size_t m, k, ldx, ldq;
    float *x, *scale;
    uint8_t *q;
};

static struct rows make_rows(size_t m, size_t k, size_t ldx_extra, size_t ldq_extra)
{
    struct rows rows = {.m = m, .k = k, .ldx = k + ldx_extra, .ldq = k + ldq_extra};
    rows.x = test_guarded_alloc(((m - 1) * rows.ldx + k) * sizeof(float), 1);
    rows.q = test_guarded_alloc(m * rows.ldq, 1);
    rows.scale = test_guarded_alloc(m * sizeof(float), 1);
    return rows;
}

static void free_rows(struct rows *rows)
{
    test_guarded_free(rows->x, ((rows->m - 1) * rows->ldx + rows->k) * sizeof(float), 1);
    test_guarded_free(rows->q, rows->m * rows->ldq, 1);
    test_guarded_free(rows->scale, rows->m * sizeof(float), 1);
}

static void fill(struct rows *rows, float size, uint64_t *state)
{
    for (size_t r = 0; r < rows->m; r++)
        for (size_t i = 0; i < rows->k; i++) rows->x[r * rows->ldx + i] = test_random_float(state, -size, size);
}

static void check_padding(const struct rows *rows, int zero)
{
    for (size_t r = 0; r < rows->m; r++)
        for (size_t i = rows->k; i < rows->ldq; i++) assert_int_equal(rows->q[r * rows->ldq + i], zero);
}

static void check_dynamic(const struct rows *rows)
{
    for (size_t r = 0; r < rows->m; r++) {
        const float *x = rows->x + r * rows->ldx;
        const float top = top_of(x, rows->k);
        assert_true(rows->scale[r] == top / 127.0f);
        for (size_t i = 0; i < rows->k; i++)
            assert_int_equal(rows->q[r * rows->ldq + i], expected(x[i], 127.0f / top, 128, 1, 255));
    }
    check_padding(rows, 128);
}

static void dynamic_sizes(const struct inc_quantize_kernel *kernel)
{
    uint64_t state = test_seed();
    for (size_t k = 1; k <= 140; k++) {
        struct rows rows = make_rows(1 + k % 9, k, k % 5, k % 67);
        fill(&rows, k & 1 ? 3e30f : 1e-3f, &state);
        kernel->rows(rows.m, k, rows.x, rows.ldx, rows.q, rows.ldq, rows.scale);
        check_dynamic(&rows);
        free_rows(&rows);
    }
}

/* Halves go to even; the largest value goes to +-127 whatever the rounding of 127 / top does. */
static void dynamic_values(const struct inc_quantize_kernel *kernel)
{
    struct rows rows = make_rows(1, 40, 0, 24);
    for (int i = 0; i < 40; i++) rows.x[i] = (float)(i - 20) + 0.5f;
    rows.x[39] = -127.0f;
    kernel->rows(1, 40, rows.x, 40, rows.q, rows.ldq, rows.scale);
    assert_true(rows.scale[0] == 1.0f);
    for (int i = 0; i < 39; i++) assert_int_equal(rows.q[i], 128 + ((i - 20) & 1 ? i - 19 : i - 20));
    assert_int_equal(rows.q[39], 1);
    uint64_t state = test_seed();
    for (int round = 0; round < 2000; round++) {
        const float top = ldexpf(test_random_float(&state, 1, 2), (int)test_random_below(&state, 240) - 119);
        for (int i = 0; i < 40; i++) rows.x[i] = i & 1 ? -top : top;
        kernel->rows(1, 40, rows.x, 40, rows.q, rows.ldq, rows.scale);
        for (int i = 0; i < 40; i++) assert_int_equal(rows.q[i], i & 1 ? 1 : 255);
    }
    free_rows(&rows);
}

static void dynamic_special(const struct inc_quantize_kernel *kernel)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    static const float small[] = {0.0f, -0.0f, FLT_TRUE_MIN, -0x1.fffffep-121f};
    struct rows rows = make_rows(3, 37, 1, 27);
    uint64_t state = test_seed();
    for (size_t place = 0; place < 37; place++) {
        for (size_t i = 0; i < 4; i++) {
            fill(&rows, 1, &state);
            for (size_t j = 0; j < 37; j++) rows.x[rows.ldx + j] = j == place ? small[i] : 0.0f;
            rows.x[2 * rows.ldx + place] = bad[i];
            kernel->rows(3, 37, rows.x, rows.ldx, rows.q, rows.ldq, rows.scale);
            assert_true(rows.scale[0] > 0 && rows.scale[1] == 0 && isnan(rows.scale[2]));
            for (size_t j = rows.ldq; j < 3 * rows.ldq; j++) assert_int_equal(rows.q[j], 128);
        }
    }
    free_rows(&rows);
}

static void static_grids(const struct inc_quantize_kernel *kernel)
{
    static const struct inc_quantize_grid grids[] = {
        {0.1f, 10.0f, 128, 0, 255}, {0.1f, 10.0f, 0, 0, 255}, {0.25f, 4.0f, 255, 1, 255}, {1.0f, 1.0f, 77, 50, 90}};
    uint64_t state = test_seed();
    for (size_t g = 0; g < 4; g++) {
        const struct inc_quantize_grid *grid = &grids[g];
        for (size_t k = 1; k <= 75; k++) {
            struct rows rows = make_rows(2, k, k % 4, k % 65);
            fill(&rows, 40, &state);
            rows.x[test_random_below(&state, k)] = k & 1 ? INFINITY : -INFINITY;
            rows.x[rows.ldx + test_random_below(&state, k)] = k % 3 ? 0.5f : NAN;
            kernel->fixed(2, k, rows.x, rows.ldx, grid, rows.q, rows.ldq, rows.scale);
            assert_true(rows.scale[0] == grid->scale);
            assert_true(k % 3 ? rows.scale[1] == grid->scale : isnan(rows.scale[1]));
            for (size_t r = 0; r < (k % 3 ? 2u : 1u); r++)
                for (size_t i = 0; i < k; i++)
                    assert_int_equal(rows.q[r * rows.ldq + i], expected(rows.x[r * rows.ldx + i], grid->inv_scale,
                                                                        grid->zero, grid->lo, grid->hi));
            check_padding(&rows, grid->zero);
            free_rows(&rows);
        }
    }
}

static void dequantize_sizes(const struct inc_quantize_kernel *kernel)
{
    uint64_t state = test_seed();
    for (size_t n = 1; n <= 70; n++) {
        int8_t *q = test_guarded_alloc(n, 1);
        float *x = test_guarded_alloc(n * sizeof *x, 1);
        for (size_t i = 0; i < n; i++) q[i] = (int8_t)((int)test_random_below(&state, 256) - 128);
        const float scale = test_random_float(&state, -2, 2);
        kernel->back(n, q, scale, x);
        for (size_t i = 0; i < n; i++) assert_true(x[i] == (float)q[i] * scale);
        test_guarded_free(q, n, 1);
        test_guarded_free(x, n * sizeof *x, 1);
    }
}

static void test_dequantize(void **unused)
{
    (void)unused;
    for_each_kernel(dequantize_sizes);
}

static void test_dynamic_sizes(void **unused)
{
    (void)unused;
    for_each_kernel(dynamic_sizes);
}

static void test_dynamic_values(void **unused)
{
    (void)unused;
    for_each_kernel(dynamic_values);
}

static void test_dynamic_special(void **unused)
{
    (void)unused;
    for_each_kernel(dynamic_special);
}

static void test_static(void **unused)
{
    (void)unused;
    for_each_kernel(static_grids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dynamic_sizes),
        cmocka_unit_test(test_dynamic_values),
        cmocka_unit_test(test_dynamic_special),
        cmocka_unit_test(test_static),
        cmocka_unit_test(test_dequantize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
