/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/gguf_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/huggingface/build.h"
#include "formats/huggingface/sentence.h"

#define GROUP 32 /* values that share a scale in Q8_0 and Q4_0 */

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Names without ".weight" or ".bias"; '%' stands for a layer's number. */
static const struct {
    const char *hf, *gguf;
} names[] = {
    /* gemma3, gemma-embedding */
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm"},
    {"lm_head", "output"},
    {"layers.%.input_layernorm", "blk.%.attn_norm"},
    {"layers.%.self_attn.q_proj", "blk.%.attn_q"},
    {"layers.%.self_attn.k_proj", "blk.%.attn_k"},
    {"layers.%.self_attn.v_proj", "blk.%.attn_v"},
    {"layers.%.self_attn.q_norm", "blk.%.attn_q_norm"},
    {"layers.%.self_attn.k_norm", "blk.%.attn_k_norm"},
    {"layers.%.self_attn.o_proj", "blk.%.attn_output"},
    {"layers.%.post_attention_layernorm", "blk.%.post_attention_norm"},
    {"layers.%.pre_feedforward_layernorm", "blk.%.ffn_norm"},
    {"layers.%.mlp.gate_proj", "blk.%.ffn_gate"},
    {"layers.%.mlp.up_proj", "blk.%.ffn_up"},
    {"layers.%.mlp.down_proj", "blk.%.ffn_down"},
    {"layers.%.post_feedforward_layernorm", "blk.%.post_ffw_norm"},
    {"2_Dense.linear", "dense_2"},
    {"3_Dense.linear", "dense_3"},
    /* bert */
    {"embeddings.word_embeddings", "token_embd"},
    {"embeddings.token_type_embeddings", "token_types"},
    {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.LayerNorm", "token_embd_norm"},
    {"encoder.layer.%.attention.self.query", "blk.%.attn_q"},
    {"encoder.layer.%.attention.self.key", "blk.%.attn_k"},
    {"encoder.layer.%.attention.self.value", "blk.%.attn_v"},
    {"encoder.layer.%.attention.output.dense", "blk.%.attn_output"},
    {"encoder.layer.%.attention.output.LayerNorm", "blk.%.attn_output_norm"},
    {"encoder.layer.%.intermediate.dense", "blk.%.ffn_up"},
    {"encoder.layer.%.output.dense", "blk.%.ffn_down"},
    {"encoder.layer.%.output.LayerNorm", "blk.%.layer_output_norm"},
};

/* Whether the first `n` bytes of `name` are `pattern`; `number` gets the digits at its '%'. */
static bool match_name(const char *name, size_t n, const char *pattern, char number[16])
{
    const char *end = name + n;
    size_t digits = 0;
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '%') {
            for (; name < end && *name >= '0' && *name <= '9' && digits < 15; name++) number[digits++] = *name;
            if (digits == 0) return false;
        } else if (name == end || *name++ != *pattern) {
            return false;
        }
    }
    number[digits] = '\0';
    return name == end;
}

static const char *file_name(const struct inc_hf_weights *weights, const char *name, char *buffer)
{
    const char *leaf = strrchr(name, '.');
    char number[16];
    (void)weights;
    for (size_t i = 0; leaf != NULL && i < sizeof names / sizeof *names; i++) {
        if (!match_name(name, (size_t)(leaf - name), names[i].hf, number)) continue;
        const char *hole = strchr(names[i].gguf, '%'), *rest = hole != NULL ? hole + 1 : "";
        int before = hole != NULL ? (int)(hole - names[i].gguf) : INC_HF_MAX_NAME;
        snprintf(buffer, INC_HF_MAX_NAME, "%.*s%s%s%s", before, names[i].gguf, number, rest, leaf);
        return buffer;
    }
    return name;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

static const struct inc_gguf_tensor *stored(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor)
{
    return &((const struct inc_gguf *)weights->files)->tensors[tensor->index];
}

static enum incise_status read_stored(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor,
                                      size_t first, size_t n, float *out)
{
    return inc_gguf_read_f32(weights->files, stored(weights, tensor), first, n, out);
}

static bool is_grouped(const struct inc_gguf_tensor *tensor)
{
    return tensor->rank == 2 && (tensor->type->id == INC_GGUF_Q8_0 || tensor->type->id == INC_GGUF_Q4_0);
}

/* A block is its f16 scale and 32 bytes, or 16 that hold values j and j + 16, plus 8, in nibbles. */
static void unpack_block(const uint8_t *block, bool nibbles, uint16_t *scale, uint8_t *q)
{
    *scale = (uint16_t)(block[0] | block[1] << 8);
    if (!nibbles) {
        memcpy(q, block + 2, GROUP);
        return;
    }
    for (int j = 0; j < GROUP / 4; j++) { /* u4 - 8 as i4: the highest bit is turned over */
        const uint8_t *two = block + 2 + 2 * j;
        q[j] = (uint8_t)((two[0] & 15) | (two[1] & 15) << 4) ^ 0x88;
        q[j + GROUP / 4] = (uint8_t)(two[0] >> 4 | (two[1] & 0xf0)) ^ 0x88;
    }
}

static enum incise_status unpack(const struct inc_gguf *file, const struct inc_gguf_tensor *tensor,
                                 struct inc_tensor *q, struct inc_tensor *scale)
{
    uint8_t chunk[34 * 512];
    bool nibbles = tensor->type->id == INC_GGUF_Q4_0;
    size_t n = inc_tensor_elements(scale), bytes = tensor->type->bytes, group_bytes = nibbles ? GROUP / 2 : GROUP;
    for (size_t first = 0, now; first < n; first += now) {
        now = inc_min_size(n - first, sizeof chunk / bytes);
        INC_TRY(inc_gguf_read_blocks(file, tensor, first, now, chunk));
        for (size_t i = 0; i < now; i++)
            unpack_block(chunk + i * bytes, nibbles, (uint16_t *)scale->data + first + i,
                         (uint8_t *)q->data + (first + i) * group_bytes);
    }
    return INCISE_OK;
}

static enum incise_status read_grouped(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor,
                                       struct inc_tensor *q, struct inc_tensor *scale)
{
    const struct inc_gguf_tensor *from = stored(weights, tensor);
    if (!is_grouped(from)) return INCISE_OK;
    const int64_t dims[] = {from->dims[0], from->dims[1] / GROUP, GROUP}, scales[] = {dims[0], dims[1], 1};
    INC_TRY(inc_tensor_create(weights->ctx, from->type->id == INC_GGUF_Q4_0 ? INC_I4 : INC_I8, 3, dims, q));
    enum incise_status status = inc_tensor_create(weights->ctx, INC_F16, 3, scales, scale);
    if (status == INCISE_OK) status = unpack(weights->files, from, q, scale);
    if (status == INCISE_OK) return INCISE_OK;
    inc_tensor_release(weights->ctx, q);
    inc_tensor_release(weights->ctx, scale);
    return status;
}

/* The caller closes the file. */
static const struct inc_hf_source float_source = {.name = file_name, .read = read_stored};
static const struct inc_hf_source grouped_source = {.name = file_name, .read = read_stored, .grouped = read_grouped};

static enum incise_status list_tensors(struct inc_gguf *file, const struct inc_gguf_options *options,
                                       struct inc_hf_weights *weights)
{
    size_t n = file->n_tensors, n_grouped = 0;
    *weights = (struct inc_hf_weights){.ctx = file->ctx, .files = file, .label = file->label, .whole_gains = true};
    weights->source = options->keep_quantized ? &grouped_source : &float_source;
    inc_arena_init(&weights->arena, file->ctx);
    weights->tensors = inc_arena_alloc(&weights->arena, n + 1, sizeof *weights->tensors);
    if (weights->tensors == NULL) return inc_fail_memory(file->ctx, n * sizeof *weights->tensors, "weights");
    weights->n_tensors = n;
    for (size_t i = 0; i < n; i++) { /* sorted as the file's */
        const struct inc_gguf_tensor *from = &file->tensors[i];
        struct inc_hf_tensor *to = &weights->tensors[i];
        *to = (struct inc_hf_tensor){.name = from->name, .file = file->label, .type = from->type->name,
                                     .readable = from->type->decode != NULL, .rank = from->rank, .index = i};
        memcpy(to->dims, from->dims, sizeof from->dims);
        n_grouped += is_grouped(from);
        to->used = !options->embedding && strncmp(to->name, "dense_", 6) == 0;
    }
    if (n_grouped > 0 || !options->keep_quantized) return INCISE_OK;
    return inc_fail(file->ctx, INCISE_ERROR_USAGE,
                    "%s: there is nothing quantized to keep: no matrix has type Q8_0 or Q4_0", file->label);
}

/* ---- text vectors ------------------------------------------------------------------------------------------------ */

static const enum inc_pooling_mode pooling_modes[] = {
    [INC_GGUF_POOL_MEAN] = INC_POOLING_MEAN,
    [INC_GGUF_POOL_CLS] = INC_POOLING_CLS,
    [INC_GGUF_POOL_LAST] = INC_POOLING_LAST,
};

/* As llama.cpp's embedding tool: pooling, the dense layers that are there, length 1. */
static enum incise_status append_sentence(struct inc_hf_builder *b, const struct inc_hf_checkpoint *checkpoint)
{
    static const char *const dense[][3] = {{"dense_2.weight", "2_Dense", "2_Dense.linear"},
                                           {"dense_3.weight", "3_Dense", "3_Dense.linear"}};
    struct inc_gguf *file = checkpoint->weights.files;
    struct inc_hf_sentence sentence;
    enum inc_gguf_pooling pooling;
    INC_TRY(inc_gguf_get_pooling(file, &pooling));
    if (pooling == INC_GGUF_POOL_NONE)
        return inc_fail(b->ctx, INCISE_ERROR_DATA,
                        "%s: no metadata '*.pooling_type' says how texts get vectors; use the task features",
                        file->label);
    INC_TRY(inc_hf_sentence_begin(b, &sentence));
    INC_TRY(inc_hf_sentence_pool(&sentence, pooling_modes[pooling]));
    for (size_t i = 0; i < sizeof dense / sizeof *dense; i++) {
        const struct inc_gguf_tensor *tensor = inc_gguf_find_tensor(file, dense[i][0]);
        if (tensor == NULL) continue;
        INC_TRY(inc_hf_sentence_dense(&sentence, dense[i][1], dense[i][2], tensor->rank == 2 ? tensor->dims[0] : 1,
                                      false, INC_OP_COUNT));
    }
    INC_TRY(inc_hf_sentence_normalize(&sentence));
    return inc_hf_sentence_end(&sentence);
}

enum incise_status inc_gguf_build(struct inc_gguf *file, const struct inc_gguf_options *options,
                                  struct inc_graph **graph)
{
    struct inc_hf_checkpoint checkpoint = {.append = options->embedding ? append_sentence : NULL};
    *graph = NULL;
    INC_TRY(inc_gguf_config(file, &checkpoint.config));
    enum incise_status status = list_tensors(file, options, &checkpoint.weights);
    if (status == INCISE_OK) status = inc_hf_build(&checkpoint, graph);
    inc_hf_weights_release(&checkpoint.weights);
    inc_json_release(&checkpoint.config);
    return status;
}

/* ---- sidecars ---------------------------------------------------------------------------------------------------- */

static enum incise_status write_text(struct inc_output *out, const char *name, const char *text, size_t n)
{
    struct inc_output_file target;
    INC_TRY(inc_output_open(out, name, &target));
    enum incise_status status = inc_output_write(&target, text, n);
    if (status == INCISE_OK) return inc_output_close(&target);
    inc_output_abandon(&target);
    return status;
}

/* Writes and releases `root`; NULL: memory was short. */
static enum incise_status write_json(struct inc_gguf *file, struct inc_output *out, const char *name, json_t *root)
{
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (text == NULL) return inc_fail_memory(file->ctx, 0, name);
    enum incise_status status = write_text(out, name, text, strlen(text));
    free(text);
    return status;
}

static enum incise_status write_pooling(struct inc_gguf *file, struct inc_output *out, const json_t *config)
{
    const json_t *positions = json_object_get(config, "max_position_embeddings");
    json_t *width = json_object_get(config, "hidden_size");
    enum inc_gguf_pooling pooling;
    INC_TRY(inc_gguf_get_pooling(file, &pooling));
    if (pooling == INC_GGUF_POOL_NONE) return INCISE_OK;
    json_t *modes = json_pack("{s:O, s:b, s:b, s:b}", "word_embedding_dimension", width,
                              "pooling_mode_mean_tokens", pooling == INC_GGUF_POOL_MEAN, "pooling_mode_cls_token",
                              pooling == INC_GGUF_POOL_CLS, "pooling_mode_lasttoken", pooling == INC_GGUF_POOL_LAST);
    INC_TRY(write_json(file, out, "1_Pooling/config.json", modes));
    if (positions == NULL) return INCISE_OK;
    return write_json(file, out, "sentence_bert_config.json",
                      json_pack("{s:I}", "max_seq_length", json_integer_value(positions)));
}

static enum incise_status write_tokenizer(struct inc_gguf *file, struct inc_output *out)
{
    struct inc_buffer text;
    inc_buffer_init(&text, file->ctx);
    enum incise_status status = inc_gguf_tokenizer_json(file, &text);
    if (status == INCISE_OK) status = write_text(out, "tokenizer.json", text.data, text.length);
    inc_buffer_fini(&text);
    return status;
}

enum incise_status inc_gguf_write_sidecars(struct inc_gguf *file, struct inc_output *out)
{
    struct inc_json config;
    INC_TRY(inc_gguf_config(file, &config));
    enum incise_status status = write_tokenizer(file, out);
    if (status == INCISE_OK) status = write_pooling(file, out, config.root);
    if (status == INCISE_OK) status = write_json(file, out, "config.json", json_incref(config.root));
    inc_json_release(&config);
    return status;
}
