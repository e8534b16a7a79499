/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/shape.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "graph/shape_rules.h"

enum incise_status inc_node_fail(const struct inc_graph *graph, const struct inc_node *node, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct inc_op_info *op = &inc_ops[node->op];
    return inc_fail(graph->ctx, INCISE_ERROR_DATA, "%s: layer %u '%s' (%s%s%s): %s",
                    graph->source ? graph->source : "graph", (unsigned)node->id, node->name ? node->name : "", op->name,
                    op->opset ? " " : "", op->opset ? op->opset : "", text);
}

static enum incise_status check_node(const struct inc_infer *infer, const struct inc_node *node)
{
    const struct inc_op_info *op = &inc_ops[node->op];
    if (node->n_inputs < op->min_inputs || node->n_inputs > op->max_inputs)
        return inc_node_fail(infer->graph, node, "%u inputs are not allowed", (unsigned)node->n_inputs);
    if (op->n_outputs ? node->n_outputs != op->n_outputs : node->n_outputs == 0 && node->op != INC_OP_RESULT)
        return inc_node_fail(infer->graph, node, "%u outputs are not allowed", (unsigned)node->n_outputs);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (!node->inputs[i]) return inc_node_fail(infer->graph, node, "input %u is not connected", (unsigned)i);
        if (node->inputs[i]->shape.rank < 0)
            return inc_node_fail(infer->graph, node, "the shape of input %u is not known yet", (unsigned)i);
    }
    return INCISE_OK;
}

enum incise_status inc_shape_infer_node(struct inc_infer *infer, struct inc_node *node)
{
    INC_TRY(check_node(infer, node));
    return inc_ops[node->op].shape(infer, node);
}

enum incise_status inc_graph_infer(struct inc_graph *graph)
{
    struct inc_infer infer = {.graph = graph};
    for (struct inc_node *node = graph->first; node; node = node->next) INC_TRY(inc_shape_infer_node(&infer, node));
    return INCISE_OK;
}

/* ---- results --------------------------------------------------------------------------------------------------- */

static enum incise_status check_dim(const struct inc_infer *infer, const struct inc_node *node, struct inc_dim dim,
                                    int i)
{
    if (inc_dim_valid(dim)) {
        if (!inc_dim_is_const(dim) || dim.value >= 0) return INCISE_OK;
        return inc_node_fail(infer->graph, node, "dimension %d of the result is %lld", i, (long long)dim.value);
    }
    if (dim.value == INC_DIM_NO_MEMORY.value) return INCISE_ERROR_MEMORY;
    if (dim.value == INC_DIM_OVERFLOW.value)
        return inc_node_fail(infer->graph, node, "dimension %d of the result is too large", i);
    return inc_node_fail(infer->graph, node, "dimension %d of the result depends on data that is not known", i);
}

/* The constant dims alone must leave the tensor addressable. */
static enum incise_status check_size(const struct inc_infer *infer, const struct inc_node *node, enum inc_type type,
                                     const struct inc_shape *shape)
{
    int64_t dims[INC_MAX_RANK];
    size_t count, bytes;
    for (int i = 0; i < shape->rank; i++) dims[i] = inc_dim_is_const(shape->dims[i]) ? shape->dims[i].value : 1;
    if (!inc_tensor_count(shape->rank, dims, type, &count, &bytes))
        return inc_node_fail(infer->graph, node, "the result is too large");
    return INCISE_OK;
}

/* Keeps the old array when it says the same, so that repeated inference takes no new memory. */
static enum incise_status set_elements(struct inc_infer *infer, struct inc_value *value, const struct inc_dim *elements,
                                       size_t n, size_t n_old)
{
    const struct inc_dim *old = value->elements;
    bool same = old && n == n_old;
    value->elements = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!inc_dim_valid(elements[i])) return INCISE_ERROR_MEMORY;
        same = same && inc_dim_equal(old[i], elements[i]);
    }
    if (!same) {
        struct inc_dim *copy = inc_arena_alloc(&infer->graph->arena, n, sizeof *copy);
        if (!copy) return inc_fail_memory(infer->graph->ctx, n * sizeof *copy, "shape inference");
        if (n > 0) memcpy(copy, elements, n * sizeof *copy);
        old = copy;
    }
    value->elements = old;
    return INCISE_OK;
}

enum incise_status inc_rule_set(struct inc_infer *infer, struct inc_node *node, uint32_t port, enum inc_type type,
                                const struct inc_shape *shape, const struct inc_dim *elements)
{
    struct inc_value *value = &node->outputs[port];
    if (shape->rank > INC_MAX_RANK)
        return inc_node_fail(infer->graph, node, "the result has rank %d; at most %d is supported", shape->rank,
                             INC_MAX_RANK);
    for (int i = 0; i < shape->rank; i++) INC_TRY(check_dim(infer, node, shape->dims[i], i));
    INC_TRY(check_size(infer, node, type, shape));
    size_t n_old = 0, n = 0;
    if (value->elements && (value->shape.rank < 0 || !inc_shape_count(&value->shape, &n_old))) value->elements = NULL;
    value->type = type;
    value->shape = *shape;
    if (!elements || infer->data || !inc_shape_count(shape, &n)) {
        value->elements = NULL;
        return INCISE_OK;
    }
    return set_elements(infer, value, elements, n, n_old);
}
