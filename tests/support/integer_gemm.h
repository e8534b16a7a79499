/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of integer products share: matrices, and operands in guarded memory, of a shape and a filling. */
#ifndef TESTS_SUPPORT_INTEGER_GEMM_H
#define TESTS_SUPPORT_INTEGER_GEMM_H

#include "support/support.h"

struct test_matrix {
    size_t n, k, group, n_groups;
    int16_t *w;          /* [n][k] */
    float *scale, *bias; /* [n][n_groups], [n] */
};

/* Zeros, with scales from `least_scale` to 0.02. */
struct test_matrix test_matrix_create(size_t n, size_t k, size_t group, float least_scale, uint64_t *state);
void test_matrix_free(struct test_matrix *matrix);
/* Zeroes `share` of the blocks of rows x columns. */
void test_matrix_prune(struct test_matrix *matrix, size_t rows, size_t columns, double share, uint64_t *state);

struct test_shape {
    size_t m, lda_extra, ldc_extra, offset; /* offset: bytes A starts behind an aligned address */
    int32_t a_zero;
    int fill; /* -1 random bytes, else this byte everywhere; -2 alternating 0 and 255 */
    bool bias;
};

/* Operands as kernels take them; each ends, or A where it has an offset begins, at memory that cannot be read. */
struct test_product {
    size_t m, n, lda, ldc;
    uint8_t *a;
    float *a_scale, *bias, *c; /* bias: NULL without one */
    size_t a_bytes, offset, c_floats;
    float *bias_block;
};
#define TEST_PRODUCT_UNTOUCHED 12345.0f /* all of C */

void test_product_open(struct test_product *product, const struct test_matrix *matrix, const struct test_shape *shape,
                       uint64_t *state);
void test_product_close(struct test_product *product);

#endif
