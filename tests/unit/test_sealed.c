/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed files: what was written comes back; anything else is refused, and says why. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sealed.h"
#include "support/support.h"

static const struct inc_sealed_kind kind = {"fifteen letters", 7, "is no such file", "do it again"};
static const char table[] = "a table", values[] = "values";

/* One table, and the values if `with_values`. */
static void make(struct inc_buffer *bytes, bool with_values)
{
    inc_buffer_init(bytes, test_ctx());
    inc_sealed_begin(bytes, &kind);
    inc_blob_put(bytes, table, sizeof table);
    assert_int_equal(inc_sealed_finish(bytes, with_values ? sizeof values : 0), INCISE_OK);
    if (with_values) inc_buffer_append(bytes, values, sizeof values);
}

static enum incise_status read_bytes(const struct inc_ctx *ctx, const void *bytes, size_t n,
                                     const struct inc_sealed_kind *as, struct inc_sealed *sealed)
{
    struct inc_reader reader;
    test_clear_error();
    inc_reader_open_memory(ctx, "file", bytes, n, &reader);
    return inc_sealed_read(&reader, as, sealed);
}

static void refuse(const void *bytes, size_t n, const struct inc_sealed_kind *as, const char *message)
{
    struct inc_sealed sealed;
    assert_int_equal(read_bytes(test_ctx(), bytes, n, as, &sealed), INCISE_ERROR_DATA);
    assert_string_equal(test_last_error(), message);
    inc_sealed_release(test_ctx(), &sealed);
}

static void tables_and_values_come_back(void **state)
{
    (void)state;
    for (int with_values = 0; with_values < 2; with_values++) {
        struct inc_buffer bytes;
        struct inc_sealed sealed;
        char copy[sizeof table];
        make(&bytes, with_values);
        assert_int_equal(read_bytes(test_ctx(), bytes.data, bytes.length, &kind, &sealed), INCISE_OK);
        assert_true(inc_blob_read(&sealed.tables, copy, sizeof copy));
        assert_memory_equal(copy, table, sizeof table);
        assert_ptr_equal(sealed.tables.at, sealed.tables.end);
        assert_int_equal(sealed.values_at, bytes.length - (with_values ? sizeof values : 0));
        inc_sealed_release(test_ctx(), &sealed);
        inc_buffer_fini(&bytes);
    }
    assert_int_equal(test_live_allocations(), 0);
}

/* All but the values: another kind, another version, other lengths, or damage. */
static void any_bit_counts(void **state)
{
    (void)state;
    struct inc_buffer bytes;
    make(&bytes, true);
    const size_t sealed_bytes = bytes.length - sizeof values;
    for (size_t i = 0; i < 8 * sealed_bytes; i++) {
        const size_t at = i / 8;
        bytes.data[at] = (char)(bytes.data[at] ^ 1 << i % 8);
        refuse(bytes.data, bytes.length, &kind,
               at < 24   ? "file: is no such file"
               : at < 32 ? "file: was written by another version of incise; do it again"
               : at < 48 ? "file: is not as long as it says; do it again"
                         : "file: is damaged; do it again");
        bytes.data[at] = (char)(bytes.data[at] ^ 1 << i % 8);
    }
    for (size_t n = 0; n < bytes.length; n++)
        refuse(bytes.data, n, &kind,
               n < 64 ? "file: is no such file" : "file: is not as long as it says; do it again");
    inc_buffer_append(&bytes, "", 1);
    refuse(bytes.data, bytes.length, &kind, "file: is not as long as it says; do it again");
    inc_buffer_fini(&bytes);
    assert_int_equal(test_live_allocations(), 0);
}

/* The first table is there before anything else is looked at. */
static void first_tables_are_peeked_at(void **state)
{
    (void)state;
    struct inc_buffer bytes;
    struct inc_reader reader;
    struct inc_sealed sealed;
    char copy[sizeof table];
    inc_buffer_init(&bytes, test_ctx());
    inc_sealed_begin(&bytes, &kind);
    inc_blob_put(&bytes, table, sizeof table);
    const size_t first = bytes.length - 64;
    for (int i = 0; i < 9; i++) inc_blob_put(&bytes, table, sizeof table);
    assert_int_equal(inc_sealed_finish(&bytes, 0), INCISE_OK);
    bytes.data[bytes.length - 1] ^= 1;
    refuse(bytes.data, bytes.length, &kind, "file: is damaged; do it again");
    inc_reader_open_memory(test_ctx(), "file", bytes.data, bytes.length, &reader);
    assert_int_equal(inc_sealed_peek(&reader, &kind, sizeof table, &sealed), INCISE_OK);
    assert_int_equal(sealed.tables.end - sealed.tables.at, first);
    assert_true(inc_blob_read(&sealed.tables, copy, sizeof copy));
    assert_memory_equal(copy, table, sizeof table);
    inc_sealed_release(test_ctx(), &sealed);
    assert_int_equal(inc_sealed_peek(&reader, &kind, 4096, &sealed), INCISE_OK); /* more than there is */
    assert_int_equal(sealed.tables.end - sealed.tables.at, 10 * first);
    inc_sealed_release(test_ctx(), &sealed);
    bytes.data[24] ^= 1;
    assert_int_equal(inc_sealed_peek(&reader, &kind, sizeof table, &sealed), INCISE_ERROR_DATA);
    inc_sealed_release(test_ctx(), &sealed);
    inc_buffer_fini(&bytes);
    assert_int_equal(test_live_allocations(), 0);
}

static void other_kinds_are_refused(void **state)
{
    (void)state;
    struct inc_buffer bytes;
    struct inc_sealed_kind other = kind;
    char path[] = "/tmp/incise-sealed-XXXXXX";
    int fd = mkstemp(path);
    make(&bytes, false);
    assert_true(fd >= 0 && write(fd, bytes.data, bytes.length) == (ssize_t)bytes.length && close(fd) == 0);
    other.version++;
    refuse(bytes.data, bytes.length, &other, "file: was written by another version of incise; do it again");
    assert_true(inc_sealed_is(path, &kind) && inc_sealed_is(path, &other));
    other.name = "fifteen";
    refuse(bytes.data, bytes.length, &other, "file: is no such file");
    assert_false(inc_sealed_is(path, &other));
    assert_false(inc_sealed_is("/tmp", &kind));
    assert_int_equal(truncate(path, 63), 0);
    assert_false(inc_sealed_is(path, &kind));
    unlink(path);
    inc_buffer_fini(&bytes);
}

/* The limit is one of what is read, which the values are not. */
static void memory_may_be_short(void **state)
{
    (void)state;
    struct inc_buffer bytes;
    struct inc_sealed sealed;
    struct inc_ctx limited = *test_ctx();
    make(&bytes, true);
    limited.max_memory = bytes.length - sizeof values - 64;
    assert_int_equal(read_bytes(&limited, bytes.data, bytes.length, &kind, &sealed), INCISE_OK);
    inc_sealed_release(&limited, &sealed);
    limited.max_memory--;
    assert_int_equal(read_bytes(&limited, bytes.data, bytes.length, &kind, &sealed), INCISE_ERROR_MEMORY);
    inc_sealed_release(&limited, &sealed);
    test_fail_after(0);
    assert_int_equal(read_bytes(test_ctx(), bytes.data, bytes.length, &kind, &sealed), INCISE_ERROR_MEMORY);
    test_fail_after(SIZE_MAX);
    inc_sealed_release(test_ctx(), &sealed);
    bytes.failed = true;
    assert_int_equal(inc_sealed_finish(&bytes, 0), INCISE_ERROR_MEMORY);
    inc_buffer_fini(&bytes);
    assert_int_equal(test_live_allocations(), 0);
}

/* What is mended is read, whatever its bytes, if they begin as the kind does. */
static void mended_files_are_read(void **state)
{
    (void)state;
    struct inc_buffer bytes;
    uint64_t seed = test_seed();
    make(&bytes, true);
    for (int round = 0; round < 1000; round++) {
        struct inc_sealed sealed;
        unsigned char copy[256];
        size_t n = test_random_below(&seed, bytes.length + 1);
        assert_in_range(bytes.length, 64, sizeof copy);
        memcpy(copy, bytes.data, bytes.length);
        for (int i = 0; i < 3; i++) copy[32 + test_random_below(&seed, bytes.length - 32)] ^= (unsigned char)(1 + i);
        inc_sealed_mend(copy, n);
        enum incise_status status = read_bytes(test_ctx(), copy, n, &kind, &sealed);
        assert_int_equal(status, n < 64 ? INCISE_ERROR_DATA : INCISE_OK);
        inc_sealed_release(test_ctx(), &sealed);
    }
    inc_buffer_fini(&bytes);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_and_values_come_back), cmocka_unit_test(any_bit_counts),
        cmocka_unit_test(other_kinds_are_refused),     cmocka_unit_test(memory_may_be_short),
        cmocka_unit_test(mended_files_are_read),       cmocka_unit_test(first_tables_are_peeked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
