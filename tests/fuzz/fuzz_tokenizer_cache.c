/* SPDX-License-Identifier: Apache-2.0 */
/* Cache files of tokenizers. An input is the file; lengths and hash in its header are put right first. What loads must
 * encode. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "text/tokenizer_cache.h"

#define KEY_AT 128 /* behind the header and the size of the first table */

static const char text[] = "The a\xcc\x81 b<s>  \xe4\xb8\xad\xf0\x9f\x99\x82 abcabcabcabcabcabcabcabcabcabcabc"
                           "abcabc \xe2\x96\x81x\n";

static void encode(const struct inc_ctx *ctx, const struct inc_tokenizer *tokenizer)
{
    struct inc_ids ids;
    inc_ids_init(&ids, ctx);
    for (int spans = 0; spans < 2; spans++) {
        ids.with_spans = spans == 1;
        if (inc_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, &ids) != INCISE_OK) continue;
        for (size_t i = 0; i < ids.count; i++)
            if (ids.ids[i] < 0 || (size_t)ids.ids[i] >= inc_tokenizer_vocab_size(tokenizer)) __builtin_trap();
    }
    inc_ids_release(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inc_ctx ctx;
    struct inc_cache_key key = {{0, 0}};
    struct inc_tokenizer *tokenizer;
    struct inc_reader reader;
    unsigned char *copy = malloc(size + 1);
    inc_ctx_init(&ctx);
    if (copy == NULL) return 0;
    if (size > 0) memcpy(copy, data, size);
    inc_sealed_mend(copy, size);
    if (size >= KEY_AT + sizeof key) memcpy(&key, data + KEY_AT, sizeof key);
    inc_reader_open_memory(&ctx, "fuzz", copy, size, &reader);
    enum incise_status status = inc_cache_read(&ctx, "fuzz", &reader, &key, &tokenizer);
    free(copy);
    if (status != INCISE_OK) return 0;
    encode(&ctx, tokenizer);
    inc_tokenizer_destroy(tokenizer);
    return 0;
}
