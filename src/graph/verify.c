/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of a graph. Passes run it after every change when they are debugged, tests always. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "graph/graph.h"
#include "graph/shape.h"

/* Node -> its place in the order, by open addressing; and the ids, likewise. */
struct places {
    const struct inc_node **nodes;
    size_t *place;
    uint64_t *ids; /* id + 1, 0 = empty */
    bool *listed;  /* among the parameters or results */
    size_t mask;
};

static size_t scatter(const struct places *places, uint64_t key)
{
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & places->mask;
}

static size_t find_slot(const struct places *places, const struct inc_node *node)
{
    size_t i = scatter(places, (uint64_t)(uintptr_t)node >> 4);
    while (places->nodes[i] && places->nodes[i] != node) i = (i + 1) & places->mask;
    return i;
}

static bool in_graph(const struct places *places, const struct inc_node *node)
{
    return node && places->nodes[find_slot(places, node)] == node;
}

/* False if the id was there already. */
static bool add_id(struct places *places, uint32_t id)
{
    size_t i = scatter(places, id);
    while (places->ids[i] && places->ids[i] != (uint64_t)id + 1) i = (i + 1) & places->mask;
    if (places->ids[i]) return false;
    places->ids[i] = (uint64_t)id + 1;
    return true;
}

/* The chain of nodes is closed, of the stated length, and every id is its own and below next_id. */
static enum incise_status check_chain(const struct inc_graph *graph, struct places *places)
{
    const struct inc_node *previous = NULL;
    size_t n = 0;
    for (const struct inc_node *node = graph->first; node; previous = node, node = node->next) {
        if (n == graph->n_nodes) return inc_fail(graph->ctx, INCISE_ERROR_DATA, "graph: more nodes than n_nodes");
        if (node->op >= INC_OP_COUNT) return inc_fail(graph->ctx, INCISE_ERROR_DATA, "graph: a node has no op");
        if (node->prev != previous) return inc_node_fail(graph, node, "is not linked to its predecessor");
        if (node->id >= graph->next_id) return inc_node_fail(graph, node, "id is not below the next id");
        if (!add_id(places, node->id)) return inc_node_fail(graph, node, "id is used twice");
        size_t slot = find_slot(places, node);
        if (places->nodes[slot]) return inc_node_fail(graph, node, "is in the graph twice");
        places->nodes[slot] = node;
        places->place[slot] = n++;
    }
    if (n != graph->n_nodes || graph->last != previous)
        return inc_fail(graph->ctx, INCISE_ERROR_DATA, "graph: %zu nodes, n_nodes says %zu", n, graph->n_nodes);
    return INCISE_OK;
}

static bool has_use(const struct inc_value *value, const struct inc_node *node, uint32_t index)
{
    for (uint32_t i = 0; i < value->n_uses; i++)
        if (value->uses[i].node == node && value->uses[i].index == index) return true;
    return false;
}

static enum incise_status check_inputs(const struct inc_graph *graph, const struct places *places,
                                       const struct inc_node *node)
{
    const struct inc_op_info *op = &inc_ops[node->op];
    if (node->n_inputs < op->min_inputs || node->n_inputs > op->max_inputs)
        return inc_node_fail(graph, node, "%u inputs are not allowed", (unsigned)node->n_inputs);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct inc_value *value = node->inputs[i];
        if (!value) return inc_node_fail(graph, node, "input %u is not connected", (unsigned)i);
        if (!in_graph(places, value->node) || value->port >= value->node->n_outputs ||
            &value->node->outputs[value->port] != value)
            return inc_node_fail(graph, node, "input %u is not a value of the graph", (unsigned)i);
        if (places->place[find_slot(places, value->node)] >= places->place[find_slot(places, node)])
            return inc_node_fail(graph, node, "input %u comes from a later layer", (unsigned)i);
    }
    return INCISE_OK;
}

/* What node->inputs says and what the values' uses say is the same: every use is an input, and there are as many uses
 * as inputs. Linear in the number of uses. */
static enum incise_status check_uses(const struct inc_graph *graph, const struct places *places)
{
    size_t n_uses = 0, n_inputs = 0;
    for (const struct inc_node *node = graph->first; node; node = node->next) {
        n_inputs += node->n_inputs;
        for (uint32_t o = 0; o < node->n_outputs; o++) {
            const struct inc_value *value = &node->outputs[o];
            n_uses += value->n_uses;
            for (uint32_t i = 0; i < value->n_uses; i++) {
                const struct inc_use *use = &value->uses[i];
                bool right = in_graph(places, use->node) && use->index < use->node->n_inputs &&
                             use->node->inputs[use->index] == value;
                if (!right) return inc_node_fail(graph, node, "output %u has a use that is none", (unsigned)o);
            }
        }
    }
    if (n_uses == n_inputs) return INCISE_OK;
    for (const struct inc_node *node = graph->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_inputs; i++)
            if (!has_use(node->inputs[i], node, i))
                return inc_node_fail(graph, node, "is missing among the uses of its input %u", (unsigned)i);
    return inc_fail(graph->ctx, INCISE_ERROR_DATA, "graph: a use is listed twice");
}

static bool dim_is_sane(const struct inc_graph *graph, struct inc_dim dim, bool may_be_negative)
{
    if (inc_dim_is_const(dim)) return may_be_negative || dim.value >= 0;
    return dim.symbol < graph->n_symbols;
}

static enum incise_status check_elements(const struct inc_graph *graph, const struct inc_node *node, uint32_t port)
{
    const struct inc_value *value = &node->outputs[port];
    int64_t dims[INC_MAX_RANK];
    size_t n = 0, bytes;
    if (!value->elements) return INCISE_OK;
    for (int i = 0; i < value->shape.rank; i++)
        dims[i] = inc_dim_is_const(value->shape.dims[i]) ? value->shape.dims[i].value : -1;
    if (inc_type_is_float(value->type) || !inc_tensor_count(value->shape.rank, dims, value->type, &n, &bytes) ||
        n > INC_MAX_KNOWN)
        return inc_node_fail(graph, node, "output %u cannot have known elements", (unsigned)port);
    for (size_t i = 0; i < n; i++)
        if (!dim_is_sane(graph, value->elements[i], true))
            return inc_node_fail(graph, node, "element %zu of output %u makes no sense", i, (unsigned)port);
    return INCISE_OK;
}

static enum incise_status check_outputs(const struct inc_graph *graph, const struct inc_node *node)
{
    const struct inc_op_info *op = &inc_ops[node->op];
    if (op->n_outputs ? node->n_outputs != op->n_outputs : node->n_outputs == 0 && node->op != INC_OP_RESULT)
        return inc_node_fail(graph, node, "%u outputs are not allowed", (unsigned)node->n_outputs);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const struct inc_value *value = &node->outputs[i];
        if (value->node != node || value->port != i)
            return inc_node_fail(graph, node, "output %u does not point back", (unsigned)i);
        if (value->type >= INC_TYPE_COUNT || value->shape.rank < 0 || value->shape.rank > INC_MAX_RANK)
            return inc_node_fail(graph, node, "type or shape of output %u is not set", (unsigned)i);
        for (int d = 0; d < value->shape.rank; d++)
            if (!dim_is_sane(graph, value->shape.dims[d], false))
                return inc_node_fail(graph, node, "dimension %d of output %u makes no sense", d, (unsigned)i);
        INC_TRY(check_elements(graph, node, i));
    }
    return INCISE_OK;
}

static enum incise_status check_attrs(const struct inc_graph *graph, const struct inc_node *node)
{
    const char *cursor = inc_ops[node->op].attrs;
    struct inc_attr_spec spec;
    uint32_t n = 0;
    for (; inc_attr_spec_next(&cursor, &spec); n++) {
        const struct inc_attr *attr = &node->attrs[n];
        if (n >= node->n_attrs || !attr->name || strcmp(attr->name, spec.name) != 0 || attr->kind != spec.kind)
            return inc_node_fail(graph, node, "attribute %s is missing", spec.name);
        bool fine = true;
        switch (attr->kind) {
        case INC_ATTR_FLOAT: fine = isfinite(attr->u.f); break;
        case INC_ATTR_STRING: fine = attr->u.s != NULL; break;
        case INC_ATTR_INTS: fine = attr->u.ints.n == 0 || attr->u.ints.v; break;
        case INC_ATTR_TYPE: fine = attr->u.type < INC_TYPE_COUNT; break;
        case INC_ATTR_SHAPE:
            fine = attr->u.shape.rank >= 0 && attr->u.shape.rank <= INC_MAX_RANK;
            for (int d = 0; fine && d < attr->u.shape.rank; d++)
                fine = dim_is_sane(graph, attr->u.shape.dims[d], false);
            break;
        case INC_ATTR_INT:
        case INC_ATTR_BOOL: break;
        }
        if (!fine) return inc_node_fail(graph, node, "attribute %s makes no sense", spec.name);
    }
    return n == node->n_attrs ? INCISE_OK
                              : inc_node_fail(graph, node, "has %u attributes, not %u", (unsigned)node->n_attrs, n);
}

/* The data of a Constant is what its output says. */
static enum incise_status check_data(const struct inc_graph *graph, const struct inc_node *node)
{
    const struct inc_tensor *data = &node->data;
    size_t count, bytes;
    if (node->op != INC_OP_CONSTANT) return INCISE_OK;
    const struct inc_value *value = &node->outputs[0];
    bool same = data->type == value->type && data->rank == value->shape.rank;
    for (int i = 0; same && i < data->rank; i++)
        same = inc_dim_equal(value->shape.dims[i], inc_dim_const(data->dims[i]));
    if (!same) return inc_node_fail(graph, node, "type or shape of data and output differ");
    if (!inc_tensor_count(data->rank, data->dims, data->type, &count, &bytes) || bytes != data->bytes ||
        (bytes > 0 && !data->data))
        return inc_node_fail(graph, node, "has %zu bytes of data, not those of its shape", data->bytes);
    return INCISE_OK;
}

/* Parameters and Results are listed once each, and nothing else is. */
static enum incise_status check_ends(const struct inc_graph *graph, struct places *places)
{
    size_t n_parameters = 0, n_results = 0;
    for (const struct inc_node *node = graph->first; node; node = node->next) {
        n_parameters += node->op == INC_OP_PARAMETER;
        n_results += node->op == INC_OP_RESULT;
    }
    if (n_parameters != graph->n_parameters || n_results != graph->n_results)
        return inc_fail(graph->ctx, INCISE_ERROR_DATA, "graph: %zu parameters and %zu results, listed are %zu and %zu",
                        n_parameters, n_results, graph->n_parameters, graph->n_results);
    for (size_t i = 0; i < n_parameters + n_results; i++) {
        bool result = i >= n_parameters;
        struct inc_node *const *list = result ? graph->results : graph->parameters;
        size_t at = result ? i - n_parameters : i;
        if (!in_graph(places, list[at]) || list[at]->op != (result ? INC_OP_RESULT : INC_OP_PARAMETER))
            return inc_fail(graph->ctx, INCISE_ERROR_DATA, "graph: entry %zu of the %s is none", at,
                            result ? "results" : "parameters");
        bool *listed = &places->listed[find_slot(places, list[at])];
        if (*listed) return inc_node_fail(graph, list[at], "is listed twice");
        *listed = true;
    }
    return INCISE_OK;
}

static enum incise_status check_all(const struct inc_graph *graph, struct places *places)
{
    INC_TRY(check_chain(graph, places));
    for (const struct inc_node *node = graph->first; node; node = node->next) {
        INC_TRY(check_inputs(graph, places, node));
        INC_TRY(check_outputs(graph, node));
        INC_TRY(check_attrs(graph, node));
        INC_TRY(check_data(graph, node));
    }
    INC_TRY(check_uses(graph, places));
    return check_ends(graph, places);
}

enum incise_status inc_graph_verify(const struct inc_graph *graph)
{
    size_t size = 16;
    while (size < graph->n_nodes * 2) size *= 2;
    struct places places = {.mask = size - 1};
    places.nodes = inc_alloc_zero(graph->ctx, size, sizeof(const struct inc_node *));
    places.place = inc_alloc_zero(graph->ctx, size, sizeof *places.place);
    places.ids = inc_alloc_zero(graph->ctx, size, sizeof *places.ids);
    places.listed = inc_alloc_zero(graph->ctx, size, sizeof *places.listed);
    bool fine = places.nodes && places.place && places.ids && places.listed;
    enum incise_status status =
        fine ? check_all(graph, &places) : inc_fail_memory(graph->ctx, size * 25, "a graph check");
    inc_free(graph->ctx, places.nodes);
    inc_free(graph->ctx, places.place);
    inc_free(graph->ctx, places.ids);
    inc_free(graph->ctx, places.listed);
    return status;
}
