/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed files: what this program leaves for itself to find again. A header of 64 bytes, tables (base/blob.h), and for
 * some kinds values behind them, which are mapped. The header says what the file is, how long it is, and the hash of
 * all of it but the values. A seal shows damage, not deceit: files may come from anyone, so whoever takes a table
 * checks what is in it. They are written beside and renamed (base/file.h), never changed in place. */
#ifndef INC_BASE_SEALED_H
#define INC_BASE_SEALED_H

#include "base/blob.h"
#include "base/file.h"

struct inc_sealed_kind {
    const char *name; /* at most 15 characters */
    uint64_t version; /* of what the tables hold */
    const char *other;  /* of a file of any other kind: "is no file of traces" */
    const char *remedy; /* for one that is damaged or of another version: "make it anew" */
};

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Appends the header to an empty buffer; tables follow with inc_blob_put. */
void inc_sealed_begin(struct inc_buffer *bytes, const struct inc_sealed_kind *kind);
/* The tables are complete; `values_bytes` will follow them in the file. */
enum incise_status inc_sealed_finish(struct inc_buffer *bytes, uint64_t values_bytes)
    __attribute__((warn_unused_result));
/* Makes the lengths and the hash in the header of a file of `n` bytes what they must be, so that fuzzers and tests
 * reach what they protect. */
void inc_sealed_mend(unsigned char *bytes, size_t n);

/* ---- reading --------------------------------------------------------------------------------------------------- */

struct inc_sealed {
    struct inc_file file;          /* the tables, in memory of their own: nobody changes them behind the check */
    struct inc_blob_reader tables; /* all of them; they lie in `file` */
    uint64_t values_at;            /* in the file: from there to its end are the values */
};

/* INCISE_ERROR_DATA for anything but an undamaged file of that kind and version, INCISE_ERROR_MEMORY for tables above
 * the context's limit. Release in any case. */
enum incise_status inc_sealed_read(const struct inc_reader *reader, const struct inc_sealed_kind *kind,
                                   struct inc_sealed *sealed) __attribute__((warn_unused_result));
/* Reads no more than a first table of `n` bytes at most. Whether it is undamaged shows when the file is read. */
enum incise_status inc_sealed_peek(const struct inc_reader *reader, const struct inc_sealed_kind *kind, size_t n,
                                   struct inc_sealed *sealed) __attribute__((warn_unused_result));
void inc_sealed_release(const struct inc_ctx *ctx, struct inc_sealed *sealed);
/* INCISE_ERROR_DATA, reported: `how` the file is not as it was written, and the remedy. */
enum incise_status inc_sealed_fail(const struct inc_ctx *ctx, const char *path, const struct inc_sealed_kind *kind,
                                   const char *how);

/* Whether a file begins as one of that kind does. */
bool inc_sealed_is(const char *path, const struct inc_sealed_kind *kind);

#endif
