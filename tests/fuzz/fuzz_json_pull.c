/* SPDX-License-Identifier: Apache-2.0 */
/* The pull parser: what it takes jansson takes too, with the same strings and numbers; spans hold whole values. */
#include <jansson.h>
#include <string.h>

#include "base/json_pull.h"
#include "fuzz/fuzz.h"

static bool same(struct inc_json_pull *pull, const json_t *value);

static bool same_members(struct inc_json_pull *pull, const json_t *value)
{
    bool object = json_is_object(value), more;
    if (inc_json_pull_open(pull, object ? INC_JSON_OBJECT : INC_JSON_ARRAY) != INCISE_OK) return false;
    for (size_t i = 0;; i++) {
        const char *key;
        size_t n;
        if (inc_json_pull_next(pull, &more) != INCISE_OK) return false;
        if (!more) return i == (object ? json_object_size(value) : json_array_size(value));
        if (object && inc_json_pull_key(pull, &key, &n) != INCISE_OK) return false;
        if (!same(pull, object ? json_object_getn(value, key, n) : json_array_get(value, i))) return false;
    }
}

static bool same(struct inc_json_pull *pull, const json_t *value)
{
    struct inc_json_span span;
    const char *text;
    size_t n;
    double number;
    int64_t integer;
    switch (inc_json_pull_kind(pull)) {
    case INC_JSON_ARRAY:
    case INC_JSON_OBJECT: return value != NULL && same_members(pull, value);
    case INC_JSON_STRING:
        if (inc_json_pull_string(pull, &text, &n) != INCISE_OK) return false;
        return json_is_string(value) && json_string_length(value) == n &&
               memcmp(json_string_value(value), text, n) == 0;
    case INC_JSON_NUMBER:
        if (json_is_integer(value))
            return inc_json_pull_int(pull, INT64_MIN, INT64_MAX, &integer) == INCISE_OK &&
                   integer == json_integer_value(value);
        if (inc_json_pull_number(pull, &number) != INCISE_OK) return false;
        return json_is_real(value) && memcmp(&number, &(double){json_real_value(value)}, sizeof number) == 0;
    case INC_JSON_NONE: return false;
    default: return inc_json_pull_skip(pull, &span) == INCISE_OK && value != NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct inc_json_span document = {(const char *)data, size, (const char *)data, 0};
    struct inc_json_span span;
    struct inc_json_pull pull;
    struct inc_ctx ctx;
    json_error_t error;
    if (size == 0) return 0;
    inc_ctx_init(&ctx);
    inc_json_pull_init(&pull, &ctx, "fuzz", &document);
    bool valid = inc_json_pull_skip(&pull, &span) == INCISE_OK && inc_json_pull_end(&pull) == INCISE_OK;
    inc_json_pull_fini(&pull);
    if (!valid) return 0;
    json_t *value =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    enum json_error_code code = value != NULL ? json_error_unknown : json_error_code(&error);
    /* what only jansson refuses: repeated keys, NUL in keys, numbers out of range */
    if (value == NULL && code != json_error_duplicate_key && code != json_error_null_byte_in_key &&
        code != json_error_numeric_overflow)
        __builtin_trap();
    inc_json_pull_init(&pull, &ctx, "fuzz", &document);
    if (value != NULL && !same(&pull, value)) __builtin_trap();
    inc_json_pull_fini(&pull);
    json_decref(value);
    return 0;
}
