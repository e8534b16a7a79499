/* SPDX-License-Identifier: Apache-2.0 */
/* Deep copies of graphs. Constant data stays shared through counted blobs. */
#include <string.h>

#include "graph/attr.h"
#include "graph/blob.h"
#include "graph/graph.h"

static enum incise_status copy_symbols(const struct inc_graph *from, struct inc_graph *to)
{
    INC_TRY(inc_grow(to->ctx, (void **)&to->symbols, &to->symbols_capacity, from->n_symbols, sizeof *to->symbols));
    for (size_t i = 0; i < from->n_symbols; i++) {
        to->symbols[i] = from->symbols[i];
        if (from->symbols[i].name == NULL) continue;
        to->symbols[i].name = inc_arena_strdup(&to->arena, from->symbols[i].name);
        if (to->symbols[i].name == NULL) return inc_fail_memory(to->ctx, 0, "a graph");
    }
    to->n_symbols = from->n_symbols;
    return INCISE_OK;
}

static bool copy_value(struct inc_graph *to, const struct inc_value *from, struct inc_value *copy)
{
    copy->type = from->type;
    copy->shape = from->shape;
    if (from->elements != NULL) {
        size_t n = 1;
        for (int i = 0; i < from->shape.rank; i++) n *= (size_t)from->shape.dims[i].value;
        struct inc_dim *elements = inc_arena_alloc(&to->arena, n, sizeof *elements);
        if (elements == NULL) return false;
        if (n > 0) memcpy(elements, from->elements, n * sizeof *elements);
        copy->elements = elements;
    }
    copy->names = inc_arena_alloc(&to->arena, from->n_names, sizeof(char *));
    if (copy->names == NULL) return false;
    for (uint32_t i = 0; i < from->n_names; i++) {
        copy->names[i] = inc_arena_strdup(&to->arena, from->names[i]);
        if (copy->names[i] == NULL) return false;
    }
    copy->n_names = from->n_names;
    copy->info = from->info == NULL ? NULL : inc_info_clone(to, from->info);
    return from->info == NULL || copy->info != NULL;
}

/* `inputs` are values of `to`. NULL when memory is short (reported). */
static struct inc_node *copy_node(struct inc_graph *to, const struct inc_node *node, struct inc_value *const *inputs,
                                  struct inc_node *before)
{
    struct inc_node *copy =
        inc_graph_add_outputs(to, node->op, node->name, inputs, node->n_inputs, node->n_outputs, before);
    if (copy == NULL) return NULL;
    copy->data = node->data;
    bool fine = inc_attrs_copy(to, node, copy);
    if (fine && node->info != NULL) fine = (copy->info = inc_info_clone(to, node->info)) != NULL;
    for (uint32_t i = 0; fine && i < node->n_outputs; i++) fine = copy_value(to, &node->outputs[i], &copy->outputs[i]);
    if (!fine) (void)inc_fail_memory(to->ctx, 0, "a copy of a graph");
    return fine ? copy : NULL;
}

/* Nodes are in topological order: `mark` numbers them, and copies[mark] resolves every input. */
static enum incise_status copy_nodes(struct inc_graph *from, struct inc_graph *to, struct inc_node **copies)
{
    size_t capacity = 0;
    uint32_t number = 0;
    struct inc_value **inputs = NULL;
    enum incise_status status = INCISE_OK;
    for (struct inc_node *node = from->first; node != NULL && status == INCISE_OK; node = node->next) {
        node->mark = number++;
        status = inc_grow(to->ctx, (void **)&inputs, &capacity, node->n_inputs, sizeof(struct inc_value *));
        if (status != INCISE_OK) break;
        for (uint32_t i = 0; i < node->n_inputs; i++) {
            const struct inc_value *input = node->inputs[i];
            inputs[i] = input == NULL ? NULL : &copies[input->node->mark]->outputs[input->port];
        }
        struct inc_node *copy = copies[node->mark] = copy_node(to, node, inputs, NULL);
        if (copy != NULL)
            copy->id = node->id;
        else
            status = INCISE_ERROR_MEMORY;
    }
    inc_free(to->ctx, inputs);
    return status;
}

static enum incise_status copy_head(const struct inc_graph *from, struct inc_graph *to, struct inc_node *const *copies)
{
    to->name = inc_arena_strdup(&to->arena, from->name);
    to->source = from->source == NULL ? NULL : inc_arena_strdup(&to->arena, from->source);
    to->info = from->info == NULL ? NULL : inc_info_clone(to, from->info);
    to->ir_version = from->ir_version;
    to->next_id = from->next_id;
    for (size_t i = 0; i < from->n_parameters; i++) to->parameters[i] = copies[from->parameters[i]->mark];
    for (size_t i = 0; i < from->n_results; i++) to->results[i] = copies[from->results[i]->mark];
    bool fine = to->name != NULL && (from->source == NULL) == (to->source == NULL) &&
                (from->info == NULL) == (to->info == NULL);
    return fine ? INCISE_OK : inc_fail_memory(to->ctx, 0, "a copy of a graph");
}

enum incise_status inc_graph_clone(struct inc_graph *graph, struct inc_graph **out)
{
    struct inc_graph *copy = NULL;
    INC_TRY(inc_graph_create(graph->ctx, &copy));
    struct inc_node **copies = inc_alloc_zero(graph->ctx, graph->n_nodes, sizeof(struct inc_node *));
    enum incise_status status =
        copies == NULL ? inc_fail_memory(graph->ctx, graph->n_nodes * sizeof(void *), "a copy of a graph") : INCISE_OK;
    if (status == INCISE_OK) status = copy_symbols(graph, copy);
    if (status == INCISE_OK) status = inc_graph_share_blobs(graph, copy);
    if (status == INCISE_OK) status = copy_nodes(graph, copy, copies);
    if (status == INCISE_OK) status = copy_head(graph, copy, copies);
    inc_free(graph->ctx, copies);
    if (status != INCISE_OK) {
        inc_graph_destroy(copy);
        return status;
    }
    *out = copy;
    return INCISE_OK;
}

struct inc_value *inc_graph_graft(struct inc_graph *graph, const struct inc_value *value, struct inc_node *before)
{
    struct inc_value **inputs = inc_arena_alloc(&graph->arena, value->node->n_inputs, sizeof(struct inc_value *));
    if (inputs == NULL) return NULL;
    for (uint32_t i = 0; i < value->node->n_inputs; i++)
        if ((inputs[i] = inc_graph_graft(graph, value->node->inputs[i], before)) == NULL) return NULL;
    struct inc_node *copy = copy_node(graph, value->node, inputs, before);
    return copy != NULL ? &copy->outputs[value->port] : NULL;
}
