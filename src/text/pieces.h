/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table from byte strings to ids, made for the question "which is the longest entry that this text starts
 * with?". Built once, then read by any number of threads. */
#ifndef INC_TEXT_PIECES_H
#define INC_TEXT_PIECES_H

#include "base/blob.h"

#define INC_PIECE_MAX 512 /* bytes of the longest entry; bounds the work per position of a text */

struct inc_piece;

struct inc_pieces {
    const struct inc_ctx *ctx;
    bool borrowed; /* the memory is another's */
    struct inc_piece *slots; /* 2^bits, open addressing, at most half full */
    unsigned bits;
    size_t count;
    char *bytes; /* all entries one after the other */
    size_t n_bytes, bytes_capacity;
    int32_t highest; /* id; -1 when empty */
    size_t longest;
    uint64_t lengths[INC_PIECE_MAX / 64 + 1]; /* bit n: there are entries of n bytes */
};

/* An empty table for at most `capacity` entries. */
enum incise_status inc_pieces_init(struct inc_pieces *pieces, const struct inc_ctx *ctx, size_t capacity)
    __attribute__((warn_unused_result));
void inc_pieces_fini(struct inc_pieces *pieces);
/* To a cache, and from one, whose memory must stay: INCISE_ERROR_DATA, not reported, when it is not sound. */
void inc_pieces_save(const struct inc_pieces *pieces, struct inc_buffer *buffer);
enum incise_status inc_pieces_restore(struct inc_pieces *pieces, const struct inc_ctx *ctx,
                                      struct inc_blob_reader *blob) __attribute__((warn_unused_result));
/* INCISE_ERROR_DATA (with `label`) for an entry that is empty, too long or there already, and when very many entries
 * share a hash, which only happens in files made for it. */
enum incise_status inc_pieces_add(struct inc_pieces *pieces, const char *label, const char *piece, size_t n, int32_t id)
    __attribute__((warn_unused_result));
bool inc_pieces_find(const struct inc_pieces *pieces, const char *piece, size_t n, int32_t *id);
/* Length of the longest entry that `text` starts with and its id; 0 if there is none. */
size_t inc_pieces_longest(const struct inc_pieces *pieces, const char *text, size_t n, int32_t *id);

typedef void inc_piece_fn(void *user, const char *piece, size_t n, int32_t id);
/* Passes on every entry, in no order. */
void inc_pieces_each(const struct inc_pieces *pieces, inc_piece_fn *visit, void *user);

/* All entries that a text starts with, the shortest first. */
struct inc_prefixes {
    const struct inc_pieces *pieces;
    const char *text;
    size_t n;
    uint64_t state;
    size_t length; /* of the entry that was found, */
    int32_t id;    /* and its id */
};
void inc_prefixes_start(struct inc_prefixes *prefixes, const struct inc_pieces *pieces, const char *text, size_t n);
bool inc_prefixes_next(struct inc_prefixes *prefixes);

/* Ids of "<0x00>" to "<0xFF>"; -1 where there is none. */
void inc_byte_tokens(const struct inc_pieces *pieces, int32_t ids[256]);

#endif
