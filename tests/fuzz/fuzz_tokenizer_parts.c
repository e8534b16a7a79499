/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizers, pre-tokenizers and models on any text. An input is three bytes that choose a part of each kind, and the
 * text; for the normalizer that is a charsmap, a byte, so many times 16 bytes of the charsmap, and the text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

static const char *const normalizers[] = {
    "null",
    "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%s\"}",
    "{\"type\":\"NFC\"}",
    "{\"type\":\"NFD\"}",
    "{\"type\":\"NFKC\"}",
    "{\"type\":\"NFKD\"}",
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"},{\"type\":\"StripAccents\"},{\"type\":\"Nmt\"}]}",
    "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}",
    "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"}",
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\"\xe2\x96\x81\"}",
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}",
    ("{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,"
     "\"lowercase\":true}"),
};
static const char *const splitters[] = {
    "null",
    "{\"type\":\"BertPreTokenizer\"}",
    "{\"type\":\"Whitespace\"}",
    "{\"type\":\"WhitespaceSplit\"}",
    "{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}",
    "{\"type\":\"Digits\",\"individual_digits\":true}",
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}",
    "{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"MergedWithNext\",\"invert\":true}",
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"behavior\":\"MergedWithPrevious\"}",
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},{\"type\":\"Metaspace\","
    "\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\",\"split\":true}]}",
    "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"always\",\"split\":false}",
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|"
    "\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
    "\"behavior\":\"Isolated\"}",
};
static const char *const models[] = {
    "{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"##b\":2,\"ab\":3,\"\xe2\x96\x81\":4}}",
    "{\"type\":\"BPE\",\"unk_token\":\"u\",\"fuse_unk\":true,\"vocab\":{\"u\":0,\"a\":1,\"b\":2,\"ab\":3,\"aba\":4,"
    "\"\xe2\x96\x81\":5,\"\xe2\x96\x81" "a\":6},\"merges\":[[\"a\",\"b\"],[\"ab\",\"a\"],[\"\xe2\x96\x81\",\"a\"]]}",
    "{\"type\":\"BPE\",\"byte_fallback\":false,\"vocab\":{\"a\":0,\"\xc4\xa0\":1,\"\xc4\xa0" "a\":2},"
    "\"merges\":[[\"\xc4\xa0\",\"a\"]]}",
    "{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"u\",0],[\"a\",-1],[\"ab\",-1.5],"
    "[\"\xe2\x96\x81\",-2],[\"\xe2\x96\x81" "a\",-2.5],[\"<0x41>\",-3]]}",
};
#define COUNT(table) (sizeof(table) / sizeof *(table))

static void base64(const uint8_t *bytes, size_t n, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i + 3 <= n; i += 3) { /* what is left over goes */
        uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        for (int k = 0; k < 4; k++) *text++ = digits[group >> (18 - 6 * k) & 63];
    }
    *text = '\0';
}

/* Spans lie in the text, at borders of characters; asking for them changes no id. */
static void check(const struct inc_ctx *ctx, const struct inc_tokenizer *tokenizer, const char *text, size_t n)
{
    struct inc_ids ids, with_spans;
    inc_ids_init(&ids, ctx);
    inc_ids_init(&with_spans, ctx);
    with_spans.with_spans = true;
    if (inc_tokenizer_encode(tokenizer, text, n, 0, &ids) == INCISE_OK &&
        inc_tokenizer_encode(tokenizer, text, n, 0, &with_spans) == INCISE_OK) {
        if (ids.count != with_spans.count) __builtin_trap();
        for (size_t i = 0; i < ids.count; i++) {
            struct inc_span span = with_spans.spans[i];
            if (ids.ids[i] != with_spans.ids[i] || span.start > n || span.end > n) __builtin_trap();
            if (span.start < n && (text[span.start] & 0xc0) == 0x80) __builtin_trap();
            if (span.end < n && (text[span.end] & 0xc0) == 0x80) __builtin_trap();
        }
    }
    inc_ids_release(&ids);
    inc_ids_release(&with_spans);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char json[1 << 15];
    char normalizer[1 << 13], map[6000] = "";
    struct inc_ctx ctx;
    struct inc_tokenizer *tokenizer = NULL;
    if (size < 4) return 0;
    size_t kind = data[0] % COUNT(normalizers), at = 3;
    if (kind == 1) {
        size_t n = (size_t)data[3] * 16;
        if (size - 4 < n) return 0;
        base64(data + 4, n, map);
        at = 4 + n;
    }
    snprintf(normalizer, sizeof normalizer, normalizers[kind], map);
    snprintf(json, sizeof json,
             "{\"added_tokens\":[],\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":{\"type\":\"ByteLevel\","
             "\"trim_offsets\":true,\"add_prefix_space\":true},\"model\":%s}",
             normalizer, splitters[data[1] % COUNT(splitters)], models[data[2] % COUNT(models)]);
    inc_ctx_init(&ctx);
    if (inc_tokenizer_load_json(&ctx, "fuzz", json, strlen(json), &tokenizer) != INCISE_OK) return 0;
    check(&ctx, tokenizer, (const char *)data + at, size - at);
    inc_tokenizer_destroy(tokenizer);
    return 0;
}
