/* SPDX-License-Identifier: Apache-2.0 */
#include "text/words.h"

#include <stdatomic.h>
#include <string.h>

#include "text/tokenizer_parts.h"

#define WORD_BITS 12 /* of the number of words remembered */
#define HASH_MIX  0x9e3779b97f4a7c15u

static atomic_uint_fast64_t last_number;

uint64_t inc_words_number(void)
{
    return atomic_fetch_add(&last_number, 1) + 1;
}

static void make_key(const char *text, size_t n, uint64_t key[2])
{
    unsigned char bytes[INC_WORD_BYTES + 1] = {0};
    memcpy(bytes, text, n);
    bytes[INC_WORD_BYTES] = (unsigned char)n;
    memcpy(key, bytes, sizeof bytes);
}

enum incise_status inc_words_recall(struct inc_ids *out, uint64_t model, const char *text, size_t n,
                                    struct inc_word **word, bool *known)
{
    const size_t n_words = (size_t)1 << WORD_BITS;
    struct inc_words *words = &out->words;
    uint64_t key[2];
    if (words->items == NULL) {
        words->items = inc_alloc_zero(out->ctx, n_words, sizeof *words->items);
        if (words->items == NULL) return inc_fail_memory(out->ctx, n_words * sizeof *words->items, "words");
    } else if (words->model != model) {
        memset(words->items, 0, n_words * sizeof *words->items);
    }
    words->model = model;
    make_key(text, n, key);
    *word = &words->items[((key[0] ^ key[1] * HASH_MIX) * HASH_MIX) >> (64 - WORD_BITS)];
    *known = (*word)->key[0] == key[0] && (*word)->key[1] == key[1];
    if (!*known) return INCISE_OK;
    INC_TRY(inc_ids_reserve(out, INC_WORD_IDS));
    memcpy(out->ids + out->count, (*word)->ids, sizeof (*word)->ids);
    out->count += (*word)->count;
    return INCISE_OK;
}

void inc_words_keep(struct inc_word *word, const char *text, size_t n, const int32_t *ids, size_t count)
{
    if (count > INC_WORD_IDS) return;
    make_key(text, n, word->key);
    word->count = (uint32_t)count;
    memcpy(word->ids, ids, count * sizeof *ids);
}
