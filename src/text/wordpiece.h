/* SPDX-License-Identifier: Apache-2.0 */
/* WordPiece: a word becomes the longest entries of the vocabulary, from its start; one that does not is unknown. */
#ifndef INC_TEXT_WORDPIECE_H
#define INC_TEXT_WORDPIECE_H

#include "text/pieces.h"

#define INC_WORDPIECE_MAX_CHARS 1000 /* the most that max_input_chars_per_word may say; bounds the work per character */

struct inc_wordpiece {
    const struct inc_ctx *ctx;
    struct inc_pieces initial;    /* the vocabulary */
    struct inc_pieces continuing; /* entries that start with the prefix, without it */
    const char *prefix;           /* borrowed; used while entries are added */
    int32_t unknown;
    size_t max_chars; /* longer words are unknown */
};

enum incise_status inc_wordpiece_create(const struct inc_ctx *ctx, size_t capacity, const char *prefix,
                                        size_t max_chars, struct inc_wordpiece **model)
    __attribute__((warn_unused_result));
enum incise_status inc_wordpiece_add(struct inc_wordpiece *model, const char *label, const char *piece, size_t n,
                                     int32_t id) __attribute__((warn_unused_result));
/* After the last entry. INCISE_ERROR_DATA when the vocabulary lacks `unknown`. */
enum incise_status inc_wordpiece_finish(struct inc_wordpiece *model, const char *label, const char *unknown)
    __attribute__((warn_unused_result));

#endif
