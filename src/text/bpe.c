/* SPDX-License-Identifier: Apache-2.0 */
#include "text/bpe.h"

#include <string.h>

#include "base/size.h"
#include "text/byte_level.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#define NONE UINT32_MAX
#define SHORT 32        /* symbols that are merged by looking at all pairs; more take a heap */
#define MAX_PROBES 1024 /* a half full table of honest pairs needs about 50 at most */
#define HASH_MIX 0x9e3779b97f4a7c15u

struct bpe_pair {
    int32_t left, right;
    uint32_t rank; /* place in the list of merges; NONE: free slot */
    int32_t joined;
};

struct inc_bpe {
    const struct inc_ctx *ctx;
    uint64_t number; /* no other model of this process has it */
    struct inc_pieces pieces;
    struct bpe_pair *pairs; /* 2^bits, open addressing, at most half full */
    unsigned bits;
    bool borrowed;           /* the pairs are another's */
    int32_t ascii[128];      /* ids of characters; -1: not in the vocabulary */
    int32_t byte_ids[256];   /* ids of "<0x00>" .., with byte_level of the characters for bytes; -1 */
    int32_t unknown;         /* -1: characters that are unknown are left out */
    bool byte_level, byte_fallback, fuse_unknown, whole_words;
    bool cuts_at_marks;      /* at most `joined` stands against it */
    bool joined[129];        /* a merge joins this ASCII character, some other one, with a space mark */
};

/* A symbol of a long word. */
struct inc_bpe_symbol {
    int32_t id; /* -1: joined to the one before */
    uint32_t previous, next;
};

/* ---- table of merges --------------------------------------------------------------------------------------------- */

/* The slot that holds the pair or is free for it; NULL after MAX_PROBES. */
static struct bpe_pair *find_slot(const struct inc_bpe *bpe, int32_t left, int32_t right)
{
    uint64_t key = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * HASH_MIX;
    size_t mask = ((size_t)1 << bpe->bits) - 1, at = (size_t)((key ^ key >> 29) * HASH_MIX >> (64 - bpe->bits));
    for (int probes = 0; probes < MAX_PROBES; probes++, at = (at + 1) & mask) {
        struct bpe_pair *slot = &bpe->pairs[at];
        if (slot->rank == NONE || (slot->left == left && slot->right == right)) return slot;
    }
    return NULL;
}

static const struct bpe_pair *find_pair(const struct inc_bpe *bpe, int32_t left, int32_t right)
{
    const struct bpe_pair *slot = find_slot(bpe, left, right);
    return slot != NULL && slot->rank != NONE ? slot : NULL;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static bool starts_with_mark(const char *text, size_t n)
{
    return n >= 3 && memcmp(text, INC_SPACE_MARK_UTF8, 3) == 0;
}

static bool ends_with_mark(const char *text, size_t n)
{
    return n >= 3 && memcmp(text + n - 3, INC_SPACE_MARK_UTF8, 3) == 0;
}

/* The merge of the first `n_left` bytes of `text` with the others. */
static enum incise_status add_merge(struct inc_bpe *bpe, const struct inc_json_pull *pull, const char *text, size_t n,
                                    size_t n_left, uint32_t rank)
{
    int32_t left, right, joined;
    const char *second = text + n_left;
    size_t n_second = n - n_left;
    if (!inc_pieces_find(&bpe->pieces, text, n_left, &left) ||
        !inc_pieces_find(&bpe->pieces, second, n_second, &right) ||
        !inc_pieces_find(&bpe->pieces, text, n, &joined))
        return inc_json_pull_fail(pull, "merge of '%.*s' and '%.*s': the vocabulary lacks one or both together",
                                  (int)inc_min_size(n_left, 40), text, (int)inc_min_size(n_second, 40), second);
    struct bpe_pair *slot = find_slot(bpe, left, right);
    if (slot == NULL) return inc_json_pull_fail(pull, "too many merges share a hash");
    *slot = (struct bpe_pair){left, right, rank, joined}; /* of a pair that is there twice the last counts */
    if (starts_with_mark(second, n_second) && !ends_with_mark(text, n_left)) {
        unsigned char last = (unsigned char)text[n_left - 1];
        bpe->joined[inc_min_size(last, 128)] = true;
        /* a token that may stand for other text than its own */
        if (last == '>' && n_left > 1) bpe->cuts_at_marks = false;
    }
    return INCISE_OK;
}

/* ["left", "right"] or, in older files, "left right". */
static enum incise_status read_merge(struct inc_bpe *bpe, struct inc_json_pull *pull, uint32_t rank)
{
    char text[2 * INC_PIECE_MAX + 1];
    const char *part, *space;
    size_t n = 0, n_left = 0, n_parts = 0, length;
    bool more;
    if (inc_json_pull_kind(pull) == INC_JSON_STRING) {
        INC_TRY(inc_json_pull_string(pull, &part, &n));
        space = memchr(part, ' ', n);
        if (space == NULL || n > sizeof text || memchr(space + 1, ' ', n - (size_t)(space + 1 - part)) != NULL)
            return inc_json_pull_fail(pull, "merge %u is not two tokens", rank);
        n_left = (size_t)(space - part);
        memcpy(text, part, n_left);
        memcpy(text + n_left, space + 1, n - n_left - 1);
        return add_merge(bpe, pull, text, n - 1, n_left, rank);
    }
    INC_TRY(inc_json_pull_open(pull, INC_JSON_ARRAY));
    for (;;) {
        INC_TRY(inc_json_pull_next(pull, &more));
        if (!more) break;
        INC_TRY(inc_json_pull_string(pull, &part, &length));
        if (++n_parts > 2 || length > INC_PIECE_MAX)
            return inc_json_pull_fail(pull, "merge %u is not two tokens", rank);
        if (n_parts == 2) n_left = n;
        memcpy(text + n, part, length);
        n += length;
    }
    if (n_parts != 2) return inc_json_pull_fail(pull, "merge %u is not two tokens", rank);
    return add_merge(bpe, pull, text, n, n_left, rank);
}

static enum incise_status read_merges(struct inc_bpe *bpe, struct inc_json_pull *pull)
{
    uint32_t rank = 0;
    bool more;
    INC_TRY(inc_json_pull_open(pull, INC_JSON_ARRAY));
    for (;;) {
        INC_TRY(inc_json_pull_next(pull, &more));
        if (!more) return INCISE_OK;
        INC_TRY(read_merge(bpe, pull, rank++));
    }
}

static enum incise_status load_merges(struct inc_bpe *bpe, const struct inc_model_source *source)
{
    const char *label = source->json->label;
    struct inc_json_pull pull;
    if (source->merges.text == NULL)
        return inc_fail(bpe->ctx, INCISE_ERROR_DATA, "%s: model: no 'merges'", label);
    if (source->merges.members > (size_t)1 << 30)
        return inc_fail(bpe->ctx, INCISE_ERROR_DATA, "%s: model: too many merges", label);
    bpe->bits = 4;
    while ((size_t)1 << bpe->bits < 2 * source->merges.members) bpe->bits++;
    size_t n = (size_t)1 << bpe->bits;
    bpe->pairs = inc_alloc_array(bpe->ctx, n, sizeof *bpe->pairs);
    if (bpe->pairs == NULL) return inc_fail_memory(bpe->ctx, n * sizeof *bpe->pairs, "merges");
    for (size_t i = 0; i < n; i++) bpe->pairs[i] = (struct bpe_pair){.rank = NONE};
    inc_json_pull_init(&pull, bpe->ctx, label, &source->merges);
    enum incise_status status = read_merges(bpe, &pull);
    inc_json_pull_fini(&pull);
    return status;
}

static enum incise_status add_piece(void *user, const char *label, const char *piece, size_t n, int32_t id)
{
    return inc_pieces_add(&((struct inc_bpe *)user)->pieces, label, piece, n, id);
}

static int32_t id_of(const struct inc_bpe *bpe, const char *piece, size_t n)
{
    int32_t id;
    return inc_pieces_find(&bpe->pieces, piece, n, &id) ? id : -1;
}

static enum incise_status load_unknown(struct inc_bpe *bpe, const struct inc_model_source *source)
{
    const struct inc_json *json = source->json;
    const char *unknown = NULL;
    bpe->unknown = -1;
    if (json_is_null(json_object_get(source->section, "unk_token"))) return INCISE_OK;
    INC_TRY(inc_json_string(json, source->section, "model", "unk_token", &unknown));
    if (unknown == NULL) return INCISE_OK;
    size_t n = strlen(unknown);
    bpe->unknown = id_of(bpe, unknown, n);
    if (n == 1 || unknown[n - 1] != '>') bpe->cuts_at_marks = false; /* see add_merge */
    if (bpe->unknown >= 0) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: the vocabulary lacks the unknown token '%.64s'", json->label,
                    unknown);
}

static void find_characters(struct inc_bpe *bpe)
{
    inc_byte_tokens(&bpe->pieces, bpe->byte_ids);
    for (int i = 0; i < 256; i++) {
        char name[4], c = (char)i;
        if (bpe->byte_level)
            bpe->byte_ids[i] = id_of(bpe, name, inc_utf8_encode(inc_byte_level_code((unsigned char)i), name));
        if (i < 128) bpe->ascii[i] = id_of(bpe, &c, 1);
    }
    if (bpe->byte_level || bpe->whole_words || id_of(bpe, INC_SPACE_MARK_UTF8, 3) < 0) bpe->cuts_at_marks = false;
}

struct bpe_head {
    uint64_t bits;
    uint8_t cuts_at_marks, joined[129];
};

static void save(const void *model, struct inc_buffer *cache)
{
    const struct inc_bpe *bpe = model;
    struct bpe_head head;
    memset(&head, 0, sizeof head);
    head.bits = bpe->bits;
    head.cuts_at_marks = bpe->cuts_at_marks;
    for (int i = 0; i < 129; i++) head.joined[i] = bpe->joined[i];
    inc_pieces_save(&bpe->pieces, cache);
    inc_blob_put(cache, &head, sizeof head);
    inc_blob_put(cache, bpe->pairs, sizeof *bpe->pairs << bpe->bits);
}

static enum incise_status restore(struct inc_bpe *bpe, struct inc_blob_reader *blob)
{
    struct bpe_head head;
    INC_TRY(inc_pieces_restore(&bpe->pieces, bpe->ctx, blob));
    if (!inc_blob_read(blob, &head, sizeof head) || head.bits < 4 || head.bits > 31) return INCISE_ERROR_DATA;
    size_t n = (size_t)1 << head.bits, size = n * sizeof *bpe->pairs;
    uint32_t highest = (uint32_t)bpe->pieces.highest;
    const struct bpe_pair *pairs = inc_blob_take(blob, &size);
    if (pairs == NULL || bpe->pieces.highest < 0) return INCISE_ERROR_DATA;
    bool sound = true; /* without branches: which slots are free cannot be predicted */
    for (size_t i = 0; i < n; i++) sound &= (pairs[i].rank == NONE) | ((uint32_t)pairs[i].joined <= highest);
    if (!sound) return INCISE_ERROR_DATA;
    bpe->bits = (unsigned)head.bits;
    bpe->pairs = (struct bpe_pair *)(uintptr_t)pairs;
    bpe->borrowed = true;
    bpe->cuts_at_marks = head.cuts_at_marks != 0;
    for (int i = 0; i < 129; i++) bpe->joined[i] = head.joined[i] != 0;
    return INCISE_OK;
}

/* null or "" */
static bool absent(const json_t *value)
{
    return value == NULL || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0);
}

static enum incise_status load(const struct inc_model_source *source, void **model)
{
    static const char *const unsupported[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
    const struct inc_json *json = source->json;
    json_t *section = source->section;
    struct inc_bpe *bpe = inc_alloc_zero(json->ctx, 1, sizeof *bpe);
    *model = bpe;
    if (bpe == NULL) return inc_fail_memory(json->ctx, sizeof *bpe, "a vocabulary");
    bpe->ctx = json->ctx;
    bpe->number = inc_words_number();
    INC_TRY(inc_json_only(json, section, "model",
                          "type dropout unk_token continuing_subword_prefix end_of_word_suffix fuse_unk byte_fallback "
                          "ignore_merges vocab merges"));
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (!absent(json_object_get(section, unsupported[i])))
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: model: '%s' is not supported", json->label,
                            unsupported[i]);
    }
    INC_TRY(inc_json_bool(json, section, "model", "byte_fallback", &bpe->byte_fallback));
    INC_TRY(inc_json_bool(json, section, "model", "fuse_unk", &bpe->fuse_unknown));
    INC_TRY(inc_json_bool(json, section, "model", "ignore_merges", &bpe->whole_words));
    bpe->byte_level = source->byte_level;
    if (bpe->byte_level && bpe->byte_fallback)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: model: 'byte_fallback' with ByteLevel is not supported",
                        json->label);
    bpe->cuts_at_marks = true;
    if (source->blob != NULL) {
        INC_TRY(restore(bpe, source->blob));
        INC_TRY(load_unknown(bpe, source));
    } else {
        INC_TRY(inc_pieces_init(&bpe->pieces, json->ctx, source->vocab.members));
        INC_TRY(inc_vocab_read(source, add_piece, bpe));
        INC_TRY(load_unknown(bpe, source));
        INC_TRY(load_merges(bpe, source));
    }
    find_characters(bpe);
    return INCISE_OK;
}

static void destroy(const struct inc_ctx *ctx, void *model)
{
    struct inc_bpe *bpe = model;
    if (bpe == NULL) return;
    inc_pieces_fini(&bpe->pieces);
    if (!bpe->borrowed) inc_free(ctx, bpe->pairs);
    inc_free(ctx, bpe);
}

bool inc_bpe_cuts_after(const struct inc_bpe *bpe, uint32_t code)
{
    return bpe->cuts_at_marks && code != INC_SPACE_MARK && !bpe->joined[code < 128 ? code : 128];
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

/* Joins up to SHORT symbols in place; returns how many are left. */
static size_t merge_short(const struct inc_bpe *bpe, int32_t *ids, size_t n)
{
    uint32_t ranks[SHORT];
    int32_t joined[SHORT];
    for (size_t i = 0; i + 1 < n; i++) {
        const struct bpe_pair *pair = find_pair(bpe, ids[i], ids[i + 1]);
        ranks[i] = pair != NULL ? pair->rank : NONE;
        joined[i] = pair != NULL ? pair->joined : -1;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++) {
            if (ranks[i] < ranks[best]) best = i;
        }
        if (ranks[best] == NONE) break;
        ids[best] = joined[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            joined[i - 1] = joined[i];
        }
        for (size_t i = best > 0 ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const struct bpe_pair *pair = find_pair(bpe, ids[i], ids[i + 1]);
            ranks[i] = pair != NULL ? pair->rank : NONE;
            joined[i] = pair != NULL ? pair->joined : -1;
        }
    }
    return n;
}

/* A heap of rank << 32 | position, the least on top. */
static void heap_push(uint64_t *heap, size_t *n, uint64_t key)
{
    size_t at = (*n)++;
    for (; at > 0 && heap[(at - 1) / 2] > key; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = key;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n)
{
    uint64_t top = heap[0], last = heap[--*n];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < *n) {
        child += child + 1 < *n && heap[child + 1] < heap[child];
        if (heap[child] >= last) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static void push_pair(const struct inc_bpe *bpe, struct inc_ids *out, size_t *n, uint32_t at)
{
    const struct inc_bpe_symbol *left = &out->symbols[at];
    if (left->next == NONE) return;
    const struct bpe_pair *pair = find_pair(bpe, left->id, out->symbols[left->next].id);
    if (pair != NULL) heap_push(out->heap, n, (uint64_t)pair->rank << 32 | at);
}

static void merge_symbols(const struct inc_bpe *bpe, struct inc_ids *out, size_t n)
{
    size_t queued = 0;
    for (size_t i = 0; i + 1 < n; i++) push_pair(bpe, out, &queued, (uint32_t)i);
    while (queued > 0) {
        uint64_t top = heap_pop(out->heap, &queued);
        struct inc_bpe_symbol *left = &out->symbols[top & NONE];
        if (left->id < 0 || left->next == NONE) continue;
        struct inc_bpe_symbol *right = &out->symbols[left->next];
        const struct bpe_pair *pair = find_pair(bpe, left->id, right->id);
        if (pair == NULL || pair->rank != top >> 32) continue; /* one of the two has changed since */
        left->id = pair->joined;
        left->next = right->next;
        right->id = -1;
        if (left->next != NONE) out->symbols[left->next].previous = (uint32_t)(top & NONE);
        if (left->previous != NONE) push_pair(bpe, out, &queued, left->previous);
        push_pair(bpe, out, &queued, (uint32_t)(top & NONE));
    }
}

/* The heap holds at most a pair for each of n - 1 neighbours, and one more for each of n - 1 merges (a merge takes one
 * and adds two). */
static enum incise_status merge_long(const struct inc_bpe *bpe, struct inc_ids *out, size_t start)
{
    size_t n = out->count - start, left = 0;
    if (n >= NONE / 2) return inc_fail(out->ctx, INCISE_ERROR_DATA, "a word of %zu characters is too long", n);
    INC_TRY(inc_grow(out->ctx, (void **)&out->symbols, &out->symbols_capacity, n, sizeof *out->symbols));
    INC_TRY(inc_grow(out->ctx, (void **)&out->heap, &out->heap_capacity, 2 * n, sizeof *out->heap));
    for (size_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)i, next = i + 1 < n ? at + 1 : NONE;
        out->symbols[i] = (struct inc_bpe_symbol){out->ids[start + i], i > 0 ? at - 1 : NONE, next};
    }
    merge_symbols(bpe, out, n);
    for (size_t i = 0; i < n; i++) {
        bool joined = out->symbols[i].id < 0;
        if (!joined) out->ids[start + left++] = out->symbols[i].id;
        if (!out->with_spans) continue;
        if (joined)
            out->spans[start + left - 1].end = out->spans[start + i].end;
        else
            out->spans[start + left - 1] = out->spans[start + i];
    }
    out->count = start + left;
    return INCISE_OK;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

/* Adds an id for `n` bytes of the word. As with Hugging Face a token starts where the one before ends, also when it
 * stands for text elsewhere. There is room. */
static void put(struct inc_ids *out, int32_t id, size_t *at, size_t n)
{
    if (out->with_spans) out->spans[out->count] = (struct inc_span){*at, *at + n};
    out->ids[out->count++] = id;
    *at += n;
}

/* Bytes of an unknown character as tokens; false when the vocabulary lacks one. */
static bool put_bytes(const struct inc_bpe *bpe, const char *text, size_t n, struct inc_ids *out, size_t *at)
{
    for (size_t i = 0; i < n; i++) {
        if (bpe->byte_ids[(unsigned char)text[i]] < 0) return false;
    }
    for (size_t i = 0; i < n; i++) put(out, bpe->byte_ids[(unsigned char)text[i]], at, 1);
    return true;
}

/* The id of the character, or byte, at `text`, or -1; and its length. */
static int32_t next_character(const struct inc_bpe *bpe, const char *text, size_t *length)
{
    uint32_t code;
    *length = 1;
    if (bpe->byte_level) return bpe->byte_ids[(unsigned char)*text];
    *length = inc_utf8_decode(text, &code);
    return code < 128 ? bpe->ascii[code] : id_of(bpe, text, *length);
}

/* Appends the ids of the characters; out->ids has room. An unknown token waits for the next known character (as with
 * Hugging Face it lets bytes pass), so that those of a run become one. */
static void put_characters(const struct inc_bpe *bpe, const char *text, size_t n, struct inc_ids *out)
{
    size_t waiting = 0, place = 0; /* bytes of the unknown token that waits */
    for (size_t at = 0, length; at < n; at += length) {
        int32_t id = next_character(bpe, text + at, &length);
        if (id >= 0) {
            if (waiting > 0) put(out, bpe->unknown, &place, waiting);
            waiting = 0;
            put(out, id, &place, length);
        } else if (!(bpe->byte_fallback && put_bytes(bpe, text + at, length, out, &place)) && bpe->unknown >= 0) {
            if (waiting > 0 && !bpe->fuse_unknown) {
                put(out, bpe->unknown, &place, waiting);
                waiting = 0;
            }
            waiting += length;
        }
    }
    if (waiting > 0) put(out, bpe->unknown, &place, waiting);
}

static int32_t find_word(const struct inc_bpe *bpe, const char *word, size_t n)
{
    char characters[2 * INC_PIECE_MAX];
    size_t length = 0;
    if (!bpe->byte_level) return id_of(bpe, word, n);
    if (n > INC_PIECE_MAX) return -1;
    for (size_t i = 0; i < n; i++)
        length += inc_utf8_encode(inc_byte_level_code((unsigned char)word[i]), characters + length);
    return id_of(bpe, characters, length);
}

static enum incise_status encode_part(const struct inc_bpe *bpe, const char *text, size_t n, struct inc_ids *out)
{
    size_t start = out->count, place = 0;
    INC_TRY(inc_ids_reserve(out, n));
    int32_t whole = bpe->whole_words ? find_word(bpe, text, n) : -1;
    if (whole >= 0) {
        put(out, whole, &place, n);
        return INCISE_OK;
    }
    put_characters(bpe, text, n, out);
    if (out->count - start > SHORT || out->with_spans) return merge_long(bpe, out, start);
    out->count = start + merge_short(bpe, out->ids + start, out->count - start);
    return INCISE_OK;
}

/* A part of a word, remembered when it is short; `offset` bytes of the word are before it. */
static enum incise_status encode_seen(const struct inc_bpe *bpe, const char *text, size_t n, size_t offset,
                                      struct inc_ids *out)
{
    struct inc_word *word;
    size_t start = out->count;
    bool known;
    if (n > INC_WORD_BYTES || out->with_spans) {
        INC_TRY(encode_part(bpe, text, n, out));
        for (size_t i = start; out->with_spans && i < out->count; i++) {
            out->spans[i].start += offset;
            out->spans[i].end += offset;
        }
        return INCISE_OK;
    }
    INC_TRY(inc_words_recall(out, bpe->number, text, n, &word, &known));
    if (known) return INCISE_OK;
    INC_TRY(encode_part(bpe, text, n, out));
    inc_words_keep(word, text, n, out->ids + start, out->count - start);
    return INCISE_OK;
}

static enum incise_status encode(const void *model, const char *word, size_t n, struct inc_ids *out)
{
    const struct inc_bpe *bpe = model;
    size_t start = 0, at = 0, mark;
    while (bpe->cuts_at_marks && (mark = inc_text_find(word, n, at, INC_SPACE_MARK_UTF8, 3)) < n) {
        uint32_t before;
        at = mark + 3;
        if (mark == start) continue;
        inc_utf8_decode(word + inc_utf8_before(word, mark), &before);
        if (!inc_bpe_cuts_after(bpe, before)) continue;
        INC_TRY(encode_seen(bpe, word + start, mark - start, start, out));
        start = mark;
    }
    return n > start ? encode_seen(bpe, word + start, n - start, start, out) : INCISE_OK;
}

static const struct inc_pieces *vocabulary(const void *model)
{
    return &((const struct inc_bpe *)model)->pieces;
}

const struct inc_model_type inc_bpe_type = {"BPE", load, destroy, save, encode, vocabulary};
