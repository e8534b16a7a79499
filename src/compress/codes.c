/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/codes.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

/* ---- the integers ---------------------------------------------------------------------------------------------- */

enum incise_status inc_codes_create(const struct inc_ctx *ctx, const char *name, const struct inc_weight *weight,
                                    const struct inc_grid *grid, struct inc_codes *codes)
{
    size_t out = (size_t)weight->out, in = (size_t)weight->in;
    *codes = (struct inc_codes){.ctx = ctx, .grid = *grid, .out = out, .in = in};
    if (grid->group > 0 && in % grid->group != 0)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "layer '%s': groups of %zu do not divide its %zu inputs", name,
                        grid->group, in);
    codes->groups = inc_grid_groups(grid, in);
    codes->q = inc_alloc_zero(ctx, out, in);
    codes->scales = inc_alloc_zero(ctx, out * codes->groups, sizeof *codes->scales);
    if (codes->q == NULL || codes->scales == NULL) return inc_fail_memory(ctx, out * in, "a quantized weight");
    return INCISE_OK;
}

void inc_codes_release(struct inc_codes *codes)
{
    inc_free(codes->ctx, codes->q);
    inc_free(codes->ctx, codes->scales);
    codes->q = NULL;
    codes->scales = NULL;
}

void inc_codes_row(const struct inc_codes *codes, size_t row, float *out)
{
    size_t group = inc_grid_group(&codes->grid, codes->in);
    const float *scales = codes->scales + row * codes->groups;
    const int8_t *q = codes->q + row * codes->in;
    for (size_t k = 0; k < codes->in; k++) out[k] = (float)q[k] * scales[k / group];
}

/* Work on the rows of one weight. */
struct row_job {
    struct inc_codes *codes;
    struct inc_row_source source;
    const struct inc_rounding *rounding;
    float *scratch; /* two rows per worker */
    float *largest; /* per row: largest |w| */
    double *errors; /* per row: sum of squared errors, of squares, and zeros */
    double *squares, *zeros;
};

static float *scratch_of(const struct row_job *job, unsigned worker)
{
    return job->scratch + 2 * job->codes->in * worker;
}

static void read_row(const struct row_job *job, size_t row, float *out)
{
    const double *dense = job->source.dense != NULL ? job->source.dense + row * job->codes->in : NULL;
    if (dense == NULL) {
        inc_weight_row_f32(job->source.weight, (int64_t)row, out);
        return;
    }
    for (size_t k = 0; k < job->codes->in; k++) out[k] = (float)dense[k];
}

static void find_largest(void *arg, size_t item, unsigned worker)
{
    struct row_job *job = arg;
    float *row = scratch_of(job, worker), largest = 0.0f;
    read_row(job, item, row);
    for (size_t k = 0; k < job->codes->in; k++) largest = fmaxf(largest, fabsf(row[k]));
    job->largest[item] = largest;
}

static void round_row(void *arg, size_t item, unsigned worker)
{
    struct row_job *job = arg;
    struct inc_codes *codes = job->codes;
    const struct inc_grid *grid = &codes->grid;
    const float *importance = job->rounding->importance;
    size_t group = inc_grid_group(grid, codes->in);
    float *row = scratch_of(job, worker), *scales = codes->scales + item * codes->groups;
    int8_t *q = codes->q + item * codes->in;
    read_row(job, item, row);
    for (size_t g = 0; g < codes->groups; g++) {
        const float *w = row + g * group;
        scales[g] = job->rounding->search
                        ? inc_grid_search(grid, w, importance != NULL ? importance + g * group : NULL, group)
                        : inc_grid_scale(grid, w, group);
        for (size_t k = 0; k < group; k++) q[g * group + k] = (int8_t)inc_grid_round(grid, w[k], scales[g]);
    }
}

static void measure_row(void *arg, size_t item, unsigned worker)
{
    struct row_job *job = arg;
    float *before = scratch_of(job, worker), *after = before + job->codes->in;
    double error = 0.0, square = 0.0, zeros = 0.0;
    read_row(job, item, before);
    inc_codes_row(job->codes, item, after);
    for (size_t k = 0; k < job->codes->in; k++) {
        double difference = (double)before[k] - (double)after[k];
        error += difference * difference;
        square += (double)before[k] * (double)before[k];
        zeros += after[k] == 0.0f;
    }
    job->errors[item] = error;
    job->squares[item] = square;
    job->zeros[item] = zeros;
}

/* Scratch, and per row what `measures` tells (errors, squares, zeros) or the largest weight. */
static enum incise_status open_job(struct row_job *job, struct inc_pool *pool, bool measures)
{
    const struct inc_ctx *ctx = job->codes->ctx;
    size_t workers = pool != NULL ? inc_pool_threads(pool) : 1, rows = job->codes->out;
    job->scratch = inc_alloc_array(ctx, 2 * workers * job->codes->in, sizeof *job->scratch);
    bool complete = job->scratch != NULL;
    if (measures) {
        job->errors = inc_alloc_array(ctx, 3 * rows, sizeof *job->errors);
        complete = complete && job->errors != NULL;
        job->squares = complete ? job->errors + rows : NULL;
        job->zeros = complete ? job->errors + 2 * rows : NULL;
    } else {
        job->largest = inc_alloc_array(ctx, rows, sizeof *job->largest);
        complete = complete && job->largest != NULL;
    }
    return complete ? INCISE_OK : inc_fail_memory(ctx, rows * sizeof *job->errors, "a quantized weight");
}

static void close_job(struct row_job *job)
{
    inc_free(job->codes->ctx, job->scratch);
    inc_free(job->codes->ctx, job->largest);
    inc_free(job->codes->ctx, job->errors);
}

enum incise_status inc_codes_round(struct inc_codes *codes, struct inc_pool *pool, const struct inc_row_source *source,
                                   const struct inc_rounding *rounding)
{
    struct row_job job = {.codes = codes, .source = *source, .rounding = rounding};
    enum incise_status status = open_job(&job, pool, false);
    if (status == INCISE_OK && codes->grid.scale_type == INC_F16) {
        float largest = 0.0f;
        inc_pool_run(pool, find_largest, &job, codes->out);
        for (size_t r = 0; r < codes->out; r++) largest = fmaxf(largest, job.largest[r]);
        if (!inc_grid_takes_f16(&codes->grid, largest)) codes->grid.scale_type = INC_F32;
    }
    if (status == INCISE_OK) inc_pool_run(pool, round_row, &job, codes->out);
    close_job(&job);
    return status;
}

enum incise_status inc_codes_describe(const struct inc_codes *codes, struct inc_pool *pool,
                                      const struct inc_weight *weight, struct incise_change *change)
{
    struct row_job job = {.codes = (struct inc_codes *)codes, .source = {.weight = weight}};
    double error = 0.0, square = 0.0, zeros = 0.0;
    enum incise_status status = open_job(&job, pool, true);
    if (status == INCISE_OK) inc_pool_run(pool, measure_row, &job, codes->out);
    for (size_t r = 0; r < codes->out && status == INCISE_OK; r++) {
        error += job.errors[r];
        square += job.squares[r];
        zeros += job.zeros[r];
    }
    close_job(&job);
    change->rows = (int64_t)codes->out;
    change->columns = (int64_t)codes->in;
    change->zeros = zeros / ((double)codes->out * (double)codes->in);
    change->error = square > 0.0 ? sqrt(error / square) : 0.0;
    return status;
}

/* ---- as a file stores them ------------------------------------------------------------------------------------- */

/* Where W[row, k] and the scale of its group lie in constants: of W, or of its transpose. */
struct storage {
    bool transposed;
    size_t out, in, groups;
};

static size_t place(const struct storage *storage, size_t row, size_t k)
{
    return storage->transposed ? k * storage->out + row : row * storage->in + k;
}

/* The bytes of the constant. Row-major i8 is handed over as it is. NULL when memory is short. */
static void *pack_integers(struct inc_codes *codes, const struct storage *storage, size_t *bytes)
{
    size_t n = codes->out * codes->in;
    bool nibbles = codes->grid.type == INC_I4;
    *bytes = nibbles ? (n + 1) / 2 : n;
    if (!nibbles && !storage->transposed) {
        void *data = codes->q;
        codes->q = NULL;
        return data;
    }
    uint8_t *data = inc_alloc_zero(codes->ctx, *bytes, 1);
    for (size_t r = 0; data != NULL && r < codes->out; r++) {
        const int8_t *q = codes->q + r * codes->in;
        for (size_t k = 0; k < codes->in; k++) {
            size_t at = place(storage, r, k);
            if (nibbles)
                data[at / 2] = (uint8_t)(data[at / 2] | (q[k] & 15) << (at % 2 * 4));
            else
                data[at] = (uint8_t)q[k];
        }
    }
    return data;
}

static void *pack_scales(const struct inc_codes *codes, const struct storage *storage, size_t *bytes)
{
    size_t n = codes->out * codes->groups, size = codes->grid.scale_type == INC_F16 ? 2 : 4;
    *bytes = n * size;
    void *data = inc_alloc_array(codes->ctx, n, size);
    for (size_t r = 0; data != NULL && r < codes->out; r++) {
        for (size_t g = 0; g < codes->groups; g++) {
            size_t at = storage->transposed ? g * codes->out + r : r * codes->groups + g;
            float scale = codes->scales[r * codes->groups + g];
            if (size == 2)
                ((uint16_t *)data)[at] = inc_f16_from_f32(scale);
            else
                ((float *)data)[at] = scale;
        }
    }
    return data;
}

/* ---- the chain ------------------------------------------------------------------------------------------------- */

/* What the nodes of one chain have in common. */
struct chain {
    struct inc_graph *graph;
    const char *name;        /* of the integers */
    struct inc_node *before; /* the old constant */
};

static struct inc_node *add_constant(const struct chain *chain, const char *name, const struct inc_tensor *tensor)
{
    struct inc_blob *blob;
    if (name == NULL || inc_graph_add_blob(chain->graph, tensor->data, tensor->bytes, &blob) != INCISE_OK) {
        inc_free(chain->graph->ctx, tensor->data);
        return NULL;
    }
    return inc_graph_add_constant(chain->graph, name, tensor, blob, chain->before);
}

/* A node after `input` (NULL: an earlier step failed) with one more operand or none. */
static struct inc_node *add_step(const struct chain *chain, enum inc_op op, const char *suffix, struct inc_node *input,
                                 struct inc_node *operand, enum inc_type type)
{
    if (input == NULL) return NULL;
    struct inc_value *inputs[] = {&input->outputs[0], operand != NULL ? &operand->outputs[0] : NULL};
    const char *name = inc_arena_printf(&chain->graph->arena, "%s/%s", chain->name, suffix);
    if (name == NULL) return NULL;
    struct inc_node *node = inc_graph_add(chain->graph, op, name, inputs, operand != NULL ? 2 : 1, chain->before);
    if (node == NULL) return NULL;
    if (op == INC_OP_CONVERT) inc_attr_set_type(node, "destination_type", type);
    node->outputs[0].type = type;
    node->outputs[0].shape = input->outputs[0].shape;
    return node;
}

/* Groups as a dim of their own, behind or before that of a group's inputs, become the matrix again. */
static struct inc_node *add_reshape(const struct chain *chain, struct inc_node *input, const int64_t dims[2])
{
    struct inc_tensor tensor = {.type = INC_I64, .rank = 1, .dims = {2}, .data = (void *)dims, .bytes = 16};
    const char *name = inc_arena_printf(&chain->graph->arena, "%s/shape", chain->name);
    struct inc_node *shape = input != NULL && name != NULL
                                 ? inc_graph_add_constant(chain->graph, name, &tensor, NULL, chain->before)
                                 : NULL;
    struct inc_node *node = shape != NULL
                                ? add_step(chain, INC_OP_RESHAPE, "reshape", input, shape, input->outputs[0].type)
                                : NULL;
    if (node == NULL) return NULL;
    inc_attr_set_bool(node, "special_zero", false);
    node->outputs[0].shape = (struct inc_shape){2, {inc_dim_const(dims[0]), inc_dim_const(dims[1])}};
    return node;
}

/* Dims of the integers and of the scales: [out, in] or [out, groups, group], or the same of the transpose. */
static void set_dims(const struct inc_codes *codes, bool transposed, struct inc_tensor *q, struct inc_tensor *scale)
{
    int64_t out = (int64_t)codes->out, in = (int64_t)codes->in, groups = (int64_t)codes->groups;
    bool grouped = codes->grid.group > 0;
    int rows = transposed && grouped ? 2 : transposed ? 1 : 0, columns = transposed ? 0 : 1;
    q->rank = scale->rank = grouped ? 3 : 2;
    q->dims[rows] = scale->dims[rows] = out;
    q->dims[columns] = grouped ? groups : in;
    scale->dims[columns] = groups;
    if (!grouped) return;
    q->dims[columns + 1] = in / groups;
    scale->dims[columns + 1] = 1;
}

/* Adds the chain before the old constant. The end's type is the reader's. NULL on failure. */
static struct inc_value *add_chain(struct inc_graph *graph, const struct inc_target *target, const char *name,
                                   struct inc_codes *codes)
{
    bool transposed = target->weight.transposed;
    struct chain chain = {graph, name, target->weight.constant};
    struct storage storage = {transposed, codes->out, codes->in, codes->groups};
    struct inc_tensor q = {.type = codes->grid.type}, scale = {.type = codes->grid.scale_type};
    enum inc_type wanted = target->reader->inputs[target->input]->type;
    char multiply[16] = "fq_weights_0";
    multiply[11] = (char)('0' + target->input);
    set_dims(codes, transposed, &q, &scale);
    q.data = pack_integers(codes, &storage, &q.bytes);
    scale.data = pack_scales(codes, &storage, &scale.bytes);
    if (q.data == NULL || scale.data == NULL) {
        inc_free(graph->ctx, q.data);
        inc_free(graph->ctx, scale.data);
        return NULL;
    }
    struct inc_node *factor = add_constant(&chain, inc_arena_printf(&graph->arena, "%s/scale", name), &scale);
    struct inc_node *node = add_constant(&chain, name, &q);
    if (factor == NULL || node == NULL) return NULL;
    node = add_step(&chain, INC_OP_CONVERT, "convert", node, NULL, scale.type);
    node = add_step(&chain, INC_OP_MULTIPLY, multiply, node, factor, scale.type);
    if (codes->grid.group > 0) {
        int64_t out = target->weight.out, in = target->weight.in;
        node = add_reshape(&chain, node, (const int64_t[]){transposed ? in : out, transposed ? out : in});
    }
    if (wanted != scale.type) node = add_step(&chain, INC_OP_CONVERT, "fq_weights/convert", node, NULL, wanted);
    return node != NULL ? &node->outputs[0] : NULL;
}

/* Whether two targets can share one stored copy. */
static bool is_alike(const struct inc_target *a, const struct inc_target *b)
{
    return a->weight.constant == b->weight.constant && a->weight.transposed == b->weight.transposed &&
           a->weight.out == b->weight.out && a->weight.scale.tensor == b->weight.scale.tensor &&
           a->reader->inputs[a->input]->type == b->reader->inputs[b->input]->type;
}

/* The name of the old constant if it goes away and the name is still free. */
static const char *new_name(struct inc_graph *graph, struct inc_node *constant)
{
    if (constant->mark++ == 0 && inc_target_is_private(&constant->outputs[0])) return constant->name;
    return inc_arena_printf(&graph->arena, "%s/quantized_%u", constant->name, constant->mark);
}

enum incise_status inc_codes_store(struct inc_graph *graph, const struct inc_targets *targets, size_t index,
                                   struct inc_codes *codes, bool *done)
{
    const struct inc_target *target = &targets->items[index];
    const char *name = new_name(graph, target->weight.constant);
    struct inc_value *end = name != NULL ? add_chain(graph, target, name, codes) : NULL;
    if (end == NULL) return inc_fail_memory(graph->ctx, codes->out * codes->in, "a quantized weight");
    for (size_t i = targets->n; i > index; i--) { /* itself last: the others are compared with it */
        const struct inc_target *other = &targets->items[i - 1];
        if (!is_alike(other, target)) continue;
        INC_TRY(inc_node_set_input(graph, other->reader, other->input, end));
        done[i - 1] = true;
    }
    return INCISE_OK;
}
