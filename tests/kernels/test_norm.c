/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm/norm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* Runs `body` for each kernel that this CPU has; says which are skipped. */
static void for_each_kernel(void (*body)(const struct inc_norm_kernel *kernel))
{
    size_t n;
    const struct inc_norm_kernel *kernels = inc_norm_kernels(&n);
    for (size_t i = 0; i < n; i++)
        if (test_can_run(kernels[i].name, kernels[i].isa)) body(&kernels[i]);
}

/* Guarded floats, all set to 777 so that what a kernel must not touch can be checked. */
static float *make_floats(size_t n)
{
    float *x = test_guarded_alloc(n * sizeof *x, 1);
    for (size_t i = 0; i < n; i++) x[i] = 777.0f;
    return x;
}

static void free_floats(float *x, size_t n)
{
    test_guarded_free(x, n * sizeof *x, 1);
}

static void fill(float *x, size_t n, double mean, double deviation, uint64_t *state)
{
    for (size_t i = 0; i < n; i++) {
        double sum = -6; /* twelve uniforms: variance 1 */
        for (int j = 0; j < 12; j++) sum += (double)test_random_float(state, 0, 1);
        x[i] = (float)(mean + deviation * sum);
    }
}

struct row {
    size_t d;
    const float *x, *gamma, *beta;
    double eps;
};

/* The header's bounds, around a reference in long double. */
static void check_row(const struct row *row, bool centred, const float *y)
{
    long double mean = 0, squares = 0;
    for (size_t i = 0; centred && i < row->d; i++) mean += row->x[i];
    mean /= (long double)row->d;
    for (size_t i = 0; i < row->d; i++) squares += (row->x[i] - mean) * (row->x[i] - mean);
    const long double factor = 1 / sqrtl(squares / (long double)row->d + row->eps);
    for (size_t i = 0; i < row->d; i++) {
        const double normal = (double)((row->x[i] - mean) * factor);
        const double gamma = row->gamma ? (double)row->gamma[i] : 1.0, beta = row->beta ? (double)row->beta[i] : 0.0;
        const double want = normal * gamma + beta;
        const double bound = 2e-6 * fabs(gamma) * (centred ? 1 + fabs(normal) : fabs(normal)) + 1.2e-7 * fabs(want);
        if (!(fabs((double)y[i] - want) <= bound))
            fail_msg("d=%zu: y[%zu] = %.9g, expected %.12g", row->d, i, (double)y[i], want);
    }
}

static void layer_case(const struct inc_norm_kernel *kernel, size_t d, double mean, double deviation, unsigned options,
                       uint64_t *state)
{
    const size_t m = 3, ldx = d + options % 5, ldy = d + options % 3;
    float *x = make_floats(2 * ldx + d), *y = make_floats(2 * ldy + d), *gamma = make_floats(d), *beta = make_floats(d);
    for (size_t r = 0; r < m; r++) fill(x + r * ldx, d, mean, deviation, state);
    fill(gamma, d, 1, 0.5, state);
    fill(beta, d, 0, 1, state);
    const float eps = 1e-6f;
    const struct row row = {d, x, options & 1 ? gamma : NULL, options & 2 ? beta : NULL, (double)eps};
    kernel->layer(m, d, x, ldx, row.gamma, row.beta, eps, y, ldy);
    for (size_t r = 0; r < m; r++) {
        struct row one = row;
        one.x = x + r * ldx;
        check_row(&one, true, y + r * ldy);
        for (size_t i = d; i < ldy && r + 1 < m; i++) assert_true(y[r * ldy + i] == 777.0f);
    }
    kernel->layer(1, d, x + ldx, ldx, row.gamma, row.beta, eps, x + ldx, ldx); /* in place, alone: the same bits */
    assert_memory_equal(x + ldx, y + ldy, d * sizeof *x);
    free_floats(x, 2 * ldx + d), free_floats(y, 2 * ldy + d), free_floats(gamma, d), free_floats(beta, d);
}

static void layer_sizes(const struct inc_norm_kernel *kernel)
{
    uint64_t state = test_seed();
    for (size_t d = 1; d <= 140; d++) layer_case(kernel, d, 0.3, 2, (unsigned)d, &state);
    layer_case(kernel, 768, 0, 1, 3, &state);
    layer_case(kernel, 4099, -5, 3, 3, &state);
}

static void layer_hard(const struct inc_norm_kernel *kernel)
{
    static const double means[] = {0, 1e4, -1e4, 3e6};
    uint64_t state = test_seed();
    for (size_t i = 0; i < 4; i++) {
        layer_case(kernel, 768, means[i], i == 3 ? 300 : 1, 3, &state);
        layer_case(kernel, 65536, means[i], i == 3 ? 300 : 1, 0, &state);
    }
}

/* A constant row is 0 (times gamma) + beta; one outlier must not spoil the rest. */
static void layer_special(const struct inc_norm_kernel *kernel)
{
    float x[50], y[50];
    for (int i = 0; i < 50; i++) x[i] = 1234.567f;
    kernel->layer(1, 50, x, 50, NULL, NULL, 1e-5f, y, 50);
    for (int i = 0; i < 50; i++) assert_true(fabsf(y[i]) < 1e-6f);
    x[7] = -3e5f;
    kernel->layer(1, 50, x, 50, NULL, NULL, 1e-5f, y, 50);
    check_row(&(struct row){50, x, NULL, NULL, 1e-5}, true, y);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int place = 0; place < 50; place += 7) {
        for (int b = 0; b < 3; b++) {
            x[7] = 1;
            x[place] = bad[b];
            kernel->layer(1, 50, x, 50, NULL, NULL, 1e-5f, y, 50);
            for (int i = 0; i < 50; i++) assert_true(isnan(y[i]));
            x[place] = 2;
        }
    }
}

/* options: 1 gamma, 2 residual; strides depend on them, too */
static void rms_case(const struct inc_norm_kernel *kernel, size_t groups, size_t d, double size, unsigned options,
                     uint64_t *state)
{
    const size_t m = 3 + options % 4, ldx = groups * d + options % 5, ldy = groups * d + options % 3;
    const size_t n_x = (m - 1) * ldx + groups * d, n_y = (m - 1) * ldy + groups * d;
    float *x = make_floats(n_x), *y = make_floats(n_y), *gamma = make_floats(d), *residual = make_floats(n_x);
    for (size_t r = 0; r < m; r++) fill(x + r * ldx, groups * d, size / 3, size, state);
    for (size_t r = 0; r < m; r++) fill(residual + r * ldx, groups * d, 0, 3, state);
    fill(gamma, d, 1, 0.5, state);
    const float eps = 1e-6f, *gain = options & 1 ? gamma : NULL, *add = options & 2 ? residual : NULL;
    kernel->rms(m, groups, d, x, ldx, gain, eps, add, ldx, y, ldy);
    for (size_t r = 0; r < m; r++) {
        for (size_t g = 0; g < groups; g++)
            check_row(&(struct row){d, x + r * ldx + g * d, gain, add ? add + r * ldx + g * d : NULL, (double)eps},
                      false, y + r * ldy + g * d);
        for (size_t i = groups * d; i < ldy && r + 1 < m; i++) assert_true(y[r * ldy + i] == 777.0f);
    }
    kernel->rms(1, groups, d, x + ldx, ldx, gain, eps, add ? add + ldx : NULL, ldx, x + ldx, ldx);
    assert_memory_equal(x + ldx, y + ldy, groups * d * sizeof *x);
    kernel->rms(1, groups, d, x, ldx, gain, eps, add, ldx, residual, ldx);
    assert_memory_equal(residual, y, groups * d * sizeof *x);
    free_floats(x, n_x), free_floats(y, n_y), free_floats(gamma, d), free_floats(residual, n_x);
}

static void rms_sizes(const struct inc_norm_kernel *kernel)
{
    static const double sizes[] = {1, 1e-3, 1e15, 1e-15};
    uint64_t state = test_seed();
    for (size_t d = 1; d <= 140; d++) rms_case(kernel, 1 + d % 3, d, sizes[d % 4], (unsigned)d, &state);
    rms_case(kernel, 3, 256, 5, 1, &state);
    rms_case(kernel, 1, 768, 5, 1, &state);
    rms_case(kernel, 1, 768, 5, 3, &state);
    rms_case(kernel, 1, 65536, 5, 1, &state);
}

static void rms_special(const struct inc_norm_kernel *kernel)
{
    float x[37] = {0}, y[37];
    kernel->rms(1, 1, 37, x, 37, NULL, 1e-6f, NULL, 0, y, 37);
    for (int i = 0; i < 37; i++) assert_true(y[i] == 0.0f);
    for (int place = 0; place < 37; place += 6) {
        x[place] = NAN;
        kernel->rms(1, 1, 37, x, 37, NULL, 1e-6f, NULL, 0, y, 37);
        for (int i = 0; i < 37; i++) assert_true(isnan(y[i]));
        x[place] = INFINITY;
        kernel->rms(1, 1, 37, x, 37, NULL, 1e-6f, NULL, 0, y, 37);
        for (int i = 0; i < 37; i++) assert_true(i == place ? isnan(y[i]) : y[i] == 0.0f || isnan(y[i]));
        x[place] = 1;
    }
}

static void check_l2(size_t d, const float *x, double least, double added, const float *y)
{
    long double squares = 0;
    for (size_t i = 0; i < d; i++) squares += (long double)x[i] * (long double)x[i];
    const double divisor = (double)sqrtl(fmaxl(squares, (long double)least) + (long double)added);
    for (size_t i = 0; i < d; i++) {
        const double want = (double)x[i] / divisor;
        if (!(fabs((double)y[i] - want) <= 2e-6 * fabs(want)))
            fail_msg("d=%zu: y[%zu] = %.9g, expected %.12g", d, i, (double)y[i], want);
    }
}

static void l2_case(const struct inc_norm_kernel *kernel, size_t d, double size, double least, double added,
                    uint64_t *state)
{
    const size_t m = 3, ldx = d + 4, ldy = d + d % 3;
    float *x = make_floats(2 * ldx + d), *y = make_floats(2 * ldy + d);
    for (size_t r = 0; r < m; r++) fill(x + r * ldx, d, size / 3, size, state);
    kernel->l2(m, d, x, ldx, least, added, y, ldy);
    for (size_t r = 0; r < m; r++) {
        check_l2(d, x + r * ldx, least, added, y + r * ldy);
        for (size_t i = d; i < ldy && r + 1 < m; i++) assert_true(y[r * ldy + i] == 777.0f);
    }
    kernel->l2(1, d, x + ldx, ldx, least, added, x + ldx, ldx);
    assert_memory_equal(x + ldx, y + ldy, d * sizeof *x);
    free_floats(x, 2 * ldx + d), free_floats(y, 2 * ldy + d);
}

static void l2_sizes(const struct inc_norm_kernel *kernel)
{
    static const double sizes[] = {1, 1e-3, 1e15, 1e-15};
    uint64_t state = test_seed();
    for (size_t d = 1; d <= 140; d++) {
        l2_case(kernel, d, sizes[d % 4], 0, 0, &state);
        l2_case(kernel, d, 1, (double)d, 0, &state); /* about as large as the sum: one or the other holds */
        l2_case(kernel, d, 1, 0, (double)d, &state);
    }
    l2_case(kernel, 768, 5, 1e-24, 0, &state);
    l2_case(kernel, 65536, 5, 0, 0, &state);
}

static void l2_special(const struct inc_norm_kernel *kernel)
{
    float x[37] = {0}, y[37];
    kernel->l2(1, 37, x, 37, 1e-24, 0, y, 37);
    for (int i = 0; i < 37; i++) assert_true(y[i] == 0.0f);
    kernel->l2(1, 37, x, 37, 0, 0, y, 37);
    for (int i = 0; i < 37; i++) assert_true(isnan(y[i])); /* 0 / 0 */
    for (int place = 0; place < 37; place += 6) {
        x[place] = NAN;
        kernel->l2(1, 37, x, 37, 1e-24, 0, y, 37);
        for (int i = 0; i < 37; i++) assert_true(isnan(y[i]));
        x[place] = 1;
    }
}

static void test_layer_sizes(void **unused)
{
    (void)unused;
    for_each_kernel(layer_sizes);
}

static void test_layer_hard(void **unused)
{
    (void)unused;
    for_each_kernel(layer_hard);
}

static void test_layer_special(void **unused)
{
    (void)unused;
    for_each_kernel(layer_special);
}

static void test_rms_sizes(void **unused)
{
    (void)unused;
    for_each_kernel(rms_sizes);
}

static void test_rms_special(void **unused)
{
    (void)unused;
    for_each_kernel(rms_special);
}

static void test_l2_sizes(void **unused)
{
    (void)unused;
    for_each_kernel(l2_sizes);
}

static void test_l2_special(void **unused)
{
    (void)unused;
    for_each_kernel(l2_special);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_sizes), cmocka_unit_test(test_layer_hard),  cmocka_unit_test(test_layer_special),
        cmocka_unit_test(test_rms_sizes),   cmocka_unit_test(test_rms_special), cmocka_unit_test(test_l2_sizes),
        cmocka_unit_test(test_l2_special),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
