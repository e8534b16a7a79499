/* SPDX-License-Identifier: Apache-2.0 */
/* Graph structure: nodes, values, uses, order, constants. */
#include "graph/graph.h"

#include <stdatomic.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "graph/attr.h"
#include "graph/blob.h"

struct inc_blob {
    atomic_size_t references;
    struct inc_ctx ctx; /* a copy: the blob may outlive the graph that read it */
    struct inc_file bytes;
};

static enum incise_status out_of_memory(const struct inc_graph *graph)
{
    return inc_fail(graph->ctx, INCISE_ERROR_MEMORY, "out of memory for the graph of %s",
                    graph->source != NULL ? graph->source : "a model");
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

enum incise_status inc_graph_create(const struct inc_ctx *ctx, struct inc_graph **out)
{
    struct inc_graph *graph = inc_alloc_zero(ctx, 1, sizeof *graph);
    if (graph == NULL) return inc_fail_memory(ctx, sizeof *graph, "a graph");
    graph->ctx = ctx;
    graph->ir_version = 11;
    graph->name = "model";
    inc_arena_init(&graph->arena, ctx);
    enum incise_status status = inc_grow(ctx, (void **)&graph->symbols, &graph->symbols_capacity, 0,
                                         sizeof *graph->symbols);
    if (status != INCISE_OK) {
        inc_graph_destroy(graph);
        return status;
    }
    memset(graph->symbols, 0, sizeof *graph->symbols);
    graph->n_symbols = 1;
    *out = graph;
    return INCISE_OK;
}

static void release_blob(struct inc_blob *blob)
{
    if (atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) != 1) return;
    struct inc_ctx ctx = blob->ctx;
    inc_file_release(&ctx, &blob->bytes);
    inc_free(&ctx, blob);
}

void inc_graph_destroy(struct inc_graph *graph)
{
    if (graph == NULL) return;
    const struct inc_ctx *ctx = graph->ctx;
    for (size_t i = 0; i < graph->n_blobs; i++) release_blob(graph->blobs[i]);
    inc_free(ctx, graph->blobs);
    inc_free(ctx, graph->parameters);
    inc_free(ctx, graph->results);
    inc_free(ctx, graph->symbols);
    inc_arena_fini(&graph->arena);
    inc_free(ctx, graph);
}

static enum incise_status hold_blob(struct inc_graph *graph, struct inc_blob *blob)
{
    INC_TRY(inc_grow(graph->ctx, (void **)&graph->blobs, &graph->blobs_capacity, graph->n_blobs, sizeof *graph->blobs));
    graph->blobs[graph->n_blobs++] = blob;
    return INCISE_OK;
}

/* Takes over the memory or mapping on success. */
static enum incise_status add_blob(struct inc_graph *graph, const struct inc_file *bytes, struct inc_blob **out)
{
    struct inc_blob *blob = inc_alloc_zero(graph->ctx, 1, sizeof *blob);
    if (blob == NULL) return out_of_memory(graph);
    enum incise_status status = hold_blob(graph, blob);
    if (status != INCISE_OK) {
        inc_free(graph->ctx, blob);
        return status;
    }
    atomic_init(&blob->references, 1);
    blob->ctx = *graph->ctx;
    blob->bytes = *bytes;
    *out = blob;
    return INCISE_OK;
}

enum incise_status inc_graph_add_blob(struct inc_graph *graph, void *memory, size_t bytes, struct inc_blob **out)
{
    const struct inc_file file = {.data = memory, .size = bytes};
    return add_blob(graph, &file, out);
}

enum incise_status inc_graph_hold_file(struct inc_graph *graph, struct inc_file *file)
{
    struct inc_blob *blob;
    enum incise_status status = add_blob(graph, file, &blob);
    if (status != INCISE_OK) inc_file_release(graph->ctx, file);
    return status;
}

enum incise_status inc_graph_share_blobs(const struct inc_graph *from, struct inc_graph *to)
{
    for (size_t i = 0; i < from->n_blobs; i++) {
        INC_TRY(hold_blob(to, from->blobs[i]));
        atomic_fetch_add_explicit(&from->blobs[i]->references, 1, memory_order_relaxed);
    }
    return INCISE_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------------------------- */

static void link_node(struct inc_graph *graph, struct inc_node *node, struct inc_node *before)
{
    node->next = before;
    node->prev = before != NULL ? before->prev : graph->last;
    *(node->prev != NULL ? &node->prev->next : &graph->first) = node;
    *(before != NULL ? &before->prev : &graph->last) = node;
    graph->n_nodes++;
}

static void unlink_node(struct inc_graph *graph, struct inc_node *node)
{
    *(node->prev != NULL ? &node->prev->next : &graph->first) = node->next;
    *(node->next != NULL ? &node->next->prev : &graph->last) = node->prev;
    node->prev = node->next = NULL;
    graph->n_nodes--;
}

/* Adds one use; the array doubles in the arena. */
static bool add_use(struct inc_graph *graph, struct inc_value *value, struct inc_node *node, uint32_t index)
{
    if (value->n_uses == value->uses_capacity) {
        uint32_t capacity = value->uses_capacity == 0 ? 2 : value->uses_capacity * 2;
        struct inc_use *uses = inc_arena_alloc(&graph->arena, capacity, sizeof *uses);
        if (uses == NULL) return false;
        if (value->n_uses > 0) memcpy(uses, value->uses, value->n_uses * sizeof *uses);
        value->uses = uses;
        value->uses_capacity = capacity;
    }
    value->uses[value->n_uses++] = (struct inc_use){node, index};
    return true;
}

static void remove_use(struct inc_value *value, const struct inc_node *node, uint32_t index)
{
    for (uint32_t i = 0; i < value->n_uses; i++) {
        if (value->uses[i].node != node || value->uses[i].index != index) continue;
        memmove(&value->uses[i], &value->uses[i + 1], (value->n_uses - i - 1) * sizeof *value->uses);
        value->n_uses--;
        return;
    }
}

static enum incise_status register_port(struct inc_graph *graph, struct inc_node *node)
{
    if (node->op == INC_OP_PARAMETER) {
        INC_TRY(inc_grow(graph->ctx, (void **)&graph->parameters, &graph->parameters_capacity, graph->n_parameters,
                         sizeof *graph->parameters));
        graph->parameters[graph->n_parameters++] = node;
    } else if (node->op == INC_OP_RESULT) {
        INC_TRY(inc_grow(graph->ctx, (void **)&graph->results, &graph->results_capacity, graph->n_results,
                         sizeof *graph->results));
        graph->results[graph->n_results++] = node;
    }
    return INCISE_OK;
}

struct inc_node *inc_graph_add_outputs(struct inc_graph *graph, enum inc_op op, const char *name,
                                       struct inc_value *const *inputs, uint32_t n_inputs, uint32_t n_outputs,
                                       struct inc_node *before)
{
    struct inc_arena *arena = &graph->arena;
    struct inc_node *node = inc_arena_alloc(arena, 1, sizeof *node);
    if (node == NULL) goto fail;
    node->op = op;
    node->id = graph->next_id++;
    node->name = name != NULL ? inc_arena_strdup(arena, name)
                              : inc_arena_printf(arena, "%s_%u", inc_ops[op].name, node->id);
    node->inputs = inc_arena_alloc(arena, n_inputs, sizeof(struct inc_value *));
    node->n_inputs = n_inputs;
    node->outputs = inc_arena_alloc(arena, n_outputs, sizeof *node->outputs);
    node->n_outputs = n_outputs;
    if (node->name == NULL || node->inputs == NULL || node->outputs == NULL) goto fail;
    for (uint32_t i = 0; i < n_outputs; i++) {
        node->outputs[i].node = node;
        node->outputs[i].port = i;
        node->outputs[i].shape.rank = -1;
    }
    if (!inc_attrs_init(graph, node)) goto fail;
    for (uint32_t i = 0; i < n_inputs; i++) {
        node->inputs[i] = inputs != NULL ? inputs[i] : NULL;
        if (node->inputs[i] != NULL && !add_use(graph, node->inputs[i], node, i)) goto fail;
    }
    if (register_port(graph, node) != INCISE_OK) return NULL;
    link_node(graph, node, before);
    return node;
fail:
    (void)out_of_memory(graph);
    return NULL;
}

struct inc_node *inc_graph_add(struct inc_graph *graph, enum inc_op op, const char *name,
                               struct inc_value *const *inputs, uint32_t n_inputs, struct inc_node *before)
{
    return inc_graph_add_outputs(graph, op, name, inputs, n_inputs, inc_ops[op].n_outputs, before);
}

struct inc_node *inc_graph_add_constant(struct inc_graph *graph, const char *name, const struct inc_tensor *tensor,
                                        struct inc_blob *blob, struct inc_node *before)
{
    struct inc_tensor data = *tensor;
    data.owned = false;
    if (blob == NULL) {
        data.data = inc_alloc(graph->ctx, tensor->bytes);
        if (data.data == NULL) {
            (void)out_of_memory(graph);
            return NULL;
        }
        if (tensor->bytes > 0) memcpy(data.data, tensor->data, tensor->bytes);
        if (inc_graph_add_blob(graph, data.data, tensor->bytes, &blob) != INCISE_OK) {
            inc_free(graph->ctx, data.data);
            return NULL;
        }
    }
    struct inc_node *node = inc_graph_add(graph, INC_OP_CONSTANT, name, NULL, 0, before);
    if (node == NULL) return NULL;
    node->data = data;
    inc_attr_set_type(node, "element_type", data.type);
    struct inc_shape *shape = inc_attr_shape(node, "shape");
    shape->rank = data.rank;
    for (int i = 0; i < data.rank; i++) shape->dims[i] = inc_dim_const(data.dims[i]);
    node->outputs[0].type = data.type;
    node->outputs[0].shape = *shape;
    return node;
}

enum incise_status inc_node_set_input(struct inc_graph *graph, struct inc_node *node, uint32_t index,
                                      struct inc_value *value)
{
    struct inc_value *old = node->inputs[index];
    if (old == value) return INCISE_OK;
    if (value != NULL && !add_use(graph, value, node, index)) return out_of_memory(graph);
    if (old != NULL) remove_use(old, node, index);
    node->inputs[index] = value;
    return INCISE_OK;
}

enum incise_status inc_value_replace(struct inc_graph *graph, struct inc_value *from, struct inc_value *to)
{
    while (from != to && from->n_uses > 0) {
        struct inc_use use = from->uses[from->n_uses - 1];
        INC_TRY(inc_node_set_input(graph, use.node, use.index, to));
    }
    return INCISE_OK;
}

static void forget_port(struct inc_node **list, size_t *count, const struct inc_node *node)
{
    for (size_t i = 0; i < *count; i++) {
        if (list[i] != node) continue;
        memmove(&list[i], &list[i + 1], (*count - i - 1) * sizeof(struct inc_node *));
        (*count)--;
        return;
    }
}

void inc_graph_remove(struct inc_graph *graph, struct inc_node *node)
{
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != NULL) remove_use(node->inputs[i], node, i);
    if (node->op == INC_OP_PARAMETER) forget_port(graph->parameters, &graph->n_parameters, node);
    if (node->op == INC_OP_RESULT) forget_port(graph->results, &graph->n_results, node);
    unlink_node(graph, node);
}

static bool is_used(const struct inc_node *node)
{
    if (node->op == INC_OP_PARAMETER || node->op == INC_OP_RESULT) return true;
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i].n_uses > 0) return true;
    return false;
}

size_t inc_graph_remove_dead(struct inc_graph *graph)
{
    size_t removed = 0;
    for (struct inc_node *node = graph->last; node != NULL;) { /* readers come later, so one backward sweep is enough */
        struct inc_node *prev = node->prev;
        if (!is_used(node)) {
            inc_graph_remove(graph, node);
            removed++;
        }
        node = prev;
    }
    return removed;
}

/* ---- order ----------------------------------------------------------------------------------------------------- */

/* One node on the path of the depth-first walk, and the next input of it to look at. */
struct visit {
    struct inc_node *node;
    uint32_t input;
};

enum { MARK_NEW, MARK_OPEN, MARK_DONE };

/* Emits `root` after everything it reads. `stack` has room for every node. Returns a node of a cycle, or NULL. */
static struct inc_node *emit_after_inputs(struct inc_node *root, struct visit *stack, struct inc_node **order,
                                          size_t *n)
{
    size_t depth = 0;
    stack[depth++] = (struct visit){root, 0};
    root->mark = MARK_OPEN;
    while (depth > 0) {
        struct visit *top = &stack[depth - 1];
        if (top->input == top->node->n_inputs) {
            top->node->mark = MARK_DONE;
            order[(*n)++] = top->node;
            depth--;
            continue;
        }
        const struct inc_value *input = top->node->inputs[top->input++];
        if (input == NULL || input->node->mark == MARK_DONE) continue;
        if (input->node->mark == MARK_OPEN) return input->node;
        input->node->mark = MARK_OPEN;
        stack[depth++] = (struct visit){input->node, 0};
    }
    return NULL;
}

/* Walks the nodes in their old order and emits each after its inputs: linear, and a node that was in order stays. */
enum incise_status inc_graph_sort(struct inc_graph *graph)
{
    size_t n = graph->n_nodes, placed = 0;
    struct inc_node **order = inc_alloc_array(graph->ctx, n, sizeof(struct inc_node *));
    struct visit *stack = inc_alloc_array(graph->ctx, n, sizeof *stack);
    enum incise_status status = order == NULL || stack == NULL ? out_of_memory(graph) : INCISE_OK;
    for (struct inc_node *node = graph->first; node != NULL; node = node->next) node->mark = MARK_NEW;
    for (struct inc_node *node = graph->first; node != NULL && status == INCISE_OK; node = node->next) {
        if (node->mark != MARK_NEW) continue;
        const struct inc_node *cycle = emit_after_inputs(node, stack, order, &placed);
        if (cycle != NULL)
            status = inc_fail(graph->ctx, INCISE_ERROR_DATA, "%s: layer %u '%s' is part of a cycle",
                              graph->source != NULL ? graph->source : "graph", cycle->id, cycle->name);
    }
    if (status == INCISE_OK) {
        graph->first = graph->last = NULL;
        graph->n_nodes = 0;
        for (size_t i = 0; i < n; i++) link_node(graph, order[i], NULL);
    }
    inc_free(graph->ctx, stack);
    inc_free(graph->ctx, order);
    return status;
}
