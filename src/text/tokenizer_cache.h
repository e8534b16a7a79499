/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers as sealed files that are ready to use: the tokenizer.json without its bulk, and the tables made of that.
 */
#ifndef INC_TEXT_TOKENIZER_CACHE_H
#define INC_TEXT_TOKENIZER_CACHE_H

#include "base/sealed.h"
#include "text/tokenizer.h"

/* What a cache file is made from. */
struct inc_cache_key {
    uint64_t words[2]; /* hash of path, size, times and number of the file */
};

/* Loads tokenizer.json `path` from ctx->cache_dir, or reads it and leaves it there for the next time. A cache that does
 * not fit the file, is damaged or cannot be written changes nothing but the time; the log says so at level DEBUG. */
enum incise_status inc_tokenizer_load_cached(const struct inc_ctx *ctx, const char *path, size_t max_bytes,
                                             struct inc_tokenizer **tokenizer) __attribute__((warn_unused_result));

/* The bytes of a cache file for `key`. */
enum incise_status inc_cache_write(const struct inc_ctx *ctx, const char *label, const void *json, size_t length,
                                   const struct inc_cache_key *key, struct inc_buffer *cache,
                                   struct inc_tokenizer **tokenizer) __attribute__((warn_unused_result));
/* INCISE_ERROR_DATA, not reported, for whatever is wrong with the file. */
enum incise_status inc_cache_read(const struct inc_ctx *ctx, const char *label, const struct inc_reader *reader,
                                  const struct inc_cache_key *key, struct inc_tokenizer **tokenizer)
    __attribute__((warn_unused_result));

#endif
