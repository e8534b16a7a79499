/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/gguf_vocab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

#include "base/size.h"

#define TOKENS   "tokenizer.ggml.tokens"
#define TYPES    "tokenizer.ggml.token_type"
#define ID_START "tokenizer.ggml."
#define ID_END   "_token_id"

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static bool is_utf8(const char *text, size_t n)
{
    utf8proc_int32_t code;
    for (utf8proc_ssize_t step; n > 0; text += step, n -= (size_t)step) {
        step = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &code);
        if (step < 1) return false;
    }
    return true;
}

static enum incise_status load_tokens(struct inc_gguf_vocab *vocab)
{
    const struct inc_gguf *file = vocab->file;
    const struct inc_gguf_value *list;
    INC_TRY(inc_gguf_array(file, TOKENS, INC_GGUF_STRING, &list));
    if (list == NULL || list->n == 0 || list->n >= INT32_MAX)
        return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: there is no vocabulary in '" TOKENS "'", file->label);
    vocab->n = list->n;
    vocab->tokens = inc_arena_alloc(&vocab->arena, vocab->n, sizeof *vocab->tokens);
    if (vocab->tokens == NULL) return inc_fail_memory(file->ctx, vocab->n * sizeof *vocab->tokens, file->label);
    const unsigned char *at = list->data;
    for (size_t i = 0; i < vocab->n; i++) {
        struct inc_gguf_token *token = &vocab->tokens[i];
        size_t place = list->at + (size_t)(at - list->data);
        token->text = inc_gguf_next_string(&at, &token->n);
        token->type = INC_GGUF_TOKEN_NORMAL;
        if (token->n == 0 || token->n > INC_GGUF_MAX_TOKEN || !is_utf8(token->text, token->n))
            return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: byte %zu: token %zu is not 1 to %d bytes of UTF-8",
                            file->label, place, i, INC_GGUF_MAX_TOKEN);
    }
    return INCISE_OK;
}

static enum incise_status load_types(struct inc_gguf_vocab *vocab)
{
    const struct inc_gguf *file = vocab->file;
    const struct inc_gguf_value *types;
    INC_TRY(inc_gguf_array(file, TYPES, INC_GGUF_I32, &types));
    if (types == NULL || types->n != vocab->n)
        return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: '" TYPES "' has %zu entries for %zu tokens", file->label,
                        types != NULL ? types->n : 0, vocab->n);
    for (size_t i = 0; i < vocab->n; i++) {
        int32_t type = inc_gguf_i32_at(types, i);
        if (type < INC_GGUF_TOKEN_NORMAL || type > INC_GGUF_TOKEN_BYTE)
            return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: byte %zu: token %zu has type %d, not 1 to 6",
                            file->label, types->at + 4 * i, i, type);
        vocab->tokens[i].type = (enum inc_gguf_token_type)type;
    }
    return INCISE_OK;
}

static bool is_id_key(const char *key)
{
    size_t n = strlen(key), start = strlen(ID_START), end = strlen(ID_END);
    return n > start + end && strncmp(key, ID_START, start) == 0 && strcmp(key + n - end, ID_END) == 0;
}

static enum incise_status check_ids(const struct inc_gguf_vocab *vocab)
{
    const struct inc_gguf *file = vocab->file;
    int64_t id;
    for (size_t i = 0; i < file->n_values; i++)
        if (is_id_key(file->values[i].key))
            INC_TRY(inc_gguf_int(file, file->values[i].key, 0, (int64_t)vocab->n - 1, &id));
    return INCISE_OK;
}

enum incise_status inc_gguf_vocab_load(struct inc_gguf *file, struct inc_gguf_vocab *vocab)
{
    *vocab = (struct inc_gguf_vocab){.file = file};
    inc_arena_init(&vocab->arena, file->ctx);
    INC_TRY(load_tokens(vocab));
    INC_TRY(load_types(vocab));
    return check_ids(vocab);
}

void inc_gguf_vocab_release(struct inc_gguf_vocab *vocab)
{
    inc_free(vocab->file->ctx, vocab->table);
    inc_arena_fini(&vocab->arena);
}

int32_t inc_gguf_special_id(const struct inc_gguf_vocab *vocab, const char *name)
{
    char key[64];
    int64_t id = -1;
    snprintf(key, sizeof key, ID_START "%s" ID_END, name);
    enum incise_status status = inc_gguf_int(vocab->file, key, 0, (int64_t)vocab->n - 1, &id);
    return status == INCISE_OK ? (int32_t)id : -1; /* check_ids has seen it */
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

/* The slot of the token or the free one where it would be. */
static uint32_t *find_slot(const struct inc_gguf_vocab *vocab, const char *text, size_t n)
{
    size_t mask = ((size_t)1 << vocab->bits) - 1, at = (size_t)XXH3_64bits(text, n) & mask;
    for (;; at = (at + 1) & mask) { /* a quarter of the table is free at least */
        uint32_t *slot = &vocab->table[at];
        if (*slot == 0) return slot;
        const struct inc_gguf_token *token = &vocab->tokens[*slot - 1];
        if (token->n == n && memcmp(token->text, text, n) == 0) return slot;
    }
}

int32_t inc_gguf_vocab_find(const struct inc_gguf_vocab *vocab, const char *text, size_t n)
{
    return (int32_t)*find_slot(vocab, text, n) - 1;
}

enum incise_status inc_gguf_vocab_index(struct inc_gguf_vocab *vocab)
{
    const struct inc_gguf *file = vocab->file;
    vocab->bits = 4;
    while ((size_t)1 << vocab->bits < 2 * vocab->n) vocab->bits++;
    vocab->table = inc_alloc_zero(file->ctx, (size_t)1 << vocab->bits, sizeof *vocab->table);
    if (vocab->table == NULL) return inc_fail_memory(file->ctx, sizeof *vocab->table << vocab->bits, file->label);
    for (size_t i = 0; i < vocab->n; i++) {
        const struct inc_gguf_token *token = &vocab->tokens[i];
        uint32_t *slot = find_slot(vocab, token->text, token->n);
        if (*slot != 0)
            return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: '" TOKENS "': tokens %u and %zu are both '%.*s'",
                            file->label, *slot - 1, i, (int)inc_min_size(token->n, 64), token->text);
        *slot = (uint32_t)i + 1;
    }
    return INCISE_OK;
}

/* ---- merges ------------------------------------------------------------------------------------------------------ */

static size_t count_characters(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static int compare_merges(const void *a, const void *b)
{
    const struct inc_gguf_merge *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    for (int i = 0; i < 2; i++)
        if (x->characters[i] != y->characters[i]) return x->characters[i] < y->characters[i] ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static enum incise_status add_splits(const struct inc_gguf_vocab *vocab, uint32_t id, float score,
                                     struct inc_gguf_merge **merges, size_t *n, size_t *capacity)
{
    const struct inc_gguf_token *token = &vocab->tokens[id];
    size_t characters = count_characters(token->text, token->n), before = 0;
    for (size_t left = 1; left < token->n; left++) {
        if (((unsigned char)token->text[left] & 0xc0) == 0x80) continue;
        before++;
        if (inc_gguf_vocab_find(vocab, token->text, left) < 0 ||
            inc_gguf_vocab_find(vocab, token->text + left, token->n - left) < 0)
            continue;
        INC_TRY(inc_grow(vocab->file->ctx, (void **)merges, capacity, *n, sizeof **merges));
        (*merges)[(*n)++] = (struct inc_gguf_merge){
            score, id, (uint16_t)left, {(uint16_t)before, (uint16_t)(characters - before)}};
    }
    return INCISE_OK;
}

enum incise_status inc_gguf_vocab_merges(const struct inc_gguf_vocab *vocab, const struct inc_gguf_value *scores,
                                         struct inc_gguf_merge **merges, size_t *n)
{
    const struct inc_gguf *file = vocab->file;
    size_t capacity = 0;
    *merges = NULL;
    *n = 0;
    for (size_t i = 0; i < vocab->n; i++) {
        float score = vocab->tokens[i].type == INC_GGUF_TOKEN_NORMAL ? inc_gguf_f32_at(scores, i) : 0.0f;
        enum incise_status status = INCISE_OK;
        if (!isfinite(score))
            status = inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: byte %zu: the score of token %zu is not finite",
                              file->label, scores->at + 4 * i, i);
        if (status == INCISE_OK) status = add_splits(vocab, (uint32_t)i, score, merges, n, &capacity);
        if (status == INCISE_OK) continue;
        inc_free(file->ctx, *merges);
        *merges = NULL;
        return status;
    }
    if (*n > 0) qsort(*merges, *n, sizeof **merges, compare_merges);
    return INCISE_OK;
}
