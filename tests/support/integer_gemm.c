/* SPDX-License-Identifier: Apache-2.0 */
#include "support/integer_gemm.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static void *zeros(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    assert_non_null(memory);
    return memory;
}

struct test_matrix test_matrix_create(size_t n, size_t k, size_t group, float least_scale, uint64_t *state)
{
    struct test_matrix matrix = {.n = n, .k = k, .group = group, .n_groups = (k + group - 1) / group};
    matrix.w = zeros(n * k, sizeof *matrix.w);
    matrix.scale = zeros(n * matrix.n_groups, sizeof(float));
    matrix.bias = zeros(n, sizeof(float));
    for (size_t i = 0; i < n * matrix.n_groups; i++) matrix.scale[i] = test_random_float(state, least_scale, 0.02f);
    for (size_t i = 0; i < n; i++) matrix.bias[i] = test_random_float(state, -1, 1);
    return matrix;
}

void test_matrix_free(struct test_matrix *matrix)
{
    free(matrix->w);
    free(matrix->scale);
    free(matrix->bias);
}

void test_matrix_prune(struct test_matrix *matrix, size_t rows, size_t columns, double share, uint64_t *state)
{
    for (size_t r = 0; r < matrix->n; r += rows) {
        for (size_t c = 0; c < matrix->k; c += columns) {
            if (test_random_float(state, 0, 1) >= (float)share) continue;
            for (size_t i = r; i < inc_min_size(r + rows, matrix->n); i++)
                for (size_t j = c; j < inc_min_size(c + columns, matrix->k); j++) matrix->w[i * matrix->k + j] = 0;
        }
    }
}

static uint8_t activation(const struct test_shape *shape, size_t i, uint64_t *state)
{
    if (shape->fill == -1) return (uint8_t)test_random(state);
    return shape->fill == -2 ? (uint8_t)(i & 1 ? 255 : 0) : (uint8_t)shape->fill;
}

void test_product_open(struct test_product *product, const struct test_matrix *matrix, const struct test_shape *shape,
                       uint64_t *state)
{
    const size_t m = shape->m, n = matrix->n, k4 = inc_round_up(matrix->k, 4);
    *product = (struct test_product){.m = m, .n = n, .lda = k4 + shape->lda_extra, .ldc = n + shape->ldc_extra};
    product->offset = shape->offset;
    product->a_bytes = (m - 1) * product->lda + k4;
    product->c_floats = (m - 1) * product->ldc + n;
    product->a = (uint8_t *)test_guarded_alloc(product->a_bytes + shape->offset, shape->offset == 0) + shape->offset;
    product->c = test_guarded_alloc(product->c_floats * sizeof(float), 1);
    product->a_scale = test_guarded_alloc(m * sizeof(float), 1);
    product->bias_block = test_guarded_alloc(n * sizeof(float), 1);
    product->bias = shape->bias ? product->bias_block : NULL;
    for (size_t i = 0; i < product->a_bytes; i++) product->a[i] = activation(shape, i, state);
    for (size_t i = 0; i < m; i++) product->a_scale[i] = test_random_float(state, 0.001f, 0.1f);
    for (size_t i = 0; i < product->c_floats; i++) product->c[i] = TEST_PRODUCT_UNTOUCHED;
    memcpy(product->bias_block, matrix->bias, n * sizeof(float));
}

void test_product_close(struct test_product *product)
{
    test_guarded_free(product->a - product->offset, product->a_bytes + product->offset, product->offset == 0);
    test_guarded_free(product->c, product->c_floats * sizeof(float), 1);
    test_guarded_free(product->a_scale, product->m * sizeof(float), 1);
    test_guarded_free(product->bias_block, product->n * sizeof(float), 1);
}
