/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/kept.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define VERSION 2

struct header {
    char magic[8], kind[16];
    uint64_t version;
    uint64_t hash; /* of all behind the header */
    uint64_t zero[3];
};

_Static_assert(sizeof(struct header) == INC_ALIGN, "tables behind the header are aligned");

/* ---- origin ---------------------------------------------------------------------------------------------------- */

void inc_origin_add(struct inc_origin *origin, const char *name, const char *format, ...)
{
    struct inc_fact *fact = &origin->facts[origin->n++];
    va_list arguments;
    *fact = (struct inc_fact){0};
    snprintf(fact->name, sizeof fact->name, "%s", name);
    va_start(arguments, format);
    vsnprintf(fact->value, sizeof fact->value, format, arguments);
    va_end(arguments);
}

enum incise_status inc_origin_of(const struct inc_graph *graph, const struct inc_calibration *calibration,
                                 struct inc_origin *origin)
{
    char hex[INC_HASH_HEX];
    struct inc_buffer bytes;
    *origin = (struct inc_origin){0};
    inc_buffer_init(&bytes, graph->ctx);
    enum incise_status status = inc_graph_dump(graph, false, &bytes);
    if (status == INCISE_OK) {
        inc_hash(bytes.data, bytes.length, hex);
        inc_origin_add(origin, "model", "%s", hex);
        inc_origin_add(origin, "tokens", "%zu", calibration->n_ids);
        inc_origin_add(origin, "texts", "%s", calibration->hash);
    }
    inc_buffer_fini(&bytes);
    return status;
}

enum incise_status inc_kept_match(const struct inc_ctx *ctx, const char *path, const struct inc_origin *origin,
                                  const struct inc_origin *wanted)
{
    for (size_t i = 0; i < wanted->n; i++) {
        const struct inc_fact *there = &origin->facts[i], *here = &wanted->facts[i];
        if (i < origin->n && memcmp(there, here, sizeof *here) == 0) continue;
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: belongs to another run: %s is %s there and %s here", path,
                        here->name, i < origin->n ? there->value : "not said", here->value);
    }
    return INCISE_OK;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static struct header header_of(const char *kind)
{
    struct header header = {.magic = "incise\n", .version = VERSION};
    snprintf(header.kind, sizeof header.kind, "%s", kind);
    return header;
}

void inc_kept_begin(struct inc_buffer *bytes, const char *kind, const struct inc_origin *origin)
{
    struct header header = header_of(kind);
    inc_buffer_append(bytes, &header, sizeof header);
    inc_blob_put(bytes, origin->facts, origin->n * sizeof *origin->facts);
}

static uint64_t hash_of(const void *bytes, size_t n)
{
    return XXH3_64bits((const char *)bytes + sizeof(struct header), n - sizeof(struct header));
}

enum incise_status inc_kept_write(struct inc_buffer *bytes, const char *path)
{
    INC_TRY(inc_buffer_check(bytes));
    uint64_t hash = hash_of(bytes->data, bytes->length);
    memcpy(bytes->data + offsetof(struct header, hash), &hash, sizeof hash);
    return inc_file_replace(bytes->ctx, path, bytes->data, bytes->length);
}

bool inc_kept_is(const char *path, const char *kind)
{
    struct header header, wanted = header_of(kind);
    FILE *file = fopen(path, "rb");
    bool is = file != NULL && fread(&header, sizeof header, 1, file) == 1 &&
              memcmp(&header, &wanted, offsetof(struct header, version)) == 0;
    if (file != NULL) fclose(file);
    return is;
}

static bool take_origin(struct inc_blob_reader *tables, struct inc_origin *origin)
{
    size_t bytes = SIZE_MAX;
    const void *facts = inc_blob_take(tables, &bytes);
    if (facts == NULL || bytes % sizeof *origin->facts != 0 || bytes > sizeof origin->facts) return false;
    memcpy(origin->facts, facts, bytes);
    origin->n = bytes / sizeof *origin->facts;
    for (size_t i = 0; i < origin->n; i++) {
        const struct inc_fact *fact = &origin->facts[i];
        if (fact->name[sizeof fact->name - 1] != '\0' || fact->value[sizeof fact->value - 1] != '\0') return false;
    }
    return true;
}

enum incise_status inc_kept_read(const struct inc_ctx *ctx, const char *path, const char *kind, struct inc_kept *kept)
{
    struct header header, wanted = header_of(kind);
    *kept = (struct inc_kept){0};
    INC_TRY(inc_file_read(ctx, path, ctx->max_memory > 0 ? ctx->max_memory : SIZE_MAX, &kept->file));
    size_t size = kept->file.size;
    if (size >= sizeof header) memcpy(&header, kept->file.data, sizeof header);
    if (size < sizeof header || memcmp(&header, &wanted, offsetof(struct header, version)) != 0)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: is no file of %s", path, kind);
    if (header.version != VERSION)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: was written by another version of incise; make it anew", path);
    wanted.hash = hash_of(kept->file.data, size);
    kept->tables = (struct inc_blob_reader){kept->file.data + sizeof header, kept->file.data + size};
    if (memcmp(&header, &wanted, sizeof header) == 0 && take_origin(&kept->tables, &kept->origin)) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_DATA, "%s: is damaged", path);
}

void inc_kept_release(const struct inc_ctx *ctx, struct inc_kept *kept)
{
    inc_file_release(ctx, &kept->file);
}
