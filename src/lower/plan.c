/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the lowered graph once and lists steps and buffers. */
#include <string.h>

#include "base/size.h"
#include "lower/match.h"
#include "lower/plan_internal.h"

struct inc_step *inc_plan_add_step(struct inc_planner *planner, enum inc_op op, const struct inc_node *node)
{
    struct inc_plan *plan = planner->plan;
    if (inc_grow(planner->lowering->ctx, (void **)&plan->steps, &plan->steps_capacity, plan->n_steps,
                 sizeof *plan->steps) != INCISE_OK)
        return NULL;
    struct inc_step *step = &plan->steps[plan->n_steps++];
    memset(step, 0, sizeof *step);
    step->op = op;
    step->node = node;
    step->name = node->name;
    return step;
}

static size_t row_bytes(const struct inc_planner *planner, enum inc_buffer_kind kind, uint32_t width)
{
    if (kind == INC_BUFFER_QUANTIZED) return planner->device->ops->quantized_row_bytes(planner->device, width);
    if (kind == INC_BUFFER_IDS || kind == INC_BUFFER_PICKS) return sizeof(int32_t);
    return inc_round_up((size_t)width * sizeof(float), 64);
}

enum incise_status inc_plan_add_buffer(struct inc_planner *planner, enum inc_buffer_kind kind, enum inc_domain domain,
                                       int64_t width, uint32_t *index)
{
    struct inc_plan *plan = planner->plan;
    INC_TRY(inc_grow(planner->lowering->ctx, (void **)&plan->buffers, &plan->buffers_capacity, plan->n_buffers,
                     sizeof *plan->buffers));
    *index = (uint32_t)plan->n_buffers;
    plan->buffers[plan->n_buffers++] = (struct inc_plan_buffer){.kind = kind,
                                                                .domain = domain,
                                                                .width = (uint32_t)width,
                                                                .row_bytes = row_bytes(planner, kind, (uint32_t)width),
                                                                .batch_axis = -1,
                                                                .sequence_axis = -1};
    return INCISE_OK;
}

enum incise_status inc_plan_refuse_op(struct inc_planner *planner, const struct inc_node *node, const char *why)
{
    return inc_lower_refuse(planner->lowering, "%s '%s' %s", inc_ops[node->op].name, node->name, why);
}

enum incise_status inc_plan_output_like(struct inc_planner *planner, struct inc_node *node, const struct inc_view *like,
                                        int64_t width, uint32_t *buffer)
{
    INC_TRY(inc_plan_add_buffer(planner, INC_BUFFER_ROWS, like->domain, width, buffer));
    struct inc_view *view = inc_view_of(&node->outputs[0]);
    *view = *like;
    view->buffer = *buffer;
    view->column = 0;
    return INCISE_OK;
}

enum incise_status inc_plan_new_output(struct inc_planner *planner, struct inc_node *node, uint32_t *buffer,
                                       int64_t *width)
{
    struct inc_view view;
    if (!inc_view_of_shape(planner->lowering, &node->outputs[0].shape, &view, width))
        return inc_plan_refuse_op(planner, node, "does not make rows of tokens");
    return inc_plan_output_like(planner, node, &view, *width, buffer);
}

const float *inc_plan_floats(struct inc_planner *planner, const struct inc_value *constant)
{
    const struct inc_tensor *data = inc_const_of(constant);
    size_t n = inc_tensor_elements(data);
    float *floats = inc_arena_alloc(&planner->lowering->graph->arena, n, sizeof *floats);
    if (floats == NULL)
        (void)inc_fail_memory(planner->lowering->ctx, n * sizeof *floats, constant->node->name);
    else
        inc_tensor_to_f32(data, 0, n, floats);
    return floats;
}

enum incise_status inc_plan_check_weight(const struct inc_planner *planner, const struct inc_weight *weight)
{
    const struct inc_lowering *lowering = planner->lowering;
    return lowering->weights_checked ? inc_weight_check_params(lowering->graph, weight)
                                     : inc_weight_check(lowering->graph, weight);
}

/* The axes of an index value: batch and, where rows are tokens, length may each be there or not; one dim of channels
 * for INDEX_ROWS. */
static bool index_axes(const struct inc_lowering *lowering, const struct inc_value *value,
                       struct inc_plan_buffer *buffer)
{
    int last = value->shape.rank - 1;
    for (int i = 0; i <= last; i++) {
        struct inc_dim dim = value->shape.dims[i];
        bool channels = i == last && buffer->kind == INC_BUFFER_INDEX_ROWS;
        if (channels) {
            if (!inc_dim_is_const(dim) || dim.value < 1 || dim.value > INT32_MAX) return false;
            buffer->width = (uint32_t)dim.value;
        } else if (inc_dim_equal(dim, lowering->batch) && buffer->batch_axis < 0 && buffer->sequence_axis < 0) {
            buffer->batch_axis = i;
        } else if (inc_dim_equal(dim, lowering->sequence) && buffer->sequence_axis < 0 &&
                   buffer->domain == INC_DOMAIN_TOKENS) {
            buffer->sequence_axis = i;
        } else if (!inc_dim_is_const(dim) || dim.value != 1) {
            return false;
        }
    }
    return true;
}

enum incise_status inc_plan_index_buffer(struct inc_planner *planner, const struct inc_node *reader,
                                         const struct inc_value *value, enum inc_buffer_kind kind, uint32_t *index)
{
    struct inc_plan *plan = planner->plan;
    struct inc_arena *arena = &planner->lowering->graph->arena;
    struct inc_plan_buffer layout = {.kind = kind, .batch_axis = -1, .sequence_axis = -1, .width = 1};
    layout.domain = kind == INC_BUFFER_PICKS ? INC_DOMAIN_SEQUENCES : INC_DOMAIN_TOKENS;
    if (value->node->mark == 1 || !index_axes(planner->lowering, value, &layout))
        return inc_plan_refuse_op(planner, reader, "reads positions or ids in a form that is not one per row");
    /* Nodes of the index part remember their buffers: per output and kind, index + 1. */
    const size_t per_output = INC_BUFFER_KINDS * sizeof(uint32_t);
    if (value->node->lowered == NULL) value->node->lowered = inc_arena_alloc(arena, value->node->n_outputs, per_output);
    if (value->node->lowered == NULL) return inc_fail_memory(planner->lowering->ctx, per_output, "a plan");
    uint32_t *known = (uint32_t *)value->node->lowered + INC_BUFFER_KINDS * value->port + kind;
    if (*known != 0) {
        *index = *known - 1;
        return INCISE_OK;
    }
    INC_TRY(inc_plan_add_buffer(planner, kind, layout.domain, layout.width, index));
    *known = *index + 1;
    struct inc_plan_buffer *buffer = &plan->buffers[*index];
    buffer->value = value;
    buffer->batch_axis = layout.batch_axis;
    buffer->sequence_axis = layout.sequence_axis;
    return INCISE_OK;
}

static inc_plan_fn *builder_of(enum inc_op op)
{
    switch (op) {
    case INC_OP_LINEAR: return inc_plan_linear;
    case INC_OP_ATTENTION: return inc_plan_attention;
    case INC_OP_LAYER_NORM:
    case INC_OP_RMS_NORM: return inc_plan_norm;
    case INC_OP_ROPE: return inc_plan_rope;
    case INC_OP_GATED_ACT: return inc_plan_gated;
    case INC_OP_EMBEDDING_GATHER: return inc_plan_embedding;
    case INC_OP_POOL: return inc_plan_pool;
    case INC_OP_NORMALIZE_L2: return inc_plan_l2;
    case INC_OP_RESULT: return inc_plan_result;
    case INC_OP_RESHAPE:
    case INC_OP_TRANSPOSE:
    case INC_OP_SQUEEZE:
    case INC_OP_SQUEEZE15:
    case INC_OP_UNSQUEEZE:
    case INC_OP_BROADCAST:
    case INC_OP_BROADCAST1:
    case INC_OP_SLICE:
    case INC_OP_SPLIT:
    case INC_OP_VARIADIC_SPLIT: return inc_plan_movement;
    default: return inc_plan_rowwise;
    }
}

/* What holds for every step: its rows are all of one domain (Pool alone leads from one to the other), and the device
 * has it. */
static enum incise_status check_step(struct inc_planner *planner, const struct inc_node *node, struct inc_step *step)
{
    const struct inc_plan *plan = planner->plan;
    const struct inc_slot *slot = step->op == INC_OP_LINEAR ? &plan->slots[step->u.linear.slot] : NULL;
    step->domain = plan->buffers[step->out.buffer].domain;
    for (uint32_t i = 0; i < step->n_in && step->op != INC_OP_POOL; i++)
        if (plan->buffers[step->in[i].buffer].domain != step->domain)
            return inc_plan_refuse_op(planner, node, "mixes rows of tokens with rows of sequences");
    if (!planner->device->ops->supports(planner->device, step, slot))
        return inc_plan_refuse_op(planner, node, "is not supported by the device");
    return INCISE_OK;
}

static enum incise_status plan_node(struct inc_planner *planner, struct inc_node *node)
{
    struct inc_graph *graph = planner->lowering->graph;
    node->lowered = inc_arena_alloc(&graph->arena, node->n_outputs, sizeof(struct inc_view));
    if (node->lowered == NULL) return inc_fail_memory(graph->ctx, sizeof(struct inc_view), "a plan");
    size_t first = planner->plan->n_steps;
    INC_TRY(builder_of(node->op)(planner, node));
    for (uint32_t i = 0; i < node->n_outputs && planner->lowering->reason[0] == '\0'; i++)
        if (!inc_view_fits(planner->lowering, inc_view_of(&node->outputs[i]), &node->outputs[i].shape))
            return inc_plan_refuse_op(planner, node, "gives rows of another shape");
    for (size_t i = first; i < planner->plan->n_steps && planner->lowering->reason[0] == '\0'; i++)
        INC_TRY(check_step(planner, node, &planner->plan->steps[i]));
    return INCISE_OK;
}

/* Which parts of the index part a run may keep from the one before. */
static void note_by_shape(struct inc_planner *planner)
{
    struct inc_plan *plan = planner->plan;
    inc_mark_contents(planner->lowering->graph);
    for (size_t i = 0; i < plan->n_buffers; i++)
        if (plan->buffers[i].value != NULL) plan->buffers[i].by_shape = plan->buffers[i].value->node->mark == 0;
    for (size_t i = 0; i < plan->n_biases; i++) plan->biases[i].by_shape = plan->biases[i].value->node->mark == 0;
}

enum incise_status inc_plan_create(struct inc_lowering *lowering, const struct inc_device *device,
                                   enum inc_integer_mode mode, bool replaceable, struct inc_plan *plan)
{
    struct inc_planner planner = {lowering, device, mode, replaceable, plan};
    enum incise_status status = INCISE_OK;
    memset(plan, 0, sizeof *plan);
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL && status == INCISE_OK; node = node->next) {
        if (node->op == INC_OP_RESULT && node->inputs[0]->node->mark != 1)
            status = inc_lower_refuse(lowering, "output '%s' does not come from the token rows", node->name);
        else if (node->mark == 1)
            status = plan_node(&planner, node);
        if (lowering->reason[0] != '\0') break;
    }
    if (status == INCISE_OK && lowering->reason[0] == '\0') status = inc_plan_place_buffers(&planner);
    if (status != INCISE_OK || lowering->reason[0] != '\0')
        inc_plan_release(lowering->ctx, plan);
    else
        note_by_shape(&planner);
    return status;
}

void inc_plan_release(const struct inc_ctx *ctx, struct inc_plan *plan)
{
    inc_free(ctx, plan->steps);
    inc_free(ctx, plan->slots);
    inc_free(ctx, plan->buffers);
    inc_free(ctx, plan->outputs);
    inc_free(ctx, plan->biases);
    inc_free(ctx, plan->cuts);
    inc_free(ctx, plan->cut_buffers);
    memset(plan, 0, sizeof *plan);
}

struct inc_step *inc_plan_linear_of(const struct inc_plan *plan, uint32_t slot)
{
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].op == INC_OP_LINEAR && plan->steps[i].u.linear.slot == slot) return &plan->steps[i];
    return NULL;
}
