/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/targets.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "graph/attr.h"

/* ---- finding --------------------------------------------------------------------------------------------------- */

static bool is_row_gather(const struct inc_node *node)
{
    if (node->op != INC_OP_GATHER && node->op != INC_OP_GATHER7 && node->op != INC_OP_GATHER1) return false;
    const struct inc_node *axis = node->inputs[2]->node;
    if (axis->op != INC_OP_CONSTANT || inc_tensor_elements(&axis->data) != 1) return false;
    if (inc_node_attr(node, "batch_dims") != NULL && inc_attr_int(node, "batch_dims") != 0) return false;
    int64_t at = inc_tensor_get_i64(&axis->data, 0);
    return at == 0 || at == -2;
}

static bool match(struct inc_node *node, bool tables, struct inc_target *target)
{
    target->reader = node;
    if (node->op == INC_OP_MATMUL) {
        target->input = 1;
        if (inc_weight_match(node->inputs[1], inc_attr_bool(node, "transpose_b"), &target->weight)) return true;
        target->input = 0;
        return inc_weight_match(node->inputs[0], !inc_attr_bool(node, "transpose_a"), &target->weight);
    }
    target->input = 0;
    return tables && is_row_gather(node) && inc_weight_match(node->inputs[0], true, &target->weight);
}

/* ---- selection ------------------------------------------------------------------------------------------------- */

static enum incise_status compile_regex(const struct inc_ctx *ctx, const char *option, const char *text, regex_t *regex)
{
    int code = regcomp(regex, text, REG_EXTENDED | REG_NOSUB);
    if (code == 0) return INCISE_OK;
    char reason[128];
    regerror(code, regex, reason, sizeof reason);
    return inc_fail(ctx, INCISE_ERROR_USAGE, "%s '%s': %s", option, text, reason);
}

static bool matches(const regex_t *regex, const struct inc_target *target)
{
    return regexec(regex, target->reader->name, 0, NULL, 0) == 0 ||
           regexec(regex, target->weight.constant->name, 0, NULL, 0) == 0;
}

/* Says which names there are: the first few of what was found. */
static enum incise_status nothing_selected(const struct inc_graph *graph, const struct inc_targets *found,
                                           const char *select, const char *ignore)
{
    enum { EXAMPLES = 4 };
    const char *source = graph->source != NULL ? graph->source : "graph";
    if (found->n == 0)
        return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "%s: no layer has a constant 2-D weight", source);
    struct inc_buffer names;
    inc_buffer_init(&names, graph->ctx);
    for (size_t i = 0; i < found->n && i < EXAMPLES; i++)
        inc_buffer_printf(&names, "%s'%s'", i > 0 ? ", " : "", found->items[i].reader->name);
    enum incise_status status = inc_buffer_check(&names);
    if (status == INCISE_OK)
        status = inc_fail(graph->ctx, INCISE_ERROR_USAGE, "%s: select '%s', ignore '%s' leave none of %zu layers: %s%s",
                          source, select != NULL ? select : "", ignore != NULL ? ignore : "", found->n, names.data,
                          found->n > EXAMPLES ? ", ..." : "");
    inc_buffer_fini(&names);
    return status;
}

static enum incise_status find_all(struct inc_graph *graph, bool tables, struct inc_targets *targets)
{
    for (struct inc_node *node = graph->first; node != NULL; node = node->next) {
        struct inc_target target;
        if (!match(node, tables, &target)) continue;
        INC_TRY(inc_grow(graph->ctx, (void **)&targets->items, &targets->capacity, targets->n, sizeof *targets->items));
        targets->items[targets->n++] = target;
    }
    return INCISE_OK;
}

/* Keeps what matches: all of it if `regex` is NULL. */
static size_t keep(struct inc_target *items, size_t n, const regex_t *regex, bool wanted)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (regex == NULL || matches(regex, &items[i]) == wanted) items[kept++] = items[i];
    return kept;
}

enum incise_status inc_targets_select(struct inc_graph *graph, bool tables, const char *select, const char *ignore,
                                      struct inc_targets *targets)
{
    regex_t select_regex, ignore_regex;
    memset(targets, 0, sizeof *targets);
    targets->ctx = graph->ctx;
    INC_TRY(find_all(graph, tables, targets));
    if (select != NULL) INC_TRY(compile_regex(graph->ctx, "select", select, &select_regex));
    enum incise_status status = ignore != NULL ? compile_regex(graph->ctx, "ignore", ignore, &ignore_regex) : INCISE_OK;
    if (status == INCISE_OK) {
        size_t found = targets->n;
        struct inc_target examples[8];
        size_t n_examples = found < 8 ? found : 8;
        if (found > 0) memcpy(examples, targets->items, n_examples * sizeof *examples);
        targets->n = keep(targets->items, targets->n, select != NULL ? &select_regex : NULL, true);
        targets->n = keep(targets->items, targets->n, ignore != NULL ? &ignore_regex : NULL, false);
        struct inc_targets all = {graph->ctx, examples, found, found};
        if (targets->n == 0) status = nothing_selected(graph, &all, select, ignore);
        if (ignore != NULL) regfree(&ignore_regex);
    }
    if (select != NULL) regfree(&select_regex);
    inc_targets_mark(graph, targets);
    return status;
}

void inc_targets_mark(struct inc_graph *graph, const struct inc_targets *targets)
{
    for (struct inc_node *node = graph->first; node != NULL; node = node->next) node->mark = 0;
    for (size_t i = 0; i < targets->n; i++) targets->items[i].reader->mark = targets->items[i].input + 1;
}

bool inc_target_is_repeated(const struct inc_targets *targets, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (targets->items[i].weight.constant == targets->items[index].weight.constant) return true;
    return false;
}

size_t inc_target_index(const struct inc_targets *targets, const struct inc_node *reader)
{
    size_t i = 0;
    while (i < targets->n && targets->items[i].reader != reader) i++;
    return i;
}

void inc_targets_release(struct inc_targets *targets)
{
    inc_free(targets->ctx, targets->items);
    targets->items = NULL;
    targets->n = 0;
}

/* ---- storing --------------------------------------------------------------------------------------------------- */

enum { MAX_CHAIN = 24 }; /* longer than any chain inc_weight_match follows */

static bool is_chain_op(enum inc_op op)
{
    return op == INC_OP_CONVERT || op == INC_OP_SUBTRACT || op == INC_OP_MULTIPLY || op == INC_OP_RESHAPE ||
           op == INC_OP_FAKE_QUANTIZE;
}

/* `budget` uses are looked at; more are taken for foreign readers, which costs a copy. */
static bool is_private_within(const struct inc_value *value, int depth, size_t *budget)
{
    for (uint32_t i = 0; i < value->n_uses; i++) {
        const struct inc_use *use = &value->uses[i];
        if ((*budget)-- == 0) return false;
        if (use->node->mark == use->index + 1) continue;
        if (!is_chain_op(use->node->op) || depth == MAX_CHAIN) return false;
        if (!is_private_within(&use->node->outputs[0], depth + 1, budget)) return false;
    }
    return true;
}

bool inc_target_is_private(const struct inc_value *value)
{
    size_t budget = 4096;
    return is_private_within(value, 0, &budget);
}

/* Fills path[depth..] with the nodes from `value` back to the constant, the constant last. Returns its length, 0 if the
 * constant is not there. A matched chain has one Multiply, whose other operand ends after a few Converts. */
static size_t find_path(const struct inc_value *value, const struct inc_node *constant, struct inc_node **path,
                        size_t depth)
{
    if (depth == MAX_CHAIN) return 0;
    path[depth] = value->node;
    if (value->node == constant) return depth + 1;
    if (!is_chain_op(value->node->op)) return 0;
    uint32_t operands = value->node->op == INC_OP_MULTIPLY ? 2 : 1;
    for (uint32_t i = 0; i < operands; i++) {
        size_t n = find_path(value->node->inputs[i], constant, path, depth + 1);
        if (n > 0) return n;
    }
    return 0;
}

/* A copy of `node`, before it, that reads `to` where the node reads `from`. */
static struct inc_node *copy_node(struct inc_graph *graph, struct inc_node *node, const struct inc_value *from,
                                  struct inc_value *to)
{
    struct inc_value *inputs[8];
    for (uint32_t i = 0; i < node->n_inputs; i++) inputs[i] = node->inputs[i] == from ? to : node->inputs[i];
    const char *name = inc_arena_printf(&graph->arena, "%s/edited", node->name);
    struct inc_node *copy = name != NULL ? inc_graph_add(graph, node->op, name, inputs, node->n_inputs, node) : NULL;
    if (copy == NULL || !inc_attrs_copy(graph, node, copy)) return NULL;
    copy->outputs[0].type = node->outputs[0].type;
    copy->outputs[0].shape = node->outputs[0].shape;
    copy->info = node->info != NULL ? inc_info_clone(graph, node->info) : NULL;
    return copy;
}

/* The end of a copy of the chain behind `value` that starts at `constant_copy`. */
static struct inc_value *copy_chain(struct inc_graph *graph, const struct inc_value *value,
                                    const struct inc_node *constant, struct inc_node *constant_copy)
{
    struct inc_node *path[MAX_CHAIN], *copy = constant_copy;
    size_t n = find_path(value, constant, path, 0);
    for (size_t i = n; i > 1 && copy != NULL; i--)
        copy = copy_node(graph, path[i - 2], &path[i - 1]->outputs[0], &copy->outputs[0]);
    return n > 0 && copy != NULL ? &copy->outputs[0] : NULL;
}

/* Targets of the same constant from `first` on that read `from` read `to`. */
static enum incise_status redirect(struct inc_graph *graph, const struct inc_targets *targets, size_t first,
                                   const struct inc_value *from, struct inc_value *to)
{
    for (size_t i = first; i < targets->n; i++) {
        const struct inc_target *target = &targets->items[i];
        if (target->reader->inputs[target->input] == from)
            INC_TRY(inc_node_set_input(graph, target->reader, target->input, to));
    }
    return INCISE_OK;
}

enum incise_status inc_target_store(struct inc_graph *graph, const struct inc_targets *targets, size_t first,
                                    void *data)
{
    struct inc_node *constant = targets->items[first].weight.constant;
    struct inc_blob *blob;
    enum incise_status status = inc_graph_add_blob(graph, data, constant->data.bytes, &blob);
    if (status != INCISE_OK) {
        inc_free(graph->ctx, data);
        return status;
    }
    if (inc_target_is_private(&constant->outputs[0])) {
        constant->data.data = data;
        return INCISE_OK;
    }
    struct inc_tensor tensor = constant->data;
    tensor.data = data;
    const char *name = inc_arena_printf(&graph->arena, "%s/edited", constant->name);
    struct inc_node *copy = name != NULL ? inc_graph_add_constant(graph, name, &tensor, blob, constant) : NULL;
    for (size_t i = first; i < targets->n; i++) {
        const struct inc_target *target = &targets->items[i];
        struct inc_value *old = target->reader->inputs[target->input];
        struct inc_node *path[MAX_CHAIN];
        if (find_path(old, constant, path, 0) == 0) continue; /* of another constant, or redirected */
        struct inc_value *end = copy != NULL ? copy_chain(graph, old, constant, copy) : NULL;
        if (end == NULL) return inc_fail_memory(graph->ctx, 0, "an edited weight");
        INC_TRY(redirect(graph, targets, i, old, end));
    }
    return INCISE_OK;
}
