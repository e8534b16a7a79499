/* SPDX-License-Identifier: Apache-2.0 */
/* The IR reader in three steps: ir_parse.c turns XML into nodes and lists of ports, edges and constants; ir_constants.c
 * gives constants their data; ir_link.c connects and checks the nodes. */
#ifndef INC_FORMATS_IR_READER_H
#define INC_FORMATS_IR_READER_H

#include "base/file.h"
#include "graph/graph.h"

#define INC_IR_MAX_XML ((size_t)1 << 30)

struct inc_ir_layer {
    uint32_t id;
    struct inc_node *node;
};

/* What <port> says. Inputs and outputs share one numbering per layer. */
struct inc_ir_port {
    uint32_t layer, id; /* as the file numbers them */
    struct inc_node *node;
    uint32_t index; /* which input or output of node */
    bool is_output;
    /* outputs only: what the file says the value is, checked once shapes are inferred */
    enum inc_type type; /* INC_TYPE_COUNT: not said */
    int rank;
    size_t first_dim; /* index into dims */
    const char **names;
    uint32_t n_names;
    struct inc_info *info;
};

struct inc_ir_edge {
    uint32_t from_layer, from_port, to_layer, to_port;
    unsigned long line;
};

/* A Const's claim on the .bin: `size` bytes from `offset`, of which the first `needed` are its elements. */
struct inc_ir_constant {
    struct inc_node *node;
    uint64_t offset, size;
    size_t needed;
    unsigned long line;
    bool in_place; /* its data stays where it is in the .bin; else it is copied */
};

struct inc_ir_reader {
    const struct inc_ctx *ctx;
    struct inc_graph *graph;
    const char *source;
    bool mapped; /* the .bin */
    struct inc_ir_layer *layers;
    struct inc_ir_port *ports;
    struct inc_ir_edge *edges;
    struct inc_ir_constant *constants;
    int64_t *dims; /* of output ports; -1 = dynamic */
    size_t n_layers, n_ports, n_edges, n_constants, n_dims;
    size_t layers_capacity, ports_capacity, edges_capacity, constants_capacity, dims_capacity;
};

/* Reads the XML: nodes without inputs, in file order, and the lists above. */
enum incise_status inc_ir_parse(struct inc_ir_reader *reader, const void *xml, size_t size)
    __attribute__((warn_unused_result));

/* True if some constant has at least one byte of data. */
bool inc_ir_needs_weights(const struct inc_ir_reader *reader);
/* Points every constant at its range of `bin`, which the graph takes over; also on failure it is the graph's, or
 * released. */
enum incise_status inc_ir_attach_weights(struct inc_ir_reader *reader, struct inc_file *bin)
    __attribute__((warn_unused_result));

/* Connects edges, checks that every input has one, sorts, infers shapes, compares them with what the file says, and
 * verifies the graph. */
enum incise_status inc_ir_link(struct inc_ir_reader *reader) __attribute__((warn_unused_result));

#endif
