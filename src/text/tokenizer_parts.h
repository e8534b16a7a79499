/* SPDX-License-Identifier: Apache-2.0 */
/* How a tokenizer is put together: added tokens -> normalizer -> added tokens -> splitter -> model -> special tokens.
 * Each part is a type found by its name in tokenizer.json; a new one is a line in its table (tokenizer_json.c). */
#ifndef INC_TEXT_TOKENIZER_PARTS_H
#define INC_TEXT_TOKENIZER_PARTS_H

#include "base/json.h"
#include "text/bert_normalizer.h"
#include "text/pieces.h"
#include "text/tokenizer.h"

#define INC_MAX_TOKEN_ID (INT32_MAX - 1)

/* One encode as it runs. */
struct inc_encoding {
    const struct inc_tokenizer *tokenizer;
    struct inc_ids *out;
    size_t limit; /* of out->count */
};

/* Normalizes `n` bytes of text into out->text. */
typedef enum incise_status inc_normalize_fn(const struct inc_tokenizer *tokenizer, const char *text, size_t n,
                                            struct inc_ids *out);
/* Cuts text into words and passes each to inc_encode_word; returns early once out->truncated. */
typedef enum incise_status inc_split_fn(struct inc_encoding *encoding, const char *text, size_t n);
/* Appends the ids of a word of `n` bytes and `chars` code points. */
typedef enum incise_status inc_word_fn(const void *model, const char *word, size_t n, size_t chars,
                                       struct inc_ids *out);

struct inc_model_type {
    const char *name;
    /* Makes *model from the "model" section; `*model` is destroyed by the caller also after a failure. */
    enum incise_status (*load)(const struct inc_json *json, json_t *section, void **model);
    void (*destroy)(const struct inc_ctx *ctx, void *model);
    inc_word_fn *encode;
    const struct inc_pieces *(*vocabulary)(const void *model);
};

/* Added tokens matched on the raw text, or on normalized text. */
struct inc_added_token {
    int32_t id;
    bool lstrip, rstrip; /* swallow the white space before, after */
};
struct inc_added_set {
    struct inc_pieces pieces;        /* their ids are indices of `tokens` */
    struct inc_added_token *tokens;
    bool first[256];                 /* bytes that some token starts with */
};

struct inc_tokenizer {
    const struct inc_ctx *ctx;
    struct inc_added_set raw, normalized;
    struct inc_bert_normalizer bert; /* settings of the normalizer "BertNormalizer" */
    inc_normalize_fn *normalize;
    inc_split_fn *split;
    const struct inc_model_type *model_type;
    void *model;
    int32_t *prefix, *suffix; /* special tokens around the text */
    size_t n_prefix, n_suffix;
    size_t vocab_size, max_tokens;
    int32_t pad_id;
};

/* Encodes one word and cuts at the limit. */
enum incise_status inc_encode_word(struct inc_encoding *encoding, const char *word, size_t n, size_t chars)
    __attribute__((warn_unused_result));

enum incise_status inc_tokenizer_create(const struct inc_ctx *ctx, struct inc_tokenizer **tokenizer)
    __attribute__((warn_unused_result));
/* Room for `capacity` added tokens in both sets. */
enum incise_status inc_added_init(struct inc_tokenizer *tokenizer, size_t capacity) __attribute__((warn_unused_result));
/* A token that the normalizer (already set) is to see is matched in its normalized form. */
enum incise_status inc_added_add(struct inc_tokenizer *tokenizer, const char *label, const char *content,
                                 const struct inc_added_token *token, bool normalized)
    __attribute__((warn_unused_result));
/* Appends special tokens to the prefix or the suffix. */
enum incise_status inc_special_add(struct inc_tokenizer *tokenizer, bool suffix, int32_t id)
    __attribute__((warn_unused_result));
/* Sets vocab_size once model and added tokens are there, and checks the special tokens against it. */
enum incise_status inc_tokenizer_finish(struct inc_tokenizer *tokenizer, const char *label)
    __attribute__((warn_unused_result));

extern const struct inc_model_type inc_wordpiece_type;
inc_normalize_fn inc_bert_normalize_text;
inc_split_fn inc_bert_split;

#endif
