/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "graph/tensor.h"
#include "support/support.h"

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < INC_TYPE_COUNT; i++) {
        enum inc_type type;
        assert_true(inc_type_parse(inc_type_name((enum inc_type)i), &type));
        assert_int_equal(type, i);
        assert_true(inc_type_parse(inc_type_port_name((enum inc_type)i), &type));
        assert_int_equal(type, i);
    }
    enum inc_type type;
    assert_false(inc_type_parse("nf4", &type));
    assert_false(inc_type_parse("", &type));
    assert_int_equal(inc_type_bits(INC_U4), 4);
    assert_int_equal(inc_type_bits(INC_BOOL), 8);
}

static void test_count(void **state)
{
    (void)state;
    size_t count, bytes;
    assert_true(inc_tensor_count(0, NULL, INC_F32, &count, &bytes));
    assert_int_equal(count, 1);
    assert_int_equal(bytes, 4);
    assert_true(inc_tensor_count(2, (int64_t[]){3, 5}, INC_I4, &count, &bytes));
    assert_int_equal(count, 15);
    assert_int_equal(bytes, 8);
    assert_true(inc_tensor_count(3, (int64_t[]){INT64_MAX, 0, INT64_MAX}, INC_F64, &count, &bytes));
    assert_int_equal(count, 0);
    assert_int_equal(bytes, 0);
    assert_false(inc_tensor_count(2, (int64_t[]){3, -1}, INC_F32, &count, &bytes));
    assert_false(inc_tensor_count(2, (int64_t[]){0, -1}, INC_F32, &count, &bytes));
    assert_false(inc_tensor_count(2, (int64_t[]){INT64_C(1) << 32, INT64_C(1) << 32}, INC_I4, &count, &bytes));
    assert_false(inc_tensor_count(1, (int64_t[]){INT64_MAX}, INC_F32, &count, &bytes));
    assert_false(inc_tensor_count(2, (int64_t[]){INT64_C(1) << 31, INT64_C(1) << 32}, INC_U8, &count, &bytes));
}

static void test_create(void **state)
{
    (void)state;
    struct inc_tensor tensor;
    assert_int_equal(inc_tensor_create(test_ctx(), INC_F32, 2, (int64_t[]){2, 3}, &tensor), INCISE_OK);
    assert_int_equal(inc_tensor_elements(&tensor), 6);
    assert_int_equal(tensor.bytes, 24);
    assert_true(tensor.owned);
    inc_tensor_release(test_ctx(), &tensor);
    inc_tensor_release(test_ctx(), &tensor); /* twice is fine */
    assert_int_equal(inc_tensor_create(test_ctx(), INC_U8, 9, (int64_t[9]){0}, &tensor), INCISE_ERROR_DATA);
    assert_int_equal(inc_tensor_create(test_ctx(), INC_U8, 1, (int64_t[]){-1}, &tensor), INCISE_ERROR_DATA);
    test_fail_after(0);
    assert_int_equal(inc_tensor_create(test_ctx(), INC_U8, 1, (int64_t[]){8}, &tensor), INCISE_ERROR_MEMORY);
    test_fail_after(SIZE_MAX);
    assert_int_equal(test_live_allocations(), 0);
}

static struct inc_tensor view(enum inc_type type, int64_t n, const void *data)
{
    struct inc_tensor tensor = {.type = type, .rank = 1, .dims = {n}, .data = (void *)(uintptr_t)data};
    size_t count;
    assert_true(inc_tensor_count(1, tensor.dims, type, &count, &tensor.bytes));
    return tensor;
}

/* Element `i` is `value` by all three ways of reading it. */
static void check(const struct inc_tensor *t, size_t i, double value, int64_t integer)
{
    float f;
    assert_true(inc_tensor_get_f64(t, i) == value);
    assert_true(inc_tensor_get_i64(t, i) == integer);
    inc_tensor_to_f32(t, i, 1, &f);
    assert_true(f == (float)value);
}

static void test_read(void **state)
{
    (void)state;
    struct inc_tensor t = view(INC_I4, 3, (uint8_t[]){0x8f, 0x07}); /* low nibble first */
    check(&t, 0, -1, -1);
    check(&t, 1, -8, -8);
    check(&t, 2, 7, 7);
    t = view(INC_U4, 3, (uint8_t[]){0x8f, 0x07});
    check(&t, 0, 15, 15);
    check(&t, 1, 8, 8);
    t = view(INC_BOOL, 3, (uint8_t[]){0, 1, 7});
    check(&t, 0, 0, 0);
    check(&t, 2, 1, 1);
    t = view(INC_F16, 2, (uint16_t[]){0x3e00, 0xfbff});
    check(&t, 0, 1.5, 1);
    check(&t, 1, -65504, -65504);
    t = view(INC_BF16, 1, (uint16_t[]){0xc020});
    check(&t, 0, -2.5, -2);
    t = view(INC_F32, 3, (float[]){-2.75f, 1e30f, -INFINITY});
    check(&t, 0, -2.75, -2);
    check(&t, 1, (double)1e30f, INT64_MAX);
    check(&t, 2, -INFINITY, INT64_MIN);
    t = view(INC_F64, 2, (double[]){0x1p63, (double)NAN});
    check(&t, 0, 0x1p63, INT64_MAX);
    assert_int_equal(inc_tensor_get_i64(&t, 1), 0);
    t = view(INC_U64, 1, (uint64_t[]){UINT64_MAX});
    check(&t, 0, 0x1p64, INT64_MAX);
    t = view(INC_I8, 1, (int8_t[]){-128});
    check(&t, 0, -128, -128);
    t = view(INC_U16, 1, (uint16_t[]){65535});
    check(&t, 0, 65535, 65535);
    t = view(INC_U32, 1, (uint32_t[]){UINT32_MAX});
    check(&t, 0, 4294967295.0, 4294967295);
}

/* IR constants lie at any byte. */
static void test_unaligned(void **state)
{
    (void)state;
    char bytes[1 + 2 * sizeof(int64_t)];
    int64_t values[] = {-5, INT64_C(1) << 40};
    memcpy(bytes + 1, values, sizeof values);
    struct inc_tensor t = view(INC_I64, 2, bytes + 1);
    check(&t, 0, -5, -5);
    check(&t, 1, 0x1p40, INT64_C(1) << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_count),     cmocka_unit_test(test_create),
        cmocka_unit_test(test_read),  cmocka_unit_test(test_unaligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
