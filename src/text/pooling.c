/* SPDX-License-Identifier: Apache-2.0 */
#include "text/pooling.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

#define MAX_FILE (1 << 20)

enum incise_status inc_pooling_load(const struct inc_ctx *ctx, const char *folder, struct inc_pooling *pooling,
                                    bool *found)
{
    char path[4096];
    uint64_t size;
    struct inc_json json;
    *pooling = (struct inc_pooling){.mode = INC_POOLING_MEAN, .include_prompt = true};
    int n = snprintf(path, sizeof path, "%s/1_Pooling/config.json", folder);
    *found = n > 0 && (size_t)n < sizeof path && inc_file_size(path, &size);
    if (!*found) return INCISE_OK;
    INC_TRY(inc_json_read(ctx, path, MAX_FILE, &json));
    enum incise_status status = inc_pooling_read(&json, pooling);
    inc_json_release(&json);
    return status;
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
