/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the IR writer share: where constants go in the .bin, and XML text. */
#ifndef INC_FORMATS_IR_WRITER_H
#define INC_FORMATS_IR_WRITER_H

#include "base/buffer.h"
#include "base/file.h"
#include "graph/graph.h"

/* One range of the .bin. */
struct inc_ir_range {
    const void *data;
    size_t bytes;
    uint64_t offset, hash;
};

/* The .bin to be: distinct contents in the order of their first use. */
struct inc_ir_weights {
    const struct inc_ctx *ctx;
    struct inc_ir_range *ranges;
    size_t n_ranges;
    uint64_t bytes;
    /* Open addressing; slots hold 1 + index into ranges or aliases, 0 = free. */
    size_t *by_content, *by_address;
    size_t mask;
    struct inc_ir_range *aliases; /* every (data, bytes) met so far, so that none is hashed twice */
    size_t n_aliases;
};

/* Room for `n_constants`; release with fini also on failure. */
enum incise_status inc_ir_weights_init(struct inc_ir_weights *weights, const struct inc_ctx *ctx, size_t n_constants)
    __attribute__((warn_unused_result));
void inc_ir_weights_fini(struct inc_ir_weights *weights);
/* The offset of the tensor's bytes; equal contents share one. At most n_constants calls. */
uint64_t inc_ir_weights_place(struct inc_ir_weights *weights, const struct inc_tensor *tensor);
/* Writes all ranges, zeros between them. */
enum incise_status inc_ir_weights_write(const struct inc_ir_weights *weights, struct inc_output *out, const char *name)
    __attribute__((warn_unused_result));

/* Appends ` key="value"`; false if the value cannot be written in XML 1.0 (control characters, bad UTF-8). */
bool inc_xml_attribute(struct inc_buffer *xml, const char *key, const char *value) __attribute__((warn_unused_result));
/* Whether `name` may name an element or attribute. */
bool inc_xml_is_name(const char *name);
/* Appends an attribute's value as OpenVINO spells it, not escaped. */
void inc_ir_format_attr(const struct inc_graph *graph, const struct inc_attr *attr, struct inc_buffer *text);

#endif
