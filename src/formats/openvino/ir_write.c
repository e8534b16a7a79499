/* SPDX-License-Identifier: Apache-2.0 */
/* IR's XML, layer by layer. Port numbers as OpenVINO gives them: inputs from 0, outputs after them. */
#include "formats/openvino/ir.h"

#include <inttypes.h>
#include <string.h>

#include "formats/openvino/ir_writer.h"
#include "graph/shape.h"

#define FLUSH_BYTES ((size_t)1 << 16)

struct writer {
    struct inc_graph *graph;
    struct inc_node **order;
    size_t n_nodes;
    struct inc_ir_weights weights;
    struct inc_output_file file;
    struct inc_buffer xml;  /* not yet written */
    struct inc_buffer text; /* of one attribute */
};

/* ---- order ----------------------------------------------------------------------------------------------------- */

static enum incise_status check_node(const struct inc_graph *graph, const struct inc_node *node)
{
    if (inc_ops[node->op].opset == NULL)
        return inc_fail(graph->ctx, INCISE_ERROR_FAILED, "layer %u '%.200s': %s cannot be written to a file", node->id,
                        node->name, inc_ops[node->op].name);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] == NULL) return inc_node_fail(graph, node, "input %u is not connected", i);
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i].shape.rank < 0) return inc_node_fail(graph, node, "output %u has no inferred shape", i);
    return INCISE_OK;
}

/* Parameters and Results in the model's order around the others; `mark` becomes the layer id. */
static enum incise_status order_nodes(struct writer *writer)
{
    struct inc_graph *graph = writer->graph;
    size_t n = 0;
    if (graph->n_nodes >= INT32_MAX)
        return inc_fail(graph->ctx, INCISE_ERROR_FAILED, "%zu layers are more than a file can number", graph->n_nodes);
    writer->order = inc_alloc_array(graph->ctx, graph->n_nodes, sizeof(struct inc_node *));
    if (writer->order == NULL)
        return inc_fail_memory(graph->ctx, graph->n_nodes * sizeof(void *), "an order of layers");
    for (size_t i = 0; i < graph->n_parameters; i++) writer->order[n++] = graph->parameters[i];
    for (struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (node->op != INC_OP_PARAMETER && node->op != INC_OP_RESULT) writer->order[n++] = node;
    for (size_t i = 0; i < graph->n_results; i++) writer->order[n++] = graph->results[i];
    for (size_t i = 0; i < n; i++) {
        INC_TRY(check_node(graph, writer->order[i]));
        writer->order[i]->mark = (uint32_t)i;
    }
    writer->n_nodes = n;
    return INCISE_OK;
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

/* What was gathered in `text`, which may be nothing. */
static bool put_gathered(struct writer *writer, const char *key)
{
    return inc_xml_attribute(&writer->xml, key, writer->text.data != NULL ? writer->text.data : "");
}

static enum incise_status bad_text(const struct writer *writer, const char *what)
{
    return inc_fail(writer->graph->ctx, INCISE_ERROR_DATA, "%.200s: a name or value holds bytes that XML cannot hold",
                    what);
}

static enum incise_status flush(struct writer *writer, size_t threshold)
{
    INC_TRY(inc_buffer_check(&writer->xml));
    if (writer->xml.length < threshold || writer->xml.length == 0) return INCISE_OK;
    enum incise_status status = inc_output_write(&writer->file, writer->xml.data, writer->xml.length);
    inc_buffer_clear(&writer->xml);
    return status;
}

/* The siblings from `info` on. Depth is bounded for files (64); for graphs built here it is a handful. */
static enum incise_status put_info_list(struct writer *writer, const struct inc_info *info)
{
    struct inc_buffer *xml = &writer->xml;
    for (; info != NULL; info = info->next) {
        if (!inc_xml_is_name(info->name)) return bad_text(writer, "rt_info");
        inc_buffer_printf(xml, "<%s", info->name);
        for (size_t i = 0; i < info->n_attrs; i++)
            if (!inc_xml_is_name(info->keys[i]) || !inc_xml_attribute(xml, info->keys[i], info->values[i]))
                return bad_text(writer, info->name);
        if (info->child != NULL) {
            inc_buffer_puts(xml, ">");
            INC_TRY(put_info_list(writer, info->child));
            inc_buffer_printf(xml, "</%s>\n", info->name);
        } else {
            inc_buffer_puts(xml, "/>\n");
        }
        INC_TRY(flush(writer, FLUSH_BYTES));
    }
    return INCISE_OK;
}

static enum incise_status put_info(struct writer *writer, const struct inc_info *info)
{
    if (info == NULL) return INCISE_OK;
    inc_buffer_puts(&writer->xml, "<rt_info>\n");
    INC_TRY(put_info_list(writer, info));
    inc_buffer_puts(&writer->xml, "</rt_info>\n");
    return INCISE_OK;
}

/* names="a,b" with the commas inside names escaped. */
static enum incise_status put_names(struct writer *writer, const struct inc_value *value)
{
    struct inc_buffer *text = &writer->text;
    if (value->n_names == 0) return INCISE_OK;
    inc_buffer_clear(text);
    for (uint32_t i = 0; i < value->n_names; i++) {
        if (i > 0) inc_buffer_puts(text, ",");
        for (const char *c = value->names[i]; *c != '\0'; c++) {
            if (*c == ',') inc_buffer_puts(text, "\\");
            inc_buffer_append(text, c, 1);
        }
    }
    INC_TRY(inc_buffer_check(text));
    return put_gathered(writer, "names") ? INCISE_OK : bad_text(writer, value->node->name);
}

/* ---- layers ---------------------------------------------------------------------------------------------------- */

static void put_port(struct writer *writer, uint32_t id, const struct inc_value *value)
{
    inc_buffer_printf(&writer->xml, "<port id=\"%u\" precision=\"%s\"", id, inc_type_port_name(value->type));
}

static void put_dims(struct writer *writer, const struct inc_shape *shape)
{
    for (int i = 0; i < shape->rank; i++)
        inc_buffer_printf(&writer->xml, "<dim>%" PRId64 "</dim>",
                          inc_dim_is_const(shape->dims[i]) ? shape->dims[i].value : -1);
}

static enum incise_status put_ports(struct writer *writer, const struct inc_node *node)
{
    struct inc_buffer *xml = &writer->xml;
    if (node->n_inputs > 0) inc_buffer_puts(xml, "<input>\n");
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        put_port(writer, i, node->inputs[i]);
        inc_buffer_puts(xml, ">");
        put_dims(writer, &node->inputs[i]->shape);
        inc_buffer_puts(xml, "</port>\n");
    }
    if (node->n_inputs > 0) inc_buffer_puts(xml, "</input>\n");
    if (node->n_outputs > 0) inc_buffer_puts(xml, "<output>\n");
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const struct inc_value *value = &node->outputs[i];
        put_port(writer, node->n_inputs + i, value);
        INC_TRY(put_names(writer, value));
        inc_buffer_puts(xml, ">");
        put_dims(writer, &value->shape);
        INC_TRY(put_info(writer, value->info));
        inc_buffer_puts(xml, "</port>\n");
    }
    if (node->n_outputs > 0) inc_buffer_puts(xml, "</output>\n");
    return INCISE_OK;
}

/* A constant's attributes follow from its data. */
static void put_constant_data(struct writer *writer, const struct inc_node *node)
{
    const struct inc_tensor *data = &node->data;
    struct inc_buffer *xml = &writer->xml;
    inc_buffer_printf(xml, "<data element_type=\"%s\" shape=\"", inc_type_name(data->type));
    for (int i = 0; i < data->rank; i++) inc_buffer_printf(xml, "%s%" PRId64, i > 0 ? ", " : "", data->dims[i]);
    inc_buffer_printf(xml, "\" offset=\"%" PRIu64 "\" size=\"%zu\"/>\n", inc_ir_weights_place(&writer->weights, data),
                      data->bytes);
}

static enum incise_status put_attr(struct writer *writer, const struct inc_node *node, const struct inc_attr *attr)
{
    inc_buffer_clear(&writer->text);
    inc_ir_format_attr(writer->graph, attr, &writer->text);
    INC_TRY(inc_buffer_check(&writer->text));
    return put_gathered(writer, attr->name) ? INCISE_OK : bad_text(writer, node->name);
}

static enum incise_status put_data(struct writer *writer, const struct inc_node *node)
{
    if (node->op == INC_OP_RESULT || node->n_attrs == 0) return INCISE_OK; /* a Result's stand on <layer> */
    if (node->op == INC_OP_CONSTANT) {
        put_constant_data(writer, node);
        return INCISE_OK;
    }
    inc_buffer_puts(&writer->xml, "<data");
    for (uint32_t i = 0; i < node->n_attrs; i++) INC_TRY(put_attr(writer, node, &node->attrs[i]));
    inc_buffer_puts(&writer->xml, "/>\n");
    return INCISE_OK;
}

static enum incise_status put_layer(struct writer *writer, const struct inc_node *node)
{
    struct inc_buffer *xml = &writer->xml;
    const struct inc_op_info *info = &inc_ops[node->op];
    inc_buffer_printf(xml, "<layer id=\"%u\"", node->mark);
    if (!inc_xml_attribute(xml, "name", node->name)) return bad_text(writer, node->name);
    inc_buffer_printf(xml, " type=\"%s\" version=\"%s\"", info->name, info->opset);
    if (node->op == INC_OP_RESULT && *inc_attr_string(node, "output_names") != '\0')
        INC_TRY(put_attr(writer, node, inc_node_attr(node, "output_names")));
    inc_buffer_puts(xml, ">\n");
    INC_TRY(put_data(writer, node));
    INC_TRY(put_info(writer, node->info));
    INC_TRY(put_ports(writer, node));
    inc_buffer_puts(xml, "</layer>\n");
    return flush(writer, FLUSH_BYTES);
}

static enum incise_status put_edges(struct writer *writer, const struct inc_node *node)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct inc_value *from = node->inputs[i];
        inc_buffer_printf(&writer->xml, "<edge from-layer=\"%u\" from-port=\"%u\" to-layer=\"%u\" to-port=\"%u\"/>\n",
                          from->node->mark, from->node->n_inputs + from->port, node->mark, i);
    }
    return flush(writer, FLUSH_BYTES);
}

static enum incise_status put_net(struct writer *writer)
{
    const struct inc_graph *graph = writer->graph;
    struct inc_buffer *xml = &writer->xml;
    inc_buffer_puts(xml, "<?xml version=\"1.0\"?>\n<net");
    if (!inc_xml_attribute(xml, "name", graph->name != NULL ? graph->name : ""))
        return bad_text(writer, "the model's name");
    inc_buffer_printf(xml, " version=\"%d\">\n<layers>\n", graph->ir_version == 10 ? 10 : 11);
    for (size_t i = 0; i < writer->n_nodes; i++) INC_TRY(put_layer(writer, writer->order[i]));
    inc_buffer_puts(xml, "</layers>\n<edges>\n");
    for (size_t i = 0; i < writer->n_nodes; i++) INC_TRY(put_edges(writer, writer->order[i]));
    inc_buffer_puts(xml, "</edges>\n");
    INC_TRY(put_info(writer, graph->info));
    inc_buffer_puts(xml, "</net>\n");
    return flush(writer, 0);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static enum incise_status write_xml(struct writer *writer, struct inc_output *out, const char *name)
{
    INC_TRY(inc_output_open(out, name, &writer->file));
    enum incise_status status = put_net(writer);
    if (status == INCISE_OK) return inc_output_close(&writer->file);
    inc_output_abandon(&writer->file);
    return status;
}

static enum incise_status write_files(struct writer *writer, struct inc_output *out, const char *stem)
{
    struct inc_buffer name;
    size_t n_constants = 0;
    INC_TRY(order_nodes(writer));
    for (size_t i = 0; i < writer->n_nodes; i++) n_constants += writer->order[i]->op == INC_OP_CONSTANT;
    INC_TRY(inc_ir_weights_init(&writer->weights, writer->graph->ctx, n_constants));
    inc_buffer_init(&name, writer->graph->ctx);
    inc_buffer_printf(&name, "%s.xml", stem);
    enum incise_status status = inc_buffer_check(&name);
    if (status == INCISE_OK) status = write_xml(writer, out, name.data);
    if (status == INCISE_OK) {
        memcpy(name.data + name.length - 3, "bin", 3);
        status = inc_ir_weights_write(&writer->weights, out, name.data);
    }
    inc_buffer_fini(&name);
    return status;
}

enum incise_status inc_ir_write(struct inc_graph *graph, struct inc_output *out, const char *stem)
{
    struct writer writer = {.graph = graph};
    inc_buffer_init(&writer.xml, graph->ctx);
    inc_buffer_init(&writer.text, graph->ctx);
    writer.weights.ctx = graph->ctx;
    enum incise_status status = write_files(&writer, out, stem);
    inc_ir_weights_fini(&writer.weights);
    inc_buffer_fini(&writer.text);
    inc_buffer_fini(&writer.xml);
    inc_free(graph->ctx, writer.order);
    return status;
}
