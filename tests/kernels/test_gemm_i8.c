/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_i8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "base/threads.h"
#include "support/integer_gemm.h"

static void matrix_row(void *arg, size_t row, int16_t *out)
{
    const struct test_matrix *matrix = arg;
    memcpy(out, matrix->w + row * matrix->k, matrix->k * sizeof *out);
}

/* Zeros, with a scale per row. */
static struct test_matrix make_matrix(size_t n, size_t k, uint64_t *state)
{
    return test_matrix_create(n, k, k, 0.001f, state);
}

/* The kernels this CPU can run; says which it skips. */
static const struct inc_gemm_i8_kernel *next_kernel(size_t *i)
{
    size_t n;
    const struct inc_gemm_i8_kernel *kernels = inc_gemm_i8_kernels(&n);
    for (; *i < n; ++*i)
        if (test_can_run(kernels[*i].name, kernels[*i].isa)) return &kernels[(*i)++];
    return NULL;
}

static void pack_ok(const struct inc_gemm_i8_kernel *kernel, struct inc_pool *pool, const struct test_matrix *matrix,
                    struct inc_gemm_i8_weights *weights)
{
    assert_int_equal(inc_gemm_i8_pack(test_ctx(), pool, kernel, matrix->n, matrix->k, matrix_row,
                                      (void *)(uintptr_t)matrix, matrix->scale, weights), INCISE_OK);
}

/* What gemm_i8.h promises, in 64-bit integers. */
static float expected(const struct test_matrix *matrix, const struct test_shape *shape, const uint8_t *a, float a_scale,
                      size_t j)
{
    int64_t sum = 0;
    for (size_t i = 0; i < matrix->k; i++) sum += (int64_t)(a[i] - shape->a_zero) * matrix->w[j * matrix->k + i];
    assert_true(sum >= INT32_MIN && sum <= INT32_MAX);
    return fmaf((float)sum, a_scale * matrix->scale[j], shape->bias ? matrix->bias[j] : 0.0f);
}

static void check_kernel(const struct inc_gemm_i8_kernel *kernel, const struct test_matrix *matrix,
                         const struct test_shape *shape, uint64_t *state)
{
    struct inc_gemm_i8_weights weights;
    pack_ok(kernel, NULL, matrix, &weights);
    struct test_product p;
    test_product_open(&p, matrix, shape, state);
    kernel->run(p.m, p.n, weights.strips, p.a, p.lda, shape->a_zero, p.a_scale, weights.w_scale, p.bias, p.c, p.ldc);
    for (size_t i = 0; i < p.c_floats; i++) {
        const size_t row = i / p.ldc, j = i % p.ldc;
        const float want =
            j < p.n ? expected(matrix, shape, p.a + row * p.lda, p.a_scale[row], j) : TEST_PRODUCT_UNTOUCHED;
        if (inc_f32_bits(p.c[i]) != inc_f32_bits(want))
            fail_msg("%s m=%zu n=%zu k=%zu a_zero=%d: c[%zu][%zu] = %.9g, expected %.9g", kernel->name, p.m, p.n,
                     matrix->k, shape->a_zero, row, j, (double)p.c[i], (double)want);
    }
    test_product_close(&p);
    inc_gemm_i8_release(test_ctx(), &weights);
}

static void check_all(const struct test_matrix *matrix, const struct test_shape *shape, uint64_t *state)
{
    size_t i = 0;
    for (const struct inc_gemm_i8_kernel *kernel; (kernel = next_kernel(&i)) != NULL;)
        check_kernel(kernel, matrix, shape, state);
}

static void fill_random(struct test_matrix *matrix, int limit, uint64_t *state)
{
    for (size_t i = 0; i < matrix->n * matrix->k; i++)
        matrix->w[i] = (int16_t)((int)test_random_below(state, (size_t)(2 * limit + 1)) - limit);
}

static void test_sizes(void **unused)
{
    (void)unused;
    static const size_t ns[] = {1, 7, 8, 9, 16, 31, 32, 33, 67}, ks[] = {1, 2, 3, 4, 5, 63, 130};
    uint64_t state = test_seed();
    for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++) {
        for (size_t j = 0; j < sizeof ks / sizeof ks[0]; j++) {
            struct test_matrix matrix = make_matrix(ns[i], ks[j], &state);
            fill_random(&matrix, 127, &state);
            const struct test_shape shape = {.m = 1 + test_random_below(&state, 26), .lda_extra = 4 * (i % 3),
                                             .ldc_extra = j % 3, .offset = (i + j) % 4, .a_zero = 128, .fill = -1,
                                             .bias = j & 1};
            check_all(&matrix, &shape, &state);
            test_matrix_free(&matrix);
        }
    }
}

/* Every tile height, and more rows than one slab. */
static void test_rows(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(40, 36, &state);
    fill_random(&matrix, 127, &state);
    for (size_t m = 1; m <= 37; m++)
        check_all(&matrix, &(struct test_shape){.m = m, .fill = -1, .a_zero = (int32_t)(m * 7), .bias = true}, &state);
    check_all(&matrix, &(struct test_shape){.m = 45, .fill = -1, .lda_extra = 8192, .a_zero = 3}, &state);
    test_matrix_free(&matrix);
}

/* Weights and activations at the limits of each instruction: kinds of matrices x fills x zero points. */
static int16_t extreme_weight(int kind, size_t row, size_t i, uint64_t *state)
{
    switch (kind) {
    case 0: return -128;
    case 1: return 127;
    case 2: return (int16_t)(i & 1 ? 127 : -128);
    case 3: return (int16_t)(i & 1 ? 1 + (int)(row & 1) : 127); /* pair sums 128 and 129 */
    case 4: return (int16_t)(i & 1 ? -64 - (int)(row & 1) : -64); /* -128 and -129 */
    case 5: return 255;
    case 6: return -255;
    case 7: return (int16_t)(test_random(state) & 1 ? 255 : -255);
    case 8: return (int16_t)(test_random_below(state, 37) ? 0 : (int)test_random_below(state, 511) - 255);
    default: return (int16_t)((int)test_random_below(state, 511) - 255);
    }
}

static void test_extremes(void **unused)
{
    (void)unused;
    static const int fills[] = {0, 255, -2, -1};
    static const int32_t zeros[] = {0, 128, 255};
    uint64_t state = test_seed();
    for (int kind = 0; kind < 10; kind++) {
        struct test_matrix matrix = make_matrix(35, 50, &state);
        for (size_t i = 0; i < matrix.n * matrix.k; i++)
            matrix.w[i] = extreme_weight(kind, i / matrix.k, i % matrix.k, &state);
        for (size_t f = 0; f < 4; f++) {
            for (size_t z = 0; z < 3; z++)
                check_all(&matrix, &(struct test_shape){.m = 13, .fill = fills[f], .a_zero = zeros[z]}, &state);
        }
        test_matrix_free(&matrix);
    }
}

static void test_sparse(void **unused)
{
    (void)unused;
    static const size_t blocks[][2] = {{32, 32}, {32, 4}, {8, 4}, {1, 1}, {96, 512}};
    uint64_t state = test_seed();
    for (size_t b = 0; b < 5; b++) {
        for (int tenths = 3; tenths <= 10; tenths += 3 + (tenths == 9)) {
            struct test_matrix matrix = make_matrix(96, 140, &state);
            fill_random(&matrix, b % 2 ? 90 : 40, &state);
            test_matrix_prune(&matrix, blocks[b][0], blocks[b][1], tenths / 10.0, &state);
            check_all(&matrix, &(struct test_shape){.m = 14, .fill = -1, .a_zero = 128, .bias = true}, &state);
            test_matrix_free(&matrix);
        }
    }
}

/* What packing must find: 32x4 blocks, an empty strip, fours, repeated quads behind them where they are needed. */
static void test_density(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(64, 64, &state);
    struct inc_gemm_i8_weights weights;
    for (size_t r = 0; r < 32; r++)
        for (size_t k = 16; k < 32; k++) matrix.w[r * 64 + k] = 64;
    size_t i = 0;
    for (const struct inc_gemm_i8_kernel *kernel; (kernel = next_kernel(&i)) != NULL;) {
        matrix.w[16] = 64;
        pack_ok(kernel, NULL, &matrix, &weights);
        assert_true(weights.density == 4.0 * 32 / 64 / 16);
        assert_int_equal(weights.strips[weights.n_strips - 1].order.whole, 0);
        assert_int_equal(weights.strips[0].order.whole, 4);
        assert_int_equal(weights.strips[0].order.fours, 1);
        assert_int_equal(weights.strips[0].k[0], 4);
        inc_gemm_i8_release(test_ctx(), &weights);
        matrix.w[16] = 65;
        pack_ok(kernel, NULL, &matrix, &weights);
        assert_int_equal(weights.strips[0].order.whole, 4);
        assert_int_equal(weights.strips[0].order.half[0], kernel->light_and_halves);
        assert_int_equal(weights.strips[0].order.fours, 1);
        assert_int_equal(weights.strips[0].k[3], 7);
        assert_int_equal(weights.strips[0].k[inc_quads_count(&weights.strips[0].order) - 1],
                         kernel->light_and_halves ? 4 : 7);
        inc_gemm_i8_release(test_ctx(), &weights);
    }
    test_matrix_free(&matrix);
}

/* Twos whose pairs together reach the limit are light, beyond it they are not; and the largest activations show it. */
static void test_light(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(32, 32, &state);
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int beyond = 0; beyond <= 1; beyond++) {
            for (size_t j = 0; j < matrix.n * matrix.k; j++)
                matrix.w[j] = (int16_t)(j % 8 < 6 ? sign * 32 : -sign * 64); /* pairs of 64 and -64 or 0 */
            matrix.w[31 * 32 + 21] = (int16_t)(sign * (32 + beyond)); /* the last output, quads 5 and 4 */
            size_t i = 0;
            for (const struct inc_gemm_i8_kernel *kernel; (kernel = next_kernel(&i)) != NULL;) {
                struct inc_gemm_i8_weights weights;
                pack_ok(kernel, NULL, &matrix, &weights);
                const struct inc_quads_order *last = &weights.strips[weights.n_strips - 1].order;
                assert_int_equal(last->light, kernel->pair_limit == INC_QUADS_NO_LIMIT ? 0 : 2 - beyond);
                assert_int_equal(last->fours, 2);
                assert_int_equal(inc_quads_count(last), 8);
                inc_gemm_i8_release(test_ctx(), &weights);
            }
            for (int fill = 0; fill <= 255; fill += 255)
                check_all(&matrix, &(struct test_shape){.m = 8, .fill = fill, .a_zero = 255 - fill}, &state);
            check_all(&matrix, &(struct test_shape){.m = 8, .fill = -1, .a_zero = 128}, &state);
        }
    }
    test_matrix_free(&matrix);
}

/* Masks of eight outputs leave halves of AVX2's strips, first ones and last ones, and whole quads. */
static void test_halves(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(40, 24, &state);
    for (size_t r = 0; r < matrix.n; r++)
        for (size_t k = 0; k < matrix.k; k++)
            if (k / 4 % 3 == 2 || k / 4 % 3 == r / 8 % 2) matrix.w[r * matrix.k + k] = (int16_t)(1 + k + r);
    size_t i = 0;
    for (const struct inc_gemm_i8_kernel *kernel; (kernel = next_kernel(&i)) != NULL;) {
        struct inc_gemm_i8_weights weights;
        pack_ok(kernel, NULL, &matrix, &weights);
        const struct inc_quads_order *first = &weights.strips[0].order;
        assert_int_equal(first->whole, kernel->light_and_halves ? 2 : 6);
        assert_int_equal(first->half[0], kernel->light_and_halves ? 2 : 0);
        assert_int_equal(first->half[1], kernel->light_and_halves ? 2 : 0);
        inc_gemm_i8_release(test_ctx(), &weights);
    }
    for (size_t m = 1; m <= 13; m++)
        check_all(&matrix, &(struct test_shape){.m = m, .fill = -1, .a_zero = 77, .bias = true}, &state);
    test_matrix_free(&matrix);
}

static void test_longest_rows(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(2, INC_QUADS_MAX_K, &state);
    for (size_t i = 0; i < matrix.n * matrix.k; i++) matrix.w[i] = (int16_t)(i < matrix.k ? -128 : 127);
    for (int fill = 0; fill <= 255; fill += 255)
        check_all(&matrix, &(struct test_shape){.m = 2, .fill = fill, .a_zero = 255 - fill, .bias = true}, &state);
    test_matrix_free(&matrix);
}

static enum incise_status pack_status(size_t n, size_t k, int16_t value)
{
    uint64_t state = 1;
    struct test_matrix matrix = make_matrix(n, k, &state);
    for (size_t i = 0; i < n * k; i++) matrix.w[i] = value;
    struct inc_gemm_i8_weights weights;
    const struct inc_gemm_i8_kernel *kernel = inc_gemm_i8_select(INCISE_ISA_SCALAR);
    test_clear_error();
    const enum incise_status status =
        inc_gemm_i8_pack(test_ctx(), NULL, kernel, n, k, matrix_row, &matrix, matrix.scale, &weights);
    inc_gemm_i8_release(test_ctx(), &weights);
    test_matrix_free(&matrix);
    return status;
}

static void test_refusals(void **unused)
{
    (void)unused;
    assert_int_equal(pack_status(1, INC_QUADS_MAX_K + 1, 1), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "65537"));
    assert_int_equal(pack_status(1, 4, 256), INCISE_ERROR_DATA);
    assert_int_equal(pack_status(1, 4, -256), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "[-255, 255]"));
    assert_int_equal(pack_status(1, INT32_MAX / 255 / 255, 255), INCISE_OK);
    assert_int_equal(pack_status(1, INT32_MAX / 255 / 255 + 1, -255), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "32 bits"));
    assert_int_equal(test_live_allocations(), 0);
}

static void test_memory(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(20, 20, &state);
    fill_random(&matrix, 127, &state);
    struct inc_gemm_i8_weights weights;
    const struct inc_gemm_i8_kernel *kernel = inc_gemm_i8_select(INCISE_ISA_SCALAR);
    enum incise_status status = INCISE_ERROR_MEMORY;
    size_t allowed = 0;
    for (; status != INCISE_OK && allowed < 20; allowed++) {
        test_fail_after(allowed);
        status = inc_gemm_i8_pack(test_ctx(), NULL, kernel, 20, 20, matrix_row, &matrix, matrix.scale, &weights);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
        if (status != INCISE_OK) assert_int_equal(test_live_allocations(), 0);
    }
    assert_int_equal(allowed, 9); /* six arrays and two strips, then success */
    inc_gemm_i8_release(test_ctx(), &weights);
    assert_int_equal(test_live_allocations(), 0);
    test_matrix_free(&matrix);
}

/* Packing on a pool gives the same bytes; a NaN scale makes its row NaN; a range of outputs is strips + i. */
static void test_use(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(100, 64, &state);
    fill_random(&matrix, 127, &state);
    struct inc_pool *pool;
    assert_int_equal(inc_pool_create(test_ctx(), 3, false, &pool), INCISE_OK);
    size_t i = 0;
    for (const struct inc_gemm_i8_kernel *kernel; (kernel = next_kernel(&i)) != NULL;) {
        struct inc_gemm_i8_weights one, many;
        pack_ok(kernel, NULL, &matrix, &one);
        pack_ok(kernel, pool, &matrix, &many);
        assert_int_equal(one.bytes, many.bytes);
        for (size_t s = 0; s < one.n_strips; s++) {
            assert_memory_equal(&one.strips[s].order, &many.strips[s].order, sizeof one.strips[s].order);
            assert_memory_equal(one.strips[s].w, many.strips[s].w, inc_quads_bytes(kernel->nr, &one.strips[s].order));
        }
        uint8_t a[2 * 64];
        float whole[2 * 100], part[2 * 100];
        const float scale[2] = {0.5f, NAN};
        for (size_t j = 0; j < sizeof a; j++) a[j] = (uint8_t)test_random(&state);
        kernel->run(2, 100, one.strips, a, 64, 128, scale, one.w_scale, matrix.bias, whole, 100);
        for (size_t j = 0; j < 100; j += kernel->nr)
            kernel->run(2, inc_min_size(kernel->nr, 100 - j), one.strips + j / kernel->nr, a, 64, 128, scale,
                        one.w_scale + j, matrix.bias + j, part + j, 100);
        assert_memory_equal(whole, part, 100 * sizeof(float));
        for (size_t j = 0; j < 100; j++) assert_true(isnan(whole[100 + j]) && isnan(part[100 + j]));
        inc_gemm_i8_release(test_ctx(), &one);
        inc_gemm_i8_release(test_ctx(), &many);
    }
    inc_pool_destroy(pool);
    test_matrix_free(&matrix);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_rows),         cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_sparse),   cmocka_unit_test(test_density),      cmocka_unit_test(test_light),
        cmocka_unit_test(test_halves),   cmocka_unit_test(test_longest_rows), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory),   cmocka_unit_test(test_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
