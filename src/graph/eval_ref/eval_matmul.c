/* SPDX-License-Identifier: Apache-2.0 */
/* MatMul: one accumulator per output (double, or int64 wrapping), k ascending. */
#include "base/size.h"
#include "graph/eval_ref/eval_internal.h"

enum { ROWS = 64, STRIP = 2, COLUMNS = 8 }; /* rows packed at once; rows and columns of one register tile */

/* One matrix of an operand: element (r, c) is data[r * row + c * column]. */
struct view {
    size_t rows, columns;
    size_t row, column;
};

struct product {
    struct view a, b;
    double *packed_a; /* [ROWS / STRIP][K][STRIP] */
    double *packed_b; /* [K][COLUMNS] */
};

/* An operand's last two dims; a vector is a row on the left and a column on the right, and is never transposed. */
static struct view view_of(const struct inc_tensor *tensor, bool transpose, bool left)
{
    const int64_t *dims = tensor->dims;
    int rank = tensor->rank;
    struct view v;
    if (rank == 1) {
        size_t n = (size_t)dims[0];
        return left ? (struct view){1, n, n, 1} : (struct view){n, 1, 1, n};
    }
    v = (struct view){(size_t)dims[rank - 2], (size_t)dims[rank - 1], (size_t)dims[rank - 1], 1};
    return transpose ? (struct view){v.columns, v.rows, v.column, v.row} : v;
}

static void pack_a(const struct view *a, const float *data, size_t first, size_t rows, double *out)
{
    for (size_t s = 0; s < rows; s += STRIP)
        for (size_t k = 0; k < a->columns; k++)
            for (size_t r = s; r < s + STRIP; r++)
                *out++ = r < rows ? (double)data[(first + r) * a->row + k * a->column] : 0.0;
}

static void pack_b(const struct view *b, const float *data, size_t first, size_t columns, double *out)
{
    for (size_t k = 0; k < b->rows; k++)
        for (size_t c = 0; c < COLUMNS; c++)
            *out++ = c < columns ? (double)data[k * b->row + (first + c) * b->column] : 0.0;
}

static void tile(size_t depth, const double *a, const double *b, double sum[STRIP][COLUMNS])
{
    double s0[COLUMNS] = {0}, s1[COLUMNS] = {0};
    for (size_t k = 0; k < depth; k++) {
        double a0 = a[k * STRIP], a1 = a[k * STRIP + 1];
        for (size_t c = 0; c < COLUMNS; c++) s0[c] += a0 * b[k * COLUMNS + c];
        for (size_t c = 0; c < COLUMNS; c++) s1[c] += a1 * b[k * COLUMNS + c];
    }
    for (size_t c = 0; c < COLUMNS; c++) sum[0][c] = s0[c];
    for (size_t c = 0; c < COLUMNS; c++) sum[1][c] = s1[c];
}

static void multiply(const struct product *p, const float *a, const float *b, float *out)
{
    size_t m = p->a.rows, depth = p->a.columns, n = p->b.columns;
    for (size_t first = 0; first < m; first += ROWS) {
        size_t rows = inc_min_size(ROWS, m - first);
        pack_a(&p->a, a, first, rows, p->packed_a);
        for (size_t column = 0; column < n; column += COLUMNS) {
            size_t columns = inc_min_size(COLUMNS, n - column);
            pack_b(&p->b, b, column, columns, p->packed_b);
            for (size_t s = 0; s < rows; s += STRIP) {
                double sum[STRIP][COLUMNS];
                tile(depth, p->packed_a + s * depth, p->packed_b, sum);
                for (size_t r = 0; r < STRIP && s + r < rows; r++)
                    for (size_t c = 0; c < columns; c++) out[(first + s + r) * n + column + c] = (float)sum[r][c];
            }
        }
    }
}

static void multiply_ints(const struct product *p, const int64_t *a, const int64_t *b, struct inc_tensor *out,
                          size_t at)
{
    for (size_t r = 0; r < p->a.rows; r++) {
        for (size_t c = 0; c < p->b.columns; c++) {
            uint64_t sum = 0;
            for (size_t k = 0; k < p->a.columns; k++)
                sum += (uint64_t)a[r * p->a.row + k * p->a.column] * (uint64_t)b[k * p->b.row + c * p->b.column];
            int64_t v = (int64_t)sum;
            inc_eval_store_ints(out, at++, 1, &v);
        }
    }
}

/* A walk over the batch dims, in matrices. */
static enum incise_status batch_walk(struct inc_eval *eval, const struct inc_node *node, const struct product *p,
                                     struct inc_walk *walk)
{
    const struct inc_tensor *out = &eval->out[0];
    int matrix = (eval->in[0]->rank > 1) + (eval->in[1]->rank > 1); /* dims of the result that are not batch */
    size_t matrices = 1;
    inc_walk_init(walk, out->rank - matrix, out->dims, 2);
    for (int k = 0; k < 2; k++) {
        int rank = eval->in[k]->rank > 2 ? eval->in[k]->rank - 2 : 0;
        if (walk->rank < 0 || !inc_walk_broadcast(walk, k, rank, eval->in[k]->dims))
            return inc_node_fail(eval->scratch_graph, node, "the batch dimensions do not broadcast");
    }
    for (int d = 0; d < walk->rank; d++) matrices *= (size_t)out->dims[d];
    if (p->a.columns != p->b.rows || inc_tensor_elements(out) != matrices * p->a.rows * p->b.columns)
        return inc_node_fail(eval->scratch_graph, node, "multiplies %zu columns by %zu rows", p->a.columns, p->b.rows);
    inc_walk_start(walk);
    return INCISE_OK;
}

enum incise_status inc_eval_matmul(struct inc_eval *eval, struct inc_node *node)
{
    struct product p = {0};
    struct inc_walk walk;
    bool floats = eval->out[0].type == INC_F32;
    if (eval->in[0]->rank < 1 || eval->in[1]->rank < 1)
        return inc_node_fail(eval->scratch_graph, node, "an input is a scalar");
    p.a = view_of(eval->in[0], inc_attr_bool(node, "transpose_a"), true);
    p.b = view_of(eval->in[1], inc_attr_bool(node, "transpose_b"), false);
    INC_TRY(batch_walk(eval, node, &p, &walk));
    const void *a = floats ? (const void *)inc_eval_floats(eval, node, 0) : inc_eval_ints(eval, node, 0);
    const void *b = !a ? NULL : floats ? (const void *)inc_eval_floats(eval, node, 1) : inc_eval_ints(eval, node, 1);
    if (!b) return INCISE_ERROR_MEMORY;
    if (floats) {
        p.packed_a = inc_eval_scratch(eval, node, p.a.columns, ROWS * sizeof(double));
        p.packed_b = p.packed_a ? inc_eval_scratch(eval, node, p.b.rows, COLUMNS * sizeof(double)) : NULL;
        if (!p.packed_b) return INCISE_ERROR_MEMORY;
    }
    size_t size_a = p.a.rows * p.a.columns, size_b = p.b.rows * p.b.columns, size = p.a.rows * p.b.columns, at = 0;
    for (size_t r = 0; size > 0 && r < walk.runs; r++, inc_walk_next(&walk)) {
        for (int64_t i = 0; i < walk.run; i++, at += size) {
            size_t from_a = (size_t)(walk.offset[0] + i * walk.step[0]) * size_a;
            size_t from_b = (size_t)(walk.offset[1] + i * walk.step[1]) * size_b;
            if (floats)
                multiply(&p, (const float *)a + from_a, (const float *)b + from_b, (float *)eval->out[0].data + at);
            else
                multiply_ints(&p, (const int64_t *)a + from_a, (const int64_t *)b + from_b, &eval->out[0], at);
        }
    }
    return INCISE_OK;
}
