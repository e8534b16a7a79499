/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps "Replace" and "Split" look for: a string, a class of characters, or one of the regular expressions
 * that tokenizer files use. There is no engine for others. */
#ifndef INC_TEXT_PATTERN_H
#define INC_TEXT_PATTERN_H

#include "base/context.h"

struct inc_pattern;

/* The first match in text[at .. n), n > at; false if there is none. Looks no further than its end, or over characters
 * that no match can hold. */
typedef bool inc_match_fn(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                          size_t *end);

#define INC_ANY_SPACE UINT32_MAX

struct inc_pattern {
    inc_match_fn *find;
    char *string; /* of inc_match_string; owned */
    size_t n_string;
    uint32_t unit; /* of inc_match_run: this character, or INC_ANY_SPACE, */
    size_t least;  /* so many or more of it */
};

enum incise_status inc_pattern_string(struct inc_pattern *pattern, const struct inc_ctx *ctx, const char *string)
    __attribute__((warn_unused_result));
/* False for a regular expression that is not known. */
bool inc_pattern_regex(struct inc_pattern *pattern, const char *regex);

inc_match_fn inc_match_string, inc_match_run;
inc_match_fn inc_match_space, inc_match_punctuation, inc_match_digit; /* one character */
inc_match_fn inc_match_word;                                          /* \w+|[^\w\s]+ */
/* Words of these match one after the other, without anything between them. */
inc_match_fn inc_match_gpt2, inc_match_qwen, inc_match_llama;

#endif
