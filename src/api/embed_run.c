/* SPDX-License-Identifier: Apache-2.0 */
/* Texts to tokens to vectors, batch by batch. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/embed_internal.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/size.h"
#include "text/unicode.h"

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

/* A text's ids are ids[first .. first + count). */
struct text_tokens {
    size_t index; /* in the caller's order */
    size_t first, count;
};

/* One call of incise_embedder_run. */
struct embed_run {
    const struct incise_embedder *e;
    const struct incise_text_batch *batch;
    const char *prompt;
    size_t skipped; /* tokens at the front of each text that pooling leaves out */
    struct incise_session *session;
    struct text_tokens *texts; /* longest first once sorted */
    int32_t *ids;
    size_t n_ids, ids_capacity;
    struct inc_ids encoded;   /* of one text */
    struct inc_buffer joined; /* prompt and text */
    struct incise_tensor inputs[INC_MAX_TEXT_INPUTS];
    struct incise_tensor *outputs;
    double *vector; /* model_width */
    struct incise_embed_stats stats;
};

static size_t text_bytes(const struct incise_text_batch *batch, size_t index)
{
    return batch->lengths != NULL ? batch->lengths[index] : strlen(batch->texts[index]);
}

static size_t text_number(const struct incise_text_batch *batch, size_t index)
{
    return batch->numbers != NULL ? batch->numbers[index] : index;
}

/* Encodes the prompt and texts[index] into run->encoded. */
static enum incise_status encode(struct embed_run *run, size_t index, size_t max_tokens)
{
    const char *text = run->batch->texts[index];
    size_t length = text_bytes(run->batch, index), bad = inc_utf8_check(text, length);
    if (bad < length)
        return inc_fail(&run->e->engine->ctx, INCISE_ERROR_DATA, "text %zu: not UTF-8 at byte %zu",
                        text_number(run->batch, index), bad);
    if (run->prompt[0] != '\0') {
        inc_buffer_clear(&run->joined);
        inc_buffer_puts(&run->joined, run->prompt);
        inc_buffer_append(&run->joined, text, length);
        INC_TRY(inc_buffer_check(&run->joined));
        text = run->joined.data;
        length = run->joined.length;
    }
    return inc_tokenizer_encode(run->e->tokenizer, text, length, max_tokens, &run->encoded);
}

static void note_cut(struct embed_run *run, size_t index)
{
    struct incise_embed_stats *stats = &run->stats;
    if (stats->truncated++ == 0) stats->first_cut = stats->longest_cut = index;
    if (text_bytes(run->batch, index) > text_bytes(run->batch, stats->longest_cut)) stats->longest_cut = index;
}

static enum incise_status keep_tokens(struct embed_run *run, size_t index)
{
    const struct inc_ctx *ctx = &run->e->engine->ctx;
    const struct inc_ids *encoded = &run->encoded;
    if (encoded->count <= run->skipped)
        return inc_fail(ctx, INCISE_ERROR_DATA, "text %zu: no tokens%s", text_number(run->batch, index),
                        run->skipped > 0 ? " besides the prompt's" : "");
    INC_TRY(inc_grow(ctx, (void **)&run->ids, &run->ids_capacity, run->n_ids + encoded->count, sizeof *run->ids));
    memcpy(run->ids + run->n_ids, encoded->ids, encoded->count * sizeof *encoded->ids);
    run->texts[index] = (struct text_tokens){index, run->n_ids, encoded->count};
    run->n_ids += encoded->count;
    if (encoded->truncated) note_cut(run, index);
    return INCISE_OK;
}

static enum incise_status tokenize(struct embed_run *run)
{
    for (size_t i = 0; i < run->batch->n; i++) {
        INC_TRY(encode(run, i, run->e->max_length));
        INC_TRY(keep_tokens(run, i));
    }
    run->stats.tokens = run->n_ids;
    if (run->stats.truncated == 0) return INCISE_OK;
    INC_TRY(encode(run, run->stats.longest_cut, 0));
    run->stats.longest_tokens = run->encoded.count;
    return INCISE_OK;
}

/* Where 1_Pooling wants it, the vectors of the prompt's tokens stay out. A special token that a tokenizer puts behind
 * the prompt is not one of them (as in sentence-transformers). */
static enum incise_status choose_prompt(struct embed_run *run)
{
    const struct incise_embedder *e = run->e;
    INC_TRY(incise_embedder_prompt(e, run->batch->prompt, &run->prompt));
    if (e->include_prompt || run->prompt[0] == '\0') return INCISE_OK;
    if (e->pooled)
        return inc_fail(
            &e->engine->ctx, INCISE_ERROR_DATA,
            "1_Pooling has include_prompt false, but the pooling inside the model takes all tokens; convert "
            "it with --task features");
    INC_TRY(inc_tokenizer_encode(e->tokenizer, run->prompt, strlen(run->prompt), 0, &run->encoded));
    run->skipped = run->encoded.count - (inc_tokenizer_suffix(e->tokenizer) > 0);
    return INCISE_OK;
}

static int by_length(const void *a, const void *b)
{
    const struct text_tokens *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

/* Fills the inputs with `rows` texts, padded on the right to `length`. */
static void fill_inputs(struct embed_run *run, const struct text_tokens *texts, size_t rows, size_t length)
{
    const struct inc_text_inputs *inputs = &run->e->inputs;
    for (size_t i = 0; i < inputs->n; i++) {
        struct incise_tensor *input = &run->inputs[i];
        size_t row_bytes = length * inc_type_bits(inputs->types[i]) / 8;
        for (size_t r = 0; r < rows; r++)
            inc_text_inputs_fill(inputs, i, run->ids + texts[r].first, texts[r].count, length,
                                 (unsigned char *)input->data + r * row_bytes);
        input->type = (enum incise_type)inputs->types[i];
        input->rank = 2;
        input->dims[0] = (int64_t)rows;
        input->dims[1] = (int64_t)length;
        input->bytes = rows * row_bytes;
    }
}

/* The vector of one text from its rows of the model's output. */
static enum incise_status write_vector(struct embed_run *run, const float *rows, const struct text_tokens *text,
                                       float *out)
{
    const struct incise_embedder *e = run->e;
    const struct inc_ctx *ctx = &e->engine->ctx;
    enum inc_pooling_mode mode = e->pooled ? INC_POOLING_CLS : e->mode;
    size_t name = text_number(run->batch, text->index);
    double squares = 0;
    inc_pooling_apply(mode, rows + run->skipped * e->model_width, text->count - run->skipped, e->model_width,
                      run->vector);
    for (size_t k = 0; k < e->width; k++) squares += run->vector[k] * run->vector[k];
    if (!isfinite(squares))
        return inc_fail(ctx, INCISE_ERROR_DATA, "text %zu: its vector is not finite; the model overflows on it", name);
    if (squares == 0) return inc_fail(ctx, INCISE_ERROR_DATA, "text %zu: its vector is all zero", name);
    double scale = e->normalize ? 1 / sqrt(squares) : 1;
    for (size_t k = 0; k < e->width; k++) out[k] = (float)(run->vector[k] * scale);
    return INCISE_OK;
}

static enum incise_status run_batch(struct embed_run *run, const struct text_tokens *texts, size_t rows, float *out)
{
    const struct incise_embedder *e = run->e;
    size_t length = texts[0].count, per_text = e->model_width * (e->pooled ? 1 : length);
    fill_inputs(run, texts, rows, length);
    INC_TRY(incise_session_run(run->session, run->inputs, e->inputs.n, run->outputs, e->n_outputs));
    const struct incise_tensor *output = &run->outputs[e->output];
    if (output->type != INCISE_F32 || output->bytes != rows * per_text * sizeof(float))
        return inc_fail(&e->engine->ctx, INCISE_ERROR_DATA,
                        "output %zu has %zu bytes, not one f32 vector of %zu per %s", e->output, output->bytes,
                        e->model_width, e->pooled ? "text" : "token");
    for (size_t r = 0; r < rows; r++)
        INC_TRY(
            write_vector(run, (const float *)output->data + r * per_text, &texts[r], out + texts[r].index * e->width));
    return INCISE_OK;
}

/* How many texts from `texts` on run together: all are at most as long as the first. */
static size_t batch_rows(const struct incise_embedder *e, const struct text_tokens *texts, size_t n)
{
    return inc_min_size(n, inc_max_size(1, e->batch_tokens / texts[0].count));
}

static enum incise_status allocate_run(struct embed_run *run, size_t n)
{
    const struct incise_embedder *e = run->e;
    const struct inc_ctx *ctx = &e->engine->ctx;
    size_t tokens = inc_max_size(e->batch_tokens, run->texts[0].count);
    tokens = inc_min_size(tokens, n * run->texts[0].count);
    for (size_t i = 0; i < e->inputs.n; i++) {
        run->inputs[i].data = inc_alloc_array(ctx, tokens, sizeof(int64_t));
        if (run->inputs[i].data == NULL) return inc_fail_memory(ctx, tokens * sizeof(int64_t), "a batch of ids");
    }
    run->outputs = inc_alloc_zero(ctx, e->n_outputs, sizeof *run->outputs);
    run->vector = inc_alloc_array(ctx, e->model_width, sizeof *run->vector);
    if (run->outputs == NULL || run->vector == NULL)
        return inc_fail_memory(ctx, e->model_width * sizeof(double), "a vector");
    return incise_session_create(e->model, &run->session);
}

static enum incise_status run_texts(struct embed_run *run, float *out)
{
    size_t n = run->batch->n;
    double start = inc_seconds();
    INC_TRY(choose_prompt(run));
    if (n == 0) return INCISE_OK;
    run->texts = inc_alloc_zero(&run->e->engine->ctx, n, sizeof *run->texts);
    if (run->texts == NULL) return inc_fail_memory(&run->e->engine->ctx, n * sizeof *run->texts, "texts");
    INC_TRY(tokenize(run));
    qsort(run->texts, n, sizeof *run->texts, by_length);
    run->stats.tokenize_seconds = inc_seconds() - start;
    start = inc_seconds();
    INC_TRY(allocate_run(run, n));
    for (size_t i = 0, rows; i < n; i += rows) {
        rows = batch_rows(run->e, run->texts + i, n - i);
        INC_TRY(run_batch(run, run->texts + i, rows, out));
    }
    run->stats.run_seconds = inc_seconds() - start;
    return INCISE_OK;
}

enum incise_status incise_embedder_run(struct incise_embedder *embedder, const struct incise_text_batch *batch,
                                       float *out, struct incise_embed_stats *stats)
{
    const struct inc_ctx *ctx = &embedder->engine->ctx;
    struct embed_run run = {.e = embedder, .batch = batch};
    inc_ids_init(&run.encoded, ctx);
    run.encoded.plain_specials = embedder->plain_specials;
    inc_buffer_init(&run.joined, ctx);
    enum incise_status status = run_texts(&run, out);
    incise_session_destroy(run.session);
    inc_ids_release(&run.encoded);
    inc_buffer_fini(&run.joined);
    inc_free(ctx, run.texts);
    inc_free(ctx, run.ids);
    inc_free(ctx, run.outputs);
    inc_free(ctx, run.vector);
    for (size_t i = 0; i < INC_MAX_TEXT_INPUTS; i++) inc_free(ctx, run.inputs[i].data);
    if (stats != NULL) *stats = run.stats;
    return status;
}
