/* SPDX-License-Identifier: Apache-2.0 */
/* quantize with calibration texts: error feedback by itself, and the whole on the tiny models. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/feedback.h"
#include "compress/linalg.h"
#include "support/calibrated.h"

/* ---- error feedback -------------------------------------------------------------------------------------------- */

enum { OUT = 11, IN = 32 };

struct problem {
    double v[OUT * IN], covariance[IN * IN], inverse[IN * IN];
    struct inc_codes codes;
};

/* A random V on the int4 grid of its rows. `mixing` 0: independent inputs of one variance. */
static void make_problem(struct problem *p, float mixing, uint64_t *seed)
{
    double basis[IN * IN] = {0};
    struct inc_weight weight = {.out = OUT, .in = IN};
    struct inc_grid grid;
    const struct inc_rounding rounding = {0};
    for (int i = 0; i < OUT * IN; i++) p->v[i] = (double)test_random_float(seed, -1, 1);
    for (int i = 0; i < IN * IN; i++)
        basis[i] = (i % (IN + 1) == 0 ? 1 : 0) + (double)(mixing * test_random_float(seed, -1, 1));
    memset(p->covariance, 0, sizeof p->covariance);
    inc_linalg_begin(test_ctx());
    inc_linalg_multiply_transposed(IN, IN, IN, 1, basis, IN, basis, IN, p->covariance, IN);
    memcpy(p->inverse, p->covariance, sizeof p->inverse);
    assert_true(inc_linalg_invert(IN, p->inverse));
    assert_true(inc_grid_find("int4", &grid));
    assert_int_equal(inc_codes_create(test_ctx(), "layer", &weight, &grid, &p->codes), INCISE_OK);
    assert_int_equal(inc_codes_round(&p->codes, NULL, &(struct inc_row_source){.dense = p->v}, &rounding), INCISE_OK);
}

/* sum over rows of (V - q) C (V - q)^T */
static double loss(const struct problem *p)
{
    double sum = 0;
    for (size_t r = 0; r < OUT; r++) {
        float row[IN];
        double d[IN];
        inc_codes_row(&p->codes, r, row);
        for (int k = 0; k < IN; k++) d[k] = p->v[r * IN + (size_t)k] - (double)row[k];
        for (int i = 0; i < IN; i++)
            for (int j = 0; j < IN; j++) sum += d[i] * p->covariance[i * IN + j] * d[j];
    }
    return sum;
}

/* Independent inputs have nothing to make up for each other's errors: the nearest codes come back. */
static void independent_inputs_get_the_nearest(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (int order = 0; order < 2; order++) {
        struct problem p;
        int8_t nearest[OUT * IN];
        make_problem(&p, 0, &seed);
        memcpy(nearest, p.codes.q, sizeof nearest);
        memset(p.codes.q, 0, sizeof nearest);
        assert_int_equal(
            inc_feedback_round(&p.codes, NULL, p.v, p.inverse, p.covariance, (enum inc_feedback_order)order),
            INCISE_OK);
        assert_memory_equal(p.codes.q, nearest, sizeof nearest);
        inc_codes_release(&p.codes);
    }
}

/* Of the errors that are left, each step takes the least that it can: two inputs, worked out by brute force over all
 * codes of the second for the code that the first got. */
static void the_last_input_gets_its_best_code(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (int order = 0; order < 2; order++) {
        struct problem p;
        make_problem(&p, 0.8f, &seed);
        assert_int_equal(
            inc_feedback_round(&p.codes, NULL, p.v, p.inverse, p.covariance, (enum inc_feedback_order)order),
            INCISE_OK);
        size_t last = IN - 1;
        if (order == INC_ORDER_ACTIVATION) /* the input of least variance */
            for (size_t k = 0; k < IN; k++)
                if (p.covariance[k * IN + k] < p.covariance[last * IN + last]) last = k;
        double reached = loss(&p);
        for (size_t r = 0; r < OUT; r++) {
            int8_t *q = &p.codes.q[r * IN + last], kept = *q;
            for (int code = -8; code <= 7; code++) {
                *q = (int8_t)code;
                assert_true(loss(&p) >= reached * (1 - 1e-6));
            }
            *q = kept;
        }
        inc_codes_release(&p.codes);
    }
}

static void feedback_loses_less_than_the_nearest(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    double nearest = 0, natural = 0, sorted = 0;
    for (int i = 0; i < 20; i++) {
        struct problem p;
        make_problem(&p, 1.0f, &seed);
        nearest += loss(&p);
        assert_int_equal(inc_feedback_round(&p.codes, NULL, p.v, p.inverse, p.covariance, INC_ORDER_NATURAL),
                         INCISE_OK);
        natural += loss(&p);
        assert_int_equal(inc_feedback_round(&p.codes, NULL, p.v, p.inverse, p.covariance, INC_ORDER_ACTIVATION),
                         INCISE_OK);
        sorted += loss(&p);
        inc_codes_release(&p.codes);
    }
    assert_true(natural < 0.9 * nearest && sorted < 0.9 * nearest);
}

static void an_indefinite_matrix_is_refused(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct problem p;
    make_problem(&p, 0, &seed);
    p.inverse[0] = -1;
    assert_int_equal(inc_feedback_round(&p.codes, NULL, p.v, p.inverse, p.covariance, INC_ORDER_NATURAL),
                     INCISE_ERROR_FAILED);
    inc_codes_release(&p.codes);
}

/* ---- whole models ---------------------------------------------------------------------------------------------- */

struct case_options {
    const char *weights, *round, *ignore;
    size_t texts;
};

static enum incise_status quantize(struct test_calibrated *c, const struct case_options *given,
                                   struct incise_changes **changes)
{
    struct incise_quantize_options options;
    incise_quantize_options_init(&options);
    options.weights = given->weights;
    options.tables = "int8";
    options.round = given->round;
    options.ignore = given->ignore;
    assert_int_equal(inc_changes_create(test_ctx(), changes), INCISE_OK);
    test_clear_error();
    return inc_quantize(c->graph, c->runner.pool, &options, c->calibration, *changes);
}

/* What quantizing makes of the model's outputs on the texts, relative to what they were. */
static double loss_of(const char *model, const struct case_options *options)
{
    struct test_calibrated c;
    struct incise_changes *changes;
    size_t n;
    test_calibrated_open(&c, model, NULL, options->texts, 5);
    double *before = test_calibrated_outputs(&c, c.graph, &n);
    if (quantize(&c, options, &changes) != INCISE_OK) fail_msg("%s", test_last_error());
    assert_int_equal(inc_graph_verify(c.graph), INCISE_OK);
    for (size_t i = 0; i < incise_changes_count(changes); i++)
        assert_true(changes->rows[i].error > 0 && changes->rows[i].error < 0.5);
    double *after = test_calibrated_outputs(&c, c.graph, &n);
    double result = test_distance(after, before, n);
    free(before), free(after);
    incise_changes_destroy(changes);
    test_calibrated_close(&c);
    return result;
}

/* What is known about the activations pays: scales searched by them lose less than plain ones, feedback still less. */
static void methods_rank_as_they_should(void **state)
{
    (void)state;
    static const char *const models[] = {"bert", "gemma", "bert-f16"};
    for (size_t m = 0; m < 3; m++) {
        double nearest = loss_of(models[m], &(struct case_options){"int4", "nearest", "mbedding", 400});
        double search = loss_of(models[m], &(struct case_options){"int4", "search", "mbedding", 400});
        double gptq = loss_of(models[m], &(struct case_options){"int4", NULL, "mbedding", 400});
        assert_true(search < nearest && gptq < 0.9 * search);
        assert_true(loss_of(models[m], &(struct case_options){"int8", NULL, "mbedding", 400}) < 0.5 * gptq);
    }
}

/* One text, of which none can be held out, makes every covariance singular. */
static void one_text_is_enough_to_work(void **state)
{
    (void)state;
    double loss = loss_of("bert", &(struct case_options){"int4", "gptq", NULL, 1});
    assert_true(isfinite(loss) && loss < 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(independent_inputs_get_the_nearest),   cmocka_unit_test(the_last_input_gets_its_best_code),
        cmocka_unit_test(feedback_loses_less_than_the_nearest), cmocka_unit_test(an_indefinite_matrix_is_refused),
        cmocka_unit_test(methods_rank_as_they_should),          cmocka_unit_test(one_text_is_enough_to_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
