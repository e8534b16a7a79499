/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/size.h"
#include "graph/eval_ref/eval_internal.h"
#include "graph/graph.h"
#include "graph/shape.h"

const struct inc_op_info inc_ops[INC_OP_COUNT] = {
#define OP(id, name, opset, min_in, max_in, n_out, attrs, shape, eval) \
    [INC_OP_##id] = {name, opset, min_in, max_in, n_out, attrs, inc_shape_##shape, inc_eval_##eval},
#define FUSED(id, name, min_in, max_in, n_out, attrs, shape, eval) \
    [INC_OP_##id] = {name, NULL, min_in, max_in, n_out, attrs, inc_shape_##shape, inc_eval_##eval},
#include "graph/ops.def"
#undef OP
#undef FUSED
};

bool inc_op_find(const char *type, const char *opset, enum inc_op *op)
{
    for (int i = 0; i < INC_OP_COUNT; i++) {
        if (!inc_ops[i].opset || strcmp(inc_ops[i].opset, opset) != 0) continue;
        if (strcasecmp(inc_ops[i].name, type) != 0) continue;
        *op = (enum inc_op)i;
        return true;
    }
    return false;
}

/* ---- attribute specs: "name:kind[=default] ..." ---------------------------------------------------------------- */

static enum inc_attr_kind kind_of_letter(char letter)
{
    switch (letter) {
    case 'i': return INC_ATTR_INT;
    case 'f': return INC_ATTR_FLOAT;
    case 'b': return INC_ATTR_BOOL;
    case 'I': return INC_ATTR_INTS;
    case 't': return INC_ATTR_TYPE;
    case 'S': return INC_ATTR_SHAPE;
    default: return INC_ATTR_STRING;
    }
}

bool inc_attr_spec_next(const char **cursor, struct inc_attr_spec *spec)
{
    const char *p = *cursor + strspn(*cursor, " ");
    if (*p == '\0') return false;
    size_t name_length = inc_min_size(strcspn(p, ":"), sizeof spec->name - 1);
    memcpy(spec->name, p, name_length);
    spec->name[name_length] = '\0';
    p += name_length + 1;
    spec->kind = kind_of_letter(*p++);
    spec->required = *p != '=';
    spec->fallback = spec->required ? NULL : p + 1;
    spec->fallback_length = spec->required ? 0 : strcspn(p + 1, " ");
    *cursor = p + (spec->required ? 0 : 1 + spec->fallback_length);
    return true;
}

/* ---- attribute values ------------------------------------------------------------------------------------------ */

/* A part of a text. */
struct span {
    const char *p;
    size_t n;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct span trim(struct span s)
{
    while (s.n && is_space(s.p[0])) s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

static bool span_is(struct span s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

static bool parse_int(struct span s, int64_t *out)
{
    bool negative = s.n && s.p[0] == '-';
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    int64_t value = 0;
    if (i == s.n) return false;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        int64_t digit = s.p[i] - '0';
        if (!inc_i64_mul(value, 10, &value) || !inc_i64_add(value, negative ? -digit : digit, &value)) return false;
    }
    *out = value;
    return true;
}

/* A finite decimal number, whatever the locale of the process. */
static bool parse_float(struct span s, double *out)
{
    char text[64];
    if (s.n == 0 || s.n >= sizeof text) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!memchr("0123456789+-.eE", s.p[i], 15)) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale) return false;
    char *end;
    double value = strtod_l(text, &end, c_locale);
    freelocale(c_locale);
    if (*end != '\0' || !isfinite(value)) return false;
    *out = value;
    return true;
}

static bool parse_bool(struct span s, bool *out)
{
    bool yes = span_is(s, "true") || span_is(s, "1");
    if (!yes && !span_is(s, "false") && !span_is(s, "0")) return false;
    *out = yes;
    return true;
}

static bool parse_type(struct span s, enum inc_type *out)
{
    char text[16];
    if (s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inc_type_parse(text, out);
}

/* Takes the next item of a comma separated list; false when none is left. */
static bool next_item(struct span *list, struct span *item)
{
    if (!list->p) return false;
    const char *comma = memchr(list->p, ',', list->n);
    size_t n = comma ? (size_t)(comma - list->p) : list->n;
    *item = trim((struct span){list->p, n});
    *list = comma ? (struct span){comma + 1, list->n - n - 1} : (struct span){NULL, 0};
    return true;
}

static bool parse_ints(struct inc_graph *graph, struct span s, const int64_t **values, size_t *count)
{
    *values = NULL;
    *count = 0;
    if (s.n == 0) return true;
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == ',';
    int64_t *list = inc_arena_alloc(&graph->arena, n, sizeof *list);
    if (!list) return false;
    struct span item;
    for (size_t i = 0; next_item(&s, &item); i++)
        if (!parse_int(item, &list[i])) return false;
    *values = list;
    *count = n;
    return true;
}

/* "384", "?", "-1", "1..10", "1..", "..10". */
static bool parse_dim(struct inc_graph *graph, struct span s, struct inc_dim *out)
{
    int64_t min = 0, max = -1;
    const char *dots = memmem(s.p, s.n, "..", 2);
    if (dots) {
        struct span low = {s.p, (size_t)(dots - s.p)}, high = {dots + 2, s.n - low.n - 2};
        if (low.n + high.n == 0) return false;
        if (low.n && (!parse_int(low, &min) || min < 0)) return false;
        if (high.n && (!parse_int(high, &max) || max < min)) return false;
    } else if (!span_is(s, "?") && !span_is(s, "-1")) {
        if (!parse_int(s, &min) || min < 0) return false;
        max = min;
    }
    *out = min == max ? inc_dim_const(min) : inc_dim_new(graph, INC_SYMBOL_INPUT, min, max);
    return inc_dim_valid(*out);
}

static bool parse_shape(struct inc_graph *graph, struct span s, struct inc_shape *shape)
{
    struct span item;
    shape->rank = 0;
    if (s.n == 0) return true;
    while (next_item(&s, &item)) {
        if (shape->rank == INC_MAX_RANK || !parse_dim(graph, item, &shape->dims[shape->rank])) return false;
        shape->rank++;
    }
    return true;
}

bool inc_attr_parse(struct inc_graph *graph, const struct inc_attr_spec *spec, const char *text, size_t length,
                    struct inc_attr *attr)
{
    struct span s = trim((struct span){text, length});
    attr->kind = spec->kind;
    switch (spec->kind) {
    case INC_ATTR_INT: return parse_int(s, &attr->u.i);
    case INC_ATTR_FLOAT: return parse_float(s, &attr->u.f);
    case INC_ATTR_BOOL: return parse_bool(s, &attr->u.b);
    case INC_ATTR_STRING: return (attr->u.s = inc_arena_strndup(&graph->arena, s.p, s.n)) != NULL;
    case INC_ATTR_INTS: return parse_ints(graph, s, &attr->u.ints.v, &attr->u.ints.n);
    case INC_ATTR_TYPE: return parse_type(s, &attr->u.type);
    case INC_ATTR_SHAPE: return parse_shape(graph, s, &attr->u.shape);
    }
    return false;
}
