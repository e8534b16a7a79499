/* SPDX-License-Identifier: Apache-2.0 */
/* inc_quantize: the error bound, exact zeros, the chain it writes, shared constants, what stays. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/changes.h"
#include "compress/grid.h"
#include "graph/weight.h"
#include "support/small_graph.h"
#include "support/support.h"

enum { OUT = 7, IN = 13 };

static enum incise_status quantize(struct inc_graph *graph, const char *select, struct incise_changes **changes)
{
    struct incise_quantize_options options;
    incise_quantize_options_init(&options);
    options.select = select;
    assert_int_equal(inc_changes_create(test_ctx(), changes), INCISE_OK);
    return inc_quantize(graph, NULL, &options, NULL, *changes);
}

static void match(const struct inc_node *reader, struct inc_weight *w)
{
    bool gather = reader->op == INC_OP_GATHER;
    assert_true(inc_weight_match(reader->inputs[gather ? 0 : 1], gather || inc_attr_bool(reader, "transpose_b"), w));
}

/* Row 2 is zero; every third element is zero; row 3 holds tiny values, row 4 large ones. */
static void fill(double *values, bool transpose, uint64_t *seed)
{
    for (int o = 0; o < OUT; o++) {
        for (int k = 0; k < IN; k++) {
            double v = (double)test_random_float(seed, -1, 1) * (o == 3 ? 1e-4 : o == 4 ? 1e4 : 1);
            if (o == 2 || (o + k) % 3 == 0) v = 0;
            values[transpose ? o * IN + k : k * OUT + o] = v;
        }
    }
}

static struct inc_value *float_weight(struct inc_graph *graph, enum inc_type type, bool transpose, uint64_t *seed)
{
    double values[OUT * IN];
    struct dims dims = transpose ? DIMS2(OUT, IN) : DIMS2(IN, OUT);
    fill(values, transpose, seed);
    struct inc_value *v = small_constant(graph, "w", type, dims, values);
    return type == INC_F32 ? v : small_step(graph, INC_OP_CONVERT, v, NULL, INC_F32, dims);
}

/* |w - q * scale| <= scale / 2 up to the rounding of w / scale and of q * scale in float. */
static void errors_stay_within_half_a_step(void **state)
{
    (void)state;
    const enum inc_type types[] = {INC_F32, INC_F16, INC_BF16};
    uint64_t seed = test_seed();
    for (int i = 0; i < 9; i++) {
        struct inc_graph *graph = small_graph();
        struct incise_changes *changes;
        struct inc_weight w;
        float before[OUT][IN], after[IN];
        double error = 0, square = 0;
        bool gather = i % 3 == 2, transpose = i % 3 != 1;
        struct inc_value *v = float_weight(graph, types[i / 3], transpose, &seed);
        struct inc_node *reader = gather ? small_gather(graph, "r", v) : small_matmul(graph, "r", v, transpose);
        match(reader, &w);
        for (int o = 0; o < OUT; o++) inc_weight_row_f32(&w, o, before[o]);
        assert_int_equal(quantize(graph, NULL, &changes), INCISE_OK);
        match(reader, &w);
        assert_int_equal(w.type, INC_I8);
        assert_int_equal(w.out, OUT);
        assert_int_equal(w.transposed, !transpose);
        assert_true(inc_weight_is_integer(&w));
        assert_int_equal(inc_weight_check(graph, &w), INCISE_OK);
        for (int o = 0; o < OUT; o++) {
            float limit = 0, scale = inc_weight_row_scale(&w, o);
            inc_weight_row_f32(&w, o, after);
            for (int k = 0; k < IN; k++) {
                limit = fmaxf(limit, fabsf(before[o][k]));
                double d = (double)before[o][k] - (double)after[k];
                assert_true(fabs(d) <= 0.5 * (double)scale * (1 + 1e-4)); /* 127 * 4 eps < 1e-4 */
                if (before[o][k] == 0.0f) assert_true(after[k] == 0.0f);
                error += d * d;
                square += (double)before[o][k] * (double)before[o][k];
            }
            assert_true(scale == limit / 127.0f);
        }
        assert_true(changes->n == 1 && fabs(changes->rows[0].error - sqrt(error / square)) < 1e-12);
        assert_true(changes->rows[0].error > 1e-4 && changes->rows[0].error < 0.02);
        assert_true(changes->rows[0].zeros >= 1.0 / 3);
        incise_changes_destroy(changes);
        inc_graph_destroy(graph);
    }
}

static void the_chain_is_what_readers_know(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (int transpose = 0; transpose <= 1; transpose++) {
        struct inc_graph *graph = small_graph();
        struct incise_changes *changes;
        struct inc_value *v = float_weight(graph, INC_F32, transpose != 0, &seed);
        struct inc_node *matmul = small_matmul(graph, "mm", v, transpose != 0);
        assert_int_equal(quantize(graph, NULL, &changes), INCISE_OK);
        const struct inc_node *multiply = matmul->inputs[1]->node, *convert = multiply->inputs[0]->node;
        const struct inc_node *constant = convert->inputs[0]->node, *scale = multiply->inputs[1]->node;
        assert_int_equal(multiply->op, INC_OP_MULTIPLY);
        assert_int_equal(convert->op, INC_OP_CONVERT);
        assert_int_equal(inc_attr_type(convert, "destination_type"), INC_F32);
        assert_int_equal(constant->op, INC_OP_CONSTANT);
        assert_string_equal(constant->name, "w");
        assert_string_equal(scale->name, "w/scale");
        assert_string_equal(multiply->name, "w/fq_weights_1");
        assert_int_equal(constant->data.type, INC_I8);
        assert_int_equal(constant->data.dims[0], transpose ? OUT : IN);
        assert_int_equal(scale->data.type, INC_F32);
        assert_int_equal(scale->data.dims[0], transpose ? OUT : 1);
        assert_int_equal(scale->data.dims[1], transpose ? 1 : OUT);
        assert_ptr_equal(small_find(graph, "w"), constant); /* the float one is gone */
        assert_int_equal(inc_graph_sort(graph), INCISE_OK);
        assert_string_equal(inc_info_get(graph, "incise/activations"), "dynamic");
        assert_string_equal(inc_info_get(graph, "incise/weights"), "int8");
        incise_changes_destroy(changes);
        inc_graph_destroy(graph);
    }
}

/* One table behind a Gather and a MatMul with transpose_b is quantized once; MatMul without transpose_b needs scales
 * along the other dim, hence a copy of its own; what is not selected keeps the float one. */
static void shared_constants_share_what_they_can(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct inc_graph *graph = small_graph();
    struct incise_changes *changes;
    struct inc_value *v = float_weight(graph, INC_F32, true, &seed);
    struct inc_node *gather = small_gather(graph, "a/embed", v), *head = small_matmul(graph, "a/head", v, true);
    struct inc_node *turned = small_matmul(graph, "a/turned", v, false), *other = small_matmul(graph, "b", v, true);
    assert_int_equal(quantize(graph, "^a/", &changes), INCISE_OK);
    assert_int_equal(changes->n, 2);
    assert_ptr_equal(gather->inputs[0], head->inputs[1]);
    assert_ptr_not_equal(turned->inputs[1], head->inputs[1]);
    assert_ptr_equal(other->inputs[1], v);
    struct inc_weight w;
    match(turned, &w);
    assert_int_equal(w.out, IN);
    assert_true(inc_weight_is_integer(&w));
    const struct inc_node *names[] = {v->node, w.constant, head->inputs[1]->node->inputs[0]->node->inputs[0]->node};
    for (int i = 0; i < 3; i++) assert_ptr_equal(small_find(graph, names[i]->name), names[i]); /* all differ */
    incise_changes_destroy(changes);
    inc_graph_destroy(graph);
}

static void square_constants_are_no_exception(void **state)
{
    (void)state;
    const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct inc_graph *graph = small_graph();
    struct incise_changes *changes;
    struct inc_weight w;
    struct inc_value *v = small_constant(graph, "w", INC_F32, DIMS2(3, 3), values);
    struct inc_node *straight = small_matmul(graph, "straight", v, true);
    struct inc_node *turned = small_matmul(graph, "turned", v, false);
    assert_int_equal(quantize(graph, NULL, &changes), INCISE_OK);
    assert_int_equal(changes->n, 2);
    match(straight, &w);
    assert_true(inc_weight_is_integer(&w) && inc_weight_row_scale(&w, 0) == 3.0f / 127.0f);
    match(turned, &w);
    assert_true(inc_weight_is_integer(&w) && inc_weight_row_scale(&w, 0) == 7.0f / 127.0f);
    incise_changes_destroy(changes);
    inc_graph_destroy(graph);
}

static void half_precision_readers_get_their_type(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    double values[OUT * IN];
    fill(values, true, &seed);
    struct inc_graph *graph = small_graph();
    struct incise_changes *changes;
    struct inc_value *v = small_constant(graph, "w", INC_F16, DIMS2(OUT, IN), values);
    struct inc_node *matmul = small_matmul(graph, "mm", v, true);
    assert_int_equal(quantize(graph, NULL, &changes), INCISE_OK);
    assert_int_equal(matmul->inputs[1]->type, INC_F16);
    incise_changes_destroy(changes);
    inc_graph_destroy(graph);
}

static void integers_stay(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    const double q[4] = {1, 2, 3, 4};
    struct inc_graph *graph = small_graph();
    struct incise_changes *changes;
    struct inc_value *v = small_constant(graph, "done", INC_U8, DIMS2(2, 2), q);
    v = small_step(graph, INC_OP_CONVERT, v, NULL, INC_F32, DIMS2(2, 2));
    struct inc_node *done = small_matmul(graph, "mm.done", v, true);
    (void)small_matmul(graph, "mm.open", float_weight(graph, INC_F32, true, &seed), true);
    assert_int_equal(quantize(graph, NULL, &changes), INCISE_OK);
    assert_int_equal(changes->n, 1);
    assert_string_equal(changes->rows[0].name, "mm.open");
    assert_string_equal(changes->rows[0].weight, "w");
    assert_ptr_equal(done->inputs[1], v);
    incise_changes_destroy(changes);
    test_clear_error();
    assert_int_equal(quantize(graph, NULL, &changes), INCISE_ERROR_USAGE); /* the second time nothing is left */
    assert_non_null(strstr(test_last_error(), "all 2 selected weights are quantized already"));
    incise_changes_destroy(changes);
    inc_graph_destroy(graph);
}

static void bad_options_are_named(void **state)
{
    (void)state;
    const struct {
        const char *weights, *tables, *round, *activations, *select, *part;
    } cases[] = {{"int3", "int8", "nearest", "dynamic", NULL, "weights 'int3'"},
                 {NULL, "int8", "nearest", "dynamic", NULL, "weights ''"},
                 {"int8", "f32", "nearest", "dynamic", NULL, "tables 'f32'"},
                 {"int8", "int8", "up", "dynamic", NULL, "round 'up'"},
                 {"int8", "int8", "gptq", "dynamic", NULL, "round 'gptq' needs calibration texts"},
                 {"int8", "int8", "nearest", "static", NULL, "activations 'static' needs calibration texts"},
                 {"int8", "int8", "nearest", "none", NULL, "activations 'none'"},
                 {"int4", "int8", "nearest", "float", NULL, "layer 'mm': groups of 32 do not divide its 13 inputs"},
                 {"int8", "int8", "nearest", "float", "nothing", "'nothing'"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t seed = 1;
        struct inc_graph *graph = small_graph();
        struct incise_quantize_options options;
        struct incise_changes *changes;
        (void)small_matmul(graph, "mm", float_weight(graph, INC_F32, true, &seed), true);
        incise_quantize_options_init(&options);
        options.weights = cases[i].weights;
        options.tables = cases[i].tables;
        options.round = cases[i].round;
        options.activations = cases[i].activations;
        options.select = cases[i].select;
        assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
        test_clear_error();
        assert_int_equal(inc_quantize(graph, NULL, &options, NULL, changes), INCISE_ERROR_USAGE);
        assert_non_null(strstr(test_last_error(), cases[i].part));
        incise_changes_destroy(changes);
        inc_graph_destroy(graph);
    }
}

enum { OUT4 = 5, IN4 = 48, GROUP = 16 };

/* Quantizes random weights to `weights` in groups of 16 and matches the result; before[] are the old ones. */
static struct inc_graph *make_groups(const char *weights, bool transpose, float magnitude, uint64_t *seed,
                                     float before[OUT4][IN4], struct inc_weight *w)
{
    double values[OUT4 * IN4];
    struct inc_graph *graph = small_graph();
    struct incise_quantize_options options;
    struct incise_changes *changes;
    for (int o = 0; o < OUT4; o++) {
        for (int k = 0; k < IN4; k++) {
            before[o][k] = o == 2 && k / GROUP == 1 ? 0.0f : magnitude * test_random_float(seed, -1, 1);
            values[transpose ? o * IN4 + k : k * OUT4 + o] = (double)before[o][k];
        }
    }
    struct dims dims = transpose ? DIMS2(OUT4, IN4) : DIMS2(IN4, OUT4);
    struct inc_node *mm = small_matmul(graph, "mm", small_constant(graph, "w", INC_F32, dims, values), transpose);
    incise_quantize_options_init(&options);
    options.weights = weights;
    options.group = GROUP;
    assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
    assert_int_equal(inc_quantize(graph, NULL, &options, NULL, changes), INCISE_OK);
    incise_changes_destroy(changes);
    match(mm, w);
    assert_int_equal(inc_weight_check(graph, w), INCISE_OK);
    return graph;
}

/* The largest weight of a group is -8 steps, which may be of either sign; what lies more than half a step beyond 7 of
 * them is cut off. The step is off by 2^-11 for scales of type f16. */
static void groups_of_int4_have_scales_of_their_own(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (int i = 0; i < 4; i++) {
        float before[OUT4][IN4], after[IN4];
        struct inc_weight w;
        bool transpose = i % 2 == 0, tiny = i / 2 == 1;
        struct inc_graph *graph = make_groups("int4", transpose, tiny ? 1e-5f : 1.0f, &seed, before, &w);
        assert_int_equal(w.type, INC_I4);
        assert_int_equal(w.group, GROUP);
        assert_int_equal(w.transposed, !transpose);
        assert_int_equal(w.constant->data.rank, 3);
        assert_int_equal(w.constant->data.bytes, OUT4 * IN4 / 2);
        assert_int_equal(w.scale.tensor->type, tiny ? INC_F32 : INC_F16);
        for (int o = 0; o < OUT4; o++) {
            inc_weight_row_f32(&w, o, after);
            for (int k = 0; k < IN4; k++) {
                const float *group = before[o] + k / GROUP * GROUP;
                float largest = 0;
                for (int j = 0; j < GROUP; j++) largest = fabsf(group[j]) > fabsf(largest) ? group[j] : largest;
                float step = largest / -8, x = step != 0 ? before[o][k] / step : 0;
                float cut = x > 7.5f ? x - 7.5f : 0;
                assert_true(fabsf(before[o][k] - after[k]) <= fabsf(step) * (0.5f + cut + 8 * 0x1p-11f));
                if (before[o][k] == largest) assert_true(fabsf(after[k] - largest) <= fabsf(largest) * 0x1p-11f);
            }
        }
        inc_graph_destroy(graph);
    }
}

static void int7_leaves_half_the_range(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    float before[OUT4][IN4];
    struct inc_weight w;
    struct inc_graph *graph = make_groups("int7", true, 1.0f, &seed, before, &w);
    const int8_t *q = w.constant->data.data;
    int largest = 0;
    assert_true(w.type == INC_I8 && inc_weight_is_integer(&w)); /* one scale per row, whatever the group */
    for (int i = 0; i < OUT4 * IN4; i++) largest = abs(q[i]) > largest ? abs(q[i]) : largest;
    assert_int_equal(largest, 63);
    inc_graph_destroy(graph);
}

static double weighted_error(const struct inc_grid *grid, const float *w, const float *importance, size_t n,
                             float scale)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        double d = (double)w[k] - (double)((float)inc_grid_round(grid, w[k], scale) * scale);
        sum += (importance != NULL ? (double)importance[k] : 1) * d * d;
    }
    return sum;
}

/* The searched scale is better than the plain one; of int4 no scale near it is much better, in a fine sweep. */
static void the_search_finds_the_best_scale(void **state)
{
    (void)state;
    static const char *const names[] = {"int8", "int7", "int4"};
    uint64_t seed = test_seed();
    for (int i = 0; i < 60; i++) {
        enum { N = 32 };
        float w[N], importance[N];
        struct inc_grid grid;
        assert_true(inc_grid_find(names[i % 3], &grid));
        for (int k = 0; k < N; k++) {
            w[k] = test_random_float(&seed, -1, 1) * test_random_float(&seed, 0, 1);
            importance[k] = test_random_float(&seed, 0, 1);
        }
        const float *weights = i % 2 == 0 ? importance : NULL;
        float plain = inc_grid_scale(&grid, w, N), found = inc_grid_search(&grid, w, weights, N);
        double best = weighted_error(&grid, w, weights, N, plain), error = weighted_error(&grid, w, weights, N, found);
        assert_true(error <= best * (1 + 1e-6));
        for (float factor = -1.3f; factor < 1.3f; factor += 0.001f)
            best = fmin(best, weighted_error(&grid, w, weights, N, plain * factor));
        if (grid.type == INC_I4) assert_true(error <= best * 1.25); /* of 255 levels some scale is always lucky */
        assert_true(inc_grid_search(&grid, (const float[N]){0}, weights, N) == 0);
    }
}

static void non_finite_weights_stop_it(void **state)
{
    (void)state;
    const double values[] = {1, (double)INFINITY, 3, 4};
    struct inc_graph *graph = small_graph();
    struct incise_changes *changes;
    (void)small_matmul(graph, "mm", small_constant(graph, "broken", INC_F32, DIMS2(2, 2), values), true);
    test_clear_error();
    assert_int_equal(quantize(graph, NULL, &changes), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "'broken'"));
    assert_non_null(strstr(test_last_error(), "weight 1 is inf"));
    incise_changes_destroy(changes);
    inc_graph_destroy(graph);
}

static void failed_allocations_are_reported(void **state)
{
    (void)state;
    enum incise_status status = INCISE_ERROR_MEMORY;
    size_t before = test_live_allocations();
    for (size_t n = 0; status != INCISE_OK; n++) {
        uint64_t seed = 1;
        struct inc_graph *graph = small_graph();
        struct incise_quantize_options options;
        struct incise_changes *changes;
        struct inc_value *v = float_weight(graph, INC_F16, true, &seed);
        (void)small_matmul(graph, "a", v, true);
        (void)small_matmul(graph, "b", v, false);
        incise_quantize_options_init(&options);
        assert_int_equal(inc_changes_create(test_ctx(), &changes), INCISE_OK);
        test_clear_error();
        test_fail_after(n);
        status = inc_quantize(graph, NULL, &options, NULL, changes);
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
        cmocka_unit_test(errors_stay_within_half_a_step),
        cmocka_unit_test(the_chain_is_what_readers_know),
        cmocka_unit_test(shared_constants_share_what_they_can),
        cmocka_unit_test(square_constants_are_no_exception),
        cmocka_unit_test(half_precision_readers_get_their_type),
        cmocka_unit_test(groups_of_int4_have_scales_of_their_own),
        cmocka_unit_test(int7_leaves_half_the_range),
        cmocka_unit_test(the_search_finds_the_best_scale),
        cmocka_unit_test(integers_stay),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(non_finite_weights_stop_it),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
