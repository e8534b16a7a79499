/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/moments.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/linalg.h"

enum incise_status inc_moments_create(const struct inc_ctx *ctx, size_t left, size_t right, struct inc_moments *moments)
{
    *moments = (struct inc_moments){.ctx = ctx, .left = left, .right = right > 0 ? right : left, .gram = right == 0};
    moments->left_sum = inc_alloc_zero(ctx, left, sizeof(double));
    moments->right_sum = right > 0 ? inc_alloc_zero(ctx, right, sizeof(double)) : moments->left_sum;
    moments->products = inc_alloc_zero(ctx, left, moments->right * sizeof(double));
    if (moments->left_sum != NULL && moments->right_sum != NULL && moments->products != NULL) return INCISE_OK;
    return inc_fail_memory(ctx, left * moments->right * sizeof(double), "statistics");
}

void inc_moments_release(struct inc_moments *moments)
{
    if (moments->ctx == NULL) return;
    if (!moments->gram) inc_free(moments->ctx, moments->right_sum);
    inc_free(moments->ctx, moments->left_sum);
    inc_free(moments->ctx, moments->products);
    memset(moments, 0, sizeof *moments);
}

/* Sums of columns. Anything that is not finite makes its sum so. */
static enum incise_status add_sums(const struct inc_moments *moments, const char *name,
                                   const struct inc_row_pairs *pairs, size_t width, const float *rows, size_t stride,
                                   double *sums)
{
    for (size_t t = 0; t < pairs->n; t++) {
        double weight = pairs->weights != NULL ? (double)pairs->weights[t] : 1;
        for (size_t i = 0; i < width; i++) sums[i] += weight * (double)rows[t * stride + i];
    }
    for (size_t i = 0; i < width; i++)
        if (!isfinite(sums[i]))
            return inc_fail(moments->ctx, INCISE_ERROR_DATA,
                            "layer '%s': channel %zu of its rows is not finite on the calibration texts", name, i);
    return INCISE_OK;
}

/* Each row times its weight, or the root of it, into a dense copy. */
static void copy_weighted(const struct inc_row_pairs *pairs, bool root, size_t width, const float *rows, size_t stride,
                          float *out)
{
    for (size_t t = 0; t < pairs->n; t++) {
        float weight = root ? sqrtf(pairs->weights[t]) : pairs->weights[t];
        for (size_t i = 0; i < width; i++) out[t * width + i] = weight * rows[t * stride + i];
    }
}

/* The weight goes to the left rows; in a Gram, half of it to either side. */
static enum incise_status add_weighted_products(struct inc_moments *moments, struct inc_pool *pool,
                                                const struct inc_row_pairs *pairs)
{
    size_t width = moments->left;
    bool gram = moments->gram;
    float *rows = inc_alloc_array(moments->ctx, pairs->n, width * sizeof *rows);
    if (rows == NULL) return inc_fail_memory(moments->ctx, pairs->n * width * sizeof *rows, "statistics");
    copy_weighted(pairs, gram, width, pairs->left, pairs->left_stride, rows);
    inc_linalg_add_products(pool, pairs->n, rows, width, width, gram ? rows : pairs->right,
                            gram ? width : pairs->right_stride, moments->right, gram, moments->products);
    inc_free(moments->ctx, rows);
    return INCISE_OK;
}

enum incise_status inc_moments_add(struct inc_moments *moments, struct inc_pool *pool, const char *name,
                                   const struct inc_row_pairs *pairs)
{
    bool gram = moments->gram;
    INC_TRY(add_sums(moments, name, pairs, moments->left, pairs->left, pairs->left_stride, moments->left_sum));
    if (!gram)
        INC_TRY(add_sums(moments, name, pairs, moments->right, pairs->right, pairs->right_stride, moments->right_sum));
    for (size_t t = 0; t < pairs->n; t++) moments->n += pairs->weights != NULL ? (double)pairs->weights[t] : 1;
    if (pairs->weights != NULL) return add_weighted_products(moments, pool, pairs);
    inc_linalg_add_products(pool, pairs->n, pairs->left, pairs->left_stride, moments->left,
                            gram ? pairs->left : pairs->right, gram ? pairs->left_stride : pairs->right_stride,
                            moments->right, gram, moments->products);
    return INCISE_OK;
}

void inc_moments_merge(struct inc_moments *moments, const struct inc_moments *other)
{
    moments->n += other->n;
    for (size_t i = 0; i < moments->left; i++) moments->left_sum[i] += other->left_sum[i];
    for (size_t i = 0; !moments->gram && i < moments->right; i++) moments->right_sum[i] += other->right_sum[i];
    for (size_t i = 0; i < moments->left * moments->right; i++) moments->products[i] += other->products[i];
}

void inc_moments_covariance(const struct inc_moments *moments, double *out)
{
    double scale = moments->n > 0 ? 1 / moments->n : 0;
    for (size_t i = 0; i < moments->left; i++) {
        double mean = moments->left_sum[i] * scale;
        for (size_t j = 0; j < moments->right; j++)
            out[i * moments->right + j] = (moments->products[i * moments->right + j] - mean * moments->right_sum[j]) *
                                          scale;
    }
    if (moments->gram) inc_linalg_mirror(moments->left, out);
}
