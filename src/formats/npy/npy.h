/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy .npy files: format versions 1.0 and 2.0, little endian, C order; bool, 8..64-bit integers, f16, f32, f64. */
#ifndef INC_FORMATS_NPY_NPY_H
#define INC_FORMATS_NPY_NPY_H

#include "base/buffer.h"
#include "base/file.h"
#include "graph/tensor.h"

/* Reads the file at `path` of at most `max_bytes` into a tensor that owns its data. INCISE_ERROR_DATA for anything that
 * is malformed or not in the subset above; the file must end where its array ends. */
enum incise_status inc_npy_read(const struct inc_ctx *ctx, const char *path, size_t max_bytes,
                                struct inc_tensor *tensor) __attribute__((warn_unused_result));
/* The same from memory; `label` names it in messages. */
enum incise_status inc_npy_read_memory(const struct inc_ctx *ctx, const char *label, const void *bytes, size_t n,
                                       struct inc_tensor *tensor) __attribute__((warn_unused_result));

/* Appends the header of an array of `type` and `dims`; its raw data is to follow. INCISE_ERROR_DATA for a type that
 * .npy has no name for (bf16, i4, u4). */
enum incise_status inc_npy_write_header(struct inc_buffer *out, enum inc_type type, int rank, const int64_t *dims)
    __attribute__((warn_unused_result));
enum incise_status inc_npy_write(struct inc_output *output, const char *name, const struct inc_tensor *tensor)
    __attribute__((warn_unused_result));

#endif
