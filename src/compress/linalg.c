/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/linalg.h"

#include <cblas.h>
#include <lapacke.h>
#include <strings.h>

#include "base/size.h"

/* ---- sums of products ------------------------------------------------------------------------------------------ */

enum {
    TILE = 128,       /* columns of either side: enough reuse per packed panel, and tiles enough for every thread */
    TILE_ROWS = 1024, /* rows summed in float: a relative error of some 1e-6 at worst, 1e-7 typically */
};

struct products {
    size_t n, lda, ldb, a_width, b_width, across;
    const float *a, *b;
    bool lower;
    double *out;
};

static void products_tile(void *arg, size_t item, unsigned worker)
{
    const struct products *job = arg;
    float tile[TILE * TILE];
    size_t i = item / job->across * TILE, j = item % job->across * TILE;
    (void)worker;
    if (job->lower && j > i) return;
    size_t rows = inc_min_size(TILE, job->a_width - i), columns = inc_min_size(TILE, job->b_width - j);
    for (size_t t = 0; t < job->n; t += TILE_ROWS) {
        size_t n = inc_min_size(TILE_ROWS, job->n - t);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)columns, (int)n, 1.0f,
                    job->a + t * job->lda + i, (int)job->lda, job->b + t * job->ldb + j, (int)job->ldb, 0.0f, tile,
                    (int)columns);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++)
                job->out[(i + r) * job->b_width + j + c] += (double)tile[r * columns + c];
    }
}

void inc_linalg_add_products(struct inc_pool *pool, size_t n, const float *a, size_t lda, size_t a_width,
                             const float *b, size_t ldb, size_t b_width, bool lower, double *out)
{
    struct products job = {n, lda, ldb, a_width, b_width, (b_width + TILE - 1) / TILE, a, b, lower, out};
    inc_pool_run(pool, products_tile, &job, (a_width + TILE - 1) / TILE * job.across);
}

void inc_linalg_mirror(size_t n, double *a)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) a[j * n + i] = a[i * n + j];
}

/* ---- double precision ------------------------------------------------------------------------------------------ */

void inc_linalg_begin(const struct inc_ctx *ctx)
{
    openblas_set_num_threads(1);
    if (strcasecmp(openblas_get_corename(), "prescott") == 0 && incise_isa_detect() >= INCISE_ISA_AVX2)
        inc_log(ctx, INCISE_LOG_WARNING,
                "OpenBLAS does not know this CPU and uses SSE kernels: set OPENBLAS_CORETYPE=%s for several times the "
                "speed",
                incise_isa_detect() >= INCISE_ISA_AVX512 ? "SKYLAKEX" : "HASWELL");
}

struct multiply {
    size_t m, n, k, lda, ldb, ldc;
    double alpha;
    const double *a, *b;
    double *c;
};

enum { MULTIPLY_ROWS = 64 };

static void multiply_rows(void *arg, size_t item, unsigned worker)
{
    const struct multiply *job = arg;
    size_t first = item * MULTIPLY_ROWS, rows = inc_min_size(MULTIPLY_ROWS, job->m - first);
    (void)worker;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)job->n, (int)job->k, job->alpha,
                job->a + first * job->lda, (int)job->lda, job->b, (int)job->ldb, 1.0, job->c + first * job->ldc,
                (int)job->ldc);
}

void inc_linalg_multiply(struct inc_pool *pool, size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda,
                         const double *b, size_t ldb, double *c, size_t ldc)
{
    struct multiply job = {m, n, k, lda, ldb, ldc, alpha, a, b, c};
    inc_pool_run(pool, multiply_rows, &job, (m + MULTIPLY_ROWS - 1) / MULTIPLY_ROWS);
}

void inc_linalg_multiply_transposed(size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda,
                                    const double *b, size_t ldb, double *c, size_t ldc)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, 1.0,
                c, (int)ldc);
}

void inc_linalg_downdate(size_t n, size_t k, const double *a, size_t lda, double *c)
{
    if (n > 0 && k > 0)
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)n, (int)k, -1.0, a, (int)lda, 1.0, c, (int)n);
}

/* A row-major lower triangle is a column-major upper one: LAPACK works in place, without LAPACKE's transposed copy. */
bool inc_linalg_cholesky(size_t n, double *a, size_t lda)
{
    return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', (int)n, a, (int)lda) == 0;
}

void inc_linalg_divide_rows(size_t n, const double *l, size_t ldl, size_t m, double *b, size_t ldb)
{
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)m, (int)n, 1.0, l, (int)ldl, b,
                (int)ldb);
}

void inc_linalg_solve_rows(size_t n, const double *l, size_t ldl, size_t m, double *b, size_t ldb)
{
    inc_linalg_divide_rows(n, l, ldl, m, b, ldb);
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)m, (int)n, 1.0, l, (int)ldl, b,
                (int)ldb);
}

bool inc_linalg_invert(size_t n, double *a)
{
    if (!inc_linalg_cholesky(n, a, n)) return false;
    if (LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'U', (int)n, a, (int)n) != 0) return false;
    inc_linalg_mirror(n, a);
    return true;
}
