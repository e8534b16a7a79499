/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/kept.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

void inc_kept_begin(struct inc_buffer *bytes, const struct inc_sealed_kind *kind, const struct inc_origin *origin)
{
    inc_sealed_begin(bytes, kind);
    inc_blob_put(bytes, origin->facts, origin->n * sizeof *origin->facts);
}

enum incise_status inc_kept_write(struct inc_buffer *bytes, const char *path)
{
    INC_TRY(inc_sealed_finish(bytes, 0));
    return inc_file_replace(bytes->ctx, path, bytes->data, bytes->length);
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

/* Not `whole`: the first table is enough. */
static enum incise_status read_kept(const struct inc_ctx *ctx, const char *path, const struct inc_sealed_kind *kind,
                                    bool whole, struct inc_kept *kept)
{
    struct inc_reader reader;
    *kept = (struct inc_kept){.origin = {.n = 0}};
    INC_TRY(inc_reader_open(ctx, path, &reader));
    enum incise_status status = whole ? inc_sealed_read(&reader, kind, &kept->sealed)
                                      : inc_sealed_peek(&reader, kind, sizeof kept->origin.facts, &kept->sealed);
    inc_reader_close(&reader);
    if (status == INCISE_OK && !take_origin(&kept->sealed.tables, &kept->origin))
        status = inc_sealed_fail(ctx, path, kind, "is damaged");
    return status;
}

enum incise_status inc_kept_read(const struct inc_ctx *ctx, const char *path, const struct inc_sealed_kind *kind,
                                 struct inc_kept *kept)
{
    return read_kept(ctx, path, kind, true, kept);
}

enum incise_status inc_kept_peek(const struct inc_ctx *ctx, const char *path, const struct inc_sealed_kind *kind,
                                 struct inc_origin *origin)
{
    struct inc_kept kept;
    enum incise_status status = read_kept(ctx, path, kind, false, &kept);
    *origin = kept.origin;
    inc_kept_release(ctx, &kept);
    return status;
}

void inc_kept_release(const struct inc_ctx *ctx, struct inc_kept *kept)
{
    inc_sealed_release(ctx, &kept->sealed);
}
