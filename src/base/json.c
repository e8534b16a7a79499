/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <string.h>

#include "base/file.h"

enum incise_status inc_json_parse(const struct inc_ctx *ctx, const char *label, const void *text, size_t length,
                                  struct inc_json *json)
{
    json_error_t error;
    json->ctx = ctx;
    json->label = label;
    json->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (json->root == NULL) {
        if (json_error_code(&error) == json_error_out_of_memory) return inc_fail_memory(ctx, length, label);
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: line %d: %s", label, error.line, error.text);
    }
    if (!json_is_object(json->root)) {
        inc_json_release(json);
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: not a JSON object", label);
    }
    return INCISE_OK;
}

enum incise_status inc_json_read(const struct inc_ctx *ctx, const char *path, size_t max_bytes, struct inc_json *json)
{
    struct inc_file file;
    INC_TRY(inc_file_read(ctx, path, max_bytes, &file));
    enum incise_status status = inc_json_parse(ctx, path, file.data, file.size, json);
    inc_file_release(ctx, &file);
    return status;
}

void inc_json_release(struct inc_json *json)
{
    json_decref(json->root);
    json->root = NULL;
}

static enum incise_status wrong(const struct inc_json *json, const char *where, const char *key, const char *expected)
{
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s: '%s' is not %s", json->label, where, key, expected);
}

enum incise_status inc_json_bool(const struct inc_json *json, const json_t *object, const char *where, const char *key,
                                 bool *out)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL) return INCISE_OK;
    if (!json_is_boolean(value)) return wrong(json, where, key, "true or false");
    *out = json_is_true(value);
    return INCISE_OK;
}

enum incise_status inc_json_int(const struct inc_json *json, const json_t *object, const char *where, const char *key,
                                int64_t min, int64_t max, int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL) return INCISE_OK;
    if (!json_is_integer(value)) return wrong(json, where, key, "an integer");
    int64_t number = json_integer_value(value);
    if (number < min || number > max)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s: '%s' is %lld, outside %lld..%lld", json->label, where,
                        key, (long long)number, (long long)min, (long long)max);
    *out = number;
    return INCISE_OK;
}

enum incise_status inc_json_number(const struct inc_json *json, const json_t *object, const char *where,
                                   const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL) return INCISE_OK;
    if (!json_is_number(value)) return wrong(json, where, key, "a number");
    *out = json_number_value(value);
    return INCISE_OK;
}

enum incise_status inc_json_string(const struct inc_json *json, const json_t *object, const char *where,
                                   const char *key, const char **out)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL) return INCISE_OK;
    if (!json_is_string(value)) return wrong(json, where, key, "a string");
    *out = json_string_value(value);
    return INCISE_OK;
}

static bool listed(const char *key, const char *allowed)
{
    size_t n = strlen(key);
    for (const char *at = allowed; *at != '\0'; at += *at == ' ') {
        size_t length = strcspn(at, " ");
        if (length == n && memcmp(at, key, n) == 0) return true;
        at += length;
    }
    return false;
}

enum incise_status inc_json_only(const struct inc_json *json, json_t *object, const char *where, const char *allowed)
{
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        const char *key = json_object_iter_key(i);
        if (!listed(key, allowed))
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s: '%.64s' is not supported", json->label, where, key);
    }
    return INCISE_OK;
}
