/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/npy/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"

#define HEADER "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }"

/* A file of version 1.0 with this header text and `n_data` bytes 0, 1, 2, ...; freed by the caller. */
static unsigned char *make_file(const char *header, size_t n_data, size_t *size)
{
    size_t n = strlen(header);
    unsigned char *file = malloc(10 + n + n_data + 1);
    assert_non_null(file);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (unsigned char)(n & 0xff);
    file[9] = (unsigned char)(n >> 8);
    memcpy(file + 10, header, n);
    for (size_t i = 0; i < n_data; i++) file[10 + n + i] = (unsigned char)i;
    *size = 10 + n + n_data;
    return file;
}

static enum incise_status read_header(const char *header, size_t n_data, struct inc_tensor *tensor)
{
    size_t size;
    unsigned char *file = make_file(header, n_data, &size);
    enum incise_status status = inc_npy_read_memory(test_ctx(), "x.npy", file, size, tensor);
    free(file);
    return status;
}

static void test_accepted(void **state)
{
    static const struct {
        const char *header;
        size_t n_data;
        enum inc_type type;
        int rank;
    } cases[] = {
        {HEADER, 8, INC_F32, 2},
        {HEADER "      \n", 8, INC_F32, 2},
        {"{\"shape\":(),\"fortran_order\":False,\"descr\":\"<f8\"}", 8, INC_F64, 0},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (0,), }", 0, INC_F16, 1},
        {"{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }", 3, INC_I8, 1},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (3,), }", 3, INC_U8, 1},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 2), }", 4, INC_I16, 8},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (1,), }", 2, INC_U16, 1},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }", 4, INC_I32, 1},
        {"{'descr': '<u4', 'fortran_order': False, 'shape': (1,), }", 4, INC_U32, 1},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", 8, INC_I64, 1},
        {"{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }", 8, INC_U64, 1},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", 2, INC_BOOL, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_tensor t;
        assert_int_equal(read_header(cases[i].header, cases[i].n_data, &t), INCISE_OK);
        assert_int_equal(t.type, cases[i].type);
        assert_int_equal(t.rank, cases[i].rank);
        assert_int_equal(t.bytes, cases[i].n_data);
        for (size_t k = 0; k < t.bytes; k++) assert_int_equal(((unsigned char *)t.data)[k], k);
        inc_tensor_release(test_ctx(), &t);
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void test_refused(void **state)
{
    static const struct {
        const char *header;
        size_t n_data;
    } cases[] = {
        {HEADER, 7}, {HEADER, 9}, {HEADER "x", 8}, {"", 0}, {"{", 0}, {"{}", 0}, {"[]", 0}, {"{{}}", 0},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", 8},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}", 8},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 1)}", 8},
        {"{'descr': '|f4', 'fortran_order': False, 'shape': (2,)}", 8},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 8},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", 8},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 2}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 1)}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ((2,),)}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 0},
        {"{'descr': '<f4', 'fortran_order': False}", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", 8},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", 8},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", 3}, /* third is 2 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_tensor t;
        test_clear_error();
        if (read_header(cases[i].header, cases[i].n_data, &t) != INCISE_ERROR_DATA)
            fail_msg("accepts %s", cases[i].header);
        assert_non_null(strstr(test_last_error(), "x.npy"));
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void test_preamble(void **state)
{
    struct inc_tensor t;
    size_t size;
    unsigned char *file = make_file(HEADER, 8, &size);
    (void)state;
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut = malloc(n + 1);
        memcpy(cut, file, n);
        assert_int_equal(inc_npy_read_memory(test_ctx(), "x", cut, n, &t), INCISE_ERROR_DATA);
        free(cut);
    }
    file[6] = 3;
    assert_int_equal(inc_npy_read_memory(test_ctx(), "x", file, size, &t), INCISE_ERROR_DATA);
    file[6] = 2; /* its length field now takes two bytes of the header */
    assert_int_equal(inc_npy_read_memory(test_ctx(), "x", file, size, &t), INCISE_ERROR_DATA);
    free(file);
    unsigned char second[12 + sizeof HEADER + 8] = "\x93NUMPY\x02";
    second[8] = sizeof HEADER - 1;
    memcpy(second + 12, HEADER, sizeof HEADER - 1);
    assert_int_equal(inc_npy_read_memory(test_ctx(), "x", second, 12 + sizeof HEADER - 1 + 8, &t), INCISE_OK);
    inc_tensor_release(test_ctx(), &t);
}

/* What is written reads back, and looks as numpy writes it. */
static void test_round_trip(void **state)
{
    static const int64_t dims[] = {2, 0, 3, 1, 5, 1, 1, 2};
    (void)state;
    for (int type = 0; type < INC_TYPE_COUNT; type++) {
        bool known = type != INC_BF16 && type != INC_I4 && type != INC_U4;
        for (int rank = 0; rank <= INC_MAX_RANK; rank++) {
            struct inc_buffer file;
            struct inc_tensor t;
            static const unsigned char data[8] = {1, 0, 1};
            inc_buffer_init(&file, test_ctx());
            enum incise_status status = inc_npy_write_header(&file, (enum inc_type)type, rank, dims);
            assert_int_equal(status, known ? INCISE_OK : INCISE_ERROR_DATA);
            if (known) {
                size_t count, bytes;
                assert_int_equal(file.length % 64, 0);
                assert_int_equal(file.data[file.length - 1], '\n');
                assert_true(inc_tensor_count(rank, dims, (enum inc_type)type, &count, &bytes));
                for (size_t done = 0; done < bytes; done += bytes < 8 ? bytes : 8)
                    inc_buffer_append(&file, data, bytes < 8 ? bytes : 8);
                assert_int_equal(inc_npy_read_memory(test_ctx(), "x", file.data, file.length, &t), INCISE_OK);
                assert_int_equal(t.type, type);
                assert_int_equal(t.rank, rank);
                for (int i = 0; i < rank; i++) assert_int_equal(t.dims[i], dims[i]);
                if (bytes > 0) assert_memory_equal(t.data, data, bytes < 8 ? bytes : 8);
                inc_tensor_release(test_ctx(), &t);
            }
            inc_buffer_fini(&file);
        }
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void test_files(void **state)
{
    char folder[] = "/tmp/incise-test-XXXXXX", target[64], path[80];
    float values[] = {1.5f, -2.0f, 3.25f};
    struct inc_tensor t = {.type = INC_F32, .rank = 1, .dims = {3}, .data = values, .bytes = sizeof values}, back;
    struct inc_output out;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(target, sizeof target, "%s/out", folder);
    snprintf(path, sizeof path, "%s/x.npy", target);
    for (size_t n = 0;; n++) { /* each allocation fails once */
        test_fail_after(n);
        enum incise_status status = inc_output_begin(test_ctx(), target, true, &out);
        if (status == INCISE_OK) {
            status = inc_npy_write(&out, "x.npy", &t);
            if (status == INCISE_OK) status = inc_output_commit(&out);
            inc_output_discard(&out);
        }
        if (status == INCISE_OK) status = inc_npy_read(test_ctx(), path, 1000, &back);
        test_fail_after(SIZE_MAX);
        if (status == INCISE_OK) break;
        assert_int_equal(status, INCISE_ERROR_MEMORY);
        assert_int_equal(test_live_allocations(), 0);
        assert_true(n < 100);
    }
    assert_int_equal(back.bytes, sizeof values);
    assert_memory_equal(back.data, values, sizeof values);
    inc_tensor_release(test_ctx(), &back);
    assert_int_equal(inc_npy_read(test_ctx(), path, 100, &back), INCISE_ERROR_DATA);
    assert_int_equal(inc_npy_read(test_ctx(), target, 100, &back), INCISE_ERROR_NO_INPUT);
    assert_int_equal(test_live_allocations(), 0);
    remove(path);
    rmdir(target);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused), cmocka_unit_test(test_preamble),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
