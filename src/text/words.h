/* SPDX-License-Identifier: Apache-2.0 */
/* Short words seen before and their ids: most of a text. Each thread has its own (in inc_ids). */
#ifndef INC_TEXT_WORDS_H
#define INC_TEXT_WORDS_H

#include "base/context.h"

#define INC_WORD_BYTES 15 /* of the longest word that is remembered */
#define INC_WORD_IDS   5

struct inc_word {
    uint64_t key[2]; /* its bytes, zeros, and in the last byte their number; zeros: free */
    int32_t ids[INC_WORD_IDS];
    uint32_t count;
};

struct inc_words {
    struct inc_word *items;
    uint64_t model; /* number of the model that the ids are of */
};

/* A number that no other model of this process has. */
uint64_t inc_words_number(void);
struct inc_ids;

/* Looks for a word of 1 to INC_WORD_BYTES bytes; *known: its ids are appended to `out`. Else *word is its place. The
 * words of another model are forgotten. */
enum incise_status inc_words_recall(struct inc_ids *out, uint64_t model, const char *text, size_t n,
                                    struct inc_word **word, bool *known) __attribute__((warn_unused_result));
/* Remembers the ids of the word that was looked for last, unless there are too many. */
void inc_words_keep(struct inc_word *word, const char *text, size_t n, const int32_t *ids, size_t count);

#endif
