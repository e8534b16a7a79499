/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "formats/safetensors/safetensors_header.h"

#define MAX_HEADER 100000000 /* the format's own limit */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct inc_safetensor *)a)->name, ((const struct inc_safetensor *)b)->name);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct inc_safetensors_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Sorted by offset, entries must follow each other from byte 0 to the end of the data, each of its shape's size. */
static enum incise_status check_entries(const struct inc_ctx *ctx, const char *label,
                                        const struct inc_safetensors_header *header, size_t data_bytes)
{
    uint64_t at = 0;
    for (size_t i = 0; i < header->n_entries; i++) {
        const struct inc_safetensors_entry *e = &header->entries[i];
        size_t count, bytes;
        if (e->begin != at || e->end < e->begin || e->end > data_bytes)
            return inc_fail(ctx, INCISE_ERROR_DATA, "%s: tensor '%s' lies at bytes %llu..%llu, not in %llu..%zu", label,
                            e->name, (unsigned long long)e->begin, (unsigned long long)e->end, (unsigned long long)at,
                            data_bytes);
        if (!inc_tensor_count(e->rank, e->dims, e->type, &count, &bytes) || bytes != e->end - e->begin)
            return inc_fail(ctx, INCISE_ERROR_DATA, "%s: tensor '%s': its shape does not need %llu bytes", label,
                            e->name, (unsigned long long)(e->end - e->begin));
        at = e->end;
    }
    if (at != data_bytes)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: %llu bytes after the last tensor", label,
                        (unsigned long long)(data_bytes - at));
    return INCISE_OK;
}

static enum incise_status check_booleans(const struct inc_ctx *ctx, const char *label, const struct inc_safetensor *t)
{
    const unsigned char *data = t->tensor.data;
    for (size_t i = 0; t->tensor.type == INC_BOOL && i < t->tensor.bytes; i++) {
        if (data[i] > 1)
            return inc_fail(ctx, INCISE_ERROR_DATA, "%s: tensor '%s': element %zu is not a boolean", label, t->name, i);
    }
    return INCISE_OK;
}

/* Moves the tensors' bytes, found at `data`, to the start of the memory; or, when one would lie unaligned to its
 * element size there, into new memory with 64-byte steps. Then entry i's bytes are at offsets[i]. */
static enum incise_status place_data(struct inc_safetensors *file, const struct inc_safetensors_header *header,
                                     const unsigned char *data, size_t data_bytes, size_t *offsets)
{
    bool aligned = true;
    size_t total = 0;
    for (size_t i = 0; i < header->n_entries; i++) {
        const struct inc_safetensors_entry *e = &header->entries[i];
        aligned = aligned && e->begin % (inc_type_bits(e->type) / 8) == 0;
        offsets[i] = total;
        size_t step = (size_t)(e->end - e->begin);
        if (!inc_size_add(step, INC_ALIGN - 1, &step) || !inc_size_add(total, step / INC_ALIGN * INC_ALIGN, &total))
            return inc_fail_memory(file->ctx, SIZE_MAX, "safetensors data");
    }
    if (aligned) {
        memmove(file->memory, data, data_bytes);
        for (size_t i = 0; i < header->n_entries; i++) offsets[i] = (size_t)header->entries[i].begin;
        file->bytes = data_bytes;
        return INCISE_OK;
    }
    unsigned char *memory = inc_alloc_zero(file->ctx, total, 1);
    if (memory == NULL) return inc_fail_memory(file->ctx, total, "safetensors data");
    for (size_t i = 0; i < header->n_entries; i++) {
        const struct inc_safetensors_entry *e = &header->entries[i];
        memcpy(memory + offsets[i], data + e->begin, (size_t)(e->end - e->begin));
    }
    inc_free(file->ctx, file->memory);
    file->memory = memory;
    file->bytes = total;
    return INCISE_OK;
}

static enum incise_status make_list(struct inc_safetensors *file, const char *label,
                                    const struct inc_safetensors_header *header, const size_t *offsets)
{
    size_t n = header->n_entries;
    file->n_tensors = n;
    file->tensors = inc_arena_alloc(&file->arena, n > 0 ? n : 1, sizeof *file->tensors);
    if (file->tensors == NULL) return inc_fail_memory(file->ctx, n * sizeof *file->tensors, label);
    for (size_t i = 0; i < n; i++) {
        const struct inc_safetensors_entry *e = &header->entries[i];
        struct inc_safetensor *t = &file->tensors[i];
        t->name = e->name;
        t->tensor.type = e->type;
        t->tensor.rank = e->rank;
        memcpy(t->tensor.dims, e->dims, sizeof t->tensor.dims);
        t->tensor.data = file->memory + offsets[i];
        t->tensor.bytes = (size_t)(e->end - e->begin);
        INC_TRY(check_booleans(file->ctx, label, t));
    }
    if (n > 0) qsort(file->tensors, n, sizeof *file->tensors, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(file->tensors[i - 1].name, file->tensors[i].name) == 0)
            return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' occurs twice", label, file->tensors[i].name);
    }
    return INCISE_OK;
}

static enum incise_status open_memory(struct inc_safetensors *file, const char *label)
{
    const struct inc_ctx *ctx = file->ctx;
    struct inc_safetensors_header header = {0};
    uint64_t length = 0;
    if (file->bytes < 8) return inc_fail(ctx, INCISE_ERROR_DATA, "%s: too short for a safetensors file", label);
    for (int i = 7; i >= 0; i--) length = length << 8 | file->memory[i];
    if (length > MAX_HEADER || length > file->bytes - 8)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: header of %llu bytes in a file of %zu", label,
                        (unsigned long long)length, file->bytes);
    const char *text = (const char *)file->memory + 8;
    const unsigned char *data = file->memory + 8 + length;
    size_t data_bytes = file->bytes - 8 - (size_t)length, *offsets = NULL;
    enum incise_status status = inc_safetensors_parse(ctx, label, text, (size_t)length, &file->arena, &header);
    if (status != INCISE_OK) goto done;
    if (header.n_entries > 0) qsort(header.entries, header.n_entries, sizeof *header.entries, compare_offsets);
    status = check_entries(ctx, label, &header, data_bytes);
    if (status != INCISE_OK) goto done;
    offsets = inc_alloc_array(ctx, header.n_entries + 1, sizeof *offsets);
    status = offsets != NULL ? place_data(file, &header, data, data_bytes, offsets)
                             : inc_fail_memory(ctx, header.n_entries * sizeof *offsets, label);
    if (status == INCISE_OK) status = make_list(file, label, &header, offsets);
done:
    inc_free(ctx, offsets);
    inc_free(ctx, header.entries);
    return status;
}

enum incise_status inc_safetensors_open_memory(const struct inc_ctx *ctx, const char *label, unsigned char *memory,
                                               size_t bytes, struct inc_safetensors *file)
{
    memset(file, 0, sizeof *file);
    file->ctx = ctx;
    file->memory = memory;
    file->bytes = bytes;
    inc_arena_init(&file->arena, ctx);
    enum incise_status status = open_memory(file, label);
    if (status != INCISE_OK) inc_safetensors_release(file);
    return status;
}

enum incise_status inc_safetensors_open(const struct inc_ctx *ctx, const char *path, size_t max_bytes,
                                        struct inc_safetensors *file)
{
    struct inc_file bytes;
    INC_TRY(inc_file_read(ctx, path, max_bytes, &bytes));
    return inc_safetensors_open_memory(ctx, path, bytes.data, bytes.size, file);
}

const struct inc_safetensor *inc_safetensors_find(const struct inc_safetensors *file, const char *name)
{
    struct inc_safetensor key = {.name = name};
    if (file->n_tensors == 0) return NULL;
    return bsearch(&key, file->tensors, file->n_tensors, sizeof key, compare_names);
}

void *inc_safetensors_detach(struct inc_safetensors *file)
{
    void *memory = file->memory;
    file->memory = NULL;
    return memory;
}

void inc_safetensors_release(struct inc_safetensors *file)
{
    inc_free(file->ctx, file->memory);
    inc_arena_fini(&file->arena);
    file->memory = NULL;
    file->tensors = NULL;
    file->n_tensors = 0;
}
