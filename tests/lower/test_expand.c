/* SPDX-License-Identifier: Apache-2.0 */
/* Expansions of fused ops, against formulas written out here; and every pass, by expanding what it made: the tiny
 * models evaluate to the same as the file graph after each of them. */
#include "lower/expand.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/attr.h"
#include "graph/eval_ref/eval.h"
#include "support/expanded.h"

/* ---- hand-built graphs ----------------------------------------------------------------------------------------- */

#define MAX_OPERANDS 5
#define MAX_ELEMENTS 512

/* One fused node over Parameters with random data. */
struct bench {
    struct inc_lowering lowering;
    uint64_t random;
    struct inc_value *inputs[MAX_OPERANDS];
    struct inc_feed feeds[MAX_OPERANDS]; /* of the model's Parameters */
    float data[MAX_OPERANDS][MAX_ELEMENTS];
    uint32_t n_inputs;
    size_t n_feeds;
    struct inc_tensor result;
};

static void bench_begin(struct bench *b)
{
    memset(b, 0, sizeof *b);
    b->random = test_seed();
    b->lowering.ctx = test_ctx();
    test_succeed(inc_graph_create(test_ctx(), &b->lowering.graph));
}

static void bench_end(struct bench *b)
{
    inc_tensor_release(test_ctx(), &b->result);
    inc_graph_destroy(b->lowering.graph);
    assert_int_equal(test_live_allocations(), 0);
}

/* A Parameter fed with `data`. */
static struct inc_value *parameter(struct bench *b, enum inc_type type, int rank, const int64_t *dims, void *data)
{
    struct inc_graph *graph = b->lowering.graph;
    struct inc_node *node = inc_graph_add(graph, INC_OP_PARAMETER, NULL, NULL, 0, NULL);
    assert_non_null(node);
    inc_attr_set_type(node, "element_type", type);
    struct inc_shape *shape = inc_attr_shape(node, "shape");
    shape->rank = rank;
    struct inc_feed *feed = &b->feeds[b->n_feeds++];
    size_t count;
    feed->tensor = (struct inc_tensor){.type = type, .rank = rank, .data = data};
    for (int i = 0; i < rank; i++) {
        shape->dims[i] = inc_dim_const(dims[i]);
        feed->tensor.dims[i] = dims[i];
    }
    assert_true(inc_tensor_count(rank, dims, type, &count, &feed->tensor.bytes));
    assert_true(count <= MAX_ELEMENTS);
    feed->value = &node->outputs[0];
    test_succeed(inc_graph_infer(graph));
    return &node->outputs[0];
}

#define DIMS(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}

/* The next operand of the fused node: random floats in [-2, 2). */
static float *operand(struct bench *b, int rank, const int64_t *dims)
{
    float *data = b->data[b->n_inputs];
    for (size_t i = 0; i < MAX_ELEMENTS; i++) data[i] = test_random_float(&b->random, -2, 2);
    b->inputs[b->n_inputs++] = parameter(b, INC_F32, rank, dims, data);
    return data;
}

/* The fused node over the operands, with a Result behind it; attributes are set by the caller. */
static struct inc_node *fused(struct bench *b, enum inc_op op, int rank, const int64_t *dims)
{
    struct inc_graph *graph = b->lowering.graph;
    struct inc_node *node = inc_graph_add(graph, op, "fused", b->inputs, b->n_inputs, NULL);
    assert_non_null(node);
    struct inc_value *value = &node->outputs[0];
    value->type = INC_F32;
    value->shape.rank = rank;
    for (int i = 0; i < rank; i++) value->shape.dims[i] = inc_dim_const(dims[i]);
    assert_non_null(inc_graph_add(graph, INC_OP_RESULT, NULL, &value, 1, NULL));
    test_succeed(inc_graph_infer(graph));
    test_succeed(inc_graph_verify(graph));
    return node;
}

/* Expands and evaluates. */
static const float *result_of(struct bench *b)
{
    const struct inc_graph *graph = b->lowering.graph;
    test_succeed(inc_expand(&b->lowering));
    test_succeed(inc_graph_verify(graph));
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next)
        assert_non_null(inc_ops[node->op].opset);
    struct inc_feed wanted = {.value = graph->results[0]->inputs[0]};
    assert_string_equal(wanted.value->node->name, "fused");
    test_succeed(inc_eval_run(graph, b->feeds, b->n_feeds, &wanted, 1));
    b->result = wanted.tensor;
    return b->result.data;
}

/* Values of a few units, computed here in double and there with float results between the ops: at most ten roundings,
 * each of half an ulp of something below 32. */
static void assert_near(double got, double expected)
{
    if (!(fabs(got - expected) <= 10 * 32 * 6e-8)) fail_msg("%.9g instead of %.9g (seed %llu)", got, expected,
                                                          (unsigned long long)test_seed());
}

static const char *const activations[] = {"none", "relu", "gelu_erf", "gelu_tanh", "silu", "tanh", "sigmoid", NULL};

static double activate(const char *act, double x)
{
    if (strcmp(act, "relu") == 0) return x > 0 ? x : 0;
    if (strcmp(act, "gelu_erf") == 0) return x * (1 + erf(x / sqrt(2.0))) / 2;
    if (strcmp(act, "gelu_tanh") == 0) return x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x))) / 2;
    if (strcmp(act, "silu") == 0) return x / (1 + exp(-x));
    if (strcmp(act, "tanh") == 0) return tanh(x);
    if (strcmp(act, "sigmoid") == 0) return 1 / (1 + exp(-x));
    return x;
}

/* ---- Linear, gates, embeddings --------------------------------------------------------------------------------- */

enum { ROWS = 6, IN = 4, OUT = 5 };

static void check_linear(const char *act, bool transpose_b, bool has_bias, bool has_residual)
{
    struct bench b;
    bench_begin(&b);
    const float *x = operand(&b, DIMS(2, 3, IN));
    const float *w = transpose_b ? operand(&b, DIMS(OUT, IN)) : operand(&b, DIMS(IN, OUT));
    const float *bias = has_bias ? operand(&b, DIMS(OUT)) : NULL;
    const float *residual = has_residual ? operand(&b, DIMS(2, 3, OUT)) : NULL;
    struct inc_node *node = fused(&b, INC_OP_LINEAR, DIMS(2, 3, OUT));
    test_succeed(inc_attr_set_string(b.lowering.graph, node, "act", act));
    inc_attr_set_bool(node, "transpose_b", transpose_b);
    inc_attr_set_bool(node, "bias", has_bias);
    inc_attr_set_bool(node, "residual", has_residual);
    const float *y = result_of(&b);
    for (size_t t = 0; t < ROWS; t++)
        for (size_t o = 0; o < OUT; o++) {
            double sum = has_bias ? (double)bias[o] : 0;
            for (size_t k = 0; k < IN; k++)
                sum += (double)x[t * IN + k] * (double)(transpose_b ? w[o * IN + k] : w[k * OUT + o]);
            assert_near(y[t * OUT + o], activate(act, sum) + (has_residual ? (double)residual[t * OUT + o] : 0));
        }
    bench_end(&b);
}

static void linear_with_every_epilogue(void **state)
{
    (void)state;
    for (const char *const *act = activations; *act != NULL; act++)
        for (int i = 0; i < 8; i++) check_linear(*act, i & 1, i & 2, i & 4);
}

static void gated_with_every_activation(void **state)
{
    (void)state;
    for (const char *const *act = activations; *act != NULL; act++) {
        struct bench b;
        bench_begin(&b);
        const float *gate = operand(&b, DIMS(2, 3, 4)), *up = operand(&b, DIMS(2, 3, 4));
        struct inc_node *node = fused(&b, INC_OP_GATED_ACT, DIMS(2, 3, 4));
        test_succeed(inc_attr_set_string(b.lowering.graph, node, "act", *act));
        const float *y = result_of(&b);
        for (size_t i = 0; i < 24; i++) assert_near(y[i], activate(*act, gate[i]) * (double)up[i]);
        bench_end(&b);
    }
}

static void embedding_gathers_rows(void **state)
{
    (void)state;
    struct bench b;
    int64_t ids[] = {3, 0, 6, 6};
    bench_begin(&b);
    const float *table = operand(&b, DIMS(7, 4));
    b.inputs[b.n_inputs++] = parameter(&b, INC_I64, DIMS(2, 2), ids);
    (void)fused(&b, INC_OP_EMBEDDING_GATHER, DIMS(2, 2, 4));
    const float *y = result_of(&b);
    for (size_t i = 0; i < 16; i++) assert_true(y[i] == table[ids[i / 4] * 4 + (int64_t)i % 4]);
    bench_end(&b);
}

/* ---- norms, RoPE ----------------------------------------------------------------------------------------------- */

enum { WIDTH = 8, NORM_ROWS = 6 };

static void check_norm(enum inc_op op, int n_parameters)
{
    struct bench b;
    const double eps = 0.125; /* large: its place in the formula shows */
    bench_begin(&b);
    const float *x = operand(&b, DIMS(2, 3, WIDTH));
    const float *gamma = n_parameters > 0 ? operand(&b, DIMS(WIDTH)) : NULL;
    const float *beta = n_parameters > 1 ? operand(&b, DIMS(1, 1, WIDTH)) : NULL;
    struct inc_node *node = fused(&b, op, DIMS(2, 3, WIDTH));
    inc_attr_set_float(node, "eps", eps);
    const float *y = result_of(&b);
    for (size_t t = 0; t < NORM_ROWS; t++) {
        const float *row = x + t * WIDTH;
        double mean = 0, square = 0;
        for (size_t i = 0; i < WIDTH && op == INC_OP_LAYER_NORM; i++) mean += (double)row[i] / WIDTH;
        for (size_t i = 0; i < WIDTH; i++) square += ((double)row[i] - mean) * ((double)row[i] - mean) / WIDTH;
        for (size_t i = 0; i < WIDTH; i++) {
            double expected = ((double)row[i] - mean) / sqrt(square + eps);
            if (gamma != NULL) expected *= (double)gamma[i];
            if (beta != NULL) expected += (double)beta[i];
            assert_near(y[t * WIDTH + i], expected);
        }
    }
    bench_end(&b);
}

static void norms_with_and_without_parameters(void **state)
{
    (void)state;
    for (int n = 0; n <= 2; n++) check_norm(INC_OP_LAYER_NORM, n);
    for (int n = 0; n <= 1; n++) check_norm(INC_OP_RMS_NORM, n);
}

static void rope_turns_halves(void **state)
{
    (void)state;
    enum { LENGTH = 3, DIM = 6, HEADS = 2 };
    struct bench b;
    bench_begin(&b);
    const float *x = operand(&b, DIMS(2, HEADS, LENGTH, DIM));
    const float *cosine = operand(&b, DIMS(1, 1, LENGTH, DIM)), *sine = operand(&b, DIMS(1, 1, LENGTH, DIM));
    (void)fused(&b, INC_OP_ROPE, DIMS(2, HEADS, LENGTH, DIM));
    const float *y = result_of(&b);
    for (size_t i = 0; i < 2 * HEADS * LENGTH * DIM; i++) {
        size_t c = i % DIM, table = i % (LENGTH * DIM);
        double turned = c < DIM / 2 ? -(double)x[i + DIM / 2] : (double)x[i - DIM / 2];
        assert_near(y[i], (double)x[i] * (double)cosine[table] + turned * (double)sine[table]);
    }
    bench_end(&b);
}

/* ---- Pool -------------------------------------------------------------------------------------------------------- */

enum { POOLED = 3, POOL_LENGTH = 5, POOL_WIDTH = 4 };

struct pool_case {
    const char *mode;
    bool padded;  /* the padding input weighs; else the second operand does */
    bool keep;    /* the axis of the tokens stays */
    double least;
};

/* No token of sequence 2 is real. */
static int64_t pool_padding[POOLED * POOL_LENGTH] = {1, 1, 1, 1, 1, /**/ 0, 1, 1, 0, 0, /**/ 0, 0, 0, 0, 0};

static double pool_by_formula(const struct pool_case *c, const float *x, const double *weights)
{
    double sum = 0, total = 0, most = c->least;
    for (size_t j = 0; j < POOL_LENGTH; j++) {
        sum += weights[j] * (double)x[j * POOL_WIDTH];
        total += weights[j];
        if (weights[j] != 0) most = fmax(most, (double)x[j * POOL_WIDTH]);
    }
    if (strcmp(c->mode, "max") == 0) return most;
    return sum / (strcmp(c->mode, "mean") == 0 ? fmax(total, c->least) : sqrt(fmax(total, c->least)));
}

static void check_pool(const struct pool_case *c)
{
    struct bench b;
    bench_begin(&b);
    const float *x = operand(&b, DIMS(POOLED, POOL_LENGTH, POOL_WIDTH));
    float *weights = c->padded ? NULL : operand(&b, DIMS(POOLED, POOL_LENGTH, 1));
    for (size_t i = 0; weights != NULL && i < POOLED * POOL_LENGTH; i++)
        weights[i] = i % 3 == 0 ? 0 : test_random_float(&b.random, 0.1f, 2);
    if (c->padded) b.lowering.mask = parameter(&b, INC_I64, DIMS(POOLED, POOL_LENGTH), pool_padding)->node;
    struct inc_node *node = c->keep ? fused(&b, INC_OP_POOL, DIMS(POOLED, 1, POOL_WIDTH))
                                    : fused(&b, INC_OP_POOL, DIMS(POOLED, POOL_WIDTH));
    test_succeed(inc_attr_set_string(b.lowering.graph, node, "mode", c->mode));
    inc_attr_set_float(node, "least", c->least);
    const float *y = result_of(&b);
    for (size_t s = 0; s < POOLED; s++)
        for (size_t k = 0; k < POOL_WIDTH; k++) {
            double real[POOL_LENGTH];
            for (size_t j = 0; j < POOL_LENGTH; j++)
                real[j] = c->padded ? (double)pool_padding[s * POOL_LENGTH + j] : (double)weights[s * POOL_LENGTH + j];
            assert_near(y[s * POOL_WIDTH + k], pool_by_formula(c, x + s * POOL_LENGTH * POOL_WIDTH + k, real));
        }
    bench_end(&b);
}

static void pool_with_every_mode(void **state)
{
    (void)state;
    static const char *const modes[] = {"mean", "mean_sqrt", "max"};
    for (int i = 0; i < 3 * 2 * 2; i++)
        check_pool(&(struct pool_case){modes[i % 3], i / 3 % 2, i / 6, strcmp(modes[i % 3], "max") == 0 ? -9 : 1e-3});
}

static void pool_picks_tokens(void **state)
{
    (void)state;
    static int64_t last = -1, each[POOLED] = {3, 0, -2};
    for (int of_each = 0; of_each < 2; of_each++) {
        struct bench b;
        bench_begin(&b);
        const float *x = operand(&b, DIMS(POOLED, POOL_LENGTH, POOL_WIDTH));
        b.inputs[b.n_inputs++] = of_each ? parameter(&b, INC_I64, DIMS(POOLED), each)
                                         : parameter(&b, INC_I64, 0, NULL, &last);
        struct inc_node *node = fused(&b, INC_OP_POOL, DIMS(POOLED, POOL_WIDTH));
        test_succeed(inc_attr_set_string(b.lowering.graph, node, "mode", "token"));
        inc_attr_set_int(node, "batch_dims", of_each);
        const float *y = result_of(&b);
        for (int64_t s = 0; s < POOLED; s++)
            for (int64_t k = 0; k < POOL_WIDTH; k++) {
                int64_t j = of_each ? each[s] : last;
                if (j < 0) j += POOL_LENGTH;
                assert_true(y[s * POOL_WIDTH + k] == x[(s * POOL_LENGTH + j) * POOL_WIDTH + k]);
            }
        bench_end(&b);
    }
}

/* ---- Attention ------------------------------------------------------------------------------------------------- */

enum { BATCH = 2, HEADS = 4, LENGTH = 7, DIM = 3 };
enum bias_kind { NO_BIAS, FLOAT_BIAS, BOOL_BIAS };

struct attention_case {
    bool causal, padded;
    int64_t window, kv_heads;
    double scale; /* 0: the usual one */
    enum bias_kind bias;
};

/* Sequence 1 has holes, and none of its first tokens is real: with causal, its first rows see nothing. */
static int64_t padding[BATCH * LENGTH] = {1, 1, 1, 1, 1, 1, 1, /**/ 0, 0, 1, 0, 1, 1, 0};
static unsigned char allowed[LENGTH * LENGTH];

struct attention_data {
    const struct attention_case *c;
    const float *q, *k, *v, *bias;
    double scale;
};

static bool sees(const struct attention_case *c, int64_t s, int64_t i, int64_t j)
{
    return (!c->padded || padding[s * LENGTH + j] != 0) && (!c->causal || j <= i) &&
           (c->window == 0 || (j - i < c->window && i - j < c->window)) &&
           (c->bias != BOOL_BIAS || allowed[i * LENGTH + j] != 0);
}

/* Row i of head h of sequence s, by the formula; 0 if it sees nothing. Returns whether it sees anything. */
static bool attend(const struct attention_data *d, int64_t s, int64_t h, int64_t i, double out[DIM])
{
    int64_t kv = s * d->c->kv_heads + h / (HEADS / d->c->kv_heads);
    const float *q = d->q + ((s * HEADS + h) * LENGTH + i) * DIM;
    double total = 0;
    for (int64_t e = 0; e < DIM; e++) out[e] = 0;
    for (int64_t j = 0; j < LENGTH; j++) {
        const float *k = d->k + (kv * LENGTH + j) * DIM, *v = d->v + (kv * LENGTH + j) * DIM;
        double score = 0;
        if (!sees(d->c, s, i, j)) continue;
        for (int64_t e = 0; e < DIM; e++) score += (double)q[e] * (double)k[e];
        score = exp(score * d->scale + (d->bias != NULL ? (double)d->bias[i * LENGTH + j] : 0));
        total += score;
        for (int64_t e = 0; e < DIM; e++) out[e] += score * (double)v[e];
    }
    for (int64_t e = 0; e < DIM && total > 0; e++) out[e] /= total;
    return total > 0;
}

static size_t check_attention(const struct attention_case *c)
{
    struct bench b;
    bench_begin(&b);
    struct attention_data d = {.c = c, .scale = c->scale != 0 ? c->scale : 1 / sqrt((double)DIM)};
    d.q = operand(&b, DIMS(BATCH, HEADS, LENGTH, DIM));
    d.k = operand(&b, DIMS(BATCH, c->kv_heads, LENGTH, DIM));
    d.v = operand(&b, DIMS(BATCH, c->kv_heads, LENGTH, DIM));
    if (c->bias == FLOAT_BIAS) d.bias = operand(&b, DIMS(1, 1, LENGTH, LENGTH));
    for (int i = 0; i < LENGTH * LENGTH; i++) allowed[i] = i % 3 != 0;
    if (c->bias == BOOL_BIAS) b.inputs[b.n_inputs++] = parameter(&b, INC_BOOL, DIMS(1, 1, LENGTH, LENGTH), allowed);
    if (c->padded) b.lowering.mask = parameter(&b, INC_I64, DIMS(BATCH, LENGTH), padding)->node;
    struct inc_node *node = fused(&b, INC_OP_ATTENTION, DIMS(BATCH, HEADS, LENGTH, DIM));
    inc_attr_set_float(node, "scale", d.scale);
    inc_attr_set_bool(node, "causal", c->causal);
    inc_attr_set_int(node, "window", c->window);
    const float *y = result_of(&b);
    size_t blind = 0;
    for (int64_t s = 0; s < BATCH; s++)
        for (int64_t h = 0; h < HEADS; h++)
            for (int64_t i = 0; i < LENGTH; i++) {
                double expected[DIM];
                blind += !attend(&d, s, h, i, expected);
                for (int64_t e = 0; e < DIM; e++) assert_near(y[((s * HEADS + h) * LENGTH + i) * DIM + e], expected[e]);
            }
    bench_end(&b);
    return blind;
}

static void attention_with_every_mask(void **state)
{
    (void)state;
    size_t blind = 0;
    for (int i = 0; i < 3 * 2 * 2 * 3; i++) {
        static const int64_t kv_heads[] = {HEADS, 2, 1};
        struct attention_case c = {.causal = i / 3 % 2, .padded = i / 6 % 2, .bias = (enum bias_kind)(i / 12)};
        c.kv_heads = kv_heads[i % 3];
        blind += check_attention(&c);
        c.scale = 0.75;
        c.window = 2;
        blind += check_attention(&c);
    }
    assert_true(blind > 0);
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    (void)operand(&b, DIMS(2, 4));
    (void)operand(&b, DIMS(2, 4));
    struct inc_node *node = fused(&b, INC_OP_GATED_ACT, DIMS(2, 5));
    test_succeed(inc_attr_set_string(b.lowering.graph, node, "act", "silu"));
    assert_int_equal(inc_expand(&b.lowering), INCISE_ERROR_DATA);
    bench_end(&b);
}

/* ---- passes ---------------------------------------------------------------------------------------------------- */

/* Attributes and constants come out as they were and results between ops are float in both graphs; what may differ by
 * roundings is x / rms against x * (1 / rms), and scores hidden by -65504 against hidden ones. */
#define LIMIT 2e-6

static void check_passes(const struct test_fixture *fixture)
{
    struct inc_lowering lowering = {.ctx = test_ctx(), .graph = test_fixture_graph(fixture->model)};
    struct test_recorded recorded[2];
    double worst = 0;
    for (size_t s = 0; s < 2; s++)
        test_record(lowering.graph, fixture->model, test_fixture_shapes[s], &recorded[s]);
    for (size_t i = 0; i < inc_n_passes; i++) {
        test_succeed(inc_passes[i].run(&lowering));
        assert_string_equal(lowering.reason, "");
        inc_graph_remove_dead(lowering.graph);
        test_succeed(inc_graph_verify(lowering.graph));
        double difference = test_expanded_difference(&lowering, recorded, 2);
        if (!(difference <= LIMIT)) fail_msg("%s after %s: %g", fixture->model, inc_passes[i].name, difference);
        worst = fmax(worst, difference);
    }
    assert_non_null(lowering.mask);
    printf("%-18s %zu fused ops, differs by %.1e\n", fixture->model, test_count_fused(lowering.graph), worst);
    assert_true(test_count_fused(lowering.graph) > 10);
    for (size_t s = 0; s < 2; s++) test_release_recorded(&recorded[s]);
    inc_graph_destroy(lowering.graph);
    assert_int_equal(test_live_allocations(), 0);
}

static void passes_keep_the_meaning(void **state)
{
    (void)state;
    for (const struct test_fixture *fixture = test_fixtures; fixture->model != NULL; fixture++) check_passes(fixture);
}

/* Any allocation may fail: a typed error then, and nothing is lost. */
static void memory_failures_are_errors(void **state)
{
    (void)state;
    struct inc_lowering lowering = {.ctx = test_ctx(), .graph = test_fixture_graph("gemma")};
    test_succeed(inc_lower_run(&lowering, NULL, NULL));
    enum incise_status status = INCISE_ERROR_MEMORY;
    size_t n = 0;
    for (; status != INCISE_OK; n++) {
        struct inc_lowering copy = lowering;
        test_succeed(inc_graph_clone(lowering.graph, &copy.graph));
        copy.mask = copy.graph->parameters[1];
        test_fail_after(n);
        status = inc_expand(&copy);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
        inc_graph_destroy(copy.graph);
    }
    assert_true(n > 10);
    inc_graph_destroy(lowering.graph);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_with_every_epilogue),
        cmocka_unit_test(gated_with_every_activation),
        cmocka_unit_test(embedding_gathers_rows),
        cmocka_unit_test(norms_with_and_without_parameters),
        cmocka_unit_test(rope_turns_halves),
        cmocka_unit_test(pool_with_every_mode),
        cmocka_unit_test(pool_picks_tokens),
        cmocka_unit_test(attention_with_every_mask),
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(passes_keep_the_meaning),
        cmocka_unit_test(memory_failures_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
