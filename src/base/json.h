/* SPDX-License-Identifier: Apache-2.0 */
/* JSON files through jansson, with checks that report file, key and reason. For configuration files, not for bulk data:
 * a document may take some 40 times its size in memory. */
#ifndef INC_BASE_JSON_H
#define INC_BASE_JSON_H

#include <jansson.h>

#include "base/context.h"

struct inc_json {
    const struct inc_ctx *ctx;
    const char *label; /* for messages; borrowed */
    json_t *root;      /* an object */
};

/* Parses text whose root must be an object. Repeated keys, invalid UTF-8 and nesting deeper than jansson's limit are
 * INCISE_ERROR_DATA. */
enum incise_status inc_json_parse(const struct inc_ctx *ctx, const char *label, const void *text, size_t length,
                                  struct inc_json *json) __attribute__((warn_unused_result));
enum incise_status inc_json_read(const struct inc_ctx *ctx, const char *path, size_t max_bytes, struct inc_json *json)
    __attribute__((warn_unused_result));
void inc_json_release(struct inc_json *json);

/* Members of `object`, called `where` in messages. A missing key leaves *out as it is; another type is
 * INCISE_ERROR_DATA (so is null, except where said). Strings live as long as the document. */
enum incise_status inc_json_bool(const struct inc_json *json, const json_t *object, const char *where, const char *key,
                                 bool *out) __attribute__((warn_unused_result));
enum incise_status inc_json_int(const struct inc_json *json, const json_t *object, const char *where, const char *key,
                                int64_t min, int64_t max, int64_t *out) __attribute__((warn_unused_result));
enum incise_status inc_json_number(const struct inc_json *json, const json_t *object, const char *where,
                                   const char *key, double *out) __attribute__((warn_unused_result));
enum incise_status inc_json_string(const struct inc_json *json, const json_t *object, const char *where,
                                   const char *key, const char **out) __attribute__((warn_unused_result));
/* Every key of `object` must be one of the space-separated `allowed`. */
enum incise_status inc_json_only(const struct inc_json *json, json_t *object, const char *where, const char *allowed)
    __attribute__((warn_unused_result));

#endif
