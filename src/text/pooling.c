/* SPDX-License-Identifier: Apache-2.0 */
#include "text/pooling.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

#define MAX_FILE (1 << 20)

static const struct {
    const char *name;
    const char *key;
    enum inc_pooling_mode mode;
} modes[] = {
    {"mean", "pooling_mode_mean_tokens", INC_POOLING_MEAN},
    {"cls", "pooling_mode_cls_token", INC_POOLING_CLS},
    {"last", "pooling_mode_lasttoken", INC_POOLING_LAST},
    {"max", "pooling_mode_max_tokens", INC_POOLING_MAX},
    {"mean_sqrt_len", "pooling_mode_mean_sqrt_len_tokens", INC_POOLING_MEAN_SQRT_LEN},
};
#define N_MODES (sizeof modes / sizeof *modes)

static enum incise_status read_mode(const struct inc_json *json, struct inc_pooling *pooling)
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
        while (m < N_MODES && strcmp(modes[m].key, key) != 0) m++;
        if (m == N_MODES || n_set++ > 0)
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: '%.64s' is not supported%s", json->label, key,
                            m < N_MODES ? " together with another mode" : "");
        pooling->mode = modes[m].mode;
    }
    if (n_set > 0) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: no pooling mode is set", json->label);
}

enum incise_status inc_pooling_load(const struct inc_ctx *ctx, const char *folder, struct inc_pooling *pooling,
                                    bool *found)
{
    char path[4096];
    uint64_t size;
    struct inc_json json;
    pooling->mode = INC_POOLING_MEAN;
    pooling->dimension = 0;
    pooling->include_prompt = true;
    int n = snprintf(path, sizeof path, "%s/1_Pooling/config.json", folder);
    *found = n > 0 && (size_t)n < sizeof path && inc_file_size(path, &size);
    if (!*found) return INCISE_OK;
    INC_TRY(inc_json_read(ctx, path, MAX_FILE, &json));
    enum incise_status status =
        inc_json_int(&json, json.root, "pooling", "word_embedding_dimension", 1, INT32_MAX, &pooling->dimension);
    if (status == INCISE_OK)
        status = inc_json_bool(&json, json.root, "pooling", "include_prompt", &pooling->include_prompt);
    if (status == INCISE_OK) status = read_mode(&json, pooling);
    inc_json_release(&json);
    return status;
}

const char *inc_pooling_name(enum inc_pooling_mode mode)
{
    for (size_t m = 0; m < N_MODES; m++) {
        if (modes[m].mode == mode) return modes[m].name;
    }
    return "";
}

bool inc_pooling_parse(const char *name, enum inc_pooling_mode *mode)
{
    for (size_t m = 0; m < N_MODES; m++) {
        if (strcmp(modes[m].name, name) != 0) continue;
        *mode = modes[m].mode;
        return true;
    }
    return false;
}

void inc_pooling_apply(enum inc_pooling_mode mode, const float *rows, size_t n, size_t width, double *vector)
{
    const float *first = mode == INC_POOLING_LAST ? rows + (n - 1) * width : rows;
    double divisor = mode == INC_POOLING_MEAN ? (double)n : sqrt((double)n);
    for (size_t k = 0; k < width; k++) vector[k] = (double)first[k];
    if (mode == INC_POOLING_CLS || mode == INC_POOLING_LAST) return;
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < width; k++) {
            double value = (double)rows[i * width + k];
            if (mode != INC_POOLING_MAX)
                vector[k] += value;
            else if (isnan(value) || value > vector[k]) /* NaN stays */
                vector[k] = value;
        }
    if (mode == INC_POOLING_MAX) return;
    for (size_t k = 0; k < width; k++) vector[k] /= divisor;
}
