/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sealed.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/size.h"

struct header {
    char magic[8], kind[16];
    uint64_t version;
    uint64_t tables_bytes, values_bytes;
    uint64_t zero;
    uint64_t hash; /* XXH3-64 of the tables, whose seed is that of the header up to here */
};

_Static_assert(sizeof(struct header) == INC_ALIGN, "tables and values behind the header are aligned");

static struct header header_of(const struct inc_sealed_kind *kind)
{
    struct header header = {.magic = "incise\n", .version = kind->version};
    snprintf(header.kind, sizeof header.kind, "%s", kind->name);
    return header;
}

static uint64_t hash_of(const struct header *header, const void *tables)
{
    return XXH3_64bits_withSeed(tables, (size_t)header->tables_bytes,
                                XXH3_64bits(header, offsetof(struct header, hash)));
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static void seal(void *bytes, size_t tables_bytes, uint64_t values_bytes)
{
    struct header header;
    memcpy(&header, bytes, sizeof header);
    header.tables_bytes = tables_bytes;
    header.values_bytes = values_bytes;
    header.hash = hash_of(&header, (unsigned char *)bytes + sizeof header);
    memcpy(bytes, &header, sizeof header);
}

void inc_sealed_begin(struct inc_buffer *bytes, const struct inc_sealed_kind *kind)
{
    const struct header header = header_of(kind);
    inc_buffer_append(bytes, &header, sizeof header);
}

enum incise_status inc_sealed_finish(struct inc_buffer *bytes, uint64_t values_bytes)
{
    INC_TRY(inc_buffer_check(bytes));
    seal(bytes->data, bytes->length - sizeof(struct header), values_bytes);
    return INCISE_OK;
}

void inc_sealed_mend(unsigned char *bytes, size_t n)
{
    struct header header;
    if (n < sizeof header) return;
    memcpy(&header, bytes, sizeof header);
    size_t rest = n - sizeof header, tables = header.tables_bytes < rest ? (size_t)header.tables_bytes : rest;
    tables -= tables % INC_ALIGN;
    seal(bytes, tables, rest - tables);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

enum incise_status inc_sealed_fail(const struct inc_ctx *ctx, const char *path, const struct inc_sealed_kind *kind,
                                   const char *how)
{
    return inc_fail(ctx, INCISE_ERROR_DATA, "%s: %s; %s", path, how, kind->remedy);
}

static bool is_of(const struct header *header, const struct inc_sealed_kind *kind)
{
    const struct header wanted = header_of(kind);
    return memcmp(header, &wanted, offsetof(struct header, version)) == 0;
}

static bool lengths_fit(const struct header *header, uint64_t size)
{
    const uint64_t rest = size - sizeof *header;
    return header->tables_bytes <= rest && header->tables_bytes % INC_ALIGN == 0 &&
           header->values_bytes == rest - header->tables_bytes;
}

/* The header of a file of that kind and version, as long as it says. */
static enum incise_status read_header(const struct inc_reader *reader, const struct inc_sealed_kind *kind,
                                      struct header *header)
{
    const struct inc_ctx *ctx = reader->ctx;
    const char *path = reader->label;
    memset(header, 0, sizeof *header);
    if (reader->size >= sizeof *header) INC_TRY(inc_reader_read(reader, 0, sizeof *header, header));
    if (!is_of(header, kind)) return inc_fail(ctx, INCISE_ERROR_DATA, "%s: %s", path, kind->other);
    if (header->version != kind->version)
        return inc_sealed_fail(ctx, path, kind, "was written by another version of incise");
    return lengths_fit(header, reader->size) ? INCISE_OK
                                             : inc_sealed_fail(ctx, path, kind, "is not as long as it says");
}

/* The first `n` bytes of the tables. */
static enum incise_status read_tables(const struct inc_reader *reader, size_t n, struct inc_sealed *sealed)
{
    const struct inc_ctx *ctx = reader->ctx;
    if (ctx->max_memory != 0 && n > ctx->max_memory) return inc_fail_memory(ctx, n, reader->label);
    INC_TRY(inc_reader_load(reader, sizeof(struct header), n, &sealed->file));
    sealed->tables = (struct inc_blob_reader){sealed->file.data, sealed->file.data + n};
    return INCISE_OK;
}

enum incise_status inc_sealed_read(const struct inc_reader *reader, const struct inc_sealed_kind *kind,
                                   struct inc_sealed *sealed)
{
    struct header header;
    *sealed = (struct inc_sealed){.values_at = 0};
    INC_TRY(read_header(reader, kind, &header));
    INC_TRY(read_tables(reader, (size_t)header.tables_bytes, sealed));
    sealed->values_at = sizeof header + header.tables_bytes;
    if (hash_of(&header, sealed->file.data) == header.hash) return INCISE_OK;
    return inc_sealed_fail(reader->ctx, reader->label, kind, "is damaged");
}

enum incise_status inc_sealed_peek(const struct inc_reader *reader, const struct inc_sealed_kind *kind, size_t n,
                                   struct inc_sealed *sealed)
{
    struct header header;
    *sealed = (struct inc_sealed){.values_at = 0};
    INC_TRY(read_header(reader, kind, &header));
    return read_tables(reader, inc_min_size((size_t)header.tables_bytes, inc_blob_size(n)), sealed);
}

void inc_sealed_release(const struct inc_ctx *ctx, struct inc_sealed *sealed)
{
    inc_file_release(ctx, &sealed->file);
}

bool inc_sealed_is(const char *path, const struct inc_sealed_kind *kind)
{
    struct header header;
    FILE *file = fopen(path, "rb");
    bool is = file != NULL && fread(&header, sizeof header, 1, file) == 1 && is_of(&header, kind);
    if (file != NULL) fclose(file);
    return is;
}
