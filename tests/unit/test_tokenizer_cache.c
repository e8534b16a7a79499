/* SPDX-License-Identifier: Apache-2.0 */
/* Cache files of tokenizers in memory: what comes back encodes the same; a table that was changed is refused, or at
 * least gives ids that exist. Each changed file gets its right hash. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "text/tokenizer_cache.h"

static const char json[] =
    "{\"added_tokens\":[{\"id\":0,\"content\":\"<u>\",\"special\":true},"
    "{\"id\":6,\"content\":\"<zz>\",\"lstrip\":true},"
    "{\"id\":7,\"content\":\"a<n\",\"normalized\":true,\"single_word\":true,\"rstrip\":true}],"
    "\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":null,\"post_processor\":null,"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<u>\",\"vocab\":{\"<u>\":0,\"a\":1,\"b\":2,\" \":3,\"ab\":4,\"z\":5},"
    "\"merges\":[[\"a\",\"b\"]]}}";
static const char text[] = "ab  <zz> A<N  b<u>bab\xcc\x81 xa<n<zz>";
static const struct inc_cache_key key = {{1, 2}};

static void make(struct inc_buffer *cache, struct inc_tokenizer **tokenizer)
{
    inc_buffer_init(cache, test_ctx());
    assert_int_equal(inc_cache_write(test_ctx(), "test", json, sizeof json - 1, &key, cache, tokenizer), INCISE_OK);
    assert_false(cache->failed);
}

/* Of the bytes with their right hash. */
static enum incise_status load(const struct inc_buffer *cache, struct inc_tokenizer **tokenizer)
{
    unsigned char *bytes = malloc(cache->length);
    struct inc_reader reader;
    assert_non_null(bytes);
    memcpy(bytes, cache->data, cache->length);
    inc_sealed_mend(bytes, cache->length);
    inc_reader_open_memory(test_ctx(), "test", bytes, cache->length, &reader);
    enum incise_status status = inc_cache_read(test_ctx(), "test", &reader, &key, tokenizer);
    free(bytes);
    return status;
}

static void refuse(const struct inc_buffer *cache)
{
    struct inc_tokenizer *tokenizer;
    assert_int_equal(load(cache, &tokenizer), INCISE_ERROR_DATA);
    assert_null(tokenizer);
}

static void test_same(void **state)
{
    static const int32_t expected[] = {4, 6, 3, 7, 2, 0, 2, 4, 0, 3, 0, 1, 0, 0, 6};
    struct inc_buffer cache;
    struct inc_tokenizer *made[2];
    struct inc_ids ids[2];
    (void)state;
    make(&cache, &made[0]);
    assert_int_equal(load(&cache, &made[1]), INCISE_OK);
    for (int i = 0; i < 2; i++) {
        inc_ids_init(&ids[i], test_ctx());
        ids[i].with_spans = true;
        assert_int_equal(inc_tokenizer_encode(made[i], text, sizeof text - 1, 0, &ids[i]), INCISE_OK);
        assert_int_equal(ids[i].count, sizeof expected / sizeof *expected);
        assert_memory_equal(ids[i].ids, expected, sizeof expected);
        assert_int_equal(inc_tokenizer_vocab_size(made[i]), 8);
    }
    assert_memory_equal(ids[0].spans, ids[1].spans, ids[0].count * sizeof *ids[0].spans);
    for (int i = 0; i < 2; i++) {
        inc_ids_release(&ids[i]);
        inc_tokenizer_destroy(made[i]);
    }
    inc_buffer_fini(&cache);
    assert_int_equal(test_live_allocations(), 0);
}

/* What memory held before does not get into a file. */
static void test_same_bytes(void **state)
{
    struct inc_buffer caches[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct inc_tokenizer *tokenizer;
        mallopt(M_PERTURB, i + 1);
        make(&caches[i], &tokenizer);
        inc_tokenizer_destroy(tokenizer);
    }
    mallopt(M_PERTURB, 0);
    assert_int_equal(caches[0].length, caches[1].length);
    assert_memory_equal(caches[0].data, caches[1].data, caches[0].length);
    for (int i = 0; i < 2; i++) inc_buffer_fini(&caches[i]);
}

static void test_any_byte(void **state)
{
    static const unsigned char masks[] = {0x01, 0x80, 0xff};
    struct inc_buffer cache;
    struct inc_tokenizer *tokenizer;
    size_t refused = 0;
    (void)state;
    make(&cache, &tokenizer);
    inc_tokenizer_destroy(tokenizer);
    for (size_t i = (size_t)3 * 64; i < 3 * cache.length; i++) {
        unsigned char *byte = (unsigned char *)cache.data + i / 3, mask = masks[i % 3];
        *byte ^= mask;
        enum incise_status status = load(&cache, &tokenizer);
        if (status == INCISE_OK) {
            struct inc_ids ids;
            inc_ids_init(&ids, test_ctx());
            assert_int_equal(inc_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, &ids), INCISE_OK);
            for (size_t k = 0; k < ids.count; k++)
                assert_in_range(ids.ids[k], 0, inc_tokenizer_vocab_size(tokenizer) - 1);
            inc_ids_release(&ids);
            inc_tokenizer_destroy(tokenizer);
        }
        refused += status != INCISE_OK;
        *byte ^= mask;
    }
    assert_in_range(refused, 100, 3 * cache.length);
    inc_buffer_fini(&cache);
    assert_int_equal(test_live_allocations(), 0);
}

/* Tables of added tokens that point outside, or into the middle of characters. */
static void test_added_tokens(void **state)
{
    struct inc_buffer cache;
    struct inc_tokenizer *tokenizer;
    size_t changed = 0;
    (void)state;
    make(&cache, &tokenizer);
    inc_tokenizer_destroy(tokenizer);
    char *token = memmem(cache.data, cache.length, "<zz>", 4);
    assert_non_null(token);
    assert_null(memmem(token + 1, cache.length - (size_t)(token + 1 - cache.data), "<zz>", 4));
    memcpy(token, "\x81zz>", 4);
    refuse(&cache);
    memcpy(token, "<zz>", 4);
    for (size_t i = 0; i + 12 <= cache.length; i += 4) {
        uint32_t entry[3]; /* length, offset and index of "<zz>" */
        memcpy(entry, cache.data + i, sizeof entry);
        if (entry[0] != 4 || entry[1] != 3 || entry[2] != 1) continue;
        entry[2] = 2; /* there are tokens 0 and 1 */
        memcpy(cache.data + i, entry, sizeof entry);
        refuse(&cache);
        changed++;
        break;
    }
    assert_int_equal(changed, 1);
    inc_buffer_fini(&cache);
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_any_byte),
        cmocka_unit_test(test_added_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
