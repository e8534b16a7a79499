/* SPDX-License-Identifier: Apache-2.0 */
/* Lowered graphs against the file graphs that they came from, both run by the reference evaluator. */
#ifndef TESTS_EXPANDED_H
#define TESTS_EXPANDED_H

#include "lower/lower.h"
#include "support/runner.h"

/* Fails the test with the last error unless the status is OK. */
void test_succeed(enum incise_status status);

/* A tiny model's recorded inputs of one shape, and what a file graph makes of them. */
struct test_recorded {
    struct test_inputs inputs;
    struct inc_tensor output;
    const struct inc_tensor *mask; /* one of the inputs */
};

void test_record(const struct inc_graph *graph, const char *model, const char *shape, struct test_recorded *recorded);
void test_release_recorded(struct test_recorded *recorded);
/* Expands a copy of the lowered graph, verifies it and evaluates it for each of the records: the largest difference at
 * real tokens, relative to the largest value. */
double test_expanded_difference(const struct inc_lowering *lowering, const struct test_recorded *recorded, size_t n);
size_t test_count_fused(const struct inc_graph *graph);

#endif
