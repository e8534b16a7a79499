/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroing blocks of weights. */
#include <math.h>
#include <string.h>

#include "compress/channel.h"
#include "compress/prune_internal.h"

/* ---- one weight ------------------------------------------------------------------------------------------------ */

/* What pruning takes away, from the scores before it. */
enum incise_status inc_prune_note(struct inc_pruning *pruning, size_t index, const struct inc_blocks *blocks,
                                  const struct inc_scores *scores, const bool *chosen, double error)
{
    const struct inc_target *target = &pruning->targets->items[index];
    struct incise_change *change;
    double zeros = 0.0;
    INC_TRY(inc_changes_add(pruning->changes, target->reader->name, target->weight.constant->name, &change));
    change->rows = target->weight.out;
    change->columns = target->weight.in;
    change->blocks = (int64_t)blocks->n;
    for (size_t i = 0; i < blocks->n; i++) {
        size_t elements = inc_block_elements(blocks, i);
        bool zero = chosen[i] || scores->zeros[i] == elements;
        change->zero_blocks += zero;
        zeros += zero ? (double)elements : (double)scores->zeros[i];
    }
    change->zeros = zeros / ((double)blocks->out * (double)blocks->in);
    change->error = error;
    return INCISE_OK;
}

static double share_of_squares(const struct inc_blocks *blocks, const struct inc_scores *scores, const bool *chosen)
{
    double lost = 0.0, all = 0.0;
    for (size_t i = 0; i < blocks->n; i++) {
        lost += chosen[i] ? scores->squares[i] : 0.0;
        all += scores->squares[i];
    }
    return all > 0.0 ? lost / all : 0.0;
}

/* A FakeQuantize may have no level at zero; then its weight cannot be pruned. */
static enum incise_status check_zero_level(const struct inc_graph *graph, const struct inc_weight *pruned,
                                           const struct inc_blocks *blocks, const bool *chosen,
                                           const unsigned char *data)
{
    if (pruned->fake_quantize == NULL) return INCISE_OK;
    struct inc_weight weight = *pruned;
    struct inc_node edited = *weight.constant;
    edited.data.data = (void *)data;
    weight.constant = &edited;
    float *scratch = inc_alloc_array(graph->ctx, blocks->in, sizeof *scratch);
    if (scratch == NULL) return inc_fail_memory(graph->ctx, blocks->in * sizeof *scratch, "a row of weights");
    enum incise_status status = INCISE_OK;
    for (size_t r = 0; r < blocks->out && status == INCISE_OK; r++) {
        const bool *row = chosen + r / blocks->height * blocks->across;
        inc_weight_row_f32(&weight, (int64_t)r, scratch);
        for (size_t k = 0; k < blocks->in && status == INCISE_OK; k++)
            if (row[k / blocks->width] && scratch[k] != 0.0f)
                status = inc_fail(graph->ctx, INCISE_ERROR_DATA,
                                  "%s: layer %u '%s': its FakeQuantize has no level at 0",
                                  graph->source != NULL ? graph->source : "graph", weight.fake_quantize->id,
                                  weight.fake_quantize->name);
    }
    inc_free(graph->ctx, scratch);
    return status;
}

static enum incise_status store_zeros(struct inc_pruning *pruning, size_t index, const struct inc_blocks *blocks,
                                      const bool *chosen)
{
    struct inc_graph *graph = pruning->graph;
    const struct inc_weight *weight = &pruning->targets->items[index].weight;
    const struct inc_tensor *data = &weight->constant->data;
    unsigned char *edited = inc_alloc(graph->ctx, data->bytes);
    if (edited == NULL) return inc_fail_memory(graph->ctx, data->bytes, "a pruned weight");
    memcpy(edited, data->data, data->bytes);
    inc_blocks_zero(blocks, weight, chosen, edited);
    enum incise_status status = check_zero_level(graph, weight, blocks, chosen, edited);
    if (status != INCISE_OK) {
        inc_free(graph->ctx, edited);
        return status;
    }
    return inc_target_store(graph, pruning->targets, index, edited);
}

static enum incise_status choose(struct inc_pruning *pruning, size_t index, const struct inc_blocks *blocks,
                                 const struct inc_scores *scores, bool *chosen)
{
    const struct inc_target *target = &pruning->targets->items[index];
    const struct inc_prune_request *request = pruning->request;
    double share = pruning->shares[index];
    if (request->method == INC_PRUNE_MAGNITUDE)
        return inc_choose_lowest(pruning->graph->ctx, scores->scores, blocks->n, share, chosen);
    inc_choose_random(target->reader->name, request->seed, blocks->n, share, chosen);
    return INCISE_OK;
}

/* Scores, chooses, and stores the result. */
static enum incise_status prune_weight(struct inc_pruning *pruning, size_t index)
{
    const struct inc_ctx *ctx = pruning->graph->ctx;
    const struct inc_prune_request *request = pruning->request;
    const struct inc_weight *weight = &pruning->targets->items[index].weight;
    INC_TRY(inc_weight_check(pruning->graph, weight));
    struct inc_blocks blocks = inc_blocks_of((size_t)weight->out, (size_t)weight->in, (size_t)request->height,
                                             (size_t)request->width);
    struct inc_scores scores;
    bool *chosen = NULL;
    enum incise_status status = inc_scores_compute(ctx, pruning->pool, weight, &blocks, request->norm, NULL, &scores);
    if (status == INCISE_OK) {
        chosen = inc_alloc_zero(ctx, blocks.n, sizeof *chosen);
        status = chosen != NULL ? choose(pruning, index, &blocks, &scores, chosen)
                                : inc_fail_memory(ctx, blocks.n, "a mask");
    }
    if (status == INCISE_OK) {
        double error = sqrt(share_of_squares(&blocks, &scores, chosen));
        status = inc_prune_note(pruning, index, &blocks, &scores, chosen, error);
    }
    if (status == INCISE_OK) status = store_zeros(pruning, index, &blocks, chosen);
    inc_scores_release(ctx, &scores);
    inc_free(ctx, chosen);
    return status;
}

/* ---- the whole graph ------------------------------------------------------------------------------------------- */

static enum incise_status prune_weights(struct inc_pruning *pruning)
{
    const struct inc_prune_request *request = pruning->request;
    const struct inc_targets *targets = pruning->targets;
    for (size_t i = 0; i < targets->n; i++) {
        if (!inc_target_is_repeated(targets, i)) INC_TRY(prune_weight(pruning, i));
        if (request->progress != NULL)
            request->progress(request->progress_user, i + 1, targets->n, targets->items[i].reader->name);
    }
    return INCISE_OK;
}

/* Leaves a note of what was done in the model. */
static enum incise_status record(struct inc_graph *graph, const struct incise_prune_options *options,
                                 const struct inc_prune_request *request, size_t n)
{
    static const char *const methods[] = {"magnitude", "random", "wanda", "obs"};
    static const char *const refits[] = {"", " refit=dense", " refit=residual"};
    bool normed = request->method == INC_PRUNE_MAGNITUDE;
    const char *text = inc_arena_printf(&graph->arena, "%s %s%s%s%s sparsity=%g layers=%zu", options->pattern,
                                        methods[request->method], normed ? " " : "", normed ? options->norm : "",
                                        refits[request->refit], options->sparsity, n);
    if (text == NULL) return inc_fail_memory(graph->ctx, 0, "rt_info");
    return inc_info_set(graph, "incise/pruned", text);
}

static enum incise_status prune_targets(struct inc_graph *graph, struct inc_pool *pool,
                                        const struct inc_prune_request *request, struct inc_calibration *calibration,
                                        const struct inc_targets *targets, struct incise_changes *changes)
{
    double *shares = inc_alloc_array(graph->ctx, targets->n, sizeof *shares);
    if (shares == NULL) return inc_fail_memory(graph->ctx, targets->n * sizeof *shares, "the list of weights");
    for (size_t i = 0; i < targets->n; i++) shares[i] = request->sparsity;
    struct inc_pruning pruning = {
        .graph = graph, .pool = pool, .request = request, .targets = targets, .shares = shares, .changes = changes};
    enum incise_status status = INCISE_OK;
    if (request->allocation == INC_ALLOCATE_FILE) status = inc_allocate_from_file(targets, request->shares, shares);
    if (status == INCISE_OK)
        status = calibration != NULL ? inc_prune_fitted(&pruning, calibration) : prune_weights(&pruning);
    inc_free(graph->ctx, shares);
    return status;
}

/* ---- channels first -------------------------------------------------------------------------------------------- */

#define MOST_CHANNELS 0.75 /* of a feed-forward layer, before blocks of all weights go */
#define LEFT_OVER     1e-3 /* a share that is not worth another walk */

static double elements_of(const struct inc_target *target)
{
    return (double)target->weight.out * (double)target->weight.in;
}

/* Elements of all matrices of the feed-forward layers that are targets as a whole. */
static enum incise_status count_inside(struct inc_graph *graph, const struct inc_targets *targets, double *elements)
{
    struct inc_feed_forwards layers;
    enum incise_status status = inc_feed_forwards_find(graph, targets, &layers);
    inc_feed_forwards_keep_whole(&layers, targets);
    *elements = 0;
    for (size_t i = 0; i < layers.n; i++) {
        *elements += elements_of(&layers.items[i].outer);
        for (uint32_t k = 0; k < layers.items[i].n_inner; k++) *elements += elements_of(&layers.items[i].inner[k]);
    }
    inc_feed_forwards_release(&layers);
    return status;
}

/* Takes channels until `request->sparsity` of all elements are gone, MOST_CHANNELS of each layer at most. */
static enum incise_status remove_channels(struct inc_graph *graph, struct inc_pool *pool,
                                          const struct inc_prune_request *request, struct inc_calibration *calibration,
                                          const struct inc_targets *targets, double elements,
                                          struct incise_changes *changes)
{
    struct inc_prune_request channels = *request;
    double inside;
    INC_TRY(count_inside(graph, targets, &inside));
    if (inside == 0) return INCISE_OK;
    channels.channels = channels.whole_layers = true;
    channels.height = channels.width = 1;
    channels.allocation = INC_ALLOCATE_UNIFORM;
    channels.sparsity = fmin(request->sparsity * elements / inside, MOST_CHANNELS);
    return prune_targets(graph, pool, &channels, calibration, targets, changes);
}

static double count_elements(const struct inc_targets *targets)
{
    double sum = 0;
    for (size_t i = 0; i < targets->n; i++) sum += elements_of(&targets->items[i]);
    return sum;
}

/* Then blocks of all that is left, where they cost least. Selects the targets anew, as they have become smaller. */
static enum incise_status prune_channels_first(struct inc_graph *graph, struct inc_pool *pool,
                                               const struct incise_prune_options *options,
                                               const struct inc_prune_request *request,
                                               struct inc_calibration *calibration, struct inc_targets *targets,
                                               struct incise_changes *changes)
{
    struct inc_prune_request blocks = *request;
    double elements = count_elements(targets);
    INC_TRY(remove_channels(graph, pool, request, calibration, targets, elements, changes));
    inc_targets_release(targets);
    INC_TRY(inc_targets_select(graph, false, options->select, options->ignore, targets));
    blocks.allocation = INC_ALLOCATE_GLOBAL;
    blocks.sparsity = 1 - (1 - request->sparsity) * elements / count_elements(targets);
    if (blocks.sparsity < LEFT_OVER) return INCISE_OK;
    return prune_targets(graph, pool, &blocks, calibration, targets, changes);
}

enum incise_status inc_prune(struct inc_graph *graph, struct inc_pool *pool, const struct incise_prune_options *options,
                             struct inc_calibration *calibration, struct incise_changes *changes)
{
    struct inc_prune_request request;
    struct inc_targets targets;
    INC_TRY(inc_prune_parse(graph->ctx, options, calibration != NULL, &request));
    enum incise_status status = inc_targets_select(graph, false, options->select, options->ignore, &targets);
    if (status == INCISE_OK && request.allocation == INC_ALLOCATE_CHANNELS)
        status = prune_channels_first(graph, pool, options, &request, calibration, &targets, changes);
    else if (status == INCISE_OK)
        status = prune_targets(graph, pool, &request, calibration, &targets, changes);
    if (status == INCISE_OK) {
        inc_graph_remove_dead(graph);
        status = record(graph, options, &request, changes->n);
    }
    inc_targets_release(&targets);
    return status;
}
