/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/tensor.h"

#include <string.h>

#include "base/half.h"
#include "base/size.h"

static const struct {
    const char *name, *port_name;
    unsigned bits;
} types[INC_TYPE_COUNT] = {
#define X(id, name, port_name, bits) [id] = {name, port_name, bits},
    INC_TYPES(X)
#undef X
};

const char *inc_type_name(enum inc_type type)
{
    return types[type].name;
}

const char *inc_type_port_name(enum inc_type type)
{
    return types[type].port_name;
}

unsigned inc_type_bits(enum inc_type type)
{
    return types[type].bits;
}

bool inc_type_parse(const char *name, enum inc_type *type)
{
    for (int i = 0; i < INC_TYPE_COUNT; i++) {
        if (strcmp(name, types[i].name) != 0 && strcmp(name, types[i].port_name) != 0) continue;
        *type = (enum inc_type)i;
        return true;
    }
    return false;
}

bool inc_tensor_count(int rank, const int64_t *dims, enum inc_type type, size_t *count, size_t *bytes)
{
    size_t n = 1, total;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return false;
        empty |= dims[i] == 0;
    }
    for (int i = 0; i < rank && !empty; i++)
        if (!inc_size_mul(n, (size_t)dims[i], &n)) return false;
    if (empty) n = 0;
    if (types[type].bits < 8)
        total = n / 2 + n % 2;
    else if (!inc_size_mul(n, types[type].bits / 8, &total))
        return false;
    if (total > PTRDIFF_MAX) return false;
    *count = n;
    *bytes = total;
    return true;
}

enum incise_status inc_tensor_create(const struct inc_ctx *ctx, enum inc_type type, int rank, const int64_t *dims,
                                     struct inc_tensor *tensor)
{
    size_t count, bytes;
    if (rank < 0 || rank > INC_MAX_RANK || !inc_tensor_count(rank, dims, type, &count, &bytes))
        return inc_fail(ctx, INCISE_ERROR_DATA, "the shape of a tensor is too large or negative");
    void *data = inc_alloc(ctx, inc_max_size(bytes, 1));
    if (!data) return inc_fail_memory(ctx, bytes, "a tensor");
    *tensor = (struct inc_tensor){.type = type, .rank = rank, .data = data, .bytes = bytes, .owned = true};
    if (rank > 0) memcpy(tensor->dims, dims, (size_t)rank * sizeof *dims);
    return INCISE_OK;
}

void inc_tensor_release(const struct inc_ctx *ctx, struct inc_tensor *tensor)
{
    if (tensor->owned) inc_free(ctx, tensor->data);
    tensor->data = NULL;
    tensor->owned = false;
}

size_t inc_tensor_elements(const struct inc_tensor *tensor)
{
    size_t n = 1;
    for (int i = 0; i < tensor->rank; i++) n *= (size_t)tensor->dims[i];
    return n;
}

/* Element `i` as `type`; constants lie unaligned in IR files' bytes. */
#define LOAD(type, name)                                     \
    static inline type load_##name(const void *data, size_t i) \
    {                                                        \
        type v;                                              \
        memcpy(&v, (const char *)data + i * sizeof v, sizeof v); \
        return v;                                            \
    }
LOAD(float, f32)
LOAD(uint16_t, f16)
LOAD(uint16_t, bf16)
LOAD(double, f64)
LOAD(int8_t, i8)
LOAD(uint8_t, u8)
LOAD(int16_t, i16)
LOAD(uint16_t, u16)
LOAD(int32_t, i32)
LOAD(uint32_t, u32)
LOAD(int64_t, i64)
LOAD(uint64_t, u64)
LOAD(uint8_t, boolean)
#undef LOAD

static inline unsigned load_u4(const void *data, size_t i)
{
    return ((unsigned)((const uint8_t *)data)[i / 2] >> (i % 2 * 4)) & 15u;
}

static inline int load_i4(const void *data, size_t i)
{
    return ((int)load_u4(data, i) ^ 8) - 8;
}

double inc_tensor_get_f64(const struct inc_tensor *t, size_t i)
{
    switch (t->type) {
    case INC_F32: return (double)load_f32(t->data, i);
    case INC_F16: return (double)inc_f32_from_f16(load_f16(t->data, i));
    case INC_BF16: return (double)inc_f32_from_bf16(load_bf16(t->data, i));
    case INC_F64: return load_f64(t->data, i);
    case INC_U64: return (double)load_u64(t->data, i);
    default: return (double)inc_tensor_get_i64(t, i);
    }
}

/* Truncated and saturated; NaN is 0. */
static int64_t i64_from_f64(double v)
{
    if (v >= 0x1p63) return INT64_MAX;
    if (v < -0x1p63) return INT64_MIN;
    return v == v ? (int64_t)v : 0;
}

int64_t inc_tensor_get_i64(const struct inc_tensor *t, size_t i)
{
    switch (t->type) {
    case INC_I8: return load_i8(t->data, i);
    case INC_U8: return load_u8(t->data, i);
    case INC_I16: return load_i16(t->data, i);
    case INC_U16: return load_u16(t->data, i);
    case INC_I32: return load_i32(t->data, i);
    case INC_U32: return load_u32(t->data, i);
    case INC_I64: return load_i64(t->data, i);
    case INC_U64: return load_u64(t->data, i) > INT64_MAX ? INT64_MAX : (int64_t)load_u64(t->data, i);
    case INC_I4: return load_i4(t->data, i);
    case INC_U4: return load_u4(t->data, i);
    case INC_BOOL: return load_boolean(t->data, i) != 0;
    default: return i64_from_f64(inc_tensor_get_f64(t, i));
    }
}


void inc_tensor_to_f32(const struct inc_tensor *t, size_t first, size_t n, float *out)
{
#define CASE(id, expression) \
    case id:                 \
        for (size_t i = first; i < first + n; i++) out[i - first] = (float)(expression); \
        return
    switch (t->type) {
        CASE(INC_F32, load_f32(t->data, i));
        CASE(INC_F16, inc_f32_from_f16(load_f16(t->data, i)));
        CASE(INC_BF16, inc_f32_from_bf16(load_bf16(t->data, i)));
        CASE(INC_F64, load_f64(t->data, i));
        CASE(INC_I8, load_i8(t->data, i));
        CASE(INC_U8, load_u8(t->data, i));
        CASE(INC_I16, load_i16(t->data, i));
        CASE(INC_U16, load_u16(t->data, i));
        CASE(INC_I32, load_i32(t->data, i));
        CASE(INC_U32, load_u32(t->data, i));
        CASE(INC_I64, load_i64(t->data, i));
        CASE(INC_U64, load_u64(t->data, i));
        CASE(INC_I4, load_i4(t->data, i));
        CASE(INC_U4, load_u4(t->data, i));
        CASE(INC_BOOL, load_boolean(t->data, i) != 0);
    case INC_TYPE_COUNT: return;
    }
#undef CASE
}
