/* SPDX-License-Identifier: Apache-2.0 */
/* Byte pair encoding: a word starts as its characters; of the pairs of neighbours that the list of merges holds, the
 * earliest in the list is joined first, the leftmost of equals, until no pair is left. */
#ifndef INC_TEXT_BPE_H
#define INC_TEXT_BPE_H

#include <stdbool.h>

struct inc_bpe;

/* No merge joins text before a space mark that follows another character: such parts of a word are encoded alone. */
bool inc_bpe_cuts_at_marks(const struct inc_bpe *bpe);

#endif
