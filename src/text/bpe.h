/* SPDX-License-Identifier: Apache-2.0 */
/* Byte pair encoding: a word starts as its characters; of the pairs of neighbours that the list of merges holds, the
 * earliest in the list is joined first, the leftmost of equals, until no pair is left. */
#ifndef INC_TEXT_BPE_H
#define INC_TEXT_BPE_H

#include <stdbool.h>
#include <stdint.h>

struct inc_bpe;

/* No merge joins `code` with a space mark behind it: the parts of a text before and after are encoded alone. */
bool inc_bpe_cuts_after(const struct inc_bpe *bpe, uint32_t code);

#endif
