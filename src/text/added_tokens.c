/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that are found in a text before anything cuts it. */
#include <string.h>

#include "base/blob.h"
#include "base/size.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

enum incise_status inc_added_init(struct inc_tokenizer *tokenizer, size_t capacity)
{
    struct inc_added_set *sets[] = {&tokenizer->raw, &tokenizer->normalized};
    for (int i = 0; i < 2; i++) {
        INC_TRY(inc_pieces_init(&sets[i]->pieces, tokenizer->ctx, capacity));
        sets[i]->tokens = inc_alloc_array(tokenizer->ctx, capacity + 1, sizeof *sets[i]->tokens);
        if (sets[i]->tokens == NULL) return inc_fail_memory(tokenizer->ctx, capacity, "added tokens");
    }
    return INCISE_OK;
}

enum incise_status inc_added_add(struct inc_tokenizer *tokenizer, const char *label, const char *content,
                                 const struct inc_added_token *token, bool normalized)
{
    struct inc_added_set *set = normalized ? &tokenizer->normalized : &tokenizer->raw;
    struct inc_source source = {content, strlen(content), NULL};
    struct inc_ids scratch;
    size_t index = set->pieces.count;
    enum incise_status status = INCISE_OK;
    inc_ids_init(&scratch, tokenizer->ctx);
    if (normalized) status = inc_tokenizer_normalize(tokenizer, &source, false, &scratch);
    if (status == INCISE_OK && source.n == 0)
        status = inc_fail(tokenizer->ctx, INCISE_ERROR_DATA, "%s: added token %d is empty", label, token->id);
    if (status == INCISE_OK) status = inc_pieces_add(&set->pieces, label, source.text, source.n, (int32_t)index);
    if (status == INCISE_OK) {
        set->tokens[index] = *token;
        set->first[(unsigned char)source.text[0]] = true;
        tokenizer->vocab_size = inc_max_size(tokenizer->vocab_size, (size_t)token->id + 1);
    }
    inc_ids_release(&scratch);
    return status;
}

/* ---- caches ------------------------------------------------------------------------------------------------------ */

struct saved_token {
    int32_t id;
    uint8_t lstrip, rstrip, single_word, special;
};

void inc_added_save(const struct inc_tokenizer *tokenizer, struct inc_buffer *cache)
{
    const struct inc_added_set *sets[] = {&tokenizer->raw, &tokenizer->normalized};
    for (int i = 0; i < 2; i++) {
        size_t n = sets[i]->pieces.count;
        struct saved_token *saved = inc_alloc_array(tokenizer->ctx, n + 1, sizeof *saved);
        if (saved == NULL) {
            cache->failed = true;
            return;
        }
        for (size_t k = 0; k < n; k++) {
            const struct inc_added_token *token = &sets[i]->tokens[k];
            saved[k] = (struct saved_token){token->id, token->lstrip, token->rstrip, token->single_word,
                                            token->special};
        }
        inc_pieces_save(&sets[i]->pieces, cache);
        inc_blob_put(cache, saved, n * sizeof *saved);
        inc_free(tokenizer->ctx, saved);
    }
}

struct added_check {
    bool *first;
    bool sound;
};

/* A token that is no UTF-8 could start inside a character. */
static void check_token(void *user, const char *text, size_t n, int32_t index)
{
    struct added_check *check = user;
    (void)index;
    check->first[(unsigned char)text[0]] = true;
    check->sound = check->sound && inc_utf8_check(text, n) == n;
}

enum incise_status inc_added_restore(struct inc_tokenizer *tokenizer, struct inc_blob_reader *blob)
{
    struct inc_added_set *sets[] = {&tokenizer->raw, &tokenizer->normalized};
    for (int i = 0; i < 2; i++) {
        struct added_check check = {sets[i]->first, true};
        INC_TRY(inc_pieces_restore(&sets[i]->pieces, tokenizer->ctx, blob));
        size_t n = sets[i]->pieces.count, size = n * sizeof(struct saved_token);
        const struct saved_token *saved = inc_blob_take(blob, &size);
        inc_pieces_each(&sets[i]->pieces, check_token, &check);
        if (saved == NULL || !check.sound || sets[i]->pieces.highest >= (int64_t)n) return INCISE_ERROR_DATA;
        sets[i]->tokens = inc_alloc_array(tokenizer->ctx, n + 1, sizeof *sets[i]->tokens);
        if (sets[i]->tokens == NULL) return inc_fail_memory(tokenizer->ctx, n, "added tokens");
        for (size_t k = 0; k < n; k++) {
            if (saved[k].id < 0 || saved[k].id > INC_MAX_TOKEN_ID) return INCISE_ERROR_DATA;
            sets[i]->tokens[k] = (struct inc_added_token){saved[k].id, saved[k].lstrip != 0, saved[k].rstrip != 0,
                                                          saved[k].single_word != 0, saved[k].special != 0};
            tokenizer->vocab_size = inc_max_size(tokenizer->vocab_size, (size_t)saved[k].id + 1);
        }
    }
    return INCISE_OK;
}

/* ---- splitting --------------------------------------------------------------------------------------------------- */

size_t inc_space_before(const char *text, size_t from, size_t end)
{
    while (end > from) {
        size_t start = inc_utf8_before(text, end);
        uint32_t code;
        inc_utf8_decode(text + start, &code);
        if (!inc_is_space(code)) break;
        end = start;
    }
    return end;
}

size_t inc_space_after(const char *text, size_t at, size_t n)
{
    while (at < n) {
        uint32_t code;
        size_t length = inc_utf8_decode(text + at, &code);
        if (!inc_is_space(code)) break;
        at += length;
    }
    return at;
}

/* Is there no part of a word right before `start` and at `stop`? */
static bool stands_alone(const char *text, size_t n, size_t start, size_t stop)
{
    uint32_t before = ' ', after = ' ';
    if (start > 0) inc_utf8_decode(text + inc_utf8_before(text, start), &before);
    if (stop < n) inc_utf8_decode(text + stop, &after);
    return !inc_is_word(before) && !inc_is_word(after);
}

/* The first match in text[at .. n) and its token; 0 when there is none. */
static size_t find_token(const struct inc_added_set *set, const char *text, size_t n, size_t at, size_t *start,
                         const struct inc_added_token **token)
{
    for (; at < n; at++) {
        int32_t index;
        if (!set->first[(unsigned char)text[at]]) continue;
        size_t length = inc_pieces_longest(&set->pieces, text + at, n - at, &index);
        if (length == 0) continue;
        *start = at;
        *token = &set->tokens[index];
        return length;
    }
    return 0;
}

enum incise_status inc_added_split(struct inc_encoding *encoding, const struct inc_added_set *set, const char *text,
                                   size_t n, inc_plain_fn *plain)
{
    struct inc_ids *out = encoding->out;
    const struct inc_added_token *token;
    size_t done = 0, space_end = 0; /* [.., space_end) of the last rstrip is known to be white space */
    size_t at = 0, start, length;
    while (set->pieces.count > 0 && !out->truncated && (length = find_token(set, text, n, at, &start, &token)) > 0) {
        size_t stop = at = start + length;
        if (token->special && out->plain_specials) continue;
        if (token->single_word && !stands_alone(text, n, start, stop)) continue;
        if (token->lstrip) start = inc_max_size(inc_space_before(text, done, start), done);
        if (token->rstrip) stop = space_end = inc_space_after(text, inc_max_size(stop, space_end), n);
        if (start > done) INC_TRY(plain(encoding, text + done, start - done));
        done = stop;
        if (out->truncated) break;
        INC_TRY(inc_encoding_add(encoding, token->id, text, start, stop));
        inc_encoding_cut(encoding);
    }
    return n > done && !out->truncated ? plain(encoding, text + done, n - done) : INCISE_OK;
}
