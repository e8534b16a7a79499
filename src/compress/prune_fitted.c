/* SPDX-License-Identifier: Apache-2.0 */
/* Pruning with statistics of the activations: for each Linear in the order of the model, choose what goes, fit what
 * stays, go on with what the pruned model makes of it. */
#include <math.h>

#include "compress/channel.h"
#include "compress/obs.h"
#include "compress/prune_internal.h"

#define OBS_RIDGE      0.01 /* of the mean variance: what the removal order is worked out with */
#define LARGEST_GROWTH 10   /* a refit whose largest weight is so many times the old one has followed noise */

/* Ridges that a refit is tried with, as shares of the mean variance. */
static const double ridges[] = {0.003, 0.01, 0.03, 0.1, 0.3};
enum { N_RIDGES = sizeof ridges / sizeof *ridges, WITHOUT_HELD_OUT = 3 /* the first that is tried blindly */ };

/* One Linear. */
struct piece {
    struct inc_pruning *pruning;
    const struct inc_ctx *ctx;
    const struct inc_sequence_item *item;
    struct inc_blocks blocks;
    struct inc_scores scores;
    bool *chosen;
    size_t n_chosen;
    double *weights; /* V: out x in, the new ones */
    float *bias;     /* out */
};

static size_t elements(const struct piece *piece)
{
    return piece->blocks.out * piece->blocks.in;
}

/* ---- choice ---------------------------------------------------------------------------------------------------- */

/* The loss of a block is a sum over its outputs, each weighed by what its error does where the model goes on. */
static void weigh_outputs(const struct piece *piece, double *weights)
{
    size_t in = piece->blocks.in;
    for (size_t i = 0; i < elements(piece); i++) weights[i] *= piece->item->output_weights[i / in];
}

static enum incise_status trace(struct piece *piece, struct inc_removal *removals, double *start, double *inverse)
{
    const struct inc_fit *fit = &piece->item->whole;
    double lambda = inc_fit_ridge(fit, OBS_RIDGE);
    int tries = 0;
    while (!inc_fit_whole(piece->pruning->pool, fit, lambda, start, inverse) && tries++ < 4) lambda *= 10;
    if (tries > 4)
        return inc_fail(piece->ctx, INCISE_ERROR_DATA, "layer '%s': the covariance of its inputs cannot be inverted",
                        piece->item->name);
    weigh_outputs(piece, start);
    return inc_obs_trace(piece->ctx, piece->pruning->pool, &piece->blocks, start, inverse, removals);
}

static enum incise_status order_by_obs(struct piece *piece, struct inc_removal *removals)
{
    size_t in = piece->blocks.in;
    double *start = inc_alloc_array(piece->ctx, elements(piece), sizeof *start);
    double *inverse = inc_alloc_array(piece->ctx, in, in * sizeof *inverse);
    enum incise_status status = start != NULL && inverse != NULL
                                    ? trace(piece, removals, start, inverse)
                                    : inc_fail_memory(piece->ctx, in * in * sizeof *inverse, "an inverse Hessian");
    inc_free(piece->ctx, start);
    inc_free(piece->ctx, inverse);
    return status;
}

/* All blocks in the order in which the method takes them. */
static enum incise_status order_blocks(struct piece *piece, struct inc_removal *removals)
{
    if (piece->pruning->request->method == INC_PRUNE_OBS) return order_by_obs(piece, removals);
    for (size_t i = 0; i < piece->blocks.n; i++)
        removals[i] = (struct inc_removal){piece->scores.scores[i], (uint32_t)i};
    inc_removals_sort(removals, piece->blocks.n);
    return INCISE_OK;
}

static enum incise_status choose_in_order(struct piece *piece)
{
    size_t n = piece->blocks.n;
    if (piece->n_chosen == 0) return INCISE_OK;
    struct inc_removal *removals = inc_alloc_array(piece->ctx, n, sizeof *removals);
    if (removals == NULL) return inc_fail_memory(piece->ctx, n * sizeof *removals, "a removal order");
    enum incise_status status = order_blocks(piece, removals);
    if (status == INCISE_OK) inc_removals_choose(removals, piece->n_chosen, piece->chosen);
    inc_free(piece->ctx, removals);
    return status;
}

static enum incise_status choose(struct piece *piece)
{
    const struct inc_prune_request *request = piece->pruning->request;
    size_t n = piece->blocks.n;
    if (request->traces != NULL) {
        inc_removals_choose(piece->pruning->traces.items[piece->item->target].removals, piece->n_chosen, piece->chosen);
        return INCISE_OK;
    }
    if (request->method == INC_PRUNE_MAGNITUDE && !request->channels)
        return inc_choose_lowest(piece->ctx, piece->scores.scores, n, piece->pruning->shares[piece->item->target],
                                 piece->chosen);
    if (request->method != INC_PRUNE_RANDOM) return choose_in_order(piece);
    inc_choose_random(piece->item->name, request->seed, n, (double)piece->n_chosen / (double)n, piece->chosen);
    return INCISE_OK;
}

/* ---- refit ----------------------------------------------------------------------------------------------------- */

static void mask_weights(const struct piece *piece, double *weights)
{
    const struct inc_blocks *blocks = &piece->blocks;
    for (size_t r = 0; r < blocks->out; r++)
        for (size_t k = 0; k < blocks->in; k++) {
            size_t at = r * blocks->in + k;
            bool gone = piece->chosen[r / blocks->height * blocks->across + k / blocks->width];
            weights[at] = gone ? 0.0 : piece->item->whole.weights[at];
        }
}

static bool is_tame(const struct piece *piece, const double *weights)
{
    double before = 0, after = 0;
    for (size_t i = 0; i < elements(piece); i++) {
        before = fmax(before, fabs(piece->item->whole.weights[i]));
        after = fmax(after, fabs(weights[i]));
        if (!isfinite(weights[i])) return false;
    }
    return after <= LARGEST_GROWTH * before;
}

/* Fits with ridge `share` into `weights`; *usable tells whether the result may be used. */
static enum incise_status fit_once(const struct piece *piece, const struct inc_fit *fit, double share, double *weights,
                                   bool *usable)
{
    enum incise_status status = inc_fit_masked(piece->ctx, piece->pruning->pool, fit, &piece->blocks, piece->chosen,
                                               inc_fit_ridge(fit, share), weights);
    *usable = status == INCISE_OK && is_tame(piece, weights);
    return status == INCISE_ERROR_FAILED ? INCISE_OK : status; /* singular: a larger ridge may do */
}

/* The ridge that loses least on the texts held out; N_RIDGES if none does better than the masked weights. */
static enum incise_status find_ridge(const struct piece *piece, double *weights, size_t *best)
{
    const struct inc_sequence_item *item = piece->item;
    double least, loss;
    *best = N_RIDGES;
    mask_weights(piece, weights);
    INC_TRY(inc_fit_loss(piece->ctx, piece->pruning->pool, &item->held_out, weights, &least));
    for (size_t i = 0; i < N_RIDGES; i++) {
        bool usable;
        INC_TRY(fit_once(piece, &item->fitted, ridges[i], weights, &usable));
        if (!usable) continue;
        INC_TRY(inc_fit_loss(piece->ctx, piece->pruning->pool, &item->held_out, weights, &loss));
        if (!(loss < least)) continue;
        least = loss;
        *best = i;
    }
    return INCISE_OK;
}

/* On all texts, with the ridge found or, should that be too small now, a larger one. */
static enum incise_status refit(const struct piece *piece)
{
    const struct inc_sequence_item *item = piece->item;
    size_t ridge = WITHOUT_HELD_OUT;
    bool usable = false;
    if (item->has_held_out) INC_TRY(find_ridge(piece, piece->weights, &ridge));
    for (; ridge < N_RIDGES && !usable; ridge++)
        INC_TRY(fit_once(piece, &item->whole, ridges[ridge], piece->weights, &usable));
    if (!usable) {
        inc_log(piece->ctx, INCISE_LOG_INFO, "layer '%s': no refit does better than the weights as they were",
                item->name);
        mask_weights(piece, piece->weights);
    }
    return INCISE_OK;
}

/* b + E[t] - V E[x]: the mean of the product stays what it should be. */
static void correct_bias(const struct piece *piece)
{
    const struct inc_sequence_item *item = piece->item;
    for (size_t r = 0; r < piece->blocks.out; r++) {
        double sum = (item->bias != NULL ? (double)item->bias[r] : 0.0) + item->target_means[r];
        for (size_t k = 0; k < piece->blocks.in; k++)
            sum -= piece->weights[r * piece->blocks.in + k] * item->input_means[k];
        piece->bias[r] = (float)sum;
    }
}

/* ---- one Linear ------------------------------------------------------------------------------------------------ */

static double relative_change(const struct piece *piece)
{
    const double *old = piece->item->whole.weights;
    double change = 0, all = 0;
    for (size_t i = 0; i < elements(piece); i++) {
        change += (piece->weights[i] - old[i]) * (piece->weights[i] - old[i]);
        all += old[i] * old[i];
    }
    return all > 0 ? sqrt(change / all) : 0;
}

static enum incise_status score(struct piece *piece)
{
    const struct inc_prune_request *request = piece->pruning->request;
    const struct inc_sequence_item *item = piece->item;
    const struct inc_weight *weight = &piece->pruning->targets->items[item->target].weight;
    const double *factors = request->method == INC_PRUNE_WANDA ? item->input_squares : NULL;
    return inc_scores_compute(piece->ctx, piece->pruning->pool, weight, &piece->blocks, request->norm, factors,
                              &piece->scores);
}

static enum incise_status prune_piece(struct piece *piece, struct inc_sequence *sequence)
{
    struct inc_pruning *pruning = piece->pruning;
    bool fitted = pruning->request->refit != INC_REFIT_NONE;
    INC_TRY(score(piece));
    INC_TRY(choose(piece));
    if (fitted) {
        INC_TRY(refit(piece));
        correct_bias(piece);
    } else {
        mask_weights(piece, piece->weights);
    }
    INC_TRY(inc_prune_note(pruning, piece->item->target, &piece->blocks, &piece->scores, piece->chosen,
                           relative_change(piece)));
    return inc_sequence_store(sequence, piece->item, piece->weights, fitted ? piece->bias : NULL);
}

/* Of channels a block is a whole column: one strip. */
static struct inc_blocks blocks_of(const struct inc_prune_request *request, const struct inc_sequence_item *item)
{
    size_t out = item->whole.out, in = item->whole.in;
    return inc_blocks_of(out, in, request->channels ? out : (size_t)request->height, (size_t)request->width);
}

static size_t count_to_remove(const struct inc_pruning *pruning, const struct piece *piece)
{
    double share = pruning->shares[piece->item->target];
    if (!pruning->request->channels) return (size_t)llround(share * (double)piece->blocks.n);
    return pruning->cut[piece->item->target] ? inc_channels_to_remove(piece->blocks.in, share) : 0;
}

static void show_progress(struct inc_pruning *pruning, const char *layer)
{
    const struct inc_prune_request *request = pruning->request;
    pruning->n_done++;
    if (request->progress != NULL) request->progress(request->progress_user, pruning->n_done, pruning->n_steps, layer);
}

static enum incise_status prune_item(void *user, struct inc_sequence *sequence, const struct inc_sequence_item *item)
{
    struct inc_pruning *pruning = user;
    const struct inc_ctx *ctx = pruning->graph->ctx;
    struct piece piece = {.pruning = pruning, .ctx = ctx, .item = item};
    piece.blocks = blocks_of(pruning->request, item);
    piece.n_chosen = count_to_remove(pruning, &piece);
    piece.chosen = inc_alloc_zero(ctx, piece.blocks.n, sizeof *piece.chosen);
    piece.weights = inc_alloc_array(ctx, elements(&piece), sizeof *piece.weights);
    piece.bias = inc_alloc_array(ctx, piece.blocks.out, sizeof *piece.bias);
    enum incise_status status = piece.chosen != NULL && piece.weights != NULL && piece.bias != NULL
                                    ? prune_piece(&piece, sequence)
                                    : inc_fail_memory(ctx, elements(&piece) * sizeof *piece.weights, "a pruned weight");
    inc_scores_release(ctx, &piece.scores);
    if (pruning->request->channels)
        pruning->removed[item->target] = piece.chosen;
    else
        inc_free(ctx, piece.chosen);
    inc_free(ctx, piece.weights);
    inc_free(ctx, piece.bias);
    if (status == INCISE_OK) show_progress(pruning, item->name);
    return status;
}

/* ---- removal orders of the model as it is ---------------------------------------------------------------------- */

/* What the method's losses are relative to: the same sum over the whole weight, or, for OBS, tr(W Cov(x) W^T) with each
 * output weighed as in the losses. */
static double worth_of(const struct piece *piece)
{
    const struct inc_fit *fit = &piece->item->whole;
    double sum = 0;
    if (piece->pruning->request->method == INC_PRUNE_OBS)
        for (size_t i = 0; i < elements(piece); i++) {
            double weight = piece->item->output_weights[i / fit->in];
            sum += weight * weight * fit->weights[i] * fit->targets[i];
        }
    else
        for (size_t i = 0; i < piece->blocks.n; i++) sum += piece->scores.scores[i];
    return sum;
}

static enum incise_status trace_piece(struct piece *piece, const struct inc_trace *trace)
{
    INC_TRY(score(piece));
    INC_TRY(order_blocks(piece, trace->removals));
    double worth = worth_of(piece);
    for (size_t i = 0; i < trace->n; i++) trace->removals[i].loss = worth > 0 ? trace->removals[i].loss / worth : 0;
    return INCISE_OK;
}

/* Nothing is stored: the model stays as it is. */
static enum incise_status trace_item(void *user, struct inc_sequence *sequence, const struct inc_sequence_item *item)
{
    struct inc_pruning *pruning = user;
    const struct inc_trace *trace = &pruning->traces.items[item->target];
    struct piece piece = {.pruning = pruning, .ctx = pruning->graph->ctx, .item = item};
    (void)sequence;
    piece.blocks = blocks_of(pruning->request, item);
    enum incise_status status = trace->n > 0 ? trace_piece(&piece, trace) : INCISE_OK;
    inc_scores_release(piece.ctx, &piece.scores);
    if (status == INCISE_OK) show_progress(pruning, item->name);
    return status;
}

/* `statistics`: NULL, or those of the model that `fn` leaves as it is. */
static enum incise_status walk(struct inc_pruning *pruning, struct inc_calibration *calibration, enum inc_goal goal,
                               const struct inc_statistics *statistics, inc_sequence_fn *fn)
{
    struct inc_sequence sequence;
    enum incise_status status = inc_sequence_open(pruning->graph, calibration, pruning->targets, goal, &sequence);
    if (status == INCISE_OK && statistics != NULL)
        status = inc_sequence_know(&sequence, statistics, pruning->request->statistics);
    if (status == INCISE_OK) status = inc_sequence_run(&sequence, fn, pruning);
    inc_sequence_close(&sequence);
    return status;
}

static enum incise_status trace_model(struct inc_pruning *pruning, struct inc_calibration *calibration)
{
    const char *path = pruning->request->statistics;
    struct inc_statistics *statistics = NULL;
    enum incise_status status = INCISE_OK;
    if (path != NULL) status = inc_statistics_read(pruning->graph, calibration, path, &statistics);
    pruning->n_steps += pruning->targets->n;
    if (status == INCISE_OK) status = walk(pruning, calibration, INC_GOAL_OWN, statistics, trace_item);
    inc_statistics_destroy(statistics);
    return status;
}

/* From the file, if there is one; else they are worked out, and written to it. */
static enum incise_status keep_traces(struct inc_pruning *pruning, struct inc_calibration *calibration)
{
    const struct inc_prune_request *request = pruning->request;
    struct inc_origin origin;
    uint64_t size;
    INC_TRY(inc_origin_of(pruning->graph, calibration, &origin));
    if (request->channels)
        inc_origin_add(&origin, "pattern", "channel");
    else
        inc_origin_add(&origin, "pattern", "block:%lldx%lld", (long long)request->height, (long long)request->width);
    inc_origin_add(&origin, "method", "%s", request->method == INC_PRUNE_OBS ? "obs" : "wanda");
    inc_origin_add(&origin, "layers", "%zu", pruning->targets->n);
    if (inc_file_size(request->traces, &size))
        return inc_traces_load(&pruning->traces, pruning->targets, &origin, request->traces);
    INC_TRY(inc_file_check_place(pruning->graph->ctx, request->traces, true));
    INC_TRY(trace_model(pruning, calibration));
    return inc_traces_save(&pruning->traces, pruning->targets, &origin, request->traces);
}

#define SPREAD 0.2 /* no weight loses more than this above the common share */

static enum incise_status find_traces(struct inc_pruning *pruning, struct inc_calibration *calibration)
{
    const struct inc_prune_request *request = pruning->request;
    bool global = request->allocation == INC_ALLOCATE_GLOBAL;
    double share = request->sparsity;
    if (!global && request->traces == NULL) return INCISE_OK;
    INC_TRY(inc_traces_create(pruning->targets, request->channels ? 0 : (size_t)request->height, (size_t)request->width,
                              pruning->cut, &pruning->traces));
    if (request->traces != NULL)
        INC_TRY(keep_traces(pruning, calibration));
    else
        INC_TRY(trace_model(pruning, calibration));
    if (global)
        inc_allocate_by_loss(pruning->traces.items, pruning->traces.n, share, fmin(share + SPREAD, 0.95),
                             pruning->shares);
    return INCISE_OK;
}

/* ---- the whole graph ------------------------------------------------------------------------------------------- */

static enum incise_status prune_targets(struct inc_pruning *pruning, struct inc_calibration *calibration)
{
    static const enum inc_goal goals[] = {
        [INC_REFIT_NONE] = INC_GOAL_OWN, [INC_REFIT_DENSE] = INC_GOAL_DENSE, [INC_REFIT_RESIDUAL] = INC_GOAL_STREAM};
    pruning->n_steps = pruning->targets->n;
    enum incise_status status = find_traces(pruning, calibration);
    if (status == INCISE_OK) status = walk(pruning, calibration, goals[pruning->request->refit], NULL, prune_item);
    inc_traces_release(&pruning->traces);
    return status;
}

/* Prunes the outer matrices as they are, columns set to zero, and fits all; then the channels go out of the graph. */
static enum incise_status prune_outers(struct inc_pruning *pruning, struct inc_calibration *calibration,
                                       const struct inc_feed_forwards *layers)
{
    enum incise_status status = prune_targets(pruning, calibration);
    for (size_t i = 0; i < layers->n && status == INCISE_OK; i++) {
        const bool *removed = pruning->removed[inc_target_index(pruning->targets, layers->items[i].outer.reader)];
        status = inc_channels_remove(pruning->graph, &layers->items[i], removed);
    }
    return status == INCISE_OK ? inc_graph_infer(pruning->graph) : status;
}

static enum incise_status prune_channels(const struct inc_pruning *pruning, struct inc_calibration *calibration,
                                         const struct inc_feed_forwards *layers)
{
    const struct inc_ctx *ctx = pruning->graph->ctx;
    size_t n = pruning->targets->n;
    struct inc_pruning own = *pruning;
    bool *cut = inc_alloc_zero(ctx, n, sizeof *cut);
    own.cut = cut;
    own.removed = inc_alloc_zero(ctx, n, sizeof *own.removed);
    enum incise_status status = INCISE_OK;
    if (cut == NULL || own.removed == NULL) {
        status = inc_fail_memory(ctx, n * sizeof *own.removed, "the list of weights");
    } else {
        for (size_t i = 0; i < layers->n; i++)
            cut[inc_target_index(pruning->targets, layers->items[i].outer.reader)] = true;
        status = prune_outers(&own, calibration, layers);
    }
    for (size_t i = 0; own.removed != NULL && i < n; i++) inc_free(ctx, own.removed[i]);
    inc_free(ctx, own.removed);
    inc_free(ctx, cut);
    return status;
}

enum incise_status inc_prune_fitted(struct inc_pruning *pruning, struct inc_calibration *calibration)
{
    struct inc_feed_forwards layers;
    if (!pruning->request->channels) return prune_targets(pruning, calibration);
    enum incise_status status = inc_feed_forwards_find(pruning->graph, pruning->targets, &layers);
    if (pruning->request->whole_layers) inc_feed_forwards_keep_whole(&layers, pruning->targets);
    if (status == INCISE_OK) status = prune_channels(pruning, calibration, &layers);
    inc_feed_forwards_release(&layers);
    return status;
}
