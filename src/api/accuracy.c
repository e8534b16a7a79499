/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy control: the model and its quantized forms meet in one program, whose vectors of the validation texts are
 * measured as `evaluate` does. */
#include "api/accuracy.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "api/bootstrap.h"
#include "api/cosines.h"
#include "api/embed_internal.h"
#include "base/size.h"
#include "compress/accuracy.h"
#include "compress/levels.h"
#include "incise/evaluate.h"

#define FEW_TEXTS 12 /* that units are ranked on, and that a check looks at first */
#define SEED      0  /* of the resamples, the default of `evaluate` */
#define CHUNK     1024

enum { PART_TEXTS, PART_QUERIES, PART_DOCUMENTS, PARTS };

struct control {
    const struct inc_ctx *ctx;
    struct incise_engine *engine;
    const struct incise_quantize_options *options;
    struct incise_embedder *embedder; /* of the one program */
    struct inc_levels levels;
    struct incise_text_list held_out; /* of the calibration texts, if nothing else decides; arrays are its own */
    const struct incise_text_list *parts[PARTS];
    const char *prompts[PARTS];
    float *base[PARTS], *now[PARTS]; /* vectors of the model as it was, and of a mixture */
    const char *few_texts[FEW_TEXTS];
    size_t few_lengths[FEW_TEXTS], few[FEW_TEXTS], n_few; /* `few`: their places */
};

/* ---- figures --------------------------------------------------------------------------------------------------- */

static bool needs(const struct control *control, enum incise_figure_source source)
{
    for (size_t i = 0; i < control->options->n_requirements; i++)
        if (incise_figure_source(incise_figure_find(control->options->requirements[i].figure)) == source) return true;
    return false;
}

/* Texts, or else documents. */
static int fidelity_part(const struct control *control)
{
    return control->parts[PART_TEXTS]->n > 0 ? PART_TEXTS : PART_DOCUMENTS;
}

static enum incise_status check_request(const struct control *control)
{
    const struct incise_quantize_options *options = control->options;
    for (size_t i = 0; i < options->n_requirements; i++) {
        const char *name = options->requirements[i].figure;
        size_t figure = incise_figure_find(name);
        if (figure == INCISE_FIGURES || incise_figure_source(figure) == INCISE_FIGURE_OF_SCORED_PAIRS)
            return inc_fail(control->ctx, INCISE_ERROR_USAGE, "there is no figure '%s' to require", name);
        if (incise_figure_source(figure) == INCISE_FIGURE_OF_RETRIEVAL && options->validation.n_pairs == 0)
            return inc_fail(control->ctx, INCISE_ERROR_USAGE, "'%s' needs pairs of queries and documents", name);
    }
    if (control->parts[fidelity_part(control)]->n >= 2) return INCISE_OK;
    return inc_fail(control->ctx, INCISE_ERROR_USAGE, "requirements need two or more texts that decide");
}

static enum incise_status measure(struct control *control, struct incise_figures *figures)
{
    const struct incise_validation *validation = &control->options->validation;
    int part = fidelity_part(control);
    size_t width = incise_embedder_width(control->embedder);
    if (needs(control, INCISE_FIGURE_OF_TEXTS))
        INC_TRY(incise_fidelity_measure(control->engine, control->base[part], control->now[part],
                                        control->parts[part]->n, width, SEED, &figures->fidelity));
    if (!needs(control, INCISE_FIGURE_OF_RETRIEVAL)) return INCISE_OK;
    const struct incise_retrieval_data data = {.base_queries = control->base[PART_QUERIES],
                                               .queries = control->now[PART_QUERIES],
                                               .n_queries = validation->queries.n,
                                               .base_documents = control->base[PART_DOCUMENTS],
                                               .documents = control->now[PART_DOCUMENTS],
                                               .n_documents = validation->documents.n,
                                               .width = width,
                                               .pair_query = validation->pair_query,
                                               .pair_document = validation->pair_document,
                                               .n_pairs = validation->n_pairs};
    return incise_retrieval_measure(control->engine, &data, SEED, &figures->retrieval);
}

/* Of several requirements the one with the least room. */
static void judge(const struct control *control, const struct incise_figures *figures, struct inc_verdict *verdict)
{
    double least = 0;
    for (size_t i = 0; i < control->options->n_requirements; i++) {
        const struct incise_requirement *requirement = &control->options->requirements[i];
        struct incise_figure figure = incise_figure_get(figures, incise_figure_find(requirement->figure));
        double bound = requirement->at_most ? figure.hi : figure.lo;
        double room = requirement->at_most ? requirement->limit - bound : bound - requirement->limit;
        if (i > 0 && !(room < least)) continue;
        least = room;
        *verdict = (struct inc_verdict){requirement->figure, figure.value, bound, requirement->limit, room >= 0,
                                        control->parts[fidelity_part(control)]->n};
    }
}

/* ---- what the search asks for ---------------------------------------------------------------------------------- */

static enum incise_status embed(const struct control *control, const struct incise_text_list *list, const char *prompt,
                                float *out)
{
    size_t width = incise_embedder_width(control->embedder);
    for (size_t i = 0; i < list->n; i += CHUNK) {
        const struct incise_text_batch batch = {.texts = list->texts + i,
                                                .lengths = list->lengths + i,
                                                .n = inc_min_size(CHUNK, list->n - i),
                                                .prompt = prompt};
        INC_TRY(incise_embedder_run(control->embedder, &batch, out + i * width, NULL));
    }
    return INCISE_OK;
}

/* Queries are looked at by retrieval only, documents or texts by both. */
static enum incise_status embed_needed(const struct control *control, float *const out[PARTS])
{
    for (int p = 0; p < PARTS; p++) {
        bool is_needed = p == fidelity_part(control) || (p != PART_TEXTS && needs(control, INCISE_FIGURE_OF_RETRIEVAL));
        if (is_needed) INC_TRY(embed(control, control->parts[p], control->prompts[p], out[p]));
    }
    return INCISE_OK;
}

static enum incise_status set_level(void *user, size_t unit, unsigned level)
{
    struct control *control = user;
    return inc_levels_set(&control->levels, control->embedder->model->program, unit, level);
}

static double cost_of(void *user, size_t unit, unsigned level)
{
    const struct control *control = user;
    return inc_levels_cost(&control->levels, unit, level);
}

/* Cosines of the few texts' vectors to what they were. */
static enum incise_status few_cosines(struct control *control, double cosines[FEW_TEXTS])
{
    int part = fidelity_part(control);
    const struct incise_text_list list = {control->few_texts, control->few_lengths, control->n_few};
    size_t width = incise_embedder_width(control->embedder);
    INC_TRY(embed(control, &list, control->prompts[part], control->now[part]));
    for (size_t i = 0; i < control->n_few; i++)
        cosines[i] = inc_cosine(control->now[part] + i * width, control->base[part] + control->few[i] * width, width);
    return INCISE_OK;
}

/* Mean of 1 - cosine. */
static enum incise_status loss_now(void *user, double *loss)
{
    struct control *control = user;
    double cosines[FEW_TEXTS], sum = 0;
    INC_TRY(few_cosines(control, cosines));
    for (size_t i = 0; i < control->n_few; i++) sum += 1 - cosines[i];
    *loss = sum / (double)control->n_few;
    return INCISE_OK;
}

/* A mean cosine whose whole interval on few texts lies below its limit is not met; no others are looked at then. */
static enum incise_status check_few(struct control *control, struct inc_verdict *verdict, bool *decided)
{
    const struct incise_quantize_options *options = control->options;
    double cosines[FEW_TEXTS];
    struct incise_figure mean;
    *decided = false;
    if (!needs(control, INCISE_FIGURE_OF_TEXTS)) return INCISE_OK;
    if (control->n_few == control->parts[fidelity_part(control)]->n) return INCISE_OK;
    INC_TRY(few_cosines(control, cosines));
    INC_TRY(inc_bootstrap(control->ctx, inc_statistic_mean, cosines, control->n_few, SEED, &mean));
    for (size_t i = 0; i < options->n_requirements && !*decided; i++) {
        const struct incise_requirement *requirement = &options->requirements[i];
        if (strcmp(requirement->figure, "cosine_mean") != 0 || requirement->at_most) continue;
        *verdict = (struct inc_verdict){"cosine_mean", mean.value, mean.lo, requirement->limit, false, control->n_few};
        *decided = mean.hi < requirement->limit;
    }
    return INCISE_OK;
}

static enum incise_status check_now(void *user, struct inc_verdict *verdict)
{
    struct control *control = user;
    struct incise_figures figures;
    bool decided;
    INC_TRY(check_few(control, verdict, &decided));
    if (decided) return INCISE_OK;
    INC_TRY(embed_needed(control, control->now));
    INC_TRY(measure(control, &figures));
    judge(control, &figures, verdict);
    return INCISE_OK;
}

static void tell_move(void *user, size_t unit, unsigned from, unsigned to, const struct inc_verdict *verdict)
{
    struct control *control = user;
    const struct incise_quantize_options *options = control->options;
    const size_t shown = unit == SIZE_MAX ? control->levels.n_units - 1 : unit;
    char old[64], new[64];
    if (options->decision == NULL) return;
    inc_levels_describe(&control->levels, shown, from, old, sizeof old);
    inc_levels_describe(&control->levels, shown, to, new, sizeof new);
    struct incise_decision decision = {.from = old, .to = new};
    if (unit != SIZE_MAX) decision.layer = control->levels.units[unit].name;
    if (verdict != NULL) {
        decision.checked = 1;
        decision.figure = verdict->figure;
        decision.value = verdict->value;
        decision.bound = verdict->bound;
        decision.limit = verdict->wanted;
        decision.met = verdict->met;
        decision.texts = verdict->texts;
    }
    options->decision(options->decision_user, &decision);
}

static void tell_ranked(void *user, size_t done, size_t total)
{
    const struct control *control = user;
    if (control->options->progress != NULL)
        control->options->progress(control->options->progress_user, done, total, "ranked by what its loss is");
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

/* The program of the model as it was, whose slots take any contents, as an embedder. */
static enum incise_status open_embedder(struct control *control, struct inc_graph *graph, const char *folder)
{
    const struct inc_program_options program = {.mode = INC_INTEGER_AS_WRITTEN, .replaceable = true};
    struct incise_embed_options options;
    struct incise_model *model;
    incise_embed_options_init(&options);
    options.tokenizer = control->options->calibration.tokenizer;
    INC_TRY(inc_model_from_graph(control->engine, graph, &program, &model));
    return inc_embedder_from_model(model, folder, &options, &control->embedder);
}

static enum incise_status embed_base(struct control *control)
{
    size_t width = incise_embedder_width(control->embedder);
    for (int p = 0; p < PARTS; p++) {
        size_t n = control->parts[p]->n;
        control->base[p] = inc_alloc_array(control->ctx, n, width * sizeof(float));
        control->now[p] = inc_alloc_array(control->ctx, n, width * sizeof(float));
        if (control->base[p] == NULL || control->now[p] == NULL)
            return inc_fail_memory(control->ctx, n * width * sizeof(float), "vectors");
    }
    return embed_needed(control, control->base);
}

static enum incise_status take_held_out(struct control *control)
{
    const struct incise_calibration *texts = &control->options->calibration;
    const char **kept = inc_alloc_array(control->ctx, texts->n, sizeof *kept);
    size_t *lengths = inc_alloc_array(control->ctx, texts->n, sizeof *lengths), n = 0;
    control->held_out = (struct incise_text_list){kept, lengths, 0};
    if (kept == NULL || lengths == NULL)
        return inc_fail_memory(control->ctx, texts->n * sizeof *kept, "texts held out");
    for (size_t i = 0; i < texts->n; i++) {
        if (!inc_calibration_holds_out(i)) continue;
        kept[n] = texts->texts[i];
        lengths[n++] = texts->lengths[i];
    }
    control->held_out.n = n;
    control->parts[PART_TEXTS] = &control->held_out;
    if (control->prompts[PART_TEXTS] == NULL) control->prompts[PART_TEXTS] = "document";
    return INCISE_OK;
}

/* Texts that lie evenly among those that decide. */
static void choose_few(struct control *control)
{
    const struct incise_text_list *list = control->parts[fidelity_part(control)];
    control->n_few = inc_min_size(FEW_TEXTS, list->n);
    for (size_t i = 0; i < control->n_few; i++) {
        control->few[i] = i * list->n / control->n_few;
        control->few_texts[i] = list->texts[control->few[i]];
        control->few_lengths[i] = list->lengths[control->few[i]];
    }
}

static enum incise_status search(struct control *control)
{
    static const struct inc_accuracy_ops ops = {set_level, cost_of, loss_now, check_now, tell_move, tell_ranked};
    struct inc_verdict last;
    INC_TRY(inc_accuracy_search(control->ctx, &ops, control, control->levels.n_units, control->levels.n_levels, &last));
    if (last.met) return INCISE_OK;
    return inc_fail(control->ctx, INCISE_ERROR_REQUIREMENT,
                    "requirement not met even with all layers as they were: the interval of %s ends at %.6g, %.6g off "
                    "%.6g; nothing is written",
                    last.figure, last.bound, fabs(last.bound - last.wanted), last.wanted);
}

static void close_control(struct control *control)
{
    incise_embedder_destroy(control->embedder); /* its slots hold what the levels own */
    inc_levels_destroy(&control->levels);
    for (int p = 0; p < PARTS; p++) {
        inc_free(control->ctx, control->base[p]);
        inc_free(control->ctx, control->now[p]);
    }
    inc_free(control->ctx, (void *)control->held_out.texts);
    inc_free(control->ctx, (void *)control->held_out.lengths);
}

enum incise_status inc_quantize_controlled(struct incise_engine *engine, struct inc_graph **graph, const char *folder,
                                           const struct incise_quantize_options *options,
                                           struct inc_calibration *calibration, struct incise_changes *changes)
{
    const struct incise_validation *validation = &options->validation;
    struct control control = {.ctx = inc_engine_ctx(engine),
                              .engine = engine,
                              .options = options,
                              .parts = {&validation->texts, &validation->queries, &validation->documents},
                              .prompts = {validation->prompt, "query", "document"}};
    struct inc_graph *result = NULL;
    enum incise_status status = INCISE_OK;
    if (validation->texts.n == 0 && validation->n_pairs == 0 && options->calibration.n > 0)
        status = take_held_out(&control);
    if (status == INCISE_OK) status = check_request(&control);
    if (status == INCISE_OK) status = open_embedder(&control, *graph, folder);
    if (status == INCISE_OK) status = embed_base(&control);
    if (status == INCISE_OK)
        status = inc_levels_create(*graph, engine->pool, options, calibration, changes, &control.levels);
    if (status == INCISE_OK) choose_few(&control);
    if (status == INCISE_OK) status = search(&control);
    if (status == INCISE_OK) status = inc_levels_finish(&control.levels, &result);
    close_control(&control);
    if (status != INCISE_OK) return status;
    inc_graph_destroy(*graph);
    *graph = result;
    return INCISE_OK;
}
