/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/refit.h"

#include <stdatomic.h>
#include <string.h>

#include "compress/linalg.h"

double inc_fit_ridge(const struct inc_fit *fit, double share)
{
    double sum = 0;
    for (size_t i = 0; i < fit->in; i++) sum += fit->inputs[i * fit->in + i];
    return sum > 0 ? share * sum / (double)fit->in : 1;
}

bool inc_fit_whole(struct inc_pool *pool, const struct inc_fit *fit, double lambda, double *solution, double *inverse)
{
    size_t n = fit->in;
    memcpy(inverse, fit->inputs, n * n * sizeof *inverse);
    for (size_t i = 0; i < n; i++) inverse[i * n + i] += lambda;
    if (!inc_linalg_invert(n, inverse)) return false;
    memset(solution, 0, fit->out * n * sizeof *solution);
    inc_linalg_multiply(pool, fit->out, n, n, 1, fit->targets, n, inverse, n, solution, n);
    inc_linalg_multiply(pool, fit->out, n, n, lambda, fit->weights, n, inverse, n, solution, n);
    return true;
}

/* ---- strips ---------------------------------------------------------------------------------------------------- */

struct refit {
    const struct inc_fit *fit;
    const struct inc_blocks *blocks;
    const bool *chosen;
    double lambda;
    double *result;
    size_t *support; /* per worker: in */
    double *matrix;  /* per worker: in x in */
    double *rows;    /* per worker: height x in */
    atomic_bool singular;
};

static size_t find_support(const struct refit *refit, size_t strip, size_t *support)
{
    const struct inc_blocks *blocks = refit->blocks;
    size_t n = 0;
    for (size_t b = 0; b < blocks->across; b++)
        for (size_t k = 0; k < inc_block_width(blocks, b) && !refit->chosen[strip * blocks->across + b]; k++)
            support[n++] = b * blocks->width + k;
    return n;
}

static void refit_strip(void *arg, size_t strip, unsigned worker)
{
    struct refit *refit = arg;
    const struct inc_fit *fit = refit->fit;
    size_t first = strip * refit->blocks->height, height = inc_strip_height(refit->blocks, strip);
    size_t *support = refit->support + worker * fit->in, n = find_support(refit, strip, support);
    double *matrix = refit->matrix + worker * fit->in * fit->in;
    double *rows = refit->rows + worker * inc_min_size(refit->blocks->height, fit->out) * fit->in;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) matrix[i * n + j] = fit->inputs[support[i] * fit->in + support[j]];
        matrix[i * n + i] += refit->lambda;
        for (size_t r = 0; r < height; r++) {
            size_t at = (first + r) * fit->in + support[i];
            rows[r * n + i] = fit->targets[at] + refit->lambda * fit->weights[at];
        }
    }
    memset(refit->result + first * fit->in, 0, height * fit->in * sizeof(double));
    if (n == 0) return;
    if (!inc_linalg_cholesky(n, matrix, n)) {
        atomic_store(&refit->singular, true);
        return;
    }
    inc_linalg_solve_rows(n, matrix, n, height, rows, n);
    for (size_t r = 0; r < height; r++)
        for (size_t i = 0; i < n; i++) refit->result[(first + r) * fit->in + support[i]] = rows[r * n + i];
}

enum incise_status inc_fit_masked(const struct inc_ctx *ctx, struct inc_pool *pool, const struct inc_fit *fit,
                                  const struct inc_blocks *blocks, const bool *chosen, double lambda, double *result)
{
    size_t workers = inc_pool_threads(pool), height = inc_min_size(blocks->height, fit->out);
    size_t row_bytes = fit->in * sizeof(double);
    struct refit refit = {.fit = fit, .blocks = blocks, .chosen = chosen, .lambda = lambda, .result = result};
    refit.support = inc_alloc_array(ctx, workers * fit->in, sizeof *refit.support);
    refit.matrix = inc_alloc_array(ctx, workers * fit->in, row_bytes);
    refit.rows = inc_alloc_array(ctx, workers * height, row_bytes);
    enum incise_status status = INCISE_OK;
    if (refit.support == NULL || refit.matrix == NULL || refit.rows == NULL) {
        status = inc_fail_memory(ctx, workers * fit->in * row_bytes, "a refit");
    } else {
        inc_pool_run(pool, refit_strip, &refit, blocks->down);
        if (atomic_load(&refit.singular)) status = INCISE_ERROR_FAILED;
    }
    inc_free(ctx, refit.support);
    inc_free(ctx, refit.matrix);
    inc_free(ctx, refit.rows);
    return status;
}

enum incise_status inc_fit_loss(const struct inc_ctx *ctx, struct inc_pool *pool, const struct inc_fit *fit,
                                const double *v, double *loss)
{
    size_t n = fit->out * fit->in;
    double *product = inc_alloc_zero(ctx, n, sizeof *product), sum = 0;
    if (product == NULL) return inc_fail_memory(ctx, n * sizeof *product, "a refit");
    inc_linalg_multiply(pool, fit->out, fit->in, fit->in, 1, v, fit->in, fit->inputs, fit->in, product, fit->in);
    for (size_t i = 0; i < n; i++) sum += v[i] * (product[i] - 2 * fit->targets[i]);
    inc_free(ctx, product);
    *loss = sum;
    return INCISE_OK;
}
