/* SPDX-License-Identifier: Apache-2.0 */
/* Dense algebra for offline work, over OpenBLAS and LAPACK. Matrices are row-major; `ld` is the distance of two rows in
 * elements. Functions without a pool compute on the calling thread only, so that callers can spread independent strips
 * over one; those with a pool give the same bits for any number of threads. */
#ifndef INC_COMPRESS_LINALG_H
#define INC_COMPRESS_LINALG_H

#include "base/threads.h"

/* Call before the others: from then on BLAS calls of this process start no threads. Warns if OpenBLAS does not know the
 * CPU and falls back to SSE, which is some five times slower. */
void inc_linalg_begin(const struct inc_ctx *ctx);

/* out[i, j] += sum over t < n of a[t, i] * b[t, j], for `a` n x a_width and `b` n x b_width: products of floats, summed
 * in float over tiles of rows and in double over tiles. `lower`: only j <= i is computed (a == b: half the work). */
void inc_linalg_add_products(struct inc_pool *pool, size_t n, const float *a, size_t lda, size_t a_width,
                             const float *b, size_t ldb, size_t b_width, bool lower, double *out);
/* Copies the lower triangle of a[n, n] into the upper one. */
void inc_linalg_mirror(size_t n, double *a);

/* c[m, n] += alpha * a[m, k] b[k, n]; c[m, n] += alpha * a[m, k] b[n, k]^T. */
void inc_linalg_multiply(struct inc_pool *pool, size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda,
                         const double *b, size_t ldb, double *c, size_t ldc);
void inc_linalg_multiply_transposed(size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda,
                                    const double *b, size_t ldb, double *c, size_t ldc);
/* The lower triangle of c[n, n] -= a[n, k] a^T. */
void inc_linalg_downdate(size_t n, size_t k, const double *a, size_t lda, double *c);

/* The lower triangle of a[n, n] becomes L with L L^T = a. False if `a` is not positive definite. */
bool inc_linalg_cholesky(size_t n, double *a, size_t lda) __attribute__((warn_unused_result));
/* b[m, n] <- b (L L^T)^-1, row by row. */
void inc_linalg_solve_rows(size_t n, const double *l, size_t ldl, size_t m, double *b, size_t ldb);
/* b[m, n] <- b L^-T. */
void inc_linalg_divide_rows(size_t n, const double *l, size_t ldl, size_t m, double *b, size_t ldb);
/* a[n, n], positive definite, becomes its inverse, both triangles. False if it is not positive definite. */
bool inc_linalg_invert(size_t n, double *a) __attribute__((warn_unused_result));

#endif
