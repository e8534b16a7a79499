/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer loaders and encoder. An input is a tokenizer.json (it starts with '{') or a vocab.txt, a NUL byte, and
 * a text; the first byte after the NUL is the limit of tokens. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

/* Ids lie in the vocabulary; a limit is kept, and cuts nothing but the end. */
static void check(const struct inc_tokenizer *tokenizer, const struct inc_ctx *ctx, const char *text, size_t n,
                  size_t limit)
{
    struct inc_ids all, cut;
    inc_ids_init(&all, ctx);
    inc_ids_init(&cut, ctx);
    if (inc_tokenizer_encode(tokenizer, text, n, 0, &all) == INCISE_OK) {
        for (size_t i = 0; i < all.count; i++) {
            if (all.ids[i] < 0 || (size_t)all.ids[i] >= inc_tokenizer_vocab_size(tokenizer)) __builtin_trap();
        }
        if (limit > 0 && inc_tokenizer_encode(tokenizer, text, n, limit, &cut) == INCISE_OK) {
            if (cut.count > limit || cut.truncated != (all.count > limit)) __builtin_trap();
            if (!cut.truncated && cut.count != all.count) __builtin_trap();
        }
    }
    inc_ids_release(&all);
    inc_ids_release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inc_ctx ctx;
    struct inc_tokenizer *tokenizer = NULL;
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t n = nul != NULL ? (size_t)(nul - data) : size;
    inc_ctx_init(&ctx);
    enum incise_status status = n > 0 && data[0] == '{'
                                    ? inc_tokenizer_load_json(&ctx, "fuzz", data, n, &tokenizer)
                                    : inc_tokenizer_load_vocab(&ctx, "fuzz", data, n, "{\"do_lower_case\":false}", 23,
                                                               &tokenizer);
    if (status != INCISE_OK) return 0;
    if (nul != NULL && size - n >= 2)
        check(tokenizer, &ctx, (const char *)nul + 2, size - n - 2, nul[1]);
    inc_tokenizer_destroy(tokenizer);
    return 0;
}
