/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/attr.h"

#include <string.h>

bool inc_attrs_init(struct inc_graph *graph, struct inc_node *node)
{
    struct inc_attr_spec spec;
    uint32_t count = 0;
    for (const char *cursor = inc_ops[node->op].attrs; inc_attr_spec_next(&cursor, &spec);) count++;
    node->attrs = inc_arena_alloc(&graph->arena, count, sizeof *node->attrs);
    if (node->attrs == NULL) return false;
    for (const char *cursor = inc_ops[node->op].attrs; inc_attr_spec_next(&cursor, &spec);) {
        struct inc_attr *attr = &node->attrs[node->n_attrs++];
        if (!spec.required && !inc_attr_parse(graph, &spec, spec.fallback, spec.fallback_length, attr)) return false;
        attr->kind = spec.kind;
        attr->name = inc_arena_strdup(&graph->arena, spec.name);
        if (attr->name == NULL) return false;
        if (attr->kind == INC_ATTR_STRING && attr->u.s == NULL) attr->u.s = "";
    }
    return true;
}

static struct inc_attr *find(const struct inc_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0) return &node->attrs[i];
    return NULL;
}

const struct inc_attr *inc_node_attr(const struct inc_node *node, const char *name)
{
    return find(node, name);
}

int64_t inc_attr_int(const struct inc_node *node, const char *name)
{
    return find(node, name)->u.i;
}

double inc_attr_float(const struct inc_node *node, const char *name)
{
    return find(node, name)->u.f;
}

bool inc_attr_bool(const struct inc_node *node, const char *name)
{
    return find(node, name)->u.b;
}

const char *inc_attr_string(const struct inc_node *node, const char *name)
{
    return find(node, name)->u.s;
}

enum inc_type inc_attr_type(const struct inc_node *node, const char *name)
{
    return find(node, name)->u.type;
}

struct inc_shape *inc_attr_shape(struct inc_node *node, const char *name)
{
    return &find(node, name)->u.shape;
}

void inc_attr_set_int(struct inc_node *node, const char *name, int64_t value)
{
    find(node, name)->u.i = value;
}

void inc_attr_set_float(struct inc_node *node, const char *name, double value)
{
    find(node, name)->u.f = value;
}

void inc_attr_set_bool(struct inc_node *node, const char *name, bool value)
{
    find(node, name)->u.b = value;
}

void inc_attr_set_type(struct inc_node *node, const char *name, enum inc_type value)
{
    find(node, name)->u.type = value;
}

enum incise_status inc_attr_set_string(struct inc_graph *graph, struct inc_node *node, const char *name,
                                       const char *value)
{
    const char *copy = inc_arena_strdup(&graph->arena, value);
    if (copy == NULL) return inc_fail_memory(graph->ctx, strlen(value) + 1, "an attribute");
    find(node, name)->u.s = copy;
    return INCISE_OK;
}

bool inc_attrs_copy(struct inc_graph *graph, const struct inc_node *from, struct inc_node *to)
{
    for (uint32_t i = 0; i < from->n_attrs; i++) {
        struct inc_attr *attr = &to->attrs[i];
        attr->u = from->attrs[i].u;
        if (attr->kind == INC_ATTR_STRING) {
            attr->u.s = inc_arena_strdup(&graph->arena, from->attrs[i].u.s);
            if (attr->u.s == NULL) return false;
        } else if (attr->kind == INC_ATTR_INTS) {
            size_t n = attr->u.ints.n;
            int64_t *values = inc_arena_alloc(&graph->arena, n, sizeof *values);
            if (values == NULL) return false;
            if (n > 0) memcpy(values, from->attrs[i].u.ints.v, n * sizeof *values);
            attr->u.ints.v = values;
        }
    }
    return true;
}
