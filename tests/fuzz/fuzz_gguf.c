/* SPDX-License-Identifier: Apache-2.0 */
/* The GGUF reader, the graph and the tokenizer.json of what it accepts; every tensor that can be decoded is. */
#include "formats/gguf/gguf_model.h"
#include "fuzz/fuzz.h"

static void decode_all(const struct inc_gguf *file)
{
    float values[INC_GGUF_MAX_BLOCK];
    for (size_t i = 0; i < file->n_tensors; i++) {
        const struct inc_gguf_tensor *t = &file->tensors[i];
        if (inc_gguf_find_tensor(file, t->name) != t) __builtin_trap();
        size_t block = t->type->values, n = (size_t)(t->bytes / t->type->bytes);
        for (size_t k = 0; k < n && t->type->decode != NULL; k++)
            if (inc_gguf_read_f32(file, t, k * block, block, values) != INCISE_OK) __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inc_ctx ctx;
    struct inc_gguf file;
    struct inc_graph *graph;
    struct inc_buffer text;
    inc_ctx_init(&ctx);
    if (inc_gguf_open_memory(&ctx, "fuzz", data, size, &file) != INCISE_OK) return 0;
    for (size_t i = 0; i < file.n_values; i++)
        if (inc_gguf_find(&file, file.values[i].key) != &file.values[i]) __builtin_trap();
    decode_all(&file);
    for (unsigned task = 0; task < 4; task++) {
        const struct inc_gguf_options options = {.embedding = task % 2 != 0, .keep_quantized = task / 2 != 0};
        if (inc_gguf_build(&file, &options, &graph) == INCISE_OK) inc_graph_destroy(graph);
    }
    inc_buffer_init(&text, &ctx);
    (void)!inc_gguf_tokenizer_json(&file, &text);
    inc_buffer_fini(&text);
    inc_gguf_close(&file);
    return 0;
}
