/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the nodes that the wanted values need, in the graph's order. */
#include "graph/eval_ref/eval.h"

#include <string.h>

#include "base/size.h"
#include "graph/eval_ref/eval_internal.h"

/* One output of one node during a run. */
struct held {
    struct inc_tensor tensor;
    size_t readers; /* inputs of needed nodes, and wanted entries, that still read it */
    bool ready;     /* fed or evaluated */
};

struct slot {
    const struct inc_node *node;
    size_t first; /* index of its output 0 in run->held */
    bool needed;
    bool rows; /* a Gather that reads rows of a constant table: what computes the table is not run */
};

struct run {
    const struct inc_graph *graph;
    struct inc_graph scratch_graph; /* symbols and elements that shape rules make */
    struct inc_eval eval;
    struct slot *slots; /* in the graph's order */
    size_t n_slots;
    struct held *held;
    size_t n_held;
    bool inner_feeds; /* some feed is no Parameter */
    size_t *table; /* open addressing by node pointer: index into slots + 1, 0 = empty */
    size_t table_mask;
    /* The node under evaluation, as the shape rules see it. */
    struct inc_value **inputs;
    struct inc_value *input_values, *outputs;
    size_t max_inputs, max_outputs;
};

static size_t table_start(const struct run *run, const struct inc_node *node)
{
    return (size_t)(((uint64_t)(uintptr_t)node >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & run->table_mask;
}

static struct slot *find_slot(const struct run *run, const struct inc_node *node)
{
    for (size_t i = table_start(run, node);; i = (i + 1) & run->table_mask) {
        if (run->table[i] == 0) return NULL;
        struct slot *slot = &run->slots[run->table[i] - 1];
        if (slot->node == node) return slot;
    }
}

static struct held *find_held(const struct run *run, const struct inc_value *value)
{
    const struct slot *slot = find_slot(run, value->node);
    return slot ? &run->held[slot->first + value->port] : NULL;
}

/* ---- preparation ------------------------------------------------------------------------------------------------- */

static size_t values_of(const struct inc_node *node, const struct inc_feed *values, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) found += values[i].value->node == node;
    return found;
}

/* Nodes from the first up to the last that makes a value of `feeds` or `wanted`: what these need lies before them. */
static size_t nodes_to_index(const struct inc_graph *graph, const struct inc_feed *feeds, size_t n_feeds,
                             const struct inc_feed *wanted, size_t n_wanted)
{
    size_t n = 0, left = n_feeds + n_wanted;
    for (const struct inc_node *node = graph->first; node && left > 0; node = node->next, n++)
        left -= values_of(node, feeds, n_feeds) + values_of(node, wanted, n_wanted);
    return n;
}

static enum incise_status index_nodes(struct run *run, size_t n_nodes)
{
    const struct inc_graph *graph = run->graph;
    size_t buckets = 16;
    while (buckets < 2 * n_nodes) buckets *= 2;
    run->table_mask = buckets - 1;
    run->table = inc_alloc_zero(graph->ctx, buckets, sizeof *run->table);
    run->slots = inc_alloc_zero(graph->ctx, n_nodes + 1, sizeof *run->slots);
    if (!run->table || !run->slots) return inc_fail_memory(graph->ctx, buckets * sizeof *run->table, "evaluation");
    for (const struct inc_node *node = graph->first; run->n_slots < n_nodes; node = node->next) {
        run->slots[run->n_slots] = (struct slot){.node = node, .first = run->n_held};
        run->n_held += node->n_outputs;
        run->max_inputs = inc_max_size(run->max_inputs, node->n_inputs);
        run->max_outputs = inc_max_size(run->max_outputs, node->n_outputs);
        size_t i = table_start(run, node);
        while (run->table[i] != 0) i = (i + 1) & run->table_mask;
        run->table[i] = ++run->n_slots;
    }
    run->held = inc_alloc_zero(graph->ctx, run->n_held + 1, sizeof *run->held);
    run->inputs = inc_alloc_zero(graph->ctx, run->max_inputs + 1, sizeof(struct inc_value *));
    run->input_values = inc_alloc_zero(graph->ctx, run->max_inputs + 1, sizeof *run->input_values);
    run->outputs = inc_alloc_zero(graph->ctx, run->max_outputs + 1, sizeof *run->outputs);
    run->eval.in = inc_alloc_zero(graph->ctx, run->max_inputs + 1, sizeof(const struct inc_tensor *));
    run->eval.out = inc_alloc_zero(graph->ctx, run->max_outputs + 1, sizeof *run->eval.out);
    if (!run->held || !run->inputs || !run->input_values || !run->outputs || !run->eval.in || !run->eval.out)
        return inc_fail_memory(graph->ctx, run->n_held * sizeof *run->held, "evaluation");
    return INCISE_OK;
}

static enum incise_status check_feed(const struct run *run, const struct inc_value *value,
                                     const struct inc_tensor *tensor)
{
    const struct inc_graph *graph = run->graph;
    size_t count, bytes;
    bool as_float = inc_type_is_float(value->type) && tensor->type == INC_F32;
    if (tensor->type != value->type && !as_float)
        return inc_node_fail(graph, value->node, "needs a tensor of type %s, was given %s", inc_type_name(value->type),
                             inc_type_name(tensor->type));
    if (tensor->rank < 0 || tensor->rank > INC_MAX_RANK ||
        !inc_tensor_count(tensor->rank, tensor->dims, tensor->type, &count, &bytes) || bytes > tensor->bytes ||
        (bytes > 0 && !tensor->data))
        return inc_node_fail(graph, value->node, "was given a tensor whose size does not fit its shape");
    if (value->shape.rank < 0) return INCISE_OK;
    if (tensor->rank != value->shape.rank)
        return inc_node_fail(graph, value->node, "needs rank %d, was given rank %d", value->shape.rank, tensor->rank);
    for (int d = 0; d < tensor->rank; d++) {
        struct inc_dim want = value->shape.dims[d];
        int64_t have = tensor->dims[d];
        if (inc_dim_is_const(want)) {
            if (have != want.value)
                return inc_node_fail(graph, value->node, "needs %lld in dimension %d, was given %lld",
                                     (long long)want.value, d, (long long)have);
        } else if (want.symbol < graph->n_symbols && graph->symbols[want.symbol].kind == INC_SYMBOL_INPUT) {
            const struct inc_symbol *symbol = &graph->symbols[want.symbol];
            if (have < symbol->min || (symbol->max >= 0 && have > symbol->max))
                return inc_node_fail(graph, value->node, "dimension %d must lie in %lld..%lld, was given %lld", d,
                                     (long long)symbol->min, (long long)symbol->max, (long long)have);
        }
    }
    return INCISE_OK;
}

/* A tensor that somebody else owns; its data is never NULL. */
static struct inc_tensor borrow(const struct inc_tensor *tensor)
{
    static uint64_t nothing;
    struct inc_tensor borrowed = *tensor;
    borrowed.owned = false;
    if (!borrowed.data) borrowed.data = &nothing;
    return borrowed;
}

static enum incise_status take_feeds(struct run *run, const struct inc_feed *feeds, size_t n_feeds)
{
    for (size_t i = 0; i < n_feeds; i++) {
        struct held *held = find_held(run, feeds[i].value);
        if (!held) return inc_fail(run->graph->ctx, INCISE_ERROR_USAGE, "feed %zu is no value of the graph", i);
        INC_TRY(check_feed(run, feeds[i].value, &feeds[i].tensor));
        held->tensor = borrow(&feeds[i].tensor);
        held->ready = true;
        if (feeds[i].value->node->op != INC_OP_PARAMETER) run->inner_feeds = true;
    }
    return INCISE_OK;
}

/* A Gather along axis 0 of a constant table behind a decompression chain: the table would take several copies of
 * itself, its rows take nothing. */
static bool gathers_rows(const struct run *run, const struct inc_node *node, struct inc_weight *table)
{
    if ((node->op != INC_OP_GATHER && node->op != INC_OP_GATHER7 && node->op != INC_OP_GATHER1) ||
        node->n_inputs != 3 || run->inner_feeds || !node->inputs[0] || !node->inputs[2])
        return false;
    const struct inc_node *axis = node->inputs[2]->node;
    if (node->inputs[0]->node->op == INC_OP_CONSTANT || axis->op != INC_OP_CONSTANT ||
        inc_tensor_elements(&axis->data) != 1 || inc_tensor_get_i64(&axis->data, 0) != 0 ||
        (node->op != INC_OP_GATHER1 && inc_attr_int(node, "batch_dims") != 0))
        return false;
    return inc_weight_match(node->inputs[0], true, table);
}

/* Marks what the wanted values need and counts readers. */
static enum incise_status plan(struct run *run, const struct inc_feed *wanted, size_t n_wanted)
{
    for (size_t i = 0; i < n_wanted; i++) {
        struct held *held = find_held(run, wanted[i].value);
        if (!held) return inc_fail(run->graph->ctx, INCISE_ERROR_USAGE, "wanted %zu is no value of the graph", i);
        held->readers++;
        if (!held->ready) find_slot(run, wanted[i].value->node)->needed = true;
    }
    for (size_t i = run->n_slots; i-- > 0;) {
        const struct inc_node *node = run->slots[i].node;
        struct inc_weight table;
        if (!run->slots[i].needed) continue;
        run->slots[i].rows = gathers_rows(run, node, &table);
        for (uint32_t k = run->slots[i].rows; k < node->n_inputs; k++) {
            struct slot *from = node->inputs[k] ? find_slot(run, node->inputs[k]->node) : NULL;
            if (!from || from >= &run->slots[i])
                return inc_node_fail(run->graph, node, "input %u does not come from an earlier layer", (unsigned)k);
            struct held *held = &run->held[from->first + node->inputs[k]->port];
            held->readers++;
            if (!held->ready) from->needed = true;
        }
    }
    return INCISE_OK;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static enum incise_status reserve(struct inc_eval *eval, const struct inc_node *node, size_t bytes)
{
    size_t total;
    size_t limit = eval->ctx->max_memory;
    if (!inc_size_add(eval->live, bytes, &total) || (limit && total > limit))
        return inc_fail(eval->ctx, INCISE_ERROR_MEMORY,
                        "%s: layer %u '%s': needs %zu bytes beside %zu in use, over the limit of %zu",
                        eval->scratch_graph->source ? eval->scratch_graph->source : "graph", (unsigned)node->id,
                        node->name, bytes, eval->live, limit);
    eval->live = total;
    return INCISE_OK;
}

struct inc_eval_scratch {
    _Alignas(INC_ALIGN) struct inc_eval_scratch *next;
    size_t bytes;
};

void *inc_eval_scratch(struct inc_eval *eval, const struct inc_node *node, size_t count, size_t size)
{
    size_t bytes;
    if (!inc_size_mul(count, size, &bytes) || !inc_size_add(bytes, sizeof(struct inc_eval_scratch), &bytes)) {
        (void)inc_fail_memory(eval->ctx, SIZE_MAX, node->name);
        return NULL;
    }
    if (reserve(eval, node, bytes) != INCISE_OK) return NULL;
    struct inc_eval_scratch *block = inc_alloc(eval->ctx, bytes);
    if (!block) {
        eval->live -= bytes;
        (void)inc_fail_memory(eval->ctx, bytes, node->name);
        return NULL;
    }
    *block = (struct inc_eval_scratch){.next = eval->scratch, .bytes = bytes};
    eval->scratch = block;
    return block + 1;
}

static void release_scratch(struct inc_eval *eval)
{
    while (eval->scratch) {
        struct inc_eval_scratch *next = eval->scratch->next;
        eval->live -= eval->scratch->bytes;
        inc_free(eval->ctx, eval->scratch);
        eval->scratch = next;
    }
}

static enum incise_status make_tensor(struct inc_eval *eval, const struct inc_node *node, enum inc_type type, int rank,
                                      const int64_t *dims, struct inc_tensor *tensor)
{
    size_t count, bytes;
    if (!inc_tensor_count(rank, dims, type, &count, &bytes))
        return inc_node_fail(eval->scratch_graph, node, "the result is too large");
    INC_TRY(reserve(eval, node, bytes));
    enum incise_status status = inc_tensor_create(eval->ctx, type, rank, dims, tensor);
    if (status != INCISE_OK) eval->live -= bytes;
    return status;
}

static void drop(struct inc_eval *eval, struct inc_tensor *tensor)
{
    if (tensor->owned) {
        eval->live -= tensor->bytes;
        inc_tensor_release(eval->ctx, tensor);
    }
    *tensor = (struct inc_tensor){0};
}

/* ---- one node ---------------------------------------------------------------------------------------------------- */

/* An input as the shape rules see it: constant dims, and known elements where they may be carried. */
static enum incise_status describe_input(struct run *run, const struct inc_value *value,
                                         const struct inc_tensor *tensor, struct inc_value *described)
{
    *described = (struct inc_value){.node = value->node, .port = value->port, .type = value->type};
    if (value->shape.rank < 0) described->type = tensor->type; /* a graph whose types were never inferred */
    described->shape.rank = tensor->rank;
    for (int d = 0; d < tensor->rank; d++) described->shape.dims[d] = inc_dim_const(tensor->dims[d]);
    size_t n = inc_tensor_elements(tensor);
    if (inc_type_is_float(tensor->type) || n > INC_MAX_KNOWN) return INCISE_OK;
    struct inc_dim *elements = inc_arena_alloc(&run->scratch_graph.arena, n + 1, sizeof *elements);
    if (!elements) return inc_fail_memory(run->graph->ctx, n * sizeof *elements, "evaluation");
    for (size_t i = 0; i < n; i++) elements[i] = inc_dim_const(inc_tensor_get_i64(tensor, i));
    described->elements = elements;
    return INCISE_OK;
}

static enum incise_status make_output(struct run *run, const struct inc_node *node, uint32_t port)
{
    const struct inc_value *value = &node->outputs[port];
    int64_t dims[INC_MAX_RANK];
    if (value->shape.rank < 0)
        return inc_node_fail(&run->scratch_graph, node, "the rank of output %u is unknown", (unsigned)port);
    for (int d = 0; d < value->shape.rank; d++) {
        if (!inc_dim_is_const(value->shape.dims[d]))
            return inc_node_fail(&run->scratch_graph, node, "dimension %d of output %u is unknown", d, (unsigned)port);
        dims[d] = value->shape.dims[d].value;
    }
    return make_tensor(&run->eval, node, inc_eval_held_type(value->type), value->shape.rank, dims,
                       &run->eval.out[port]);
}

static enum incise_status run_node(struct run *run, const struct slot *slot)
{
    struct inc_node node = *slot->node;
    struct inc_infer infer = {.graph = &run->scratch_graph, .data = run->eval.in};
    struct inc_weight weight;
    struct inc_tensor table = {.type = INC_F32, .rank = 2};
    run->eval.table = NULL;
    if (slot->rows && gathers_rows(run, slot->node, &weight)) {
        run->eval.table = &weight;
        table.dims[0] = weight.out;
        table.dims[1] = weight.in;
    }
    for (uint32_t i = 0; i < node.n_inputs; i++) {
        const struct inc_tensor *tensor = i == 0 && slot->rows ? &table : &find_held(run, node.inputs[i])->tensor;
        INC_TRY(describe_input(run, node.inputs[i], tensor, &run->input_values[i]));
        run->inputs[i] = &run->input_values[i];
        run->eval.in[i] = tensor;
    }
    for (uint32_t i = 0; i < node.n_outputs; i++) {
        run->outputs[i] = (struct inc_value){.node = &node, .port = i};
        run->outputs[i].shape.rank = -1;
    }
    node.inputs = run->inputs;
    node.outputs = run->outputs;
    INC_TRY(inc_shape_infer_node(&infer, &node));
    for (uint32_t i = 0; i < node.n_outputs; i++) INC_TRY(make_output(run, &node, i));
    return inc_ops[node.op].eval(&run->eval, &node);
}

static enum incise_status finish_node(struct run *run, const struct slot *slot, enum incise_status status)
{
    const struct inc_node *node = slot->node;
    release_scratch(&run->eval);
    inc_arena_fini(&run->scratch_graph.arena);
    inc_arena_init(&run->scratch_graph.arena, run->graph->ctx);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        struct held *held = &run->held[slot->first + i];
        if (status == INCISE_OK && held->readers > 0 && !held->ready) {
            held->tensor = run->eval.out[i];
            held->ready = true;
            run->eval.out[i] = (struct inc_tensor){0};
        } else {
            drop(&run->eval, &run->eval.out[i]);
        }
    }
    if (status != INCISE_OK) return status;
    for (uint32_t i = slot->rows; i < node->n_inputs; i++) {
        struct held *held = find_held(run, node->inputs[i]);
        if (--held->readers == 0) drop(&run->eval, &held->tensor);
    }
    return INCISE_OK;
}

static enum incise_status run_slot(struct run *run, const struct slot *slot)
{
    const struct inc_node *node = slot->node;
    if (node->op == INC_OP_CONSTANT) {
        struct held *held = &run->held[slot->first];
        held->tensor = borrow(&node->data);
        held->ready = true;
        return INCISE_OK;
    }
    if (!inc_ops[node->op].opset) /* fused: no rule gives its shape here, and no evaluator its value */
        return inc_node_fail(run->graph, node, "a fused op runs on a device, not in the reference evaluator");
    return finish_node(run, slot, run_node(run, slot));
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

/* Hands the tensor over when nobody else wants it, else copies it; floats as f32. */
static enum incise_status deliver(struct run *run, struct inc_feed *wanted)
{
    struct held *held = find_held(run, wanted->value);
    const struct inc_tensor *from = &held->tensor;
    if (--held->readers == 0 && from->owned) {
        wanted->tensor = *from;
        held->tensor = (struct inc_tensor){0};
        return INCISE_OK;
    }
    enum inc_type type = inc_type_is_float(from->type) ? INC_F32 : from->type;
    INC_TRY(make_tensor(&run->eval, wanted->value->node, type, from->rank, from->dims, &wanted->tensor));
    if (type == INC_F32) {
        inc_tensor_to_f32(from, 0, inc_tensor_elements(from), wanted->tensor.data);
    } else if (wanted->tensor.bytes > 0) {
        memcpy(wanted->tensor.data, from->data, wanted->tensor.bytes);
    }
    return INCISE_OK;
}

static enum incise_status run_all(struct run *run, const struct inc_feed *feeds, size_t n_feeds,
                                  struct inc_feed *wanted, size_t n_wanted)
{
    INC_TRY(index_nodes(run, nodes_to_index(run->graph, feeds, n_feeds, wanted, n_wanted)));
    INC_TRY(take_feeds(run, feeds, n_feeds));
    INC_TRY(plan(run, wanted, n_wanted));
    for (size_t i = 0; i < run->n_slots; i++)
        if (run->slots[i].needed) INC_TRY(run_slot(run, &run->slots[i]));
    for (size_t i = 0; i < n_wanted; i++) INC_TRY(deliver(run, &wanted[i]));
    return INCISE_OK;
}

enum incise_status inc_eval_run(const struct inc_graph *graph, const struct inc_feed *feeds, size_t n_feeds,
                                struct inc_feed *wanted, size_t n_wanted)
{
    const struct inc_ctx *ctx = graph->ctx;
    struct run run = {.graph = graph};
    run.scratch_graph = (struct inc_graph){.ctx = ctx, .name = graph->name, .source = graph->source};
    inc_arena_init(&run.scratch_graph.arena, ctx);
    run.eval.ctx = ctx;
    run.eval.scratch_graph = &run.scratch_graph;
    for (size_t i = 0; i < n_wanted; i++) wanted[i].tensor = (struct inc_tensor){0};

    enum incise_status status = run_all(&run, feeds, n_feeds, wanted, n_wanted);
    for (size_t i = 0; run.held && i < run.n_held; i++) drop(&run.eval, &run.held[i].tensor);
    for (size_t i = 0; status != INCISE_OK && i < n_wanted; i++) drop(&run.eval, &wanted[i].tensor);
    inc_arena_fini(&run.scratch_graph.arena);
    inc_free(ctx, run.scratch_graph.symbols);
    inc_free(ctx, run.table);
    inc_free(ctx, run.slots);
    inc_free(ctx, run.held);
    inc_free(ctx, run.inputs);
    inc_free(ctx, run.input_values);
    inc_free(ctx, run.outputs);
    inc_free(ctx, run.eval.in);
    inc_free(ctx, run.eval.out);
    return status;
}
