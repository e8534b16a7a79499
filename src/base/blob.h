/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as bytes, for caches: written one after the other, each with its size and aligned to 64 bytes; read in place.
 * The bytes may come from anyone: a reader checks what it takes. */
#ifndef INC_BASE_BLOB_H
#define INC_BASE_BLOB_H

#include "base/buffer.h"

/* What is left to read. */
struct inc_blob_reader {
    const unsigned char *at, *end;
};

/* What a table of `n` bytes takes. */
size_t inc_blob_size(size_t n);
/* Appends a table of `n` bytes. The buffer holds nothing else. */
void inc_blob_put(struct inc_buffer *buffer, const void *bytes, size_t n);
/* The next table, which must have `n` bytes, or any number of them if *n is SIZE_MAX, and then is set; NULL when it is
 * not there or has another size. It lies in the blob, aligned as the blob is (up to 64 bytes). */
const void *inc_blob_take(struct inc_blob_reader *blob, size_t *n);
/* A table of the size of `out` is copied to it; false when it is not there. */
bool inc_blob_read(struct inc_blob_reader *blob, void *out, size_t n);

#endif
