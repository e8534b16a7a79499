/* SPDX-License-Identifier: Apache-2.0 */
/* Storing weights as integers of few bits: which weights get which grid, and in what order. */
#include <string.h>

#include "compress/changes.h"
#include "compress/codes.h"
#include "compress/targets.h"

enum {
    INT4_GROUP = 32
}; /* unless said otherwise: small enough for small models, and a multiple of what kernels like */

void incise_quantize_options_init(struct incise_quantize_options *options)
{
    *options = (struct incise_quantize_options){.struct_size = sizeof *options,
                                                .weights = "int8",
                                                .tables = "int8",
                                                .group = -1,
                                                .round = "nearest",
                                                .activations = "dynamic"};
}

/* ---- options --------------------------------------------------------------------------------------------------- */

/* What the options come to. */
struct recipe {
    struct inc_grid linears, tables;
    struct inc_rounding rounding;
};

/* The grid called `name`; `option` names it in messages. */
static enum incise_status choose_grid(const struct inc_ctx *ctx, const char *option, const char *name, long group,
                                      struct inc_grid *grid)
{
    if (!inc_grid_find(name, grid))
        return inc_fail(ctx, INCISE_ERROR_USAGE, "%s '%s': use int8, int7 or int4", option, name != NULL ? name : "");
    if (grid->type == INC_I4) grid->group = group < 0 ? INT4_GROUP : (size_t)group;
    return INCISE_OK;
}

static enum incise_status make_recipe(const struct inc_ctx *ctx, const struct incise_quantize_options *options,
                                      struct recipe *recipe)
{
    const char *activations = options->activations != NULL ? options->activations : "";
    const char *round = options->round != NULL ? options->round : "";
    INC_TRY(choose_grid(ctx, "weights", options->weights, options->group, &recipe->linears));
    INC_TRY(choose_grid(ctx, "tables", options->tables, options->group, &recipe->tables));
    if (strcmp(round, "nearest") != 0 && strcmp(round, "search") != 0)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "round '%s': use nearest or search", round);
    recipe->rounding = (struct inc_rounding){.search = strcmp(round, "search") == 0};
    if (strcmp(activations, "dynamic") != 0 && strcmp(activations, "float") != 0)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "activations '%s' is neither dynamic nor float", activations);
    return INCISE_OK;
}

/* ---- one weight ------------------------------------------------------------------------------------------------ */

static bool is_quantized(const struct inc_target *target)
{
    return !inc_type_is_float(target->weight.type) || target->weight.fake_quantize != NULL;
}

static enum incise_status quantize_weight(struct inc_graph *graph, struct inc_pool *pool, const struct recipe *recipe,
                                          const struct inc_targets *targets, size_t index, bool *done,
                                          struct incise_changes *changes)
{
    const struct inc_target *target = &targets->items[index];
    bool is_table = target->reader->op != INC_OP_MATMUL;
    struct incise_change *change;
    struct inc_codes codes;
    INC_TRY(inc_weight_check(graph, &target->weight));
    enum incise_status status = inc_codes_create(graph->ctx, target->reader->name, &target->weight,
                                                 is_table ? &recipe->tables : &recipe->linears, &codes);
    if (status == INCISE_OK) status = inc_codes_round(&codes, pool, &target->weight, &recipe->rounding);
    if (status == INCISE_OK)
        status = inc_changes_add(changes, target->reader->name, target->weight.constant->name, &change);
    if (status == INCISE_OK) status = inc_codes_describe(&codes, pool, &target->weight, change);
    if (status == INCISE_OK) status = inc_codes_store(graph, targets, index, &codes, done);
    inc_codes_release(&codes);
    return status;
}

/* ---- the whole graph ------------------------------------------------------------------------------------------- */

static enum incise_status quantize_all(struct inc_graph *graph, struct inc_pool *pool,
                                       const struct incise_quantize_options *options, const struct recipe *recipe,
                                       const struct inc_targets *targets, bool *done, struct incise_changes *changes)
{
    for (size_t i = 0; i < targets->n; i++) {
        const struct inc_target *target = &targets->items[i];
        if (is_quantized(target))
            inc_log(graph->ctx, INCISE_LOG_INFO, "'%s' is quantized already (%s) and stays", target->reader->name,
                    inc_type_name(target->weight.type));
        else if (!done[i])
            INC_TRY(quantize_weight(graph, pool, recipe, targets, i, done, changes));
        if (options->progress != NULL)
            options->progress(options->progress_user, i + 1, targets->n, target->reader->name);
    }
    if (changes->n == 0)
        return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "%s: all %zu selected weights are quantized already",
                        graph->source != NULL ? graph->source : "graph", targets->n);
    inc_graph_remove_dead(graph);
    INC_TRY(inc_info_set(graph, "incise/weights", options->weights));
    return inc_info_set(graph, "incise/activations", options->activations);
}

enum incise_status inc_quantize(struct inc_graph *graph, struct inc_pool *pool,
                                const struct incise_quantize_options *options, struct incise_changes *changes)
{
    struct recipe recipe;
    struct inc_targets targets;
    INC_TRY(make_recipe(graph->ctx, options, &recipe));
    enum incise_status status = inc_targets_select(graph, true, options->select, options->ignore, &targets);
    if (status == INCISE_OK) {
        bool *done = inc_alloc_zero(graph->ctx, targets.n, sizeof *done);
        status = done == NULL ? inc_fail_memory(graph->ctx, targets.n, "the list of weights")
                              : quantize_all(graph, pool, options, &recipe, &targets, done, changes);
        inc_free(graph->ctx, done);
    }
    inc_targets_release(&targets);
    return status;
}
