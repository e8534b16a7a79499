/* SPDX-License-Identifier: Apache-2.0 */
/* Text to token ids, as the model's own tokenizer file says. */
#ifndef INC_TEXT_TOKENIZER_H
#define INC_TEXT_TOKENIZER_H

#include "base/context.h"
#include "text/normal_form.h"
#include "text/words.h"

#define INC_MAX_STEPS 8 /* of a normalizer, of a pre-tokenizer */

struct inc_tokenizer;

/* Bytes of the text that a token comes from, [start, end); 0, 0 for special tokens around the text. */
struct inc_span {
    size_t start, end;
};

/* The result of an encode and the scratch memory behind it: reuse one per thread. */
struct inc_ids {
    int32_t *ids;
    size_t count, capacity;
    struct inc_span *spans; /* one per id, if with_spans */
    size_t spans_capacity;
    bool truncated; /* the text had more tokens than max_tokens */
    /* what the caller asks for, after inc_ids_init */
    bool with_spans;
    bool plain_specials; /* special tokens written in the text are text */
    /* scratch */
    const struct inc_ctx *ctx;
    struct inc_text raw;                       /* origins of the raw text */
    struct inc_text normalized[2];             /* of the normalizer's last step, and of the step before */
    struct inc_text rewritten[INC_MAX_STEPS];  /* of the pre-tokenizer's steps */
    struct inc_text replaced;                  /* within such a step */
    struct inc_marks marks, blocked;
    struct inc_bpe_symbol *symbols;
    size_t symbols_capacity;
    uint64_t *heap;
    size_t heap_capacity;
    struct inc_unigram_node *nodes;
    size_t nodes_capacity;
    struct inc_words words;
};

/* No spans; special tokens are looked for. */
void inc_ids_init(struct inc_ids *ids, const struct inc_ctx *ctx);
void inc_ids_release(struct inc_ids *ids);

/* `path` is a tokenizer.json, a vocab.txt (any name that ends so; tokenizer_config.json is read beside it), or a folder
 * that holds one of them; tokenizer.json wins. INCISE_ERROR_DATA names whatever part of it is not supported: nothing is
 * approximated. INCISE_ERROR_NO_INPUT when a folder holds neither. */
enum incise_status inc_tokenizer_load(const struct inc_ctx *ctx, const char *path, struct inc_tokenizer **tokenizer)
    __attribute__((warn_unused_result));
/* The same from memory: a tokenizer.json, or a vocab.txt with its tokenizer_config.json (NULL: defaults). */
enum incise_status inc_tokenizer_load_json(const struct inc_ctx *ctx, const char *label, const void *text,
                                           size_t length, struct inc_tokenizer **tokenizer)
    __attribute__((warn_unused_result));
enum incise_status inc_tokenizer_load_vocab(const struct inc_ctx *ctx, const char *label, const void *text,
                                            size_t length, const void *config, size_t config_length,
                                            struct inc_tokenizer **tokenizer) __attribute__((warn_unused_result));
void inc_tokenizer_destroy(struct inc_tokenizer *tokenizer); /* NULL is fine */

/* Encodes `length` bytes of UTF-8 with the file's special tokens around them, at most `max_tokens` in all (0: no
 * limit); what is too much is cut at the end of the text, or at its start if the file's truncation says so. Added
 * tokens written in the text count as such. INCISE_ERROR_DATA when the text is not UTF-8, INCISE_ERROR_USAGE when
 * max_tokens is less than the special tokens need. Thread-safe for one tokenizer with different `out`; time grows
 * linearly with length. */
enum incise_status inc_tokenizer_encode(const struct inc_tokenizer *tokenizer, const char *text, size_t length,
                                        size_t max_tokens, struct inc_ids *out) __attribute__((warn_unused_result));

size_t inc_tokenizer_vocab_size(const struct inc_tokenizer *tokenizer);  /* highest id + 1 */
size_t inc_tokenizer_max_tokens(const struct inc_tokenizer *tokenizer);  /* of the truncation section; 0: none */
size_t inc_tokenizer_suffix(const struct inc_tokenizer *tokenizer);      /* special tokens behind every text */
int32_t inc_tokenizer_pad_id(const struct inc_tokenizer *tokenizer);     /* of the padding section; 0 without one */

/* The text of tokens, as the vocabulary or an added token has it. */
struct inc_token_names {
    const struct inc_ctx *ctx;
    const char **texts; /* by id; not terminated; NULL: no such token. They live as long as the tokenizer */
    uint32_t *lengths;
    bool *special;      /* an added token that is special */
    size_t n;
};
enum incise_status inc_token_names_init(struct inc_token_names *names, const struct inc_tokenizer *tokenizer)
    __attribute__((warn_unused_result));
void inc_token_names_release(struct inc_token_names *names);

#endif
