/* SPDX-License-Identifier: Apache-2.0 */
/* Element types, and dense row-major arrays of them. */
#ifndef INC_GRAPH_TENSOR_H
#define INC_GRAPH_TENSOR_H

#include "base/context.h"

#define INC_MAX_RANK 8

/* enum, name in IR `data` attributes, name on IR ports, bits per element */
#define INC_TYPES(X)            \
    X(INC_F32, "f32", "FP32", 32) \
    X(INC_F16, "f16", "FP16", 16) \
    X(INC_BF16, "bf16", "BF16", 16) \
    X(INC_F64, "f64", "FP64", 64) \
    X(INC_I8, "i8", "I8", 8)     \
    X(INC_U8, "u8", "U8", 8)     \
    X(INC_I16, "i16", "I16", 16) \
    X(INC_U16, "u16", "U16", 16) \
    X(INC_I32, "i32", "I32", 32) \
    X(INC_U32, "u32", "U32", 32) \
    X(INC_I64, "i64", "I64", 64) \
    X(INC_U64, "u64", "U64", 64) \
    X(INC_I4, "i4", "I4", 4)     \
    X(INC_U4, "u4", "U4", 4)     \
    X(INC_BOOL, "boolean", "BOOL", 8)

enum inc_type {
#define X(id, name, port_name, bits) id,
    INC_TYPES(X)
#undef X
    INC_TYPE_COUNT
};

const char *inc_type_name(enum inc_type type);      /* "f32" */
const char *inc_type_port_name(enum inc_type type); /* "FP32" */
unsigned inc_type_bits(enum inc_type type);
/* Looks up either spelling; false if there is none. */
bool inc_type_parse(const char *name, enum inc_type *type);
static inline bool inc_type_is_float(enum inc_type t)
{
    return t == INC_F32 || t == INC_F16 || t == INC_BF16 || t == INC_F64;
}
/* What matrices of weights are made of. */
static inline bool inc_type_is_weight(enum inc_type t)
{
    return t == INC_F32 || t == INC_F16 || t == INC_BF16 || t == INC_I8 || t == INC_U8 || t == INC_I4 || t == INC_U4;
}

/* 4-bit types hold the even element in the low nibble. Booleans are one byte, 0 or 1. */
struct inc_tensor {
    enum inc_type type;
    int rank; /* 0 = scalar */
    int64_t dims[INC_MAX_RANK];
    void *data;   /* aligned to its element size at least */
    size_t bytes; /* ceil(count * bits / 8) */
    bool owned;   /* data came from inc_alloc and goes with inc_tensor_release */
};

/* Number of elements, or false when it or the byte count overflows or a dim is negative. */
bool inc_tensor_count(int rank, const int64_t *dims, enum inc_type type, size_t *count, size_t *bytes);
/* Allocates data (not zeroed) for the type, rank and dims given. Reports failure. */
enum incise_status inc_tensor_create(const struct inc_ctx *ctx, enum inc_type type, int rank, const int64_t *dims,
                                     struct inc_tensor *tensor) __attribute__((warn_unused_result));
void inc_tensor_release(const struct inc_ctx *ctx, struct inc_tensor *tensor);

size_t inc_tensor_elements(const struct inc_tensor *tensor);
/* Element `i` as a double (floats exactly, integers up to 2^53) or as an integer (floats truncated, saturated). */
double inc_tensor_get_f64(const struct inc_tensor *tensor, size_t i);
int64_t inc_tensor_get_i64(const struct inc_tensor *tensor, size_t i);
/* `n` elements from `first` converted to float. */
void inc_tensor_to_f32(const struct inc_tensor *tensor, size_t first, size_t n, float *out);

#endif
