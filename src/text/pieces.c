/* SPDX-License-Identifier: Apache-2.0 */
#include "text/pieces.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

#define MIN_BITS   4
#define MAX_PROBES 1024 /* a half full table of honest entries needs about 50 at most */

/* FNV-1a runs along a text, so that one pass gives the hash of each of its beginnings. */
#define HASH_START 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u
#define HASH_MIX 0x9e3779b97f4a7c15u /* 2^64 / golden ratio: spreads the state over the upper bits */

struct inc_piece {
    uint32_t tag;
    uint32_t length; /* 0: free */
    uint32_t offset;
    int32_t id;
};

static uint64_t hash_step(uint64_t state, char byte)
{
    return (state ^ (unsigned char)byte) * HASH_PRIME;
}

static uint64_t hash_bytes(const char *bytes, size_t n)
{
    uint64_t state = HASH_START;
    for (size_t i = 0; i < n; i++) state = hash_step(state, bytes[i]);
    return state;
}

/* The slot that holds the entry or is free for it; NULL after MAX_PROBES. */
static struct inc_piece *find_slot(const struct inc_pieces *pieces, const char *piece, size_t n, uint64_t state)
{
    uint64_t mixed = state * HASH_MIX;
    size_t mask = ((size_t)1 << pieces->bits) - 1, at = (size_t)(mixed >> (64 - pieces->bits));
    uint32_t tag = (uint32_t)mixed;
    for (int probes = 0; probes < MAX_PROBES; probes++, at = (at + 1) & mask) {
        struct inc_piece *slot = &pieces->slots[at];
        if (slot->length == 0) return slot;
        if (slot->tag == tag && slot->length == n && memcmp(pieces->bytes + slot->offset, piece, n) == 0) return slot;
    }
    return NULL;
}

enum incise_status inc_pieces_init(struct inc_pieces *pieces, const struct inc_ctx *ctx, size_t capacity)
{
    memset(pieces, 0, sizeof *pieces);
    pieces->ctx = ctx;
    pieces->highest = -1;
    pieces->bits = MIN_BITS;
    while (pieces->bits < 40 && ((size_t)1 << pieces->bits) / 2 < capacity) pieces->bits++;
    size_t n = (size_t)1 << pieces->bits;
    pieces->slots = inc_alloc_zero(ctx, n, sizeof *pieces->slots);
    return pieces->slots != NULL ? INCISE_OK : inc_fail_memory(ctx, n, "a vocabulary");
}

void inc_pieces_fini(struct inc_pieces *pieces)
{
    if (pieces->ctx == NULL) return; /* never made */
    if (!pieces->borrowed) {
        inc_free(pieces->ctx, pieces->slots);
        inc_free(pieces->ctx, pieces->bytes);
    }
    memset(pieces, 0, sizeof *pieces);
}

static void note_entry(struct inc_pieces *pieces, size_t n, int32_t id)
{
    pieces->count++;
    if (id > pieces->highest) pieces->highest = id;
    pieces->longest = inc_max_size(pieces->longest, n);
    pieces->lengths[n / 64] |= (uint64_t)1 << n % 64;
}

enum incise_status inc_pieces_add(struct inc_pieces *pieces, const char *label, const char *piece, size_t n, int32_t id)
{
    const struct inc_ctx *ctx = pieces->ctx;
    if (n == 0 || n > INC_PIECE_MAX)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: token '%.*s' (id %d) has %zu bytes, not 1..%d", label,
                        (int)inc_min_size(n, 40), piece, id, n, INC_PIECE_MAX);
    uint64_t state = hash_bytes(piece, n);
    struct inc_piece *slot = find_slot(pieces, piece, n, state);
    if (slot == NULL || pieces->count >= (size_t)1 << (pieces->bits - 1))
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: too many tokens share a hash", label);
    if (slot->length != 0)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: token '%.*s' occurs twice (ids %d and %d)", label, (int)n, piece,
                        slot->id, id);
    size_t end;
    if (!inc_size_add(pieces->n_bytes, n, &end) || end > UINT32_MAX) return inc_fail_memory(ctx, SIZE_MAX, label);
    INC_TRY(inc_grow(ctx, (void **)&pieces->bytes, &pieces->bytes_capacity, end, 1));
    memcpy(pieces->bytes + pieces->n_bytes, piece, n);
    slot->tag = (uint32_t)(state * HASH_MIX);
    slot->length = (uint32_t)n;
    slot->offset = (uint32_t)pieces->n_bytes;
    slot->id = id;
    pieces->n_bytes = end;
    note_entry(pieces, n, id);
    return INCISE_OK;
}

/* ---- caches ------------------------------------------------------------------------------------------------------ */

struct pieces_head {
    uint64_t bits, n_bytes;
};

void inc_pieces_save(const struct inc_pieces *pieces, struct inc_buffer *buffer)
{
    struct pieces_head head = {pieces->bits, pieces->n_bytes};
    inc_blob_put(buffer, &head, sizeof head);
    inc_blob_put(buffer, pieces->slots, sizeof *pieces->slots << pieces->bits);
    inc_blob_put(buffer, pieces->bytes, pieces->n_bytes);
}

/* Checks all slots and notes their entries, without branches: which slots are free cannot be predicted. */
static bool check_slots(struct inc_pieces *pieces)
{
    bool seen[INC_PIECE_MAX + 1] = {false}, sound = true;
    size_t n_slots = (size_t)1 << pieces->bits;
    for (size_t i = 0; i < n_slots; i++) {
        const struct inc_piece *slot = &pieces->slots[i];
        size_t length = inc_min_size(slot->length, INC_PIECE_MAX);
        int32_t id = length > 0 ? slot->id : -1;
        sound &= (slot->length == length) & (slot->offset + length <= pieces->n_bytes);
        sound &= (id >= 0 || length == 0) & (id < INT32_MAX);
        seen[length] = true;
        pieces->count += length > 0;
        pieces->highest = id > pieces->highest ? id : pieces->highest;
    }
    for (size_t n = 1; n <= INC_PIECE_MAX; n++) {
        if (!seen[n]) continue;
        pieces->longest = n;
        pieces->lengths[n / 64] |= (uint64_t)1 << n % 64;
    }
    return sound && pieces->count <= n_slots / 2;
}

enum incise_status inc_pieces_restore(struct inc_pieces *pieces, const struct inc_ctx *ctx,
                                      struct inc_blob_reader *blob)
{
    struct pieces_head head;
    memset(pieces, 0, sizeof *pieces);
    pieces->ctx = ctx;
    pieces->borrowed = true;
    pieces->highest = -1;
    if (!inc_blob_read(blob, &head, sizeof head) || head.bits < MIN_BITS || head.bits > 31) return INCISE_ERROR_DATA;
    size_t n_slots = (size_t)1 << head.bits, size = n_slots * sizeof *pieces->slots;
    pieces->bits = (unsigned)head.bits;
    pieces->n_bytes = head.n_bytes;
    pieces->slots = (struct inc_piece *)(uintptr_t)inc_blob_take(blob, &size);
    pieces->bytes = (char *)(uintptr_t)inc_blob_take(blob, &pieces->n_bytes);
    if (pieces->slots == NULL || pieces->bytes == NULL) return INCISE_ERROR_DATA;
    return check_slots(pieces) ? INCISE_OK : INCISE_ERROR_DATA;
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

bool inc_pieces_find(const struct inc_pieces *pieces, const char *piece, size_t n, int32_t *id)
{
    if (n == 0 || n > pieces->longest) return false;
    const struct inc_piece *slot = find_slot(pieces, piece, n, hash_bytes(piece, n));
    if (slot == NULL || slot->length == 0) return false;
    *id = slot->id;
    return true;
}

size_t inc_pieces_longest(const struct inc_pieces *pieces, const char *text, size_t n, int32_t *id)
{
    uint64_t states[INC_PIECE_MAX + 1]; /* of the first i bytes */
    if (n > pieces->longest) n = pieces->longest;
    states[0] = HASH_START;
    for (size_t i = 0; i < n; i++) states[i + 1] = hash_step(states[i], text[i]);
    for (; n > 0; n--) {
        if ((pieces->lengths[n / 64] >> n % 64 & 1) == 0) continue;
        const struct inc_piece *slot = find_slot(pieces, text, n, states[n]);
        if (slot != NULL && slot->length != 0) {
            *id = slot->id;
            return n;
        }
    }
    return 0;
}

void inc_pieces_each(const struct inc_pieces *pieces, inc_piece_fn *visit, void *user)
{
    for (size_t i = 0; i < (size_t)1 << pieces->bits; i++) {
        const struct inc_piece *slot = &pieces->slots[i];
        if (slot->length > 0) visit(user, pieces->bytes + slot->offset, slot->length, slot->id);
    }
}

void inc_prefixes_start(struct inc_prefixes *prefixes, const struct inc_pieces *pieces, const char *text, size_t n)
{
    *prefixes = (struct inc_prefixes){pieces, text, inc_min_size(n, pieces->longest), HASH_START, 0, -1};
}

bool inc_prefixes_next(struct inc_prefixes *prefixes)
{
    const struct inc_pieces *pieces = prefixes->pieces;
    while (prefixes->length < prefixes->n) {
        prefixes->state = hash_step(prefixes->state, prefixes->text[prefixes->length++]);
        if ((pieces->lengths[prefixes->length / 64] >> prefixes->length % 64 & 1) == 0) continue;
        const struct inc_piece *slot = find_slot(pieces, prefixes->text, prefixes->length, prefixes->state);
        if (slot == NULL || slot->length == 0) continue;
        prefixes->id = slot->id;
        return true;
    }
    return false;
}

void inc_byte_tokens(const struct inc_pieces *pieces, int32_t ids[256])
{
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        if (!inc_pieces_find(pieces, name, 6, &ids[i])) ids[i] = -1;
    }
}
