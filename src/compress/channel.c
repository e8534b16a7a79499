/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/channel.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/bias.h"
#include "compress/producer.h"
#include "lower/program.h"

/* ---- finding --------------------------------------------------------------------------------------------------- */

/* The inner Linears of what `outer` computes; 0 if it is no feed-forward layer. */
static uint32_t find_inner(const struct inc_plan *plan, const struct inc_step *outer, const struct inc_step *inner[2])
{
    uint32_t width = (uint32_t)plan->slots[outer->u.linear.slot].weight.in;
    const struct inc_step *before = inc_writer_of(plan, outer->in[0].buffer);
    if (before == NULL || !inc_is_only_reader(plan, outer, outer->in[0].buffer)) return 0;
    if (before->op == INC_OP_LINEAR) {
        inner[0] = inc_inner_linear(plan, outer, 0, width);
        return inner[0] != NULL && inner[0]->u.linear.act != INC_ACT_NONE ? 1 : 0;
    }
    if (before->op != INC_OP_GATED_ACT || before->width != width) return 0;
    for (uint32_t i = 0; i < 2; i++) {
        inner[i] = inc_inner_linear(plan, before, i, width);
        if (inner[i] == NULL) return 0;
    }
    return inner[0] != inner[1] ? 2 : 0;
}

static enum incise_status add_layer(const struct inc_plan *plan, const struct inc_step *step,
                                    const struct inc_targets *targets, const struct inc_targets *all,
                                    struct inc_feed_forwards *found)
{
    const struct inc_step *inner[2];
    struct inc_feed_forward layer = {.n_inner = find_inner(plan, step, inner)};
    const struct inc_target *outer = inc_target_of(plan, targets, step);
    if (layer.n_inner == 0 || outer == NULL) return INCISE_OK;
    layer.outer = *outer;
    for (uint32_t i = 0; i < layer.n_inner; i++) {
        const struct inc_target *target = inc_target_of(plan, all, inner[i]);
        if (target == NULL) return INCISE_OK;
        layer.inner[i] = *target;
    }
    INC_TRY(inc_grow(found->ctx, (void **)&found->items, &found->capacity, found->n, sizeof *found->items));
    found->items[found->n++] = layer;
    return INCISE_OK;
}

static enum incise_status find_in_program(const struct inc_graph *graph, const struct inc_program *program,
                                          const struct inc_targets *targets, const struct inc_targets *all,
                                          struct inc_feed_forwards *found)
{
    const struct inc_plan *plan = &program->plan;
    const char *source = graph->source != NULL ? graph->source : "graph";
    if (!program->fused)
        return inc_fail(graph->ctx, INCISE_ERROR_DATA,
                        "%s: its feed-forward layers cannot be seen, it runs op by op: %s", source,
                        program->lowering.reason);
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].op == INC_OP_LINEAR) INC_TRY(add_layer(plan, &plan->steps[i], targets, all, found));
    if (found->n > 0) return INCISE_OK;
    return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "%s: none of the %zu selected layers ends a feed-forward layer",
                    source, targets->n);
}

enum incise_status inc_feed_forwards_find(struct inc_graph *graph, const struct inc_targets *targets,
                                          struct inc_feed_forwards *found)
{
    const struct inc_program_options options = {.mode = INC_INTEGER_NONE};
    struct inc_device *device = NULL;
    struct inc_program *program = NULL;
    struct inc_targets all;
    *found = (struct inc_feed_forwards){.ctx = graph->ctx};
    enum incise_status status = inc_targets_select(graph, false, NULL, NULL, &all);
    if (status == INCISE_OK) status = inc_null_device_create(graph->ctx, &device);
    if (status == INCISE_OK) status = inc_program_create(graph, device, &options, &program);
    if (status == INCISE_OK) status = find_in_program(graph, program, targets, &all, found);
    inc_program_destroy(program);
    if (device != NULL) device->ops->destroy(device);
    inc_targets_release(&all);
    return status;
}

static bool is_whole(const struct inc_feed_forward *layer, const struct inc_targets *targets)
{
    bool whole = inc_target_index(targets, layer->outer.reader) < targets->n;
    for (uint32_t i = 0; i < layer->n_inner; i++)
        whole = whole && inc_target_index(targets, layer->inner[i].reader) < targets->n;
    return whole;
}

void inc_feed_forwards_keep_whole(struct inc_feed_forwards *found, const struct inc_targets *targets)
{
    size_t n = 0;
    for (size_t i = 0; i < found->n; i++)
        if (is_whole(&found->items[i], targets)) found->items[n++] = found->items[i];
    found->n = n;
}

void inc_feed_forwards_release(struct inc_feed_forwards *found)
{
    inc_free(found->ctx, found->items);
    found->items = NULL;
    found->n = 0;
}

size_t inc_channels_to_remove(size_t width, double share)
{
    size_t steps = (size_t)llround((1 - share) * (double)width / INC_CHANNEL_STEP);
    size_t kept = inc_min_size(width, inc_max_size(1, steps) * INC_CHANNEL_STEP);
    return width - kept;
}

/* ---- removing -------------------------------------------------------------------------------------------------- */

/* The constant behind `value` and its Converts, if each of them is read once. */
static struct inc_node *own_constant(const struct inc_value *value)
{
    while (value->n_uses == 1 && value->node->op == INC_OP_CONVERT) value = value->node->inputs[0];
    return value->n_uses == 1 && value->node->op == INC_OP_CONSTANT ? value->node : NULL;
}

/* Shortens axis `axis` of a constant with `outer` x axis x `inner` elements. */
static enum incise_status shorten(struct inc_graph *graph, struct inc_node *constant, int axis, const bool *removed,
                                  size_t n_removed)
{
    const struct inc_tensor *old = &constant->data;
    struct inc_tensor tensor = *old;
    size_t outer = 1, width = (size_t)old->dims[axis], item = inc_type_bits(old->type) / 8, row = 0;
    for (int i = 0; i < axis; i++) outer *= (size_t)old->dims[i];
    for (int i = axis + 1; i < old->rank; i++) item *= (size_t)old->dims[i];
    tensor.dims[axis] -= (int64_t)n_removed;
    tensor.bytes = outer * (width - n_removed) * item;
    unsigned char *data = inc_alloc(graph->ctx, tensor.bytes);
    if (data == NULL) return inc_fail_memory(graph->ctx, tensor.bytes, "a pruned weight");
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < width; i++)
            if (!removed[i])
                memcpy(data + row++ * item, (const unsigned char *)old->data + (o * width + i) * item, item);
    struct inc_blob *blob;
    enum incise_status status = inc_graph_add_blob(graph, data, tensor.bytes, &blob);
    if (status != INCISE_OK) {
        inc_free(graph->ctx, data);
        return status;
    }
    tensor.data = data;
    constant->data = tensor;
    return INCISE_OK;
}

static enum incise_status fail_shared(const struct inc_graph *graph, const struct inc_target *target, const char *what)
{
    return inc_fail(graph->ctx, INCISE_ERROR_DATA,
                    "layer '%s': its %s is no plain constant of its own; its channels cannot go; --ignore it",
                    target->reader->name, what);
}

/* `rows`: of W[out, in], else columns. */
static enum incise_status shorten_weight(struct inc_graph *graph, const struct inc_target *target, bool rows,
                                         const bool *removed, size_t n_removed)
{
    struct inc_node *constant = own_constant(target->reader->inputs[target->input]);
    if (constant == NULL || !inc_type_is_float(constant->data.type) || constant->data.rank != 2)
        return fail_shared(graph, target, "weight");
    return shorten(graph, constant, rows != target->weight.transposed ? 0 : 1, removed, n_removed);
}

static enum incise_status shorten_bias(struct inc_graph *graph, const struct inc_target *target, const bool *removed,
                                       size_t n_removed)
{
    uint32_t input;
    const struct inc_node *add = inc_bias_find(target->reader, &input);
    if (add == NULL) return INCISE_OK;
    struct inc_node *constant = own_constant(add->inputs[input]);
    if (constant == NULL) return fail_shared(graph, target, "bias");
    return shorten(graph, constant, constant->data.rank - 1, removed, n_removed);
}

enum incise_status inc_channels_remove(struct inc_graph *graph, const struct inc_feed_forward *layer,
                                       const bool *removed)
{
    size_t n_removed = 0;
    for (int64_t i = 0; i < layer->outer.weight.in; i++) n_removed += removed[i];
    for (uint32_t i = 0; i < layer->n_inner; i++) {
        INC_TRY(shorten_weight(graph, &layer->inner[i], true, removed, n_removed));
        INC_TRY(shorten_bias(graph, &layer->inner[i], removed, n_removed));
    }
    return shorten_weight(graph, &layer->outer, false, removed, n_removed);
}
