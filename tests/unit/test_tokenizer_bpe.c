/* SPDX-License-Identifier: Apache-2.0 */
/* BPE and Unigram tokenizers: ids and spans recorded from Hugging Face (scripts/make_tokenizer_fixtures.py), hostile
 * files and texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "support/support.h"
#include "text/bpe.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#define FOLDER "data/tokenizers/"

static const char *const names[] = {"fallback", "across", "gpt2", "qwen", "roberta", "xlmr", "t5"};
#define N_NAMES (sizeof names / sizeof *names)

static void read_file(const char *name, const char *ending, struct inc_file *file)
{
    char path[64];
    snprintf(path, sizeof path, FOLDER "%s%s", name, ending);
    assert_int_equal(inc_file_read(test_ctx(), path, (size_t)1 << 24, file), INCISE_OK);
}

static struct inc_tokenizer *load(const char *name)
{
    struct inc_tokenizer *t;
    char path[64];
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    if (inc_tokenizer_load(test_ctx(), path, &t) != INCISE_OK) fail_msg("%s", test_last_error());
    return t;
}

/* A line of lines.txt, U+240A written as the newline that it stands for. */
static size_t copy_line(char *to, const char *line, size_t n)
{
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        bool newline = n - i >= 3 && memcmp(line + i, "\xe2\x90\x8a", 3) == 0;
        to[length++] = newline ? '\n' : line[i];
        i += newline ? 2 : 0;
    }
    return length;
}

static size_t parse_ids(const char **at, int32_t *ids, size_t capacity)
{
    size_t n = 0;
    char *rest = (char *)(uintptr_t)*at;
    while (*rest != '\n') {
        assert_true(n < capacity);
        ids[n++] = (int32_t)strtol(rest, &rest, 10);
    }
    *at = rest + 1;
    return n;
}

/* A limit keeps the first tokens and the special ones behind. */
static void check_line(const struct inc_tokenizer *t, const char *name, const char *text, size_t n, const int32_t *want,
                       size_t n_want, size_t limit, struct inc_ids *ids)
{
    bool cut = limit > 0 && n_want > limit;
    size_t kept = cut ? limit - t->n_suffix : n_want;
    assert_int_equal(inc_tokenizer_encode(t, text, n, limit, ids), INCISE_OK);
    bool same = ids->count == (cut ? limit : n_want) && memcmp(ids->ids, want, kept * sizeof *want) == 0;
    if (cut && t->n_suffix > 0) same = same && ids->ids[kept] == want[n_want - 1];
    if (!same || ids->truncated != cut) fail_msg("%s, at most %zu: '%.*s'", name, limit, (int)n, text);
}

static void test_recorded_ids(void **state)
{
    static const size_t limits[] = {0, 2, 3, 16};
    struct inc_file lines, recorded;
    struct inc_ids ids;
    (void)state;
    inc_ids_init(&ids, test_ctx());
    read_file("lines", ".txt", &lines);
    for (size_t i = 0; i < N_NAMES; i++) {
        struct inc_tokenizer *t = load(names[i]);
        size_t n_lines = 0;
        read_file(names[i], ".ids", &recorded);
        const char *expected = (const char *)recorded.data, *end = (const char *)lines.data + lines.size;
        for (const char *at = (const char *)lines.data; at < end; n_lines++) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            char text[4096];
            int32_t want[2048];
            assert_true(newline - at < (ptrdiff_t)sizeof text);
            size_t n = copy_line(text, at, (size_t)(newline - at)), n_want = parse_ids(&expected, want, 2048);
            for (size_t k = 0; k < sizeof limits / sizeof *limits; k++)
                check_line(t, names[i], text, n, want, n_want, limits[k], &ids);
            at = newline + 1;
        }
        assert_true(n_lines >= 200);
        inc_file_release(test_ctx(), &recorded);
        inc_tokenizer_destroy(t);
    }
    inc_ids_release(&ids);
    inc_file_release(test_ctx(), &lines);
    assert_int_equal(test_live_allocations(), 0);
}

/* The spans of the first lines, and that asking for them changes no id. */
static void test_recorded_spans(void **state)
{
    struct inc_file lines, recorded;
    struct inc_ids ids, with_spans;
    (void)state;
    inc_ids_init(&ids, test_ctx());
    inc_ids_init(&with_spans, test_ctx());
    with_spans.with_spans = true;
    read_file("lines", ".txt", &lines);
    for (size_t i = 0; i < N_NAMES; i++) {
        struct inc_tokenizer *t = load(names[i]);
        read_file(names[i], ".spans", &recorded);
        const char *expected = (const char *)recorded.data, *end = (const char *)lines.data + lines.size;
        for (const char *at = (const char *)lines.data; at < end;) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            char text[4096];
            int32_t want[4096];
            size_t n = copy_line(text, at, (size_t)(newline - at));
            assert_int_equal(inc_tokenizer_encode(t, text, n, 0, &ids), INCISE_OK);
            assert_int_equal(inc_tokenizer_encode(t, text, n, 0, &with_spans), INCISE_OK);
            assert_int_equal(ids.count, with_spans.count);
            if (ids.count > 0) assert_memory_equal(ids.ids, with_spans.ids, ids.count * sizeof *ids.ids);
            if (expected < (const char *)recorded.data + recorded.size) {
                assert_int_equal(parse_ids(&expected, want, 4096), 2 * ids.count);
                for (size_t k = 0; k < ids.count; k++) {
                    if (with_spans.spans[k].start != (size_t)want[2 * k] ||
                        with_spans.spans[k].end != (size_t)want[2 * k + 1])
                        fail_msg("%s: token %zu of '%.*s' at %zu..%zu", names[i], k, (int)n, text,
                                 with_spans.spans[k].start, with_spans.spans[k].end);
                }
            }
            at = newline + 1;
        }
        inc_file_release(test_ctx(), &recorded);
        inc_tokenizer_destroy(t);
    }
    inc_ids_release(&ids);
    inc_ids_release(&with_spans);
    inc_file_release(test_ctx(), &lines);
    assert_int_equal(test_live_allocations(), 0);
}

/* The ids of a text longer than a chunk and a short word do not depend on how it is cut. */
static void test_cuts(void **state)
{
    struct inc_file text;
    struct inc_ids cut, whole;
    (void)state;
    assert_int_equal(inc_file_read(test_ctx(), "data/multilingual.txt", (size_t)1 << 24, &text), INCISE_OK);
    inc_ids_init(&cut, test_ctx());
    inc_ids_init(&whole, test_ctx());
    for (size_t i = 0; i < N_NAMES; i++) {
        struct inc_tokenizer *t = load(names[i]);
        assert_true(t->cut_at_space == (i < 4) && !t->cut_at_newline);
        if (i == 0) assert_true(inc_bpe_cuts_after(t->model, 'a') && inc_bpe_cuts_after(t->model, 0xe9));
        if (i == 1) assert_false(inc_bpe_cuts_after(t->model, 'e') || inc_bpe_cuts_after(t->model, ','));
        assert_int_equal(inc_tokenizer_encode(t, (const char *)text.data, text.size, 0, &cut), INCISE_OK);
        t->cut_at_space = false;
        assert_int_equal(inc_tokenizer_encode(t, (const char *)text.data, text.size, 0, &whole), INCISE_OK);
        assert_int_equal(cut.count, whole.count);
        assert_memory_equal(cut.ids, whole.ids, whole.count * sizeof *whole.ids);
        inc_tokenizer_destroy(t);
    }
    inc_ids_release(&cut);
    inc_ids_release(&whole);
    inc_file_release(test_ctx(), &text);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* CPU seconds to encode `length` bytes of `unit`, rounded down to whole units. */
static double encode_seconds(const struct inc_tokenizer *t, const char *unit, char *text, size_t length,
                             struct inc_ids *ids)
{
    size_t n = strlen(unit);
    length = length / n * n;
    for (size_t at = 0; at < length; at += n) memcpy(text + at, unit, n);
    double start = seconds();
    assert_int_equal(inc_tokenizer_encode(t, text, length, 0, ids), INCISE_OK);
    return seconds() - start;
}

/* Eight times the text: linear time grows by 8, n log n by 10, quadratic by 64. */
static void test_linear_time(void **state)
{
    static const char *const units[] = {"a", "ab", " ", "\xe2\x96\x81", "\n", "\n ", "<", "<bol", "\xe4\xb8\xad", "'",
                                        "\xc2\xa0"};
    size_t size = (size_t)1 << 18;
    char *text = malloc(size);
    struct inc_ids ids;
    (void)state;
    assert_non_null(text);
    inc_ids_init(&ids, test_ctx());
    for (size_t i = 0; i < N_NAMES; i++) {
        struct inc_tokenizer *t = load(names[i]);
        for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
            encode_seconds(t, units[k], text, size, &ids); /* the buffers grow here, not in what is timed */
            double little = encode_seconds(t, units[k], text, size / 8, &ids);
            double much = encode_seconds(t, units[k], text, size, &ids);
            if (much > 24 * little + 0.05)
                fail_msg("%s: '%s' takes %.3f s for 32 kB, %.3f s for 256 kB", names[i], units[k], little, much);
        }
        inc_tokenizer_destroy(t);
    }
    inc_ids_release(&ids);
    free(text);
}

/* a b c <unk> <0x41>; no pre-tokenizer; unknown characters become one <unk> */
static const char tiny_json[] =
    "{\"version\":\"1.0\",\"added_tokens\":[],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
    "\"Replace\",\"pattern\":{\"String\":\"xy\"},\"content\":\"a\"},{\"type\":\"Replace\",\"pattern\":{\"String\":"
    "\"aa\"},\"content\":\"\"}]},\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":"
    "\"MergedWithPrevious\",\"invert\":false},\"post_processor\":null,\"decoder\":null,\"model\":{\"type\":\"BPE\","
    "\"dropout\":null,\"unk_token\":\"<unk>\",\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":null,"
    "\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{\"<unk>\":0,\"a\":1,\"b\":2,\"c\":3,\"bc\":4,\"ab\":5,"
    "\"abc\":6,\"-\":7,\"-a\":8,\"<0x41>\":9,\"\\u0062b\":10},\"merges\":[\"b c\",[\"a\",\"b\"],[\"a\",\"bc\"],[\"-\","
    "\"a\"]]}}";

static void expect(const char *text, const char *expected)
{
    char got[256] = "";
    struct inc_tokenizer *t;
    struct inc_ids ids;
    size_t n = 0;
    inc_ids_init(&ids, test_ctx());
    assert_int_equal(inc_tokenizer_load_json(test_ctx(), "tiny", tiny_json, strlen(tiny_json), &t), INCISE_OK);
    assert_int_equal(inc_tokenizer_encode(t, text, strlen(text), 0, &ids), INCISE_OK);
    for (size_t i = 0; i < ids.count; i++) n += (size_t)sprintf(got + n, "%s%d", i > 0 ? " " : "", ids.ids[i]);
    assert_string_equal(got, expected);
    inc_ids_release(&ids);
    inc_tokenizer_destroy(t);
}

static void test_tiny(void **state)
{
    (void)state;
    expect("", "");
    expect("abc", "6");         /* bc first: it is earlier in the list */
    expect("abb", "5 2");       /* bb is a token, but no merge makes it */
    expect("a-a-b", "1 7 1 7 2"); /* words end at '-': "-a" lies across them */
    expect("bxyxyc", "4");      /* -> baac -> bc: steps one after the other */
    expect("zAzzb", "9 0 2");   /* the byte passes the waiting <unk>, as with Hugging Face */
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *from, *to, *error;
    } cases[] = {
        {"\"dropout\":null", "\"dropout\":0.1", "'dropout' is not supported"},
        {"\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"</w>\"", "'end_of_word_suffix' is not supported"},
        {"\"dropout\":null", "\"cache\":1", "'cache' is not supported"},
        {"\"unk_token\":\"<unk>\"", "\"unk_token\":\"<u>\"", "lacks the unknown token '<u>'"},
        {"\"b c\"", "\"b\"", "merge 0 is not two tokens"},
        {"\"b c\"", "\"b c a\"", "merge 0 is not two tokens"},
        {"\"b c\"", "[\"b\"]", "merge 0 is not two tokens"},
        {"\"b c\"", "[\"b\",\"c\",\"a\"]", "merge 0 is not two tokens"},
        {"\"b c\"", "\"c c\"", "merge of 'c' and 'c'"},
        {"\"b c\"", "7", "[ expected"},
        {"\"merges\":", "\"merge\":", "'merge' is not supported"},
        {"\"vocab\":{", "\"vocab\":{},\"vocab\":{", "duplicate"},
        {"\"\\u0062b\"", "\"\\u0062\"", "occurs twice"},
        {"\"\\u0062b\"", "\"\\ud800b\"", "invalid escape"},
        {"\"\\u0062b\"", "\"\xff\"", "not UTF-8"},
        {"\"MergedWithPrevious\"", "\"Moved\"", "behavior 'Moved'"},
        {"\"invert\":false", "\"invert\":1", "'invert' is not true or false"},
        {"{\"String\":\"-\"}", "{\"Regex\":\"-\"}", "regular expression '-'"},
        {"{\"String\":\"-\"}", "{\"String\":\"\"}", "no string or empty"},
        {"\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"MergedWithPrevious\",\"invert\":false",
         "\"type\":\"ByteLevel\",\"add_prefix_space\":false", "'byte_fallback' with ByteLevel"},
        {"\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"MergedWithPrevious\",\"invert\":false",
         "\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":false},{\"type\":"
         "\"BertPreTokenizer\"}]", "'step after ByteLevel'"},
        {"\"post_processor\":null", "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":"
         "\"BertProcessing\",\"cls\":[\"a\",1],\"sep\":[\"a\",1]},{\"type\":\"RobertaProcessing\"}]}",
         "sequence of templates"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_tokenizer *t = NULL;
        char *text = test_patched(tiny_json, cases[i].from, cases[i].to);
        assert_int_equal(inc_tokenizer_load_json(test_ctx(), "bad", text, strlen(text), &t), INCISE_ERROR_DATA);
        if (strstr(test_last_error(), cases[i].error) == NULL)
            fail_msg("'%s' does not hold '%s'", test_last_error(), cases[i].error);
        free(text);
    }
    for (size_t n = 0; n < strlen(tiny_json); n++) {
        struct inc_tokenizer *t;
        char *copy = malloc(n + 1); /* of exactly this size, for the sanitizers */
        memcpy(copy, tiny_json, n);
        assert_int_equal(inc_tokenizer_load_json(test_ctx(), "cut", copy, n, &t), INCISE_ERROR_DATA);
        free(copy);
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void test_memory_failures(void **state)
{
    struct inc_file file;
    char text[512];
    bool done = false;
    (void)state;
    memset(text, 'a', sizeof text); /* enough for a heap */
    memcpy(text, "I'll \xe4\xb8\xad\n\n<b>", 13);
    read_file("across", ".json", &file);
    for (size_t n = 0; !done; n++) {
        struct inc_tokenizer *t;
        struct inc_ids ids;
        inc_ids_init(&ids, test_ctx());
        test_fail_after(n);
        enum incise_status status = inc_tokenizer_load_json(test_ctx(), "a", file.data, file.size, &t);
        if (status == INCISE_OK) status = inc_tokenizer_encode(t, text, sizeof text, 0, &ids);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
        done = status == INCISE_OK;
        inc_ids_release(&ids);
        inc_tokenizer_destroy(t);
        assert_int_equal(test_live_allocations(), 1); /* the file */
        assert_true(n < 500);
    }
    inc_file_release(test_ctx(), &file);
}

/* GPT-2's alphabet: 256 different characters that are visible, those of visible bytes themselves. */
static void test_byte_characters(void **state)
{
    bool seen[0x144] = {false};
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        uint32_t code = inc_byte_level_code((unsigned char)b);
        assert_true(code > ' ' && code < 0x144 && code != 0x7f && (code < 0x80 || code > 0xa0) && !seen[code]);
        assert_true(code == b || code >= 0x100);
        seen[code] = true;
    }
    assert_int_equal(inc_byte_level_code(' '), 0x120);
    assert_int_equal(inc_byte_level_code(0xad), 0x143);
    assert_int_equal(inc_byte_level_code('\n'), 0x10a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_ids),    cmocka_unit_test(test_recorded_spans),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_linear_time),     cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_bad_files),       cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_byte_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
