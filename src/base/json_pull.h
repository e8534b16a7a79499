/* SPDX-License-Identifier: Apache-2.0 */
/* Reads JSON value by value, for bulk data: nothing is built, a string without escapes is a pointer into the text.
 * Strict (RFC 8259): UTF-8, escapes, surrogate pairs, numbers and commas are checked; repeated keys by the caller. */
#ifndef INC_BASE_JSON_PULL_H
#define INC_BASE_JSON_PULL_H

#include "base/context.h"

#define INC_JSON_PULL_DEPTH 64

enum inc_json_kind {
    INC_JSON_NONE, /* no value starts here */
    INC_JSON_NULL,
    INC_JSON_BOOL,
    INC_JSON_NUMBER,
    INC_JSON_STRING,
    INC_JSON_ARRAY,
    INC_JSON_OBJECT
};

/* A part of a document. */
struct inc_json_span {
    const char *text;  /* borrowed; NULL: not there */
    size_t length;
    const char *start; /* of the document: lines are counted from there */
    size_t members;    /* of the array or object */
};

struct inc_json_pull {
    const struct inc_ctx *ctx;
    const char *label; /* for messages; borrowed */
    const char *start; /* of the document */
    const char *at, *end;
    char *decoded;   /* the last string that had escapes */
    size_t decoded_capacity;
    uint64_t arrays; /* bit d: the container at depth d is an array */
    unsigned depth;
    bool first; /* nothing was read of the innermost container */
};

void inc_json_pull_init(struct inc_json_pull *pull, const struct inc_ctx *ctx, const char *label,
                        const struct inc_json_span *span);
void inc_json_pull_fini(struct inc_json_pull *pull);

/* All that follow report what is wrong, with label and line, as INCISE_ERROR_DATA. */

/* What comes next; pull->at is then its first byte. */
enum inc_json_kind inc_json_pull_kind(struct inc_json_pull *pull);
/* Enters an array or object. */
enum incise_status inc_json_pull_open(struct inc_json_pull *pull, enum inc_json_kind kind)
    __attribute__((warn_unused_result));
/* To the next element or key of the innermost container; leaves the container when there is none. */
enum incise_status inc_json_pull_next(struct inc_json_pull *pull, bool *more) __attribute__((warn_unused_result));
/* A string or a key; valid until the next call. It may hold NUL bytes. */
enum incise_status inc_json_pull_string(struct inc_json_pull *pull, const char **text, size_t *length)
    __attribute__((warn_unused_result));
enum incise_status inc_json_pull_key(struct inc_json_pull *pull, const char **text, size_t *length)
    __attribute__((warn_unused_result));
/* A number in [min, max] without fraction and exponent. */
enum incise_status inc_json_pull_int(struct inc_json_pull *pull, int64_t min, int64_t max, int64_t *out)
    __attribute__((warn_unused_result));
/* The text of a number. */
enum incise_status inc_json_pull_digits(struct inc_json_pull *pull, const char **text, size_t *length)
    __attribute__((warn_unused_result));
/* A finite number. */
enum incise_status inc_json_pull_number(struct inc_json_pull *pull, double *out) __attribute__((warn_unused_result));
/* Checks a whole value and says where it is. */
enum incise_status inc_json_pull_skip(struct inc_json_pull *pull, struct inc_json_span *span)
    __attribute__((warn_unused_result));
/* Nothing but white space may be left. */
enum incise_status inc_json_pull_end(struct inc_json_pull *pull) __attribute__((warn_unused_result));
/* Reports `format` with label and line as INCISE_ERROR_DATA. */
enum incise_status inc_json_pull_fail(const struct inc_json_pull *pull, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
