/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizer files that nobody would write in good faith, made here: each is a typed error, or just works. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "text/tokenizer.h"

/* ---- a document in parts ----------------------------------------------------------------------------------------- */

struct document {
    const char *added, *normalizer, *splitter, *post, *model;
};

static const struct document plain = {
    "[]", "null", "null", "null",
    "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"b\",-2]]}",
};

static char *repeat(const char *unit, size_t times)
{
    size_t n = strlen(unit);
    char *text = malloc(n * times + 1);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++) memcpy(text + i * n, unit, n);
    text[n * times] = '\0';
    return text;
}

static char *join(const char *a, const char *b, const char *c)
{
    size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = malloc(n);
    assert_non_null(text);
    snprintf(text, n, "%s%s%s", a, b, c);
    return text;
}

static enum incise_status load_text(const char *json, size_t n, struct inc_tokenizer **tokenizer)
{
    char *copy = malloc(n + 1); /* of exactly this size, for the sanitizers */
    assert_non_null(copy);
    memcpy(copy, json, n);
    enum incise_status status = inc_tokenizer_load_json(test_ctx(), "bad", copy, n, tokenizer);
    free(copy);
    return status;
}

static enum incise_status load(const struct document *d, struct inc_tokenizer **tokenizer)
{
    size_t n = 200 + strlen(d->added) + strlen(d->normalizer) + strlen(d->splitter) + strlen(d->post) +
               strlen(d->model);
    char *json = malloc(n);
    assert_non_null(json);
    int length = snprintf(json, n,
                          "{\"added_tokens\":%s,\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":%s,"
                          "\"model\":%s}",
                          d->added, d->normalizer, d->splitter, d->post, d->model);
    enum incise_status status = load_text(json, (size_t)length, tokenizer);
    free(json);
    return status;
}

static void refuse(const struct document *d, const char *error)
{
    struct inc_tokenizer *tokenizer = NULL;
    assert_int_equal(load(d, &tokenizer), INCISE_ERROR_DATA);
    assert_null(tokenizer);
    if (strstr(test_last_error(), error) == NULL) fail_msg("'%s' does not hold '%s'", test_last_error(), error);
    assert_int_equal(test_live_allocations(), 0);
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

static void test_nesting(void **state)
{
    static const char *const units[] = {"[", "{\"a\":"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        char *deep = repeat(units[i], 100000);
        struct document d = plain;
        d.normalizer = deep;
        refuse(&d, "more than 64 levels");
        free(deep);
    }
}

static void test_many_added_tokens(void **state)
{
    enum { N = 100000 };
    char *list = malloc(N * 80 + 2), *at = list;
    struct inc_tokenizer *tokenizer;
    struct inc_ids ids;
    struct document d = plain;
    (void)state;
    assert_non_null(list);
    for (int i = 0; i < N; i++) at += sprintf(at, "%c{\"id\":%d,\"content\":\"a<%d>\"}", i > 0 ? ',' : '[', 3 + i, i);
    strcpy(at, "]");
    d.added = list;
    assert_int_equal(load(&d, &tokenizer), INCISE_OK);
    inc_ids_init(&ids, test_ctx());
    assert_int_equal(inc_tokenizer_encode(tokenizer, "aa<99999>b", 10, 0, &ids), INCISE_OK);
    assert_int_equal(ids.count, 3);
    assert_int_equal(ids.ids[1], 3 + 99999);
    inc_ids_release(&ids);
    inc_tokenizer_destroy(tokenizer);
    free(list);
}

static void test_models(void **state)
{
    static const struct {
        const char *model, *error;
    } cases[] = {
        {"{\"type\":\"Unigram\",\"unk_id\":3,\"vocab\":[[\"a\",0],[\"b\",0]]}", "unk_id 3 is not in the vocabulary"},
        {"{\"type\":\"Unigram\",\"unk_id\":-1,\"vocab\":[[\"a\",0]]}", "unk_id"},
        {"{\"type\":\"Unigram\",\"vocab\":{\"a\":0}}", "expected"},
        {"{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"a\",1]]}", "occurs twice"},
        {"{\"type\":\"Unigram\",\"vocab\":[[\"\",0]]}", "has 0 bytes"},
        {"{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}", "token 0 is not a string and a score"},
        {"{\"type\":\"Unigram\",\"vocab\":[[\"a\",0,0]]}", "token 0 is not a string and a score"},
        {"{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1e999]]}", "too large"},
        {"{\"type\":\"Unigram\",\"vocab\":[[\"a\",NaN]]}", "line 1"},
        {"{\"type\":\"Unigram\",\"vocab\":[[\"\\ud800\",0]]}", "invalid escape"},
        {"{\"type\":\"Unigram\",\"vocab\":[[\"\xff\",0]]}", "not UTF-8"},
        {"{\"type\":\"Unigram\",\"vocab\":[],\"vocab\":[]}", "duplicate"},
        {"{\"type\":\"Unigram\"}", "no 'vocab'"},
        {"{\"type\":\"Unigram\",\"vocab\":[],\"unk_id\":0}", "unk_id 0"},
        {"{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}", "lacks one or both"},
        {"{\"type\":\"BPE\",\"vocab\":{\"a\":99999999999},\"merges\":[]}", "not an integer"},
        {"{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"vocab\":[]}", "expected"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct document d = plain;
        d.model = cases[i].model;
        refuse(&d, cases[i].error);
    }
}

static void test_long_strings(void **state)
{
    char *longer = repeat("a", 1 << 20), *parts[3];
    struct document d = plain;
    (void)state;
    parts[0] = join("{\"type\":\"Unigram\",\"vocab\":[[\"", longer, "\",0]]}");
    parts[1] = join("{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"", longer, "\"}");
    parts[2] = join("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"", longer, "+\"},\"behavior\":\"Removed\"}");
    d.model = parts[0];
    refuse(&d, "token of 1048576 bytes");
    d = plain;
    d.normalizer = parts[1];
    refuse(&d, "more than 256 bytes");
    d = plain;
    d.splitter = parts[2];
    refuse(&d, "more than 256 bytes");
    for (int i = 0; i < 3; i++) free(parts[i]);
    free(longer);
}

static void test_steps(void **state)
{
    static const struct {
        const char *normalizer, *splitter, *post, *error;
    } cases[] = {
        {"{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":[]}]}", NULL, NULL,
         "'Sequence'"},
        {"{\"type\":\"NFC\",\"x\":1}", NULL, NULL, "'x' is not supported"},
        {"{\"type\":7}", NULL, NULL, "type"},
        {"{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(a|b)*\"},\"content\":\"\"}", NULL, NULL,
         "regular expression '(a|b)*'"},
        {"{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\\"},\"content\":\"\"}", NULL, NULL, "regular expression"},
        {"{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a{2,3}\"},\"content\":\"\"}", NULL, NULL,
         "regular expression"},
        {NULL, "{\"type\":\"Metaspace\",\"replacement\":\"ab\"}", NULL, "replacement 'ab'"},
        {NULL, "{\"type\":\"Metaspace\",\"replacement\":\"\"}", NULL, "replacement ''"},
        {NULL, "{\"type\":\"Metaspace\",\"prepend_scheme\":\"last\"}", NULL, "prepend_scheme 'last'"},
        {NULL, "{\"type\":\"ByteLevel\"}", NULL, "ByteLevel with model 'Unigram'"},
        {NULL, "{\"type\":\"UnicodeScripts\"}", NULL, "pre_tokenizer 'UnicodeScripts'"},
        {NULL, NULL, "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}]}",
         "no ids for 'x'"},
        {NULL, NULL, "{\"type\":\"RobertaProcessing\",\"sep\":[\"a\",9],\"cls\":[\"a\",1]}", "special token 9"},
        {NULL, NULL, "{\"type\":\"BertProcessing\",\"sep\":[\"a\",-9],\"cls\":[\"a\",1]}", "without a valid id"},
        {"{\"type\":\"Precompiled\"}", NULL, NULL, "Precompiled without a charsmap"},
        {"{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA=AAA\"}", NULL, NULL, "not base64"},
        {"{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAA\"}", NULL, NULL, "not base64"},
        {"{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}", NULL, NULL, "no double array"},
        /* 4 bytes of units that are not there; 4 units that lead to themselves, to a leaf behind the end */
        {"{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAA==\"}", NULL, NULL, "no double array"},
        {"{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"CAAAAAAAAAABAQAAQUEA\"}", NULL, NULL,
         "leads to no string"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct document d = plain;
        if (cases[i].normalizer != NULL) d.normalizer = cases[i].normalizer;
        if (cases[i].splitter != NULL) d.splitter = cases[i].splitter;
        if (cases[i].post != NULL) d.post = cases[i].post;
        refuse(&d, cases[i].error);
    }
}

/* Double arrays of random units: what loads is walked without leaving it. */
static void test_random_charsmaps(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t seed = test_seed();
    size_t loaded = 0;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        unsigned char bytes[4 + 64 + 100] = {64}; /* 16 units, and strings */
        char text[300], json[400];
        struct inc_tokenizer *tokenizer;
        struct inc_ids ids;
        struct document d = plain;
        size_t n = 0;
        for (size_t i = 4; i < 68; i += 4) { /* a label or a value; whether there is a leaf, and a small offset */
            bytes[i] = (unsigned char)(test_random(&seed) & 0x61u);
            if (test_random(&seed) % 3 == 0) bytes[i + 1] = (unsigned char)(test_random(&seed) & 0x3du);
        }
        for (size_t i = 68; i < sizeof bytes; i++) bytes[i] = test_random(&seed) % 4 == 0 ? 0 : 'a';
        for (size_t i = 0; i + 3 <= sizeof bytes; i += 3) {
            uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
            for (int k = 0; k < 4; k++) text[n++] = digits[group >> (18 - 6 * k) & 63];
        }
        text[n] = '\0';
        snprintf(json, sizeof json, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%s\"}", text);
        d.normalizer = json;
        if (load(&d, &tokenizer) != INCISE_OK) continue;
        inc_ids_init(&ids, test_ctx());
        for (int i = 0; i < 3; i++) {
            ids.with_spans = i == 1;
            assert_int_equal(inc_tokenizer_encode(tokenizer, "a !A a\xcc\x81`@", 10, 0, &ids), INCISE_OK);
        }
        inc_ids_release(&ids);
        inc_tokenizer_destroy(tokenizer);
        loaded++;
    }
    assert_true(loaded > 100);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting),      cmocka_unit_test(test_many_added_tokens),
        cmocka_unit_test(test_models),       cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_steps),        cmocka_unit_test(test_random_charsmaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
