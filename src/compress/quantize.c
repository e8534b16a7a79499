/* SPDX-License-Identifier: Apache-2.0 */
/* Storing weights as INT8: i8 Const -> Convert -> Multiply scale, the chain NNCF writes. */
#include <math.h>
#include <string.h>

#include "compress/changes.h"
#include "compress/targets.h"

enum { INT8_LIMIT = 127 };

void incise_quantize_options_init(struct incise_quantize_options *options)
{
    *options = (struct incise_quantize_options){.struct_size = sizeof *options, .weights = "int8",
                                                .activations = "dynamic"};
}

static enum incise_status check_options(const struct inc_ctx *ctx, const struct incise_quantize_options *options)
{
    const char *weights = options->weights != NULL ? options->weights : "";
    const char *activations = options->activations != NULL ? options->activations : "";
    if (strcmp(weights, "int8") != 0)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "weights '%s': only int8 is known", weights);
    if (strcmp(activations, "dynamic") != 0 && strcmp(activations, "float") != 0)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "activations '%s' is neither dynamic nor float", activations);
    return INCISE_OK;
}

/* ---- one weight ------------------------------------------------------------------------------------------------ */

struct quantizing {
    const struct inc_weight *weight;
    int8_t *q;       /* laid out as the constant */
    float *scales;   /* one per row */
    double *errors;  /* per row: sum of squared errors, and of squares */
    double *squares;
    size_t *zeros;   /* per row */
    float *scratch;  /* a row per worker */
};

/* q = round(w / scale), scale = absmax / 127; an all-zero row has scale 0. */
static void quantize_row(void *arg, size_t item, unsigned worker)
{
    const struct quantizing *job = arg;
    const struct inc_weight *weight = job->weight;
    float *row = job->scratch + (size_t)weight->in * worker, limit = 0.0f;
    inc_weight_row_f32(weight, (int64_t)item, row);
    for (int64_t k = 0; k < weight->in; k++) limit = fmaxf(limit, fabsf(row[k]));
    float scale = limit / (float)INT8_LIMIT;
    double error = 0.0, square = 0.0;
    size_t zeros = 0;
    for (int64_t k = 0; k < weight->in; k++) {
        float q = scale > 0.0f ? nearbyintf(row[k] / scale) : 0.0f;
        q = fminf(fmaxf(q, -(float)INT8_LIMIT), (float)INT8_LIMIT);
        job->q[inc_weight_index(weight, (int64_t)item, k)] = (int8_t)q;
        double difference = (double)row[k] - (double)(q * scale);
        error += difference * difference;
        square += (double)row[k] * (double)row[k];
        zeros += q == 0.0f;
    }
    job->scales[item] = scale;
    job->errors[item] = error;
    job->squares[item] = square;
    job->zeros[item] = zeros;
}

static enum incise_status allocate(const struct inc_ctx *ctx, struct inc_pool *pool, struct quantizing *job)
{
    size_t rows = (size_t)job->weight->out, columns = (size_t)job->weight->in;
    size_t workers = pool != NULL ? inc_pool_threads(pool) : 1;
    job->q = inc_alloc_array(ctx, rows, columns);
    job->scales = inc_alloc_array(ctx, rows, sizeof *job->scales);
    job->errors = inc_alloc_array(ctx, rows, sizeof *job->errors);
    job->squares = inc_alloc_array(ctx, rows, sizeof *job->squares);
    job->zeros = inc_alloc_array(ctx, rows, sizeof *job->zeros);
    job->scratch = inc_alloc_array(ctx, workers * sizeof *job->scratch, columns);
    if (job->q == NULL || job->scales == NULL || job->errors == NULL || job->squares == NULL || job->zeros == NULL ||
        job->scratch == NULL)
        return inc_fail_memory(ctx, rows * columns, "a quantized weight");
    return INCISE_OK;
}

static void release(const struct inc_ctx *ctx, struct quantizing *job)
{
    inc_free(ctx, job->q);
    inc_free(ctx, job->scales);
    inc_free(ctx, job->errors);
    inc_free(ctx, job->squares);
    inc_free(ctx, job->zeros);
    inc_free(ctx, job->scratch);
}

static void describe(const struct quantizing *job, struct incise_change *change)
{
    double error = 0.0, square = 0.0, zeros = 0.0;
    for (int64_t r = 0; r < job->weight->out; r++) {
        error += job->errors[r];
        square += job->squares[r];
        zeros += (double)job->zeros[r];
    }
    change->rows = job->weight->out;
    change->columns = job->weight->in;
    change->zeros = zeros / ((double)job->weight->out * (double)job->weight->in);
    change->error = square > 0.0 ? sqrt(error / square) : 0.0;
}

/* ---- the chain ------------------------------------------------------------------------------------------------- */

/* A node after `input` with one more constant operand or none, of the same shape. */
static struct inc_node *add_step(struct inc_graph *graph, enum inc_op op, const char *base, const char *suffix,
                                 struct inc_value *input, struct inc_value *operand, enum inc_type type,
                                 struct inc_node *before)
{
    struct inc_value *inputs[] = {input, operand};
    const char *name = inc_arena_printf(&graph->arena, "%s/%s", base, suffix);
    if (name == NULL) return NULL;
    struct inc_node *node = inc_graph_add(graph, op, name, inputs, operand != NULL ? 2 : 1, before);
    if (node == NULL) return NULL;
    if (op == INC_OP_CONVERT) inc_attr_set_type(node, "destination_type", type);
    node->outputs[0].type = type;
    node->outputs[0].shape = input->shape;
    return node;
}

/* Adds the chain before the old constant, with its names. The end's type is the reader's. */
static struct inc_value *add_chain(struct inc_graph *graph, const struct inc_target *target, const char *name,
                                   struct quantizing *job)
{
    const struct inc_weight *weight = &target->weight;
    struct inc_node *old = weight->constant;
    int64_t rows = weight->transposed ? weight->in : weight->out;
    int64_t columns = weight->transposed ? weight->out : weight->in;
    struct inc_tensor q = {.type = INC_I8, .rank = 2, .dims = {rows, columns}, .data = job->q,
                           .bytes = (size_t)rows * (size_t)columns};
    struct inc_tensor scale = {.type = INC_F32, .rank = 2, .data = job->scales,
                               .bytes = (size_t)weight->out * sizeof(float)};
    scale.dims[0] = weight->transposed ? 1 : weight->out;
    scale.dims[1] = weight->transposed ? weight->out : 1;
    const char *scale_name = inc_arena_printf(&graph->arena, "%s/scale", name);
    char multiply[16] = "fq_weights_0";
    multiply[11] = (char)('0' + target->input);
    struct inc_blob *blob;
    if (inc_graph_add_blob(graph, job->q, q.bytes, &blob) != INCISE_OK) return NULL;
    job->q = NULL; /* the graph's */
    struct inc_node *node = inc_graph_add_constant(graph, name, &q, blob, old);
    struct inc_node *factor = scale_name != NULL ? inc_graph_add_constant(graph, scale_name, &scale, NULL, old) : NULL;
    if (node == NULL || factor == NULL) return NULL;
    node = add_step(graph, INC_OP_CONVERT, name, "convert", &node->outputs[0], NULL, INC_F32, old);
    if (node == NULL) return NULL;
    node = add_step(graph, INC_OP_MULTIPLY, name, multiply, &node->outputs[0], &factor->outputs[0], INC_F32, old);
    enum inc_type wanted = target->reader->inputs[target->input]->type;
    if (node != NULL && wanted != INC_F32)
        node = add_step(graph, INC_OP_CONVERT, name, "fq_weights/convert", &node->outputs[0], NULL, wanted, old);
    return node != NULL ? &node->outputs[0] : NULL;
}

/* Whether two targets can share one quantized copy. */
static bool is_alike(const struct inc_target *a, const struct inc_target *b)
{
    return a->weight.constant == b->weight.constant && a->weight.transposed == b->weight.transposed &&
           a->weight.out == b->weight.out && a->weight.scale.tensor == b->weight.scale.tensor &&
           a->reader->inputs[a->input]->type == b->reader->inputs[b->input]->type;
}

static bool is_quantized(const struct inc_target *target)
{
    return !inc_type_is_float(target->weight.type) || target->weight.fake_quantize != NULL;
}

/* The name of the old constant if it goes away and the name is still free. */
static const char *new_name(struct inc_graph *graph, struct inc_node *constant)
{
    if (constant->mark++ == 0 && inc_target_is_private(&constant->outputs[0])) return constant->name;
    return inc_arena_printf(&graph->arena, "%s/int8_%u", constant->name, constant->mark);
}

/* Lets every target like `index`, from it on, read a quantized copy of its weight. */
static enum incise_status replace(struct inc_graph *graph, const struct inc_targets *targets, size_t index,
                                  struct quantizing *job, bool *done)
{
    const struct inc_target *target = &targets->items[index];
    const char *name = new_name(graph, target->weight.constant);
    struct inc_value *end = name != NULL ? add_chain(graph, target, name, job) : NULL;
    if (end == NULL) return inc_fail_memory(graph->ctx, 0, "a quantized weight");
    for (size_t i = targets->n; i > index; i--) { /* itself last: the others are compared with it */
        const struct inc_target *other = &targets->items[i - 1];
        if (!is_alike(other, target)) continue;
        INC_TRY(inc_node_set_input(graph, other->reader, other->input, end));
        done[i - 1] = true;
    }
    return INCISE_OK;
}

static enum incise_status quantize_weight(struct inc_graph *graph, struct inc_pool *pool,
                                          const struct inc_targets *targets, size_t index, bool *done,
                                          struct incise_changes *changes)
{
    const struct inc_target *target = &targets->items[index];
    struct quantizing job = {.weight = &target->weight};
    struct incise_change *change;
    INC_TRY(inc_weight_check(graph, &target->weight));
    INC_TRY(inc_changes_add(changes, target->reader->name, target->weight.constant->name, &change));
    enum incise_status status = allocate(graph->ctx, pool, &job);
    if (status == INCISE_OK) {
        inc_pool_run(pool, quantize_row, &job, (size_t)target->weight.out);
        describe(&job, change);
        status = replace(graph, targets, index, &job, done);
    }
    release(graph->ctx, &job);
    return status;
}

/* ---- the whole graph ------------------------------------------------------------------------------------------- */

static enum incise_status quantize_all(struct inc_graph *graph, struct inc_pool *pool,
                                       const struct incise_quantize_options *options, const struct inc_targets *targets,
                                       bool *done, struct incise_changes *changes)
{
    for (size_t i = 0; i < targets->n; i++) {
        const struct inc_target *target = &targets->items[i];
        if (is_quantized(target))
            inc_log(graph->ctx, INCISE_LOG_INFO, "'%s' is quantized already (%s) and stays", target->reader->name,
                    inc_type_name(target->weight.type));
        else if (!done[i])
            INC_TRY(quantize_weight(graph, pool, targets, i, done, changes));
        if (options->progress != NULL)
            options->progress(options->progress_user, i + 1, targets->n, target->reader->name);
    }
    if (changes->n == 0)
        return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "%s: all %zu selected weights are quantized already",
                        graph->source != NULL ? graph->source : "graph", targets->n);
    inc_graph_remove_dead(graph);
    INC_TRY(inc_info_set(graph, "incise/weights", options->weights));
    return inc_info_set(graph, "incise/activations", options->activations);
}

enum incise_status inc_quantize(struct inc_graph *graph, struct inc_pool *pool,
                                const struct incise_quantize_options *options, struct incise_changes *changes)
{
    struct inc_targets targets;
    INC_TRY(check_options(graph->ctx, options));
    enum incise_status status = inc_targets_select(graph, true, options->select, options->ignore, &targets);
    if (status == INCISE_OK) {
        bool *done = inc_alloc_zero(graph->ctx, targets.n, sizeof *done);
        status = done == NULL ? inc_fail_memory(graph->ctx, targets.n, "the list of weights")
                              : quantize_all(graph, pool, options, &targets, done, changes);
        inc_free(graph->ctx, done);
    }
    inc_targets_release(&targets);
    return status;
}
