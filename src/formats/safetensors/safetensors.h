/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors files: u64 header length, JSON header, tensors that tile the rest of the file. */
#ifndef INC_FORMATS_SAFETENSORS_SAFETENSORS_H
#define INC_FORMATS_SAFETENSORS_SAFETENSORS_H

#include "base/arena.h"
#include "graph/tensor.h"

/* One tensor of the file. `tensor.data` points into the file's memory, aligned to its element size; not owned. */
struct inc_safetensor {
    const char *name;
    struct inc_tensor tensor;
};

struct inc_safetensors {
    const struct inc_ctx *ctx;
    struct inc_arena arena; /* names and list */
    unsigned char *memory;  /* from inc_alloc: every tensor's bytes */
    size_t bytes;
    struct inc_safetensor *tensors; /* sorted by name (strcmp) */
    size_t n_tensors;
};

/* Reads the file at `path` of at most `max_bytes`. INCISE_ERROR_DATA unless all of it is valid: header of at most 100
 * MB that starts with '{', no key twice, known types (F32 F16 BF16 F64, I8..I64, U8..U64, BOOL), sizes that agree with
 * shapes, tensors without holes or overlaps from the first to the last byte. Values of floats are not checked. */
enum incise_status inc_safetensors_open(const struct inc_ctx *ctx, const char *path, size_t max_bytes,
                                        struct inc_safetensors *file) __attribute__((warn_unused_result));
/* The same from `memory`, which came from inc_alloc and is owned by `file` on success, freed on failure. */
enum incise_status inc_safetensors_open_memory(const struct inc_ctx *ctx, const char *label, unsigned char *memory,
                                               size_t bytes, struct inc_safetensors *file)
    __attribute__((warn_unused_result));
/* NULL if there is none of that name. To iterate: file->tensors[0 .. n_tensors - 1]. */
const struct inc_safetensor *inc_safetensors_find(const struct inc_safetensors *file, const char *name);
/* Hands the memory over: the tensors stay valid as long as the caller keeps it (inc_free). */
void *inc_safetensors_detach(struct inc_safetensors *file);
void inc_safetensors_release(struct inc_safetensors *file);

#endif
