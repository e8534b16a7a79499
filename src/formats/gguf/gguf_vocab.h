/* SPDX-License-Identifier: Apache-2.0 */
/* A GGUF file's vocabulary in memory. */
#ifndef INC_FORMATS_GGUF_GGUF_VOCAB_H
#define INC_FORMATS_GGUF_GGUF_VOCAB_H

#include "formats/gguf/gguf.h"

/* llama.cpp's types of tokens. */
enum inc_gguf_token_type {
    INC_GGUF_TOKEN_NORMAL = 1,
    INC_GGUF_TOKEN_UNKNOWN = 2,
    INC_GGUF_TOKEN_CONTROL = 3,
    INC_GGUF_TOKEN_USER = 4,
    INC_GGUF_TOKEN_UNUSED = 5,
    INC_GGUF_TOKEN_BYTE = 6
};

struct inc_gguf_token {
    const char *text; /* UTF-8 of n bytes, not ended by NUL */
    size_t n;
    enum inc_gguf_token_type type;
};

struct inc_gguf_vocab {
    struct inc_gguf *file;
    struct inc_arena arena;
    struct inc_gguf_token *tokens; /* by id */
    size_t n;
    uint32_t *table; /* 2^bits ids + 1 by hash of the text; 0: free */
    unsigned bits;
};

/* Tokens of at most INC_GGUF_MAX_TOKEN bytes of UTF-8; their texts as the file has them. INCISE_ERROR_DATA for others,
 * for types that are not as many, and for a special token's id that is not in the vocabulary. Release after failures
 * too. */
#define INC_GGUF_MAX_TOKEN 512
enum incise_status inc_gguf_vocab_load(struct inc_gguf *file, struct inc_gguf_vocab *vocab)
    __attribute__((warn_unused_result));
void inc_gguf_vocab_release(struct inc_gguf_vocab *vocab);

/* Once the texts are final: makes the table. INCISE_ERROR_DATA when two tokens have the same text. */
enum incise_status inc_gguf_vocab_index(struct inc_gguf_vocab *vocab) __attribute__((warn_unused_result));
/* -1 if there is no such token. */
int32_t inc_gguf_vocab_find(const struct inc_gguf_vocab *vocab, const char *text, size_t n);

/* "tokenizer.ggml.<name>_token_id"; -1 without it. */
int32_t inc_gguf_special_id(const struct inc_gguf_vocab *vocab, const char *name);

/* A merge of the first `left` bytes of token `id` with the others. */
struct inc_gguf_merge {
    float score;
    uint32_t id;
    uint16_t left;
    uint16_t characters[2]; /* of both parts */
};
/* All splits of tokens into two tokens, in the order in which Hugging Face's converter of SentencePiece models lists
 * them: falling score of the result (0 for what is no normal token), then falling length of the left and of the right
 * part in characters, then rising id. `scores` is an array of f32 as long as the vocabulary. The caller frees. */
enum incise_status inc_gguf_vocab_merges(const struct inc_gguf_vocab *vocab, const struct inc_gguf_value *scores,
                                         struct inc_gguf_merge **merges, size_t *n)
    __attribute__((warn_unused_result));

#endif
