/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pooling_config.h"

#include <string.h>

static const struct {
    const char *name; /* on our command line */
    const char *flag; /* pooling_mode_<flag>: true */
    const char *mode; /* pooling_mode: <mode> */
} modes[] = {
    [INC_POOLING_MEAN] = {"mean", "mean_tokens", "mean"},
    [INC_POOLING_CLS] = {"cls", "cls_token", "cls"},
    [INC_POOLING_LAST] = {"last", "lasttoken", "lasttoken"},
    [INC_POOLING_MAX] = {"max", "max_tokens", "max"},
    [INC_POOLING_MEAN_SQRT_LEN] = {"mean_sqrt_len", "mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
};
#define N_MODES (sizeof modes / sizeof *modes)

static enum incise_status refuse(const struct inc_json *json, const char *key, const char *mode)
{
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: %s '%.64s' is not supported", json->label, key, mode);
}

/* Flags; exactly one must be set. */
static enum incise_status read_flags(const struct inc_json *json, enum inc_pooling_mode *mode)
{
    static const char prefix[] = "pooling_mode_";
    size_t n_set = 0;
    for (void *i = json_object_iter(json->root); i != NULL; i = json_object_iter_next(json->root, i)) {
        const char *key = json_object_iter_key(i);
        bool set = false;
        size_t m = 0;
        if (strncmp(key, prefix, sizeof prefix - 1) != 0) continue;
        INC_TRY(inc_json_bool(json, json->root, "pooling", key, &set));
        if (!set) continue;
        while (m < N_MODES && strcmp(modes[m].flag, key + sizeof prefix - 1) != 0) m++;
        if (m == N_MODES) return refuse(json, "the mode", key);
        if (n_set++ > 0) return refuse(json, "more than one mode, such as", key);
        *mode = (enum inc_pooling_mode)m;
    }
    if (n_set > 0) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: no pooling mode is set", json->label);
}

/* A string, or a list of one. */
static enum incise_status read_named(const struct inc_json *json, const json_t *value, enum inc_pooling_mode *mode)
{
    if (json_array_size(value) > 1) return refuse(json, "pooling_mode", "a list of several");
    if (json_is_array(value)) value = json_array_get(value, 0);
    const char *name = json_string_value(value);
    if (name == NULL)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: pooling_mode is not the name of a mode", json->label);
    for (size_t m = 0; m < N_MODES; m++) {
        if (strcmp(modes[m].mode, name) != 0) continue;
        *mode = (enum inc_pooling_mode)m;
        return INCISE_OK;
    }
    return refuse(json, "pooling_mode", name);
}

enum incise_status inc_pooling_read(const struct inc_json *json, struct inc_pooling *pooling)
{
    static const char *const dimensions[] = {"word_embedding_dimension", "embedding_dimension"};
    const json_t *named = json_object_get(json->root, "pooling_mode");
    *pooling = (struct inc_pooling){.mode = INC_POOLING_MEAN, .include_prompt = true};
    for (size_t i = 0; i < sizeof dimensions / sizeof *dimensions; i++)
        INC_TRY(inc_json_int(json, json->root, "pooling", dimensions[i], 1, INT32_MAX, &pooling->dimension));
    INC_TRY(inc_json_bool(json, json->root, "pooling", "include_prompt", &pooling->include_prompt));
    return named != NULL ? read_named(json, named, &pooling->mode) : read_flags(json, &pooling->mode);
}

const char *inc_pooling_name(enum inc_pooling_mode mode)
{
    return modes[mode].name;
}

bool inc_pooling_parse(const char *name, enum inc_pooling_mode *mode)
{
    for (size_t m = 0; m < N_MODES; m++) {
        if (strcmp(modes[m].name, name) != 0) continue;
        *mode = (enum inc_pooling_mode)m;
        return true;
    }
    return false;
}
