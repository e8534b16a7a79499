/* SPDX-License-Identifier: Apache-2.0 */
/* Text to tokens, as the model's own tokenizer file says. */
#ifndef INCISE_TOKENIZER_H
#define INCISE_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "incise/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct incise_tokenizer;

/* A token of a text. `start` and `end` are bytes of the text, at borders of characters; 0 and 0 for the special tokens
 * around it. `name` is how the vocabulary writes it, `name_length` bytes; it lives as long as the tokenizer. */
struct incise_token {
    int32_t id;
    int special; /* 1: a special token, around the text or written in it */
    size_t start, end;
    const char *name;
    size_t name_length;
};

/* Initialize with incise_tokenize_options_init, change what you need. */
struct incise_tokenize_options {
    size_t struct_size;
    size_t max_tokens;    /* with the special ones; 0: as the file's truncation section says, SIZE_MAX: no limit */
    int no_parse_special; /* 1: special tokens written in the text are text (default 0, as Hugging Face) */
};

INCISE_API void incise_tokenize_options_init(struct incise_tokenize_options *options);

/* Loads `path`: a tokenizer.json, a vocab.txt, or a folder with one of them. Destroy it before the engine.
 * INCISE_ERROR_DATA names whatever part of the file is not supported. */
INCISE_API INCISE_CHECK enum incise_status incise_tokenizer_create(struct incise_engine *engine, const char *path,
                                                                   struct incise_tokenizer **tokenizer);
/* NULL is fine. */
INCISE_API void incise_tokenizer_destroy(struct incise_tokenizer *tokenizer);

/* Highest id + 1. */
INCISE_API size_t incise_tokenizer_vocabulary(const struct incise_tokenizer *tokenizer);

/* The tokens of `length` bytes of UTF-8, in memory that incise_tokens_free takes back; *truncated (may be NULL): the
 * text had more. `options` may be NULL. INCISE_ERROR_DATA when the text is not UTF-8. Several threads may call it at
 * the same time. */
INCISE_API INCISE_CHECK enum incise_status incise_tokenizer_run(const struct incise_tokenizer *tokenizer,
                                                                const char *text, size_t length,
                                                                const struct incise_tokenize_options *options,
                                                                struct incise_token **tokens, size_t *n,
                                                                int *truncated);
INCISE_API void incise_tokens_free(const struct incise_tokenizer *tokenizer, struct incise_token *tokens);

#ifdef __cplusplus
}
#endif
#endif
