/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/calibration.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "text/prompts.h"
#include "text/text_length.h"
#include "text/tokenizer.h"

enum {
    BATCH_TOKENS = 4096, /* padded */
    HELD_OUT_EVERY = 8,
};

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

static enum incise_status add_text(struct inc_calibration *calibration, size_t index, const struct inc_ids *ids)
{
    const struct inc_ctx *ctx = calibration->ctx;
    INC_TRY(inc_grow(ctx, (void **)&calibration->ids, &calibration->ids_capacity, calibration->n_ids + ids->count,
                     sizeof *calibration->ids));
    INC_TRY(inc_grow(ctx, (void **)&calibration->texts, &calibration->texts_capacity, calibration->n_texts,
                     sizeof *calibration->texts));
    memcpy(calibration->ids + calibration->n_ids, ids->ids, ids->count * sizeof *ids->ids);
    calibration->texts[calibration->n_texts++] = (struct inc_calibration_text){index, calibration->n_ids, ids->count};
    calibration->n_ids += ids->count;
    return INCISE_OK;
}

/* What tokenizing needs. */
struct encoder {
    struct inc_calibration *calibration;
    const struct incise_calibration *texts;
    struct inc_tokenizer *tokenizer;
    size_t max_length;
    const char *prompts[2]; /* of texts of even and of odd index */
    struct inc_ids ids;
    struct inc_buffer joined; /* prompt and text */
};

static enum incise_status encode_text(struct encoder *encoder, size_t index)
{
    const struct inc_ctx *ctx = encoder->calibration->ctx;
    inc_buffer_clear(&encoder->joined);
    inc_buffer_puts(&encoder->joined, encoder->prompts[index % 2]);
    inc_buffer_append(&encoder->joined, encoder->texts->texts[index], encoder->texts->lengths[index]);
    INC_TRY(inc_buffer_check(&encoder->joined));
    enum incise_status status = inc_tokenizer_encode(encoder->tokenizer, encoder->joined.data, encoder->joined.length,
                                                     encoder->max_length, &encoder->ids);
    if (status != INCISE_OK) return inc_fail(ctx, status, "calibration text %zu cannot be tokenized", index);
    return encoder->ids.count > 0 ? add_text(encoder->calibration, index, &encoder->ids) : INCISE_OK;
}

static enum incise_status encode_texts(struct encoder *encoder)
{
    const struct incise_calibration *texts = encoder->texts;
    size_t max_tokens = texts->max_tokens > 0 ? texts->max_tokens : INC_CALIBRATION_TOKENS;
    for (size_t i = 0; i < texts->n && encoder->calibration->n_ids < max_tokens; i++)
        if (texts->lengths[i] > 0) INC_TRY(encode_text(encoder, i));
    if (encoder->calibration->n_ids > 0) return INCISE_OK;
    return inc_fail(encoder->calibration->ctx, INCISE_ERROR_DATA, "the calibration texts hold no tokens");
}

static enum incise_status tokenize(struct inc_calibration *calibration, const char *folder,
                                   const struct incise_calibration *texts)
{
    const struct inc_ctx *ctx = calibration->ctx;
    static const char *const kinds[2] = {"document", "query"};
    struct encoder encoder = {.calibration = calibration, .texts = texts};
    struct inc_prompts prompts;
    INC_TRY(inc_prompts_load(ctx, folder, &prompts));
    inc_ids_init(&encoder.ids, ctx);
    inc_buffer_init(&encoder.joined, ctx);
    enum incise_status status = INCISE_OK;
    for (int i = 0; i < 2 && status == INCISE_OK; i++)
        status = inc_prompts_find(&prompts, texts->prompt != NULL ? texts->prompt : kinds[i], &encoder.prompts[i]);
    if (status == INCISE_OK)
        status = inc_tokenizer_load(ctx, texts->tokenizer != NULL ? texts->tokenizer : folder, &encoder.tokenizer);
    if (status == INCISE_OK) status = inc_text_length(ctx, folder, encoder.tokenizer, &encoder.max_length);
    if (status == INCISE_OK) status = encode_texts(&encoder);
    inc_tokenizer_destroy(encoder.tokenizer);
    inc_buffer_fini(&encoder.joined);
    inc_ids_release(&encoder.ids);
    inc_prompts_release(&prompts);
    return status;
}

static enum incise_status hash_texts(struct inc_calibration *calibration)
{
    struct inc_buffer bytes;
    inc_buffer_init(&bytes, calibration->ctx);
    inc_buffer_append(&bytes, calibration->texts, calibration->n_texts * sizeof *calibration->texts);
    inc_buffer_append(&bytes, calibration->ids, calibration->n_ids * sizeof *calibration->ids);
    enum incise_status status = inc_buffer_check(&bytes);
    if (status == INCISE_OK) inc_hash(bytes.data, bytes.length, calibration->hash);
    inc_buffer_fini(&bytes);
    return status;
}

/* Every shards-th text, from text `shard` on, stays. */
static void take_shard(struct inc_calibration *calibration, size_t shard, size_t shards)
{
    size_t n = 0;
    for (size_t i = 0; i < calibration->n_texts; i++)
        if (calibration->texts[i].index % shards == shard) calibration->texts[n++] = calibration->texts[i];
    calibration->n_texts = n;
}

/* ---- batches --------------------------------------------------------------------------------------------------- */

bool inc_calibration_holds_out(size_t index)
{
    return index / 2 % HELD_OUT_EVERY == HELD_OUT_EVERY - 1;
}

static bool is_held_out(const struct inc_calibration_text *text)
{
    return inc_calibration_holds_out(text->index);
}

static int by_part_and_length(const void *a, const void *b)
{
    const struct inc_calibration_text *x = a, *y = b;
    if (is_held_out(x) != is_held_out(y)) return is_held_out(x) ? 1 : -1;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

static enum incise_status make_batches(struct inc_calibration *calibration)
{
    qsort(calibration->texts, calibration->n_texts, sizeof *calibration->texts, by_part_and_length);
    for (size_t i = 0, row = 0; i < calibration->n_texts;) {
        const struct inc_calibration_text *texts = calibration->texts + i;
        struct inc_calibration_batch batch = {
            .first = i, .length = texts[0].count, .row = row, .held_out = is_held_out(&texts[0])};
        size_t most = inc_max_size(1, BATCH_TOKENS / batch.length);
        while (batch.n < most && i + batch.n < calibration->n_texts && is_held_out(&texts[batch.n]) == batch.held_out)
            batch.tokens += texts[batch.n++].count;
        INC_TRY(inc_grow(calibration->ctx, (void **)&calibration->batches, &calibration->batches_capacity,
                         calibration->n_batches, sizeof batch));
        calibration->batches[calibration->n_batches++] = batch;
        i += batch.n;
        row += batch.tokens;
    }
    return INCISE_OK;
}

static enum incise_status allocate_inputs(struct inc_calibration *calibration)
{
    size_t most = 1;
    for (size_t i = 0; i < calibration->n_batches; i++)
        most = inc_max_size(most, calibration->batches[i].n * calibration->batches[i].length);
    for (size_t i = 0; i < calibration->inputs.n; i++) {
        calibration->tensors[i].data = inc_alloc_array(calibration->ctx, most, sizeof(int64_t));
        if (calibration->tensors[i].data == NULL)
            return inc_fail_memory(calibration->ctx, most * sizeof(int64_t), "a batch of ids");
    }
    return INCISE_OK;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

enum incise_status inc_calibration_create(const struct inc_graph *graph, struct inc_pool *pool,
                                          struct inc_device *device, const char *folder,
                                          const struct incise_calibration *texts, struct inc_calibration **out)
{
    const struct inc_ctx *ctx = graph->ctx;
    struct inc_calibration *calibration = inc_alloc_zero(ctx, 1, sizeof *calibration);
    if (calibration == NULL) return inc_fail_memory(ctx, sizeof *calibration, "calibration texts");
    calibration->ctx = ctx;
    calibration->pool = pool;
    calibration->device = device;
    enum incise_status status = inc_text_inputs_match(graph, &calibration->inputs);
    if (status == INCISE_OK) status = tokenize(calibration, folder, texts);
    if (status == INCISE_OK) status = hash_texts(calibration);
    if (status == INCISE_OK && texts->shards > 1) take_shard(calibration, texts->shard, texts->shards);
    if (status == INCISE_OK) status = make_batches(calibration);
    if (status == INCISE_OK) status = allocate_inputs(calibration);
    if (status == INCISE_OK)
        *out = calibration;
    else
        inc_calibration_destroy(calibration);
    return status;
}

void inc_calibration_destroy(struct inc_calibration *calibration)
{
    if (calibration == NULL) return;
    const struct inc_ctx *ctx = calibration->ctx;
    for (size_t i = 0; i < INC_MAX_TEXT_INPUTS; i++) inc_free(ctx, calibration->tensors[i].data);
    inc_free(ctx, calibration->ids);
    inc_free(ctx, calibration->texts);
    inc_free(ctx, calibration->batches);
    inc_free(ctx, calibration);
}

enum incise_status inc_calibration_begin(struct inc_calibration *calibration, struct inc_run *run, size_t index)
{
    const struct inc_calibration_batch *batch = &calibration->batches[index];
    for (size_t i = 0; i < calibration->inputs.n; i++) {
        struct inc_tensor *tensor = &calibration->tensors[i];
        tensor->type = calibration->inputs.types[i];
        tensor->rank = 2;
        tensor->dims[0] = (int64_t)batch->n;
        tensor->dims[1] = (int64_t)batch->length;
        size_t row_bytes = batch->length * inc_type_bits(tensor->type) / 8;
        tensor->bytes = batch->n * row_bytes;
        for (size_t r = 0; r < batch->n; r++) {
            const struct inc_calibration_text *text = &calibration->texts[batch->first + r];
            inc_text_inputs_fill(&calibration->inputs, i, calibration->ids + text->first, text->count, batch->length,
                                 (unsigned char *)tensor->data + r * row_bytes);
        }
    }
    return inc_run_begin(run, calibration->tensors, calibration->inputs.n);
}
