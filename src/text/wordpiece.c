/* SPDX-License-Identifier: Apache-2.0 */
#include "text/wordpiece.h"

#include <string.h>

#include "text/tokenizer_parts.h"

enum incise_status inc_wordpiece_create(const struct inc_ctx *ctx, size_t capacity, const char *prefix,
                                        size_t max_chars, struct inc_wordpiece **model)
{
    struct inc_wordpiece *wordpiece = inc_alloc_zero(ctx, 1, sizeof *wordpiece);
    *model = wordpiece;
    if (wordpiece == NULL) return inc_fail_memory(ctx, sizeof *wordpiece, "a vocabulary");
    wordpiece->ctx = ctx;
    wordpiece->prefix = prefix;
    wordpiece->max_chars = max_chars;
    INC_TRY(inc_pieces_init(&wordpiece->initial, ctx, capacity));
    return inc_pieces_init(&wordpiece->continuing, ctx, capacity);
}

enum incise_status inc_wordpiece_add(struct inc_wordpiece *model, const char *label, const char *piece, size_t n,
                                     int32_t id)
{
    size_t n_prefix = strlen(model->prefix);
    INC_TRY(inc_pieces_add(&model->initial, label, piece, n, id));
    if (n <= n_prefix || memcmp(piece, model->prefix, n_prefix) != 0) return INCISE_OK;
    return inc_pieces_add(&model->continuing, label, piece + n_prefix, n - n_prefix, id);
}

enum incise_status inc_wordpiece_finish(struct inc_wordpiece *model, const char *label, const char *unknown)
{
    model->prefix = NULL;
    if (inc_pieces_find(&model->initial, unknown, strlen(unknown), &model->unknown)) return INCISE_OK;
    return inc_fail(model->ctx, INCISE_ERROR_DATA, "%s: the vocabulary lacks the unknown token '%.64s'", label,
                    unknown);
}

static enum incise_status add_piece(void *user, const char *label, const char *piece, size_t n, int32_t id)
{
    return inc_wordpiece_add(user, label, piece, n, id);
}

static void save(const void *model, struct inc_buffer *cache)
{
    const struct inc_wordpiece *wordpiece = model;
    inc_pieces_save(&wordpiece->initial, cache);
    inc_pieces_save(&wordpiece->continuing, cache);
}

static enum incise_status restore(struct inc_wordpiece *wordpiece, struct inc_blob_reader *blob)
{
    const struct inc_ctx *ctx = wordpiece->ctx;
    inc_pieces_fini(&wordpiece->initial);
    inc_pieces_fini(&wordpiece->continuing);
    INC_TRY(inc_pieces_restore(&wordpiece->initial, ctx, blob));
    INC_TRY(inc_pieces_restore(&wordpiece->continuing, ctx, blob));
    return wordpiece->continuing.highest <= wordpiece->initial.highest ? INCISE_OK : INCISE_ERROR_DATA;
}

static enum incise_status load(const struct inc_model_source *source, void **model)
{
    const char *unknown = "[UNK]", *prefix = "##";
    int64_t max_chars = 100;
    const struct inc_json *json = source->json;
    json_t *section = source->section;
    struct inc_wordpiece *wordpiece;
    INC_TRY(inc_json_only(json, section, "model",
                          "type unk_token continuing_subword_prefix max_input_chars_per_word vocab"));
    INC_TRY(inc_json_string(json, section, "model", "unk_token", &unknown));
    INC_TRY(inc_json_string(json, section, "model", "continuing_subword_prefix", &prefix));
    INC_TRY(inc_json_int(json, section, "model", "max_input_chars_per_word", 0, INC_WORDPIECE_MAX_CHARS, &max_chars));
    size_t capacity = source->blob != NULL ? 0 : source->vocab.members;
    enum incise_status status = inc_wordpiece_create(json->ctx, capacity, prefix, (size_t)max_chars, &wordpiece);
    *model = wordpiece;
    INC_TRY(status);
    if (source->blob != NULL) {
        INC_TRY(restore(wordpiece, source->blob));
        return inc_wordpiece_finish(wordpiece, json->label, unknown);
    }
    INC_TRY(inc_vocab_read(source, add_piece, wordpiece));
    return inc_wordpiece_finish(wordpiece, json->label, unknown);
}

static void destroy(const struct inc_ctx *ctx, void *model)
{
    struct inc_wordpiece *wordpiece = model;
    if (wordpiece == NULL) return;
    inc_pieces_fini(&wordpiece->initial);
    inc_pieces_fini(&wordpiece->continuing);
    inc_free(ctx, wordpiece);
}

static size_t count_chars(const char *text, size_t n)
{
    size_t chars = 0;
    for (size_t i = 0; i < n; i++) chars += ((unsigned char)text[i] & 0xc0) != 0x80;
    return chars;
}

static enum incise_status encode(const void *model, const char *word, size_t n, struct inc_ids *out)
{
    const struct inc_wordpiece *wordpiece = model;
    size_t start = out->count, at = 0;
    if (n > wordpiece->max_chars && count_chars(word, n) > wordpiece->max_chars)
        return inc_ids_add(out, wordpiece->unknown, 0, n);
    while (at < n) {
        int32_t id;
        size_t length =
            inc_pieces_longest(at == 0 ? &wordpiece->initial : &wordpiece->continuing, word + at, n - at, &id);
        if (length == 0) {
            out->count = start;
            return inc_ids_add(out, wordpiece->unknown, 0, n);
        }
        INC_TRY(inc_ids_add(out, id, at, at + length));
        at += length;
    }
    return INCISE_OK;
}

static const struct inc_pieces *vocabulary(const void *model)
{
    return &((const struct inc_wordpiece *)model)->initial;
}

const struct inc_model_type inc_wordpiece_type = {"WordPiece", load, destroy, save, encode, vocabulary};
