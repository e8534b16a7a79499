/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/blob.h"
#include "text/tokenizer_loader.h"

#define VERSION   2
#define MAX_CACHE ((size_t)1 << 30)

struct cache_header {
    char magic[8];
    uint64_t version;
    struct inc_cache_key key;
    uint64_t hash;    /* of all behind the header */
    uint64_t zero[3];
};

static const char magic[8] = "inctok\n";

_Static_assert(sizeof(struct cache_header) == INC_ALIGN, "tables behind the header are aligned");

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

void inc_cache_seal(unsigned char *bytes, size_t n)
{
    struct cache_header header;
    if (n < sizeof header) return;
    memcpy(&header, bytes, sizeof header);
    header.hash = XXH3_64bits(bytes + sizeof header, n - sizeof header);
    memcpy(bytes, &header, sizeof header);
}

enum incise_status inc_cache_write(const struct inc_ctx *ctx, const char *label, const void *json, size_t length,
                                   const struct inc_cache_key *key, struct inc_buffer *cache,
                                   struct inc_tokenizer **tokenizer)
{
    struct cache_header header = {.version = VERSION, .key = *key};
    struct inc_model_source source = {0};
    struct inc_buffer rest;
    *tokenizer = NULL;
    inc_buffer_init(&rest, ctx);
    enum incise_status status = inc_tokenizer_split(ctx, label, json, length, &source, &rest);
    if (status == INCISE_OK) status = inc_tokenizer_assemble(ctx, label, &rest, &source, tokenizer);
    if (status == INCISE_OK) {
        memcpy(header.magic, magic, sizeof magic);
        inc_buffer_append(cache, &header, sizeof header);
        inc_blob_put(cache, rest.data, rest.length);
        (*tokenizer)->model_type->save((*tokenizer)->model, cache);
        inc_added_save(*tokenizer, cache);
        if (!cache->failed) inc_cache_seal((unsigned char *)cache->data, cache->length);
    }
    inc_buffer_fini(&rest);
    return status;
}

static bool fits(const struct inc_file *file, const struct inc_cache_key *key)
{
    struct cache_header header;
    if (file->size < sizeof header) return false;
    memcpy(&header, file->data, sizeof header);
    return memcmp(header.magic, magic, sizeof magic) == 0 && header.version == VERSION &&
           memcmp(&header.key, key, sizeof *key) == 0 &&
           header.hash == XXH3_64bits(file->data + sizeof header, file->size - sizeof header);
}

/* The tokenizer lives with a context of its own, which is silent while it is made. */
enum incise_status inc_cache_read(const struct inc_ctx *ctx, const char *label, struct inc_file *file,
                                  const struct inc_cache_key *key, struct inc_tokenizer **tokenizer)
{
    struct inc_blob_reader blob = {file->data + sizeof(struct cache_header), file->data + file->size};
    struct inc_model_source source = {.blob = &blob};
    struct inc_buffer rest = {0};
    struct inc_ctx *own = NULL;
    enum incise_status status = fits(file, key) ? INCISE_OK : INCISE_ERROR_DATA;
    *tokenizer = NULL;
    if (status == INCISE_OK) {
        rest.length = SIZE_MAX;
        rest.data = (char *)(uintptr_t)inc_blob_take(&blob, &rest.length);
        own = rest.data != NULL ? inc_alloc(ctx, sizeof *own) : NULL;
        status = rest.data == NULL ? INCISE_ERROR_DATA : own == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    }
    if (status == INCISE_OK) {
        *own = *ctx;
        own->log = NULL;
        status = inc_tokenizer_assemble(own, label, &rest, &source, tokenizer);
        own->log = ctx->log;
    }
    if (status == INCISE_OK) {
        (*tokenizer)->own = own;
        (*tokenizer)->cache = *file;
    } else {
        inc_free(ctx, own);
        inc_file_release(ctx, file);
    }
    *file = (struct inc_file){0};
    return status;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* The name of the cache file, in new memory, and the key of `path` as it is now; false: no cache. */
static bool find_names(const struct inc_ctx *ctx, const char *path, char **name, struct inc_cache_key *key)
{
    struct stat about;
    char *whole = realpath(path, NULL);
    size_t size = strlen(ctx->cache_dir) + 64;
    *name = NULL;
    if (whole == NULL || stat(whole, &about) != 0 || !S_ISREG(about.st_mode)) {
        free(whole);
        return false;
    }
    int64_t facts[] = {VERSION,
                       (int64_t)about.st_size,
                       (int64_t)about.st_mtim.tv_sec,
                       about.st_mtim.tv_nsec,
                       (int64_t)about.st_ctim.tv_sec,
                       about.st_ctim.tv_nsec,
                       (int64_t)about.st_ino,
                       (int64_t)about.st_dev};
    XXH128_hash_t place = XXH3_128bits(whole, strlen(whole));
    XXH128_hash_t hash = XXH3_128bits_withSeed(facts, sizeof facts, place.low64 ^ place.high64);
    *key = (struct inc_cache_key){{hash.low64, hash.high64}};
    *name = inc_alloc(ctx, size);
    if (*name != NULL)
        snprintf(*name, size, "%s/tokenizer-%016llx%016llx.cache", ctx->cache_dir, (unsigned long long)place.high64,
                 (unsigned long long)place.low64);
    free(whole);
    return *name != NULL;
}

/* errno says why not. */
static bool store(const struct inc_ctx *ctx, const char *name, const struct inc_buffer *cache)
{
    struct inc_ctx silent = *ctx;
    silent.log = NULL;
    return (mkdir(ctx->cache_dir, 0777) == 0 || errno == EEXIST) &&
           inc_file_replace(&silent, name, cache->data, cache->length) == INCISE_OK;
}

static bool load(const struct inc_ctx *ctx, const char *path, const char *name, const struct inc_cache_key *key,
                 struct inc_tokenizer **tokenizer)
{
    struct inc_ctx silent = *ctx;
    struct inc_file file = {0};
    silent.log = NULL;
    if (inc_file_read(&silent, name, MAX_CACHE, &file) != INCISE_OK) return false;
    bool loaded = inc_cache_read(ctx, path, &file, key, tokenizer) == INCISE_OK;
    inc_log(ctx, INCISE_LOG_DEBUG, "%s: %s", name, loaded ? "loaded" : "does not fit or is damaged; it is made anew");
    return loaded;
}

enum incise_status inc_tokenizer_load_cached(const struct inc_ctx *ctx, const char *path, size_t max_bytes,
                                             struct inc_tokenizer **tokenizer)
{
    struct inc_file file = {0};
    struct inc_buffer cache;
    struct inc_cache_key key, key_after;
    char *name = NULL, *name_after = NULL;
    bool named = ctx->cache_dir != NULL && find_names(ctx, path, &name, &key);
    if (named && load(ctx, path, name, &key, tokenizer)) {
        inc_free(ctx, name);
        return INCISE_OK;
    }
    enum incise_status status = inc_file_read(ctx, path, max_bytes, &file);
    if (status != INCISE_OK || !named) {
        if (status == INCISE_OK) status = inc_tokenizer_load_json(ctx, path, file.data, file.size, tokenizer);
        inc_file_release(ctx, &file);
        inc_free(ctx, name);
        return status;
    }
    inc_buffer_init(&cache, ctx);
    status = inc_cache_write(ctx, path, file.data, file.size, &key, &cache, tokenizer);
    /* a file that changed while it was read is not kept */
    if (status == INCISE_OK && !cache.failed && find_names(ctx, path, &name_after, &key_after) &&
        memcmp(&key, &key_after, sizeof key) == 0)
        inc_log(ctx, INCISE_LOG_DEBUG, "%s: %s", name, store(ctx, name, &cache) ? "written" : strerror(errno));
    inc_buffer_fini(&cache);
    inc_file_release(ctx, &file);
    inc_free(ctx, name);
    inc_free(ctx, name_after);
    return status;
}
