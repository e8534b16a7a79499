/* SPDX-License-Identifier: Apache-2.0 */
/* Counted bytes behind constants, shared by a graph and its clones. */
#ifndef INC_GRAPH_BLOB_H
#define INC_GRAPH_BLOB_H

#include "graph/graph.h"

/* `to` holds every blob of `from` too. */
enum incise_status inc_graph_share_blobs(const struct inc_graph *from, struct inc_graph *to)
    __attribute__((warn_unused_result));

#endif
