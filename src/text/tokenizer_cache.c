/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "text/tokenizer_loader.h"

#define MAX_CACHE ((size_t)1 << 30)

static const struct inc_sealed_kind cache_kind = {"tokenizer", 3, "is no cache of a tokenizer", "it is made anew"};

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

enum incise_status inc_cache_write(const struct inc_ctx *ctx, const char *label, const void *json, size_t length,
                                   const struct inc_cache_key *key, struct inc_buffer *cache,
                                   struct inc_tokenizer **tokenizer)
{
    struct inc_model_source source = {0};
    struct inc_buffer rest;
    *tokenizer = NULL;
    inc_buffer_init(&rest, ctx);
    enum incise_status status = inc_tokenizer_split(ctx, label, json, length, &source, &rest);
    if (status == INCISE_OK) status = inc_tokenizer_assemble(ctx, label, &rest, &source, tokenizer);
    if (status == INCISE_OK) {
        inc_sealed_begin(cache, &cache_kind);
        inc_blob_put(cache, key, sizeof *key);
        inc_blob_put(cache, rest.data, rest.length);
        (*tokenizer)->model_type->save((*tokenizer)->model, cache);
        inc_added_save(*tokenizer, cache);
        status = inc_sealed_finish(cache, 0);
    }
    inc_buffer_fini(&rest);
    return status;
}

/* The tokenizer lives with a context of its own, which is silent while it is made. */
enum incise_status inc_cache_read(const struct inc_ctx *ctx, const char *label, const struct inc_reader *reader,
                                  const struct inc_cache_key *key, struct inc_tokenizer **tokenizer)
{
    struct inc_sealed sealed;
    struct inc_cache_key there;
    struct inc_model_source source = {.blob = &sealed.tables};
    struct inc_buffer rest = {.length = SIZE_MAX};
    struct inc_reader silent = *reader;
    struct inc_ctx *own = inc_alloc(ctx, sizeof *own);
    *tokenizer = NULL;
    if (own == NULL) return INCISE_ERROR_MEMORY;
    *own = *ctx;
    own->log = NULL;
    silent.ctx = own;
    enum incise_status status = inc_sealed_read(&silent, &cache_kind, &sealed);
    if (status == INCISE_OK) {
        bool fits = inc_blob_read(&sealed.tables, &there, sizeof there) && memcmp(&there, key, sizeof there) == 0;
        if (fits) rest.data = (char *)(uintptr_t)inc_blob_take(&sealed.tables, &rest.length);
        if (rest.data == NULL) status = INCISE_ERROR_DATA;
    }
    if (status == INCISE_OK) status = inc_tokenizer_assemble(own, label, &rest, &source, tokenizer);
    own->log = ctx->log;
    if (status == INCISE_OK) {
        (*tokenizer)->own = own;
        (*tokenizer)->cache = sealed.file;
    } else {
        inc_sealed_release(ctx, &sealed);
        inc_free(ctx, own);
    }
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
    int64_t facts[] = {(int64_t)about.st_size,
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
    struct inc_reader reader;
    silent.log = NULL;
    if (inc_reader_open(&silent, name, &reader) != INCISE_OK) return false;
    bool loaded = reader.size <= MAX_CACHE && inc_cache_read(ctx, path, &reader, key, tokenizer) == INCISE_OK;
    inc_reader_close(&reader);
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
