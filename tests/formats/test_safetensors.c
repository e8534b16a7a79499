/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* A file in memory from inc_alloc: length field, header, `n_data` bytes 0, 1, 0, 1, ... */
static unsigned char *make_file(const char *header, size_t n_header, size_t n_data, size_t *size)
{
    unsigned char *file = inc_alloc(test_ctx(), 8 + n_header + n_data);
    assert_non_null(file);
    for (int i = 0; i < 8; i++) file[i] = (unsigned char)((uint64_t)n_header >> (8 * i));
    memcpy(file + 8, header, n_header);
    for (size_t i = 0; i < n_data; i++) file[8 + n_header + i] = i % 2;
    *size = 8 + n_header + n_data;
    return file;
}

static enum incise_status open_header(const char *header, size_t n_data, struct inc_safetensors *file)
{
    size_t size;
    unsigned char *memory = make_file(header, strlen(header), n_data, &size);
    return inc_safetensors_open_memory(test_ctx(), "x.safetensors", memory, size, file);
}

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"

static void test_accepted(void **state)
{
    struct inc_safetensors file;
    (void)state;
    assert_int_equal(open_header("{}", 0, &file), INCISE_OK);
    assert_int_equal(file.n_tensors, 0);
    assert_null(inc_safetensors_find(&file, "a"));
    inc_safetensors_release(&file);
    /* any order of keys and tensors, scalars, empty tensors, escapes, metadata, white space, padding */
    assert_int_equal(
        open_header("{ \"__metadata__\" : {\"format\":\"pt\", \"\" : \"\\n\"},\n"
                    "\"b\\u00e9\\ud83d\\ude00\\/\":{\"data_offsets\":[4 ,6],\"shape\":[ ],\"dtype\":\"BF16\"},"
                    "\"e\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[4,4]}," A "}    ",
                    6, &file),
        INCISE_OK);
    assert_int_equal(file.n_tensors, 3);
    const struct inc_safetensor *t = inc_safetensors_find(&file, "b\xc3\xa9\xf0\x9f\x98\x80/");
    assert_non_null(t);
    assert_int_equal(t->tensor.type, INC_BF16);
    assert_int_equal(t->tensor.rank, 0);
    assert_memory_equal(t->tensor.data, "\0\1", 2);
    t = inc_safetensors_find(&file, "e");
    assert_int_equal(t->tensor.dims[0], 3);
    assert_int_equal(t->tensor.bytes, 0);
    t = inc_safetensors_find(&file, "a");
    assert_int_equal(t->tensor.type, INC_F32);
    assert_memory_equal(t->tensor.data, "\0\1\0\1", 4);
    void *memory = inc_safetensors_detach(&file);
    assert_memory_equal(t->tensor.data, "\0\1\0\1", 4);
    inc_safetensors_release(&file);
    inc_free(test_ctx(), memory);
    assert_int_equal(test_live_allocations(), 0);
}

/* Tensors that lie unaligned in the file do not in memory. */
static void test_alignment(void **state)
{
    struct inc_safetensors file;
    (void)state;
    assert_int_equal(open_header("{\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]},"
                                 "\"b\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[3,11]},"
                                 "\"c\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[11,15]}}",
                                 15, &file),
                     INCISE_OK);
    for (size_t i = 0; i < file.n_tensors; i++) {
        const struct inc_tensor *t = &file.tensors[i].tensor;
        assert_int_equal((uintptr_t)t->data % 8, 0);
        for (size_t k = 0; k < t->bytes; k++) assert_int_equal(((unsigned char *)t->data)[k], (k + (i > 0)) % 2);
    }
    inc_safetensors_release(&file);
    assert_int_equal(test_live_allocations(), 0);
}

static void test_refused(void **state)
{
#define T(name, dtype, shape, offsets)                                                                                 \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    static const struct {
        const char *header;
        size_t n_data;
    } cases[] = {
        {"", 0}, {"{", 0}, {" {}", 0}, {"[]", 0}, {"{}x", 0}, {"{}\n{}", 0}, {"{}", 1}, {"{,}", 0}, {"{" A ",}", 4},
        {"{" A "}", 3}, {"{" A "}", 5}, {"{" A "," A "}", 4}, {"{" A "," A "}", 8}, {"{\"a\":1}", 0},
        {"{\"a\":{}}", 0}, {"{\"a\":{\"dtype\":\"F32\"}}", 0}, {"{\"a\" {}}", 0}, {"{\"__metadata__\":1}", 0},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0}, {"{\"__metadata__\":{\"a\":1}}", 0},
        {"{\"__metadata__\":{\"a\":{}}}", 0},
        {"{" T("a", "F32", "[1]", "[4,8]") "}", 8}, /* hole at the start */
        {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[5,9]") "}", 9},
        {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[2,6]") "}", 6},
        {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[0,4]") "}", 4},
        {"{" T("a", "F32", "[1]", "[4,0]") "}", 4},
        {"{" T("a", "F32", "[2]", "[0,4]") "}", 4},
        {"{" T("a", "F32", "[1]", "[0,18446744073709551615]") "}", 4},
        {"{" T("a", "F32", "[1]", "[0,9223372036854775807]") "}", 4},
        {"{" T("a", "F32", "[4611686018427387904,4,4]", "[0,0]") "}", 0},
        {"{" T("a", "F32", "[4611686018427387905]", "[0,4]") "}", 4},
        {"{" T("a", "F32", "[-1]", "[0,4]") "}", 4},
        {"{" T("a", "F32", "[1.0]", "[0,4]") "}", 4},
        {"{" T("a", "F32", "[01]", "[0,4]") "}", 4},
        {"{" T("a", "F32", "[[1]]", "[0,4]") "}", 4},
        {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4},
        {"{" T("a", "F32", "[1]", "[0,4,4]") "}", 4},
        {"{" T("a", "F32", "[1]", "[4]") "}", 4},
        {"{" T("a", "F8_E4M3", "[1]", "[0,1]") "}", 1},
        {"{" T("a", "f32", "[1]", "[0,4]") "}", 4},
        {"{" T("a", "BOOL", "[4]", "[0,4]") ",\"b\":0}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":0}}", 4},
        {"{" T("\\u0000", "F32", "[1]", "[0,4]") "}", 4},
        {"{" T("\\ud800", "F32", "[1]", "[0,4]") "}", 4},
        {"{" T("\\ud800\\u0041", "F32", "[1]", "[0,4]") "}", 4},
        {"{" T("\\u00g0", "F32", "[1]", "[0,4]") "}", 4},
        {"{" T("\\x", "F32", "[1]", "[0,4]") "}", 4},
        {"{" T("\xff", "F32", "[1]", "[0,4]") "}", 4},
        {"{" T("\n", "F32", "[1]", "[0,4]") "}", 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_safetensors file;
        test_clear_error();
        if (open_header(cases[i].header, cases[i].n_data, &file) != INCISE_ERROR_DATA)
            fail_msg("accepts %s", cases[i].header);
        assert_non_null(strstr(test_last_error(), "x.safetensors"));
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void test_boolean_values(void **state)
{
    static const char header[] = "{\"a\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[0,2]}}";
    struct inc_safetensors file;
    size_t size;
    unsigned char *memory = make_file(header, sizeof header - 1, 2, &size);
    (void)state;
    memory[size - 1] = 2;
    assert_int_equal(inc_safetensors_open_memory(test_ctx(), "x", memory, size, &file), INCISE_ERROR_DATA);
    assert_int_equal(test_live_allocations(), 0);
}

static void test_lengths(void **state)
{
    static const uint64_t lengths[] = {3, 100000001, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 7};
    struct inc_safetensors file;
    size_t size;
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned char *memory = make_file("{}", 2, 0, &size);
        for (int k = 0; k < 8; k++) memory[k] = (unsigned char)(lengths[i] >> (8 * k));
        assert_int_equal(inc_safetensors_open_memory(test_ctx(), "x", memory, size, &file), INCISE_ERROR_DATA);
    }
    for (size_t n = 0; n < 8 + sizeof "{" A "}" - 1 + 4; n++) { /* cut at every byte */
        unsigned char *whole = make_file("{" A "}", sizeof "{" A "}" - 1, 4, &size), *cut = inc_alloc(test_ctx(), n);
        memcpy(cut, whole, n);
        inc_free(test_ctx(), whole);
        assert_int_equal(inc_safetensors_open_memory(test_ctx(), "x", cut, n, &file), INCISE_ERROR_DATA);
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void test_memory_failures(void **state)
{
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                 "\"\\u0062\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}";
    bool done = false;
    (void)state;
    for (size_t n = 0; !done; n++) {
        struct inc_safetensors file;
        size_t size;
        unsigned char *memory = make_file(header, sizeof header - 1, 5, &size);
        test_fail_after(n);
        enum incise_status status = inc_safetensors_open_memory(test_ctx(), "x", memory, size, &file);
        test_fail_after(SIZE_MAX);
        done = status == INCISE_OK;
        if (done) inc_safetensors_release(&file);
        else assert_int_equal(status, INCISE_ERROR_MEMORY);
        assert_int_equal(test_live_allocations(), 0);
        assert_true(n < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted), cmocka_unit_test(test_alignment),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_boolean_values), cmocka_unit_test(test_lengths), cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
