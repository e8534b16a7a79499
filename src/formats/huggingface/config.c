/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/config.h"

#include <string.h>

enum incise_status inc_hf_sizes(const struct inc_json *json, const struct inc_hf_size *sizes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        INC_TRY(inc_json_int(json, json->root, "config", sizes[i].key, 1, sizes[i].max, sizes[i].out));
        if (*sizes[i].out == 0)
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: '%s' is missing", json->label, sizes[i].key);
    }
    return INCISE_OK;
}

enum incise_status inc_hf_positive(const struct inc_json *json, const char *key, double max, double *out)
{
    INC_TRY(inc_json_number(json, json->root, "config", key, out));
    if (*out > 0 && *out <= max) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: bad %s", json->label, key);
}

enum incise_status inc_hf_only_string(const struct inc_json *json, const char *key, const char *only)
{
    const char *value = only;
    INC_TRY(inc_json_string(json, json->root, "config", key, &value));
    if (strcmp(value, only) == 0) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s '%.64s' is not supported", json->label, key, value);
}

enum incise_status inc_hf_only_bool(const struct inc_json *json, const char *key, bool only)
{
    bool value = only;
    INC_TRY(inc_json_bool(json, json->root, "config", key, &value));
    if (value == only) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s %s is not supported", json->label, key,
                    value ? "true" : "false");
}

enum incise_status inc_hf_only_int(const struct inc_json *json, const char *key, int64_t only)
{
    int64_t value = only;
    INC_TRY(inc_json_int(json, json->root, "config", key, INT64_MIN, INT64_MAX, &value));
    if (value == only) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s %lld is not supported", json->label, key, (long long)value);
}

bool inc_hf_given(const struct inc_json *json, const char *key)
{
    const json_t *value = json_object_get(json->root, key);
    return value != NULL && !json_is_null(value);
}

enum incise_status inc_hf_only_null(const struct inc_json *json, const char *key)
{
    if (!inc_hf_given(json, key)) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s is not supported", json->label, key);
}

enum incise_status inc_hf_check_multiple(const struct inc_json *json, const char *key, int64_t value, const char *of,
                                         int64_t divisor)
{
    if (value % divisor == 0) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s %lld is no multiple of %s %lld", json->label, key,
                    (long long)value, of, (long long)divisor);
}
