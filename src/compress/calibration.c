/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/calibration.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
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
    calibration->texts[calibration->n_texts++] =
        (struct inc_calibration_text){index, calibration->n_ids, ids->count};
    calibration->n_ids += ids->count;
    return INCISE_OK;
}

static enum incise_status encode_texts(struct inc_calibration *calibration, const struct inc_tokenizer *tokenizer,
                                       const struct inc_calibration_source *source, size_t max_length)
{
    size_t max_tokens = source->max_tokens > 0 ? source->max_tokens : INC_CALIBRATION_TOKENS;
    enum incise_status status = INCISE_OK;
    struct inc_ids ids;
    inc_ids_init(&ids, calibration->ctx);
    for (size_t i = 0; i < source->n && calibration->n_ids < max_tokens && status == INCISE_OK; i++) {
        if (source->lengths[i] == 0) continue;
        status = inc_tokenizer_encode(tokenizer, source->texts[i], source->lengths[i], max_length, &ids);
        if (status != INCISE_OK)
            status = inc_fail(calibration->ctx, status, "calibration text %zu cannot be tokenized", i);
        else if (ids.count > 0)
            status = add_text(calibration, i, &ids);
    }
    inc_ids_release(&ids);
    if (status == INCISE_OK && calibration->n_ids == 0)
        status = inc_fail(calibration->ctx, INCISE_ERROR_DATA, "the calibration texts hold no tokens");
    return status;
}

static enum incise_status tokenize(struct inc_calibration *calibration, const struct inc_calibration_source *source)
{
    struct inc_tokenizer *tokenizer;
    size_t max_length;
    INC_TRY(inc_tokenizer_load(calibration->ctx, source->tokenizer != NULL ? source->tokenizer : source->folder,
                               &tokenizer));
    enum incise_status status = inc_text_length(calibration->ctx, source->folder, tokenizer, &max_length);
    if (status == INCISE_OK) status = encode_texts(calibration, tokenizer, source, max_length);
    inc_tokenizer_destroy(tokenizer);
    return status;
}

/* ---- batches --------------------------------------------------------------------------------------------------- */

static bool is_held_out(const struct inc_calibration_text *text)
{
    return text->index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1;
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
    size_t most = 0;
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
                                          struct inc_device *device, const struct inc_calibration_source *source,
                                          struct inc_calibration **out)
{
    const struct inc_ctx *ctx = graph->ctx;
    struct inc_calibration *calibration = inc_alloc_zero(ctx, 1, sizeof *calibration);
    if (calibration == NULL) return inc_fail_memory(ctx, sizeof *calibration, "calibration texts");
    calibration->ctx = ctx;
    calibration->pool = pool;
    calibration->device = device;
    enum incise_status status = inc_text_inputs_match(graph, &calibration->inputs);
    if (status == INCISE_OK) status = tokenize(calibration, source);
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
