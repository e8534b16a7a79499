/* SPDX-License-Identifier: Apache-2.0 */
/* Quantizing with statistics of the activations: for each Linear in the order of the model, the codes whose product is
 * nearest to what it was, then on with what the quantized model makes of it. */
#include <string.h>

#include "compress/feedback.h"
#include "compress/quantize_internal.h"
#include "compress/sequence.h"

#define RIDGE 0.01 /* of the mean variance */

/* Ways to find codes; the one that loses least on the texts held out is taken. */
struct attempt {
    bool fitted;   /* of the best unquantized weights, instead of the old ones */
    bool feedback; /* else to the nearest */
    enum inc_feedback_order order;
};
static const struct attempt attempts[] = {
    {false, false, INC_ORDER_NATURAL}, {false, true, INC_ORDER_NATURAL},   {false, true, INC_ORDER_ACTIVATION},
    {true, true, INC_ORDER_NATURAL},   {true, true, INC_ORDER_ACTIVATION},
};
enum { N_ATTEMPTS = sizeof attempts / sizeof *attempts, WITHOUT_HELD_OUT = 4 /* the one that is taken blindly */ };

enum part { FITTED, HELD_OUT, WHOLE, PARTS };

/* One Linear. */
struct piece {
    struct inc_quantizing *run;
    const struct inc_ctx *ctx;
    const struct inc_sequence_item *item;
    struct inc_fit fits[PARTS];
    double *moments[2 * PARTS]; /* behind the fits of a Linear without bias */
    float *importance;          /* E[x^2]: in */
    double *inverse;            /* in x in, of the part it was made for */
    double *best;               /* the best unquantized weights: out x in */
    bool invertible;
    struct inc_codes *codes;
    double *weights; /* q * scale: out x in */
    float *bias;     /* out */
};

/* ---- what is fitted -------------------------------------------------------------------------------------------- */

/* Without a bias to take up means, second moments are fitted instead of covariances: C + l r^T. */
static enum incise_status add_means(struct piece *piece, double **slot, const double *covariance, const double *left,
                                    size_t rows)
{
    const double *right = piece->item->input_means;
    size_t columns = piece->item->whole.in;
    double *moments = inc_alloc_array(piece->ctx, rows, columns * sizeof *moments);
    *slot = moments;
    if (moments == NULL) return inc_fail_memory(piece->ctx, rows * columns * sizeof *moments, "statistics");
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            moments[i * columns + k] = covariance[i * columns + k] + left[i] * right[k];
    return INCISE_OK;
}

static enum incise_status choose_fits(struct piece *piece)
{
    const struct inc_sequence_item *item = piece->item;
    const struct inc_fit fits[PARTS] = {item->fitted, item->held_out, item->whole};
    for (int p = 0; p < PARTS; p++) {
        struct inc_fit *fit = &piece->fits[p];
        *fit = fits[p];
        if (item->bias != NULL) continue;
        INC_TRY(add_means(piece, &piece->moments[2 * p], fit->inputs, item->input_means, fit->in));
        INC_TRY(add_means(piece, &piece->moments[2 * p + 1], fit->targets, item->target_means, fit->out));
        fit->inputs = piece->moments[2 * p];
        fit->targets = piece->moments[2 * p + 1];
    }
    return INCISE_OK;
}

/* ---- attempts -------------------------------------------------------------------------------------------------- */

/* The best unquantized weights for `part`, and what error feedback needs. */
static void prepare(struct piece *piece, enum part part)
{
    const struct inc_fit *fit = &piece->fits[part];
    piece->invertible = inc_fit_whole(piece->run->pool, fit, inc_fit_ridge(fit, RIDGE), piece->best, piece->inverse);
}

static enum incise_status try_attempt(struct piece *piece, const struct attempt *attempt, enum part part, bool *usable)
{
    const struct inc_fit *fit = &piece->fits[part];
    const struct inc_rounding rounding = {.search = true, .importance = piece->importance};
    const double *source = attempt->fitted ? piece->best : fit->weights;
    *usable = piece->invertible || !attempt->feedback;
    if (!*usable) return INCISE_OK;
    INC_TRY(inc_codes_round(piece->codes, piece->run->pool, &(struct inc_row_source){.dense = source}, &rounding));
    if (!attempt->feedback) return INCISE_OK;
    enum incise_status status = inc_feedback_round(piece->codes, piece->run->pool, source, piece->inverse, fit->inputs,
                                                   attempt->order);
    *usable = status == INCISE_OK;
    return status == INCISE_ERROR_FAILED ? INCISE_OK : status;
}

static void expand(struct piece *piece)
{
    size_t in = piece->codes->in, group = inc_grid_group(&piece->codes->grid, in);
    for (size_t r = 0; r < piece->codes->out; r++)
        for (size_t k = 0; k < in; k++)
            piece->weights[r * in + k] = (double)((float)piece->codes->q[r * in + k] *
                                                  piece->codes->scales[r * piece->codes->groups + k / group]);
}

/* Fits on some texts, judges by the others. */
static enum incise_status find_attempt(struct piece *piece, size_t *best)
{
    double least = 0, loss;
    *best = 0;
    prepare(piece, FITTED);
    for (size_t i = 0; i < N_ATTEMPTS; i++) {
        bool usable;
        INC_TRY(try_attempt(piece, &attempts[i], FITTED, &usable));
        if (!usable) continue;
        expand(piece);
        INC_TRY(inc_fit_loss(piece->ctx, piece->run->pool, &piece->fits[HELD_OUT], piece->weights, &loss));
        if (i > 0 && !(loss < least)) continue;
        least = loss;
        *best = i;
    }
    return INCISE_OK;
}

static enum incise_status find_codes(struct piece *piece)
{
    size_t best = 0;
    bool usable;
    if (piece->run->request->round == INC_ROUND_GPTQ) {
        best = WITHOUT_HELD_OUT;
        if (piece->item->has_held_out) INC_TRY(find_attempt(piece, &best));
        prepare(piece, WHOLE);
    }
    INC_TRY(try_attempt(piece, &attempts[best], WHOLE, &usable));
    if (!usable) INC_TRY(try_attempt(piece, &attempts[0], WHOLE, &usable));
    inc_log(piece->ctx, INCISE_LOG_DEBUG, "layer '%s': attempt %zu", piece->item->name, best);
    expand(piece);
    return INCISE_OK;
}

/* b + E[t] - V E[x]: the mean of the product stays what it should be. */
static void correct_bias(const struct piece *piece)
{
    const struct inc_sequence_item *item = piece->item;
    for (size_t r = 0; r < item->whole.out; r++) {
        double sum = (double)item->bias[r] + item->target_means[r];
        for (size_t k = 0; k < item->whole.in; k++)
            sum -= piece->weights[r * item->whole.in + k] * item->input_means[k];
        piece->bias[r] = (float)sum;
    }
}

/* ---- one Linear ------------------------------------------------------------------------------------------------ */

static enum incise_status quantize_piece(struct piece *piece, size_t index)
{
    const struct inc_sequence_item *item = piece->item;
    const struct inc_grid *grid = &piece->run->request->linears;
    for (size_t k = 0; k < item->whole.in; k++) piece->importance[k] = (float)item->input_squares[k];
    INC_TRY(inc_codes_create(piece->ctx, item->name, &piece->run->targets->items[index].weight, grid, piece->codes));
    INC_TRY(choose_fits(piece));
    INC_TRY(find_codes(piece));
    if (item->bias != NULL) correct_bias(piece);
    return inc_quantize_note(piece->run, index, piece->codes);
}

static void release(struct piece *piece)
{
    for (int i = 0; i < 2 * PARTS; i++) inc_free(piece->ctx, piece->moments[i]);
    inc_free(piece->ctx, piece->importance);
    inc_free(piece->ctx, piece->inverse);
    inc_free(piece->ctx, piece->best);
    inc_free(piece->ctx, piece->weights);
    inc_free(piece->ctx, piece->bias);
}

/* The float weights of MatMuls among the targets, and the codes that were found for them. */
struct fitting {
    struct inc_quantizing *run;
    struct inc_targets linears;
    size_t *index; /* of each in run->targets */
    struct inc_codes *codes;
};

static enum incise_status quantize_item(void *user, struct inc_sequence *sequence, const struct inc_sequence_item *item)
{
    struct fitting *fitting = user;
    const struct inc_ctx *ctx = fitting->run->graph->ctx;
    size_t in = item->whole.in, out = item->whole.out;
    struct piece piece = {.run = fitting->run, .ctx = ctx, .item = item, .codes = &fitting->codes[item->target]};
    piece.importance = inc_alloc_array(ctx, in, sizeof *piece.importance);
    piece.inverse = inc_alloc_array(ctx, in, in * sizeof *piece.inverse);
    piece.best = inc_alloc_array(ctx, out, in * sizeof *piece.best);
    piece.weights = inc_alloc_array(ctx, out, in * sizeof *piece.weights);
    piece.bias = inc_alloc_array(ctx, out, sizeof *piece.bias);
    bool complete = piece.importance != NULL && piece.inverse != NULL && piece.best != NULL && piece.weights != NULL &&
                    piece.bias != NULL;
    enum incise_status status = complete ? quantize_piece(&piece, fitting->index[item->target])
                                         : inc_fail_memory(ctx, out * in * sizeof *piece.best, "a quantized weight");
    if (status == INCISE_OK)
        status = inc_sequence_store(sequence, item, piece.weights, item->bias != NULL ? piece.bias : NULL);
    release(&piece);
    if (status == INCISE_OK) inc_quantize_progress(fitting->run, item->name);
    return status;
}

/* ---- the whole graph ------------------------------------------------------------------------------------------- */

static enum incise_status collect_linears(struct fitting *fitting)
{
    const struct inc_targets *targets = fitting->run->targets;
    const struct inc_ctx *ctx = fitting->run->graph->ctx;
    fitting->linears = (struct inc_targets){.ctx = ctx};
    fitting->linears.items = inc_alloc_array(ctx, targets->n, sizeof *fitting->linears.items);
    fitting->index = inc_alloc_array(ctx, targets->n, sizeof *fitting->index);
    fitting->codes = inc_alloc_zero(ctx, targets->n, sizeof *fitting->codes);
    if (fitting->linears.items == NULL || fitting->index == NULL || fitting->codes == NULL)
        return inc_fail_memory(ctx, targets->n * sizeof *fitting->codes, "the list of weights");
    for (size_t i = 0; i < targets->n; i++) {
        const struct inc_target *target = &targets->items[i];
        if (inc_target_is_quantized(target) || target->reader->op != INC_OP_MATMUL) continue;
        fitting->index[fitting->linears.n] = i;
        fitting->linears.items[fitting->linears.n++] = *target;
    }
    return INCISE_OK;
}

/* Through a sequence the graph gets q * scale as floats, so that the model can run on; then the codes themselves. */
static enum incise_status fit_linears(struct fitting *fitting, struct inc_calibration *calibration)
{
    struct inc_quantizing *run = fitting->run;
    struct inc_sequence sequence;
    enum incise_status status = inc_sequence_open(run->graph, calibration, &fitting->linears, INC_GOAL_RESIDUAL,
                                                  &sequence);
    if (status == INCISE_OK) status = inc_sequence_run(&sequence, quantize_item, fitting);
    inc_sequence_close(&sequence);
    inc_targets_mark(run->graph, run->targets);
    for (size_t i = 0; i < fitting->linears.n && status == INCISE_OK; i++)
        status = inc_codes_store(run->graph, run->targets, fitting->index[i], &fitting->codes[i], run->done);
    return status;
}

enum incise_status inc_quantize_fitted(struct inc_quantizing *quantizing, struct inc_calibration *calibration)
{
    struct fitting fitting = {.run = quantizing};
    const struct inc_ctx *ctx = quantizing->graph->ctx;
    enum incise_status status = collect_linears(&fitting);
    if (status == INCISE_OK && fitting.linears.n > 0) status = fit_linears(&fitting, calibration);
    for (size_t i = 0; fitting.codes != NULL && i < quantizing->targets->n; i++)
        if (fitting.codes[i].ctx != NULL) inc_codes_release(&fitting.codes[i]);
    inc_free(ctx, fitting.codes);
    inc_free(ctx, fitting.index);
    inc_free(ctx, fitting.linears.items);
    return status;
}
