/* SPDX-License-Identifier: Apache-2.0 */
/* A program and a run of it on the CPU device, from a graph; and what the reference evaluator says of the same inputs.
 */
#ifndef TESTS_RUNNER_H
#define TESTS_RUNNER_H

#include "lower/run.h"
#include "support/fixture.h"

struct test_runner {
    struct inc_pool *pool;
    struct inc_device *device;
    struct inc_program *program;
    struct inc_run *run;
};

/* The test fails if any part fails; whether the program is fused is for the caller to look at. */
void test_runner_open(struct test_runner *runner, struct inc_graph *graph, enum incise_isa isa, int threads,
                      enum inc_integer_mode mode);
void test_runner_close(struct test_runner *runner);

/* The inputs of one run, in the model's order. */
struct test_inputs {
    struct inc_tensor tensors[TEST_MAX_INPUTS];
    size_t n;
};

/* The tiny model `folder`, shapes inferred. */
struct inc_graph *test_fixture_graph(const char *folder);
/* The recorded inputs of `shape`. */
void test_inputs_load(const struct inc_graph *graph, const char *folder, const char *shape, struct test_inputs *inputs);
/* i64 zeros [batch, length] for every input. */
void test_inputs_make(const struct inc_graph *graph, int64_t batch, int64_t length, struct test_inputs *inputs);
void test_inputs_free(struct test_inputs *inputs);
/* Input `name` (a tensor name); the test fails if there is none. */
struct inc_tensor *test_inputs_get(const struct inc_graph *graph, struct test_inputs *inputs, const char *name);
/* i64 element [s, j] of input `name`. */
int64_t *test_inputs_at(const struct inc_graph *graph, struct test_inputs *inputs, const char *name, int64_t s,
                        int64_t j);

/* The first output; it belongs to the run. Fails the test, with the library's error, if the run fails. */
const struct inc_tensor *test_run(struct test_runner *runner, const struct test_inputs *inputs);
/* The first output by the reference evaluator; the caller releases it. */
void test_reference(const struct inc_graph *graph, const struct test_inputs *inputs, struct inc_tensor *output);
/* Same shape and same bytes. */
void test_same_bits(const struct inc_tensor *a, const struct inc_tensor *b);
/* Releases *copy first, which starts as zeros. */
void test_keep(const struct inc_tensor *tensor, struct inc_tensor *copy);

#endif
