/* SPDX-License-Identifier: Apache-2.0 */
#include "text/text_length.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

#define MAX_CONFIG     (16 << 20)
#define DEFAULT_LENGTH 512

/* Key `key` of `folder`/`name` if there is such a file and key. */
static enum incise_status read_config(const struct inc_ctx *ctx, const char *folder, const char *name, const char *key,
                                      int64_t *number)
{
    struct inc_json json;
    uint64_t ignored;
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = inc_alloc(ctx, size);
    if (path == NULL) return inc_fail_memory(ctx, size, "a path");
    snprintf(path, size, "%s/%s", folder, name);
    enum incise_status status = INCISE_OK;
    if (inc_file_size(path, &ignored)) {
        status = inc_json_read(ctx, path, MAX_CONFIG, &json);
        if (status == INCISE_OK) {
            if (!json_is_null(json_object_get(json.root, key)))
                status = inc_json_int(&json, json.root, name, key, 1, INT32_MAX, number);
            inc_json_release(&json);
        }
    }
    inc_free(ctx, path);
    return status;
}

enum incise_status inc_text_length(const struct inc_ctx *ctx, const char *folder, const struct inc_tokenizer *tokenizer,
                                   size_t *result)
{
    int64_t length = 0, positions = DEFAULT_LENGTH;
    INC_TRY(read_config(ctx, folder, "sentence_bert_config.json", "max_seq_length", &length));
    if (length == 0) length = (int64_t)inc_tokenizer_max_tokens(tokenizer);
    if (length == 0) {
        INC_TRY(read_config(ctx, folder, "config.json", "max_position_embeddings", &positions));
        length = positions < DEFAULT_LENGTH ? positions : DEFAULT_LENGTH;
    }
    *result = (size_t)length;
    return INCISE_OK;
}
