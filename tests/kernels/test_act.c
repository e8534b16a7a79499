/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/act/act.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "support/support.h"

#define PI 3.14159265358979323846

/* Exact value and the header's bound. */
struct exact {
    double value, bound;
};

static double largest(double a, double b)
{
    return a > b ? a : b;
}

static struct exact exact_relu(double x)
{
    return (struct exact){largest(x, 0), 0};
}

static struct exact exact_gelu_erf(double x)
{
    return (struct exact){x * 0.5 * erfc(-x / sqrt(2.0)), 3e-7 * largest(1, fabs(x))};
}

static struct exact exact_gelu_tanh(double x)
{
    return (struct exact){x / (1 + exp(-2 * sqrt(2 / PI) * (x + 0.044715 * x * x * x))), 3e-7 * largest(1, fabs(x))};
}

static struct exact exact_silu(double x)
{
    const double y = x / (1 + exp(-x));
    return (struct exact){y, x > -87 ? 4e-7 * fabs(y) + 0x1p-149 : 1e-36};
}

static struct exact exact_tanh(double x)
{
    return (struct exact){tanh(x), 3e-7 * fabs(tanh(x)) + 0x1p-149};
}

static struct exact exact_sigmoid(double x)
{
    const double y = 1 / (1 + exp(-x));
    return (struct exact){y, x > -87 ? 4e-7 * y : 1e-38};
}

static const struct {
    const char *name;
    struct exact (*exact)(double x);
} functions[] = {
    [INC_ACT_RELU] = {"relu", exact_relu},
    [INC_ACT_GELU_ERF] = {"gelu_erf", exact_gelu_erf},
    [INC_ACT_GELU_TANH] = {"gelu_tanh", exact_gelu_tanh},
    [INC_ACT_SILU] = {"silu", exact_silu},
    [INC_ACT_TANH] = {"tanh", exact_tanh},
    [INC_ACT_SIGMOID] = {"sigmoid", exact_sigmoid},
};
#define N_FUNCTIONS (sizeof functions / sizeof functions[0])

/* Runs `body` for each kernel that this CPU has; says which are skipped. */
static void for_each_kernel(void (*body)(const struct inc_act_kernel *kernel))
{
    size_t n;
    const struct inc_act_kernel *kernels = inc_act_kernels(&n);
    for (size_t i = 0; i < n; i++)
        if (test_can_run(kernels[i].name, kernels[i].isa)) body(&kernels[i]);
}

static bool same(float a, float b)
{
    return inc_f32_bits(a) == inc_f32_bits(b) || (isnan(a) && isnan(b));
}

/* Every 9973rd float, NaNs and infinities with them, and [-12, 12] densely. */
static size_t make_inputs(float **x)
{
    const size_t patterns = 0x100000000u / 9973 + 1, dense = 200000;
    *x = malloc((patterns + dense) * sizeof **x);
    assert_non_null(*x);
    for (size_t i = 0; i < patterns; i++) (*x)[i] = inc_f32_from_bits((uint32_t)(i * 9973));
    for (size_t i = 0; i < dense; i++) (*x)[patterns + i] = -12.0f + 24.0f * (float)i / (float)dense;
    return patterns + dense;
}

static void check_value(const char *kernel, size_t function, float x, float y)
{
    if (isnan(x)) {
        assert_true(isnan(y));
    } else if (isinf(x)) {
        if (function == INC_ACT_TANH || function == INC_ACT_SIGMOID || function == INC_ACT_RELU)
            assert_true((double)y == functions[function].exact((double)x).value);
    } else {
        const struct exact exact = functions[function].exact((double)x);
        if (!(fabs((double)y - exact.value) <= exact.bound))
            fail_msg("%s %s(%.9g) = %.9g, expected %.12g", kernel, functions[function].name, (double)x, (double)y,
                     exact.value);
    }
}

/* The scalar kernel keeps its bounds, and the others give its bits. */
static void test_values(void **unused)
{
    (void)unused;
    size_t n_kernels;
    const struct inc_act_kernel *kernels = inc_act_kernels(&n_kernels);
    float *x;
    const size_t n = make_inputs(&x);
    float *want = malloc(n * sizeof *want), *y = malloc(n * sizeof *y);
    assert_true(want && y);
    for (size_t f = 0; f < N_FUNCTIONS; f++) {
        kernels[0].apply((enum inc_act)f, 1, n, x, n, want, n);
        for (size_t i = 0; i < n; i++) check_value(kernels[0].name, f, x[i], want[i]);
        for (size_t k = 1; k < n_kernels; k++) {
            if (kernels[k].isa > incise_isa_detect()) continue;
            kernels[k].apply((enum inc_act)f, 1, n, x, n, y, n);
            for (size_t i = 0; i < n; i++) {
                if (!same(y[i], want[i]))
                    fail_msg("%s %s(%a) = %a, the scalar kernel gives %a", kernels[k].name, functions[f].name,
                             (double)x[i], (double)y[i], (double)want[i]);
            }
        }
    }
    free(x), free(want), free(y);
}

struct rows {
    size_t m, n, ldx, ldu, ldy;
    float *x, *u, *y;
};

static struct rows make_rows(size_t n, uint64_t *state)
{
    struct rows rows = {.m = 1 + n % 3, .n = n, .ldx = n + n % 4, .ldu = n + n % 5, .ldy = n + n % 2};
    rows.x = test_guarded_alloc(((rows.m - 1) * rows.ldx + n) * sizeof(float), 1);
    rows.u = test_guarded_alloc(((rows.m - 1) * rows.ldu + n) * sizeof(float), 1);
    rows.y = test_guarded_alloc(((rows.m - 1) * rows.ldy + n) * sizeof(float), 1);
    for (size_t i = 0; i < (rows.m - 1) * rows.ldx + n; i++) rows.x[i] = test_random_float(state, -6, 6);
    for (size_t i = 0; i < (rows.m - 1) * rows.ldu + n; i++) rows.u[i] = test_random_float(state, -6, 6);
    for (size_t i = 0; i < (rows.m - 1) * rows.ldy + n; i++) rows.y[i] = 777.0f;
    return rows;
}

static void free_rows(struct rows *rows)
{
    test_guarded_free(rows->x, ((rows->m - 1) * rows->ldx + rows->n) * sizeof(float), 1);
    test_guarded_free(rows->u, ((rows->m - 1) * rows->ldu + rows->n) * sizeof(float), 1);
    test_guarded_free(rows->y, ((rows->m - 1) * rows->ldy + rows->n) * sizeof(float), 1);
}

/* y of every row equals want(x, u); what lies between rows is untouched. */
#define CHECK_ROWS(want_of_x_u)                                                                       \
    for (size_t r = 0; r < rows.m; r++) {                                                             \
        for (size_t i = 0; i < n; i++) {                                                              \
            const float x = rows.x[r * rows.ldx + i], u = rows.u[r * rows.ldu + i];                   \
            (void)x, (void)u;                                                                         \
            assert_true(rows.y[r * rows.ldy + i] == (want_of_x_u));                                   \
        }                                                                                             \
        if (rows.ldy > n && r + 1 < rows.m) assert_true(rows.y[r * rows.ldy + n] == 777.0f);          \
    }

static float one(const struct inc_act_kernel *kernel, size_t function, float x)
{
    float y;
    kernel->apply((enum inc_act)function, 1, 1, &x, 1, &y, 1);
    return y;
}

static void check_rows(const struct inc_act_kernel *kernel)
{
    uint64_t state = test_seed();
    for (size_t n = 1; n <= 67; n++) {
        struct rows rows = make_rows(n, &state);
        const size_t f = n % N_FUNCTIONS;
        kernel->apply((enum inc_act)f, rows.m, n, rows.x, rows.ldx, rows.y, rows.ldy);
        CHECK_ROWS(one(kernel, f, x))
        kernel->gated((enum inc_act)f, rows.m, n, rows.x, rows.ldx, rows.u, rows.ldu, rows.y, rows.ldy);
        CHECK_ROWS(one(kernel, f, x) * u)
        kernel->add(rows.m, n, rows.x, rows.ldx, rows.u, rows.ldu, rows.y, rows.ldy);
        CHECK_ROWS(x + u)
        kernel->scale(rows.m, n, 1.7f, rows.x, rows.ldx, rows.y, rows.ldy);
        CHECK_ROWS(1.7f * x)
        memcpy(rows.y, rows.x, n * sizeof(float));
        kernel->add(1, n, rows.y, n, rows.u, n, rows.y, n); /* in place */
        for (size_t i = 0; i < n; i++) assert_true(rows.y[i] == rows.x[i] + rows.u[i]);
        free_rows(&rows);
    }
}

static void test_rows(void **unused)
{
    (void)unused;
    for_each_kernel(check_rows);
}

/* Heads of even sizes, in place too; tables and rows end where memory does. */
static void check_rope(const struct inc_act_kernel *kernel)
{
    uint64_t state = test_seed();
    for (size_t d = 2; d <= 68; d += 2) {
        const size_t heads = 1 + d % 3, n = heads * d, half = d / 2, row = n * sizeof(float), table = d * sizeof(float);
        float *x = test_guarded_alloc(row, 1), *y = test_guarded_alloc(row, 1);
        float *cosine = test_guarded_alloc(table, 1), *sine = test_guarded_alloc(table, 1);
        for (size_t i = 0; i < n; i++) x[i] = test_random_float(&state, -6, 6);
        for (size_t i = 0; i < d; i++) cosine[i] = test_random_float(&state, -1, 1);
        for (size_t i = 0; i < d; i++) sine[i] = test_random_float(&state, -1, 1);
        kernel->rope(heads, d, x, cosine, sine, y);
        for (size_t i = 0; i < n; i++) {
            const size_t at = i % d;
            const float other = at < half ? -x[i + half] : x[i - half];
            assert_true(y[i] == fmaf(other, sine[at], x[i] * cosine[at]));
        }
        kernel->rope(heads, d, x, cosine, sine, x);
        assert_memory_equal(x, y, row);
        test_guarded_free(x, row, 1), test_guarded_free(y, row, 1);
        test_guarded_free(cosine, table, 1), test_guarded_free(sine, table, 1);
    }
}

static void test_rope(void **unused)
{
    (void)unused;
    for_each_kernel(check_rope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_rope)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
