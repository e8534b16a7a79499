/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny model with calibration texts of the words of bert-hf's tokenizer. */
#ifndef TESTS_CALIBRATED_H
#define TESTS_CALIBRATED_H

#include "compress/calibration.h"
#include "support/runner.h"

struct test_calibrated {
    struct inc_graph *graph;
    struct test_runner runner; /* on two threads */
    struct inc_calibration *calibration;
};

/* Texts of 1 to 20 random words of seed `seed`. The calibration takes `n` of them, all their tokens. The graph
 * becomes this one's, or is read from tests/data/tiny/`model` if it is NULL. */
void test_calibrated_open(struct test_calibrated *calibrated, const char *model, struct inc_graph *graph, size_t n,
                          uint64_t seed);
/* The same, of those texts every shards-th from `shard` on. */
void test_calibrated_open_shard(struct test_calibrated *calibrated, const char *model, struct inc_graph *graph,
                                size_t n, uint64_t seed, size_t shard, size_t shards);
void test_calibrated_close(struct test_calibrated *calibrated);

/* What `graph` makes of the texts: its first output at real tokens, one batch after the other; free it. */
double *test_calibrated_outputs(struct test_calibrated *calibrated, struct inc_graph *graph, size_t *n);
/* |a - b| / |b|. */
double test_distance(const double *a, const double *b, size_t n);

#endif
