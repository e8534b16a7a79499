/* SPDX-License-Identifier: Apache-2.0 */
/* Texts to vectors: a model with its tokenizer and its pooling. */
#ifndef INCISE_EMBED_H
#define INCISE_EMBED_H

#include "incise/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Initialize with incise_embed_options_init, change what you need. Texts are read during incise_embedder_create only.
 */
struct incise_embed_options {
    size_t struct_size;
    enum incise_compute compute;
    const char *tokenizer; /* tokenizer.json, vocab.txt or a folder with one; NULL: beside the model */
    const char *pooling;   /* "mean", "cls", "last", "max" or "mean_sqrt_len" (the sum over the root of the number);
                            * NULL: as 1_Pooling beside the model says, else the mean, with a warning */
    int normalize;         /* 1 (default): vectors of length 1 */
    size_t max_length;     /* tokens per text, longer ones are cut; 0: as sentence_bert_config.json, the tokenizer or
                            * config.json beside the model says, else 512 */
    size_t dimensions;     /* keep this many at the front of each vector, before normalizing; 0: all */
    size_t batch_tokens;   /* tokens that run together; 0: 4096. Speed only: vectors do not depend on it */
    int no_parse_special;  /* 1: special tokens written in a text are text (default 0, as Hugging Face) */
};

/* Texts to embed in one call. */
struct incise_text_batch {
    const char *const *texts; /* UTF-8; an empty text is one, as what its special tokens give */
    const size_t *lengths;    /* bytes of each; NULL: they end at a NUL */
    size_t n;
    const char *prompt;    /* the name of what is written before each text, see incise_embedder_prompt; NULL: the
                            * default */
    const size_t *numbers; /* what texts[i] is called in messages: "text 17"; NULL: i */
};

struct incise_embed_stats {
    size_t tokens;    /* with prompts and special tokens, after cutting */
    size_t truncated; /* texts that were cut; if there are any: */
    size_t first_cut; /* index of the first of them */
    size_t longest_cut, longest_tokens; /* index of the one with the most bytes, and its tokens before cutting */
    double tokenize_seconds;
    double run_seconds;
};

struct incise_embedder;

INCISE_API void incise_embed_options_init(struct incise_embed_options *options);

/* Loads `path` as incise_model_load does; `options` may be NULL. The model's inputs must be
 * among input_ids, attention_mask, token_type_ids and position_ids; its vectors are an output [texts, tokens, width],
 * or "sentence_embedding" [texts, width], which is taken as it is unless `pooling` is given. Destroy before the engine.
 */
INCISE_API INCISE_CHECK enum incise_status incise_embedder_create(struct incise_engine *engine, const char *path,
                                                                  const struct incise_embed_options *options,
                                                                  struct incise_embedder **embedder);
/* NULL is fine. */
INCISE_API void incise_embedder_destroy(struct incise_embedder *embedder);

/* Calls `property` with each thing that decides the bits of vectors, in a fixed order, as text: version of the library,
 * hashes of the model's and the tokenizer's files (read now, or known to the packed file that was loaded), instruction
 * set, options as they were resolved, and the prompt called `prompt` (NULL: the default). Two embedders with the same
 * properties give the same bits. */
typedef void incise_property_fn(void *user, const char *key, const char *value);
INCISE_API INCISE_CHECK enum incise_status incise_embedder_describe(const struct incise_embedder *embedder,
                                                                    const char *prompt, incise_property_fn *property,
                                                                    void *user);

/* Numbers per vector. */
INCISE_API size_t incise_embedder_width(const struct incise_embedder *embedder);
/* Owned by the embedder. */
INCISE_API struct incise_model *incise_embedder_model(struct incise_embedder *embedder);

/* The prompt called `name` that the model's config_sentence_transformers.json has; it belongs to the embedder. Every
 * model has "query" and "document", "" where its file does not say ("passage" and "corpus" stand in for "document", as
 * in sentence-transformers). NULL: the one of `default_prompt_name`, else "". INCISE_ERROR_USAGE for another name; the
 * message lists those it has. */
INCISE_API INCISE_CHECK enum incise_status incise_embedder_prompt(const struct incise_embedder *embedder,
                                                                  const char *name, const char **prompt);

/* Writes the vector of batch->texts[i] to out[i * width]. A text's vector is the same bits whatever it is embedded
 * with. INCISE_ERROR_DATA names a text that is not UTF-8, that has no token, or whose vector is not finite or of length
 * zero. `stats` may be NULL. Several threads may call it at the same time. */
INCISE_API INCISE_CHECK enum incise_status incise_embedder_run(struct incise_embedder *embedder,
                                                               const struct incise_text_batch *batch, float *out,
                                                               struct incise_embed_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
