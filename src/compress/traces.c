/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/traces.h"

#include <string.h>

const struct inc_sealed_kind inc_traces_kind = {"traces", 4, "is no file of traces", "make it anew"};

/* ---- life ------------------------------------------------------------------------------------------------------ */

static enum incise_status create_trace(const struct inc_ctx *ctx, const struct inc_weight *weight, size_t height,
                                       size_t width, struct inc_trace *trace)
{
    size_t out = (size_t)weight->out, in = (size_t)weight->in;
    trace->n = inc_blocks_of(out, in, height > 0 ? height : out, width).n;
    trace->elements = (double)out * (double)in / (double)trace->n;
    trace->removals = inc_alloc_zero(ctx, trace->n, sizeof *trace->removals);
    return trace->removals != NULL ? INCISE_OK
                                   : inc_fail_memory(ctx, trace->n * sizeof *trace->removals, "a removal order");
}

enum incise_status inc_traces_create(const struct inc_targets *targets, size_t height, size_t width, const bool *wanted,
                                     struct inc_traces *traces)
{
    const struct inc_ctx *ctx = targets->ctx;
    *traces = (struct inc_traces){.ctx = ctx, .n = targets->n};
    traces->items = inc_alloc_zero(ctx, traces->n, sizeof *traces->items);
    if (traces->items == NULL) return inc_fail_memory(ctx, traces->n * sizeof *traces->items, "removal orders");
    for (size_t i = 0; i < traces->n; i++)
        if (wanted == NULL || wanted[i])
            INC_TRY(create_trace(ctx, &targets->items[i].weight, height, width, &traces->items[i]));
    return INCISE_OK;
}

void inc_traces_release(struct inc_traces *traces)
{
    for (size_t i = 0; traces->items != NULL && i < traces->n; i++) inc_free(traces->ctx, traces->items[i].removals);
    inc_free(traces->ctx, traces->items);
    traces->items = NULL;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* Behind the origin, for each layer: its name, the losses (double), the blocks (uint32_t). */
static void put_trace(struct inc_buffer *bytes, const char *name, const struct inc_trace *trace, double *losses,
                      uint32_t *blocks)
{
    for (size_t i = 0; i < trace->n; i++) {
        losses[i] = trace->removals[i].loss;
        blocks[i] = trace->removals[i].block;
    }
    inc_blob_put(bytes, name, strlen(name));
    inc_blob_put(bytes, losses, trace->n * sizeof *losses);
    inc_blob_put(bytes, blocks, trace->n * sizeof *blocks);
}

static size_t longest(const struct inc_traces *traces)
{
    size_t n = 0;
    for (size_t i = 0; i < traces->n; i++) n = inc_max_size(n, traces->items[i].n);
    return n;
}

enum incise_status inc_traces_save(const struct inc_traces *traces, const struct inc_targets *targets,
                                   const struct inc_origin *origin, const char *path)
{
    struct inc_buffer bytes;
    size_t most = longest(traces);
    double *losses = inc_alloc_array(traces->ctx, most, sizeof *losses);
    uint32_t *blocks = inc_alloc_array(traces->ctx, most, sizeof *blocks);
    enum incise_status status = losses != NULL && blocks != NULL
                                    ? INCISE_OK
                                    : inc_fail_memory(traces->ctx, most * sizeof *losses, "a removal order");
    inc_buffer_init(&bytes, traces->ctx);
    if (status == INCISE_OK) {
        inc_kept_begin(&bytes, &inc_traces_kind, origin);
        for (size_t i = 0; i < traces->n; i++)
            put_trace(&bytes, targets->items[i].reader->name, &traces->items[i], losses, blocks);
        status = inc_kept_write(&bytes, path);
    }
    inc_buffer_fini(&bytes);
    inc_free(traces->ctx, losses);
    inc_free(traces->ctx, blocks);
    return status;
}

static bool fill_trace(const double *losses, const uint32_t *blocks, struct inc_trace *trace, bool *seen)
{
    memset(seen, 0, trace->n * sizeof *seen);
    for (size_t i = 0; i < trace->n; i++) {
        if (blocks[i] >= trace->n || seen[blocks[i]] || !(losses[i] >= (i > 0 ? losses[i - 1] : 0))) return false;
        seen[blocks[i]] = true;
        trace->removals[i] = (struct inc_removal){losses[i], blocks[i]};
    }
    return true;
}

static enum incise_status load_trace(struct inc_blob_reader *tables, const char *path, const char *layer,
                                     struct inc_trace *trace, const struct inc_ctx *ctx, bool *seen)
{
    size_t length = SIZE_MAX, n_losses = trace->n * sizeof(double), n_blocks = trace->n * sizeof(uint32_t);
    const char *name = inc_blob_take(tables, &length);
    if (name != NULL && (length != strlen(layer) || memcmp(name, layer, length) != 0))
        return inc_fail(ctx, INCISE_ERROR_DATA,
                        "%s: belongs to another run: a layer is '%.*s' there and '%s' here (--select, --ignore)", path,
                        (int)inc_min_size(length, 200), name, layer);
    const double *losses = inc_blob_take(tables, &n_losses);
    const uint32_t *blocks = losses != NULL ? inc_blob_take(tables, &n_blocks) : NULL;
    if (name != NULL && blocks != NULL && fill_trace(losses, blocks, trace, seen)) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_DATA, "%s: the removal order of layer '%s' is damaged", path, layer);
}

enum incise_status inc_traces_load(struct inc_traces *traces, const struct inc_targets *targets,
                                   const struct inc_origin *origin, const char *path)
{
    struct inc_kept kept;
    const struct inc_ctx *ctx = traces->ctx;
    bool *seen = inc_alloc_array(ctx, longest(traces), sizeof *seen);
    if (seen == NULL) return inc_fail_memory(ctx, longest(traces), "a removal order");
    enum incise_status status = inc_kept_read(ctx, path, &inc_traces_kind, &kept);
    if (status == INCISE_OK) status = inc_kept_match(ctx, path, &kept.origin, origin);
    for (size_t i = 0; i < traces->n && status == INCISE_OK; i++)
        status = load_trace(&kept.sealed.tables, path, targets->items[i].reader->name, &traces->items[i], ctx, seen);
    if (status == INCISE_OK)
        inc_log(ctx, INCISE_LOG_INFO, "%s: the removal orders of %zu layers are taken from it", path, traces->n);
    inc_kept_release(ctx, &kept);
    inc_free(ctx, seen);
    return status;
}
