/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a tokenizer.json: what its parts share. */
#ifndef INC_TEXT_TOKENIZER_LOADER_H
#define INC_TEXT_TOKENIZER_LOADER_H

#include "text/tokenizer_parts.h"

struct inc_loader {
    struct inc_json json; /* without the model's bulk */
    struct inc_model_source source;
    struct inc_tokenizer *tokenizer;
};

/* A kind of step: its "type", and what reads its object. */
struct inc_step_type {
    const char *name;
    enum incise_status (*load)(struct inc_loader *l, json_t *section);
};

/* "LABEL: SECTION 'WHAT' is not supported" as INCISE_ERROR_DATA. */
enum incise_status inc_unsupported(const struct inc_loader *l, const char *section, const char *what);
/* null, one step, or {"type": "Sequence", `list`: [steps]}, which may hold further ones. `types` ends with NULL. */
enum incise_status inc_load_steps(struct inc_loader *l, const char *key, const char *list,
                                  const struct inc_step_type *types) __attribute__((warn_unused_result));

/* Checks the whole document; `source` gets the spans of the bulk, `rest` a document with 0 in their places. */
enum incise_status inc_tokenizer_split(const struct inc_ctx *ctx, const char *label, const void *text, size_t length,
                                       struct inc_model_source *source, struct inc_buffer *rest)
    __attribute__((warn_unused_result));
/* A tokenizer from the two; `source` lives for the call, its blob as long as the tokenizer. */
enum incise_status inc_tokenizer_assemble(const struct inc_ctx *ctx, const char *label, const struct inc_buffer *rest,
                                          const struct inc_model_source *source, struct inc_tokenizer **tokenizer)
    __attribute__((warn_unused_result));

enum incise_status inc_load_normalizer(struct inc_loader *l) __attribute__((warn_unused_result));
enum incise_status inc_load_pre_tokenizer(struct inc_loader *l) __attribute__((warn_unused_result));

#endif
