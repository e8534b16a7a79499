/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of nodes: what graph.c needs beside the accessors of graph.h. */
#ifndef INC_GRAPH_ATTR_H
#define INC_GRAPH_ATTR_H

#include "graph/graph.h"

/* Fills node->attrs from the op's spec, defaults parsed. False when memory is short. */
bool inc_attrs_init(struct inc_graph *graph, struct inc_node *node);
/* The shape attribute `name`, to be filled in place; the op must have it. */
struct inc_shape *inc_attr_shape(struct inc_node *node, const char *name);
/* A copy of `from`'s attributes in `to` (same op), strings and lists copied into the arena. */
bool inc_attrs_copy(struct inc_graph *graph, const struct inc_node *from, struct inc_node *to);

#endif
