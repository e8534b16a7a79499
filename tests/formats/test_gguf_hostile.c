/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files built to break readers: the classes of holes that were found in llama.cpp's (TALOS-2024-1912 to 1916,
 * CVE-2025-49847, -53630, CVE-2026-27940, -33298 and its pull requests), truncation at every byte, flipped bytes. All
 * must be errors that name the file and the place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/gguf/gguf_model.h"
#include "formats/gguf/gguf_vocab.h"
#include "support/fixture.h"

#define LABEL "hostile.gguf"

/* ---- a writer ---------------------------------------------------------------------------------------------------- */

struct bytes {
    unsigned char data[1 << 16];
    size_t n;
};

static void put_int(struct bytes *b, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) b->data[b->n++] = (unsigned char)(value >> 8 * i);
}

static void put_text(struct bytes *b, const char *text)
{
    put_int(b, strlen(text), 8);
    memcpy(b->data + b->n, text, strlen(text));
    b->n += strlen(text);
}

static void put_header(struct bytes *b, uint64_t version, uint64_t n_tensors, uint64_t n_values)
{
    b->n = 0;
    memcpy(b->data, "GGUF", 4);
    b->n = 4;
    put_int(b, version, 4);
    put_int(b, n_tensors, 8);
    put_int(b, n_values, 8);
}

static void put_key(struct bytes *b, const char *key, uint64_t kind)
{
    put_text(b, key);
    put_int(b, kind, 4);
}

static void put_u32(struct bytes *b, const char *key, uint32_t value)
{
    put_key(b, key, INC_GGUF_U32);
    put_int(b, value, 4);
}

static void put_array(struct bytes *b, const char *key, uint64_t kind, uint64_t n)
{
    put_key(b, key, INC_GGUF_ARRAY);
    put_int(b, kind, 4);
    put_int(b, n, 8);
}

/* `dims` innermost first, as in the file. */
static void put_tensor(struct bytes *b, const char *name, uint64_t rank, const uint64_t *dims, uint64_t type,
                       uint64_t offset)
{
    put_text(b, name);
    put_int(b, rank, 4);
    for (uint64_t i = 0; i < rank && dims != NULL; i++) put_int(b, dims[i], 8);
    put_int(b, type, 4);
    put_int(b, offset, 8);
}

/* To the next multiple of 32, then `n` bytes. */
static void put_data(struct bytes *b, size_t n)
{
    while (b->n % 32 != 0) b->data[b->n++] = 0;
    memset(b->data + b->n, 0, n);
    b->n += n;
}

#define DIMS(...) ((const uint64_t[]){__VA_ARGS__})

/* ---- the classes ------------------------------------------------------------------------------------------------- */

static void string_length_wraps(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "general.name", INC_GGUF_STRING);
    put_int(b, UINT64_MAX, 8);
}

static void string_behind_file(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "general.name", INC_GGUF_STRING);
    put_int(b, 1 << 30, 8);
}

static void key_length_wraps(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_int(b, UINT64_MAX - 7, 8);
    put_int(b, 0, 8);
}

static void key_with_control(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_u32(b, "a\033[2J", 1);
}

static void array_count_wraps(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_array(b, "x", INC_GGUF_U64, UINT64_MAX / 8 + 2);
    put_int(b, 0, 8);
}

static void array_of_strings_huge(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_array(b, "x", INC_GGUF_STRING, (uint64_t)1 << 60);
}

static void array_string_wraps(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_array(b, "x", INC_GGUF_STRING, 2);
    put_text(b, "one");
    put_int(b, UINT64_MAX, 8);
}

static void nested_arrays(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_array(b, "x", INC_GGUF_ARRAY, 1);
    for (int i = 0; i < 5000; i++) {
        put_int(b, INC_GGUF_ARRAY, 4);
        put_int(b, 1, 8);
    }
}

static void value_kind_out_of_range(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "x", 13);
    put_int(b, 0, 8);
}

static void value_kind_huge(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "x", UINT32_MAX);
    put_int(b, 0, 8);
}

static void array_kind_out_of_range(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_array(b, "x", 200, 1);
    put_int(b, 0, 8);
}

static void bool_of_two(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "x", INC_GGUF_BOOL);
    put_int(b, 2, 1);
}

static void n_values_product_wraps(struct bytes *b)
{
    put_header(b, 3, 0, UINT64_MAX / 40 + 1);
    put_u32(b, "x", 1);
}

static void n_tensors_product_wraps(struct bytes *b)
{
    put_header(b, 3, UINT64_MAX / 88 + 1, 1);
    put_u32(b, "x", 1);
}

static void duplicate_key(struct bytes *b)
{
    put_header(b, 3, 0, 3);
    put_u32(b, "x", 1);
    put_u32(b, "y", 1);
    put_u32(b, "x", 2);
}

static void duplicate_tensor(struct bytes *b)
{
    put_header(b, 3, 2, 0);
    put_tensor(b, "t", 1, DIMS(8), 0, 0);
    put_tensor(b, "t", 1, DIMS(8), 0, 32);
    put_data(b, 64);
}

static void alignment_2_31(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_u32(b, "general.alignment", 1u << 31);
}

static void alignment_0(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_u32(b, "general.alignment", 0);
}

static void alignment_no_power(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_u32(b, "general.alignment", 48);
}

static void alignment_text(struct bytes *b)
{
    put_header(b, 3, 0, 1);
    put_key(b, "general.alignment", INC_GGUF_STRING);
    put_text(b, "32");
}

static void five_axes(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", 5, DIMS(1, 1, 1, 1, 8), 0, 0);
    put_data(b, 32);
}

static void axes_2_32(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", UINT32_MAX, NULL, 0, 0);
    put_data(b, 32);
}

static void axis_of_0(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", 2, DIMS(0, 8), 0, 0);
    put_data(b, 32);
}

static void axis_negative(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", 2, DIMS(8, UINT64_MAX), 0, 0);
    put_data(b, 32);
}

static void product_of_axes_wraps(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", 3, DIMS((uint64_t)1 << 32, (uint64_t)1 << 31, 4), 0, 0);
    put_data(b, 32);
}

/* Few enough elements, but their bytes wrap round to 64. */
static void exabyte_tensor(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", 2, DIMS(((uint64_t)1 << 62) + 16, 1), 0, 0);
    put_data(b, 64);
}

static void larger_than_file(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", 1, DIMS(1 << 20), 0, 0);
    put_data(b, 64);
}

/* Each fits, their sum wraps. */
static void running_sum_wraps(struct bytes *b)
{
    put_header(b, 3, 2, 0);
    put_tensor(b, "a", 1, DIMS(8), 0, 0);
    put_tensor(b, "b", 1, DIMS(8), 0, UINT64_MAX - 31);
    put_data(b, 64);
}

static void overlap(struct bytes *b)
{
    put_header(b, 3, 2, 0);
    put_tensor(b, "a", 1, DIMS(16), 0, 0);
    put_tensor(b, "b", 1, DIMS(16), 0, 32);
    put_data(b, 128);
}

static void hole(struct bytes *b)
{
    put_header(b, 3, 2, 0);
    put_tensor(b, "a", 1, DIMS(8), 0, 0);
    put_tensor(b, "b", 1, DIMS(8), 0, 64);
    put_data(b, 96);
}

static void past_end(struct bytes *b)
{
    put_header(b, 3, 2, 0);
    put_tensor(b, "a", 1, DIMS(8), 0, 0);
    put_tensor(b, "b", 1, DIMS(8), 0, 32);
    put_data(b, 63);
}

static void trailing_bytes(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "a", 1, DIMS(8), 0, 0);
    put_data(b, 64);
}

static void offset_unaligned(struct bytes *b)
{
    put_header(b, 3, 2, 0);
    put_tensor(b, "a", 1, DIMS(1), 0, 0);
    put_tensor(b, "b", 1, DIMS(1), 0, 4);
    put_data(b, 64);
}

static void type_out_of_range(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "a", 1, DIMS(8), 4096, 0);
    put_data(b, 32);
}

static void type_given_up(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "a", 1, DIMS(8), 4, 0);
    put_data(b, 32);
}

static void part_of_block(struct bytes *b)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "a", 1, DIMS(33), INC_GGUF_Q8_0, 0);
    put_data(b, 68);
}

static void version_1(struct bytes *b)
{
    put_header(b, 1, 0, 0);
}

static void big_endian(struct bytes *b)
{
    put_header(b, 3u << 24, 0, 0);
}

static void not_gguf(struct bytes *b)
{
    put_header(b, 3, 0, 0);
    b->data[3] = 'X';
}

static const struct {
    void (*make)(struct bytes *b);
    const char *error;
} cases[] = {
    {string_length_wraps, "byte 56: metadata 'general.name': 18446744073709551615 bytes"},
    {string_behind_file, "byte 56: metadata 'general.name': 1073741824 bytes, the file has 0 more"},
    {key_length_wraps, "byte 24: metadata key: a name of 18446744073709551608 bytes"},
    {key_with_control, "byte 33: metadata key: a name with byte 0x1b"},
    {array_count_wraps, "metadata 'x': 2305843009213693953 of them do not fit into the 8 bytes left"},
    {array_of_strings_huge, "metadata 'x': 1152921504606846976 of them do not fit"},
    {array_string_wraps, "metadata 'x': 18446744073709551615 bytes, the file has 0 more"},
    {nested_arrays, "metadata 'x': an array of arrays is not supported"},
    {value_kind_out_of_range, "byte 33: metadata 'x': there is no kind 13"},
    {value_kind_huge, "there is no kind 4294967295"},
    {array_kind_out_of_range, "there is no kind 200"},
    {bool_of_two, "a bool of 2"},
    {n_values_product_wraps, "number of metadata entries: 461168601842738791 of them do not fit"},
    {n_tensors_product_wraps, "number of tensors: 209622091746699451 of them do not fit"},
    {duplicate_key, "metadata 'x': the key occurs twice"},
    {duplicate_tensor, "tensor 't': the name occurs twice"},
    {alignment_2_31, "'general.alignment' is 2147483648, outside 1..1048576"},
    {alignment_0, "'general.alignment' is 0, outside"},
    {alignment_no_power, "'general.alignment' is 48, no power of two"},
    {alignment_text, "'general.alignment' is string, not an integer"},
    {five_axes, "tensor 't': 5 axes, more than four"},
    {axes_2_32, "tensor 't': 4294967295 axes"},
    {axis_of_0, "tensor 't': an axis of 0"},
    {axis_negative, "tensor 't': an axis of 18446744073709551615"},
    {product_of_axes_wraps, "tensor 't': its size overflows"},
    {exabyte_tensor, "tensor 't': it is larger than the file"},
    {larger_than_file, "tensor 't': it is larger than the file"},
    {running_sum_wraps, "tensor 'b': offset 18446744073709551584"},
    {overlap, "tensor 'b': offset 32, the tensor before ends so that it should be 64"},
    {hole, "tensor 'b': offset 64, the tensor before ends so that it should be 32"},
    {past_end, "tensors: their data ends behind the file"},
    {trailing_bytes, "tensors: their data ends 32 bytes before the file"},
    {offset_unaligned, "tensor 'b': offset 4, the tensor before ends so that it should be 32"},
    {type_out_of_range, "tensor 'a': there is no type 4096"},
    {type_given_up, "tensor 'a': there is no type 4"},
    {part_of_block, "tensor 'a': rows of 33 are no multiple of the 32 that a block of Q8_0 has"},
    {version_1, "byte 4: header: version 1 is not supported"},
    {big_endian, "byte 4: header: version 50331648 (big-endian) is not supported"},
    {not_gguf, "byte 0: header: not a GGUF file"},
};

/* Opens a copy of just these bytes. */
static enum incise_status open_copy(const unsigned char *data, size_t n, struct inc_gguf *file, unsigned char **copy)
{
    *copy = malloc(n > 0 ? n : 1);
    assert_non_null(*copy);
    if (n > 0) memcpy(*copy, data, n);
    test_clear_error();
    return inc_gguf_open_memory(test_ctx(), LABEL, *copy, n, file);
}

static void classes(void **state)
{
    static struct bytes b;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_gguf file;
        unsigned char *copy;
        cases[i].make(&b);
        enum incise_status status = open_copy(b.data, b.n, &file, &copy);
        const char *error = test_last_error();
        if (status != INCISE_ERROR_DATA || strncmp(error, LABEL ": byte ", strlen(LABEL ": byte ")) != 0 ||
            strstr(error, cases[i].error) == NULL)
            fail_msg("case %zu, '%s': status %d, '%s'", i, cases[i].error, status, error);
        free(copy);
        assert_int_equal(test_live_allocations(), 0);
    }
}

/* What is close to those and right. */
static void accepted(void **state)
{
    static struct bytes b;
    struct inc_gguf file;
    unsigned char *copy;
    (void)state;
    put_header(&b, 2, 3, 2);
    put_u32(&b, "general.alignment", 32);
    put_array(&b, "x", INC_GGUF_STRING, 0);
    put_tensor(&b, "a", 4, DIMS(32, 1, 2, 1), INC_GGUF_Q8_0, 0);
    put_tensor(&b, "b", 0, NULL, 0, 96);
    put_tensor(&b, "c", 1, DIMS(8), 0, 128);
    put_data(&b, 160 + 31);
    if (open_copy(b.data, b.n, &file, &copy) != INCISE_OK) fail_msg("%s", test_last_error());
    assert_int_equal(file.n_tensors, 3);
    assert_int_equal(inc_gguf_find_tensor(&file, "a")->bytes, 68);
    assert_int_equal(inc_gguf_find_tensor(&file, "b")->bytes, 4);
    assert_int_equal(inc_gguf_find(&file, "x")->n, 0);
    inc_gguf_close(&file);
    free(copy);
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- vocabularies ------------------------------------------------------------------------------------------------ */

/* A vocabulary that is right but for one thing. */
struct vocabulary {
    const char *token; /* the third one */
    size_t n_token;
    size_t n_types;
    uint32_t type, score, bos; /* score: bits of a float */
};

static void put_vocabulary(struct bytes *b, const struct vocabulary *v)
{
    put_header(b, 3, 0, 8);
    put_key(b, "tokenizer.ggml.model", INC_GGUF_STRING);
    put_text(b, "llama");
    put_array(b, "tokenizer.ggml.tokens", INC_GGUF_STRING, 3);
    put_text(b, "<unk>");
    put_text(b, "<s>");
    put_int(b, v->n_token, 8);
    memcpy(b->data + b->n, v->token, v->n_token);
    b->n += v->n_token;
    put_array(b, "tokenizer.ggml.token_type", INC_GGUF_I32, v->n_types);
    for (size_t i = 0; i < v->n_types; i++) put_int(b, i < 2 ? INC_GGUF_TOKEN_CONTROL : v->type, 4);
    put_array(b, "tokenizer.ggml.scores", INC_GGUF_F32, 3);
    for (size_t i = 0; i < 3; i++) put_int(b, i < 2 ? 0 : v->score, 4);
    put_u32(b, "tokenizer.ggml.unknown_token_id", 0);
    put_u32(b, "tokenizer.ggml.bos_token_id", v->bos);
    put_key(b, "tokenizer.ggml.add_space_prefix", INC_GGUF_BOOL);
    put_int(b, 0, 1);
    put_u32(b, "split.count", 1);
}

static void vocabularies(void **state)
{
    static char longest[513];
    static struct bytes b;
    const struct {
        struct vocabulary v;
        const char *error; /* NULL: accepted */
    } tried[] = {
        {{"a", 1, 3, 1, 0, 1}, NULL},
        {{longest, 512, 3, 1, 0, 1}, NULL},
        {{longest, 513, 3, 1, 0, 1}, "byte 138: token 2 is not 1 to 512 bytes of UTF-8"},
        {{"", 0, 3, 1, 0, 1}, "token 2 is not 1 to 512 bytes of UTF-8"},
        {{"\xc3", 1, 3, 1, 0, 1}, "token 2 is not 1 to 512 bytes of UTF-8"},
        {{"\xed\xa0\x80", 3, 3, 1, 0, 1}, "token 2 is not 1 to 512 bytes of UTF-8"},
        {{"<s>", 3, 3, 1, 0, 1}, "tokens 1 and 2 are both '<s>'"},
        {{"a", 1, 2, 1, 0, 1}, "'tokenizer.ggml.token_type' has 2 entries for 3 tokens"},
        {{"a", 1, 3, 7, 0, 1}, "token 2 has type 7, not 1 to 6"},
        {{"a", 1, 3, 0, 0, 1}, "token 2 has type 0, not 1 to 6"},
        {{"a", 1, 3, 1, 0x7fc00000, 1}, "the score of token 2 is not finite"},
        {{"a", 1, 3, 1, 0, 3}, "'tokenizer.ggml.bos_token_id' is 3, outside 0..2"},
        {{"a", 1, 3, 1, 0, UINT32_MAX}, "'tokenizer.ggml.bos_token_id' is 4294967295, outside 0..2"},
        {{"<0x-1>", 6, 3, 6, 0, 1}, "'<0x-1>' is of type byte, but is no <0xHH>"},
        {{"<0x0a>", 6, 3, 6, 0, 1}, "'<0x0a>' is of type byte, but is no <0xHH>"},
        {{"<0x0A>", 6, 3, 6, 0, 1}, "tokens for 1 bytes, not for all 256"},
    };
    (void)state;
    memset(longest, 'x', sizeof longest);
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        struct inc_gguf file;
        struct inc_buffer text;
        unsigned char *copy;
        const char *error = tried[i].error;
        put_vocabulary(&b, &tried[i].v);
        assert_int_equal(open_copy(b.data, b.n, &file, &copy), INCISE_OK);
        inc_buffer_init(&text, test_ctx());
        enum incise_status status = inc_gguf_tokenizer_json(&file, &text);
        if (error == NULL ? status != INCISE_OK
                          : status != INCISE_ERROR_DATA || strstr(test_last_error(), error) == NULL)
            fail_msg("case %zu: status %d, '%s'", i, status, test_last_error());
        inc_buffer_fini(&text);
        inc_gguf_close(&file);
        free(copy);
        assert_int_equal(test_live_allocations(), 0);
    }
}

/* A part of a model says so before anything is missed. */
static void split_model(void **state)
{
    static struct bytes b;
    struct inc_gguf file;
    struct inc_json config;
    unsigned char *copy;
    (void)state;
    put_header(&b, 3, 0, 1);
    put_key(&b, "split.count", INC_GGUF_U16);
    put_int(&b, 3, 2);
    assert_int_equal(open_copy(b.data, b.n, &file, &copy), INCISE_OK);
    assert_int_equal(inc_gguf_config(&file, &config), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "one of 3 files ('split.count')"));
    inc_gguf_close(&file);
    free(copy);
}

/* ---- changed models ---------------------------------------------------------------------------------------------- */

/* Everything that is made of a file; what comes out does not matter. */
static enum incise_status use(struct inc_gguf *file)
{
    const struct inc_gguf_options options = {.embedding = true, .keep_quantized = true};
    struct inc_graph *graph = NULL;
    struct inc_buffer text;
    enum incise_status status = inc_gguf_build(file, &options, &graph);
    inc_graph_destroy(graph);
    inc_buffer_init(&text, test_ctx());
    (void)!inc_gguf_tokenizer_json(file, &text);
    inc_buffer_fini(&text);
    inc_gguf_close(file);
    return status;
}

static void read_model(const char *name, struct inc_file *bytes)
{
    assert_int_equal(inc_file_read(test_ctx(), test_fixture_path(name, "model.gguf"), 1 << 20, bytes), INCISE_OK);
}

/* Cut anywhere in the head, and at some places behind it, the file is refused. */
static void truncated(void **state)
{
    struct inc_file bytes;
    struct inc_gguf file;
    unsigned char *copy;
    (void)state;
    read_model("bert-gguf", &bytes);
    assert_int_equal(inc_gguf_open_memory(test_ctx(), LABEL, bytes.data, bytes.size, &file), INCISE_OK);
    uint64_t head = bytes.size;
    for (size_t i = 0; i < file.n_tensors; i++) head = file.tensors[i].at < head ? file.tensors[i].at : head;
    inc_gguf_close(&file);
    assert_in_range(head, 1000, 8000);
    for (size_t n = 0; n < bytes.size; n += n <= head ? 1 : 97) {
        enum incise_status status = open_copy(bytes.data, n, &file, &copy);
        if (status != INCISE_ERROR_DATA) fail_msg("cut to %zu bytes: status %d", n, status);
        free(copy);
        assert_int_equal(test_live_allocations(), 1);
    }
    inc_file_release(test_ctx(), &bytes);
}

/* Bytes of the head set to others: an error or a model, in any case nothing worse. */
static void changed(void **state)
{
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct inc_file bytes;
    struct inc_gguf file;
    unsigned char *copy;
    size_t n_refused = 0, n_tried = 0;
    uint64_t random = test_seed();
    (void)state;
    read_model("gemma-embedding-gguf", &bytes);
    for (size_t at = 0; at < 10500; at += 1 + test_random_below(&random, 8)) {
        unsigned char former = bytes.data[at], value = values[test_random_below(&random, sizeof values)];
        if (value == former) value ^= 4;
        bytes.data[at] = value;
        enum incise_status status = open_copy(bytes.data, bytes.size, &file, &copy);
        if (status == INCISE_OK) status = use(&file);
        free(copy);
        bytes.data[at] = former;
        if (status != INCISE_OK && status != INCISE_ERROR_DATA && status != INCISE_ERROR_USAGE)
            fail_msg("byte %zu set to 0x%02x: status %d, '%s'", at, value, status, test_last_error());
        n_refused += status != INCISE_OK;
        n_tried++;
        assert_int_equal(test_live_allocations(), 1);
    }
    printf("%zu of %zu changes refused\n", n_refused, n_tried);
    assert_true(n_refused > n_tried / 4);
    inc_file_release(test_ctx(), &bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),
        cmocka_unit_test(accepted),
        cmocka_unit_test(vocabularies),
        cmocka_unit_test(split_model),
        cmocka_unit_test(truncated),
        cmocka_unit_test(changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
