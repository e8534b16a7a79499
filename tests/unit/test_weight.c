/* SPDX-License-Identifier: Apache-2.0 */
/* inc_weight: every type, zero point and scale layout in both orientations against the formula computed here. */
#include <math.h>
#include <string.h>

#include "graph/weight.h"
#include "support/small_graph.h"
#include "support/support.h"

enum { OUT = 3, GROUPS = 3, GROUP = 5, IN = GROUPS * GROUP }; /* odd: see integer_groups for whole fours */

/* Logical integers of a weight, and where a parameter is for [o, k]. */
struct sample {
    double q[OUT][IN], zero[OUT][GROUPS], scale[OUT][GROUPS];
};

static void fill(struct sample *s, enum inc_type type, uint64_t seed)
{
    static const int low[] = {[INC_I8] = -128, [INC_U8] = 0, [INC_I4] = -8, [INC_U4] = 0};
    size_t levels = (size_t)1 << inc_type_bits(type);
    for (int o = 0; o < OUT; o++) {
        for (int k = 0; k < IN; k++) s->q[o][k] = low[type] + (double)test_random_below(&seed, levels);
        for (int g = 0; g < GROUPS; g++) {
            s->zero[o][g] = low[type] + (double)test_random_below(&seed, levels);
            s->scale[o][g] = ldexp((double)test_random_below(&seed, 1000) - 500, -12); /* exact in f16, either sign */
        }
    }
}

/* Which dims a parameter has. */
enum spread { TENSOR, ROW, GROUPED };

struct layout {
    enum inc_type type;
    enum spread spread;
    bool transpose_b, has_zero, has_scale, convert_last; /* f16 arithmetic, Convert at the end */
};

static struct dims param_dims(const struct layout *layout)
{
    int64_t out = layout->spread == TENSOR ? 1 : OUT;
    if (layout->spread == GROUPED) return layout->transpose_b ? DIMS3(OUT, GROUPS, 1) : DIMS3(GROUPS, 1, OUT);
    return layout->transpose_b ? DIMS2(out, 1) : DIMS2(1, out);
}

static struct inc_value *param(struct inc_graph *graph, const struct layout *layout, const char *name,
                               enum inc_type type, double values[OUT][GROUPS])
{
    double flat[OUT * GROUPS];
    for (int o = 0; o < OUT; o++) {
        for (int g = 0; g < GROUPS; g++) {
            if (layout->spread == GROUPED) flat[layout->transpose_b ? o * GROUPS + g : g * OUT + o] = values[o][g];
            else if (g == 0 && (o == 0 || layout->spread == ROW)) flat[o] = values[o][0];
        }
    }
    return small_constant(graph, name, type, param_dims(layout), flat);
}

/* Const -> Convert -> [Subtract] -> [Multiply] -> [Reshape] -> [Convert] -> MatMul. */
static struct inc_node *build(struct inc_graph *graph, const struct layout *layout, struct sample *s)
{
    double flat[OUT * IN];
    for (int o = 0; o < OUT; o++)
        for (int k = 0; k < IN; k++) flat[layout->transpose_b ? o * IN + k : k * OUT + o] = s->q[o][k];
    struct dims flat_dims = layout->transpose_b ? DIMS2(OUT, IN) : DIMS2(IN, OUT), dims = flat_dims;
    if (layout->spread == GROUPED) dims = layout->transpose_b ? DIMS3(OUT, GROUPS, GROUP) : DIMS3(GROUPS, GROUP, OUT);
    enum inc_type math = layout->convert_last ? INC_F16 : INC_F32;
    struct inc_value *v = small_constant(graph, "w", layout->type, dims, flat);
    v = small_step(graph, INC_OP_CONVERT, v, NULL, math, dims);
    if (layout->has_zero) {
        struct inc_value *zero = param(graph, layout, "w/zero_point", layout->type, s->zero);
        zero = small_step(graph, INC_OP_CONVERT, zero, NULL, math, param_dims(layout));
        v = small_step(graph, INC_OP_SUBTRACT, v, zero, math, dims);
    }
    if (layout->has_scale) {
        struct inc_value *scale = param(graph, layout, "w/scale", INC_F16, s->scale);
        if (math != INC_F16) scale = small_step(graph, INC_OP_CONVERT, scale, NULL, math, param_dims(layout));
        v = small_step(graph, INC_OP_MULTIPLY, v, scale, math, dims);
    }
    if (layout->spread == GROUPED) v = small_step(graph, INC_OP_RESHAPE, v, NULL, math, flat_dims);
    if (layout->convert_last) v = small_step(graph, INC_OP_CONVERT, v, NULL, INC_F32, flat_dims);
    return small_matmul(graph, "mm", v, layout->transpose_b);
}

static void check_layout(const struct layout *layout, uint64_t seed)
{
    struct sample s;
    struct inc_weight w;
    float row[IN];
    int16_t integers[IN];
    struct inc_graph *graph = small_graph();
    fill(&s, layout->type, seed);
    struct inc_node *matmul = build(graph, layout, &s);
    assert_true(inc_weight_match(matmul->inputs[1], layout->transpose_b, &w));
    assert_int_equal(w.out, OUT);
    assert_int_equal(w.in, IN);
    assert_int_equal(w.type, layout->type);
    assert_int_equal(w.transposed, !layout->transpose_b);
    bool grouped = layout->spread == GROUPED && (layout->has_zero || layout->has_scale);
    assert_int_equal(w.group, grouped ? GROUP : 0);
    assert_int_equal(inc_weight_is_integer(&w), !grouped || GROUP % 4 == 0);
    assert_int_equal(inc_weight_check(graph, &w), INCISE_OK);
    const struct inc_weight_bytes bytes = inc_weight_bytes_of(&w);
    assert_int_equal(bytes.bytes != NULL,
                     layout->type == INC_I8 && layout->transpose_b && !layout->has_zero && !grouped);
    for (int o = 0; o < OUT; o++) {
        int p = layout->spread == TENSOR ? 0 : o;
        inc_weight_row_f32(&w, o, row);
        for (int k = 0; bytes.bytes != NULL && k < IN; k++)
            assert_true(row[k] == (float)bytes.bytes[o * IN + k] * inc_weight_bytes_scale(&bytes, o));
        inc_weight_row_i16(&w, o, integers);
        assert_true(inc_weight_row_scale(&w, o) == (layout->has_scale ? (float)s.scale[p][0] : 1.0f));
        for (int k = 0; k < IN; k++) {
            int g = layout->spread == GROUPED ? k / GROUP : 0;
            assert_true(inc_weight_scale(&w, o, k) == (layout->has_scale ? (float)s.scale[p][g] : 1.0f));
            double zero = layout->has_zero ? s.zero[p][g] : 0, scale = layout->has_scale ? s.scale[p][g] : 1;
            assert_int_equal(integers[k], (int)(s.q[o][k] - zero));
            assert_true(row[k] == (float)(s.q[o][k] - zero) * (float)scale);
        }
    }
    inc_graph_destroy(graph);
}

static void integers_with_any_zero_and_scale(void **state)
{
    (void)state;
    const enum inc_type types[] = {INC_I8, INC_U8, INC_I4, INC_U4};
    for (unsigned i = 0; i < 4 * 3 * 16; i++) {
        struct layout layout = {types[i % 4], (enum spread)(i / 4 % 3), (i / 12 & 1) != 0, (i / 12 & 2) != 0,
                                (i / 12 & 4) != 0, (i / 12 & 8) != 0};
        check_layout(&layout, test_seed() + i);
    }
}

/* [2, 2 groups, 4] of integers, all `q`, with a scale per group and, unless NULL, zero points. */
static struct inc_weight grouped(struct inc_graph *graph, enum inc_type type, double q, const double *zero)
{
    double values[16], scales[4] = {0.5, 0.25, 1, 2};
    struct inc_weight w;
    for (int i = 0; i < 16; i++) values[i] = q;
    struct inc_value *v = small_constant(graph, "w", type, DIMS3(2, 2, 4), values);
    v = small_step(graph, INC_OP_CONVERT, v, NULL, INC_F32, DIMS3(2, 2, 4));
    if (zero) {
        struct inc_value *z = small_constant(graph, "zero", type, DIMS3(2, 2, 1), (double *)(uintptr_t)zero);
        z = small_step(graph, INC_OP_CONVERT, z, NULL, INC_F32, DIMS3(2, 2, 1));
        v = small_step(graph, INC_OP_SUBTRACT, v, z, INC_F32, DIMS3(2, 2, 4));
    }
    struct inc_value *scale = small_constant(graph, "scale", INC_F32, DIMS3(2, 2, 1), scales);
    v = small_step(graph, INC_OP_MULTIPLY, v, scale, INC_F32, DIMS3(2, 2, 4));
    v = small_step(graph, INC_OP_RESHAPE, v, NULL, INC_F32, DIMS2(2, 8));
    assert_true(inc_weight_match(v, true, &w));
    assert_int_equal(w.group, 4);
    assert_true(inc_weight_is_integer(&w));
    return w;
}

static void integer_groups(void **state)
{
    (void)state;
    static const double eights[] = {8, 8, 8, 8}, mixed[] = {8, 8, 7, 8}, zeros[] = {0, 0, 0, 0};
    const struct {
        enum inc_type type;
        const double *zero;
        bool int4;
    } cases[] = {{INC_U4, eights, true}, {INC_U4, mixed, false}, {INC_U4, NULL, false},  {INC_I4, NULL, true},
                 {INC_I4, zeros, true},  {INC_I4, mixed, false}, {INC_I8, NULL, false}, {INC_U8, zeros, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inc_graph *graph = small_graph();
        const double *zero = cases[i].type == INC_I4 && cases[i].zero == mixed ? (double[]){0, 0, 1, 0} : cases[i].zero;
        struct inc_weight w = grouped(graph, cases[i].type, 3, zero);
        assert_int_equal(inc_weight_is_int4(&w), cases[i].int4);
        inc_graph_destroy(graph);
    }
}

static void floats_in_both_orientations(void **state)
{
    (void)state;
    const enum inc_type types[] = {INC_F32, INC_F16, INC_BF16};
    for (int i = 0; i < 6; i++) {
        struct inc_graph *graph = small_graph();
        struct inc_weight w;
        double values[OUT * IN];
        float row[IN];
        for (int k = 0; k < OUT * IN; k++) values[k] = (k - 20) * 0.25;
        bool transpose = i % 2 == 0;
        struct dims dims = transpose ? DIMS2(OUT, IN) : DIMS2(IN, OUT);
        struct inc_value *v = small_constant(graph, "w", types[i / 2], dims, values);
        if (i / 2 > 0) v = small_step(graph, INC_OP_CONVERT, v, NULL, INC_F32, dims);
        assert_true(inc_weight_match(v, transpose, &w));
        assert_int_equal(inc_weight_check(graph, &w), INCISE_OK);
        assert_false(inc_weight_is_integer(&w));
        for (int o = 0; o < OUT; o++) {
            inc_weight_row_f32(&w, o, row);
            for (int k = 0; k < IN; k++) assert_true((double)row[k] == values[transpose ? o * IN + k : k * OUT + o]);
        }
        inc_graph_destroy(graph);
    }
}

static void fake_quantize_rounds_to_its_levels(void **state)
{
    (void)state;
    struct inc_graph *graph = small_graph();
    struct inc_weight w;
    const double values[] = {-2, -0.3, 0.1, 5, 0.49, 0.51}, low[] = {-1, -2}, high[] = {1, 2};
    float row[3];
    struct inc_value *inputs[5];
    inputs[0] = small_constant(graph, "w", INC_F32, DIMS2(2, 3), values);
    inputs[1] = inputs[3] = small_constant(graph, NULL, INC_F32, DIMS2(2, 1), low);
    inputs[2] = inputs[4] = small_constant(graph, NULL, INC_F32, DIMS2(2, 1), high);
    struct inc_node *fq = inc_graph_add(graph, INC_OP_FAKE_QUANTIZE, "fq", inputs, 5, NULL);
    assert_non_null(fq);
    inc_attr_set_int(fq, "levels", 5); /* steps of 0.5 and of 1 */
    fq->outputs[0].type = INC_F32;
    fq->outputs[0].shape = inputs[0]->shape;
    assert_true(inc_weight_match(&fq->outputs[0], true, &w));
    inc_weight_row_f32(&w, 0, row);
    assert_true(row[0] == -1.0f && row[1] == -0.5f && row[2] == 0.0f);
    inc_weight_row_f32(&w, 1, row);
    assert_true(row[0] == 2.0f && row[1] == 0.0f && row[2] == 1.0f);
    inc_graph_destroy(graph);
}

static void what_is_no_weight(void **state)
{
    (void)state;
    struct inc_graph *graph = small_graph();
    struct inc_weight w;
    const double values[24] = {1};
    struct inc_value *cube = small_constant(graph, "cube", INC_F32, DIMS3(2, 3, 4), values);
    assert_false(inc_weight_match(cube, true, &w));
    struct inc_value *f32 = small_constant(graph, "f32", INC_F32, DIMS2(4, 6), values);
    assert_true(inc_weight_match(f32, true, &w));
    struct inc_value *rounded = small_step(graph, INC_OP_CONVERT, f32, NULL, INC_F16, DIMS2(4, 6));
    assert_false(inc_weight_match(rounded, true, &w));
    struct inc_value *u8 = small_constant(graph, "u8", INC_U8, DIMS2(4, 6), values);
    struct inc_value *zero = small_constant(graph, "zero", INC_U8, DIMS2(4, 1), values);
    struct inc_value *wrapped = small_step(graph, INC_OP_SUBTRACT, u8, zero, INC_U8, DIMS2(4, 6));
    assert_false(inc_weight_match(wrapped, true, &w));
    struct inc_value *wide = small_constant(graph, "wide", INC_I64, DIMS2(4, 6), values);
    assert_false(inc_weight_match(small_step(graph, INC_OP_CONVERT, wide, NULL, INC_F32, DIMS2(4, 6)), true, &w));
    struct inc_value *f = small_step(graph, INC_OP_CONVERT, u8, NULL, INC_F32, DIMS2(4, 6));
    struct inc_value *scale = small_constant(graph, "scale", INC_F32, DIMS2(1, 3), values);
    assert_false(inc_weight_match(small_step(graph, INC_OP_MULTIPLY, f, scale, INC_F32, DIMS2(4, 6)), true, &w));
    struct inc_value *shifted = small_step(graph, INC_OP_SUBTRACT, f32, zero, INC_F32, DIMS2(4, 6));
    assert_false(inc_weight_match(shifted, true, &w)); /* floats have no zero point */
    struct inc_node *matmul = small_matmul(graph, "mm", f32, true);
    assert_false(inc_weight_match(matmul->inputs[0], true, &w)); /* a Parameter */
    inc_graph_destroy(graph);
}

/* Checks a u8 weight with one zero point and scale; the message must hold `part`. */
static void check_fails(enum inc_type zero_type, double zero, double scale, const char *part)
{
    struct inc_graph *graph = small_graph();
    struct inc_weight w;
    const double values[4] = {1, 2, 3, 4};
    const struct dims one = {0, {0}};
    struct inc_value *v = small_constant(graph, "the weight", INC_U4, DIMS2(2, 2), values);
    v = small_step(graph, INC_OP_CONVERT, v, NULL, INC_F32, DIMS2(2, 2));
    struct inc_value *z = small_constant(graph, "z", zero_type, one, &zero);
    if (zero_type != INC_F32) z = small_step(graph, INC_OP_CONVERT, z, NULL, INC_F32, one);
    v = small_step(graph, INC_OP_SUBTRACT, v, z, INC_F32, DIMS2(2, 2));
    v = small_step(graph, INC_OP_MULTIPLY, v, small_constant(graph, "s", INC_F32, one, &scale), INC_F32, DIMS2(2, 2));
    assert_true(inc_weight_match(v, true, &w));
    test_clear_error();
    assert_int_equal(inc_weight_check(graph, &w), part == NULL ? INCISE_OK : INCISE_ERROR_DATA);
    if (part != NULL) {
        assert_non_null(strstr(test_last_error(), part));
        assert_non_null(strstr(test_last_error(), "small: layer"));
        assert_non_null(strstr(test_last_error(), "'the weight'"));
    }
    inc_graph_destroy(graph);
}

static void bad_parameters_are_named(void **state)
{
    (void)state;
    check_fails(INC_U8, 15, 1, NULL);
    check_fails(INC_F32, 8, -0.5, NULL);
    check_fails(INC_U8, 16, 1, "zero point 0 is 16");
    check_fails(INC_F32, 7.5, 1, "zero point 0 is 7.5");
    check_fails(INC_F32, NAN, 1, "zero point 0 is");
    check_fails(INC_U8, 1, NAN, "scale 0 is");
    check_fails(INC_U8, 1, -INFINITY, "scale 0 is -inf");
    check_fails(INC_U8, 1, 3e38, "scale 0 is");
}

static void non_finite_weights_are_named(void **state)
{
    (void)state;
    const enum inc_type types[] = {INC_F32, INC_F16, INC_BF16};
    for (int i = 0; i < 6; i++) {
        struct inc_graph *graph = small_graph();
        struct inc_weight w;
        const double values[] = {1, 2, 3, 65504, i % 2 == 0 ? (double)NAN : (double)-INFINITY, 0};
        assert_true(inc_weight_match(small_constant(graph, "w", types[i / 2], DIMS2(2, 3), values), true, &w));
        assert_int_equal(inc_weight_check(graph, &w), INCISE_ERROR_DATA);
        assert_non_null(strstr(test_last_error(), "weight 4 is"));
        inc_graph_destroy(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_with_any_zero_and_scale),
        cmocka_unit_test(integer_groups),
        cmocka_unit_test(floats_in_both_orientations),
        cmocka_unit_test(fake_quantize_rounds_to_its_levels),
        cmocka_unit_test(what_is_no_weight),
        cmocka_unit_test(bad_parameters_are_named),
        cmocka_unit_test(non_finite_weights_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
