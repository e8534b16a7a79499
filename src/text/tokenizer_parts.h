/* SPDX-License-Identifier: Apache-2.0 */
/* How a tokenizer is put together: added tokens -> normalizer -> added tokens -> splitter -> model -> special tokens.
 * Each part is a type found by its name in tokenizer.json; a new one is a line in its table (tokenizer_json.c). */
#ifndef INC_TEXT_TOKENIZER_PARTS_H
#define INC_TEXT_TOKENIZER_PARTS_H

#include "base/json.h"
#include "base/json_pull.h"
#include "text/bert_normalizer.h"
#include "text/pieces.h"
#include "text/tokenizer.h"

#define INC_MAX_TOKEN_ID (INT32_MAX - 1)
#define INC_SPACE_MARK 0x2581 /* "▁", which stands for a space in vocabularies made by SentencePiece */
#define INC_SPACE_MARK_UTF8 "\xe2\x96\x81"

/* One encode as it runs. */
struct inc_encoding {
    const struct inc_tokenizer *tokenizer;
    struct inc_ids *out;
    size_t limit; /* of out->count */
};

struct inc_normalizer;

/* Normalizes `n` bytes of text into out->text. */
typedef enum incise_status inc_normalize_fn(const struct inc_normalizer *normalizer, const char *text, size_t n,
                                            struct inc_ids *out);
/* Cuts text into words as splitters[step] says and passes each to inc_split_next; returns early once out->truncated. */
typedef enum incise_status inc_split_fn(struct inc_encoding *encoding, size_t step, const char *text, size_t n);
/* Appends the ids of a word of `n` > 0 bytes. */
typedef enum incise_status inc_word_fn(const void *model, const char *word, size_t n, struct inc_ids *out);

/* The "model" section: its bulk is left out of `section` and read with inc_json_pull. */
struct inc_model_source {
    const struct inc_json *json;
    json_t *section;
    struct inc_json_span vocab, merges;
    bool byte_level; /* words are bytes that the vocabulary writes as characters (byte_level.h) */
};

/* Passes each entry of a vocabulary that is an object of ids to `add`. */
typedef enum incise_status inc_vocab_fn(void *user, const char *label, const char *piece, size_t n, int32_t id);
enum incise_status inc_vocab_read(const struct inc_model_source *source, inc_vocab_fn *add, void *user)
    __attribute__((warn_unused_result));

struct inc_model_type {
    const char *name;
    /* Makes *model; it is destroyed by the caller also after a failure. */
    enum incise_status (*load)(const struct inc_model_source *source, void **model);
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

/* A step of the normalizer. */
struct inc_normalizer {
    inc_normalize_fn *run;
    struct inc_bert_normalizer bert; /* of "BertNormalizer" */
    char *from, *to;                 /* of "Replace" */
    size_t n_from, n_to;
};

/* A step of the pre-tokenizer: what it cuts, the next step cuts further. */
struct inc_splitter {
    inc_split_fn *run;
    char *pattern; /* of "Split" at a string */
    size_t n_pattern;
};

#define INC_MAX_STEPS 8 /* of a normalizer, of a pre-tokenizer */

struct inc_tokenizer {
    const struct inc_ctx *ctx;
    struct inc_added_set raw, normalized;
    struct inc_normalizer normalizers[INC_MAX_STEPS];
    struct inc_splitter splitters[INC_MAX_STEPS];
    size_t n_normalizers, n_splitters;
    /* May a text be cut before a space, a newline that follows no white space, and its parts be encoded alone? */
    bool cut_at_space, cut_at_newline;
    const struct inc_bpe *cut_model; /* that decides too, or NULL */
    const struct inc_model_type *model_type;
    void *model;
    int32_t *prefix, *suffix; /* special tokens around the text */
    size_t n_prefix, n_suffix;
    size_t vocab_size, max_tokens;
    int32_t pad_id;
};

/* Passes a word that splitters[step] found to the next one, or encodes it and cuts at the limit. */
enum incise_status inc_split_next(struct inc_encoding *encoding, size_t step, const char *word, size_t n)
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

/* A further step; NULL (reported) when there are too many. */
struct inc_normalizer *inc_normalizer_add(struct inc_tokenizer *tokenizer, const char *label, inc_normalize_fn *run);
struct inc_splitter *inc_splitter_add(struct inc_tokenizer *tokenizer, const char *label, inc_split_fn *run);

extern const struct inc_model_type inc_wordpiece_type, inc_bpe_type;
inc_normalize_fn inc_bert_normalize_text, inc_replace_text;
inc_split_fn inc_bert_split, inc_split_string;

#endif
