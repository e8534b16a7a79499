/* SPDX-License-Identifier: Apache-2.0 */
/* Storing weights as integers of few bits: which weights get which grid, and in what order. */
#include <string.h>

#include "compress/quantize_internal.h"
#include "compress/static_activations.h"

enum {
    INT4_GROUP = 32
}; /* unless said otherwise: small enough for small models, and a multiple of what kernels like */

void incise_quantize_options_init(struct incise_quantize_options *options)
{
    *options = (struct incise_quantize_options){
        .struct_size = sizeof *options, .weights = "int8", .tables = "int8", .group = -1, .activations = "dynamic"};
}

/* ---- options --------------------------------------------------------------------------------------------------- */

/* The grid called `name`; `option` names it in messages. */
static enum incise_status choose_grid(const struct inc_ctx *ctx, const char *option, const char *name, long group,
                                      struct inc_grid *grid)
{
    if (!inc_grid_find(name, grid))
        return inc_fail(ctx, INCISE_ERROR_USAGE, "%s '%s': use int8, int7 or int4", option, name != NULL ? name : "");
    if (grid->type == INC_I4) grid->group = group < 0 ? INT4_GROUP : (size_t)group;
    return INCISE_OK;
}

static enum incise_status choose_round(const struct inc_ctx *ctx, const char *name, bool calibrated,
                                       enum inc_round_method *round)
{
    static const char *const names[] = {"nearest", "search", "gptq"};
    if (name == NULL) {
        *round = calibrated ? INC_ROUND_GPTQ : INC_ROUND_NEAREST;
        return INCISE_OK;
    }
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *round = (enum inc_round_method)i;
        if (*round == INC_ROUND_GPTQ && !calibrated)
            return inc_fail(ctx, INCISE_ERROR_USAGE, "round 'gptq' needs calibration texts");
        return INCISE_OK;
    }
    return inc_fail(ctx, INCISE_ERROR_USAGE, "round '%s': use nearest, search or gptq", name);
}

static enum incise_status choose_range(const struct inc_ctx *ctx, const char *name, enum inc_range *range)
{
    if (name != NULL && strcmp(name, "minmax") != 0 && strcmp(name, "mse") != 0)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "range '%s': use minmax or mse", name);
    *range = name != NULL && strcmp(name, "minmax") == 0 ? INC_RANGE_MINMAX : INC_RANGE_MSE;
    return INCISE_OK;
}

static enum incise_status parse(const struct inc_ctx *ctx, const struct incise_quantize_options *options,
                                bool calibrated, struct inc_quantize_request *request)
{
    const char *activations = options->activations != NULL ? options->activations : "";
    *request = (struct inc_quantize_request){.progress = options->progress, .progress_user = options->progress_user};
    INC_TRY(choose_grid(ctx, "weights", options->weights, options->group, &request->linears));
    INC_TRY(choose_grid(ctx, "tables", options->tables, options->group, &request->tables));
    INC_TRY(choose_round(ctx, options->round, calibrated, &request->round));
    request->static_activations = strcmp(activations, "static") == 0;
    INC_TRY(choose_range(ctx, options->range, &request->range));
    if (request->static_activations && !calibrated)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "activations 'static' needs calibration texts");
    if (request->static_activations || strcmp(activations, "dynamic") == 0 || strcmp(activations, "float") == 0)
        return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_USAGE, "activations '%s': use dynamic, static or float", activations);
}

/* ---- one weight ------------------------------------------------------------------------------------------------ */

enum incise_status inc_quantize_note(struct inc_quantizing *quantizing, size_t index, const struct inc_codes *codes)
{
    const struct inc_target *target = &quantizing->targets->items[index];
    struct incise_change *change;
    INC_TRY(inc_changes_add(quantizing->changes, target->reader->name, target->weight.constant->name, &change));
    return inc_codes_describe(codes, quantizing->pool, &target->weight, change);
}

void inc_quantize_progress(struct inc_quantizing *quantizing, const char *name)
{
    const struct inc_quantize_request *request = quantizing->request;
    quantizing->n_done++;
    if (request->progress != NULL)
        request->progress(request->progress_user, quantizing->n_done, quantizing->targets->n, name);
}

/* Without a look at activations. */
static enum incise_status quantize_weight(struct inc_quantizing *quantizing, size_t index)
{
    const struct inc_target *target = &quantizing->targets->items[index];
    const struct inc_quantize_request *request = quantizing->request;
    const struct inc_row_source source = {.weight = &target->weight};
    const struct inc_rounding rounding = {.search = request->round != INC_ROUND_NEAREST};
    bool is_table = target->reader->op != INC_OP_MATMUL;
    struct inc_codes codes;
    INC_TRY(inc_weight_check(quantizing->graph, &target->weight));
    enum incise_status status = inc_codes_create(quantizing->graph->ctx, target->reader->name, &target->weight,
                                                 is_table ? &request->tables : &request->linears, &codes);
    if (status == INCISE_OK) status = inc_codes_round(&codes, quantizing->pool, &source, &rounding);
    if (status == INCISE_OK) status = inc_quantize_note(quantizing, index, &codes);
    if (status == INCISE_OK)
        status = inc_codes_store(quantizing->graph, quantizing->targets, index, &codes, quantizing->done);
    inc_codes_release(&codes);
    return status;
}

/* ---- the whole graph ------------------------------------------------------------------------------------------- */

static enum incise_status nothing_left(const struct inc_quantizing *quantizing)
{
    const struct inc_graph *graph = quantizing->graph;
    return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "%s: all %zu selected weights are quantized already",
                    graph->source != NULL ? graph->source : "graph", quantizing->targets->n);
}

static enum incise_status quantize_all(struct inc_quantizing *quantizing, struct inc_calibration *calibration)
{
    const struct inc_graph *graph = quantizing->graph;
    const struct inc_targets *targets = quantizing->targets;
    if (calibration != NULL && quantizing->request->round != INC_ROUND_NEAREST)
        INC_TRY(inc_quantize_fitted(quantizing, calibration));
    for (size_t i = 0; i < targets->n; i++) {
        const struct inc_target *target = &targets->items[i];
        if (quantizing->done[i]) continue;
        if (inc_target_is_quantized(target))
            inc_log(graph->ctx, INCISE_LOG_INFO, "'%s' is quantized already (%s) and stays", target->reader->name,
                    inc_type_name(target->weight.type));
        else
            INC_TRY(quantize_weight(quantizing, i));
        inc_quantize_progress(quantizing, target->reader->name);
    }
    if (quantizing->changes->n == 0) return nothing_left(quantizing);
    inc_graph_remove_dead(quantizing->graph);
    if (!quantizing->request->static_activations) return INCISE_OK;
    return inc_static_activations(quantizing->graph, calibration, targets, quantizing->request->range);
}

static enum incise_status record(struct inc_graph *graph, const struct incise_quantize_options *options)
{
    bool is_static = strcmp(options->activations, "static") == 0;
    INC_TRY(inc_info_set(graph, "incise/weights", options->weights));
    return inc_info_set(graph, "incise/activations", is_static ? "dynamic" : options->activations); /* of the rest */
}

enum incise_status inc_quantize(struct inc_graph *graph, struct inc_pool *pool,
                                const struct incise_quantize_options *options, struct inc_calibration *calibration,
                                struct incise_changes *changes)
{
    struct inc_quantize_request request;
    struct inc_targets targets;
    INC_TRY(parse(graph->ctx, options, calibration != NULL, &request));
    enum incise_status status = inc_targets_select(graph, true, options->select, options->ignore, &targets);
    if (status == INCISE_OK) {
        struct inc_quantizing quantizing = {graph, pool, &request, &targets, NULL, changes, 0};
        quantizing.done = inc_alloc_zero(graph->ctx, targets.n, sizeof *quantizing.done);
        status = quantizing.done == NULL ? inc_fail_memory(graph->ctx, targets.n, "the list of weights")
                                         : quantize_all(&quantizing, calibration);
        if (status == INCISE_OK) status = record(graph, options);
        inc_free(graph->ctx, quantizing.done);
    }
    inc_targets_release(&targets);
    return status;
}
