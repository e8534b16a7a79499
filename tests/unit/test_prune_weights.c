/* SPDX-License-Identifier: Apache-2.0 */
/* inc_prune: the percentile rule, blocks in both orientations, every constant type, shared constants, bad options. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/changes.h"
#include "compress/percentile.h"
#include "graph/weight.h"
#include "support/small_graph.h"
#include "support/support.h"

static size_t n_changes; /* of the last prune() */

static enum incise_status prune(struct inc_graph *graph, const char *pattern, const char *method, double sparsity,
                                const char *select, struct incise_change *first)
{
    struct incise_prune_options options;
    struct incise_changes *changes;
    incise_prune_options_init(&options);
    options.pattern = pattern;
    options.method = method;
    options.sparsity = sparsity;
    options.select = select;
    options.seed = 7;
    assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
    enum incise_status status = inc_prune(graph, NULL, &options, NULL, changes);
    n_changes = incise_changes_count(changes);
    if (status == INCISE_OK && first != NULL) {
        assert_true(incise_changes_count(changes) > 0);
        incise_changes_get(changes, 0, first);
        first->name = first->weight = NULL; /* they go with the list */
    }
    incise_changes_destroy(changes);
    return status;
}

/* The whole logical weight of a MatMul or Gather; free it. */
static float *weight_of(const struct inc_node *reader, struct inc_weight *w)
{
    bool gather = reader->op == INC_OP_GATHER;
    assert_true(inc_weight_match(reader->inputs[gather ? 0 : 1], gather || inc_attr_bool(reader, "transpose_b"), w));
    float *all = calloc((size_t)(w->out * w->in), sizeof *all);
    for (int64_t r = 0; r < w->out; r++) inc_weight_row_f32(w, r, all + r * w->in);
    return all;
}

/* ---- the rule -------------------------------------------------------------------------------------------------- */

static void percentile_is_numpys(void **state)
{
    (void)state;
    const double values[] = {4, 1, 3, 2, 0.5}, ties[] = {2, 2, 2}, one[] = {7};
    const struct {
        const double *values;
        size_t n;
        double share, expected; /* numpy.percentile(values, 100 * share) */
    } cases[] = {{values, 5, 0, 0.5},  {values, 5, 0.25, 1},  {values, 5, 0.5, 2},      {values, 5, 0.6, 2.4},
                 {values, 5, 1, 4},    {values, 5, 0.1, 0.7}, {values, 5, 0.875, 3.5},  {values, 4, 0.5, 2.5},
                 {ties, 3, 0.7, 2},    {one, 1, 0.7, 7},      {values, 2, 0.7, 3.1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double result;
        assert_int_equal(inc_percentile(test_ctx(), cases[i].values, cases[i].n, cases[i].share, &result), INCISE_OK);
        assert_true(fabs(result - cases[i].expected) <= 4e-16 * cases[i].expected);
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void percentile_orders_any_floats(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    double values[300], sorted[300];
    for (int i = 0; i < 300; i++) {
        int exponent = (int)test_random_below(&seed, 600) - 300;
        values[i] = sorted[i] = ldexp((double)test_random_float(&seed, 0, 1), exponent);
    }
    qsort(sorted, 300, sizeof *sorted, compare_doubles);
    for (int k = 0; k < 300; k++) {
        double result;
        assert_int_equal(inc_percentile(test_ctx(), values, 300, k / 299.0, &result), INCISE_OK);
        assert_true(fabs(result - sorted[k]) <= 1e-12 * (k < 299 ? sorted[k + 1] : sorted[k])); /* k/299*299 rounds */
    }
}

/* 2 x 3 blocks of 2 x 2 with known norms: L1 sums 4, 8, 12, 16, 20, 24. */
static void blocks_below_the_percentile_go(void **state)
{
    (void)state;
    double values[4 * 6];
    for (int r = 0; r < 4; r++)
        for (int k = 0; k < 6; k++) values[r * 6 + k] = (r / 2 * 3 + k / 2 + 1) * ((r + k) % 2 == 0 ? 1 : -1);
    const struct {
        double sparsity;
        int gone; /* strictly below the percentile: ceil(sparsity * 5) blocks */
    } cases[] = {{0, 0}, {0.1, 1}, {0.2, 1}, {0.5, 3}, {0.7, 4}, {0.99, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_graph *graph = small_graph();
        struct inc_value *v = small_constant(graph, "w", INC_F32, DIMS2(4, 6), values);
        struct inc_node *matmul = small_matmul(graph, "mm", v, true);
        struct incise_change change;
        struct inc_weight w;
        assert_int_equal(prune(graph, "block:2x2", "magnitude", cases[i].sparsity, NULL, &change), INCISE_OK);
        assert_int_equal(change.blocks, 6);
        assert_int_equal(change.zero_blocks, cases[i].gone);
        assert_true(change.zeros == cases[i].gone / 6.0);
        float *now = weight_of(matmul, &w);
        double lost = 0, all = 0;
        for (int k = 0; k < 24; k++) {
            bool gone = fabs(values[k]) <= cases[i].gone;
            assert_true((double)now[k] == (gone ? 0 : values[k]));
            all += values[k] * values[k];
            lost += gone ? values[k] * values[k] : 0;
        }
        assert_true(fabs(change.error - sqrt(lost / all)) < 1e-15);
        free(now);
        inc_graph_destroy(graph);
    }
}

static void norms_differ(void **state)
{
    (void)state;
    const double values[] = {3, 0, 2, 2}; /* L1 3 < 4, L2 3 > 2.83 */
    for (int l2 = 0; l2 <= 1; l2++) {
        struct inc_graph *graph = small_graph();
        struct incise_prune_options options;
        struct incise_changes *changes;
        struct inc_weight w;
        struct inc_value *v = small_constant(graph, "w", INC_F32, DIMS2(1, 4), values);
        struct inc_node *matmul = small_matmul(graph, "mm", v, true);
        incise_prune_options_init(&options);
        options.pattern = "block:1x2";
        options.norm = l2 ? "l2" : "l1";
        assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
        assert_int_equal(inc_prune(graph, NULL, &options, NULL, changes), INCISE_OK);
        float *now = weight_of(matmul, &w);
        assert_true(now[0] == (l2 ? 3.0f : 0.0f) && now[2] == (l2 ? 0.0f : 2.0f));
        free(now);
        incise_changes_destroy(changes);
        inc_graph_destroy(graph);
    }
}

/* The original experiment's figure: 605 of the 864 blocks of a 768 x 1152 matrix. */
static void original_rule_takes_605_of_864(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    double *values = calloc(768 * 1152, sizeof *values);
    for (int i = 0; i < 768 * 1152; i++) values[i] = (double)test_random_float(&seed, -1, 1);
    for (int transpose = 0; transpose <= 1; transpose++) {
        struct inc_graph *graph = small_graph();
        struct incise_change change;
        struct dims dims = transpose ? DIMS2(768, 1152) : DIMS2(1152, 768);
        (void)small_matmul(graph, "down_proj", small_constant(graph, "w", INC_F32, dims, values), transpose != 0);
        assert_int_equal(prune(graph, "block:32x32", "magnitude", 0.7, "down_proj", &change), INCISE_OK);
        assert_int_equal(change.rows, 768);
        assert_int_equal(change.columns, 1152);
        assert_int_equal(change.blocks, 864);
        assert_int_equal(change.zero_blocks, 605);
        inc_graph_destroy(graph);
    }
    free(values);
}

/* ---- layouts --------------------------------------------------------------------------------------------------- */

enum { OUT = 7, IN = 11 };

/* Each block of 3 x 4 (the last ones cut short) is all zero or untouched, the same in both orientations. */
static void orientation_does_not_matter(void **state)
{
    (void)state;
    const char *methods[] = {"magnitude", "random"};
    for (int m = 0; m < 2; m++) {
        uint64_t seed = test_seed();
        double straight[OUT * IN], turned[OUT * IN];
        for (int o = 0; o < OUT; o++)
            for (int k = 0; k < IN; k++)
                straight[o * IN + k] = turned[k * OUT + o] = (double)test_random_float(&seed, 0.5f, 1.5f);
        struct inc_graph *a = small_graph(), *b = small_graph();
        struct inc_node *x = small_matmul(a, "mm", small_constant(a, "w", INC_F32, DIMS2(OUT, IN), straight), true);
        struct inc_node *y = small_matmul(b, "mm", small_constant(b, "w", INC_F32, DIMS2(IN, OUT), turned), false);
        struct incise_change change;
        struct inc_weight w;
        assert_int_equal(prune(a, "block:3x4", methods[m], 0.5, NULL, &change), INCISE_OK);
        assert_int_equal(prune(b, "block:3x4", methods[m], 0.5, NULL, NULL), INCISE_OK);
        assert_int_equal(change.blocks, 9);
        assert_int_equal(change.zero_blocks, m == 0 ? 4 : 5); /* below the median; round(4.5) */
        float *p = weight_of(x, &w), *q = weight_of(y, &w);
        assert_memory_equal(p, q, OUT * IN * sizeof *p);
        int zero_blocks = 0;
        for (int r = 0; r < OUT; r += 3) {
            for (int k = 0; k < IN; k += 4) {
                bool gone = p[r * IN + k] == 0.0f;
                zero_blocks += gone;
                for (int i = r; i < OUT && i < r + 3; i++)
                    for (int j = k; j < IN && j < k + 4; j++)
                        assert_true(p[i * IN + j] == (gone ? 0.0f : (float)straight[i * IN + j]));
            }
        }
        assert_int_equal(zero_blocks, change.zero_blocks);
        free(p);
        free(q);
        inc_graph_destroy(a);
        inc_graph_destroy(b);
    }
}

/* A weight of any type with a zero point per row; W = (q - zero) * 0.5. */
static struct inc_value *typed_weight(struct inc_graph *graph, enum inc_type type, uint64_t *seed)
{
    double q[OUT * IN], zero[OUT];
    const double half[] = {0.5};
    bool integer = !inc_type_is_float(type), is_signed = type == INC_I8 || type == INC_I4;
    size_t levels = inc_type_bits(type) == 4 ? 16 : 256;
    double low = is_signed ? -(double)(levels / 2) : 0;
    for (int i = 0; i < OUT * IN; i++) q[i] = low + (double)test_random_below(seed, levels);
    for (int i = 0; i < OUT; i++) zero[i] = low + (double)test_random_below(seed, levels);
    struct dims dims = DIMS2(OUT, IN);
    struct inc_value *v = small_constant(graph, "w", type, dims, q);
    if (type != INC_F32) v = small_step(graph, INC_OP_CONVERT, v, NULL, INC_F32, dims);
    if (!integer) return v;
    struct inc_value *z = small_constant(graph, "w/zero_point", type, DIMS2(OUT, 1), zero);
    z = small_step(graph, INC_OP_CONVERT, z, NULL, INC_F32, DIMS2(OUT, 1));
    v = small_step(graph, INC_OP_SUBTRACT, v, z, INC_F32, dims);
    return small_step(graph, INC_OP_MULTIPLY, v, small_constant(graph, "s", INC_F32, DIMS2(1, 1), half), INC_F32, dims);
}

static void every_type_gets_its_own_zero(void **state)
{
    (void)state;
    const enum inc_type types[] = {INC_F32, INC_F16, INC_BF16, INC_I8, INC_U8, INC_I4, INC_U4};
    const char *patterns[] = {"element", "block:1x1", "block:2x3", "block:100x1"};
    uint64_t seed = test_seed();
    for (int i = 0; i < 7 * 4; i++) {
        struct inc_graph *graph = small_graph();
        struct inc_weight w;
        struct incise_change change;
        struct inc_node *matmul = small_matmul(graph, "mm", typed_weight(graph, types[i % 7], &seed), true);
        float *before = weight_of(matmul, &w);
        const void *file_bytes = w.constant->data.data;
        unsigned char *kept = malloc(w.constant->data.bytes);
        memcpy(kept, file_bytes, w.constant->data.bytes);
        assert_int_equal(prune(graph, patterns[i / 7], "random", 0.5, NULL, &change), INCISE_OK);
        float *after = weight_of(matmul, &w);
        int zeros = 0;
        for (int k = 0; k < OUT * IN; k++) {
            assert_true(after[k] == 0.0f || after[k] == before[k]);
            zeros += after[k] == 0.0f;
        }
        assert_true(fabs(change.zeros - zeros / (double)(OUT * IN)) < 1e-12);
        assert_true(zeros >= OUT * IN / 3 && zeros < OUT * IN);
        assert_ptr_not_equal(w.constant->data.data, file_bytes);
        assert_memory_equal(kept, file_bytes, w.constant->data.bytes); /* never edited in place */
        free(kept);
        free(before);
        free(after);
        inc_graph_destroy(graph);
    }
}

/* [out, groups, 4] u4 with a zero point per group. */
static void groups_have_their_own_zero(void **state)
{
    (void)state;
    struct inc_graph *graph = small_graph();
    struct inc_weight w;
    double q[3 * 8], zero[3 * 2];
    for (int i = 0; i < 24; i++) q[i] = i % 16;
    for (int i = 0; i < 6; i++) zero[i] = 3 + i;
    struct inc_value *v = small_constant(graph, "w", INC_U4, DIMS3(3, 2, 4), q);
    v = small_step(graph, INC_OP_CONVERT, v, NULL, INC_F16, DIMS3(3, 2, 4));
    struct inc_value *z = small_constant(graph, "z", INC_U4, DIMS3(3, 2, 1), zero);
    z = small_step(graph, INC_OP_CONVERT, z, NULL, INC_F16, DIMS3(3, 2, 1));
    v = small_step(graph, INC_OP_SUBTRACT, v, z, INC_F16, DIMS3(3, 2, 4));
    v = small_step(graph, INC_OP_RESHAPE, v, NULL, INC_F16, DIMS2(3, 8));
    v = small_step(graph, INC_OP_CONVERT, v, NULL, INC_F32, DIMS2(3, 8));
    struct inc_node *matmul = small_matmul(graph, "mm", v, true);
    struct incise_change change;
    assert_int_equal(prune(graph, "block:1x8", "random", 0.7, NULL, &change), INCISE_OK);
    assert_int_equal(change.zero_blocks, 2);
    float *now = weight_of(matmul, &w);
    for (int k = 0; k < 24; k++) {
        bool gone = now[k / 8 * 8] == 0.0f && now[k / 8 * 8 + 1] == 0.0f;
        assert_true(now[k] == (gone ? 0.0f : (float)(q[k] - zero[k / 4])));
    }
    free(now);
    inc_graph_destroy(graph);
}

/* ---- shared constants, selection ------------------------------------------------------------------------------- */

static void shared_constants_are_copied_for_the_selected(void **state)
{
    (void)state;
    for (int all = 0; all <= 1; all++) {
        uint64_t seed = test_seed();
        struct inc_graph *graph = small_graph();
        struct inc_weight w;
        struct inc_value *v = typed_weight(graph, INC_U8, &seed);
        struct inc_node *a = small_matmul(graph, "a1", v, true), *b = small_matmul(graph, "b", v, true);
        struct inc_node *c = small_matmul(graph, "a2", v, true);
        struct inc_node *old = small_find(graph, "w");
        float *before = weight_of(a, &w);
        assert_int_equal(prune(graph, "block:2x2", "magnitude", 0.5, all ? NULL : "^a", NULL), INCISE_OK);
        assert_int_equal(n_changes, 1);
        float *pruned = weight_of(a, &w), *other = weight_of(b, &w);
        assert_memory_not_equal(before, pruned, OUT * IN * sizeof *before);
        assert_memory_equal(all ? pruned : before, other, OUT * IN * sizeof *before);
        assert_ptr_equal(a->inputs[1], c->inputs[1]); /* one copy for both */
        assert_int_equal(a->inputs[1] == b->inputs[1], all);
        assert_ptr_equal(b->inputs[1], v);
        assert_ptr_equal(small_find(graph, "w"), old); /* still read by b */
        assert_int_equal(small_find(graph, "w/edited") == NULL, all);
        assert_int_equal(inc_graph_sort(graph), INCISE_OK);
        free(before);
        free(pruned);
        free(other);
        inc_graph_destroy(graph);
    }
}

/* A table that a Gather reads too is left alone in the Gather: prune edits MatMuls. */
static void tied_embeddings_stay(void **state)
{
    (void)state;
    struct inc_graph *graph = small_graph();
    struct inc_weight w;
    double values[12];
    for (int i = 0; i < 12; i++) values[i] = i + 1;
    struct inc_value *v = small_constant(graph, "w", INC_F32, DIMS2(4, 3), values);
    struct inc_node *gather = small_gather(graph, "embed", v), *head = small_matmul(graph, "head", v, true);
    assert_int_equal(prune(graph, "element", "magnitude", 0.5, NULL, NULL), INCISE_OK);
    float *table = weight_of(gather, &w), *head_weight = weight_of(head, &w);
    for (int i = 0; i < 12; i++) {
        assert_true(table[i] == (float)(i + 1));
        assert_true(head_weight[i] == (i < 6 ? 0.0f : (float)(i + 1)));
    }
    free(table);
    free(head_weight);
    inc_graph_destroy(graph);
}

static struct inc_graph *three_layers(void)
{
    const double values[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const char *names[] = {"layer.0/up", "layer.0/down", "layer.1/up"}, *weights[] = {"u0", "d0", "u1"};
    struct inc_graph *graph = small_graph();
    for (int i = 0; i < 3; i++)
        (void)small_matmul(graph, names[i], small_constant(graph, weights[i], INC_F32, DIMS2(4, 4), values), true);
    return graph;
}

static void names_and_weights_select(void **state)
{
    (void)state;
    const struct {
        const char *select, *ignore;
        const char *edited[4];
    } cases[] = {{NULL, NULL, {"layer.0/up", "layer.0/down", "layer.1/up"}},
                 {"up$", NULL, {"layer.0/up", "layer.1/up"}},
                 {"^u[0-9]$", NULL, {"layer.0/up", "layer.1/up"}},
                 {"up|down", "layer\\.0/up", {"layer.0/down", "layer.1/up"}},
                 {NULL, "^u", {"layer.0/down"}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_graph *graph = three_layers();
        struct incise_prune_options options;
        struct incise_changes *changes;
        size_t n = 0;
        incise_prune_options_init(&options);
        options.pattern = "element";
        options.select = cases[i].select;
        options.ignore = cases[i].ignore;
        assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
        assert_int_equal(inc_prune(graph, NULL, &options, NULL, changes), INCISE_OK);
        for (; cases[i].edited[n] != NULL; n++) {
            struct incise_change change;
            assert_true(n < incise_changes_count(changes));
            incise_changes_get(changes, n, &change);
            assert_string_equal(change.name, cases[i].edited[n]);
            assert_true(change.zeros == 0.5);
        }
        assert_int_equal(incise_changes_count(changes), n);
        incise_changes_destroy(changes);
        inc_graph_destroy(graph);
    }
}

static void bad_options_are_named(void **state)
{
    (void)state;
    const struct {
        const char *pattern, *method, *norm, *select;
        double sparsity;
        const char *part;
    } cases[] = {{"block:32", "magnitude", "l1", NULL, 0.5, "pattern 'block:32'"},
                 {"block:0x4", "magnitude", "l1", NULL, 0.5, "pattern"},
                 {"block:4x4 ", "magnitude", "l1", NULL, 0.5, "pattern"},
                 {"block:-4x4", "magnitude", "l1", NULL, 0.5, "pattern"},
                 {"block:4x99999999999999999999", "magnitude", "l1", NULL, 0.5, "pattern"},
                 {"head", "magnitude", "l1", NULL, 0.5, "pattern 'head'"},
                 {"channel", "magnitude", "l1", NULL, 0.5, "texts to calibrate"},
                 {NULL, "magnitude", "l1", NULL, 0.5, "pattern ''"},
                 {"element", "owl", "l1", NULL, 0.5, "method 'owl'"},
                 {"element", "wanda", "l1", NULL, 0.5, "texts to calibrate"},
                 {"element", "obs", "l1", NULL, 0.5, "texts to calibrate"},
                 {"element", "magnitude", "l3", NULL, 0.5, "norm 'l3'"},
                 {"element", "magnitude", "l1", NULL, 1.0, "sparsity 1"},
                 {"element", "magnitude", "l1", NULL, -0.1, "sparsity -0.1"},
                 {"element", "magnitude", "l1", NULL, (double)NAN, "sparsity"},
                 {"element", "magnitude", "l1", "(", 0.5, "select '('"},
                 {"element", "magnitude", "l1", "q_proj", 0.5, "'layer.0/down'"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_graph *graph = three_layers();
        struct incise_prune_options options;
        struct incise_changes *changes;
        incise_prune_options_init(&options);
        options.pattern = cases[i].pattern;
        options.method = cases[i].method;
        options.norm = cases[i].norm;
        options.sparsity = cases[i].sparsity;
        options.select = cases[i].select;
        assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
        test_clear_error();
        assert_int_equal(inc_prune(graph, NULL, &options, NULL, changes), INCISE_ERROR_USAGE);
        assert_non_null(strstr(test_last_error(), cases[i].part));
        incise_changes_destroy(changes);
        inc_graph_destroy(graph);
    }
}

/* ---- seeds, hostile weights, memory ---------------------------------------------------------------------------- */

static void random_blocks_follow_the_seed(void **state)
{
    (void)state;
    double values[40 * 40];
    float *results[3];
    for (int i = 0; i < 1600; i++) values[i] = 1;
    for (int i = 0; i < 3; i++) {
        struct inc_graph *graph = small_graph();
        struct incise_prune_options options;
        struct incise_changes *changes;
        struct inc_weight w;
        struct inc_value *v = small_constant(graph, "w", INC_F32, DIMS2(40, 40), values);
        struct inc_node *matmul = small_matmul(graph, "mm", v, true);
        incise_prune_options_init(&options);
        options.pattern = "block:2x2";
        options.method = "random";
        options.sparsity = 0.3;
        options.seed = i == 2 ? 2 : 1;
        assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
        assert_int_equal(inc_prune(graph, NULL, &options, NULL, changes), INCISE_OK);
        assert_int_equal(changes->rows[0].zero_blocks, 120); /* exactly round(0.3 * 400) */
        results[i] = weight_of(matmul, &w);
        incise_changes_destroy(changes);
        inc_graph_destroy(graph);
    }
    assert_memory_equal(results[0], results[1], 1600 * sizeof(float));
    assert_memory_not_equal(results[0], results[2], 1600 * sizeof(float));
    for (int i = 0; i < 3; i++) free(results[i]);
}

static void non_finite_weights_stop_it(void **state)
{
    (void)state;
    struct inc_graph *graph = small_graph();
    const double values[] = {1, 2, (double)NAN, 4};
    (void)small_matmul(graph, "mm", small_constant(graph, "broken", INC_F32, DIMS2(2, 2), values), true);
    test_clear_error();
    assert_int_equal(prune(graph, "element", "magnitude", 0.5, NULL, NULL), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "'broken'"));
    assert_non_null(strstr(test_last_error(), "weight 2 is nan"));
    inc_graph_destroy(graph);
}

/* Levels -1.5, -0.5, 0.5, 1.5: none at zero. */
static void fake_quantize_without_zero_stops_it(void **state)
{
    (void)state;
    for (int levels = 4; levels <= 5; levels++) {
        struct inc_graph *graph = small_graph();
        const double values[] = {1, 0.5, -1, 1.5}, low = -1.5, high = 1.5;
        struct inc_value *inputs[5];
        inputs[0] = small_constant(graph, "w", INC_F32, DIMS2(2, 2), values);
        inputs[1] = inputs[3] = small_constant(graph, "low", INC_F32, DIMS2(1, 1), &low);
        inputs[2] = inputs[4] = small_constant(graph, "high", INC_F32, DIMS2(1, 1), &high);
        struct inc_node *fq = inc_graph_add(graph, INC_OP_FAKE_QUANTIZE, "fq", inputs, 5, NULL);
        assert_non_null(fq);
        inc_attr_set_int(fq, "levels", levels);
        fq->outputs[0].type = INC_F32;
        fq->outputs[0].shape = inputs[0]->shape;
        (void)small_matmul(graph, "mm", &fq->outputs[0], true);
        test_clear_error();
        assert_int_equal(prune(graph, "element", "random", 0.5, NULL, NULL),
                         levels == 4 ? INCISE_ERROR_DATA : INCISE_OK);
        if (levels == 4) assert_non_null(strstr(test_last_error(), "'fq'"));
        inc_graph_destroy(graph);
    }
}

static void failed_allocations_are_reported(void **state)
{
    (void)state;
    enum incise_status status = INCISE_ERROR_MEMORY;
    size_t before = test_live_allocations();
    for (size_t n = 0; status != INCISE_OK; n++) {
        uint64_t seed = 1;
        struct inc_graph *graph = small_graph();
        struct incise_prune_options options;
        struct incise_changes *changes;
        struct inc_value *v = typed_weight(graph, INC_U4, &seed);
        (void)small_matmul(graph, "a", v, true);
        (void)small_matmul(graph, "b", v, true);
        incise_prune_options_init(&options);
        options.select = "a";
        options.pattern = "block:2x2";
        assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
        test_clear_error();
        test_fail_after(n);
        status = inc_prune(graph, NULL, &options, NULL, changes);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || (status == INCISE_ERROR_MEMORY && test_last_error()[0] != '\0'));
        incise_changes_destroy(changes);
        inc_graph_destroy(graph);
        assert_int_equal(test_live_allocations(), before);
        assert_true(n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentile_is_numpys), cmocka_unit_test(percentile_orders_any_floats),
        cmocka_unit_test(blocks_below_the_percentile_go), cmocka_unit_test(norms_differ),
        cmocka_unit_test(original_rule_takes_605_of_864), cmocka_unit_test(orientation_does_not_matter),
        cmocka_unit_test(every_type_gets_its_own_zero), cmocka_unit_test(groups_have_their_own_zero),
        cmocka_unit_test(shared_constants_are_copied_for_the_selected), cmocka_unit_test(tied_embeddings_stay),
        cmocka_unit_test(names_and_weights_select), cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(random_blocks_follow_the_seed), cmocka_unit_test(non_finite_weights_stop_it),
        cmocka_unit_test(fake_quantize_without_zero_stops_it), cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
