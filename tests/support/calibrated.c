/* SPDX-License-Identifier: Apache-2.0 */
#include "support/calibrated.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *random_text(uint64_t *seed)
{
    enum { WORDS = 20 };
    char *text = calloc(WORDS, 2);
    assert_non_null(text);
    for (size_t i = 0, n = 1 + test_random_below(seed, WORDS); i < n; i++) {
        text[2 * i] = (char)('a' + (int)test_random_below(seed, 26));
        if (i + 1 < n) text[2 * i + 1] = ' ';
    }
    return text;
}

void test_calibrated_open_shard(struct test_calibrated *calibrated, const char *model, struct inc_graph *graph,
                                size_t n, uint64_t seed, size_t shard, size_t shards)
{
    static char folder[512];
    char **texts = calloc(n, sizeof *texts);
    size_t *lengths = calloc(n, sizeof *lengths);
    assert_true(texts != NULL && lengths != NULL);
    for (size_t i = 0; i < n; i++) {
        texts[i] = random_text(&seed);
        lengths[i] = strlen(texts[i]);
    }
    calibrated->graph = graph != NULL ? graph : test_fixture_graph(model);
    test_runner_open(&calibrated->runner, calibrated->graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    snprintf(folder, sizeof folder, "%s", test_fixture_path("bert-hf", NULL));
    const struct incise_calibration source = {.texts = (const char *const *)texts,
                                              .lengths = lengths,
                                              .n = n,
                                              .max_tokens = SIZE_MAX,
                                              .shard = shard,
                                              .shards = shards};
    if (inc_calibration_create(calibrated->graph, calibrated->runner.pool, calibrated->runner.device, folder, &source,
                               &calibrated->calibration) != INCISE_OK)
        fail_msg("%s", test_last_error());
    for (size_t i = 0; i < n; i++) free(texts[i]);
    free(texts);
    free(lengths);
}

void test_calibrated_open(struct test_calibrated *calibrated, const char *model, struct inc_graph *graph, size_t n,
                          uint64_t seed)
{
    test_calibrated_open_shard(calibrated, model, graph, n, seed, 0, 0);
}

void test_calibrated_close(struct test_calibrated *calibrated)
{
    inc_calibration_destroy(calibrated->calibration);
    test_runner_close(&calibrated->runner);
    inc_graph_destroy(calibrated->graph);
}

double *test_calibrated_outputs(struct test_calibrated *c, struct inc_graph *graph, size_t *n)
{
    struct test_runner runner;
    double *all = NULL;
    *n = 0;
    test_runner_open(&runner, graph, incise_isa_detect(), 2, INC_INTEGER_NONE);
    assert_true(runner.program->fused);
    const struct inc_plan_output *output = &runner.program->plan.outputs[0];
    for (size_t b = 0; b < c->calibration->n_batches; b++) {
        size_t stride, width = output->width;
        assert_int_equal(inc_calibration_begin(c->calibration, runner.run, b), INCISE_OK);
        assert_int_equal(inc_run_steps(runner.run, 0, runner.program->plan.n_steps), INCISE_OK);
        const float *rows = inc_run_rows(runner.run, output->buffer, &stride) + output->column;
        all = realloc(all, (*n + runner.run->batch.n_tokens * width) * sizeof *all);
        assert_non_null(all);
        for (size_t t = 0; t < runner.run->batch.n_tokens; t++)
            for (size_t i = 0; i < width; i++) all[(*n)++] = (double)rows[t * stride + i];
    }
    test_runner_close(&runner);
    return all;
}

double test_distance(const double *a, const double *b, size_t n)
{
    double change = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        change += (a[i] - b[i]) * (a[i] - b[i]);
        all += b[i] * b[i];
    }
    return sqrt(change / all);
}
