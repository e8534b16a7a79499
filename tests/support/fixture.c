/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fixture.h"

#include <math.h>
#include <stdio.h>

#include "formats/npy/npy.h"

/* Float models differ by rounding only: a few hundred float additions per value, two layers, norms that keep values
 * near 1. In the static INT8 file an activation that rounds the other way moves an output by part of a step. */
const struct test_fixture test_fixtures[] = {
    {"bert", 1e-5},           {"bert-f16", 1e-5},      {"bert-int8-asym", 1e-5},
    {"bert-int4-asym", 1e-5}, {"bert-int4-sym", 1e-5}, {"bert-static-int8", 2e-2},
    {"gemma", 1e-5},          {"gemma-int8-sym", 1e-5}, {NULL, 0},
};
const char *const test_fixture_shapes[] = {"1x7", "4x16", NULL};

const char *test_fixture_path(const char *model, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "data/tiny/%s%s%s", model, name ? "/" : "", name ? name : "");
    return path;
}

static void read_npy(const char *model, const char *name, struct inc_tensor *tensor)
{
    test_clear_error();
    if (inc_npy_read(test_ctx(), test_fixture_path(model, name), 1 << 20, tensor) != INCISE_OK)
        fail_msg("%s", test_last_error());
}

void test_fixture_input(const char *model, const char *shape, const char *name, struct inc_tensor *tensor)
{
    char file[128];
    snprintf(file, sizeof file, "input_%s_%s.npy", shape, name);
    read_npy(model, file, tensor);
}

void test_fixture_output(const char *model, const char *shape, struct inc_tensor *tensor)
{
    char file[128];
    snprintf(file, sizeof file, "output_%s.npy", shape);
    read_npy(model, file, tensor);
}

double test_difference(const struct inc_tensor *a, const struct inc_tensor *b, const struct inc_tensor *mask)
{
    assert_int_equal(a->type, INC_F32);
    assert_int_equal(b->type, INC_F32);
    assert_int_equal(a->rank, 3);
    assert_int_equal(b->rank, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(a->dims[i], b->dims[i]);
    size_t rows = (size_t)(a->dims[0] * a->dims[1]), width = (size_t)a->dims[2];
    const float *x = a->data, *y = b->data;
    double difference = 0, value = 0;
    for (size_t row = 0; row < rows; row++) {
        if (mask && ((const int64_t *)mask->data)[row] == 0) continue;
        for (size_t i = row * width; i < (row + 1) * width; i++) {
            if (!isfinite(x[i]) || !isfinite(y[i])) return INFINITY;
            difference = fmax(difference, fabs((double)x[i] - (double)y[i]));
            value = fmax(value, fabs((double)y[i]));
        }
    }
    assert_true(value > 0);
    return difference / value;
}
