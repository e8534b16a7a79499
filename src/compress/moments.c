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
static enum incise_status add_sums(const struct inc_moments *moments, const char *name, size_t n, size_t width,
                                   const float *rows, size_t stride, double *sums)
{
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < width; i++) sums[i] += (double)rows[t * stride + i];
    for (size_t i = 0; i < width; i++)
        if (!isfinite(sums[i]))
            return inc_fail(moments->ctx, INCISE_ERROR_DATA,
                            "layer '%s': channel %zu of its rows is not finite on the calibration texts", name, i);
    return INCISE_OK;
}

enum incise_status inc_moments_add(struct inc_moments *moments, struct inc_pool *pool, const char *name, size_t n,
                                   const float *left, size_t left_stride, const float *right, size_t right_stride)
{
    INC_TRY(add_sums(moments, name, n, moments->left, left, left_stride, moments->left_sum));
    if (moments->gram) {
        right = left;
        right_stride = left_stride;
    } else {
        INC_TRY(add_sums(moments, name, n, moments->right, right, right_stride, moments->right_sum));
    }
    inc_linalg_add_products(pool, n, left, left_stride, moments->left, right, right_stride, moments->right,
                            moments->gram, moments->products);
    moments->n += (double)n;
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
