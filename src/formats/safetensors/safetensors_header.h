/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON header of a safetensors file: {"name": {"dtype", "shape", "data_offsets"}, ..., "__metadata__": {...}}. */
#ifndef INC_FORMATS_SAFETENSORS_SAFETENSORS_HEADER_H
#define INC_FORMATS_SAFETENSORS_SAFETENSORS_HEADER_H

#include "base/arena.h"
#include "graph/tensor.h"

struct inc_safetensors_entry {
    const char *name; /* in the arena */
    enum inc_type type;
    int rank;
    int64_t dims[INC_MAX_RANK];
    uint64_t begin, end; /* as written, unchecked; from the first byte after the header */
};

struct inc_safetensors_header {
    struct inc_safetensors_entry *entries; /* in file order; from inc_alloc, the caller frees it even on failure */
    size_t n_entries, capacity;
};

/* A strict parser of just this JSON. Refuses everything else: other keys or value types, a key of an entry twice, NUL
 * or invalid UTF-8 in a name, text after the closing brace except spaces. Equal tensor names are left to the caller. */
enum incise_status inc_safetensors_parse(const struct inc_ctx *ctx, const char *label, const char *text, size_t length,
                                         struct inc_arena *arena, struct inc_safetensors_header *header)
    __attribute__((warn_unused_result));

#endif
