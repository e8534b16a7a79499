/* SPDX-License-Identifier: Apache-2.0 */
/* The normalizer "Precompiled": SentencePiece's table of replacements, a double array (darts-clone) of keys and the
 * strings that replace them. */
#ifndef INC_TEXT_CHARSMAP_H
#define INC_TEXT_CHARSMAP_H

#include "text/transform.h"

struct inc_charsmap {
    const struct inc_ctx *ctx; /* NULL: none */
    uint32_t *units;
    size_t n_units;
    char *strings; /* each ends with NUL; UTF-8 */
    size_t n_strings;
    bool plain[128]; /* ASCII characters that are not replaced */
};

/* From the text of "precompiled_charsmap": base64 of the size of the double array, the array, the strings, all little
 * endian. INCISE_ERROR_DATA when it is not that. */
enum incise_status inc_charsmap_load(struct inc_charsmap *map, const struct inc_ctx *ctx, const char *label,
                                     const char *base64, size_t n) __attribute__((warn_unused_result));
void inc_charsmap_release(struct inc_charsmap *map);
/* Appends the source to `text`. As Hugging Face: a grapheme cluster of less than 6 bytes whose beginning is a key
 * is replaced as a whole; else its characters are, each by itself. */
enum incise_status inc_charsmap_apply(const struct inc_charsmap *map, const struct inc_source *source,
                                      struct inc_text *text) __attribute__((warn_unused_result));

#endif
