/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/huggingface.h"

#include <stdio.h>

#include "base/json.h"
#include "formats/huggingface/build.h"
#include "formats/huggingface/modules.h"

#define MAX_CONFIG (16 << 20)
#define MAX_PATH 4096

static enum incise_status make_path(const struct inc_ctx *ctx, const char *folder, const char *name,
                                    char path[MAX_PATH])
{
    int n = snprintf(path, MAX_PATH, "%s/%s", folder, name);
    if (n > 0 && n < MAX_PATH) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%.100s...: the path is too long", folder);
}

static enum incise_status append_modules(struct inc_hf_builder *b, const struct inc_hf_checkpoint *checkpoint)
{
    return inc_hf_append_modules(b, checkpoint->user);
}

static enum incise_status read_folder(const struct inc_ctx *ctx, const char *folder, bool embedding,
                                      struct inc_graph **graph)
{
    char config_path[MAX_PATH];
    struct inc_hf_checkpoint checkpoint = {.append = embedding ? append_modules : NULL, .user = folder};
    *graph = NULL;
    INC_TRY(make_path(ctx, folder, "config.json", config_path));
    INC_TRY(inc_json_read(ctx, config_path, MAX_CONFIG, &checkpoint.config));
    enum incise_status status = inc_hf_weights_open(ctx, folder, &checkpoint.weights);
    if (status == INCISE_OK) status = inc_hf_build(&checkpoint, graph);
    inc_hf_weights_release(&checkpoint.weights);
    inc_json_release(&checkpoint.config);
    return status;
}

enum incise_status inc_hf_read(const struct inc_ctx *ctx, const char *folder, struct inc_graph **graph)
{
    return read_folder(ctx, folder, false, graph);
}

enum incise_status inc_hf_read_embedding(const struct inc_ctx *ctx, const char *folder, struct inc_graph **graph)
{
    return read_folder(ctx, folder, true, graph);
}

enum incise_status inc_hf_copy_sidecars(const char *folder, struct inc_output *out)
{
    static const char *const names[] = {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "modules.json",
        "config_sentence_transformers.json", "sentence_bert_config.json", "1_Pooling/config.json",
        "2_Dense/config.json", "2_Dense/model.safetensors", "3_Dense/config.json", "3_Dense/model.safetensors",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) INC_TRY(inc_output_copy(out, folder, names[i], NULL));
    return INCISE_OK;
}
