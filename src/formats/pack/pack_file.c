/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/pack/pack_file.h"

#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/size.h"

static const struct inc_sealed_kind packed_kind = {
    "packed weights", 3, "neither an .xml file, a folder nor a file of incise pack", "run incise pack again"};

/* Hashes of what is not read at a start. */
struct whole {
    char bin[INC_HASH_HEX + 7];
    uint64_t values;
};

/* Ranges of a slot in the slots' tables, which come last, and in the values. */
struct record {
    uint64_t name, tables_at, tables_bytes, values_at, values_bytes;
};

/* ---- stamps ---------------------------------------------------------------------------------------------------- */

/* "x.bin" of "x.xml" in fresh memory; NULL when memory is short (reported). */
static char *bin_of(const struct inc_ctx *ctx, const char *source)
{
    size_t length = strlen(source);
    char *bin = inc_alloc(ctx, length + 1);
    if (bin == NULL) {
        (void)inc_fail_memory(ctx, length + 1, "a path");
        return NULL;
    }
    memcpy(bin, source, length + 1);
    if (length >= 4) memcpy(bin + length - 4, ".bin", 4);
    return bin;
}

enum incise_status inc_pack_stamp(const struct inc_ctx *ctx, const char *source, struct inc_pack_stamp *stamp)
{
    struct stat info;
    memset(stamp, 0, sizeof *stamp);
    INC_TRY(inc_file_hash(ctx, source, stamp->xml_hash));
    char *bin = bin_of(ctx, source);
    if (bin == NULL) return INCISE_ERROR_MEMORY;
    if (stat(bin, &info) == 0) {
        stamp->bin_size = (uint64_t)info.st_size;
        stamp->bin_inode = (uint64_t)info.st_ino;
        stamp->bin_seconds = (int64_t)info.st_mtim.tv_sec;
        stamp->bin_nanoseconds = (int64_t)info.st_mtim.tv_nsec;
    }
    inc_free(ctx, bin);
    return INCISE_OK;
}

static const char *difference(const struct inc_pack_stamp *a, const struct inc_pack_stamp *b)
{
    if (strcmp(a->xml_hash, b->xml_hash) != 0) return "the .xml is another one";
    if (a->bin_size != b->bin_size) return "the .bin has another size";
    if (a->bin_seconds != b->bin_seconds || a->bin_nanoseconds != b->bin_nanoseconds)
        return "the .bin was written at another time";
    return a->bin_inode != b->bin_inode ? "the .bin is another file" : NULL;
}

enum incise_status inc_pack_stale(const struct inc_pack *pack, const char **why)
{
    struct inc_pack_stamp now;
    INC_TRY(inc_pack_stamp(pack->ctx, pack->source, &now));
    *why = difference(&pack->stamp, &now);
    return INCISE_OK;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static size_t n_spans(const struct inc_packed_out *packed)
{
    return packed->spans.length / sizeof(struct inc_packed_values);
}

static struct inc_packed_values span_of(const struct inc_packed_out *packed, size_t i)
{
    struct inc_packed_values span;
    memcpy(&span, packed->spans.data + i * sizeof span, sizeof span);
    return span;
}

typedef enum incise_status values_fn(void *arg, const void *bytes, size_t n);

/* Hands all values to `fn`, each padded to INC_ALIGN. */
static enum incise_status walk_values(const struct inc_pack_entry *entries, size_t n, values_fn *fn, void *arg)
{
    static const unsigned char zeros[INC_ALIGN];
    for (size_t i = 0; i < n; i++) {
        for (size_t s = 0; entries[i].same == i && s < n_spans(&entries[i].packed); s++) {
            const struct inc_packed_values span = span_of(&entries[i].packed, s);
            INC_TRY(fn(arg, span.bytes, span.n));
            INC_TRY(fn(arg, zeros, inc_round_up(span.n, INC_ALIGN) - span.n));
        }
    }
    return INCISE_OK;
}

static enum incise_status hash_values(void *arg, const void *bytes, size_t n)
{
    XXH3_64bits_update(arg, bytes, n);
    return INCISE_OK;
}

static enum incise_status write_values(void *arg, const void *bytes, size_t n)
{
    return inc_output_write(arg, bytes, n);
}

static enum incise_status hash_whole(const struct inc_ctx *ctx, const char *source,
                                     const struct inc_pack_entry *entries, size_t n, struct whole *whole)
{
    uint64_t size;
    char *bin = bin_of(ctx, source);
    XXH3_state_t *state = XXH3_createState();
    enum incise_status status = bin == NULL || state == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    memset(whole, 0, sizeof *whole);
    if (state == NULL) status = inc_fail_memory(ctx, sizeof *whole, "a hash");
    if (status == INCISE_OK && inc_file_size(bin, &size)) status = inc_file_hash(ctx, bin, whole->bin);
    if (status == INCISE_OK) {
        XXH3_64bits_reset(state);
        status = walk_values(entries, n, hash_values, state);
        whole->values = XXH3_64bits_digest(state);
    }
    XXH3_freeState(state);
    inc_free(ctx, bin);
    return status;
}

/* The records, then all slots' tables. Returns the bytes of all values. */
static uint64_t put_slots(const struct inc_pack_entry *entries, size_t n, struct inc_buffer *file)
{
    uint64_t tables_at = 0, values_at = 0;
    struct record *records = inc_alloc_zero(file->ctx, n, sizeof *records);
    for (size_t i = 0; i < n && records != NULL; i++) {
        const struct inc_packed_out *packed = &entries[i].packed;
        if (entries[i].same < i) {
            records[i] = records[entries[i].same];
        } else {
            uint64_t bytes = 0;
            for (size_t s = 0; s < n_spans(packed); s++) bytes += inc_round_up(span_of(packed, s).n, INC_ALIGN);
            records[i] = (struct record){0, tables_at, packed->tables.length, values_at, bytes};
            tables_at += packed->tables.length;
            values_at += bytes;
        }
        records[i].name = entries[i].name;
    }
    if (records == NULL) file->failed = true;
    inc_blob_put(file, records, n * sizeof *records);
    for (size_t i = 0; i < n; i++) {
        const struct inc_packed_out *packed = &entries[i].packed;
        if (packed->tables.failed || packed->spans.failed) file->failed = true;
        if (entries[i].same == i) inc_buffer_append(file, packed->tables.data, packed->tables.length);
    }
    inc_free(file->ctx, records);
    return values_at;
}

struct content {
    struct inc_buffer head;
    const struct inc_pack_entry *entries;
    size_t n;
};

static enum incise_status write_content(void *arg, struct inc_output_file *file)
{
    const struct content *content = arg;
    INC_TRY(inc_output_write(file, content->head.data, content->head.length));
    return walk_values(content->entries, content->n, write_values, file);
}

enum incise_status inc_pack_write(const struct inc_ctx *ctx, const char *path, bool force, const char *source,
                                  const struct inc_pack_stamp *stamp, const struct inc_pack_entry *entries, size_t n)
{
    struct content content = {.entries = entries, .n = n};
    struct inc_buffer *head = &content.head;
    struct whole whole;
    INC_TRY(hash_whole(ctx, source, entries, n, &whole));
    inc_buffer_init(head, ctx);
    inc_sealed_begin(head, &packed_kind);
    inc_blob_put(head, INCISE_VERSION, sizeof INCISE_VERSION);
    inc_blob_put(head, source, strlen(source) + 1);
    inc_blob_put(head, stamp, sizeof *stamp);
    inc_blob_put(head, &whole, sizeof whole);
    const uint64_t values_bytes = put_slots(entries, n, head);
    enum incise_status status = inc_sealed_finish(head, values_bytes);
    if (status == INCISE_OK) status = inc_file_make(ctx, path, force, write_content, &content);
    inc_buffer_fini(head);
    return status;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static enum incise_status damaged(const struct inc_pack *pack, const char *how)
{
    return inc_sealed_fail(pack->ctx, pack->path, &packed_kind, how);
}

/* A table that is a text, which stays there; NULL if it is none. */
static const char *take_text(struct inc_blob_reader *blob)
{
    size_t n = SIZE_MAX;
    const char *text = inc_blob_take(blob, &n);
    return text != NULL && n > 0 && memchr(text, 0, n) == text + n - 1 ? text : NULL;
}

static size_t values_size_of(const struct inc_pack *pack)
{
    return pack->map.size - (size_t)pack->sealed.values_at;
}

static bool in_range(uint64_t at, uint64_t n, size_t size)
{
    return at % INC_ALIGN == 0 && at <= size && n <= size - at;
}

static enum incise_status parse_slots(struct inc_pack *pack, struct inc_blob_reader *blob)
{
    size_t bytes = SIZE_MAX;
    const struct record *records = inc_blob_take(blob, &bytes);
    const unsigned char *tables = blob->at, *values = pack->map.data + pack->sealed.values_at;
    const size_t tables_size = (size_t)(blob->end - tables), values_size = values_size_of(pack);
    if (records == NULL || bytes % sizeof *records != 0) return damaged(pack, "is damaged");
    pack->n_slots = bytes / sizeof *records;
    pack->slots = inc_alloc_zero(pack->ctx, pack->n_slots, sizeof *pack->slots);
    if (pack->slots == NULL) return inc_fail_memory(pack->ctx, bytes, pack->path);
    for (size_t i = 0; i < pack->n_slots; i++) {
        const struct record *r = &records[i];
        if (!in_range(r->tables_at, r->tables_bytes, tables_size) ||
            !in_range(r->values_at, r->values_bytes, values_size))
            return damaged(pack, "is damaged");
        pack->slots[i] = (struct inc_packed_slot){
            r->name,
            {{tables + r->tables_at, tables + r->tables_at + r->tables_bytes},
             {values + r->values_at, values + r->values_at + r->values_bytes}}};
    }
    return INCISE_OK;
}

static enum incise_status parse(struct inc_pack *pack)
{
    struct inc_blob_reader blob = pack->sealed.tables;
    struct whole whole;
    const char *version = take_text(&blob);
    if (version == NULL) return damaged(pack, "is damaged");
    if (strcmp(version, INCISE_VERSION) != 0) return damaged(pack, "was written by another version of incise");
    pack->source = take_text(&blob);
    if (pack->source == NULL || !inc_blob_read(&blob, &pack->stamp, sizeof pack->stamp) ||
        !inc_blob_read(&blob, &whole, sizeof whole))
        return damaged(pack, "is damaged");
    pack->stamp.xml_hash[INC_HASH_HEX - 1] = '\0';
    memcpy(pack->bin_hash, whole.bin, INC_HASH_HEX - 1);
    pack->values_hash = whole.values;
    return parse_slots(pack, &blob);
}

enum incise_status inc_pack_open(const struct inc_ctx *ctx, const char *path, struct inc_pack **out)
{
    struct inc_reader reader;
    size_t bytes = strlen(path) + 1;
    struct inc_pack *pack = inc_alloc_zero(ctx, 1, sizeof *pack);
    if (pack == NULL) return inc_fail_memory(ctx, sizeof *pack, path);
    pack->ctx = ctx;
    char *copy = inc_alloc(ctx, bytes);
    enum incise_status status = copy == NULL ? inc_fail_memory(ctx, bytes, "a path") : INCISE_OK;
    if (copy != NULL) pack->path = memcpy(copy, path, bytes);
    if (status == INCISE_OK) status = inc_reader_open(ctx, path, &reader);
    if (status == INCISE_OK) {
        status = inc_sealed_read(&reader, &packed_kind, &pack->sealed);
        if (status == INCISE_OK) status = inc_reader_map(&reader, &pack->map);
        inc_reader_close(&reader);
    }
    if (status == INCISE_OK) status = parse(pack);
    if (status == INCISE_OK)
        *out = pack;
    else
        inc_pack_close(pack);
    return status;
}

void inc_pack_close(struct inc_pack *pack)
{
    if (pack == NULL) return;
    const struct inc_ctx *ctx = pack->ctx;
    inc_file_release(ctx, &pack->map);
    inc_sealed_release(ctx, &pack->sealed);
    inc_free(ctx, pack->slots);
    inc_free(ctx, (void *)(uintptr_t)pack->path);
    inc_free(ctx, pack);
}

enum incise_status inc_pack_verify(const struct inc_pack *pack)
{
    char hash[INC_HASH_HEX] = "";
    const char *why;
    INC_TRY(inc_pack_stale(pack, &why));
    if (why != NULL) return damaged(pack, why);
    if (XXH3_64bits(pack->map.data + pack->sealed.values_at, values_size_of(pack)) != pack->values_hash)
        return damaged(pack, "its values are damaged");
    char *bin = bin_of(pack->ctx, pack->source);
    if (bin == NULL) return INCISE_ERROR_MEMORY;
    enum incise_status status = pack->bin_hash[0] != '\0' ? inc_file_hash(pack->ctx, bin, hash) : INCISE_OK;
    inc_free(pack->ctx, bin);
    if (status == INCISE_OK && strcmp(hash, pack->bin_hash) != 0)
        return damaged(pack, "the .bin holds something else, though its size and time are the same");
    return status;
}
