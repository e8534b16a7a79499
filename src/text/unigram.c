/* SPDX-License-Identifier: Apache-2.0 */
/* Unigram (SentencePiece): a word becomes the pieces whose scores have the greatest sum (Viterbi). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#define UNKNOWN_PENALTY 10.0 /* an unknown character scores so much less than the worst piece */
#define NOWHERE         UINT32_MAX

struct inc_unigram {
    const struct inc_ctx *ctx;
    uint64_t number;
    struct inc_pieces pieces;
    double *scores; /* by id */
    size_t n_scores;
    double unknown_score;
    int32_t unknown;       /* -1: none, unknown characters are an error */
    int32_t byte_ids[256]; /* of "<0x00>" ..; -1 */
    bool byte_fallback;
};

/* The best way to the end of a character. */
struct inc_unigram_node {
    double score;
    uint32_t start; /* of the last piece; NOWHERE: no way yet */
    int32_t id;
};

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static double power_of_ten(unsigned exponent)
{
    char text[16];
    snprintf(text, sizeof text, "1e%u", exponent);
    return strtod(text, NULL);
}

/* A JSON number as Hugging Face reads it: with serde_json, which rounds twice (digits to a double, then a product or a
 * quotient with a power of ten) and drops digits that 64 bits do not hold. A score that differs in its last bit decides
 * between segmentations that are otherwise equal. */
static double parse_score(const char *text, size_t n)
{
    uint64_t digits = 0;
    int exponent = 0, given = 0;
    bool negative = text[0] == '-', fraction = false, full = false;
    size_t at = negative;
    for (; at < n && text[at] != 'e' && text[at] != 'E'; at++) {
        if (text[at] == '.') {
            fraction = true;
            continue;
        }
        unsigned digit = (unsigned)(text[at] - '0');
        full = full || digits > (UINT64_MAX - digit) / 10;
        if (full && !fraction) exponent++;
        if (full) continue;
        digits = digits * 10 + digit;
        if (fraction) exponent--;
    }
    bool small = at + 1 < n && text[at + 1] == '-';
    for (at += at + 1 < n && (small || text[at + 1] == '+') ? 2 : 1; at < n && given < 100000; at++)
        given = given * 10 + (text[at] - '0');
    exponent += small ? -given : given;
    double value = (double)digits;
    for (; exponent < -308 && value != 0; exponent += 308) value /= 1e308;
    if (value != 0) {
        double power = power_of_ten((unsigned)(exponent < 0 ? -exponent : exponent < 309 ? exponent : 309));
        value = exponent < 0 ? value / power : value * power;
    }
    return negative ? -value : value;
}

/* [["piece", score], ...]; ids are places in the list. */
static enum incise_status read_piece(struct inc_unigram *unigram, struct inc_json_pull *pull)
{
    const char *text;
    char piece[INC_PIECE_MAX];
    size_t n = 0, n_digits, n_members = 0;
    bool more;
    double score = 0;
    INC_TRY(inc_json_pull_open(pull, INC_JSON_ARRAY));
    for (;; n_members++) {
        INC_TRY(inc_json_pull_next(pull, &more));
        if (!more) break;
        if (n_members == 0) {
            INC_TRY(inc_json_pull_string(pull, &text, &n));
            if (n > sizeof piece) return inc_json_pull_fail(pull, "token of %zu bytes", n);
            memcpy(piece, text, n);
        } else if (n_members == 1) {
            INC_TRY(inc_json_pull_digits(pull, &text, &n_digits));
            score = parse_score(text, n_digits);
            if (!isfinite(score)) return inc_json_pull_fail(pull, "%.*s is too large", (int)n_digits, text);
        } else {
            return inc_json_pull_fail(pull, "token %zu is not a string and a score", unigram->n_scores);
        }
    }
    if (n_members != 2) return inc_json_pull_fail(pull, "token %zu is not a string and a score", unigram->n_scores);
    int32_t id = (int32_t)unigram->n_scores;
    INC_TRY(inc_pieces_add(&unigram->pieces, pull->label, piece, n, id));
    unigram->scores[unigram->n_scores++] = score;
    return INCISE_OK;
}

static enum incise_status read_pieces(struct inc_unigram *unigram, const struct inc_model_source *source)
{
    struct inc_json_pull pull;
    bool more = true;
    inc_json_pull_init(&pull, unigram->ctx, source->json->label, &source->vocab);
    enum incise_status status = inc_json_pull_open(&pull, INC_JSON_ARRAY);
    while (status == INCISE_OK) {
        status = inc_json_pull_next(&pull, &more);
        if (status != INCISE_OK || !more) break;
        status = read_piece(unigram, &pull);
    }
    inc_json_pull_fini(&pull);
    return status;
}

static enum incise_status finish(struct inc_unigram *unigram, const struct inc_json *json)
{
    double least = 0;
    for (size_t i = 0; i < unigram->n_scores; i++)
        least = i == 0 || unigram->scores[i] < least ? unigram->scores[i] : least;
    unigram->unknown_score = least - UNKNOWN_PENALTY;
    inc_byte_tokens(&unigram->pieces, unigram->byte_ids);
    if (unigram->unknown < (int64_t)unigram->n_scores) return INCISE_OK;
    return inc_fail(unigram->ctx, INCISE_ERROR_DATA, "%s: model: unk_id %d is not in the vocabulary", json->label,
                    unigram->unknown);
}

static void save(const void *model, struct inc_buffer *cache)
{
    const struct inc_unigram *unigram = model;
    inc_pieces_save(&unigram->pieces, cache);
    inc_blob_put(cache, unigram->scores, unigram->n_scores * sizeof *unigram->scores);
}

static enum incise_status restore(struct inc_unigram *unigram, struct inc_blob_reader *blob)
{
    size_t size = SIZE_MAX;
    INC_TRY(inc_pieces_restore(&unigram->pieces, unigram->ctx, blob));
    const void *scores = inc_blob_take(blob, &size);
    if (scores == NULL || size % sizeof *unigram->scores != 0) return INCISE_ERROR_DATA;
    unigram->n_scores = size / sizeof *unigram->scores;
    unigram->scores = inc_alloc(unigram->ctx, size + 1);
    if (unigram->scores == NULL) return INCISE_ERROR_MEMORY;
    memcpy(unigram->scores, scores, size);
    bool sound = unigram->pieces.highest < (int64_t)unigram->n_scores;
    for (size_t i = 0; i < unigram->n_scores; i++) sound = sound && isfinite(unigram->scores[i]);
    return sound ? INCISE_OK : INCISE_ERROR_DATA;
}

static enum incise_status load(const struct inc_model_source *source, void **model)
{
    const struct inc_json *json = source->json;
    int64_t unknown = -1;
    struct inc_unigram *unigram = inc_alloc_zero(json->ctx, 1, sizeof *unigram);
    *model = unigram;
    if (unigram == NULL) return inc_fail_memory(json->ctx, sizeof *unigram, "a vocabulary");
    unigram->ctx = json->ctx;
    unigram->number = inc_words_number();
    INC_TRY(inc_json_only(json, source->section, "model", "type unk_id vocab byte_fallback"));
    INC_TRY(inc_json_bool(json, source->section, "model", "byte_fallback", &unigram->byte_fallback));
    if (!json_is_null(json_object_get(source->section, "unk_id")))
        INC_TRY(inc_json_int(json, source->section, "model", "unk_id", 0, INC_MAX_TOKEN_ID, &unknown));
    unigram->unknown = (int32_t)unknown;
    if (source->blob != NULL) {
        INC_TRY(restore(unigram, source->blob));
        return finish(unigram, json);
    }
    if (source->vocab.text == NULL)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: model: no 'vocab'", json->label);
    unigram->scores = inc_alloc_array(json->ctx, source->vocab.members + 1, sizeof *unigram->scores);
    if (unigram->scores == NULL) return inc_fail_memory(json->ctx, source->vocab.members, "scores");
    INC_TRY(inc_pieces_init(&unigram->pieces, json->ctx, source->vocab.members));
    INC_TRY(read_pieces(unigram, source));
    return finish(unigram, json);
}

static void destroy(const struct inc_ctx *ctx, void *model)
{
    struct inc_unigram *unigram = model;
    if (unigram == NULL) return;
    inc_pieces_fini(&unigram->pieces);
    inc_free(ctx, unigram->scores);
    inc_free(ctx, unigram);
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

/* A piece from `start` may be the best way to its end; of equals the first found stays. */
static void offer(struct inc_unigram_node *nodes, size_t start, size_t end, double score, int32_t id)
{
    if (nodes[end].start != NOWHERE && score <= nodes[end].score) return;
    nodes[end] = (struct inc_unigram_node){score, (uint32_t)start, id};
}

/* Fills nodes[0 .. n]. */
static enum incise_status find_ways(const struct inc_unigram *unigram, const char *word, size_t n,
                                    struct inc_unigram_node *nodes, const struct inc_ctx *ctx)
{
    for (size_t i = 0; i <= n; i++) nodes[i] = (struct inc_unigram_node){0, NOWHERE, -1};
    for (size_t at = 0, length; at < n; at += length) {
        struct inc_prefixes prefixes;
        double score = nodes[at].score;
        bool single = false;
        length = inc_utf8_length(word[at]);
        inc_prefixes_start(&prefixes, &unigram->pieces, word + at, n - at);
        while (inc_prefixes_next(&prefixes)) {
            offer(nodes, at, at + prefixes.length, unigram->scores[prefixes.id] + score, prefixes.id);
            single = single || prefixes.length == length;
        }
        if (single) continue;
        if (unigram->unknown < 0)
            return inc_fail(ctx, INCISE_ERROR_DATA, "the vocabulary lacks '%.*s' and has no unknown token",
                            (int)length, word + at);
        offer(nodes, at, at + length, unigram->unknown_score + score, unigram->unknown);
    }
    return INCISE_OK;
}

/* Unknown text word[from .. to). A known piece can come out, when several characters together are one. */
static enum incise_status put_unknown(const struct inc_unigram *unigram, const char *word, size_t from, size_t to,
                                      struct inc_ids *out)
{
    int32_t id = unigram->unknown;
    bool bytes = unigram->byte_fallback;
    if (inc_pieces_find(&unigram->pieces, word + from, to - from, &id)) return inc_ids_add(out, id, from, to);
    for (size_t i = from; i < to && bytes; i++) bytes = unigram->byte_ids[(unsigned char)word[i]] >= 0;
    if (!bytes) return inc_ids_add(out, id, from, to);
    for (size_t i = from; i < to; i++)
        INC_TRY(inc_ids_add(out, unigram->byte_ids[(unsigned char)word[i]], from, to));
    return INCISE_OK;
}

/* Appends the ids of the best way to the end; unknown characters beside each other become one token. */
static enum incise_status put_way(const struct inc_unigram *unigram, const char *word, size_t n,
                                  struct inc_unigram_node *nodes, struct inc_ids *out)
{
    uint32_t end = (uint32_t)n, next = NOWHERE;
    while (end > 0) { /* turn the links round: nodes[end].start becomes where the piece after it ends */
        uint32_t start = nodes[end].start;
        nodes[end].start = next;
        next = end;
        end = start;
    }
    for (size_t at = 0, stop = next; at < n; at = stop, stop = nodes[at].start) {
        int32_t id = nodes[stop].id;
        if (id != unigram->unknown) {
            INC_TRY(inc_ids_add(out, id, at, stop));
            continue;
        }
        while (stop < n && nodes[nodes[stop].start].id == id) stop = nodes[stop].start;
        INC_TRY(put_unknown(unigram, word, at, stop, out));
    }
    return INCISE_OK;
}

static enum incise_status encode_new(const struct inc_unigram *unigram, const char *word, size_t n,
                                     struct inc_ids *out)
{
    if (n >= NOWHERE) return inc_fail(out->ctx, INCISE_ERROR_DATA, "a word of %zu bytes is too long", n);
    INC_TRY(inc_grow(out->ctx, (void **)&out->nodes, &out->nodes_capacity, n + 1, sizeof *out->nodes));
    INC_TRY(find_ways(unigram, word, n, out->nodes, out->ctx));
    return put_way(unigram, word, n, out->nodes, out);
}

static enum incise_status encode(const void *model, const char *text, size_t n, struct inc_ids *out)
{
    const struct inc_unigram *unigram = model;
    struct inc_word *word;
    size_t start = out->count;
    bool known;
    if (n > INC_WORD_BYTES || out->with_spans) return encode_new(unigram, text, n, out);
    INC_TRY(inc_words_recall(out, unigram->number, text, n, &word, &known));
    if (known) return INCISE_OK;
    INC_TRY(encode_new(unigram, text, n, out));
    inc_words_keep(word, text, n, out->ids + start, out->count - start);
    return INCISE_OK;
}

static const struct inc_pieces *vocabulary(const void *model)
{
    return &((const struct inc_unigram *)model)->pieces;
}

const struct inc_model_type inc_unigram_type = {"Unigram", load, destroy, save, encode, vocabulary};
