/* SPDX-License-Identifier: Apache-2.0 */
/* Edges, and the checks that need every layer. */
#include "formats/openvino/ir_reader.h"

#include <stdlib.h>

#include "graph/shape.h"

static int compare_layers(const void *a, const void *b)
{
    const struct inc_ir_layer *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_ports(const void *a, const void *b)
{
    const struct inc_ir_port *x = a, *y = b;
    if (x->layer != y->layer) return x->layer < y->layer ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Sorts layers and ports, so that they can be looked up, and refuses double ones. */
static enum incise_status index_layers(struct inc_ir_reader *reader)
{
    if (reader->graph->n_results == 0)
        return inc_fail(reader->ctx, INCISE_ERROR_DATA, "%s: the model has no Result", reader->source);
    qsort(reader->layers, reader->n_layers, sizeof *reader->layers, compare_layers);
    for (size_t i = 1; i < reader->n_layers; i++)
        if (reader->layers[i].id == reader->layers[i - 1].id)
            return inc_node_fail(reader->graph, reader->layers[i].node, "another layer has the same id");
    reader->graph->next_id = reader->layers[reader->n_layers - 1].id + 1;
    if (reader->n_ports == 0) return INCISE_OK;
    qsort(reader->ports, reader->n_ports, sizeof *reader->ports, compare_ports);
    for (size_t i = 1; i < reader->n_ports; i++)
        if (compare_ports(&reader->ports[i], &reader->ports[i - 1]) == 0)
            return inc_node_fail(reader->graph, reader->ports[i].node, "port %u is given twice", reader->ports[i].id);
    return INCISE_OK;
}

/* The port that one end of an edge names. */
static enum incise_status find_end(const struct inc_ir_reader *reader, unsigned long line, uint32_t layer,
                                   uint32_t port, bool is_output, const struct inc_ir_port **found)
{
    const struct inc_ir_layer layer_key = {.id = layer};
    const struct inc_ir_port port_key = {.layer = layer, .id = port};
    const struct inc_ir_layer *owner =
        bsearch(&layer_key, reader->layers, reader->n_layers, sizeof *reader->layers, compare_layers);
    if (owner == NULL)
        return inc_fail(reader->ctx, INCISE_ERROR_DATA, "%s:%lu: an edge names layer %u, which does not exist",
                        reader->source, line, layer);
    *found = reader->n_ports == 0
                 ? NULL
                 : bsearch(&port_key, reader->ports, reader->n_ports, sizeof *reader->ports, compare_ports);
    if (*found == NULL || (*found)->is_output != is_output)
        return inc_node_fail(reader->graph, owner->node, "the edge on line %lu names %s port %u, which does not exist",
                             line, is_output ? "output" : "input", port);
    return INCISE_OK;
}

static enum incise_status connect(struct inc_ir_reader *reader)
{
    for (size_t i = 0; i < reader->n_edges; i++) {
        const struct inc_ir_edge *edge = &reader->edges[i];
        const struct inc_ir_port *from, *to;
        INC_TRY(find_end(reader, edge->line, edge->from_layer, edge->from_port, true, &from));
        INC_TRY(find_end(reader, edge->line, edge->to_layer, edge->to_port, false, &to));
        if (to->node->inputs[to->index] != NULL)
            return inc_node_fail(reader->graph, to->node, "the edge on line %lu is the second one to input port %u",
                                 edge->line, to->id);
        INC_TRY(inc_node_set_input(reader->graph, to->node, to->index, &from->node->outputs[from->index]));
    }
    for (size_t i = 0; i < reader->n_ports; i++) {
        const struct inc_ir_port *port = &reader->ports[i];
        if (!port->is_output && port->node->inputs[port->index] == NULL)
            return inc_node_fail(reader->graph, port->node, "no edge leads to input port %u", port->id);
    }
    return INCISE_OK;
}

/* What the file says of a value must agree with what was inferred, as far as both are known. A port without dims is a
 * scalar or of unknown rank. */
static enum incise_status check_port(const struct inc_ir_reader *reader, const struct inc_ir_port *port)
{
    const struct inc_value *value = &port->node->outputs[port->index];
    if (port->type != INC_TYPE_COUNT && port->type != value->type)
        return inc_node_fail(reader->graph, port->node, "port %u is said to be %s but computes as %s", port->id,
                             inc_type_name(port->type), inc_type_name(value->type));
    if (port->rank != 0 && port->rank != value->shape.rank)
        return inc_node_fail(reader->graph, port->node, "port %u is said to have rank %d but computes with rank %d",
                             port->id, port->rank, value->shape.rank);
    for (int i = 0; i < port->rank; i++) {
        int64_t said = reader->dims[port->first_dim + (size_t)i];
        struct inc_dim dim = value->shape.dims[i];
        if (said >= 0 && inc_dim_is_const(dim) && dim.value != said)
            return inc_node_fail(reader->graph, port->node, "dim %d of port %u is said to be %lld but computes as %lld",
                                 i, port->id, (long long)said, (long long)dim.value);
    }
    return INCISE_OK;
}

enum incise_status inc_ir_link(struct inc_ir_reader *reader)
{
    INC_TRY(index_layers(reader));
    INC_TRY(connect(reader));
    INC_TRY(inc_graph_sort(reader->graph));
    INC_TRY(inc_graph_infer(reader->graph));
    for (size_t i = 0; i < reader->n_ports; i++)
        if (reader->ports[i].is_output) INC_TRY(check_port(reader, &reader->ports[i]));
    return inc_graph_verify(reader->graph);
}
