/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files, versions 2 and 3, little-endian: metadata, list of tensors, tensors. Specification: ggml's docs/gguf.md.
 *
 * Metadata is kept in memory as it is in the file; tensors are read when they are asked for, a stretch at a time. */
#ifndef INC_FORMATS_GGUF_GGUF_H
#define INC_FORMATS_GGUF_GGUF_H

#include "base/arena.h"
#include "base/file.h"
#include "formats/gguf/gguf_types.h"

/* As the file numbers them. */
enum inc_gguf_kind {
    INC_GGUF_U8,
    INC_GGUF_I8,
    INC_GGUF_U16,
    INC_GGUF_I16,
    INC_GGUF_U32,
    INC_GGUF_I32,
    INC_GGUF_F32,
    INC_GGUF_BOOL,
    INC_GGUF_STRING,
    INC_GGUF_ARRAY,
    INC_GGUF_U64,
    INC_GGUF_I64,
    INC_GGUF_F64,
    INC_GGUF_KINDS
};

struct inc_gguf_value {
    const char *key;         /* printable ASCII */
    enum inc_gguf_kind kind; /* of the value or of an array's elements */
    bool array;
    size_t n;                  /* elements; 1 if it is no array */
    const unsigned char *data; /* n of them, as in the file; a string is its u64 length and its bytes */
    size_t at;                 /* where in the file */
};

#define INC_GGUF_MAX_RANK 4

struct inc_gguf_tensor {
    const char *name; /* printable ASCII */
    const struct inc_gguf_type *type;
    int rank;
    int64_t dims[INC_GGUF_MAX_RANK]; /* outermost first, unlike in the file; a row (last axis) is whole blocks */
    uint64_t at, bytes;              /* where in the file */
};

struct inc_gguf {
    const struct inc_ctx *ctx;
    const char *label; /* for messages; borrowed */
    struct inc_reader reader;
    struct inc_arena arena;
    unsigned char *head; /* the file up to the tensors */
    struct inc_gguf_value *values; /* sorted by key (strcmp) */
    struct inc_gguf_tensor *tensors; /* sorted by name (strcmp) */
    size_t n_values, n_tensors;
};

/* Opens the file at `path`, which is borrowed. INCISE_ERROR_DATA, with the place, unless all of it but the contents of
 * tensors is valid: counts and lengths that fit into the file, known kinds and types, no key or tensor twice, no arrays
 * of arrays, an alignment that is a power of two of at most 1 MiB, tensors of at most four axes one behind the other
 * without holes or overlaps up to the end. Memory: a few times the metadata. */
enum incise_status inc_gguf_open(const struct inc_ctx *ctx, const char *path, struct inc_gguf *file)
    __attribute__((warn_unused_result));
/* The same from memory, which is borrowed. */
enum incise_status inc_gguf_open_memory(const struct inc_ctx *ctx, const char *label, const void *memory, size_t size,
                                        struct inc_gguf *file) __attribute__((warn_unused_result));
void inc_gguf_close(struct inc_gguf *file);

/* NULL if there is none. */
const struct inc_gguf_value *inc_gguf_find(const struct inc_gguf *file, const char *key);
const struct inc_gguf_tensor *inc_gguf_find_tensor(const struct inc_gguf *file, const char *name);

/* A missing key leaves *out; another kind (integers of any size are one, so are floats) is INCISE_ERROR_DATA. */
enum incise_status inc_gguf_int(const struct inc_gguf *file, const char *key, int64_t min, int64_t max, int64_t *out)
    __attribute__((warn_unused_result));
enum incise_status inc_gguf_number(const struct inc_gguf *file, const char *key, double *out)
    __attribute__((warn_unused_result));
enum incise_status inc_gguf_bool(const struct inc_gguf *file, const char *key, bool *out)
    __attribute__((warn_unused_result));
/* Lives as long as `file`; INCISE_ERROR_DATA for a NUL inside. */
enum incise_status inc_gguf_string(struct inc_gguf *file, const char *key, const char **out)
    __attribute__((warn_unused_result));
/* *out is NULL if the key is missing. */
enum incise_status inc_gguf_array(const struct inc_gguf *file, const char *key, enum inc_gguf_kind kind,
                                  const struct inc_gguf_value **out) __attribute__((warn_unused_result));

/* The string at *at, which moves behind it. */
const char *inc_gguf_next_string(const unsigned char **at, size_t *length);
/* Element `i` of an array of i32 or f32. */
int32_t inc_gguf_i32_at(const struct inc_gguf_value *array, size_t i);
float inc_gguf_f32_at(const struct inc_gguf_value *array, size_t i);

/* `n` blocks from block `first` on, as in the file. */
enum incise_status inc_gguf_read_blocks(const struct inc_gguf *file, const struct inc_gguf_tensor *tensor, size_t first,
                                        size_t n, uint8_t *out) __attribute__((warn_unused_result));
/* Elements [first, first + n) of a tensor whose type can be decoded, whole blocks. */
enum incise_status inc_gguf_read_f32(const struct inc_gguf *file, const struct inc_gguf_tensor *tensor, size_t first,
                                     size_t n, float *out) __attribute__((warn_unused_result));

#endif
