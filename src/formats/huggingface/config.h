/* SPDX-License-Identifier: Apache-2.0 */
/* Reading config.json: what families share. */
#ifndef INC_FORMATS_HUGGINGFACE_CONFIG_H
#define INC_FORMATS_HUGGINGFACE_CONFIG_H

#include "base/json.h"

#define INC_HF_MAX_LAYERS 1000
#define INC_HF_MAX_SIZE (1 << 24)

/* A size >= 1 and <= max. *out holds what a missing key means; 0: the key is required. */
struct inc_hf_size {
    const char *key;
    int64_t max, *out;
};

enum incise_status inc_hf_sizes(const struct inc_json *json, const struct inc_hf_size *sizes, size_t n)
    __attribute__((warn_unused_result));
/* A number > 0 and <= max; a missing key leaves *out. */
enum incise_status inc_hf_positive(const struct inc_json *json, const char *key, double max, double *out)
    __attribute__((warn_unused_result));
/* The key is missing or has just this value. */
enum incise_status inc_hf_only_string(const struct inc_json *json, const char *key, const char *only)
    __attribute__((warn_unused_result));
enum incise_status inc_hf_only_bool(const struct inc_json *json, const char *key, bool only)
    __attribute__((warn_unused_result));
enum incise_status inc_hf_only_int(const struct inc_json *json, const char *key, int64_t only)
    __attribute__((warn_unused_result));
/* The key is missing or null. */
enum incise_status inc_hf_only_null(const struct inc_json *json, const char *key) __attribute__((warn_unused_result));
/* Whether the key is there and not null. */
bool inc_hf_given(const struct inc_json *json, const char *key);
enum incise_status inc_hf_check_multiple(const struct inc_json *json, const char *key, int64_t value, const char *of,
                                         int64_t divisor) __attribute__((warn_unused_result));

#endif
