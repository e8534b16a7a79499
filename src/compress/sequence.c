/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/sequence.h"

#include <string.h>

#include "base/half.h"
#include "compress/bias.h"
#include "compress/linalg.h"
#include "compress/outlet.h"

/* ---- life ------------------------------------------------------------------------------------------------------ */

/* Refit needs plain float weights that one layer reads. */
static enum incise_status check_target(const struct inc_sequence *sequence, size_t index)
{
    const struct inc_target *target = &sequence->targets->items[index];
    const struct inc_weight *weight = &target->weight;
    const char *name = target->reader->name;
    if (!inc_type_is_float(weight->type) || weight->scale.tensor != NULL || weight->fake_quantize != NULL)
        return inc_fail(sequence->graph->ctx, INCISE_ERROR_USAGE,
                        "layer '%s' is quantized (%s): fitting to texts needs float weights; prune first, quantize "
                        "then, or --ignore it",
                        name, inc_type_name(weight->type));
    if (inc_target_is_repeated(sequence->targets, index))
        return inc_fail(sequence->graph->ctx, INCISE_ERROR_USAGE,
                        "layer '%s' shares weight '%s' with another selected layer, and cannot be fitted for "
                        "both: --ignore one of them",
                        name, weight->constant->name);
    return inc_weight_check(sequence->graph, weight);
}

/* The slot of a target: of its name and size, and not taken yet. Layers that share a name come in one order in both. */
static bool is_slot_of(const struct inc_sequence *sequence, size_t slot, const struct inc_target *target)
{
    const struct inc_slot *candidate = &sequence->edited->plan.slots[slot];
    return sequence->target_of[slot] == UINT32_MAX && candidate->weight.out == target->weight.out &&
           candidate->weight.in == target->weight.in && strcmp(candidate->name, target->reader->name) == 0;
}

static enum incise_status match_slots(struct inc_sequence *sequence)
{
    const struct inc_plan *plan = &sequence->edited->plan;
    const struct inc_ctx *ctx = sequence->graph->ctx;
    sequence->target_of = inc_arena_alloc(&sequence->arena, plan->n_slots, sizeof *sequence->target_of);
    if (sequence->target_of == NULL) return inc_fail_memory(ctx, plan->n_slots, "statistics");
    for (size_t s = 0; s < plan->n_slots; s++) sequence->target_of[s] = UINT32_MAX;
    for (size_t i = 0; i < sequence->targets->n; i++) {
        size_t slot = 0;
        INC_TRY(check_target(sequence, i));
        while (slot < plan->n_slots && !is_slot_of(sequence, slot, &sequence->targets->items[i])) slot++;
        if (slot == plan->n_slots)
            return inc_fail(ctx, INCISE_ERROR_USAGE, "layer '%s' does not run on token rows; --ignore it",
                            sequence->targets->items[i].reader->name);
        sequence->target_of[slot] = (uint32_t)i;
    }
    return INCISE_OK;
}

static enum incise_status open_streams(struct inc_sequence *sequence)
{
    const struct inc_program_options options = {.mode = INC_INTEGER_NONE};
    struct inc_calibration *calibration = sequence->calibration;
    INC_TRY(inc_program_create(sequence->graph, calibration->device, &options, &sequence->edited));
    INC_TRY(inc_stream_open(calibration, sequence->edited, &sequence->edited_stream));
    if (sequence->goal != INC_GOAL_OWN) {
        INC_TRY(inc_program_create(sequence->graph, calibration->device, &options, &sequence->dense));
        INC_TRY(inc_stream_open(calibration, sequence->dense, &sequence->dense_stream));
    }
    return inc_reader_groups(&sequence->edited->plan, &sequence->arena, &sequence->groups, &sequence->n_groups);
}

static enum incise_status check_memory(const struct inc_sequence *sequence)
{
    const struct inc_ctx *ctx = sequence->graph->ctx;
    size_t bytes = inc_sequence_estimate(sequence);
    if (ctx->max_memory == 0 || bytes <= ctx->max_memory) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_MEMORY,
                    "calibration on %zu tokens needs about %zu MiB, more than the limit of %zu MiB: use fewer tokens "
                    "or --max-memory",
                    sequence->calibration->n_ids, bytes >> 20, ctx->max_memory >> 20);
}

enum incise_status inc_sequence_open(struct inc_graph *graph, struct inc_calibration *calibration,
                                     const struct inc_targets *targets, enum inc_goal goal,
                                     struct inc_sequence *sequence)
{
    *sequence = (struct inc_sequence){.graph = graph, .calibration = calibration, .targets = targets, .goal = goal};
    inc_arena_init(&sequence->arena, graph->ctx);
    enum incise_status status = open_streams(sequence);
    inc_targets_mark(graph, targets);
    if (status == INCISE_OK) status = match_slots(sequence);
    if (status == INCISE_OK) status = check_memory(sequence);
    return status;
}

void inc_sequence_close(struct inc_sequence *sequence)
{
    inc_stream_close(&sequence->dense_stream);
    inc_stream_close(&sequence->edited_stream);
    inc_program_destroy(sequence->dense);
    inc_program_destroy(sequence->edited);
    inc_arena_fini(&sequence->arena);
}

enum incise_status inc_sequence_know(struct inc_sequence *sequence, const struct inc_statistics *statistics,
                                     const char *path)
{
    sequence->statistics = statistics;
    if (inc_statistics_fit(statistics, &sequence->edited->plan, sequence->groups, sequence->n_groups)) return INCISE_OK;
    return inc_fail(sequence->graph->ctx, INCISE_ERROR_DATA, "%s: its layers are not those of this model", path);
}

/* ---- statistics of one group ----------------------------------------------------------------------------------- */

enum part { FITTED, HELD_OUT, WHOLE, PARTS }; /* WHOLE: the other two together */

struct member {
    uint32_t step, slot;
    size_t out;
    struct inc_outlet outlet;
    bool has_residual; /* which the target takes in */
    struct inc_moments lost[PARTS]; /* what the residual has lost x the inputs */
};

struct group {
    struct inc_sequence *sequence;
    const struct inc_reader_group *readers;
    size_t width;
    struct member *members; /* those that are targets */
    size_t n_members;
    struct inc_moments inputs[PARTS]; /* Gram of what the Linears read now */
    struct inc_moments cross[PARTS];  /* what they read in the dense model x what they read now */
    double *covariance[PARTS];        /* Cov of the inputs */
};

static enum incise_status add_pairs(const struct group *group, const char *name, const struct inc_row_pairs *pairs,
                                    struct inc_moments *moments)
{
    const struct inc_stream *stream = &group->sequence->edited_stream;
    enum inc_domain domain = stream->program->plan.buffers[group->readers->rows.buffer].domain;
    return inc_stream_add(stream, name, domain, pairs, moments);
}

/* What the n rows `lost` ask of the product, where a norm stands between it and the stream. The dense stream stands
 * behind the Linear. */
static enum incise_status pass_norm(const struct group *group, const struct member *member, size_t n, float *lost)
{
    const struct inc_sequence *sequence = group->sequence;
    size_t stride, rows, width = member->out;
    const struct inc_operand product = sequence->dense->plan.steps[member->step].out;
    const float *was = inc_stream_rows(&sequence->dense_stream, product, &stride, &rows);
    double *shares = inc_alloc_array(sequence->graph->ctx, width, sizeof *shares);
    if (shares == NULL) return inc_fail_memory(sequence->graph->ctx, width * sizeof *shares, "statistics");
    inc_outlet_damp(&member->outlet, width, shares);
    for (size_t t = 0; t < n; t++) {
        double rms = inc_outlet_rms(&member->outlet, width, was + t * stride);
        for (size_t i = 0; i < width; i++) lost[t * width + i] = (float)(lost[t * width + i] * rms * shares[i]);
    }
    inc_free(sequence->graph->ctx, shares);
    return INCISE_OK;
}

/* `pairs`: the inputs on the right. */
static enum incise_status add_residual(struct group *group, struct member *member, enum part part,
                                       struct inc_row_pairs pairs)
{
    struct inc_sequence *sequence = group->sequence;
    const struct inc_step *step = &sequence->edited->plan.steps[member->step];
    size_t now_stride, was_stride, n;
    const float *now = inc_stream_rows(&sequence->edited_stream, *member->outlet.residual, &now_stride, &n);
    const float *was = inc_stream_rows(&sequence->dense_stream, *member->outlet.residual, &was_stride, &n);
    float *lost = inc_alloc_array(sequence->graph->ctx, n, member->out * sizeof *lost);
    if (lost == NULL) return inc_fail_memory(sequence->graph->ctx, n * member->out * sizeof *lost, "statistics");
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < member->out; i++)
            lost[t * member->out + i] = was[t * was_stride + i] - now[t * now_stride + i];
    pairs.left = lost;
    pairs.left_stride = member->out;
    enum incise_status status = INCISE_OK;
    if (member->outlet.norm != NULL) status = pass_norm(group, member, n, lost);
    if (status == INCISE_OK) status = add_pairs(group, step->name, &pairs, &member->lost[part]);
    inc_free(sequence->graph->ctx, lost);
    return status;
}

/* The inputs stay in their buffers until the last of the readers has run. */
static enum incise_status collect_batch(struct group *group, size_t batch)
{
    struct inc_sequence *sequence = group->sequence;
    const char *name = sequence->edited->plan.steps[group->readers->step].name;
    enum part part = sequence->calibration->batches[batch].held_out ? HELD_OUT : FITTED;
    size_t at = group->readers->step;
    struct inc_row_pairs pairs = {0};
    INC_TRY(inc_stream_run(&sequence->edited_stream, batch, at));
    pairs.right = inc_stream_rows(&sequence->edited_stream, group->readers->rows, &pairs.right_stride, &pairs.n);
    pairs.left = pairs.right;
    pairs.left_stride = pairs.right_stride;
    INC_TRY(add_pairs(group, name, &pairs, &group->inputs[part]));
    if (sequence->goal == INC_GOAL_OWN) return INCISE_OK;
    INC_TRY(inc_stream_run(&sequence->dense_stream, batch, at));
    pairs.left = inc_stream_rows(&sequence->dense_stream, group->readers->rows, &pairs.left_stride, &pairs.n);
    INC_TRY(add_pairs(group, name, &pairs, &group->cross[part]));
    for (size_t i = 0; i < group->n_members; i++) {
        struct member *member = &group->members[i];
        if (!member->has_residual) continue;
        INC_TRY(inc_run_steps(sequence->edited_stream.run, at, member->step));
        INC_TRY(inc_run_steps(sequence->dense_stream.run, at, member->step));
        at = member->step;
        if (member->outlet.norm != NULL) INC_TRY(inc_run_steps(sequence->dense_stream.run, at, at + 1));
        INC_TRY(add_residual(group, member, part, pairs));
    }
    return INCISE_OK;
}

static enum incise_status create_moments(struct group *group)
{
    const struct inc_ctx *ctx = group->sequence->graph->ctx;
    for (int p = 0; p < PARTS; p++) {
        INC_TRY(inc_moments_create(ctx, group->width, 0, &group->inputs[p]));
        if (group->sequence->goal != INC_GOAL_OWN)
            INC_TRY(inc_moments_create(ctx, group->width, group->width, &group->cross[p]));
        for (size_t i = 0; i < group->n_members; i++)
            if (group->members[i].has_residual)
                INC_TRY(inc_moments_create(ctx, group->members[i].out, group->width, &group->members[i].lost[p]));
    }
    return INCISE_OK;
}

static enum incise_status finish_moments(struct group *group)
{
    const struct inc_ctx *ctx = group->sequence->graph->ctx;
    for (int p = 0; p < PARTS; p++) {
        if (p != WHOLE) {
            inc_moments_merge(&group->inputs[WHOLE], &group->inputs[p]);
            if (group->sequence->goal != INC_GOAL_OWN) inc_moments_merge(&group->cross[WHOLE], &group->cross[p]);
            for (size_t i = 0; i < group->n_members; i++)
                if (group->members[i].has_residual)
                    inc_moments_merge(&group->members[i].lost[WHOLE], &group->members[i].lost[p]);
        }
        group->covariance[p] = inc_alloc_array(ctx, group->width, group->width * sizeof(double));
        if (group->covariance[p] == NULL)
            return inc_fail_memory(ctx, group->width * group->width * sizeof(double), "statistics");
        inc_moments_covariance(&group->inputs[p], group->covariance[p]);
    }
    return INCISE_OK;
}

static void release_group(struct group *group)
{
    for (int p = 0; p < PARTS; p++) {
        inc_moments_release(&group->inputs[p]);
        inc_moments_release(&group->cross[p]);
        for (size_t i = 0; i < group->n_members; i++) inc_moments_release(&group->members[i].lost[p]);
        inc_free(group->sequence->graph->ctx, group->covariance[p]);
    }
}

/* ---- one Linear ------------------------------------------------------------------------------------------------ */

/* Arrays of one item. */
struct item_memory {
    double *weights, *targets[PARTS], *scratch, *squares, *input_means, *target_means, *output_weights;
};

/* Cov(t, x) = W Cov(was, x) + Cov(lost, x). */
static void fill_targets(const struct group *group, const struct member *member, const struct item_memory *memory,
                         enum part part)
{
    size_t in = group->width, n = member->out * in;
    double *targets = memory->targets[part];
    const double *inputs = group->covariance[part];
    if (group->sequence->goal != INC_GOAL_OWN) {
        inc_moments_covariance(&group->cross[part], memory->scratch);
        inputs = memory->scratch;
    }
    memset(targets, 0, n * sizeof *targets);
    inc_linalg_multiply(group->sequence->calibration->pool, member->out, in, in, 1, memory->weights, in, inputs, in,
                        targets, in);
    if (!member->has_residual) return;
    inc_moments_covariance(&member->lost[part], memory->scratch);
    for (size_t i = 0; i < n; i++) targets[i] += memory->scratch[i];
}

static void fill_means(const struct group *group, const struct member *member, const struct item_memory *memory)
{
    const struct inc_moments *inputs = &group->inputs[WHOLE];
    const double *was = group->sequence->goal == INC_GOAL_OWN ? inputs->left_sum : group->cross[WHOLE].left_sum;
    for (size_t k = 0; k < group->width; k++) {
        memory->input_means[k] = inputs->left_sum[k] / inputs->n;
        memory->squares[k] = inputs->products[k * group->width + k] / inputs->n;
    }
    for (size_t i = 0; i < member->out; i++) {
        double sum = member->has_residual ? member->lost[WHOLE].left_sum[i] : 0;
        for (size_t k = 0; k < group->width; k++) sum += memory->weights[i * group->width + k] * was[k];
        memory->target_means[i] = sum / inputs->n;
    }
}

static enum incise_status fill_weights(const struct inc_sequence *sequence, uint32_t slot, double *weights)
{
    const struct inc_weight *weight = &sequence->edited->plan.slots[slot].weight;
    float *row = inc_alloc_array(sequence->graph->ctx, (size_t)weight->in, sizeof *row);
    if (row == NULL) return inc_fail_memory(sequence->graph->ctx, (size_t)weight->in * sizeof *row, "a weight");
    for (int64_t r = 0; r < weight->out; r++) {
        inc_weight_row_f32(weight, r, row);
        for (int64_t k = 0; k < weight->in; k++) weights[r * weight->in + k] = (double)row[k];
    }
    inc_free(sequence->graph->ctx, row);
    return INCISE_OK;
}

static enum incise_status visit(struct group *group, const struct member *member, const struct item_memory *memory,
                                inc_sequence_fn *fn, void *user)
{
    struct inc_sequence *sequence = group->sequence;
    const struct inc_step *step = &sequence->edited->plan.steps[member->step];
    struct inc_fit fits[PARTS];
    INC_TRY(fill_weights(sequence, member->slot, memory->weights));
    for (int p = 0; p < PARTS; p++) {
        fill_targets(group, member, memory, (enum part)p);
        fits[p] = (struct inc_fit){member->out, group->width, memory->weights, group->covariance[p],
                                   memory->targets[p]};
    }
    fill_means(group, member, memory);
    inc_outlet_weigh(&member->outlet, member->out, memory->output_weights);
    const struct inc_sequence_item item = {.target = sequence->target_of[member->slot],
                                           .slot = member->slot,
                                           .name = step->name,
                                           .fitted = fits[FITTED],
                                           .held_out = fits[HELD_OUT],
                                           .whole = fits[WHOLE],
                                           .has_held_out = group->inputs[HELD_OUT].n > 0 && group->inputs[FITTED].n > 0,
                                           .input_squares = memory->squares,
                                           .input_means = memory->input_means,
                                           .target_means = memory->target_means,
                                           .output_weights = memory->output_weights,
                                           .bias = step->u.linear.bias};
    return fn(user, sequence, &item);
}

static enum incise_status visit_member(struct group *group, const struct member *member, inc_sequence_fn *fn,
                                       void *user)
{
    const struct inc_ctx *ctx = group->sequence->graph->ctx;
    size_t in = group->width, row_bytes = in * sizeof(double), largest = inc_max_size(in, member->out);
    struct item_memory memory = {.weights = inc_alloc_array(ctx, member->out, row_bytes),
                                 .scratch = inc_alloc_array(ctx, largest, row_bytes),
                                 .squares = inc_alloc_array(ctx, 1, row_bytes),
                                 .input_means = inc_alloc_array(ctx, 1, row_bytes),
                                 .target_means = inc_alloc_array(ctx, member->out, sizeof(double)),
                                 .output_weights = inc_alloc_array(ctx, member->out, sizeof(double))};
    bool complete = memory.weights != NULL && memory.scratch != NULL && memory.squares != NULL &&
                    memory.input_means != NULL && memory.target_means != NULL &&
                    memory.output_weights != NULL;
    for (int p = 0; p < PARTS; p++) {
        memory.targets[p] = inc_alloc_array(ctx, member->out, row_bytes);
        complete = complete && memory.targets[p] != NULL;
    }
    enum incise_status status = complete ? visit(group, member, &memory, fn, user)
                                         : inc_fail_memory(ctx, largest * row_bytes, "statistics");
    for (int p = 0; p < PARTS; p++) inc_free(ctx, memory.targets[p]);
    inc_free(ctx, memory.weights);
    inc_free(ctx, memory.scratch);
    inc_free(ctx, memory.squares);
    inc_free(ctx, memory.input_means);
    inc_free(ctx, memory.target_means);
    inc_free(ctx, memory.output_weights);
    return status;
}

/* ---- the walk -------------------------------------------------------------------------------------------------- */

static bool takes_residual(enum inc_goal goal, const struct inc_outlet *outlet)
{
    return outlet->residual != NULL && (goal == INC_GOAL_STREAM || (goal == INC_GOAL_RESIDUAL && outlet->norm == NULL));
}

static enum incise_status find_members(struct group *group)
{
    struct inc_sequence *sequence = group->sequence;
    const struct inc_plan *plan = &sequence->edited->plan;
    group->members = inc_arena_alloc(&sequence->arena, group->readers->n, sizeof *group->members);
    if (group->members == NULL) return inc_fail_memory(sequence->graph->ctx, 0, "statistics");
    for (size_t i = 0; i < group->readers->n; i++) {
        uint32_t step = group->readers->steps[i], slot = plan->steps[step].u.linear.slot;
        if (sequence->target_of[slot] == UINT32_MAX) continue;
        struct inc_outlet outlet = inc_outlet_find(plan, step);
        group->members[group->n_members++] = (struct member){
            .step = step,
            .slot = slot,
            .out = plan->steps[step].width,
            .outlet = outlet,
            .has_residual = takes_residual(sequence->goal, &outlet)};
    }
    return INCISE_OK;
}

static enum incise_status collect(struct group *group)
{
    struct inc_sequence *sequence = group->sequence;
    if (sequence->statistics != NULL) {
        size_t index = (size_t)(group->readers - sequence->groups);
        inc_moments_merge(&group->inputs[FITTED], &sequence->statistics->inputs[index].gram);
        return INCISE_OK;
    }
    INC_TRY(inc_stream_advance(&sequence->edited_stream, group->readers->step));
    if (sequence->goal != INC_GOAL_OWN) INC_TRY(inc_stream_advance(&sequence->dense_stream, group->readers->step));
    for (size_t i = 0; i < sequence->calibration->n_batches; i++) INC_TRY(collect_batch(group, i));
    return INCISE_OK;
}

static enum incise_status run_group(struct group *group, inc_sequence_fn *fn, void *user)
{
    INC_TRY(create_moments(group));
    INC_TRY(collect(group));
    INC_TRY(finish_moments(group));
    for (size_t i = 0; i < group->n_members; i++) INC_TRY(visit_member(group, &group->members[i], fn, user));
    return INCISE_OK;
}

enum incise_status inc_sequence_run(struct inc_sequence *sequence, inc_sequence_fn *fn, void *user)
{
    inc_linalg_begin(sequence->graph->ctx);
    for (size_t i = 0; i < sequence->n_groups; i++) {
        struct group group = {
            .sequence = sequence, .readers = &sequence->groups[i], .width = sequence->groups[i].width};
        INC_TRY(find_members(&group));
        if (group.n_members == 0) continue;
        enum incise_status status = run_group(&group, fn, user);
        release_group(&group);
        if (status != INCISE_OK) return status;
    }
    return INCISE_OK;
}

size_t inc_sequence_estimate(const struct inc_sequence *sequence)
{
    const struct inc_plan *plan = &sequence->edited->plan;
    size_t streams = sequence->goal == INC_GOAL_OWN ? 1 : 2, rows = 0, squares = 0, length = 0, texts = 0;
    for (size_t i = 0; i < plan->n_cuts; i++) rows = inc_max_size(rows, plan->buffers[plan->cut_buffers[i]].width);
    for (size_t i = 0; i < sequence->n_groups; i++) {
        size_t in = sequence->groups[i].width, out = 0;
        for (size_t k = 0; k < sequence->groups[i].n; k++)
            out = inc_max_size(out, plan->steps[sequence->groups[i].steps[k]].width);
        squares = inc_max_size(squares, in * (PARTS * (in * (1 + streams) + 2 * out)));
    }
    for (size_t i = 0; i < sequence->calibration->n_batches; i++) {
        length = inc_max_size(length, sequence->calibration->batches[i].length);
        texts = inc_max_size(texts, sequence->calibration->batches[i].n);
    }
    return streams * (sequence->calibration->n_ids * rows * sizeof(float) +
                      inc_run_estimate(sequence->edited, texts, length)) +
           squares * sizeof(double);
}

/* ---- storing --------------------------------------------------------------------------------------------------- */

static unsigned char *rounded(const struct inc_ctx *ctx, const struct inc_weight *weight, const double *weights)
{
    unsigned char *data = inc_alloc(ctx, weight->constant->data.bytes);
    for (int64_t r = 0; data != NULL && r < weight->out; r++)
        for (int64_t k = 0; k < weight->in; k++) {
            size_t at = inc_weight_index(weight, r, k);
            float value = (float)weights[r * weight->in + k];
            if (weight->type == INC_F32)
                ((float *)(void *)data)[at] = value;
            else
                ((uint16_t *)(void *)data)[at] = weight->type == INC_F16 ? inc_f16_from_f32(value)
                                                                         : inc_bf16_from_f32(value);
        }
    return data;
}

enum incise_status inc_sequence_store(struct inc_sequence *sequence, const struct inc_sequence_item *item,
                                      const double *weights, const float *bias)
{
    const struct inc_target *target = &sequence->targets->items[item->target];
    const struct inc_ctx *ctx = sequence->graph->ctx;
    size_t out = item->whole.out;
    struct inc_slot stored = sequence->edited->plan.slots[item->slot];
    unsigned char *data = rounded(ctx, &target->weight, weights);
    if (data == NULL) return inc_fail_memory(ctx, target->weight.constant->data.bytes, "a weight");
    INC_TRY(inc_target_store(sequence->graph, sequence->targets, item->target, data));
    if (bias != NULL) {
        float *kept = inc_arena_alloc(&sequence->arena, out, sizeof *kept);
        if (kept == NULL) return inc_fail_memory(ctx, out * sizeof *kept, "a bias");
        memcpy(kept, bias, out * sizeof *kept);
        INC_TRY(inc_bias_store(sequence->graph, target->reader, bias, out));
        inc_program_replace_bias(sequence->edited, item->slot, kept);
    }
    bool transpose = target->input == 1 ? inc_attr_bool(target->reader, "transpose_b")
                                        : !inc_attr_bool(target->reader, "transpose_a");
    if (!inc_weight_match(target->reader->inputs[target->input], transpose, &stored.weight))
        return inc_fail(ctx, INCISE_ERROR_FAILED, "layer '%s': its new weight is not found", item->name);
    return inc_program_replace_slot(sequence->edited, item->slot, &stored);
}
