/* SPDX-License-Identifier: Apache-2.0 */
/* OpenVINO IR, versions 10 and 11: an XML file of layers and edges, and a .bin file of constants beside it.
 *
 * Format: OpenVINO's src/core/src/pass/serialize.cpp (writer) and src/core/xml_util/src/xml_deserialize_util.cpp
 * (reader). */
#ifndef INC_FORMATS_IR_H
#define INC_FORMATS_IR_H

#include "base/file.h"
#include "graph/graph.h"

/* The .xml that `path` means, from inc_alloc; whether it is there is not looked at. */
enum incise_status inc_ir_find(const struct inc_ctx *ctx, const char *path, char **xml_path)
    __attribute__((warn_unused_result));
/* Reads the model at `path` (an .xml, or a folder that holds openvino_model.xml) into a sorted graph with inferred
 * shapes. The weights are the .bin of the same stem beside it, and may be absent if no constant has data. Anything a
 * file can hold gives a graph or a reported error; memory stays within a constant times the size of both files.
 * On success the caller owns *graph and frees it with inc_graph_destroy. */
enum incise_status inc_ir_read(const struct inc_ctx *ctx, const char *path, struct inc_graph **graph)
    __attribute__((warn_unused_result));
/* The same, but matrices of the .bin that can be weights are mapped, not read: fit for a model that is known, whose
 * .bin nobody changes meanwhile. */
enum incise_status inc_ir_read_mapped(const struct inc_ctx *ctx, const char *path, struct inc_graph **graph)
    __attribute__((warn_unused_result));
/* inc_ir_read from memory, which is borrowed for the call. `name` stands for the file in messages; `bin` may be
 * NULL. */
enum incise_status inc_ir_read_memory(const struct inc_ctx *ctx, const char *name, const void *xml, size_t xml_size,
                                      const void *bin, size_t bin_size, struct inc_graph **graph)
    __attribute__((warn_unused_result));

/* Writes <stem>.xml and, if any constant has data, <stem>.bin into `out`. The graph must be in topological order with
 * inferred shapes and hold no fused ops. Layers are numbered anew: Parameters, the rest in the graph's order, Results.
 * Equal constants share one range of the .bin, each at a multiple of 64 bytes; the same graph gives the same bytes.
 * Uses the marks of `graph`. */
enum incise_status inc_ir_write(struct inc_graph *graph, struct inc_output *out, const char *stem)
    __attribute__((warn_unused_result));

#endif
