/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers: ids recorded from Hugging Face (scripts/make_small_tokenizer.py), hostile files and texts. */
#include "text/tokenizer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "support/support.h"
#include "text/pieces.h"
#include "text/pooling.h"

#define TOKENIZER "data/multilingual.tokenizer.json"

static const char tiny_json[] =
    "{\"version\":\"1.0\",\"truncation\":{\"max_length\":9,\"strategy\":\"LongestFirst\",\"stride\":0},\"padding\":"
    "null,"
    "\"added_tokens\":[{\"id\":0,\"content\":\"[UNK]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
    "\"normalized\":false,\"special\":true},{\"id\":7,\"content\":\"New\",\"normalized\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
    "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}"
    "},"
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":[],"
    "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[1],\"tokens\":[\"[CLS]\"]},"
    "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[2],\"tokens\":[\"[SEP]\"]}}},"
    "\"decoder\":null,\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"ab\":3,\"##c\":4,\"##cd\":5,"
    "\"!\":6}}}";

static void read_file(const char *path, struct inc_file *file)
{
    assert_int_equal(inc_file_read(test_ctx(), path, (size_t)1 << 24, file), INCISE_OK);
}

static struct inc_tokenizer *load_tiny(void)
{
    struct inc_tokenizer *t;
    assert_int_equal(inc_tokenizer_load_json(test_ctx(), "tiny", tiny_json, strlen(tiny_json), &t), INCISE_OK);
    return t;
}

/* "1 3 2" */
static const char *ids_text(const struct inc_ids *ids)
{
    static char text[1 << 16];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ids->count && n < sizeof text - 16; i++)
        n += (size_t)sprintf(text + n, "%s%d", i > 0 ? " " : "", ids->ids[i]);
    return text;
}

static void expect(const struct inc_tokenizer *t, const char *text, size_t max_tokens, const char *expected,
                   bool truncated)
{
    struct inc_ids ids;
    inc_ids_init(&ids, test_ctx());
    assert_int_equal(inc_tokenizer_encode(t, text, strlen(text), max_tokens, &ids), INCISE_OK);
    assert_string_equal(ids_text(&ids), expected);
    assert_int_equal(ids.truncated, truncated);
    inc_ids_release(&ids);
}

/* Encodes each line of the multilingual text and compares with the recorded ids, cut to `max_tokens`. */
static void check_recorded(const struct inc_tokenizer *t, size_t max_tokens)
{
    struct inc_file text, recorded;
    struct inc_ids ids;
    size_t lines = 0;
    read_file("data/multilingual.txt", &text);
    read_file("data/multilingual.minilm.ids", &recorded);
    inc_ids_init(&ids, test_ctx());
    const char *expected = (const char *)recorded.data;
    for (const char *at = (const char *)text.data, *end = at + text.size; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        int32_t want[1024];
        size_t n = 0;
        char *rest = (char *)(uintptr_t)expected;
        while (*rest != '\n') {
            assert_true(n < 1024);
            want[n++] = (int32_t)strtol(rest, &rest, 10);
        }
        expected = rest + 1;
        bool cut = max_tokens > 0 && n > max_tokens;
        if (cut) {
            want[max_tokens - 1] = want[n - 1];
            n = max_tokens;
        }
        assert_int_equal(inc_tokenizer_encode(t, at, (size_t)(newline - at), max_tokens, &ids), INCISE_OK);
        if (ids.count != n || memcmp(ids.ids, want, n * sizeof *want) != 0 || ids.truncated != cut)
            fail_msg("line %zu: %.*s\ngives %s", lines + 1, (int)(newline - at), at, ids_text(&ids));
        at = newline + 1;
    }
    assert_true(lines >= 400);
    inc_ids_release(&ids);
    inc_file_release(test_ctx(), &text);
    inc_file_release(test_ctx(), &recorded);
}

static void test_recorded_ids(void **state)
{
    static const size_t limits[] = {0, 2, 3, 16, 100};
    struct inc_tokenizer *t;
    (void)state;
    assert_int_equal(inc_tokenizer_load(test_ctx(), TOKENIZER, &t), INCISE_OK);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) check_recorded(t, limits[i]);
    assert_int_equal(inc_tokenizer_max_tokens(t), 128);
    assert_int_equal(inc_tokenizer_pad_id(t), 0);
    inc_tokenizer_destroy(t);
    assert_int_equal(test_live_allocations(), 0);
}

/* One text of all lines is longer than a chunk: its ids are those of the lines. */
static void test_long_text(void **state)
{
    struct inc_tokenizer *t;
    struct inc_file text;
    struct inc_ids whole, line;
    (void)state;
    assert_int_equal(inc_tokenizer_load(test_ctx(), TOKENIZER, &t), INCISE_OK);
    read_file("data/multilingual.txt", &text);
    inc_ids_init(&whole, test_ctx());
    inc_ids_init(&line, test_ctx());
    assert_int_equal(inc_tokenizer_encode(t, (const char *)text.data, text.size, 0, &whole), INCISE_OK);
    size_t count = 1;
    for (const char *at = (const char *)text.data, *end = at + text.size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        assert_int_equal(inc_tokenizer_encode(t, at, (size_t)(newline - at), 0, &line), INCISE_OK);
        assert_true(count + line.count - 2 < whole.count);
        assert_memory_equal(whole.ids + count, line.ids + 1, (line.count - 2) * sizeof *line.ids);
        count += line.count - 2;
        at = newline + 1;
    }
    assert_int_equal(count + 1, whole.count);
    inc_ids_release(&whole);
    inc_ids_release(&line);
    inc_file_release(test_ctx(), &text);
    inc_tokenizer_destroy(t);
}

static void test_tiny(void **state)
{
    struct inc_tokenizer *t = load_tiny();
    (void)state;
    assert_int_equal(inc_tokenizer_vocab_size(t), 8);
    assert_int_equal(inc_tokenizer_max_tokens(t), 9);
    expect(t, "", 0, "1 2", false);
    expect(t, "AB abcd\tabc!x", 0, "1 3 3 5 3 4 6 0 2", false);
    expect(t, "abcd", 3, "1 3 2", true);
    expect(t, "abcd", 4, "1 3 5 2", false);
    expect(t, "abcz abc", 3, "1 0 2", true);   /* an unknown word is one token however it is cut */
    expect(t, "abnewab", 0, "1 3 7 3 2", false); /* matched in the normalized text */
    expect(t, "a\xcc\x81" "b[UNK][unk]", 0, "1 3 0 0 0 0 2", false);
    inc_tokenizer_destroy(t);
}

static void test_not_utf8(void **state)
{
    static const char *const texts[] = {"\xff", "ab\x80", "ab\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                        "\xe2\x82", "12345678\xfe", "123456781234567\xf0\x9f\x98"};
    struct inc_tokenizer *t = load_tiny();
    struct inc_ids ids;
    (void)state;
    inc_ids_init(&ids, test_ctx());
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(inc_tokenizer_encode(t, texts[i], strlen(texts[i]), 8, &ids), INCISE_ERROR_DATA);
        assert_non_null(strstr(test_last_error(), "not UTF-8"));
    }
    assert_int_equal(inc_tokenizer_encode(t, "ab", 2, 1, &ids), INCISE_ERROR_USAGE);
    assert_int_equal(inc_tokenizer_encode(t, "a\0b", 3, 0, &ids), INCISE_OK); /* clean_text drops NUL */
    assert_string_equal(ids_text(&ids), "1 3 2");
    inc_ids_release(&ids);
    inc_tokenizer_destroy(t);
}

static void *encode_all(void *arg)
{
    for (int i = 0; i < 3; i++) check_recorded(arg, 0);
    return NULL;
}

static void test_shared_by_threads(void **state)
{
    pthread_t threads[3];
    struct inc_tokenizer *t;
    (void)state;
    assert_int_equal(inc_tokenizer_load(test_ctx(), TOKENIZER, &t), INCISE_OK);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, encode_all, t), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    inc_tokenizer_destroy(t);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 1 MB of one thing: two letters, spaces, marks in falling order, an almost added token, ideographs. */
static void test_linear_time(void **state)
{
    static const char *const units[] = {"a", "ab", " ", "\xcc\x81", "\xe3\x80\xaf\xe3\x80\xae", "[", "[UNK", "[UNK]",
                                        "\xe4\xb8\xad", "a ", "!", "n", "new", "\xef\xbf\xbf", "\xed\x95\x9c"};
    size_t size = (size_t)1 << 20;
    char *text = malloc(size);
    struct inc_ids ids;
    (void)state;
    assert_non_null(text);
    inc_ids_init(&ids, test_ctx());
    for (int cut = 0; cut < 2; cut++) {
        struct inc_tokenizer *t = NULL;
        if (cut == 0)
            t = load_tiny();
        else
            assert_int_equal(inc_tokenizer_load(test_ctx(), TOKENIZER, &t), INCISE_OK);
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            size_t n = strlen(units[i]), length = size / n * n;
            for (size_t at = 0; at < length; at += n) memcpy(text + at, units[i], n);
            double start = seconds();
            assert_int_equal(inc_tokenizer_encode(t, text, length, cut == 0 ? 0 : 256, &ids), INCISE_OK);
            double taken = seconds() - start;
            if (taken > 1.0) fail_msg("1 MB of '%s' takes %.2f s", units[i], taken);
        }
        inc_tokenizer_destroy(t);
    }
    inc_ids_release(&ids);
    free(text);
}

static void test_unsupported(void **state)
{
    static const struct {
        const char *from, *to, *error;
    } cases[] = {
        {"\"BertNormalizer\"", "\"NFX\"", "normalizer 'NFX'"},
        {"\"BertNormalizer\"", "\"NFKC\"", "'clean_text' is not supported"},
        {"\"normalizer\":{", "\"normalizer\":null,\"x\":{", "'x' is not supported"},
        {"\"BertPreTokenizer\"", "\"Whites\"", "pre_tokenizer 'Whites'"},
        {"{\"type\":\"BertPreTokenizer\"}", "7", "'pre_tokenizer' is not an object"},
        {"\"WordPiece\"", "\"WordLevel\"", "model 'WordLevel'"},
        {"\"TemplateProcessing\"", "\"PairProcessing\"", "post_processor 'PairProcessing'"},
        {"\"id\":\"A\",\"type_id\":0", "\"id\":\"A\",\"type_id\":1", "token type other than 0"},
        {"\"id\":\"A\"", "\"id\":\"B\"", "several sequences"},
        {"\"ids\":[1]", "\"ids\":[]", "no ids for '[CLS]'"},
        {"\"ids\":[1]", "\"ids\":[8]", "special token 8 is not in the vocabulary"},
        {"\"ids\":[1]", "\"ids\":[-1]", "without a valid id"},
        {"\"single_word\":false", "\"single_word\":1", "'single_word' is not true or false"},
        {"\"id\":7", "\"id\":9", "has id 9, its place gives 7"},
        {"\"id\":0,", "\"id\":1,", "has id 1, its place gives 0"},
        {"\"New\"", "\"\"", "is empty"},
        {"\"New\"", "\"\xcc\x81\"", "is empty"},
        {"\"New\",\"normalized\":true", "\"[UNK]\",\"normalized\":false", "has id 7, its place gives 0"},
        {"\"ab\":3", "\"ab\":-3", "-3 is not an integer in 0.."},
        {"\"ab\":3", "\"ab\":3.5", "3.5 is not an integer"},
        {"\"ab\":3", "\"ab\":2147483647", "2147483647 is not an integer"},
        {"\"ab\":3", "\"\":3", "has 0 bytes"},
        {"\"ab\":3", "\"!\":3", "occurs twice"},
        {"\"unk_token\":\"[UNK]\"", "\"unk_token\":\"<unk>\"", "lacks the unknown token '<unk>'"},
        {"\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":1001", "outside 0..1000"},
        {"\"stride\":0", "\"direction\":\"Top\"", "truncation from the side 'Top'"},
        {"\"LongestFirst\"", "\"OnlySecond\"", "truncation strategy 'OnlySecond'"},
        {"\"clean_text\":true", "\"clean_text\":1", "'clean_text' is not true or false"},
        {"\"clean_text\":true", "\"clean\":true", "'clean' is not supported"},
        {"\"version\":\"1.0\"", "\"version\":\"\xff\"", "line 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct inc_tokenizer *t = NULL;
        char *text = test_patched(tiny_json, cases[i].from, cases[i].to);
        assert_int_equal(inc_tokenizer_load_json(test_ctx(), "bad", text, strlen(text), &t), INCISE_ERROR_DATA);
        if (strstr(test_last_error(), cases[i].error) == NULL)
            fail_msg("'%s' does not hold '%s'", test_last_error(), cases[i].error);
        assert_null(t);
        free(text);
    }
    assert_int_equal(test_live_allocations(), 0);
}

static void test_truncated_files(void **state)
{
    (void)state;
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
    static const char text[] = "ab \xe3\x80\xaf\xe3\x80\xae" "abcd[UNK] new \xe4\xb8\xad";
    bool done = false;
    (void)state;
    for (size_t n = 0; !done; n++) {
        struct inc_tokenizer *t;
        struct inc_ids ids;
        inc_ids_init(&ids, test_ctx());
        test_fail_after(n);
        enum incise_status status = inc_tokenizer_load_json(test_ctx(), "tiny", tiny_json, strlen(tiny_json), &t);
        if (status == INCISE_OK) status = inc_tokenizer_encode(t, text, strlen(text), 0, &ids);
        test_fail_after(SIZE_MAX);
        assert_true(status == INCISE_OK || status == INCISE_ERROR_MEMORY);
        done = status == INCISE_OK;
        inc_ids_release(&ids);
        inc_tokenizer_destroy(t);
        assert_int_equal(test_live_allocations(), 0);
        assert_true(n < 200);
    }
}

static const char vocab_txt[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nab\r\n##c\nAb\n\xc3\xa4\na";

static enum incise_status load_vocab(const char *config, struct inc_tokenizer **t)
{
    return inc_tokenizer_load_vocab(test_ctx(), "vocab.txt", vocab_txt, strlen(vocab_txt), config,
                                    config != NULL ? strlen(config) : 0, t);
}

static void test_vocab_txt(void **state)
{
    static const char *const bad[] = {
        "{\"tokenizer_class\":\"MPNetTokenizer\"}", "{\"do_basic_tokenize\":false}", "{\"cls_token\":\"<s>\"}", "[]",
        "{\"do_lower_case\":\"yes\"}",              "{\"unk_token\":\"<unk>\"}",     "{",
    };
    struct inc_tokenizer *t;
    (void)state;
    assert_int_equal(load_vocab(NULL, &t), INCISE_OK);
    expect(t, "Abc \xc3\xa4 [PAD]x", 0, "2 4 5 8 0 1 3", false);
    assert_int_equal(inc_tokenizer_vocab_size(t), 9);
    inc_tokenizer_destroy(t);
    assert_int_equal(load_vocab("{\"do_lower_case\":false,\"unk_token\":{\"content\":\"[UNK]\"}}", &t), INCISE_OK);
    expect(t, "Abc \xc3\xa4 [PAD]x", 0, "2 6 5 7 0 1 3", false);
    inc_tokenizer_destroy(t);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(load_vocab(bad[i], &t), INCISE_ERROR_DATA);
    assert_int_equal(inc_tokenizer_load_vocab(test_ctx(), "v", "[UNK]\na\na", 9, NULL, 0, &t), INCISE_ERROR_DATA);
    assert_int_equal(inc_tokenizer_load_vocab(test_ctx(), "v", "[UNK]\n\xff", 7, NULL, 0, &t), INCISE_ERROR_DATA);
    assert_int_equal(inc_tokenizer_load_vocab(test_ctx(), "v", "", 0, NULL, 0, &t), INCISE_ERROR_DATA);
    assert_int_equal(test_live_allocations(), 0);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void remove_file(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static void test_folders(void **state)
{
    char folder[] = "/tmp/incise-test-XXXXXX", path[64];
    struct inc_tokenizer *t;
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(inc_tokenizer_load(test_ctx(), folder, &t), INCISE_ERROR_NO_INPUT);
    assert_int_equal(inc_tokenizer_load(test_ctx(), "/nonexistent", &t), INCISE_ERROR_NO_INPUT);
    write_file(folder, "vocab.txt", vocab_txt);
    write_file(folder, "tokenizer_config.json", "{\"do_lower_case\":false}");
    assert_int_equal(inc_tokenizer_load(test_ctx(), folder, &t), INCISE_OK);
    expect(t, "Ab", 0, "2 6 3", false);
    inc_tokenizer_destroy(t);
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    assert_int_equal(inc_tokenizer_load(test_ctx(), path, &t), INCISE_OK);
    expect(t, "Ab", 0, "2 6 3", false);
    inc_tokenizer_destroy(t);
    write_file(folder, "tokenizer.json", tiny_json);
    assert_int_equal(inc_tokenizer_load(test_ctx(), folder, &t), INCISE_OK);
    expect(t, "Ab", 0, "1 3 2", false);
    inc_tokenizer_destroy(t);
    remove_file(folder, "tokenizer.json");
    remove_file(folder, "vocab.txt");
    remove_file(folder, "tokenizer_config.json");
    rmdir(folder);
    assert_int_equal(test_live_allocations(), 0);
}

static void test_pieces(void **state)
{
    struct inc_pieces pieces;
    char piece[INC_PIECE_MAX + 2];
    int32_t id = -1;
    (void)state;
    memset(piece, 'x', sizeof piece);
    assert_int_equal(inc_pieces_init(&pieces, test_ctx(), INC_PIECE_MAX), INCISE_OK);
    assert_int_equal(inc_pieces_longest(&pieces, piece, 5, &id), 0);
    for (size_t n = 1; n <= INC_PIECE_MAX; n += 3)
        assert_int_equal(inc_pieces_add(&pieces, "p", piece, n, (int32_t)n), INCISE_OK);
    assert_int_equal(inc_pieces_add(&pieces, "p", piece, INC_PIECE_MAX + 1, 0), INCISE_ERROR_DATA);
    assert_int_equal(inc_pieces_add(&pieces, "p", piece, 4, 0), INCISE_ERROR_DATA);
    for (size_t n = 1; n <= INC_PIECE_MAX + 2; n++) {
        size_t longest = n > 511 ? 511 : (n - 1) / 3 * 3 + 1;
        assert_int_equal(inc_pieces_longest(&pieces, piece, n, &id), longest);
        assert_int_equal(id, longest);
        assert_int_equal(inc_pieces_find(&pieces, piece, n, &id), n % 3 == 1 && n <= INC_PIECE_MAX);
    }
    assert_int_equal(inc_pieces_longest(&pieces, "y", 1, &id), 0);
    inc_pieces_fini(&pieces);
}

/* Where a table of 2^bits slots puts an entry (pieces.c). */
static uint64_t slot_of(const char *piece, size_t n, unsigned bits)
{
    uint64_t state = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) state = (state ^ (unsigned char)piece[i]) * 0x100000001b3u;
    return state * 0x9e3779b97f4a7c15u >> (64 - bits);
}

/* A vocabulary made so that all entries fall on one slot is refused before it takes quadratic time. */
static void test_colliding_pieces(void **state)
{
    struct inc_pieces pieces;
    enum incise_status status = INCISE_OK;
    size_t n_added = 0;
    (void)state;
    assert_int_equal(inc_pieces_init(&pieces, test_ctx(), 2000), INCISE_OK);
    for (unsigned i = 0; i < 20000000 && status == INCISE_OK; i++) {
        char piece[16];
        size_t n = (size_t)sprintf(piece, "%x", i);
        if (slot_of(piece, n, pieces.bits) != 7) continue;
        status = inc_pieces_add(&pieces, "p", piece, n, (int32_t)i);
        n_added += status == INCISE_OK;
    }
    assert_int_equal(status, INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "share a hash"));
    assert_int_equal(n_added, 1024);
    inc_pieces_fini(&pieces);
}

static void test_pooling(void **state)
{
    static const struct {
        const char *json;
        enum incise_status status;
        enum inc_pooling_mode mode;
    } cases[] = {
        {"{\"word_embedding_dimension\":384,\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":false}",
         INCISE_OK, INC_POOLING_MEAN},
        {"{\"pooling_mode_cls_token\":true,\"include_prompt\":false}", INCISE_OK, INC_POOLING_CLS},
        {"{\"pooling_mode_lasttoken\":true}", INCISE_OK, INC_POOLING_LAST},
        {"{\"pooling_mode_max_tokens\":true}", INCISE_OK, INC_POOLING_MAX},
        {"{\"pooling_mode_max_tokens\":true,\"pooling_mode_cls_token\":true}", INCISE_ERROR_DATA, 0},
        {"{\"pooling_mode_mean_sqrt_len_tokens\":true}", INCISE_OK, INC_POOLING_MEAN_SQRT_LEN},
        {"{\"pooling_mode_weightedmean_tokens\":true}", INCISE_ERROR_DATA, 0},
        {"{\"pooling_mode_mean_tokens\":1}", INCISE_ERROR_DATA, 0},
        {"{\"pooling_mode_mean_tokens\":true,\"word_embedding_dimension\":0}", INCISE_ERROR_DATA, 0},
        {"{\"pooling_mode\":\"lasttoken\",\"embedding_dimension\":384}", INCISE_OK, INC_POOLING_LAST},
        {"{\"pooling_mode\":[\"mean_sqrt_len_tokens\"]}", INCISE_OK, INC_POOLING_MEAN_SQRT_LEN},
        {"{\"pooling_mode\":[\"mean\",\"max\"]}", INCISE_ERROR_DATA, 0},
        {"{\"pooling_mode\":[]}", INCISE_ERROR_DATA, 0},
        {"{\"pooling_mode\":\"weightedmean\"}", INCISE_ERROR_DATA, 0},
        {"{\"pooling_mode\":true}", INCISE_ERROR_DATA, 0},
        {"{}", INCISE_ERROR_DATA, 0},
        {"{", INCISE_ERROR_DATA, 0},
    };
    char folder[] = "/tmp/incise-test-XXXXXX", inner[64];
    struct inc_pooling pooling;
    enum inc_pooling_mode mode;
    bool found;
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(inc_pooling_load(test_ctx(), folder, &pooling, &found), INCISE_OK);
    assert_false(found);
    assert_int_equal(pooling.mode, INC_POOLING_MEAN);
    snprintf(inner, sizeof inner, "%s/1_Pooling", folder);
    mkdir(inner, 0700);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(inner, "config.json", cases[i].json);
        assert_int_equal(inc_pooling_load(test_ctx(), folder, &pooling, &found), cases[i].status);
        assert_true(found);
        if (cases[i].status != INCISE_OK) continue;
        assert_int_equal(pooling.mode, cases[i].mode);
        assert_int_equal(pooling.include_prompt, strstr(cases[i].json, "include_prompt") == NULL);
        assert_int_equal(pooling.dimension, strstr(cases[i].json, "384") != NULL ? 384 : 0);
        assert_true(inc_pooling_parse(inc_pooling_name(pooling.mode), &mode) && mode == pooling.mode);
    }
    assert_false(inc_pooling_parse("median", &mode));
    remove_file(inner, "config.json");
    rmdir(inner);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_ids),   cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_tiny),           cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_shared_by_threads), cmocka_unit_test(test_linear_time),
        cmocka_unit_test(test_unsupported),    cmocka_unit_test(test_truncated_files),
        cmocka_unit_test(test_memory_failures), cmocka_unit_test(test_vocab_txt),
        cmocka_unit_test(test_folders),        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_colliding_pieces),
        cmocka_unit_test(test_pooling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
