/* SPDX-License-Identifier: Apache-2.0 */
/* Every gemm_group kernel of this CPU against the formula of gemm_group.h, bit by bit. */
#include "kernels/gemm/gemm_group.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "base/threads.h"
#include "support/integer_gemm.h"

static void matrix_row(void *arg, size_t row, int16_t *out, float *scale)
{
    const struct test_matrix *matrix = arg;
    memcpy(out, matrix->w + row * matrix->k, matrix->k * sizeof *out);
    memcpy(scale, matrix->scale + row * matrix->n_groups, matrix->n_groups * sizeof *scale);
}

static int random_weight(unsigned bits, uint64_t *state)
{
    return bits == 4 ? (int)test_random_below(state, 16) - 8 : (int)test_random_below(state, 511) - 255;
}

static struct test_matrix make_matrix(size_t n, size_t k, size_t group, unsigned bits, uint64_t *state)
{
    struct test_matrix matrix = test_matrix_create(n, k, group, -0.02f, state);
    for (size_t i = 0; i < n * k; i++) matrix.w[i] = (int16_t)random_weight(bits, state);
    return matrix;
}

/* The kernels this CPU can run; says which it skips. */
static const struct inc_gemm_group_kernel *next_kernel(size_t *i)
{
    size_t n;
    const struct inc_gemm_group_kernel *kernels = inc_gemm_group_kernels(&n);
    for (; *i < n; ++*i)
        if (test_can_run(kernels[*i].name, kernels[*i].isa)) return &kernels[(*i)++];
    return NULL;
}

static void pack_ok(const struct inc_gemm_group_kernel *kernel, struct inc_pool *pool, const struct test_matrix *matrix,
                    struct inc_gemm_group_weights *weights)
{
    assert_int_equal(inc_gemm_group_pack(test_ctx(), pool, kernel, matrix->n, matrix->k, matrix->group, matrix_row,
                                         (void *)(uintptr_t)matrix, weights), INCISE_OK);
}

/* What gemm_group.h promises, in 64-bit integers. */
static float expected(const struct test_matrix *matrix, const struct test_shape *shape, const uint8_t *a, float a_scale,
                      size_t j)
{
    float total = 0.0f;
    for (size_t g = 0; g < matrix->n_groups; g++) {
        int64_t sum = 0;
        for (size_t i = g * matrix->group; i < inc_min_size((g + 1) * matrix->group, matrix->k); i++)
            sum += (int64_t)(a[i] - shape->a_zero) * matrix->w[j * matrix->k + i];
        const float scale = matrix->scale[j * matrix->n_groups + g];
        total = fmaf((float)sum, fabsf(scale) < INC_GEMM_GROUP_LEAST_SCALE ? 0.0f : scale, total);
    }
    return fmaf(total, a_scale, shape->bias ? matrix->bias[j] : 0.0f);
}

static void check_kernel(const struct inc_gemm_group_kernel *kernel, const struct test_matrix *matrix,
                         const struct test_shape *shape, uint64_t *state)
{
    struct inc_gemm_group_weights weights;
    pack_ok(kernel, NULL, matrix, &weights);
    struct test_product p;
    test_product_open(&p, matrix, shape, state);
    kernel->run(p.m, p.n, weights.strips, p.a, p.lda, shape->a_zero, p.a_scale, p.bias, p.c, p.ldc);
    for (size_t i = 0; i < p.c_floats; i++) {
        const size_t row = i / p.ldc, j = i % p.ldc;
        const float want =
            j < p.n ? expected(matrix, shape, p.a + row * p.lda, p.a_scale[row], j) : TEST_PRODUCT_UNTOUCHED;
        if (inc_f32_bits(p.c[i]) != inc_f32_bits(want) && (p.c[i] != 0.0f || want != 0.0f))
            fail_msg("%s m=%zu n=%zu k=%zu group=%zu: c[%zu][%zu] is %a, not %a", kernel->name, p.m, p.n, matrix->k,
                     matrix->group, row, j, (double)p.c[i], (double)want);
    }
    test_product_close(&p);
    inc_gemm_group_release(test_ctx(), &weights);
}

/* Kernels of the width that can store such weights. */
static void check_all(const struct test_matrix *matrix, unsigned bits, const struct test_shape *shape, uint64_t *state)
{
    size_t i = 0;
    for (const struct inc_gemm_group_kernel *kernel; (kernel = next_kernel(&i)) != NULL;)
        if (kernel->bits >= bits) check_kernel(kernel, matrix, shape, state);
}

static void test_sizes(void **unused)
{
    (void)unused;
    static const size_t ns[] = {1, 7, 8, 9, 31, 32, 33, 67}, ks[] = {1, 4, 5, 63, 96, 130, 257};
    static const size_t groups[] = {4, 32, 64, 128, 1000};
    uint64_t state = test_seed();
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < 7; j++) {
            const unsigned bits = (i + j) & 1 ? 8 : 4;
            struct test_matrix matrix = make_matrix(ns[i], ks[j], groups[(i + j) % 5], bits, &state);
            const struct test_shape shape = {.m = 1 + test_random_below(&state, 26), .lda_extra = 4 * (i % 3),
                                             .ldc_extra = j % 3, .offset = (i + j) % 4, .a_zero = 128, .fill = -1,
                                             .bias = j & 1};
            check_all(&matrix, bits, &shape, &state);
            test_matrix_free(&matrix);
        }
    }
}

/* Every tile height, and more rows than one slab. */
static void test_rows(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(40, 68, 32, 4, &state);
    for (size_t m = 1; m <= 37; m++)
        check_all(&matrix, 4, &(struct test_shape){.m = m, .fill = -1, .a_zero = (int32_t)(m * 6), .bias = true},
                  &state);
    check_all(&matrix, 4, &(struct test_shape){.m = 45, .fill = -1, .lda_extra = 8192, .a_zero = 3}, &state);
    test_matrix_free(&matrix);
}

/* Weights and activations at the limits of each instruction. */
static int16_t extreme_weight(int kind, unsigned bits, size_t i, uint64_t *state)
{
    const int low = bits == 4 ? -8 : -255, high = bits == 4 ? 7 : 255;
    switch (kind) {
    case 0: return (int16_t)low;
    case 1: return (int16_t)high;
    case 2: return (int16_t)(i & 1 ? high : low);
    case 3: return (int16_t)(test_random(state) & 1 ? high : low);
    default: return (int16_t)(test_random_below(state, 37) ? 0 : random_weight(bits, state));
    }
}

static void test_extremes(void **unused)
{
    (void)unused;
    static const int fills[] = {0, 255, -2, -1};
    static const int32_t zeros[] = {0, 128, 255};
    uint64_t state = test_seed();
    for (int kind = 0; kind < 5; kind++) {
        for (unsigned bits = 4; bits <= 8; bits += 4) {
            struct test_matrix matrix = make_matrix(35, 200, 128, bits, &state);
            for (size_t i = 0; i < matrix.n * matrix.k; i++) matrix.w[i] = extreme_weight(kind, bits, i, &state);
            for (size_t f = 0; f < 12; f++)
                check_all(&matrix, bits, &(struct test_shape){.m = 13, .fill = fills[f / 3], .a_zero = zeros[f % 3]},
                          &state);
            test_matrix_free(&matrix);
        }
    }
}

/* The largest sums that 4-bit weights can have, and the scales at which sixteenths would stop to be exact. */
static void test_limits(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(2, INC_QUADS_MAX_K, INC_QUADS_MAX_K, 4, &state);
    for (size_t i = 0; i < matrix.n * matrix.k; i++) matrix.w[i] = (int16_t)(i < matrix.k ? -8 : 7);
    for (int fill = 0; fill <= 255; fill += 255)
        check_all(&matrix, 4, &(struct test_shape){.m = 14, .fill = fill, .a_zero = 255 - fill, .bias = true}, &state);
    test_matrix_free(&matrix);
    static const float scales[] = {0x1p-121f, -0x1.fffffep-122f, 0x1p-122f, 0x1p-123f, 0x1p-149f, 0.0f, 0x1p100f};
    for (size_t s = 0; s < 7; s++) {
        matrix = make_matrix(9, 64, 32, 4, &state);
        for (size_t i = 0; i < matrix.n * matrix.n_groups; i++) matrix.scale[i] = scales[s];
        check_all(&matrix, 4, &(struct test_shape){.m = 3, .fill = -1, .a_zero = 128}, &state);
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
            const unsigned bits = tenths & 1 ? 8 : 4;
            struct test_matrix matrix = make_matrix(96, 260, 64, bits, &state);
            test_matrix_prune(&matrix, blocks[b][0], blocks[b][1], tenths / 10.0, &state);
            check_all(&matrix, bits, &(struct test_shape){.m = 14, .fill = -1, .a_zero = 128, .bias = true}, &state);
            test_matrix_free(&matrix);
        }
    }
}

/* What packing must find: groups and quads that are not all zero; 4 bits take half the bytes. */
static void test_density(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(64, 256, 64, 4, &state);
    memset(matrix.w, 0, matrix.n * matrix.k * sizeof *matrix.w);
    for (size_t r = 0; r < 32; r++)
        for (size_t k = 64; k < 76; k++) matrix.w[r * 256 + k] = 5;
    size_t i = 0;
    for (const struct inc_gemm_group_kernel *kernel; (kernel = next_kernel(&i)) != NULL;) {
        struct inc_gemm_group_weights weights;
        pack_ok(kernel, NULL, &matrix, &weights);
        const size_t quads = inc_round_up(3, kernel->step);
        assert_int_equal(weights.strips[weights.n_strips - 1].n_groups, 0);
        assert_int_equal(weights.strips[0].n_groups, 1);
        assert_int_equal(weights.strips[0].ends[0], quads);
        assert_int_equal(weights.strips[0].k[0], 16);
        assert_true(weights.density == (double)quads / 2 / 64);
        inc_gemm_group_release(test_ctx(), &weights);
    }
    test_matrix_free(&matrix);
}

static enum incise_status pack_status(unsigned bits, size_t n, size_t k, size_t group, int16_t value)
{
    uint64_t state = 1;
    struct test_matrix matrix = make_matrix(n, k, group ? group : k, bits, &state);
    for (size_t i = 0; i < n * k; i++) matrix.w[i] = value;
    struct inc_gemm_group_weights weights;
    test_clear_error();
    const enum incise_status status = inc_gemm_group_pack(
        test_ctx(), NULL, inc_gemm_group_select(INCISE_ISA_SCALAR, bits), n, k, group, matrix_row, &matrix, &weights);
    inc_gemm_group_release(test_ctx(), &weights);
    test_matrix_free(&matrix);
    return status;
}

static void test_refusals(void **unused)
{
    (void)unused;
    assert_int_equal(pack_status(4, 1, INC_QUADS_MAX_K + 1, 32, 1), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "65537"));
    assert_int_equal(pack_status(4, 1, 64, 30, 1), INCISE_ERROR_DATA);
    assert_int_equal(pack_status(4, 1, 64, 0, 1), INCISE_ERROR_DATA);
    assert_int_equal(pack_status(4, 1, 64, 32, 8), INCISE_ERROR_DATA);
    assert_int_equal(pack_status(4, 1, 64, 32, -9), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "[-8, 7]"));
    assert_int_equal(pack_status(8, 1, 64, 32, 256), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "[-255, 255]"));
    assert_int_equal(pack_status(8, 1, INT32_MAX / 255 / 255 + 1, 64, -255), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "32 bits"));
    assert_int_equal(pack_status(4, 1, 3, 3, 7), INCISE_OK);
    assert_int_equal(test_live_allocations(), 0);
}

/* Packing on a pool gives the same bytes, or fails whole; a range of outputs is strips + i; NaN scales make NaN
 * rows. */
static void test_use(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    struct test_matrix matrix = make_matrix(100, 64, 32, 4, &state);
    struct inc_pool *pool;
    assert_int_equal(inc_pool_create(test_ctx(), 3, false, &pool), INCISE_OK);
    const size_t live = test_live_allocations();
    size_t i = 0;
    for (const struct inc_gemm_group_kernel *kernel; (kernel = next_kernel(&i)) != NULL;) {
        struct inc_gemm_group_weights one, many;
        pack_ok(kernel, NULL, &matrix, &one);
        pack_ok(kernel, pool, &matrix, &many);
        assert_int_equal(one.bytes, many.bytes);
        for (size_t s = 0; s < one.n_strips; s++)
            assert_memory_equal(one.strips[s].w, many.strips[s].w, 16 * kernel->nr * kernel->bits / 2);
        inc_gemm_group_release(test_ctx(), &many);
        uint8_t a[2 * 64];
        float whole[2 * 100], part[2 * 100];
        const float scale[2] = {0.5f, NAN};
        for (size_t j = 0; j < sizeof a; j++) a[j] = (uint8_t)test_random(&state);
        kernel->run(2, 100, one.strips, a, 64, 128, scale, matrix.bias, whole, 100);
        for (size_t j = 0; j < 100; j += kernel->nr)
            kernel->run(2, inc_min_size(kernel->nr, 100 - j), one.strips + j / kernel->nr, a, 64, 128, scale,
                        matrix.bias + j, part + j, 100);
        assert_memory_equal(whole, part, 100 * sizeof(float));
        for (size_t j = 0; j < 100; j++) assert_true(isnan(whole[100 + j]) && isnan(part[100 + j]));
        inc_gemm_group_release(test_ctx(), &one);
        size_t failures = 0;
        for (enum incise_status status = INCISE_ERROR_MEMORY; status != INCISE_OK; failures++) {
            test_fail_after(failures);
            status = inc_gemm_group_pack(test_ctx(), pool, kernel, 100, 64, 32, matrix_row, &matrix, &many);
            test_fail_after(SIZE_MAX);
            assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
            if (status) assert_int_equal(test_live_allocations(), live);
        }
        assert_int_equal(failures, 7 + many.n_strips); /* six arrays, each strip, success */
        inc_gemm_group_release(test_ctx(), &many);
    }
    inc_pool_destroy(pool);
    test_matrix_free(&matrix);
    assert_int_equal(test_live_allocations(), 0);
}

static void test_select(void **unused)
{
    (void)unused;
    for (unsigned bits = 4; bits <= 8; bits += 4) {
        assert_string_equal(inc_gemm_group_select(INCISE_ISA_SCALAR, bits)->name,
                            bits == 4 ? "scalar i4" : "scalar i8");
        assert_string_equal(inc_gemm_group_select(INCISE_ISA_AVX512, bits)->name, bits == 4 ? "avx2 i4" : "avx2 i8");
        assert_string_equal(inc_gemm_group_select(INCISE_ISA_BF16, bits)->name, bits == 4 ? "vnni i4" : "vnni i8");
        assert_int_equal(inc_gemm_group_select(INCISE_ISA_VNNI, bits)->bits, bits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_rows),    cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_sparse),  cmocka_unit_test(test_density),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_use),    cmocka_unit_test(test_select),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
