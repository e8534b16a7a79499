/* SPDX-License-Identifier: Apache-2.0 */
/* XML text and the spelling of attribute values. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "formats/openvino/ir_writer.h"

/* The length of the character at `text` if XML 1.0 allows it, else 0. */
static size_t xml_char_length(const char *text)
{
    utf8proc_int32_t code;
    unsigned char first = (unsigned char)*text;
    if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r';
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)strnlen(text, 4), &code);
    return n <= 0 || code == 0xfffe || code == 0xffff ? 0 : (size_t)n;
}

bool inc_xml_attribute(struct inc_buffer *xml, const char *key, const char *value)
{
    inc_buffer_printf(xml, " %s=\"", key);
    while (*value != '\0') {
        size_t n = xml_char_length(value);
        if (n == 0) return false;
        if (strchr("&<>\"\t\n\r", *value) != NULL)
            inc_buffer_printf(xml, "&#%d;", *value);
        else
            inc_buffer_append(xml, value, n);
        value += n;
    }
    inc_buffer_puts(xml, "\"");
    return true;
}

bool inc_xml_is_name(const char *name)
{
    for (const char *c = name; *c != '\0';) {
        size_t n = xml_char_length(c);
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' || (unsigned char)*c >= 0x80;
        bool inner = (*c >= '0' && *c <= '9') || *c == '-' || *c == '.' || *c == ':';
        if (n == 0 || !(letter || (inner && c != name))) return false;
        c += n;
    }
    return *name != '\0';
}

static void format_dim(const struct inc_graph *graph, struct inc_dim dim, struct inc_buffer *text)
{
    const struct inc_symbol *symbol = &graph->symbols[dim.symbol];
    if (inc_dim_is_const(dim))
        inc_buffer_printf(text, "%" PRId64, dim.value);
    else if (symbol->kind != INC_SYMBOL_INPUT || (symbol->min <= 0 && symbol->max < 0))
        inc_buffer_puts(text, "?");
    else {
        if (symbol->min > 0) inc_buffer_printf(text, "%" PRId64, symbol->min);
        inc_buffer_puts(text, "..");
        if (symbol->max >= 0) inc_buffer_printf(text, "%" PRId64, symbol->max);
    }
}

/* 17 digits give the same double back; the decimal sign is a point in every locale. */
static void format_float(double value, struct inc_buffer *text)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.17g", value);
    for (char *c = digits; *c != '\0'; c++)
        if (*c == ',') *c = '.';
    inc_buffer_puts(text, digits);
}

void inc_ir_format_attr(const struct inc_graph *graph, const struct inc_attr *attr, struct inc_buffer *text)
{
    switch (attr->kind) {
    case INC_ATTR_INT: inc_buffer_printf(text, "%" PRId64, attr->u.i); break;
    case INC_ATTR_FLOAT: format_float(attr->u.f, text); break;
    case INC_ATTR_BOOL: inc_buffer_puts(text, attr->u.b ? "true" : "false"); break;
    case INC_ATTR_TYPE: inc_buffer_puts(text, inc_type_name(attr->u.type)); break;
    case INC_ATTR_STRING: inc_buffer_puts(text, attr->u.s); break;
    case INC_ATTR_INTS:
        for (size_t i = 0; i < attr->u.ints.n; i++)
            inc_buffer_printf(text, "%s%" PRId64, i > 0 ? ", " : "", attr->u.ints.v[i]);
        break;
    case INC_ATTR_SHAPE:
        if (attr->u.shape.rank < 0) inc_buffer_puts(text, "...");
        for (int i = 0; i < attr->u.shape.rank; i++) {
            if (i > 0) inc_buffer_puts(text, ",");
            format_dim(graph, attr->u.shape.dims[i], text);
        }
        break;
    }
}
