/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/levels.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "compress/bias.h"
#include "graph/blob.h"

/* ---- the levels ------------------------------------------------------------------------------------------------ */

/* A quantized copy of the base, owned by the levels. */
static enum incise_status quantize_copy(struct inc_levels *levels, struct inc_pool *pool,
                                        const struct incise_quantize_options *options,
                                        struct inc_calibration *calibration, struct incise_changes *changes)
{
    struct inc_graph **copy = &levels->graphs[levels->n_graphs];
    INC_TRY(inc_graph_clone(levels->base, copy));
    levels->n_graphs++;
    return inc_quantize(*copy, pool, options, calibration, changes);
}

/* The same weights as int8 without a look at activations, which are not static. */
static enum incise_status add_int8_copy(struct inc_levels *levels, struct inc_pool *pool,
                                        const struct incise_quantize_options *options)
{
    struct incise_quantize_options int8 = *options;
    struct incise_changes *unused;
    int8.weights = int8.tables = "int8";
    int8.round = "search";
    if (strcmp(options->activations, "static") == 0) int8.activations = "dynamic";
    int8.progress = NULL;
    INC_TRY(inc_changes_create(levels->ctx, &unused));
    enum incise_status status = quantize_copy(levels, pool, &int8, NULL, unused);
    incise_changes_destroy(unused);
    return status;
}

/* The program of `graph`, made once. */
static enum incise_status program_of(struct inc_levels *levels, struct inc_graph *graph, struct inc_program **program)
{
    const struct inc_program_options options = {.mode = INC_INTEGER_AS_WRITTEN};
    for (unsigned i = 0; i < levels->n_levels; i++)
        if (levels->levels[i].graph == graph) {
            *program = levels->levels[i].program;
            return INCISE_OK;
        }
    INC_TRY(inc_program_create(graph, levels->null_device, &options, program));
    levels->programs[levels->n_programs++] = *program;
    if ((*program)->fused) return INCISE_OK;
    return inc_fail(levels->ctx, INCISE_ERROR_DATA,
                    "%s: accuracy control needs a model that runs fused; this one runs op by op: %s",
                    graph->source != NULL ? graph->source : "graph", (*program)->lowering.reason);
}

static enum incise_status add_level(struct inc_levels *levels, struct inc_graph *graph, bool per_row, bool floats)
{
    struct inc_level level = {.graph = graph, .per_row = per_row, .floats = floats};
    INC_TRY(program_of(levels, graph, &level.program));
    levels->levels[levels->n_levels++] = level;
    return INCISE_OK;
}

static enum incise_status add_levels(struct inc_levels *levels, struct inc_pool *pool,
                                     const struct incise_quantize_options *options,
                                     struct inc_calibration *calibration, struct incise_changes *changes)
{
    INC_TRY(quantize_copy(levels, pool, options, calibration, changes));
    bool is_static = strcmp(options->activations, "static") == 0;
    INC_TRY(add_level(levels, levels->graphs[0], false, false));
    if (strcmp(options->weights, "int4") == 0 || strcmp(options->tables, "int4") == 0) {
        INC_TRY(add_int8_copy(levels, pool, options));
        INC_TRY(add_level(levels, levels->graphs[1], false, false));
    } else if (strcmp(options->activations, "float") != 0) {
        INC_TRY(add_level(levels, levels->graphs[0], is_static, !is_static));
    }
    return add_level(levels, levels->base, false, false);
}

/* ---- contents -------------------------------------------------------------------------------------------------- */

/* Step of the table called by its number; n_steps if there are not so many. */
static size_t table_step(const struct inc_plan *plan, size_t number)
{
    size_t i = 0;
    for (; i < plan->n_steps; i++)
        if (plan->steps[i].op == INC_OP_EMBEDDING_GATHER && number-- == 0) break;
    return i;
}

/* What level `level` puts into slot `index`. */
static struct inc_slot content_of(const struct inc_level *level, uint32_t index)
{
    struct inc_slot slot = level->program->plan.slots[index];
    if (level->per_row) memset(&slot.input, 0, sizeof slot.input);
    if (level->floats) slot.integer = false;
    return slot;
}

static const struct inc_weight *table_of(const struct inc_level *level, size_t number)
{
    const struct inc_plan *plan = &level->program->plan;
    return &plan->steps[table_step(plan, number)].u.gather.table;
}

static const struct inc_weight *weight_of(const struct inc_levels *levels, const struct inc_unit *unit, unsigned level,
                                          size_t i)
{
    const struct inc_level *at = &levels->levels[level];
    return unit->n > 0 ? &at->program->plan.slots[unit->slots[i]].weight : table_of(at, unit->table);
}

enum incise_status inc_levels_set(struct inc_levels *levels, struct inc_program *program, size_t index, unsigned level)
{
    struct inc_unit *unit = &levels->units[index];
    const struct inc_level *from = &levels->levels[level];
    if (unit->n == 0)
        INC_TRY(inc_program_replace_table(program, table_step(&program->plan, unit->table),
                                          table_of(from, unit->table)));
    for (size_t i = 0; i < unit->n; i++) {
        const struct inc_slot slot = content_of(from, unit->slots[i]);
        const struct inc_step *linear = inc_plan_linear_of(&from->program->plan, unit->slots[i]);
        INC_TRY(inc_program_replace_slot(program, unit->slots[i], &slot));
        inc_program_replace_bias(program, unit->slots[i], linear != NULL ? linear->u.linear.bias : NULL);
    }
    unit->level = level;
    return INCISE_OK;
}

double inc_levels_cost(const struct inc_levels *levels, size_t index, unsigned level)
{
    const struct inc_unit *unit = &levels->units[index];
    double cost = 0;
    for (size_t i = 0; i < unit->n || i == 0; i++) {
        const struct inc_weight *weight = weight_of(levels, unit, level, i);
        double per_weight = (double)inc_type_bits(weight->type) / 8;
        if (unit->n > 0) {
            const struct inc_slot slot = content_of(&levels->levels[level], unit->slots[i]);
            per_weight += !slot.integer ? 2 : slot.input.fixed ? 1 : 1.05;
        }
        cost += per_weight * (double)weight->out * (double)weight->in;
    }
    return cost;
}

void inc_levels_describe(const struct inc_levels *levels, size_t index, unsigned level, char *text, size_t size)
{
    const struct inc_unit *unit = &levels->units[index];
    const enum inc_type type = weight_of(levels, unit, level, 0)->type;
    const char *rows = "";
    if (inc_type_is_float(type)) {
        snprintf(text, size, "%s", inc_type_name(type));
        return;
    }
    if (unit->n > 0) {
        const struct inc_slot slot = content_of(&levels->levels[level], unit->slots[0]);
        rows = !slot.integer ? " float" : slot.input.fixed ? " static" : " dynamic";
    }
    snprintf(text, size, "int%zu%s", (size_t)inc_type_bits(type), rows);
}

/* ---- the units ------------------------------------------------------------------------------------------------- */

/* Whether the lowest and the highest level differ. */
static bool is_quantized(const struct inc_levels *levels, const struct inc_unit *unit)
{
    const unsigned top = levels->n_levels - 1;
    for (size_t i = 0; i < unit->n || i == 0; i++) {
        if (weight_of(levels, unit, 0, i)->constant->data.data != weight_of(levels, unit, top, i)->constant->data.data)
            return true;
        if (unit->n == 0) continue;
        const struct inc_slot low = content_of(&levels->levels[0], unit->slots[i]);
        const struct inc_slot high = content_of(&levels->levels[top], unit->slots[i]);
        if (low.integer != high.integer || low.input.fixed != high.input.fixed) return true;
    }
    return false;
}

/* Fusion does not depend on precision, so that slot i is the same layer at every level. */
static enum incise_status check_alike(const struct inc_levels *levels)
{
    const struct inc_plan *base = &levels->levels[levels->n_levels - 1].program->plan;
    for (unsigned l = 0; l < levels->n_levels; l++) {
        const struct inc_plan *plan = &levels->levels[l].program->plan;
        bool alike = plan->n_slots == base->n_slots;
        for (size_t i = 0; alike && i < base->n_slots; i++)
            alike = strcmp(plan->slots[i].name, base->slots[i].name) == 0;
        if (!alike)
            return inc_fail(levels->ctx, INCISE_ERROR_FAILED, "the quantized model is not laid out like the model");
    }
    return INCISE_OK;
}

static void add_unit(struct inc_levels *levels, const struct inc_unit *unit)
{
    if (!is_quantized(levels, unit)) return;
    levels->units[levels->n_units] = *unit;
    levels->units[levels->n_units++].level = levels->n_levels - 1;
}

static enum incise_status find_units(struct inc_levels *levels)
{
    const struct inc_plan *plan = &levels->levels[levels->n_levels - 1].program->plan;
    struct inc_reader_group *groups;
    size_t n_groups;
    INC_TRY(inc_reader_groups(plan, &levels->arena, &groups, &n_groups));
    levels->units = inc_arena_alloc(&levels->arena, plan->n_steps, sizeof *levels->units);
    if (levels->units == NULL) return inc_fail_memory(levels->ctx, plan->n_steps * sizeof *levels->units, "units");
    for (size_t k = 0, at; (at = table_step(plan, k)) < plan->n_steps; k++)
        add_unit(levels, &(struct inc_unit){.name = plan->steps[at].name, .table = k});
    for (size_t g = 0; g < n_groups; g++) {
        uint32_t *slots = inc_arena_alloc(&levels->arena, groups[g].n, sizeof *slots);
        if (slots == NULL) return inc_fail_memory(levels->ctx, groups[g].n * sizeof *slots, "units");
        for (size_t i = 0; i < groups[g].n; i++) slots[i] = plan->steps[groups[g].steps[i]].u.linear.slot;
        add_unit(levels, &(struct inc_unit){.name = plan->slots[slots[0]].name, .slots = slots, .n = groups[g].n});
    }
    if (levels->n_units > 0) return INCISE_OK;
    return inc_fail(levels->ctx, INCISE_ERROR_USAGE, "none of the selected layers runs on token rows: accuracy control "
                                                     "has nothing to choose from");
}

/* Which unit a target belongs to, by name and size; layers that share a name come in one order in both. */
static enum incise_status match_targets(struct inc_levels *levels)
{
    const unsigned top = levels->n_levels - 1;
    const struct inc_targets *targets = &levels->targets;
    levels->unit_of = inc_arena_alloc(&levels->arena, targets->n, sizeof *levels->unit_of);
    if (levels->unit_of == NULL) return inc_fail_memory(levels->ctx, targets->n, "units");
    for (size_t t = 0; t < targets->n; t++) levels->unit_of[t] = UINT32_MAX;
    for (size_t u = 0; u < levels->n_units; u++) {
        const struct inc_unit *unit = &levels->units[u];
        for (size_t i = 0; i < unit->n || i == 0; i++) {
            const struct inc_weight *weight = weight_of(levels, unit, top, i);
            const char *name =
                unit->n > 0 ? levels->levels[top].program->plan.slots[unit->slots[i]].name : unit->name;
            size_t t = 0;
            while (t < targets->n &&
                   (levels->unit_of[t] != UINT32_MAX || strcmp(targets->items[t].reader->name, name) ||
                    targets->items[t].weight.out != weight->out))
                t++;
            if (t < targets->n) levels->unit_of[t] = (uint32_t)u;
        }
    }
    return INCISE_OK;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

enum incise_status inc_levels_create(struct inc_graph *graph, struct inc_pool *pool,
                                     const struct incise_quantize_options *options,
                                     struct inc_calibration *calibration, struct incise_changes *changes,
                                     struct inc_levels *levels)
{
    *levels = (struct inc_levels){.ctx = graph->ctx, .base = graph, .targets = {.ctx = graph->ctx}};
    inc_arena_init(&levels->arena, graph->ctx);
    INC_TRY(inc_targets_select(graph, true, options->select, options->ignore, &levels->targets));
    INC_TRY(inc_null_device_create(graph->ctx, &levels->null_device));
    INC_TRY(add_levels(levels, pool, options, calibration, changes));
    INC_TRY(check_alike(levels));
    INC_TRY(find_units(levels));
    return match_targets(levels);
}

void inc_levels_destroy(struct inc_levels *levels)
{
    if (levels->ctx == NULL) return;
    for (size_t i = 0; i < levels->n_programs; i++) inc_program_destroy(levels->programs[i]);
    for (size_t i = 0; i < levels->n_graphs; i++) inc_graph_destroy(levels->graphs[i]);
    if (levels->null_device != NULL) levels->null_device->ops->destroy(levels->null_device);
    inc_targets_release(&levels->targets);
    inc_arena_fini(&levels->arena);
}

/* ---- the mixture as a file ------------------------------------------------------------------------------------- */

/* Copies of a graph keep the ids of its nodes. */
static struct inc_node *node_like(const struct inc_graph *graph, const struct inc_node *node)
{
    struct inc_node *at = graph->first;
    while (at != NULL && at->id != node->id) at = at->next;
    return at;
}

/* Lets `reader` of `graph` read the weight and the bias that `like`, the same layer of another level, has. */
static enum incise_status take_weight(struct inc_graph *graph, struct inc_node *reader, const struct inc_node *like,
                                      uint32_t input)
{
    uint32_t at, at_like;
    struct inc_value *value = inc_graph_graft(graph, like->inputs[input], reader);
    if (value == NULL) return inc_fail_memory(graph->ctx, 0, "a weight");
    INC_TRY(inc_node_set_input(graph, reader, input, value));
    if (reader->op != INC_OP_MATMUL) return INCISE_OK;
    struct inc_node *add = inc_bias_find(reader, &at), *add_like = inc_bias_find(like, &at_like);
    if (add == NULL || add_like == NULL) return INCISE_OK;
    value = inc_graph_graft(graph, add_like->inputs[at_like], add);
    if (value == NULL) return inc_fail_memory(graph->ctx, 0, "a bias");
    return inc_node_set_input(graph, add, at, value);
}

/* Lets the target's reader in `graph`, which is at level 0, be what it is at its unit's level. */
static enum incise_status finish_target(struct inc_levels *levels, struct inc_graph *graph, size_t index)
{
    const struct inc_target *target = &levels->targets.items[index];
    const struct inc_level *level = &levels->levels[levels->units[levels->unit_of[index]].level];
    struct inc_node *reader = node_like(graph, target->reader), *like = node_like(level->graph, target->reader);
    if (reader == NULL || like == NULL)
        return inc_fail(levels->ctx, INCISE_ERROR_FAILED, "layer '%s' is lost", target->reader->name);
    if (reader != like) INC_TRY(take_weight(graph, reader, like, target->input));
    if (reader->op != INC_OP_MATMUL) return INCISE_OK;
    uint32_t rows = 1 - target->input;
    bool was_static = target->reader->inputs[rows]->node->op == INC_OP_FAKE_QUANTIZE;
    if (was_static || reader->inputs[rows]->node->op != INC_OP_FAKE_QUANTIZE) return INCISE_OK;
    return inc_node_set_input(graph, reader, rows, reader->inputs[rows]->node->inputs[0]);
}

/* Layers whose weights are integers and whose rows are not. */
static enum incise_status list_float_layers(const struct inc_levels *levels, struct inc_graph *graph)
{
    const char *old = inc_info_get(levels->base, "incise/float_layers");
    struct inc_buffer names;
    inc_buffer_init(&names, levels->ctx);
    if (old != NULL) inc_buffer_puts(&names, old);
    for (size_t u = 0; u < levels->n_units; u++) {
        const struct inc_unit *unit = &levels->units[u];
        for (size_t i = 0; i < unit->n; i++) {
            const struct inc_slot slot = content_of(&levels->levels[unit->level], unit->slots[i]);
            if (slot.integer || inc_type_is_float(slot.weight.type)) continue;
            inc_buffer_printf(&names, "%s%s", names.length > 0 ? " " : "", slot.name);
        }
    }
    enum incise_status status = inc_buffer_check(&names);
    if (status == INCISE_OK && names.length > 0) status = inc_info_set(graph, "incise/float_layers", names.data);
    inc_buffer_fini(&names);
    return status;
}

enum incise_status inc_levels_finish(struct inc_levels *levels, struct inc_graph **out)
{
    struct inc_graph *graph = levels->graphs[0];
    const char *activations = inc_info_get(graph, "incise/activations");
    for (unsigned l = 1; l < levels->n_levels; l++)
        if (levels->levels[l].graph != graph) INC_TRY(inc_graph_share_blobs(levels->levels[l].graph, graph));
    for (size_t i = 0; i < levels->targets.n; i++)
        if (levels->unit_of[i] != UINT32_MAX && levels->units[levels->unit_of[i]].level > 0)
            INC_TRY(finish_target(levels, graph, i));
    if (activations != NULL && strcmp(activations, "dynamic") == 0) INC_TRY(list_float_layers(levels, graph));
    inc_graph_remove_dead(graph);
    levels->graphs[0] = NULL;
    *out = graph;
    return INCISE_OK;
}
