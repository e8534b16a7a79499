/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/gguf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"

#define MAX_KEY       65535
#define MAX_NAME      255
#define MAX_ALIGNMENT (1 << 20)
#define MIN_VALUE     13 /* bytes of the smallest entry: empty key, kind, one byte */
#define MIN_TENSOR    24 /* empty name, no axes, type, offset */
#define CHUNK         (64 << 10)

static const struct {
    const char *name;
    size_t bytes; /* 0: varies */
} kinds[INC_GGUF_KINDS] = {
    {"u8", 1},   {"i8", 1},   {"u16", 2},    {"i16", 2},   {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

static uint64_t get_le(const unsigned char *data, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i > 0; i--) value = value << 8 | data[i - 1];
    return value;
}

/* ---- reading the head -------------------------------------------------------------------------------------------- */

struct cursor {
    struct inc_gguf *file;
    size_t at;               /* next byte */
    size_t loaded, capacity; /* of file->head */
    char what[96];           /* being read, for messages */
};

static enum incise_status bad(const struct cursor *c, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum incise_status bad(const struct cursor *c, size_t at, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return inc_fail(c->file->ctx, INCISE_ERROR_DATA, "%s: byte %zu: %s: %s", c->file->label, at, c->what, text);
}

static uint64_t left(const struct cursor *c)
{
    return c->file->reader.size - c->at;
}

/* Room for `n` bytes more of the head, doubling it. */
static enum incise_status grow(struct cursor *c, size_t n)
{
    const struct inc_ctx *ctx = c->file->ctx;
    size_t capacity = inc_max_size(c->at + n, inc_max_size(CHUNK, 2 * c->capacity));
    if (capacity > c->file->reader.size) capacity = (size_t)c->file->reader.size;
    unsigned char *head = inc_alloc(ctx, capacity);
    if (head == NULL) return inc_fail_memory(ctx, capacity, c->file->label);
    if (c->loaded > 0) memcpy(head, c->file->head, c->loaded);
    inc_free(ctx, c->file->head);
    c->file->head = head;
    c->capacity = capacity;
    INC_TRY(inc_reader_read(&c->file->reader, c->loaded, capacity - c->loaded, head + c->loaded));
    c->loaded = capacity;
    return INCISE_OK;
}

/* The next `n` bytes; *data is valid until the next call. */
static enum incise_status take(struct cursor *c, uint64_t n, const unsigned char **data)
{
    if (n > left(c)) return bad(c, c->at, "%llu bytes, the file has %llu more", (unsigned long long)n,
                                (unsigned long long)left(c));
    if (n > c->loaded - c->at) INC_TRY(grow(c, (size_t)n));
    *data = c->file->head + c->at;
    c->at += (size_t)n;
    return INCISE_OK;
}

static enum incise_status take_int(struct cursor *c, size_t bytes, uint64_t *value)
{
    const unsigned char *data;
    INC_TRY(take(c, bytes, &data));
    *value = get_le(data, bytes);
    return INCISE_OK;
}

/* A key or a name, into the arena. */
static enum incise_status take_name(struct cursor *c, size_t max, const char **name)
{
    const unsigned char *data;
    uint64_t n;
    size_t at = c->at;
    INC_TRY(take_int(c, 8, &n));
    if (n == 0 || n > max) return bad(c, at, "a name of %llu bytes, not 1 to %zu", (unsigned long long)n, max);
    INC_TRY(take(c, n, &data));
    for (size_t i = 0; i < n; i++)
        if (data[i] <= ' ' || data[i] > '~') return bad(c, at + 8 + i, "a name with byte 0x%02x", data[i]);
    *name = inc_arena_strndup(&c->file->arena, (const char *)data, (size_t)n);
    return *name != NULL ? INCISE_OK : inc_fail_memory(c->file->ctx, (size_t)n, c->file->label);
}

/* A count of things that take at least `least` bytes each. */
static enum incise_status take_count(struct cursor *c, size_t least, uint64_t *n)
{
    size_t at = c->at;
    INC_TRY(take_int(c, 8, n));
    if (*n <= left(c) / least) return INCISE_OK;
    return bad(c, at, "%llu of them do not fit into the %llu bytes left", (unsigned long long)*n,
               (unsigned long long)left(c));
}

static void say(struct cursor *c, const char *what, const char *name)
{
    snprintf(c->what, sizeof c->what, "%s '%.70s'", what, name);
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static enum incise_status take_kind(struct cursor *c, enum inc_gguf_kind *kind)
{
    size_t at = c->at;
    uint64_t number;
    INC_TRY(take_int(c, 4, &number));
    if (number >= INC_GGUF_KINDS) return bad(c, at, "there is no kind %llu", (unsigned long long)number);
    *kind = (enum inc_gguf_kind)number;
    return INCISE_OK;
}

static enum incise_status skip_strings(struct cursor *c, size_t n)
{
    const unsigned char *data;
    uint64_t length;
    for (size_t i = 0; i < n; i++) {
        INC_TRY(take_int(c, 8, &length));
        INC_TRY(take(c, length, &data));
    }
    return INCISE_OK;
}

static enum incise_status skip_elements(struct cursor *c, const struct inc_gguf_value *value)
{
    const unsigned char *data;
    size_t at = c->at, bytes;
    if (value->kind == INC_GGUF_STRING) return skip_strings(c, value->n);
    if (!inc_size_mul(value->n, kinds[value->kind].bytes, &bytes)) return bad(c, at, "too many elements");
    INC_TRY(take(c, bytes, &data));
    for (size_t i = 0; value->kind == INC_GGUF_BOOL && i < value->n; i++)
        if (data[i] > 1) return bad(c, at + i, "a bool of %u", data[i]);
    return INCISE_OK;
}

static enum incise_status take_value(struct cursor *c, struct inc_gguf_value *value)
{
    uint64_t n = 1;
    snprintf(c->what, sizeof c->what, "metadata key");
    INC_TRY(take_name(c, MAX_KEY, &value->key));
    say(c, "metadata", value->key);
    INC_TRY(take_kind(c, &value->kind));
    value->array = value->kind == INC_GGUF_ARRAY;
    if (value->array) {
        size_t at = c->at;
        INC_TRY(take_kind(c, &value->kind));
        if (value->kind == INC_GGUF_ARRAY) return bad(c, at, "an array of arrays is not supported");
        INC_TRY(take_count(c, value->kind == INC_GGUF_STRING ? 8 : kinds[value->kind].bytes, &n));
    }
    value->n = (size_t)n;
    value->at = c->at;
    return skip_elements(c, value);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct inc_gguf_value *)a)->key, ((const struct inc_gguf_value *)b)->key);
}

/* `n_values` entries, sorted; their data is set once the head is whole. */
static enum incise_status take_values(struct cursor *c, size_t n)
{
    struct inc_gguf *file = c->file;
    size_t capacity = 0;
    for (size_t i = 0; i < n; i++) {
        struct inc_gguf_value value = {0};
        INC_TRY(take_value(c, &value));
        INC_TRY(inc_grow(file->ctx, (void **)&file->values, &capacity, i, sizeof *file->values));
        file->values[file->n_values++] = value;
    }
    if (n > 0) qsort(file->values, n, sizeof *file->values, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (strcmp(file->values[i - 1].key, file->values[i].key) == 0) {
            say(c, "metadata", file->values[i].key);
            return bad(c, inc_max_size(file->values[i - 1].at, file->values[i].at), "the key occurs twice");
        }
    return INCISE_OK;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

/* Axes in the order of the file, innermost first. */
static enum incise_status take_dims(struct cursor *c, struct inc_gguf_tensor *tensor)
{
    size_t at = c->at;
    uint64_t rank, dim;
    INC_TRY(take_int(c, 4, &rank));
    if (rank > INC_GGUF_MAX_RANK) return bad(c, at, "%llu axes, more than four", (unsigned long long)rank);
    tensor->rank = (int)rank;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        at = c->at;
        INC_TRY(take_int(c, 8, &dim));
        if (dim == 0 || dim > INT64_MAX) return bad(c, at, "an axis of %llu", (unsigned long long)dim);
        tensor->dims[i] = (int64_t)dim;
    }
    return INCISE_OK;
}

static enum incise_status take_type(struct cursor *c, struct inc_gguf_tensor *tensor)
{
    size_t at = c->at;
    uint64_t id;
    INC_TRY(take_int(c, 4, &id));
    tensor->type = inc_gguf_type_find((uint32_t)id);
    return tensor->type != NULL ? INCISE_OK : bad(c, at, "there is no type %llu", (unsigned long long)id);
}

static enum incise_status count_bytes(const struct cursor *c, size_t at, struct inc_gguf_tensor *tensor)
{
    int64_t row = tensor->rank > 0 ? tensor->dims[tensor->rank - 1] : 1, values = tensor->type->values, n = 1, bytes;
    if (row % values != 0)
        return bad(c, at, "rows of %lld are no multiple of the %lld that a block of %s has", (long long)row,
                   (long long)values, tensor->type->name);
    for (int i = 0; i < tensor->rank; i++)
        if (!inc_i64_mul(n, tensor->dims[i], &n)) return bad(c, at, "its size overflows");
    if (!inc_i64_mul(n / values, tensor->type->bytes, &bytes) || (uint64_t)bytes > c->file->reader.size)
        return bad(c, at, "it is larger than the file");
    tensor->bytes = (uint64_t)bytes;
    return INCISE_OK;
}

/* *end: of the tensors so far, relative to the first; each starts at the next multiple of `alignment`. */
static enum incise_status take_tensor(struct cursor *c, size_t alignment, uint64_t *end, struct inc_gguf_tensor *tensor)
{
    size_t at = c->at;
    snprintf(c->what, sizeof c->what, "tensor");
    INC_TRY(take_name(c, MAX_NAME, &tensor->name));
    say(c, "tensor", tensor->name);
    INC_TRY(take_dims(c, tensor));
    INC_TRY(take_type(c, tensor));
    INC_TRY(count_bytes(c, at, tensor));
    at = c->at;
    INC_TRY(take_int(c, 8, &tensor->at));
    uint64_t start = (*end + alignment - 1) / alignment * alignment; /* *end is at most the file's size */
    if (tensor->at != start)
        return bad(c, at, "offset %llu, the tensor before ends so that it should be %llu",
                   (unsigned long long)tensor->at, (unsigned long long)start);
    if (start > c->file->reader.size || tensor->bytes > c->file->reader.size - start)
        return bad(c, at, "it ends behind the file");
    *end = start + tensor->bytes;
    return INCISE_OK;
}

static int compare_tensors(const void *a, const void *b)
{
    return strcmp(((const struct inc_gguf_tensor *)a)->name, ((const struct inc_gguf_tensor *)b)->name);
}

/* `n` entries in the order of their data; offsets become places in the file, which must end with the last tensor or
 * the padding behind it. */
static enum incise_status take_tensors(struct cursor *c, size_t n, size_t alignment)
{
    struct inc_gguf *file = c->file;
    size_t capacity = 0;
    uint64_t end = 0, size = file->reader.size;
    for (size_t i = 0; i < n; i++) {
        struct inc_gguf_tensor tensor = {0};
        INC_TRY(take_tensor(c, alignment, &end, &tensor));
        INC_TRY(inc_grow(file->ctx, (void **)&file->tensors, &capacity, i, sizeof *file->tensors));
        file->tensors[file->n_tensors++] = tensor;
    }
    uint64_t start = ((uint64_t)c->at + alignment - 1) / alignment * alignment;
    snprintf(c->what, sizeof c->what, "tensors");
    if (n > 0 && (start > size || end > size - start)) return bad(c, c->at, "their data ends behind the file");
    if (n > 0 && size - start - end >= alignment)
        return bad(c, c->at, "their data ends %llu bytes before the file", (unsigned long long)(size - start - end));
    for (size_t i = 0; i < n; i++) file->tensors[i].at += start;
    if (n > 0) qsort(file->tensors, n, sizeof *file->tensors, compare_tensors);
    for (size_t i = 1; i < n; i++)
        if (strcmp(file->tensors[i - 1].name, file->tensors[i].name) == 0) {
            say(c, "tensor", file->tensors[i].name);
            return bad(c, c->at, "the name occurs twice");
        }
    return INCISE_OK;
}

/* ---- the whole head ---------------------------------------------------------------------------------------------- */

static enum incise_status take_version(struct cursor *c)
{
    const unsigned char *magic;
    uint64_t version;
    snprintf(c->what, sizeof c->what, "header");
    if (left(c) < 4) return bad(c, 0, "too short for a GGUF file");
    INC_TRY(take(c, 4, &magic));
    if (memcmp(magic, "GGUF", 4) != 0) return bad(c, 0, "not a GGUF file");
    INC_TRY(take_int(c, 4, &version));
    if (version == 2 || version == 3) return INCISE_OK;
    return bad(c, 4, "version %llu%s is not supported, only 2 and 3", (unsigned long long)version,
               version != 0 && version % (1 << 24) == 0 ? " (big-endian)" : "");
}

/* general.alignment */
static enum incise_status get_alignment(const struct cursor *c, size_t *alignment)
{
    const char *key = "general.alignment";
    const struct inc_gguf_value *value = inc_gguf_find(c->file, key);
    int64_t number = 32;
    INC_TRY(inc_gguf_int(c->file, key, 1, MAX_ALIGNMENT, &number));
    if ((number & (number - 1)) != 0)
        return inc_fail(c->file->ctx, INCISE_ERROR_DATA, "%s: byte %zu: '%s' is %lld, no power of two", c->file->label,
                        value->at, key, (long long)number);
    *alignment = (size_t)number;
    return INCISE_OK;
}

static void set_data(struct inc_gguf *file)
{
    for (size_t i = 0; i < file->n_values; i++) file->values[i].data = file->head + file->values[i].at;
}

static enum incise_status take_head(struct cursor *c)
{
    uint64_t n_tensors, n_values;
    size_t alignment = 0;
    INC_TRY(take_version(c));
    snprintf(c->what, sizeof c->what, "number of tensors");
    INC_TRY(take_count(c, MIN_TENSOR, &n_tensors));
    snprintf(c->what, sizeof c->what, "number of metadata entries");
    INC_TRY(take_count(c, MIN_VALUE, &n_values));
    INC_TRY(take_values(c, (size_t)n_values));
    set_data(c->file);
    INC_TRY(get_alignment(c, &alignment));
    INC_TRY(take_tensors(c, (size_t)n_tensors, alignment));
    set_data(c->file); /* the head may have moved */
    return INCISE_OK;
}

static enum incise_status open_reader(struct inc_gguf *file)
{
    struct cursor c = {.file = file};
    file->ctx = file->reader.ctx;
    file->label = file->reader.label;
    inc_arena_init(&file->arena, file->ctx);
    enum incise_status status = take_head(&c);
    if (status != INCISE_OK) inc_gguf_close(file);
    return status;
}

enum incise_status inc_gguf_open(const struct inc_ctx *ctx, const char *path, struct inc_gguf *file)
{
    memset(file, 0, sizeof *file);
    INC_TRY(inc_reader_open(ctx, path, &file->reader));
    return open_reader(file);
}

enum incise_status inc_gguf_open_memory(const struct inc_ctx *ctx, const char *label, const void *memory, size_t size,
                                        struct inc_gguf *file)
{
    memset(file, 0, sizeof *file);
    inc_reader_open_memory(ctx, label, memory, size, &file->reader);
    return open_reader(file);
}

void inc_gguf_close(struct inc_gguf *file)
{
    inc_reader_close(&file->reader);
    inc_free(file->ctx, file->head);
    inc_free(file->ctx, file->values);
    inc_free(file->ctx, file->tensors);
    inc_arena_fini(&file->arena);
    file->head = NULL;
    file->values = NULL;
    file->tensors = NULL;
    file->n_values = file->n_tensors = 0;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

const struct inc_gguf_value *inc_gguf_find(const struct inc_gguf *file, const char *key)
{
    struct inc_gguf_value wanted = {.key = key};
    if (file->n_values == 0) return NULL;
    return bsearch(&wanted, file->values, file->n_values, sizeof wanted, compare_keys);
}

const struct inc_gguf_tensor *inc_gguf_find_tensor(const struct inc_gguf *file, const char *name)
{
    struct inc_gguf_tensor wanted = {.name = name};
    if (file->n_tensors == 0) return NULL;
    return bsearch(&wanted, file->tensors, file->n_tensors, sizeof wanted, compare_tensors);
}

static enum incise_status wrong(const struct inc_gguf *file, const struct inc_gguf_value *value, const char *expected)
{
    return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: byte %zu: '%s' is %s%s, not %s", file->label, value->at,
                    value->key, value->array ? "an array of " : "", kinds[value->kind].name, expected);
}

static bool is_signed(enum inc_gguf_kind kind)
{
    return kind == INC_GGUF_I8 || kind == INC_GGUF_I16 || kind == INC_GGUF_I32 || kind == INC_GGUF_I64;
}

static bool is_integer(enum inc_gguf_kind kind)
{
    return is_signed(kind) || kind == INC_GGUF_U8 || kind == INC_GGUF_U16 || kind == INC_GGUF_U32 ||
           kind == INC_GGUF_U64;
}

enum incise_status inc_gguf_int(const struct inc_gguf *file, const char *key, int64_t min, int64_t max, int64_t *out)
{
    const struct inc_gguf_value *value = inc_gguf_find(file, key);
    if (value == NULL) return INCISE_OK;
    if (value->array || !is_integer(value->kind)) return wrong(file, value, "an integer");
    size_t bytes = kinds[value->kind].bytes;
    uint64_t bits = get_le(value->data, bytes);
    bool negative = is_signed(value->kind) && bits >> (8 * bytes - 1) != 0;
    if (negative && bytes < 8) bits |= UINT64_MAX << (8 * bytes);
    if ((!negative && bits > INT64_MAX) || (int64_t)bits < min || (int64_t)bits > max)
        return inc_fail(file->ctx, INCISE_ERROR_DATA, negative ? "%s: byte %zu: '%s' is %lld, outside %lld..%lld"
                                                               : "%s: byte %zu: '%s' is %llu, outside %lld..%lld",
                        file->label, value->at, key, (unsigned long long)bits, (long long)min, (long long)max);
    *out = (int64_t)bits;
    return INCISE_OK;
}

enum incise_status inc_gguf_number(const struct inc_gguf *file, const char *key, double *out)
{
    const struct inc_gguf_value *value = inc_gguf_find(file, key);
    if (value == NULL) return INCISE_OK;
    if (value->array || (value->kind != INC_GGUF_F32 && value->kind != INC_GGUF_F64))
        return wrong(file, value, "a float");
    uint64_t bits = get_le(value->data, kinds[value->kind].bytes);
    if (value->kind == INC_GGUF_F32)
        *out = (double)inc_f32_from_bits((uint32_t)bits);
    else
        memcpy(out, &bits, sizeof *out);
    return INCISE_OK;
}

enum incise_status inc_gguf_bool(const struct inc_gguf *file, const char *key, bool *out)
{
    const struct inc_gguf_value *value = inc_gguf_find(file, key);
    if (value == NULL) return INCISE_OK;
    if (value->array || value->kind != INC_GGUF_BOOL) return wrong(file, value, "a bool");
    *out = value->data[0] != 0;
    return INCISE_OK;
}

enum incise_status inc_gguf_string(struct inc_gguf *file, const char *key, const char **out)
{
    const struct inc_gguf_value *value = inc_gguf_find(file, key);
    size_t length;
    if (value == NULL) return INCISE_OK;
    if (value->array || value->kind != INC_GGUF_STRING) return wrong(file, value, "a string");
    const unsigned char *at = value->data;
    const char *text = inc_gguf_next_string(&at, &length);
    if (memchr(text, '\0', length) != NULL)
        return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: byte %zu: '%s' holds a NUL", file->label, value->at, key);
    const char *copy = inc_arena_strndup(&file->arena, text, length);
    if (copy == NULL) return inc_fail_memory(file->ctx, length, file->label);
    *out = copy;
    return INCISE_OK;
}

enum incise_status inc_gguf_array(const struct inc_gguf *file, const char *key, enum inc_gguf_kind kind,
                                  const struct inc_gguf_value **out)
{
    char expected[32];
    *out = inc_gguf_find(file, key);
    if (*out == NULL || ((*out)->array && (*out)->kind == kind)) return INCISE_OK;
    snprintf(expected, sizeof expected, "an array of %s", kinds[kind].name);
    return wrong(file, *out, expected);
}

const char *inc_gguf_next_string(const unsigned char **at, size_t *length)
{
    const unsigned char *text = *at + 8;
    *length = (size_t)get_le(*at, 8);
    *at = text + *length;
    return (const char *)text;
}

int32_t inc_gguf_i32_at(const struct inc_gguf_value *array, size_t i)
{
    return (int32_t)(uint32_t)get_le(array->data + 4 * i, 4);
}

float inc_gguf_f32_at(const struct inc_gguf_value *array, size_t i)
{
    return inc_f32_from_bits((uint32_t)get_le(array->data + 4 * i, 4));
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

enum incise_status inc_gguf_read_blocks(const struct inc_gguf *file, const struct inc_gguf_tensor *tensor, size_t first,
                                        size_t n, uint8_t *out)
{
    size_t bytes = tensor->type->bytes;
    return inc_reader_read(&file->reader, tensor->at + first * bytes, n * bytes, out);
}

enum incise_status inc_gguf_read_f32(const struct inc_gguf *file, const struct inc_gguf_tensor *tensor, size_t first,
                                     size_t n, float *out)
{
    uint8_t chunk[32 << 10];
    const struct inc_gguf_type *type = tensor->type;
    size_t block = first / type->values, end = block + n / type->values, most = sizeof chunk / type->bytes;
    while (block < end) {
        size_t now = inc_min_size(end - block, most);
        INC_TRY(inc_gguf_read_blocks(file, tensor, block, now, chunk));
        type->decode(chunk, now, out);
        out += now * type->values;
        block += now;
    }
    return INCISE_OK;
}
