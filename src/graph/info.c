/* SPDX-License-Identifier: Apache-2.0 */
/* rt_info trees. An element's key is its name or, where the key is no XML name, <info name="key">. */
#include <string.h>

#include "graph/graph.h"

/* Deeper trees are refused when copied; real files have about 4 levels. */
#define MAX_DEPTH 100

static const char *attribute(const struct inc_info *info, const char *key)
{
    for (size_t i = 0; i < info->n_attrs; i++)
        if (strcmp(info->keys[i], key) == 0) return info->values[i];
    return NULL;
}

static bool has_key(const struct inc_info *info, const char *key, size_t length)
{
    const char *own = info->name;
    if (strcmp(own, "info") == 0 && attribute(info, "name")) own = attribute(info, "name");
    return strlen(own) == length && memcmp(own, key, length) == 0;
}

static struct inc_info *find_child(struct inc_info *first, const char *key, size_t length)
{
    for (; first; first = first->next)
        if (has_key(first, key, length)) return first;
    return NULL;
}

const char *inc_info_get(const struct inc_graph *graph, const char *path)
{
    struct inc_info *children = graph->info, *at = NULL;
    while (*path) {
        size_t length = strcspn(path, "/");
        at = find_child(children, path, length);
        if (!at) return NULL;
        children = at->child;
        path += length + (path[length] == '/');
    }
    return at ? attribute(at, "value") : NULL;
}

static bool is_xml_name(const char *key, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    if (length == 0 || !strchr(letters, key[0])) return false;
    for (size_t i = 1; i < length; i++)
        if (!strchr(letters, key[i]) && !strchr("0123456789-.", key[i])) return false;
    return true;
}

static bool set_attribute(struct inc_arena *arena, struct inc_info *info, const char *key, const char *value)
{
    const char *copy = inc_arena_strdup(arena, value);
    if (!copy) return false;
    for (size_t i = 0; i < info->n_attrs; i++) {
        if (strcmp(info->keys[i], key) != 0) continue;
        info->values[i] = copy;
        return true;
    }
    size_t n = info->n_attrs;
    const char **keys = inc_arena_alloc(arena, n + 1, sizeof(char *));
    const char **values = inc_arena_alloc(arena, n + 1, sizeof(char *));
    if (!keys || !values) return false;
    if (n > 0) {
        memcpy(keys, info->keys, n * sizeof(char *));
        memcpy(values, info->values, n * sizeof(char *));
    }
    keys[n] = key;
    values[n] = copy;
    info->keys = keys;
    info->values = values;
    info->n_attrs = n + 1;
    return true;
}

/* A new last element of *list. */
static struct inc_info *append_child(struct inc_arena *arena, struct inc_info **list, const char *key, size_t length)
{
    struct inc_info *info = inc_arena_alloc(arena, 1, sizeof *info);
    char *name = inc_arena_strndup(arena, key, length);
    if (!info || !name) return NULL;
    info->name = name;
    if (!is_xml_name(key, length)) {
        info->name = "info";
        if (!set_attribute(arena, info, "name", name)) return NULL;
    }
    while (*list) list = &(*list)->next;
    *list = info;
    return info;
}

enum incise_status inc_info_set(struct inc_graph *graph, const char *path, const char *value)
{
    struct inc_info **children = &graph->info, *at = NULL;
    while (*path) {
        size_t length = strcspn(path, "/");
        at = find_child(*children, path, length);
        if (!at) at = append_child(&graph->arena, children, path, length);
        if (!at) return inc_fail_memory(graph->ctx, 0, "rt_info");
        children = &at->child;
        path += length + (path[length] == '/');
    }
    if (!at) return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "rt_info: an empty path");
    if (!set_attribute(&graph->arena, at, "value", value)) return inc_fail_memory(graph->ctx, 0, "rt_info");
    return INCISE_OK;
}

static bool copy_list(struct inc_graph *graph, const struct inc_info *from, struct inc_info **list, int depth);

static struct inc_info *copy_element(struct inc_graph *graph, const struct inc_info *from, int depth)
{
    struct inc_arena *arena = &graph->arena;
    struct inc_info *copy = inc_arena_alloc(arena, 1, sizeof *copy);
    if (!copy) return NULL;
    copy->name = inc_arena_strdup(arena, from->name);
    copy->keys = inc_arena_alloc(arena, from->n_attrs, sizeof(char *));
    copy->values = inc_arena_alloc(arena, from->n_attrs, sizeof(char *));
    if (!copy->name || !copy->keys || !copy->values) return NULL;
    for (size_t i = 0; i < from->n_attrs; i++) {
        copy->keys[i] = inc_arena_strdup(arena, from->keys[i]);
        copy->values[i] = inc_arena_strdup(arena, from->values[i]);
        if (!copy->keys[i] || !copy->values[i]) return NULL;
    }
    copy->n_attrs = from->n_attrs;
    return copy_list(graph, from->child, &copy->child, depth + 1) ? copy : NULL;
}

static bool copy_list(struct inc_graph *graph, const struct inc_info *from, struct inc_info **list, int depth)
{
    if (depth > MAX_DEPTH) return false;
    for (; from; from = from->next, list = &(*list)->next) {
        *list = copy_element(graph, from, depth);
        if (!*list) return false;
    }
    return true;
}

struct inc_info *inc_info_clone(struct inc_graph *graph, const struct inc_info *info)
{
    struct inc_info *copy = NULL;
    return copy_list(graph, info, &copy, 0) ? copy : NULL;
}
