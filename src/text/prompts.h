/* SPDX-License-Identifier: Apache-2.0 */
/* What is written before a text: sentence-transformers' config_sentence_transformers.json (`prompts`,
 * `default_prompt_name`). */
#ifndef INC_TEXT_PROMPTS_H
#define INC_TEXT_PROMPTS_H

#include "base/json.h"

struct inc_prompts {
    const struct inc_ctx *ctx;
    struct inc_json json;     /* the file; root NULL without one */
    const char *default_name; /* NULL: none */
};

/* Reads `folder`/config_sentence_transformers.json; without that file there are no prompts. INCISE_ERROR_DATA for
 * prompts that are no strings and for a default that is none of them. */
enum incise_status inc_prompts_load(const struct inc_ctx *ctx, const char *folder, struct inc_prompts *prompts)
    __attribute__((warn_unused_result));
void inc_prompts_release(struct inc_prompts *prompts);

/* The prompt called `name`; it lives as long as `prompts` does. NULL: the default one, "" if there is none. Every model
 * has "query" and "document": "" where the file does not have them; a file without "document" may call it "passage" or
 * "corpus". INCISE_ERROR_USAGE for another name that the file does not have; the message lists those it has. */
enum incise_status inc_prompts_find(const struct inc_prompts *prompts, const char *name, const char **text)
    __attribute__((warn_unused_result));

#endif
