/* SPDX-License-Identifier: Apache-2.0 */
/* Offline algebra against plain loops. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/linalg.h"
#include "compress/moments.h"
#include "support/support.h"

static double *random_matrix(uint64_t *seed, size_t n)
{
    double *a = malloc(n * sizeof *a);
    assert_non_null(a);
    for (size_t i = 0; i < n; i++) a[i] = (double)test_random_float(seed, -1, 1);
    return a;
}

static float *random_floats(uint64_t *seed, size_t n)
{
    float *a = malloc(n * sizeof *a);
    assert_non_null(a);
    for (size_t i = 0; i < n; i++) a[i] = test_random_float(seed, -1, 1);
    return a;
}

/* A A^T + I: positive definite. */
static double *random_positive(uint64_t *seed, size_t n)
{
    double *a = random_matrix(seed, n * n), *out = calloc(n * n, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            for (size_t k = 0; k < n; k++) out[i * n + j] += a[i * n + k] * a[j * n + k];
            out[i * n + j] += i == j;
        }
    free(a);
    return out;
}

/* Every sum within its rounding: float products over at most 1024 rows at a time. */
static void products_are_sums(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1}, {7, 3, 5}, {1025, 130, 200}, {2500, 128, 129}, {0, 4, 4}};
    struct inc_pool *pool;
    uint64_t seed = test_seed();
    inc_linalg_begin(test_ctx());
    assert_int_equal(inc_pool_create(test_ctx(), 2, false, &pool), INCISE_OK);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t n = sizes[s][0], left = sizes[s][1], right = sizes[s][2], lda = left + 3, ldb = right + 1;
        float *a = random_floats(&seed, n * lda + 1), *b = random_floats(&seed, n * ldb + 1);
        double *out = calloc(left * right, sizeof *out);
        for (int times = 0; times < 2; times++)
            inc_linalg_add_products(pool, n, a, lda, left, b, ldb, right, false, out);
        for (size_t i = 0; i < left; i++)
            for (size_t j = 0; j < right; j++) {
                double sum = 0, absolute = 0;
                for (size_t t = 0; t < n; t++) {
                    sum += (double)a[t * lda + i] * (double)b[t * ldb + j];
                    absolute += fabs((double)a[t * lda + i] * (double)b[t * ldb + j]);
                }
                assert_true(fabs(out[i * right + j] - 2 * sum) <= 2 * absolute * 1025 * 0x1p-24);
            }
        free(out);
        free(a);
        free(b);
    }
    inc_pool_destroy(pool);
}

static void a_lower_triangle_mirrors(void **state)
{
    (void)state;
    enum { N = 40, WIDTH = 150 };
    uint64_t seed = test_seed();
    float *a = random_floats(&seed, N * WIDTH);
    double *whole = calloc(WIDTH * WIDTH, sizeof *whole), *half = calloc(WIDTH * WIDTH, sizeof *half);
    inc_linalg_add_products(NULL, N, a, WIDTH, WIDTH, a, WIDTH, WIDTH, false, whole);
    inc_linalg_add_products(NULL, N, a, WIDTH, WIDTH, a, WIDTH, WIDTH, true, half);
    inc_linalg_mirror(WIDTH, half);
    for (size_t i = 0; i < WIDTH * WIDTH; i++) assert_true(fabs(whole[i] - half[i]) <= N * N * 0x1p-24);
    free(whole);
    free(half);
    free(a);
}

static void factors_solve_and_invert(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    inc_linalg_begin(test_ctx());
    for (size_t n = 1; n <= 60; n += 13) {
        enum { M = 5 };
        double *a = random_positive(&seed, n), *l = malloc(n * n * sizeof *l), *inverse = malloc(n * n * sizeof *l);
        double *b = random_matrix(&seed, M * n), *x = malloc(M * n * sizeof *x), *half = malloc(M * n * sizeof *x);
        for (size_t i = 0; i < n * n; i++) l[i] = inverse[i] = a[i];
        for (size_t i = 0; i < M * n; i++) x[i] = half[i] = b[i];
        assert_true(inc_linalg_cholesky(n, l, n));
        assert_true(inc_linalg_invert(n, inverse));
        inc_linalg_solve_rows(n, l, n, M, x, n);
        inc_linalg_divide_rows(n, l, n, M, half, n);
        for (size_t r = 0; r < M; r++)
            for (size_t i = 0; i < n; i++) {
                double product = 0, by_inverse = 0, by_factor = 0;
                for (size_t k = 0; k < n; k++) {
                    product += x[r * n + k] * a[k * n + i];
                    by_inverse += b[r * n + k] * inverse[k * n + i];
                    if (k <= i) by_factor += half[r * n + k] * l[i * n + k]; /* half L^T */
                }
                assert_true(fabs(product - b[r * n + i]) < 1e-9);
                assert_true(fabs(by_inverse - x[r * n + i]) < 1e-9);
                assert_true(fabs(by_factor - b[r * n + i]) < 1e-9);
            }
        double c[M * M] = {0};
        inc_linalg_multiply_transposed(M, M, n, -1, b, n, b, n, c, M);
        for (size_t r = 0; r < M; r++)
            for (size_t q = 0; q < M; q++) {
                double sum = 0;
                for (size_t k = 0; k < n; k++) sum -= b[r * n + k] * b[q * n + k];
                assert_true(fabs(sum - c[r * M + q]) < 1e-12);
            }
        free(a), free(l), free(inverse), free(b), free(x), free(half);
    }
}

static void an_indefinite_matrix_is_refused(void **state)
{
    (void)state;
    double zero[4] = {0, 0, 0, 0}, negative[4] = {1, 2, 2, 1};
    assert_false(inc_linalg_cholesky(2, zero, 2));
    assert_false(inc_linalg_invert(2, negative));
}

static void covariances_are_centred(void **state)
{
    (void)state;
    enum { N = 300, LEFT = 6, RIGHT = 9 };
    uint64_t seed = test_seed();
    struct inc_moments cross, gram, other;
    float *l = random_floats(&seed, N * LEFT), *r = random_floats(&seed, N * RIGHT);
    double got[LEFT * RIGHT], own[RIGHT * RIGHT];
    for (size_t i = 0; i < N * LEFT; i++) l[i] += 3;
    for (size_t i = 0; i < N * RIGHT; i++) r[i] -= 2;
    assert_int_equal(inc_moments_create(test_ctx(), LEFT, RIGHT, &cross), INCISE_OK);
    assert_int_equal(inc_moments_create(test_ctx(), LEFT, RIGHT, &other), INCISE_OK);
    assert_int_equal(inc_moments_create(test_ctx(), RIGHT, 0, &gram), INCISE_OK);
    const struct inc_row_pairs all = {N, l, r, LEFT, RIGHT, NULL}, rows = {N, r, NULL, RIGHT, 0, NULL};
    const struct inc_row_pairs first = {100, l, r, LEFT, RIGHT, NULL};
    const struct inc_row_pairs rest = {N - 100, l + 100 * LEFT, r + 100 * RIGHT, LEFT, RIGHT, NULL};
    assert_int_equal(inc_moments_add(&cross, NULL, "x", &first), INCISE_OK);
    assert_int_equal(inc_moments_add(&other, NULL, "x", &rest), INCISE_OK);
    inc_moments_merge(&cross, &other);
    assert_int_equal(inc_moments_add(&gram, NULL, "x", &rows), INCISE_OK);
    inc_moments_covariance(&cross, got);
    inc_moments_covariance(&gram, own);
    for (size_t j = 0; j < RIGHT; j++)
        for (size_t i = 0; i < LEFT + RIGHT; i++) {
            const float *a = i < LEFT ? l + i : r + i - LEFT;
            size_t stride = i < LEFT ? LEFT : RIGHT;
            double mean_a = 0, mean_r = 0, product = 0;
            for (size_t t = 0; t < N; t++) {
                mean_a += (double)a[t * stride] / N;
                mean_r += (double)r[t * RIGHT + j] / N;
            }
            for (size_t t = 0; t < N; t++)
                product += ((double)a[t * stride] - mean_a) * ((double)r[t * RIGHT + j] - mean_r) / N;
            double found = i < LEFT ? got[i * RIGHT + j] : own[(i - LEFT) * RIGHT + j];
            assert_true(fabs(found - product) < 12 * N * 0x1p-24); /* products up to 12 */
        }
    l[5] = NAN;
    test_clear_error();
    assert_int_equal(inc_moments_add(&cross, NULL, "here", &all), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "layer 'here': channel 5"));
    inc_moments_release(&cross);
    inc_moments_release(&other);
    inc_moments_release(&gram);
    free(l), free(r);
}

/* A row that counts three times is a row that is there three times. */
static void weights_stand_for_repeated_rows(void **state)
{
    (void)state;
    enum { N = 40, LEFT = 3, RIGHT = 5 };
    uint64_t seed = test_seed();
    float *l = random_floats(&seed, 3 * N * LEFT), *r = random_floats(&seed, 3 * N * RIGHT), weights[N];
    for (size_t t = 0; t < N; t++) weights[t] = (float)(t % 4);
    for (int gram = 0; gram < 2; gram++) {
        struct inc_moments weighted, repeated;
        double a[RIGHT * RIGHT], b[RIGHT * RIGHT], count = 0;
        size_t left = gram ? RIGHT : LEFT;
        const float *rows = gram ? r : l;
        assert_int_equal(inc_moments_create(test_ctx(), left, gram ? 0 : RIGHT, &weighted), INCISE_OK);
        assert_int_equal(inc_moments_create(test_ctx(), left, gram ? 0 : RIGHT, &repeated), INCISE_OK);
        const struct inc_row_pairs pairs = {N, rows, r, left, RIGHT, weights};
        assert_int_equal(inc_moments_add(&weighted, NULL, "x", &pairs), INCISE_OK);
        for (size_t t = 0; t < N; t++)
            for (size_t k = 0; k < t % 4; k++, count++) {
                const struct inc_row_pairs pair = {1, rows + t * left, r + t * RIGHT, left, RIGHT, NULL};
                assert_int_equal(inc_moments_add(&repeated, NULL, "x", &pair), INCISE_OK);
            }
        assert_true(weighted.n == count && repeated.n == count);
        inc_moments_covariance(&weighted, a);
        inc_moments_covariance(&repeated, b);
        for (size_t i = 0; i < left * RIGHT; i++) assert_true(fabs(a[i] - b[i]) < 3 * N * 0x1p-24);
        for (size_t i = 0; i < left; i++)
            assert_true(fabs(weighted.left_sum[i] - repeated.left_sum[i]) < 1e-12 * count);
        inc_moments_release(&weighted);
        inc_moments_release(&repeated);
    }
    free(l), free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_sums),          cmocka_unit_test(a_lower_triangle_mirrors),
        cmocka_unit_test(factors_solve_and_invert),   cmocka_unit_test(an_indefinite_matrix_is_refused),
        cmocka_unit_test(covariances_are_centred),
        cmocka_unit_test(weights_stand_for_repeated_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
