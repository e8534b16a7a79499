/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_API_EMBED_INTERNAL_H
#define INC_API_EMBED_INTERNAL_H

#include "api/model_internal.h"
#include "incise/embed.h"
#include "lower/text_inputs.h"
#include "text/pooling.h"
#include "text/prompts.h"
#include "text/tokenizer.h"

/* Not changed after its creation: runs of several threads share it. */
struct incise_embedder {
    struct incise_engine *engine;
    struct incise_model *model;
    struct inc_tokenizer *tokenizer;
    struct inc_prompts prompts;
    char *model_path, *tokenizer_path; /* as given; the tokenizer's may be a folder */
    enum incise_compute compute;
    enum inc_pooling_mode mode;
    bool pooled;         /* the output is a vector per text */
    bool include_prompt; /* false: pooling leaves the prompt's tokens out */
    bool normalize;
    bool plain_specials; /* no_parse_special */
    size_t max_length, batch_tokens;
    size_t output, n_outputs;  /* which output of how many */
    size_t model_width, width; /* before and after cutting to `dimensions` */
    struct inc_text_inputs inputs;
};

/* An embedder of a model that was made in another way than by loading `path`, beside which tokenizer and configuration
 * lie. Takes the model over, also on failure. */
enum incise_status inc_embedder_from_model(struct incise_model *model, const char *path,
                                           const struct incise_embed_options *options,
                                           struct incise_embedder **embedder) __attribute__((warn_unused_result));

#endif
