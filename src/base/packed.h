/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights away from the memory they were packed into, in two parts. Tables say where values are and what they
 * belong to: they are read and checked before anything is done with them. Values are multiplied and never looked at
 * otherwise, so that they may stay where another process can change them: no address depends on them.
 */
#ifndef INC_BASE_PACKED_H
#define INC_BASE_PACKED_H

#include "base/blob.h"

/* Values where they lie now. */
struct inc_packed_values {
    const void *bytes;
    size_t n;
};

/* On the way out. */
struct inc_packed_out {
    struct inc_buffer tables; /* as inc_blob_put leaves them */
    struct inc_buffer spans;  /* of struct inc_packed_values, in order; each will lie at a multiple of INC_ALIGN */
};

void inc_packed_out_init(struct inc_packed_out *out, const struct inc_ctx *ctx);
void inc_packed_out_fini(struct inc_packed_out *out);
/* The values stay the caller's until they are written. */
void inc_packed_put(struct inc_packed_out *out, const void *values, size_t n);
/* A table made of what `table` holds, which is released. */
void inc_packed_put_table(struct inc_packed_out *out, struct inc_buffer *table);

/* On the way in: what is left to take. `values.at` is a multiple of INC_ALIGN. */
struct inc_packed {
    struct inc_blob_reader tables, values;
};

/* Of one Linear of a model. */
struct inc_packed_slot {
    uint64_t name; /* hash of the slot's name */
    struct inc_packed packed;
};

/* The next `n` bytes of values; NULL when they are not there. */
const void *inc_packed_take(struct inc_packed *packed, size_t n);
/* The next table, which must have `count` elements of `size` bytes each; NULL when it has not. */
const void *inc_packed_table(struct inc_packed *packed, size_t count, size_t size);
/* The next table, any number of elements, which is given back. */
const void *inc_packed_array(struct inc_packed *packed, size_t *count, size_t size);

#endif
