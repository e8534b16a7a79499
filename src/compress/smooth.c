/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/smooth.h"

#include <float.h>
#include <math.h>

#include "compress/bias.h"
#include "compress/producer.h"
#include "compress/statistics.h"

#define MOST_SHIFT 10 /* of exponents from their mean: far beyond the spread of channels of any model seen */

struct smoothing {
    const struct inc_ctx *ctx;
    struct inc_graph *graph;
    const struct inc_targets *targets;
    double strength;
    struct inc_arena arena;
    struct inc_program *program;
    struct inc_stream stream;
    struct inc_reader_group *groups;
    size_t n_groups;
    float **peaks; /* of each group: the largest |x| of each channel */
};

/* What multiplies the channels of the rows that a group reads: a Linear, or the constants of a norm. Channel c of the
 * rows is channel c / dim / share * dim + c % dim there: heads that share values stand one after the other. */
struct producer {
    const struct inc_target *linear;
    struct inc_node *gain, *shift; /* Multiply; Add or NULL */
    uint32_t gain_input, shift_input;
    size_t width, dim, share;
};

static size_t channel_of(const struct producer *producer, size_t c)
{
    return c / producer->dim / producer->share * producer->dim + c % producer->dim;
}

/* ---- what is read ---------------------------------------------------------------------------------------------- */

static enum incise_status look(void *user, size_t group, const float *rows, size_t n, size_t stride)
{
    struct smoothing *smoothing = user;
    float *peaks = smoothing->peaks[group];
    for (size_t t = 0; t < n; t++)
        for (size_t c = 0; c < smoothing->groups[group].width; c++) {
            float size = fabsf(rows[t * stride + c]);
            if (!(size <= FLT_MAX))
                return inc_fail(smoothing->ctx, INCISE_ERROR_DATA, "layer '%s' reads a number that is not finite",
                                smoothing->program->plan.steps[smoothing->groups[group].step].name);
            peaks[c] = fmaxf(peaks[c], size);
        }
    return INCISE_OK;
}

static enum incise_status find_groups(struct smoothing *smoothing, const struct inc_calibration *calibration)
{
    const struct inc_program_options options = {.mode = INC_INTEGER_NONE};
    INC_TRY(inc_program_create(smoothing->graph, calibration->device, &options, &smoothing->program));
    INC_TRY(inc_reader_groups(&smoothing->program->plan, &smoothing->arena, &smoothing->groups, &smoothing->n_groups));
    smoothing->peaks = inc_arena_alloc(&smoothing->arena, smoothing->n_groups, sizeof *smoothing->peaks);
    if (smoothing->peaks == NULL) return inc_fail_memory(smoothing->ctx, smoothing->n_groups, "ranges of channels");
    for (size_t i = 0; i < smoothing->n_groups; i++) {
        size_t width = smoothing->groups[i].width;
        smoothing->peaks[i] = inc_arena_alloc(&smoothing->arena, width, sizeof **smoothing->peaks);
        if (smoothing->peaks[i] == NULL) return inc_fail_memory(smoothing->ctx, width, "ranges of channels");
    }
    return INCISE_OK;
}

static enum incise_status survey(struct smoothing *smoothing, struct inc_calibration *calibration)
{
    INC_TRY(inc_stream_open(calibration, smoothing->program, &smoothing->stream));
    for (size_t i = 0; i < calibration->n_batches; i++)
        INC_TRY(inc_stream_visit(&smoothing->stream, i, smoothing->groups, smoothing->n_groups, look, smoothing));
    return INCISE_OK;
}

static enum incise_status take_ranges(struct smoothing *smoothing, const struct inc_statistics *statistics,
                                      const char *path)
{
    const struct inc_plan *plan = &smoothing->program->plan;
    if (!inc_statistics_fit(statistics, plan, smoothing->groups, smoothing->n_groups))
        return inc_fail(smoothing->ctx, INCISE_ERROR_DATA, "%s: its layers are not those of this model", path);
    for (size_t i = 0; i < smoothing->n_groups; i++) {
        const struct inc_input_statistics *input = &statistics->inputs[i];
        for (size_t c = 0; c < smoothing->groups[i].width; c++) {
            float size = fmaxf(fabsf(input->low[c]), fabsf(input->high[c]));
            if (!(size <= FLT_MAX))
                return inc_fail(smoothing->ctx, INCISE_ERROR_DATA, "%s: a range of layer '%s' is not finite", path,
                                input->name);
            smoothing->peaks[i][c] = size;
        }
    }
    return INCISE_OK;
}

static enum incise_status recall(struct smoothing *smoothing, const struct inc_calibration *calibration,
                                 const char *path)
{
    struct inc_statistics *statistics;
    INC_TRY(inc_statistics_read(smoothing->graph, calibration, path, &statistics));
    enum incise_status status = take_ranges(smoothing, statistics, path);
    inc_statistics_destroy(statistics);
    return status;
}

/* ---- who multiplies them --------------------------------------------------------------------------------------- */

/* Whether a target is rows x W with a W of floats. */
static bool is_plain(const struct inc_target *target)
{
    return target != NULL && target->input == 1 && !inc_attr_bool(target->reader, "transpose_a") &&
           inc_type_is_float(target->weight.type) && target->weight.fake_quantize == NULL &&
           target->reader->inputs[1]->type == INC_F32;
}

/* Targets of all Linears of a group as *readers; false if one is missing or somebody else reads the rows. */
static bool find_readers(const struct smoothing *smoothing, const struct inc_reader_group *group,
                         const struct inc_target **readers)
{
    const struct inc_plan *plan = &smoothing->program->plan;
    size_t n = 0;
    for (size_t i = 0; i < plan->n_outputs; i++)
        if (plan->outputs[i].buffer == group->rows.buffer) return false;
    for (size_t i = 0; i < plan->n_steps; i++)
        for (uint32_t k = 0; k < plan->steps[i].n_in; k++) {
            if (plan->steps[i].in[k].buffer != group->rows.buffer) continue;
            if (k > 0 || n == group->n || group->steps[n] != i) return false;
            readers[n] = inc_target_of(plan, smoothing->targets, &plan->steps[i]);
            if (!is_plain(readers[n++])) return false;
        }
    return n == group->n;
}

/* Input of `node` that is a constant vector, 2 if none is. */
static uint32_t vector_input(const struct inc_node *node)
{
    uint32_t i = 0;
    while (i < 2 && inc_vector_behind(node->inputs[i], &node->outputs[0]) == NULL) i++;
    return i;
}

/* How many read the numbers of `value`, not only its shape. */
static size_t count_readers(const struct inc_value *value)
{
    size_t n = 0;
    for (uint32_t i = 0; i < value->n_uses; i++) {
        enum inc_op op = value->uses[i].node->op;
        n += op != INC_OP_SHAPE_OF && op != INC_OP_SHAPE_OF1;
    }
    return n;
}

/* rows = x * gain [+ shift], read by nobody else but `n_readers` readers at the end. */
static bool find_norm(const struct inc_value *rows, size_t n_readers, struct producer *producer)
{
    struct inc_node *node = rows->node;
    if (count_readers(rows) != n_readers || rows->type != INC_F32) return false;
    if (node->op == INC_OP_ADD) {
        producer->shift = node;
        producer->shift_input = vector_input(node);
        if (producer->shift_input == 2 || count_readers(node->inputs[1 - producer->shift_input]) != 1) return false;
        node = node->inputs[1 - producer->shift_input]->node;
    }
    if (node->op != INC_OP_MULTIPLY) return false;
    producer->gain = node;
    producer->gain_input = vector_input(node);
    return producer->gain_input < 2;
}

static bool find_linear(const struct smoothing *smoothing, const struct inc_step *reader, uint32_t index, size_t width,
                        struct producer *producer)
{
    const struct inc_plan *plan = &smoothing->program->plan;
    const struct inc_step *step = inc_inner_linear(plan, reader, index, (uint32_t)width);
    if (step == NULL || step->u.linear.act != INC_ACT_NONE) return false;
    producer->linear = inc_target_of(plan, smoothing->targets, step);
    producer->width = width;
    if (!is_plain(producer->linear)) return false;
    uint32_t input;
    return step->u.linear.bias == NULL || inc_bias_find(producer->linear->reader, &input) != NULL;
}

static bool find_producer(const struct smoothing *smoothing, const struct inc_reader_group *group,
                          const struct inc_target *const *readers, struct producer *producer)
{
    const struct inc_step *step = inc_writer_of(&smoothing->program->plan, group->rows.buffer);
    const struct inc_value *rows = readers[0]->reader->inputs[0];
    *producer = (struct producer){.width = group->width, .dim = group->width, .share = 1};
    if (step == NULL || step->width != group->width) return false;
    switch (step->op) {
    case INC_OP_LAYER_NORM:
    case INC_OP_RMS_NORM:
        for (size_t i = 1; i < group->n; i++)
            if (readers[i]->reader->inputs[0] != rows) return false;
        return find_norm(rows, group->n, producer);
    case INC_OP_GATED_ACT:
        return find_linear(smoothing, step, 1, group->width, producer);
    case INC_OP_ATTENTION:
        producer->dim = step->u.attention.head_dim;
        producer->share = step->u.attention.heads / step->u.attention.kv_heads;
        return find_linear(smoothing, step, 2, group->width / producer->share, producer);
    default:
        return false;
    }
}

/* ---- factors --------------------------------------------------------------------------------------------------- */

/* The largest |w| of each channel over all rows of all readers, and |x|. */
static void find_ranges(const struct inc_reader_group *group, const struct inc_target *const *readers,
                        const struct producer *producer, const float *peaks, float *row, float *weights, float *rows)
{
    for (size_t c = 0; c < group->width; c++) {
        float *at = &rows[channel_of(producer, c)];
        *at = fmaxf(*at, peaks[c]);
    }
    for (size_t i = 0; i < group->n; i++)
        for (int64_t r = 0; r < readers[i]->weight.out; r++) {
            inc_weight_row_f32(&readers[i]->weight, r, row);
            for (size_t c = 0; c < group->width; c++) {
                float *at = &weights[channel_of(producer, c)];
                *at = fmaxf(*at, fabsf(row[c]));
            }
        }
}

/* log2 of max|x|^strength / max|w|^(1 - strength); NAN for a channel that is always 0, or that no weight looks at. */
static double exponent_of(double strength, float weight, float row)
{
    if (!(weight > 0 && row > 0)) return NAN;
    return strength * log2((double)row) - (1 - strength) * log2((double)weight);
}

/* `factors` of n channels; 1 for one without an exponent. */
static void choose_factors(size_t n, double strength, const float *weights, const float *rows, float *factors)
{
    double sum = 0;
    size_t live = 0;
    for (size_t c = 0; c < n; c++) {
        double exponent = exponent_of(strength, weights[c], rows[c]);
        if (isnan(exponent)) continue;
        sum += exponent;
        live++;
    }
    for (size_t c = 0; c < n; c++) {
        double exponent = exponent_of(strength, weights[c], rows[c]);
        double shift = round(exponent - sum / (double)live);
        factors[c] = isnan(exponent) ? 1 : (float)exp2(fmax(-MOST_SHIFT, fmin(MOST_SHIFT, shift)));
    }
}

/* ---- the graph ------------------------------------------------------------------------------------------------- */

/* Lets `target` read W[out, in] with each column times the factor of its channel, or with each row divided by it. */
static enum incise_status scale_weight(struct inc_graph *graph, const struct inc_target *target,
                                       const struct producer *producer, const float *factors, bool columns)
{
    struct inc_node *reader = target->reader;
    struct inc_weight weight;
    struct inc_blob *blob;
    bool transposed = !inc_attr_bool(reader, "transpose_b");
    if (!inc_weight_match(reader->inputs[1], !transposed, &weight)) /* as it is by now */
        return inc_fail(graph->ctx, INCISE_ERROR_FAILED, "layer '%s' has lost its weight", reader->name);
    size_t out = (size_t)weight.out, in = (size_t)weight.in;
    struct inc_tensor tensor = {.type = INC_F32,
                                .rank = 2,
                                .dims = {transposed ? weight.in : weight.out, transposed ? weight.out : weight.in},
                                .bytes = out * in * sizeof(float)};
    float *data = inc_alloc_array(graph->ctx, out, in * sizeof *data);
    float *row = inc_alloc_array(graph->ctx, in, sizeof *row);
    enum incise_status status = data != NULL && row != NULL ? inc_graph_add_blob(graph, data, tensor.bytes, &blob)
                                                            : inc_fail_memory(graph->ctx, tensor.bytes, "a weight");
    if (status != INCISE_OK) inc_free(graph->ctx, data);
    for (size_t r = 0; r < out && status == INCISE_OK; r++) {
        inc_weight_row_f32(&weight, (int64_t)r, row);
        for (size_t c = 0; c < in; c++)
            data[transposed ? c * out + r : r * in + c] =
                columns ? row[c] * factors[channel_of(producer, c)] : row[c] / factors[r];
    }
    inc_free(graph->ctx, row);
    if (status != INCISE_OK) return status;
    tensor.data = data;
    struct inc_node *constant = inc_graph_add_constant(graph, weight.constant->name, &tensor, blob, reader);
    if (constant == NULL) return inc_fail_memory(graph->ctx, tensor.bytes, "a weight");
    return inc_node_set_input(graph, reader, 1, &constant->outputs[0]);
}

/* Divides the constant vector that is input `input` of `node`. */
static enum incise_status divide_vector(struct inc_graph *graph, struct inc_node *node, uint32_t input,
                                        const float *factors, size_t n)
{
    const struct inc_tensor *old = inc_vector_behind(node->inputs[input], &node->outputs[0]);
    const struct inc_node *source = node->inputs[input]->node;
    if (source->op == INC_OP_CONVERT) source = source->inputs[0]->node;
    float *values = inc_alloc_array(graph->ctx, n, sizeof *values);
    if (values == NULL) return inc_fail_memory(graph->ctx, n * sizeof *values, "a vector");
    inc_tensor_to_f32(old, 0, n, values);
    for (size_t i = 0; i < n; i++) values[i] /= factors[i];
    struct inc_value *vector = inc_vector_add(graph, source->name, node->inputs[input]->type, values, n, node);
    inc_free(graph->ctx, values);
    if (vector == NULL) return inc_fail_memory(graph->ctx, n * sizeof *values, "a vector");
    return inc_node_set_input(graph, node, input, vector);
}

static enum incise_status apply(struct inc_graph *graph, const struct inc_reader_group *group,
                                const struct inc_target *const *readers, const struct producer *producer,
                                const float *factors)
{
    uint32_t input;
    for (size_t i = 0; i < group->n; i++) INC_TRY(scale_weight(graph, readers[i], producer, factors, true));
    if (producer->linear != NULL) {
        struct inc_node *add = inc_bias_find(producer->linear->reader, &input);
        INC_TRY(scale_weight(graph, producer->linear, producer, factors, false));
        return add != NULL ? divide_vector(graph, add, input, factors, producer->width) : INCISE_OK;
    }
    if (producer->shift != NULL)
        INC_TRY(divide_vector(graph, producer->shift, producer->shift_input, factors, producer->width));
    return divide_vector(graph, producer->gain, producer->gain_input, factors, producer->width);
}

static enum incise_status smooth_group(struct smoothing *smoothing, size_t index, size_t *n_smoothed)
{
    const struct inc_reader_group *group = &smoothing->groups[index];
    const struct inc_target **readers = inc_arena_alloc(&smoothing->arena, group->n, sizeof *readers);
    float *scratch = inc_arena_alloc(&smoothing->arena, group->width, 4 * sizeof *scratch); /* zeroed */
    struct producer producer;
    if (readers == NULL || scratch == NULL)
        return inc_fail_memory(smoothing->ctx, group->width * 4 * sizeof *scratch, "factors of channels");
    if (!find_readers(smoothing, group, readers) || !find_producer(smoothing, group, readers, &producer))
        return INCISE_OK;
    float *row = scratch, *weights = row + group->width, *rows = weights + group->width, *factors = rows + group->width;
    find_ranges(group, readers, &producer, smoothing->peaks[index], row, weights, rows);
    choose_factors(producer.width, smoothing->strength, weights, rows, factors);
    (*n_smoothed)++;
    return apply(smoothing->graph, group, readers, &producer, factors);
}

enum incise_status inc_smooth(struct inc_graph *graph, struct inc_calibration *calibration,
                              const struct inc_targets *targets, double strength, const char *statistics, size_t *n)
{
    struct smoothing smoothing = {.ctx = graph->ctx, .graph = graph, .targets = targets, .strength = strength};
    inc_arena_init(&smoothing.arena, graph->ctx);
    *n = 0;
    enum incise_status status = find_groups(&smoothing, calibration);
    if (status == INCISE_OK)
        status = statistics != NULL ? recall(&smoothing, calibration, statistics) : survey(&smoothing, calibration);
    for (size_t i = 0; i < smoothing.n_groups && status == INCISE_OK; i++) status = smooth_group(&smoothing, i, n);
    inc_stream_close(&smoothing.stream);
    inc_program_destroy(smoothing.program);
    inc_arena_fini(&smoothing.arena);
    if (status == INCISE_OK) inc_graph_remove_dead(graph);
    return status;
}
