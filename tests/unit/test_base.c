/* SPDX-License-Identifier: Apache-2.0 */
/* Files, output folders, arenas, buffers, half floats. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/half.h"
#include "support/support.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/incise-test-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_read(void **state)
{
    struct inc_file file = {0};
    (void)state;
    write_text(in_folder("a"), "hello");
    assert_int_equal(inc_file_read(test_ctx(), in_folder("a"), 5, &file), INCISE_OK);
    assert_int_equal(file.size, 5);
    assert_string_equal((char *)file.data, "hello");
    inc_file_release(test_ctx(), &file);
    assert_int_equal(inc_file_read(test_ctx(), in_folder("a"), 4, &file), INCISE_ERROR_DATA);
    assert_int_equal(inc_file_read(test_ctx(), in_folder("none"), 9, &file), INCISE_ERROR_NO_INPUT);
    assert_int_equal(inc_file_read(test_ctx(), folder, 9, &file), INCISE_ERROR_NO_INPUT);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_int_equal(inc_file_read(test_ctx(), in_folder("fifo"), 9, &file), INCISE_ERROR_NO_INPUT);
    assert_non_null(strstr(test_last_error(), "fifo"));
}

static void test_read_beside(void **state)
{
    struct inc_file file = {0};
    (void)state;
    write_text(in_folder("b"), "x");
    assert_int_equal(symlink("b", in_folder("link")), 0);
    assert_int_equal(inc_file_read_beside(test_ctx(), folder, "b", 9, &file), INCISE_OK);
    inc_file_release(test_ctx(), &file);
    assert_int_equal(inc_file_read_beside(test_ctx(), folder, "link", 9, &file), INCISE_ERROR_DATA);
    assert_int_equal(inc_file_read_beside(test_ctx(), folder, "../b", 9, &file), INCISE_ERROR_DATA);
    assert_int_equal(inc_file_read_beside(test_ctx(), folder, "..", 9, &file), INCISE_ERROR_DATA);
    assert_int_equal(inc_file_read_beside(test_ctx(), folder, "", 9, &file), INCISE_ERROR_DATA);
}

static enum incise_status write_output(const char *path, bool force, const char *text, bool commit)
{
    struct inc_output out;
    struct inc_output_file file;
    enum incise_status status = inc_output_begin(test_ctx(), path, force, &out);
    if (status != INCISE_OK) return status;
    status = inc_output_open(&out, "sub/file", &file);
    if (status == INCISE_OK) {
        assert_int_equal(inc_output_write(&file, text, strlen(text)), INCISE_OK);
        status = inc_output_close(&file);
    }
    if (status == INCISE_OK && commit) status = inc_output_commit(&out);
    inc_output_discard(&out);
    return status;
}

static void expect_text(const char *path, const char *text)
{
    struct inc_file file = {0};
    assert_int_equal(inc_file_read(test_ctx(), path, 100, &file), INCISE_OK);
    assert_string_equal((char *)file.data, text);
    inc_file_release(test_ctx(), &file);
}

static void test_output(void **state)
{
    (void)state;
    assert_int_equal(write_output(in_folder("out"), false, "one", false), INCISE_OK);
    assert_false(inc_is_folder(in_folder("out"))); /* discarded: nothing appears, nothing is left */
    assert_int_equal(write_output(in_folder("out/"), false, "one", true), INCISE_OK);
    expect_text(in_folder("out/sub/file"), "one");
    assert_int_equal(write_output(in_folder("out"), false, "two", true), INCISE_ERROR_CREATE);
    expect_text(in_folder("out/sub/file"), "one");
    assert_int_equal(write_output(in_folder("out"), true, "two", true), INCISE_OK);
    expect_text(in_folder("out/sub/file"), "two");
    assert_int_equal(write_output(in_folder("no/such/out"), true, "x", true), INCISE_ERROR_CREATE);
    assert_int_equal(mkdir(in_folder("tree"), 0700), 0); /* --force never replaces what no output made */
    assert_int_equal(mkdir(in_folder("tree/a"), 0700), 0);
    assert_int_equal(mkdir(in_folder("tree/a/b"), 0700), 0);
    assert_int_equal(write_output(in_folder("tree"), true, "x", true), INCISE_ERROR_CREATE);
    assert_int_equal(write_output(in_folder("b"), true, "x", true), INCISE_ERROR_CREATE);
}

static void test_output_memory(void **state)
{
    (void)state;
    enum incise_status status = INCISE_ERROR_MEMORY;
    for (size_t n = 0; status != INCISE_OK; n++) {
        assert_true(n < 50);
        test_fail_after(n);
        status = write_output(in_folder("starved"), false, "x", true);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
        assert_int_equal(test_live_allocations(), 0);
        assert_int_equal(inc_is_folder(in_folder("starved")), status == INCISE_OK);
    }
}

static void test_arena(void **state)
{
    struct inc_arena arena;
    uint64_t random = test_seed();
    (void)state;
    inc_arena_init(&arena, test_ctx());
    for (int i = 0; i < 3000; i++) {
        size_t bytes = test_random_below(&random, i % 100 == 0 ? 200000 : 300);
        unsigned char *memory = inc_arena_alloc(&arena, bytes, 1);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % (bytes >= 64 ? 64 : 16), 0);
        for (size_t k = 0; k < bytes; k++) assert_int_equal(memory[k], 0);
        memset(memory, 0xff, bytes);
    }
    assert_null(inc_arena_alloc(&arena, SIZE_MAX, 2));
    assert_null(inc_arena_alloc(&arena, SIZE_MAX, 1));
    assert_string_equal(inc_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    inc_arena_fini(&arena);
    assert_int_equal(test_live_allocations(), 0);
}

static void test_buffer(void **state)
{
    struct inc_buffer buffer;
    (void)state;
    inc_buffer_init(&buffer, test_ctx());
    for (int i = 0; i < 1000; i++) inc_buffer_printf(&buffer, "%d,", i);
    assert_int_equal(inc_buffer_check(&buffer), INCISE_OK);
    assert_int_equal(buffer.length, 3890);
    assert_memory_equal(buffer.data + buffer.length - 4, "999,", 5);
    test_fail_after(0);
    for (int i = 0; i < 1000; i++) inc_buffer_puts(&buffer, "more text");
    test_fail_after(SIZE_MAX);
    assert_int_equal(inc_buffer_check(&buffer), INCISE_ERROR_MEMORY);
    inc_buffer_fini(&buffer);
    assert_int_equal(test_live_allocations(), 0);
}

/* Every f16 survives the way through float; floats between two neighbours round to the nearer, ties to even. */
static void test_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = inc_f32_from_f16((uint16_t)h);
        uint16_t back = inc_f16_from_f32(f);
        if (f != f)
            assert_true((back & 0x7c00) == 0x7c00 && (back & 0x3ff) != 0);
        else
            assert_int_equal(back, h);
        if ((h & 0x7fff) >= 0x7bff) continue;
        float next = inc_f32_from_f16((uint16_t)(h + 1)), middle = (float)(((double)f + (double)next) / 2);
        assert_int_equal(inc_f16_from_f32(middle), h % 2 == 0 ? h : h + 1);
        assert_int_equal(inc_f16_from_f32(nextafterf(middle, next)), h + 1);
        assert_int_equal(inc_f16_from_f32(nextafterf(middle, f)), h);
    }
    assert_int_equal(inc_f16_from_f32(65519.99f), 0x7bff);
    assert_int_equal(inc_f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(inc_f16_from_f32(1e30f), 0x7c00);
    assert_int_equal(inc_bf16_from_f32(1.0f), 0x3f80);
    assert_int_equal(inc_bf16_from_f32(inc_f32_from_bits(0x3f808000)), 0x3f80);
    assert_int_equal(inc_bf16_from_f32(inc_f32_from_bits(0x3f818000)), 0x3f82);
    assert_true(isnan(inc_f32_from_bf16(inc_bf16_from_f32(inc_f32_from_bits(0x7f800001)))));
}

static void test_grow(void **state)
{
    int *list = NULL;
    size_t capacity = 0;
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(inc_grow(test_ctx(), (void **)&list, &capacity, i, sizeof *list), INCISE_OK);
        list[i] = (int)i;
    }
    for (size_t i = 0; i < 1000; i++) assert_int_equal(list[i], i);
    assert_int_equal(inc_grow(test_ctx(), (void **)&list, &capacity, SIZE_MAX / 2, sizeof *list), INCISE_ERROR_MEMORY);
    inc_free(test_ctx(), list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),   cmocka_unit_test(test_read_beside),   cmocka_unit_test(test_output),
        cmocka_unit_test(test_arena),  cmocka_unit_test(test_output_memory), cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_half),   cmocka_unit_test(test_grow),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
