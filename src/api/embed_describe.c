/* SPDX-License-Identifier: Apache-2.0 */
/* What decides the bits of an embedder's vectors, as text. */
#include <stdio.h>
#include <string.h>

#include "api/embed_internal.h"
#include "base/buffer.h"
#include "base/file.h"
#include "formats/pack/pack_file.h"

/* Appends the hash of `folder``name` to `hashes` if there is such a file. */
static enum incise_status add_hash(const struct inc_ctx *ctx, const char *folder, const char *name,
                                   struct inc_buffer *hashes)
{
    struct inc_buffer path;
    char hex[INC_HASH_HEX];
    uint64_t size;
    inc_buffer_init(&path, ctx);
    inc_buffer_printf(&path, "%s%s", folder, name);
    enum incise_status status = inc_buffer_check(&path);
    if (status == INCISE_OK && inc_file_size(path.data, &size)) {
        status = inc_file_hash(ctx, path.data, hex);
        if (status == INCISE_OK) inc_buffer_printf(hashes, "%s%s", hashes->length > 0 ? " " : "", hex);
    }
    inc_buffer_fini(&path);
    return status;
}

/* The .xml and the .bin beside it. A pack knows the hashes of the files that it is loaded for. */
static enum incise_status hash_model(const struct incise_embedder *e, struct inc_buffer *hashes)
{
    const struct inc_ctx *ctx = &e->engine->ctx;
    const struct inc_pack *pack = e->model->pack;
    struct inc_buffer stem;
    if (pack != NULL) {
        inc_buffer_printf(hashes, "%s%s%s", pack->stamp.xml_hash, pack->bin_hash[0] != '\0' ? " " : "", pack->bin_hash);
        return INCISE_OK;
    }
    inc_buffer_init(&stem, ctx);
    bool folder = inc_is_folder(e->model_path);
    size_t length = strlen(e->model_path);
    inc_buffer_append(&stem, e->model_path, folder || length < 4 ? length : length - 4);
    if (folder) inc_buffer_puts(&stem, "/openvino_model");
    enum incise_status status = inc_buffer_check(&stem);
    if (status == INCISE_OK) status = add_hash(ctx, stem.data, ".xml", hashes);
    if (status == INCISE_OK) status = add_hash(ctx, stem.data, ".bin", hashes);
    inc_buffer_fini(&stem);
    return status;
}

/* All that a tokenizer may be read from. */
static enum incise_status hash_tokenizer(const struct incise_embedder *e, struct inc_buffer *hashes)
{
    static const char *const names[] = {"/tokenizer.json", "/vocab.txt", "/tokenizer_config.json"};
    const struct inc_ctx *ctx = &e->engine->ctx;
    char *folder = NULL;
    bool is_folder = inc_is_folder(e->tokenizer_path);
    if (!is_folder) INC_TRY(add_hash(ctx, e->tokenizer_path, "", hashes));
    enum incise_status status = inc_folder_of(ctx, e->tokenizer_path, &folder);
    for (size_t i = is_folder ? 0 : 2; i < sizeof names / sizeof *names && status == INCISE_OK; i++)
        status = add_hash(ctx, folder, names[i], hashes);
    inc_free(ctx, folder);
    return status;
}

enum incise_status incise_embedder_describe(const struct incise_embedder *e, const char *prompt,
                                            incise_property_fn *property, void *user)
{
    static const char *const computes[] = {"auto", "float", "int8", "int8-attention"};
    const char *text;
    struct inc_buffer model, tokenizer;
    char width[32], length[32];
    INC_TRY(incise_embedder_prompt(e, prompt, &text));
    inc_buffer_init(&model, &e->engine->ctx);
    inc_buffer_init(&tokenizer, &e->engine->ctx);
    enum incise_status status = hash_model(e, &model);
    if (status == INCISE_OK) status = hash_tokenizer(e, &tokenizer);
    if (status == INCISE_OK) status = inc_buffer_check(&model);
    if (status == INCISE_OK) status = inc_buffer_check(&tokenizer);
    if (status == INCISE_OK) {
        snprintf(width, sizeof width, "%zu", e->width);
        snprintf(length, sizeof length, "%zu", e->max_length);
        const char *const properties[][2] = {
            {"incise", incise_version()},
            {"model", model.data},
            {"tokenizer", tokenizer.data},
            {"isa", incise_isa_name(e->engine->isa)},
            {"compute", computes[e->compute]},
            {"max_length", length},
            {"prompt", text},
            {"pooling", e->pooled ? "sentence_embedding" : inc_pooling_name(e->mode)},
            {"include_prompt", e->include_prompt ? "true" : "false"},
            {"width", width},
            {"normalize", e->normalize ? "true" : "false"},
            {"parse_special", e->plain_specials ? "false" : "true"},
        };
        for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
            property(user, properties[i][0], properties[i][1]);
    }
    inc_buffer_fini(&model);
    inc_buffer_fini(&tokenizer);
    return status;
}
