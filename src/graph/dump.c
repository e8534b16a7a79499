/* SPDX-License-Identifier: Apache-2.0 */
/* A graph as text, one line per node: for tests, for people, for comparing graphs before and after a pass. */
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "graph/graph.h"

static void dump_string(struct inc_buffer *out, const char *text)
{
    inc_buffer_puts(out, "\"");
    for (const char *p = text ? text : ""; *p; p++) {
        if (*p == '"' || *p == '\\')
            inc_buffer_printf(out, "\\%c", *p);
        else if ((unsigned char)*p < 0x20)
            inc_buffer_printf(out, "\\x%02x", (unsigned)*p);
        else
            inc_buffer_append(out, p, 1);
    }
    inc_buffer_puts(out, "\"");
}

static void dump_dims(const struct inc_graph *graph, struct inc_buffer *out, const struct inc_dim *dims, size_t n)
{
    char text[256];
    for (size_t i = 0; i < n; i++) {
        inc_dim_format(graph, dims[i], text, sizeof text);
        inc_buffer_printf(out, "%s%s", i ? "," : "", text);
    }
}

static void dump_shape(const struct inc_graph *graph, struct inc_buffer *out, const struct inc_shape *shape)
{
    inc_buffer_puts(out, "[");
    if (shape->rank < 0)
        inc_buffer_puts(out, "...");
    else
        dump_dims(graph, out, shape->dims, (size_t)shape->rank);
    inc_buffer_puts(out, "]");
}

/* "%12", or "%12.1" for a node with several outputs. */
static void dump_reference(struct inc_buffer *out, const struct inc_value *value)
{
    if (!value) {
        inc_buffer_puts(out, "%none");
        return;
    }
    inc_buffer_printf(out, "%%%u", (unsigned)value->node->id);
    if (value->node->n_outputs > 1) inc_buffer_printf(out, ".%u", (unsigned)value->port);
}

/* "%12 i64[2]{s1,384}": with known elements of anything but a constant. */
static void dump_value(const struct inc_graph *graph, struct inc_buffer *out, const struct inc_value *value)
{
    dump_reference(out, value);
    inc_buffer_printf(out, " %s", inc_type_name(value->type));
    dump_shape(graph, out, &value->shape);
    if (!value->elements || value->node->op == INC_OP_CONSTANT) return;
    size_t n = 1;
    for (int i = 0; i < value->shape.rank; i++) n *= (size_t)value->shape.dims[i].value;
    inc_buffer_puts(out, "{");
    dump_dims(graph, out, value->elements, n);
    inc_buffer_puts(out, "}");
}

static void dump_float(struct inc_buffer *out, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.9g", value);
    if (strtod(text, NULL) != value) snprintf(text, sizeof text, "%.17g", value);
    inc_buffer_puts(out, text);
}

static void dump_attr(const struct inc_graph *graph, struct inc_buffer *out, const struct inc_attr *attr)
{
    inc_buffer_printf(out, " %s=", attr->name);
    switch (attr->kind) {
    case INC_ATTR_INT: inc_buffer_printf(out, "%lld", (long long)attr->u.i); break;
    case INC_ATTR_FLOAT: dump_float(out, attr->u.f); break;
    case INC_ATTR_BOOL: inc_buffer_puts(out, attr->u.b ? "true" : "false"); break;
    case INC_ATTR_STRING: dump_string(out, attr->u.s); break;
    case INC_ATTR_TYPE: inc_buffer_puts(out, inc_type_name(attr->u.type)); break;
    case INC_ATTR_SHAPE: dump_shape(graph, out, &attr->u.shape); break;
    case INC_ATTR_INTS:
        inc_buffer_puts(out, "[");
        for (size_t i = 0; i < attr->u.ints.n; i++)
            inc_buffer_printf(out, "%s%lld", i ? "," : "", (long long)attr->u.ints.v[i]);
        inc_buffer_puts(out, "]");
        break;
    }
}

/* A list of elements, the next level two columns further in. Goes through the tree without recursion: `path` holds the
 * elements above, and deeper levels than it has room for are left out. */
static void dump_info(struct inc_buffer *out, const struct inc_info *info, int indent)
{
    const struct inc_info *path[64];
    int depth = 0;
    while (info || depth > 0) {
        if (!info) {
            info = path[--depth]->next;
            continue;
        }
        inc_buffer_printf(out, "%*s@%s", indent + 2 * depth, "", info->name);
        for (size_t i = 0; i < info->n_attrs; i++) {
            inc_buffer_printf(out, " %s=", info->keys[i]);
            dump_string(out, info->values[i]);
        }
        inc_buffer_puts(out, "\n");
        if (info->child && depth < 64) {
            path[depth++] = info;
            info = info->child;
        } else {
            info = info->next;
        }
    }
}

static void dump_node(const struct inc_graph *graph, const struct inc_node *node, struct inc_buffer *out)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        if (i) inc_buffer_puts(out, ", ");
        dump_value(graph, out, &node->outputs[i]);
    }
    inc_buffer_printf(out, "%s%s(", node->n_outputs ? " = " : "", inc_ops[node->op].name);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (i) inc_buffer_puts(out, ", ");
        dump_reference(out, node->inputs[i]);
    }
    inc_buffer_puts(out, ")");
    if (node->op == INC_OP_CONSTANT) {
        uint64_t hash = node->data.data ? XXH3_64bits(node->data.data, node->data.bytes) : 0;
        inc_buffer_printf(out, " xxh3=%016" PRIx64, hash);
    } else {
        for (uint32_t i = 0; i < node->n_attrs; i++) dump_attr(graph, out, &node->attrs[i]);
    }
    inc_buffer_puts(out, " ");
    dump_string(out, node->name);
    inc_buffer_puts(out, "\n");
}

static void dump_graph(const struct inc_graph *graph, bool with_info, struct inc_buffer *out)
{
    inc_buffer_puts(out, "graph ");
    dump_string(out, graph->name);
    inc_buffer_printf(out, " version %d\n", graph->ir_version);
    for (size_t i = 1; i < graph->n_symbols; i++) {
        const struct inc_symbol *symbol = &graph->symbols[i];
        if (symbol->kind != INC_SYMBOL_INPUT || (symbol->min == 0 && symbol->max < 0)) continue;
        inc_buffer_printf(out, "%s in %lld..", symbol->name, (long long)symbol->min);
        if (symbol->max >= 0) inc_buffer_printf(out, "%lld", (long long)symbol->max);
        inc_buffer_puts(out, "\n");
    }
    for (const struct inc_node *node = graph->first; node; node = node->next) {
        dump_node(graph, node, out);
        if (!with_info) continue;
        dump_info(out, node->info, 4);
        for (uint32_t i = 0; i < node->n_outputs; i++) dump_info(out, node->outputs[i].info, 8);
    }
    if (with_info) dump_info(out, graph->info, 0);
}

enum incise_status inc_graph_dump(const struct inc_graph *graph, bool with_info, struct inc_buffer *out)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* decimal points, whatever the process uses */
    if (!plain) return inc_fail_memory(graph->ctx, 0, "a dump");
    locale_t before = uselocale(plain);
    dump_graph(graph, with_info, out);
    uselocale(before);
    freelocale(plain);
    return inc_buffer_check(out);
}
