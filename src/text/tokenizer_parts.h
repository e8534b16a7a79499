/* SPDX-License-Identifier: Apache-2.0 */
/* How a tokenizer is put together: added tokens -> normalizer -> added tokens -> splitter -> model -> special tokens.
 * Each part is a type found by its name in tokenizer.json; a new one is a line in its table (tokenizer_json.c). */
#ifndef INC_TEXT_TOKENIZER_PARTS_H
#define INC_TEXT_TOKENIZER_PARTS_H

#include "base/file.h"
#include "base/json.h"
#include "base/json_pull.h"
#include "text/bert_normalizer.h"
#include "text/charsmap.h"
#include "text/pattern.h"
#include "text/pieces.h"
#include "text/tokenizer.h"

#define INC_MAX_TOKEN_ID (INT32_MAX - 1)
#define INC_MAX_PATTERN 256 /* bytes of a string that is looked for or put in; bounds the work per byte of a text */
#define INC_SPACE_MARK 0x2581 /* "▁", which stands for a space in vocabularies made by SentencePiece */
#define INC_SPACE_MARK_UTF8 "\xe2\x96\x81"

/* One encode as it runs. */
struct inc_encoding {
    const struct inc_tokenizer *tokenizer;
    struct inc_ids *out;
    size_t limit;             /* of out->count */
    const char *text;         /* the original */
    bool tracked;             /* origins are needed */
    struct inc_source source; /* what words are parts of */
};

struct inc_normalizer;

/* Appends the normalized source to `text`. */
typedef enum incise_status inc_normalize_fn(const struct inc_normalizer *normalizer, const struct inc_source *source,
                                            struct inc_text *text, struct inc_ids *out);
/* Cuts text into words as splitters[step] says and passes each to inc_split_next; returns early once out->truncated. */
typedef enum incise_status inc_split_fn(struct inc_encoding *encoding, size_t step, const char *text, size_t n);
/* Appends the ids of a word of `n` > 0 bytes, and their spans in the word if out->with_spans. */
typedef enum incise_status inc_word_fn(const void *model, const char *word, size_t n, struct inc_ids *out);

/* The "model" section: its bulk is left out of `section` and read with inc_json_pull. So are the added tokens. */
struct inc_model_source {
    const struct inc_json *json;
    json_t *section;
    struct inc_json_span vocab, merges, added_tokens;
    struct inc_blob_reader *blob; /* of a cache: tables of the model and of added tokens; then there are no spans */
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
    void (*save)(const void *model, struct inc_buffer *cache); /* its tables, which load takes from source->blob */
    inc_word_fn *encode;
    const struct inc_pieces *(*vocabulary)(const void *model);
};

/* Added tokens matched on the raw text, or on normalized text. */
struct inc_added_token {
    int32_t id;
    bool lstrip, rstrip; /* swallow the white space before, after */
    bool single_word;    /* not beside letters, digits and the like */
    bool special;
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
    struct inc_charsmap charsmap;    /* of "Precompiled" */
    enum inc_form form;              /* of "NFC" and the like */
    bool left, right;                /* of "Strip" */
    struct inc_pattern pattern;      /* of "Replace" */
    char *content;                   /* of "Replace" and "Prepend" */
    size_t n_content;
};

/* What becomes of matches; names as in the files. */
enum inc_behavior {
    INC_REMOVED,
    INC_ISOLATED,
    INC_MERGED_WITH_PREVIOUS,
    INC_MERGED_WITH_NEXT,
    INC_CONTIGUOUS
};

/* Before which words the mark is put that stands for a space. */
enum inc_prepend { INC_PREPEND_ALWAYS, INC_PREPEND_FIRST, INC_PREPEND_NEVER };

/* A step of the pre-tokenizer: what it cuts, the next step cuts further. */
struct inc_splitter {
    inc_split_fn *run;
    struct inc_pattern pattern; /* of inc_split_matches: where to cut; of inc_split_rewritten: what becomes the mark */
    enum inc_behavior behavior;
    bool invert; /* what lies between matches counts as the matches */
    enum inc_prepend prepend; /* of inc_split_rewritten */
    char mark[4];
    size_t n_mark;
};

struct inc_tokenizer {
    const struct inc_ctx *ctx;
    struct inc_ctx *own;   /* NULL, or what ctx is, */
    struct inc_file cache; /* and the memory of tables */
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
    bool cut_left;      /* too many tokens are cut at the start of a text */
    bool byte_level;    /* the model sees bytes, which its vocabulary writes as characters */
    bool needs_origins; /* a step asks whether a word starts the text */
    bool trim_spans;    /* spans leave out the spaces that a token starts or ends with, */
    bool prefix_space;  /* but for a space that was put in front */
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
/* Both sets to a cache, and from one, whose memory must stay: INCISE_ERROR_DATA, not reported, when it is not sound. */
void inc_added_save(const struct inc_tokenizer *tokenizer, struct inc_buffer *cache);
enum incise_status inc_added_restore(struct inc_tokenizer *tokenizer, struct inc_blob_reader *blob)
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

/* Room for `extra` more ids. */
enum incise_status inc_ids_reserve(struct inc_ids *out, size_t extra) __attribute__((warn_unused_result));
enum incise_status inc_ids_add(struct inc_ids *out, int32_t id, size_t start, size_t end)
    __attribute__((warn_unused_result));

/* The text between added tokens, text[start .. start + n). */
typedef enum incise_status inc_plain_fn(struct inc_encoding *encoding, const char *text, size_t n);
/* Passes the text between the set's tokens to `plain` and appends their ids. Leftmost, then longest token wins. The
 * text is part of encoding->source. */
enum incise_status inc_added_split(struct inc_encoding *encoding, const struct inc_added_set *set, const char *text,
                                   size_t n, inc_plain_fn *plain) __attribute__((warn_unused_result));
/* Appends an id for bytes [start, end) of `text`, which is part of encoding->source. */
enum incise_status inc_encoding_add(struct inc_encoding *encoding, int32_t id, const char *text, size_t start,
                                    size_t end) __attribute__((warn_unused_result));
/* Cuts the ids at the limit. */
void inc_encoding_cut(struct inc_encoding *encoding);

/* Normalizes the source; *source is the result then. */
enum incise_status inc_tokenizer_normalize(const struct inc_tokenizer *tokenizer, struct inc_source *source,
                                           bool tracked, struct inc_ids *out) __attribute__((warn_unused_result));

/* Start of the white space that ends at text + end, not before `from`; end of that which starts at `at`. */
size_t inc_space_before(const char *text, size_t from, size_t end);
size_t inc_space_after(const char *text, size_t at, size_t n);

/* Copies the source with each match replaced. */
enum incise_status inc_replace_matches(const struct inc_pattern *pattern, const char *content, size_t n_content,
                                       const struct inc_source *source, struct inc_text *text)
    __attribute__((warn_unused_result));

extern const struct inc_model_type inc_wordpiece_type, inc_bpe_type, inc_unigram_type;
inc_normalize_fn inc_bert_normalize_text, inc_lowercase_text, inc_strip_accents_text, inc_nmt_text, inc_strip_text,
    inc_prepend_text, inc_replace_text, inc_form_text, inc_charsmap_text;
inc_split_fn inc_bert_split, inc_split_matches, inc_split_rewritten;

#endif
