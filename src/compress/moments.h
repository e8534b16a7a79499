/* SPDX-License-Identifier: Apache-2.0 */
/* First and second moments of token rows, as plain sums: adding the sums of two sets of rows gives those of both. */
#ifndef INC_COMPRESS_MOMENTS_H
#define INC_COMPRESS_MOMENTS_H

#include "base/threads.h"

/* Sums over pairs (l, r) of rows of the same token. A Gram matrix is the case in which l and r are the same row. */
struct inc_moments {
    const struct inc_ctx *ctx;
    size_t left, right; /* widths */
    bool gram;          /* l == r: only the lower triangle of `products` is kept up */
    double n;           /* rows, or the sum of their weights */
    double *left_sum;   /* left */
    double *right_sum;  /* right; of a Gram, the same array */
    double *products;   /* left x right: sum of l r^T */
};

/* right == 0: a Gram of rows `left` wide. Zeroed. Release in any case. */
enum incise_status inc_moments_create(const struct inc_ctx *ctx, size_t left, size_t right, struct inc_moments *moments)
    __attribute__((warn_unused_result));
void inc_moments_release(struct inc_moments *moments);

/* `n` rows of either side; strides in floats. `right` is not looked at for a Gram. */
struct inc_row_pairs {
    size_t n;
    const float *left, *right;
    size_t left_stride, right_stride;
    const float *weights; /* n: how often each pair counts; NULL: once */
};

/* Adds pairs. INCISE_ERROR_DATA for a number that is not finite, in the words "layer '<name>'". */
enum incise_status inc_moments_add(struct inc_moments *moments, struct inc_pool *pool, const char *name,
                                   const struct inc_row_pairs *pairs) __attribute__((warn_unused_result));
/* Adds the sums of `other`, of the same widths. */
void inc_moments_merge(struct inc_moments *moments, const struct inc_moments *other);

/* The covariance E[l r^T] - E[l] E[r]^T into out[left, right], both triangles; zeros if there are no rows. */
void inc_moments_covariance(const struct inc_moments *moments, double *out);

#endif
