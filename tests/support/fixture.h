/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny models of tests/data/tiny (see its README): where they lie, their inputs and OpenVINO's outputs. */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "graph/tensor.h"
#include "support/support.h"

#define TEST_MAX_INPUTS 4

struct test_fixture {
    const char *model; /* folder name, e.g. "bert" */
    double limit;      /* max |difference| / max |value| that float kernels in any order of sums may have to OpenVINO */
};

/* Every fixture, ended by model == NULL. */
extern const struct test_fixture test_fixtures[];
/* The recorded cases, ended by NULL: "1x7", "4x16". */
extern const char *const test_fixture_shapes[];

/* The folder of a fixture, or its file `name` if not NULL; static text, good until the next call. */
const char *test_fixture_path(const char *model, const char *name);
/* input_<shape>_<name>.npy and output_<shape>.npy; the test fails if they cannot be read. Release with
 * inc_tensor_release(test_ctx(), ...). */
void test_fixture_input(const char *model, const char *shape, const char *name, struct inc_tensor *tensor);
void test_fixture_output(const char *model, const char *shape, struct inc_tensor *tensor);

/* max |a - b| / max |b| over two f32 tensors [batch, length, width] of one shape, at positions whose mask (i64,
 * [batch, length]; NULL: all) is not 0. Infinite if anything compared is not finite. */
double test_difference(const struct inc_tensor *a, const struct inc_tensor *b, const struct inc_tensor *mask);

#endif
