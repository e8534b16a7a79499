/* SPDX-License-Identifier: Apache-2.0 */
/* Text to token ids, as the model's own tokenizer file says. */
#ifndef INC_TEXT_TOKENIZER_H
#define INC_TEXT_TOKENIZER_H

#include "base/context.h"

struct inc_tokenizer;

/* The result of an encode and the scratch memory behind it: reuse one per thread. */
struct inc_ids {
    int32_t *ids;
    size_t count, capacity;
    bool truncated; /* the text had more tokens than max_tokens */
    /* scratch */
    const struct inc_ctx *ctx;
    char *text;
    size_t text_length, text_capacity;
    char *spare; /* `text` of the normalizer's step before */
    size_t spare_capacity;
    uint32_t *marks;
    size_t n_marks, marks_capacity;
    struct inc_bpe_symbol *symbols;
    size_t symbols_capacity;
    uint64_t *heap;
    size_t heap_capacity;
    struct inc_bpe_word *words; /* short words and their ids, of the model that has the number words_of */
    uint64_t words_of;
};

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
 * limit); what is too much is cut at the end of the text, as Hugging Face cuts from the right. Special tokens written
 * in the text count as such. INCISE_ERROR_DATA when the text is not UTF-8, INCISE_ERROR_USAGE when max_tokens is less
 * than the special tokens need. Thread-safe for one tokenizer with different `out`; time grows linearly with length. */
enum incise_status inc_tokenizer_encode(const struct inc_tokenizer *tokenizer, const char *text, size_t length,
                                        size_t max_tokens, struct inc_ids *out) __attribute__((warn_unused_result));

size_t inc_tokenizer_vocab_size(const struct inc_tokenizer *tokenizer);  /* highest id + 1 */
size_t inc_tokenizer_max_tokens(const struct inc_tokenizer *tokenizer);  /* of the truncation section; 0: none */
size_t inc_tokenizer_suffix(const struct inc_tokenizer *tokenizer);      /* special tokens behind every text */
int32_t inc_tokenizer_pad_id(const struct inc_tokenizer *tokenizer);     /* of the padding section; 0 without one */

#endif
