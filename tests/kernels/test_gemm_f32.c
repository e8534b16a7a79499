/* SPDX-License-Identifier: Apache-2.0 */
/* Every gemm_f32 kernel of this CPU against a plain double product, and against the scalar kernel bit by bit. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "kernels/gemm/gemm_f32.h"

#define UNIT_ROUNDOFF 0x1p-24 /* of float */
#define FILLER -12345.0f

struct matrix {
    const float *w;
    size_t k;
};

static void matrix_row(void *arg, size_t row, float *out)
{
    const struct matrix *matrix = arg;
    memcpy(out, matrix->w + row * matrix->k, matrix->k * sizeof *out);
}

/* dense_threshold of -1 stores every strip dense, 1 stores a list wherever a k-step is zero. */
static struct inc_gemm_f32_weights pack(const struct inc_gemm_f32_kernel *kernel, double dense_threshold, size_t n,
                                        size_t k, const float *w)
{
    struct inc_gemm_f32_kernel changed = *kernel;
    struct inc_gemm_f32_weights weights;
    struct matrix matrix = {w, k};
    changed.dense_threshold = dense_threshold;
    assert_int_equal(inc_gemm_f32_pack(test_ctx(), NULL, &changed, n, k, matrix_row, &matrix, &weights), INCISE_OK);
    assert_int_equal(weights.nr, kernel->nr);
    assert_int_equal(weights.n_strips, (n + kernel->nr - 1) / kernel->nr);
    return weights;
}

static void multiply(const struct inc_gemm_f32_kernel *kernel, const struct inc_gemm_f32_weights *weights, size_t m,
                     const float *a, size_t lda, const float *bias, float *c, size_t ldc)
{
    kernel->run(m, weights->n, weights->strips, a, lda, bias, c, ldc);
}

static float *random_values(uint64_t *state, size_t n)
{
    float *x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = test_random_float(state, -1.0f, 1.0f);
    return x;
}

/* The kernels this CPU can run, scalar first. */
static size_t usable(const struct inc_gemm_f32_kernel **kernels)
{
    size_t n, n_usable = 0;
    *kernels = inc_gemm_f32_kernels(&n);
    assert_string_equal((*kernels)[0].name, "scalar");
    while (n_usable < n && (*kernels)[n_usable].isa <= incise_isa_detect()) n_usable++;
    for (size_t i = n_usable; i < n; i++) printf("skipped: this CPU cannot run %s\n", (*kernels)[i].name);
    return n_usable;
}

static bool same(const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&x[i], &y[i], sizeof *x) != 0 && !(isnan(x[i]) && isnan(y[i]))) return false;
    }
    return true;
}

static void check_bound(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *w, const float *bias,
                        const float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = bias ? (double)bias[j] : 0.0, size = fabs(sum);
            for (size_t s = 0; s < k; s++) {
                sum += (double)a[i * lda + s] * (double)w[j * k + s];
                size += fabs((double)a[i * lda + s] * (double)w[j * k + s]);
            }
            const double error = fabs((double)c[i * ldc + j] - sum);
            if (error > ((double)k + 1.0) * UNIT_ROUNDOFF * size * 1.001) {
                fail_msg("m=%zu n=%zu k=%zu: c[%zu][%zu] is %g, not %g", m, n, k, i, j, (double)c[i * ldc + j], sum);
            }
        }
    }
}

static float *fence(const void *from, size_t bytes, int at_end)
{
    void *copy = test_guarded_alloc(bytes ? bytes : 4, at_end);
    assert_non_null(copy);
    if (from && bytes) memcpy(copy, from, bytes);
    return copy;
}

/* One strip, everything it may touch fenced by unreadable pages. */
static void run_fenced(const struct inc_gemm_f32_kernel *kernel, const struct inc_gemm_f32_strip *strip, size_t m,
                       size_t n, const float *a, size_t a_floats, size_t lda, const float *bias, float *c, size_t ldc,
                       int at_end)
{
    const size_t c_floats = m ? (m - 1) * ldc + n : 0, w_floats = (size_t)strip->n_steps * kernel->nr;
    float *fenced_a = fence(a, a_floats * 4, at_end), *fenced_bias = bias ? fence(bias, n * 4, at_end) : NULL;
    float *fenced_c = fence(c, c_floats * 4, at_end), *w = fence(strip->w, w_floats * 4, at_end);
    uint32_t *k = strip->k ? (void *)fence(strip->k, strip->n_steps * 4, at_end) : NULL;
    const struct inc_gemm_f32_strip copy[2] = {{w, k, strip->n_steps, strip->fours}};
    kernel->run(m, n, copy, fenced_a, lda, fenced_bias, fenced_c, ldc);
    memcpy(c, fenced_c, c_floats * 4);
    test_guarded_free(fenced_a, a_floats ? a_floats * 4 : 4, at_end);
    if (bias) test_guarded_free(fenced_bias, n * 4, at_end);
    test_guarded_free(fenced_c, c_floats ? c_floats * 4 : 4, at_end);
    test_guarded_free(w, w_floats ? w_floats * 4 : 4, at_end);
    if (k) test_guarded_free(k, strip->n_steps ? strip->n_steps * 4 : 4, at_end);
}

static void check_size(const struct inc_gemm_f32_kernel *kernel, size_t m, size_t n, size_t k, uint64_t *state)
{
    const size_t lda = k + test_random_below(state, 4), ldc = n + test_random_below(state, 4);
    const size_t a_floats = m && k ? (m - 1) * lda + k : 0;
    const int at_end = (int)test_random_below(state, 2);
    float *a = random_values(state, m * lda), *w = random_values(state, n * k), *values = random_values(state, n);
    float *c = calloc(m * ldc + 1, sizeof *c), *expected = calloc(m * ldc + 1, sizeof *expected);
    const float *bias = test_random_below(state, 2) ? values : NULL;
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < n && test_random_below(state, 4) == 0; j++) w[j * k + i] = 0.0f; /* some steps empty */
    }
    for (size_t i = 0; i < m * ldc; i++) c[i] = expected[i] = FILLER;

    const struct inc_gemm_f32_kernel *scalar = inc_gemm_f32_select(INCISE_ISA_SCALAR);
    struct inc_gemm_f32_weights reference = pack(scalar, -1.0, n, k, w);
    struct inc_gemm_f32_weights weights = pack(kernel, test_random_below(state, 2) ? 1.0 : -1.0, n, k, w);
    multiply(scalar, &reference, m, a, lda, bias, expected, ldc);
    run_fenced(kernel, &weights.strips[0], m, n, a, a_floats, lda, bias, c, ldc, at_end);
    if (memcmp(c, expected, m * ldc * sizeof *c) != 0) fail_msg("%s m=%zu n=%zu k=%zu differs", kernel->name, m, n, k);
    check_bound(m, n, k, a, lda, w, bias, c, ldc);
    inc_gemm_f32_release(test_ctx(), &reference);
    inc_gemm_f32_release(test_ctx(), &weights);
    free(a), free(w), free(values), free(c), free(expected);
}

static void test_sizes(void **unused)
{
    (void)unused;
    static const size_t depths[] = {0, 1, 2, 3, 17, 64, 257};
    const struct inc_gemm_f32_kernel *kernels;
    const size_t n_kernels = usable(&kernels);
    uint64_t state = test_seed();
    for (size_t i = 0; i < n_kernels; i++) {
        const size_t mr = kernels[i].mr, nr = kernels[i].nr;
        for (size_t m = 0; m <= 2 * mr + 1; m++) check_size(&kernels[i], m, nr, 65, &state);
        for (size_t n = 1; n <= nr; n++) {
            for (size_t k = 0; k < sizeof depths / sizeof *depths; k++) {
                check_size(&kernels[i], 1 + test_random_below(&state, 2 * mr + 1), n, depths[k], &state);
            }
        }
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* Zeroes blocks of rows x columns with probability 1 - keep. */
static void mask(float *w, size_t n, size_t k, size_t rows, size_t columns, double keep, uint64_t *state)
{
    for (size_t j = 0; j < n; j += rows) {
        for (size_t i = 0; i < k; i += columns) {
            if (test_random_float(state, 0.0f, 1.0f) < keep) continue;
            for (size_t y = j; y < j + rows && y < n; y++) {
                for (size_t x = i; x < i + columns && x < k; x++) w[y * k + x] = (x + y) % 2 ? 0.0f : -0.0f;
            }
        }
    }
}

static size_t kept_steps(const float *w, size_t n, size_t k, size_t nr)
{
    size_t kept = 0;
    for (size_t s = 0; s < n; s += nr) {
        for (size_t i = 0; i < k; i++) {
            bool any = false;
            for (size_t j = s; j < s + nr && j < n; j++) any |= w[j * k + i] != 0.0f;
            kept += any;
        }
    }
    return kept;
}

static void check_pattern(const struct inc_gemm_f32_kernel *kernel, size_t m, size_t rows, size_t columns, double keep,
                          uint64_t *state)
{
    const size_t n = 3 * 32 + 7, k = 150;
    float *a = random_values(state, m * k), *w = random_values(state, n * k), *bias = random_values(state, n);
    float *dense = calloc(m * n, sizeof *dense), *list = calloc(m * n, sizeof *list);
    mask(w, n, k, rows, columns, keep, state);
    struct inc_gemm_f32_weights as_dense = pack(kernel, -1.0, n, k, w), as_list = pack(kernel, 1.0, n, k, w);
    size_t steps = 0;
    for (size_t s = 0; s < as_list.n_strips; s++) {
        const struct inc_gemm_f32_strip *strip = &as_list.strips[s];
        steps += strip->n_steps;
        for (size_t i = 1; strip->k && i < strip->n_steps; i++) assert_true(strip->k[i - 1] < strip->k[i]);
        if (strip->k && columns % 4 == 0) assert_true(strip->fours);
        assert_int_equal((uintptr_t)strip->w % INC_ALIGN, 0);
    }
    assert_int_equal(steps, kept_steps(w, n, k, kernel->nr));
    assert_int_equal(as_dense.n_lists, 0);
    assert_true(as_dense.density == 1.0 && as_dense.bytes == as_dense.n_strips * k * kernel->nr * sizeof(float));
    assert_true(fabs(as_list.density - (double)steps / (double)(as_list.n_strips * k)) < 1e-12);
    multiply(kernel, &as_dense, m, a, k, bias, dense, n);
    multiply(kernel, &as_list, m, a, k, bias, list, n);
    assert_true(same(dense, list, m * n));
    check_bound(m, n, k, a, k, w, bias, list, n);
    inc_gemm_f32_release(test_ctx(), &as_dense);
    inc_gemm_f32_release(test_ctx(), &as_list);
    free(a), free(w), free(bias), free(dense), free(list);
}

static void test_patterns(void **unused)
{
    (void)unused;
    static const size_t blocks[][2] = {{1, 1}, {32, 32}, {32, 4}, {32, 1}, {1, 150}};
    static const double keep[] = {0.3, 0.0, 0.05, 0.9, 1.0}; /* the first with more rows than a slab */
    const struct inc_gemm_f32_kernel *kernels;
    const size_t n_kernels = usable(&kernels);
    uint64_t state = test_seed();
    for (size_t i = 0; i < n_kernels; i++) {
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
            for (size_t s = 0; s < sizeof keep / sizeof *keep; s++) {
                check_pattern(&kernels[i], s ? 29 : 141, blocks[b][0], blocks[b][1], keep[s], &state);
            }
        }
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* NaN and infinity reach exactly the rows that hold them, through every step that is kept. */
static void test_not_finite(void **unused)
{
    (void)unused;
    const size_t m = 30, n = 45, k = 40;
    const struct inc_gemm_f32_kernel *kernels;
    const size_t n_kernels = usable(&kernels);
    uint64_t state = test_seed();
    float *a = random_values(&state, m * k), *w = random_values(&state, n * k);
    float *c = calloc(m * n, sizeof *c), *expected = calloc(m * n, sizeof *expected);
    for (size_t j = 0; j < n; j++) w[j * k + 7] = 0.0f; /* dropped in lists */
    a[3 * k + 5] = NAN, a[11 * k + 39] = INFINITY, a[12 * k] = -INFINITY, a[20 * k + 7] = NAN;
    for (size_t i = 0; i < n_kernels; i++) {
        struct inc_gemm_f32_weights weights = pack(&kernels[i], 1.0, n, k, w);
        multiply(&kernels[i], &weights, m, a, k, NULL, i ? c : expected, n);
        if (i) assert_true(same(c, expected, m * n));
        inc_gemm_f32_release(test_ctx(), &weights);
    }
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            if (i == 3) assert_true(isnan(expected[i * n + j]));
            else if (i == 11 || i == 12) assert_true(isinf(expected[i * n + j]));
            else assert_true(isfinite(expected[i * n + j]));
        }
    }
    free(a), free(w), free(c), free(expected);
}

static void test_choice_of_layout(void **unused)
{
    (void)unused;
    const struct inc_gemm_f32_kernel *kernels;
    const size_t n_kernels = usable(&kernels), k = 1000;
    for (size_t i = 0; i < n_kernels; i++) {
        const size_t n = 2 * kernels[i].nr, limit = (size_t)(kernels[i].dense_threshold * (double)k);
        float *w = calloc(n * k, sizeof *w);
        for (size_t s = 0; s <= limit; s++) w[s] = 1.0f;                             /* strip 0: just above */
        for (size_t s = 0; s < limit; s++) w[kernels[i].nr * k + k - 1 - s] = 1.0f;  /* strip 1: at the threshold */
        struct inc_gemm_f32_weights weights = pack(&kernels[i], kernels[i].dense_threshold, n, k, w);
        assert_null(weights.strips[0].k);
        assert_int_equal(weights.strips[0].n_steps, k);
        assert_non_null(weights.strips[1].k);
        assert_int_equal(weights.strips[1].n_steps, limit);
        assert_int_equal(weights.strips[1].k[0], k - limit);
        assert_int_equal(weights.n_lists, 1);
        inc_gemm_f32_release(test_ctx(), &weights);
        free(w);
    }
}

static void test_parallel_and_failing(void **unused)
{
    (void)unused;
    const size_t n = 300, k = 64;
    const struct inc_gemm_f32_kernel *kernel = inc_gemm_f32_select(incise_isa_detect());
    uint64_t state = test_seed();
    float *w = random_values(&state, n * k);
    struct matrix matrix = {w, k};
    struct inc_gemm_f32_weights one = pack(kernel, kernel->dense_threshold, n, k, w), weights;
    struct inc_pool *pool;
    assert_int_equal(inc_pool_create(test_ctx(), 3, false, &pool), INCISE_OK);
    assert_int_equal(inc_gemm_f32_pack(test_ctx(), pool, kernel, n, k, matrix_row, &matrix, &weights), INCISE_OK);
    for (size_t s = 0; s < one.n_strips; s++) {
        assert_memory_equal(one.strips[s].w, weights.strips[s].w, k * kernel->nr * sizeof(float));
    }
    inc_gemm_f32_release(test_ctx(), &weights);
    inc_gemm_f32_release(test_ctx(), &one);
    const size_t live = test_live_allocations();
    size_t failures = 0;
    for (enum incise_status status = INCISE_ERROR_MEMORY; status != INCISE_OK; failures++) {
        test_fail_after(failures);
        status = inc_gemm_f32_pack(test_ctx(), pool, kernel, n, k, matrix_row, &matrix, &weights);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
        if (status) assert_int_equal(test_live_allocations(), live);
    }
    assert_int_equal(failures, 3 + (n + kernel->nr - 1) / kernel->nr); /* strips, scratch, each strip, success */
    inc_gemm_f32_release(test_ctx(), &weights);
    inc_pool_destroy(pool);
    assert_int_equal(inc_gemm_f32_pack(test_ctx(), NULL, kernel, 1, SIZE_MAX / 8, matrix_row, &matrix, &weights),
                     INCISE_ERROR_DATA);
    assert_int_equal(test_live_allocations(), 0);
    free(w);
}

static void test_select(void **unused)
{
    (void)unused;
    assert_string_equal(inc_gemm_f32_select(INCISE_ISA_SCALAR)->name, "scalar");
    assert_string_equal(inc_gemm_f32_select(INCISE_ISA_AVX2)->name, "avx2");
    assert_string_equal(inc_gemm_f32_select(INCISE_ISA_AVX512)->name, "avx512");
    assert_string_equal(inc_gemm_f32_select(INCISE_ISA_BF16)->name, "avx512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),           cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_not_finite),      cmocka_unit_test(test_choice_of_layout),
        cmocka_unit_test(test_parallel_and_failing), cmocka_unit_test(test_select),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
