/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of the fused ops. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "lower/match.h"
#include "lower/plan_internal.h"

static struct inc_operand operand(const struct inc_view *view)
{
    return (struct inc_operand){view->buffer, (uint32_t)view->column};
}

enum { MOST_INTEGER_INPUTS = 65536 }; /* sums of products stay within 32 bits */

/* ---- Linear ---------------------------------------------------------------------------------------------------- */

/* Whether the list at rt_info incise/float_layers (names separated by spaces) has this layer. */
static bool is_float_layer(const struct inc_graph *graph, const char *name)
{
    const char *list = inc_info_get(graph, "incise/float_layers");
    size_t length = strlen(name);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t n = strcspn(at, " ");
        if (n == length && memcmp(at, name, n) == 0) return true;
        at += n + (at[n] == ' ');
    }
    return false;
}

static bool can_be_integer(const struct inc_planner *planner, const struct inc_slot *slot)
{
    return planner->mode != INC_INTEGER_NONE && inc_weight_is_integer(&slot->weight) &&
           slot->weight.in <= MOST_INTEGER_INPUTS;
}

/* Whether rows without a grid of their own in the file are quantized on the fly. */
static bool wants_dynamic(const struct inc_planner *planner, const struct inc_slot *slot)
{
    const struct inc_graph *graph = planner->lowering->graph;
    if (planner->mode == INC_INTEGER_ALL || planner->mode == INC_INTEGER_AND_ATTENTION) return true;
    const char *activations = inc_info_get(graph, "incise/activations");
    return activations != NULL && strcmp(activations, "dynamic") == 0 && !is_float_layer(graph, slot->name);
}

static enum incise_status add_slot(struct inc_planner *planner, const struct inc_node *node, uint32_t *index)
{
    struct inc_plan *plan = planner->plan;
    const struct inc_graph *graph = planner->lowering->graph;
    INC_TRY(inc_grow(graph->ctx, (void **)&plan->slots, &plan->slots_capacity, plan->n_slots, sizeof *plan->slots));
    struct inc_slot *slot = &plan->slots[plan->n_slots];
    memset(slot, 0, sizeof *slot);
    slot->name = node->name;
    if (!inc_weight_match(node->inputs[1], inc_attr_bool(node, "transpose_b"), &slot->weight))
        return inc_plan_refuse_op(planner, node, "has a weight of an unknown form");
    INC_TRY(inc_plan_check_weight(planner, &slot->weight));
    *index = (uint32_t)plan->n_slots++;
    return INCISE_OK;
}

/* A FakeQuantize whose levels are an 8-bit grid with an integral zero point, and whose output range is its input range:
 * what it computes is (q - zero) * scale, so that a Linear may multiply the q. */
static bool grid_of(const struct inc_node *node, struct inc_quantize_grid *grid)
{
    double range[4];
    if (node->op != INC_OP_FAKE_QUANTIZE) return false;
    for (uint32_t i = 0; i < 4; i++)
        if (!inc_const_scalar(node->inputs[1 + i], &range[i])) return false;
    int64_t levels = inc_attr_int(node, "levels");
    if (range[0] != range[2] || range[1] != range[3] || !(range[0] < range[1]) || levels < 2 || levels > 256)
        return false;
    double scale = (range[1] - range[0]) / (double)(levels - 1), zero = -range[0] / scale;
    if (!(zero >= -0.5 && zero <= 255.5) || fabs(zero - rint(zero)) > 1e-3) return false;
    *grid = (struct inc_quantize_grid){.scale = (float)scale,
                                       .inv_scale = (float)(1 / scale),
                                       .zero = (int32_t)rint(zero),
                                       .lo = 0,
                                       .hi = (int32_t)levels - 1};
    return true;
}

/* Whether an earlier step has made the same quantized copy of the rows. */
static bool is_quantized(const struct inc_plan *plan, const struct inc_view *view, int64_t width,
                         const struct inc_quantize_step *form, struct inc_operand *result)
{
    for (size_t i = plan->n_steps; i-- > 0 && plan->steps[i].out.buffer != view->buffer;) {
        const struct inc_step *step = &plan->steps[i];
        if (step->op == INC_OP_QUANTIZE_ROWS && step->in[0].buffer == view->buffer &&
            step->in[0].column == view->column && step->width == width &&
            memcmp(&step->u.quantize, form, sizeof *form) == 0) {
            *result = step->out;
            return true;
        }
    }
    return false;
}

/* The quantized copy of the rows of `view`, made by a step of its own. */
static enum incise_status quantize_input(struct inc_planner *planner, const struct inc_node *node,
                                         const struct inc_view *view, int64_t width,
                                         const struct inc_quantize_step *form, struct inc_operand *result)
{
    uint32_t buffer;
    INC_TRY(inc_plan_add_buffer(planner, INC_BUFFER_QUANTIZED, view->domain, width, &buffer));
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_QUANTIZE_ROWS, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    step->in[0] = operand(view);
    step->n_in = 1;
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)width;
    step->u.quantize = *form;
    *result = step->out;
    return INCISE_OK;
}

/* How the rows get to the slot: as they are, through the file's own grid, or through a grid per row. */
static void choose_form(const struct inc_planner *planner, const struct inc_node *producer, struct inc_slot *slot)
{
    if (!can_be_integer(planner, slot)) return;
    slot->input.fixed = grid_of(producer, &slot->input.grid);
    slot->integer = slot->input.fixed || wants_dynamic(planner, slot);
}

/* Fills what `linear` reads; *input is what it reads now. Rows that the file quantizes itself stay as they are. */
static enum incise_status plan_input(struct inc_planner *planner, const struct inc_node *node, struct inc_slot *slot,
                                     int64_t width, struct inc_linear_step *linear, struct inc_operand *input)
{
    const struct inc_node *producer = node->inputs[0]->node;
    choose_form(planner, producer, slot);
    const struct inc_view *x = inc_view_of(slot->input.fixed ? producer->inputs[0] : node->inputs[0]);
    bool either = planner->replaceable && producer->op != INC_OP_FAKE_QUANTIZE && width <= MOST_INTEGER_INPUTS;
    linear->zero = inc_slot_zero(slot);
    linear->floats = linear->copy = (struct inc_operand){INC_NO_BUFFER, 0};
    *input = operand(x);
    if (either) {
        linear->floats = *input;
        INC_TRY(quantize_input(planner, node, x, width, &slot->input, &linear->copy));
        *input = linear->copy;
    } else if (slot->integer && !is_quantized(planner->plan, x, width, &slot->input, input)) {
        INC_TRY(quantize_input(planner, node, x, width, &slot->input, input));
    }
    return INCISE_OK;
}

/* The input's leading axes with the output's channels behind them. */
static enum incise_status linear_output(struct inc_planner *planner, struct inc_node *node, const struct inc_view *x,
                                        int64_t out, uint32_t *buffer)
{
    struct inc_view view = *x;
    struct inc_axis *last = &view.axes[view.rank - 1];
    last->n = out > 1;
    last->factors[0] = (struct inc_factor){INC_FACTOR_CHANNEL, out, 1};
    return inc_plan_output_like(planner, node, &view, out, buffer);
}

enum incise_status inc_plan_linear(struct inc_planner *planner, struct inc_node *node)
{
    const struct inc_view *x = inc_view_of(node->inputs[0]);
    bool has_bias = inc_attr_bool(node, "bias"), has_residual = inc_attr_bool(node, "residual");
    int64_t width, inner;
    uint32_t slot = 0, buffer;
    INC_TRY(add_slot(planner, node, &slot));
    if (planner->lowering->reason[0] != '\0') return INCISE_OK;
    const struct inc_weight weight = planner->plan->slots[slot].weight;
    if (!inc_view_groups(x, &width, &inner) || width != weight.in || inner != weight.in)
        return inc_plan_refuse_op(planner, node, "reads channels that are not one dense row");
    INC_TRY(linear_output(planner, node, x, weight.out, &buffer));
    struct inc_operand input;
    struct inc_linear_step linear = {.slot = slot};
    INC_TRY(plan_input(planner, node, &planner->plan->slots[slot], width, &linear, &input));
    inc_act_parse(inc_attr_string(node, "act"), &linear.act);
    linear.bias = has_bias ? inc_plan_floats(planner, node->inputs[2]) : NULL;
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_LINEAR, node);
    if (step == NULL || (has_bias && linear.bias == NULL)) return INCISE_ERROR_MEMORY;
    step->in[step->n_in++] = input;
    if (has_residual) {
        const struct inc_view *residual = inc_view_of(node->inputs[node->n_inputs - 1]);
        if (!inc_views_match(residual, inc_view_of(&node->outputs[0])))
            return inc_plan_refuse_op(planner, node, "adds a residual of another layout");
        step->in[step->n_in++] = operand(residual);
    }
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)weight.out;
    step->u.linear = linear;
    return INCISE_OK;
}

/* ---- Attention ------------------------------------------------------------------------------------------------- */

struct heads {
    int64_t n;        /* heads that lie in the row */
    int64_t repeated; /* logical heads per head in the row */
    int64_t dim;
};

/* [batch][heads][sequence][dim] with dense heads; repeats innermost among the head factors. */
static bool read_heads(const struct inc_view *view, struct heads *heads)
{
    if (view->rank != 4 || view->axes[0].n != 1 || view->axes[0].factors[0].kind != INC_FACTOR_BATCH ||
        view->axes[2].n != 1 || view->axes[2].factors[0].kind != INC_FACTOR_SEQUENCE || view->axes[3].n != 1 ||
        view->axes[3].factors[0].kind != INC_FACTOR_CHANNEL || view->axes[3].factors[0].stride != 1)
        return false;
    heads->dim = view->axes[3].factors[0].size;
    heads->n = heads->repeated = 1;
    const struct inc_axis *axis = &view->axes[1];
    for (int f = axis->n - 1; f >= 0; f--) {
        const struct inc_factor *factor = &axis->factors[f];
        if (factor->kind != INC_FACTOR_CHANNEL) return false;
        if (factor->stride == 0) {
            if (heads->n != 1) return false;
            heads->repeated *= factor->size;
        } else {
            if (factor->stride != heads->n * heads->dim) return false;
            heads->n *= factor->size;
        }
    }
    return true;
}

static enum incise_status add_bias(struct inc_planner *planner, const struct inc_value *value, uint32_t *index)
{
    struct inc_plan *plan = planner->plan;
    for (size_t i = 0; i < plan->n_biases; i++)
        if (plan->biases[i].value == value) {
            *index = (uint32_t)i;
            return INCISE_OK;
        }
    INC_TRY(inc_grow(planner->lowering->ctx, (void **)&plan->biases, &plan->biases_capacity, plan->n_biases,
                     sizeof *plan->biases));
    *index = (uint32_t)plan->n_biases;
    plan->biases[plan->n_biases++] = (struct inc_plan_bias){.value = value};
    return INCISE_OK;
}

enum incise_status inc_plan_attention(struct inc_planner *planner, struct inc_node *node)
{
    const struct inc_view *views[3];
    struct heads heads[3];
    for (int i = 0; i < 3; i++) {
        if (node->inputs[i]->node->mark != 1) return inc_plan_refuse_op(planner, node, "does not read token rows");
        views[i] = inc_view_of(node->inputs[i]);
        if (!read_heads(views[i], &heads[i]))
            return inc_plan_refuse_op(planner, node, "reads heads in a layout that is not [batch, heads, length, dim]");
    }
    int64_t kv_heads = heads[1].n;
    if (heads[0].repeated != 1 || heads[2].n != kv_heads || heads[1].dim != heads[0].dim ||
        heads[2].dim != heads[0].dim || kv_heads * heads[1].repeated != heads[0].n ||
        kv_heads * heads[2].repeated != heads[0].n)
        return inc_plan_refuse_op(planner, node, "has query, key and value heads that do not fit together");
    uint32_t bias = INC_NO_BUFFER, buffer;
    if (node->n_inputs == 4) INC_TRY(add_bias(planner, node->inputs[3], &bias));
    INC_TRY(inc_plan_output_like(planner, node, views[0], heads[0].n * heads[0].dim, &buffer));
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_ATTENTION, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    for (int i = 0; i < 3; i++) step->in[i] = operand(views[i]);
    step->n_in = 3;
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)(heads[0].n * heads[0].dim);
    step->u.attention = (struct inc_attention_step){
        .heads = (uint32_t)heads[0].n,
        .kv_heads = (uint32_t)kv_heads,
        .head_dim = (uint32_t)heads[0].dim,
        .scale = (float)inc_attr_float(node, "scale"),
        .causal = inc_attr_bool(node, "causal"),
        .window = (uint32_t)inc_attr_int(node, "window"),
        .bias = bias,
        .integer = planner->mode == INC_INTEGER_AND_ATTENTION,
    };
    return INCISE_OK;
}

/* ---- norms, RoPE, gates, embeddings ---------------------------------------------------------------------------- */

enum incise_status inc_plan_norm(struct inc_planner *planner, struct inc_node *node)
{
    const struct inc_view *x = inc_view_of(node->inputs[0]);
    int64_t width, inner;
    uint32_t buffer;
    if (!inc_view_groups(x, &width, &inner))
        return inc_plan_refuse_op(planner, node, "reads channels that are not dense");
    if (node->op == INC_OP_LAYER_NORM && width != inner)
        return inc_plan_refuse_op(planner, node, "normalizes parts of a row");
    const float *params[2] = {NULL, NULL};
    for (uint32_t i = 1; i < node->n_inputs; i++) {
        params[i - 1] = inc_plan_floats(planner, node->inputs[i]);
        if (params[i - 1] == NULL) return INCISE_ERROR_MEMORY;
    }
    INC_TRY(inc_plan_output_like(planner, node, x, width, &buffer));
    struct inc_step *step = inc_plan_add_step(planner, node->op, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    step->in[0] = operand(x);
    step->n_in = 1;
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)width;
    step->u.norm = (struct inc_norm_step){params[0], params[1], (float)inc_attr_float(node, "eps"),
                                          (uint32_t)(width / inner)};
    return INCISE_OK;
}

enum incise_status inc_plan_rope(struct inc_planner *planner, struct inc_node *node)
{
    const struct inc_view *x = inc_view_of(node->inputs[0]);
    int64_t width, inner;
    uint32_t buffer, tables[2];
    if (!inc_view_groups(x, &width, &inner) || inner % 2 != 0)
        return inc_plan_refuse_op(planner, node, "reads channels that are not dense");
    for (int i = 0; i < 2; i++) {
        INC_TRY(inc_plan_index_buffer(planner, node, node->inputs[1 + i], INC_BUFFER_INDEX_ROWS, &tables[i]));
        if (planner->lowering->reason[0] != '\0') return INCISE_OK;
        if (planner->plan->buffers[tables[i]].width != inner)
            return inc_plan_refuse_op(planner, node, "has a table of another width");
    }
    INC_TRY(inc_plan_output_like(planner, node, x, width, &buffer));
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_ROPE, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    step->in[0] = operand(x);
    step->in[1] = (struct inc_operand){tables[0], 0};
    step->in[2] = (struct inc_operand){tables[1], 0};
    step->n_in = 3;
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)width;
    step->u.rope = (struct inc_rope_step){(uint32_t)(width / inner), (uint32_t)inner};
    return INCISE_OK;
}

enum incise_status inc_plan_gated(struct inc_planner *planner, struct inc_node *node)
{
    const struct inc_view *gate = inc_view_of(node->inputs[0]), *up = inc_view_of(node->inputs[1]);
    int64_t width;
    uint32_t buffer;
    if (!inc_view_is_dense(gate, &width) || !inc_views_match(gate, up))
        return inc_plan_refuse_op(planner, node, "has operands of different layouts");
    INC_TRY(inc_plan_output_like(planner, node, gate, width, &buffer));
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_GATED_ACT, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    step->in[0] = operand(gate);
    step->in[1] = operand(up);
    step->n_in = 2;
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)width;
    inc_act_parse(inc_attr_string(node, "act"), &step->u.gated);
    return INCISE_OK;
}

enum incise_status inc_plan_embedding(struct inc_planner *planner, struct inc_node *node)
{
    struct inc_weight table;
    uint32_t ids, buffer;
    int64_t width;
    if (!inc_weight_match(node->inputs[0], true, &table))
        return inc_plan_refuse_op(planner, node, "has an unknown table");
    INC_TRY(inc_plan_check_weight(planner, &table));
    INC_TRY(inc_plan_index_buffer(planner, node, node->inputs[1], INC_BUFFER_IDS, &ids));
    if (planner->lowering->reason[0] != '\0') return INCISE_OK;
    INC_TRY(inc_plan_new_output(planner, node, &buffer, &width));
    if (planner->lowering->reason[0] != '\0') return INCISE_OK;
    if (width != table.in) return inc_plan_refuse_op(planner, node, "makes rows of another width than its table");
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_EMBEDDING_GATHER, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    step->in[0] = (struct inc_operand){ids, 0};
    step->n_in = 1;
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)width;
    step->u.gather = (struct inc_gather_step){table, node->name};
    return INCISE_OK;
}

/* ---- outputs --------------------------------------------------------------------------------------------------- */

bool inc_plan_is_row_per_item(const struct inc_view *view)
{
    static const enum inc_factor_kind kinds[] = {INC_FACTOR_BATCH, INC_FACTOR_SEQUENCE};
    int leading = view->domain == INC_DOMAIN_TOKENS ? 2 : 1;
    if (view->rank < leading) return false;
    for (int i = 0; i < leading; i++)
        if (view->axes[i].n != 1 || view->axes[i].factors[0].kind != kinds[i]) return false;
    return true;
}

enum incise_status inc_plan_result(struct inc_planner *planner, struct inc_node *node)
{
    struct inc_plan *plan = planner->plan;
    const struct inc_graph *graph = planner->lowering->graph;
    const struct inc_view *view = inc_view_of(node->inputs[0]);
    int64_t width;
    if (!inc_plan_is_row_per_item(view) || !inc_view_is_dense(view, &width))
        return inc_plan_refuse_op(planner, node, "is neither [batch, length, channels] nor [batch, channels]");
    if (plan->outputs == NULL) {
        plan->outputs = inc_alloc_zero(graph->ctx, graph->n_results, sizeof *plan->outputs);
        if (plan->outputs == NULL)
            return inc_fail_memory(graph->ctx, graph->n_results * sizeof *plan->outputs, "a plan");
        plan->n_outputs = graph->n_results;
    }
    for (size_t i = 0; i < graph->n_results; i++)
        if (graph->results[i] == node)
            plan->outputs[i] = (struct inc_plan_output){view->buffer, (uint32_t)view->column, (uint32_t)width};
    return INCISE_OK;
}
