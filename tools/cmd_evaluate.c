/* SPDX-License-Identifier: Apache-2.0 */
#include "incise/evaluate.h"

#include <stdlib.h>

#include "commands.h"
#include "incise/embed.h"
#include "texts.h"

struct evaluate_options {
    const char *texts, *retrieval, *sts;
    struct tool_list require;
    const char *prompt, *tokenizer, *pooling;
    long max_length;
    long seed;
};

#define OPTION(...) TOOL_OPTION(evaluate_options, __VA_ARGS__)
static const struct tool_option options_table[] = {
    OPTION("texts", 0, TOOL_TEXT, texts, "FILE",
           "passages: lines, .jsonl (`text`) or .tsv (first column); default: the documents of --retrieval"),
    OPTION("retrieval", 0, TOOL_TEXT, retrieval, "FILE",
           "query<TAB>document, or .jsonl with those keys; all documents are searched"),
    OPTION("sts", 0, TOOL_TEXT, sts, "FILE",
           "text<TAB>text<TAB>score, or .jsonl with sentence1, sentence2, score: how alike people find them"),
    OPTION("require", 0, TOOL_LIST, require, "FIGURE>=N",
           "exit code 10 if it does not hold for every MODEL; repeatable"),
    OPTION("prompt", 0, TOOL_TEXT, prompt, "NAME",
           "of the models' prompts, before --texts and --sts (default: theirs); --retrieval has query and document"),
    OPTION("tokenizer", 0, TOOL_TEXT, tokenizer, "PATH", "for all models (default: beside each model)"),
    OPTION("pooling", 0, TOOL_TEXT, pooling, "mean|cls|last|max",
           "for all models (default: as 1_Pooling says, else mean)"),
    OPTION("max-length", 0, TOOL_INT, max_length, "N", "tokens per text; longer ones are cut"),
    OPTION("seed", 0, TOOL_INT, seed, "N", "of the resamples behind the intervals"),
};

/* What is embedded, and the vectors of the base and of the model whose turn it is. */
enum { PART_TEXTS, PART_QUERIES, PART_DOCUMENTS, PART_SCORED, PARTS };
enum { BASE, OTHER, SIDES };

struct evaluation {
    struct incise_engine *engine;
    struct texts texts;
    struct text_pairs pairs;
    struct scored_pairs scored;
    float *vectors[SIDES][PARTS];
    size_t width[SIDES];
};

static const struct texts *part_of(const struct evaluation *evaluation, int part)
{
    const struct texts *const parts[PARTS] = {&evaluation->texts, &evaluation->pairs.queries,
                                              &evaluation->pairs.documents, &evaluation->scored.texts};
    return parts[part];
}

static void drop_vectors(struct evaluation *evaluation, int side)
{
    for (int part = 0; part < PARTS; part++) {
        free(evaluation->vectors[side][part]);
        evaluation->vectors[side][part] = NULL;
    }
}

/* Embeds everything with one model, which is gone afterwards: two large models never meet in memory. */
static enum incise_status embed_side(struct evaluation *evaluation, const struct tool_global *global,
                                     const struct evaluate_options *given, const char *model, int side)
{
    static const char *const names[PARTS] = {"texts", "queries", "documents", "scored pairs"};
    const char *const prompt[PARTS] = {given->prompt, "query", "document", given->prompt};
    struct incise_embed_options options;
    struct incise_embedder *embedder = NULL;
    incise_embed_options_init(&options);
    options.compute = (enum incise_compute)global->compute;
    options.tokenizer = given->tokenizer;
    options.pooling = given->pooling;
    options.max_length = (size_t)given->max_length;
    drop_vectors(evaluation, side);
    enum incise_status status = incise_embedder_create(evaluation->engine, model, &options, &embedder);
    for (int part = 0; part < PARTS && status == INCISE_OK; part++) {
        const struct texts *texts = part_of(evaluation, part);
        char what[256];
        if (texts->n == 0) continue;
        snprintf(what, sizeof what, "%s: %s", model, names[part]);
        evaluation->vectors[side][part] = texts_embed(embedder, texts, prompt[part], what, &status);
    }
    if (status == INCISE_OK) evaluation->width[side] = incise_embedder_width(embedder);
    incise_embedder_destroy(embedder);
    return status;
}

/* ---- results --------------------------------------------------------------------------------------------------- */

static bool is_given(const struct evaluate_options *options, enum incise_figure_source source)
{
    return source == INCISE_FIGURE_OF_SCORED_PAIRS ? options->sts != NULL
           : source == INCISE_FIGURE_OF_RETRIEVAL  ? options->retrieval != NULL
                                                   : options->texts != NULL || options->retrieval != NULL;
}

/* Of the texts, or else of the documents that are searched. */
static enum incise_status measure_fidelity(const struct evaluation *evaluation, uint64_t seed,
                                           struct incise_fidelity *fidelity)
{
    int part = evaluation->texts.n > 0 ? PART_TEXTS : PART_DOCUMENTS;
    return incise_fidelity_measure(evaluation->engine, evaluation->vectors[BASE][part],
                                   evaluation->vectors[OTHER][part], part_of(evaluation, part)->n,
                                   evaluation->width[BASE], seed, fidelity);
}

static enum incise_status measure_retrieval(const struct evaluation *evaluation, uint64_t seed,
                                            struct incise_retrieval *retrieval)
{
    const struct text_pairs *pairs = &evaluation->pairs;
    float *const *base = evaluation->vectors[BASE], *const *other = evaluation->vectors[OTHER];
    const struct incise_retrieval_data data = {.base_queries = base[PART_QUERIES],
                                               .queries = other[PART_QUERIES],
                                               .n_queries = pairs->queries.n,
                                               .base_documents = base[PART_DOCUMENTS],
                                               .documents = other[PART_DOCUMENTS],
                                               .n_documents = pairs->documents.n,
                                               .width = evaluation->width[BASE],
                                               .pair_query = pairs->query,
                                               .pair_document = pairs->document,
                                               .n_pairs = pairs->n};
    return incise_retrieval_measure(evaluation->engine, &data, seed, retrieval);
}

static enum incise_status measure_similarity(const struct evaluation *evaluation, uint64_t seed,
                                             struct incise_similarity *similarity)
{
    const struct incise_similarity_data data = {.base = evaluation->vectors[BASE][PART_SCORED],
                                                .other = evaluation->vectors[OTHER][PART_SCORED],
                                                .scores = evaluation->scored.scores,
                                                .n = evaluation->scored.n,
                                                .width = evaluation->width[BASE]};
    return incise_similarity_measure(evaluation->engine, &data, seed, similarity);
}

static enum incise_status measure(const struct evaluation *evaluation, const struct evaluate_options *options,
                                  struct incise_figures *figures)
{
    uint64_t seed = (uint64_t)options->seed;
    enum incise_status status = INCISE_OK;
    if (is_given(options, INCISE_FIGURE_OF_TEXTS)) status = measure_fidelity(evaluation, seed, &figures->fidelity);
    if (status == INCISE_OK && is_given(options, INCISE_FIGURE_OF_RETRIEVAL))
        status = measure_retrieval(evaluation, seed, &figures->retrieval);
    if (status == INCISE_OK && is_given(options, INCISE_FIGURE_OF_SCORED_PAIRS))
        status = measure_similarity(evaluation, seed, &figures->similarity);
    return status;
}

/* One row with all figures. Tables of several models leave out the intervals and what was not measured. */
static void add_row(struct tool_rows *rows, const char *model, const struct evaluate_options *options,
                    const struct incise_figures *figures)
{
    tool_rows_next(rows);
    tool_set_text(rows, "model", model);
    for (size_t i = 0; i < INCISE_FIGURES; i++) {
        const struct incise_figure figure = incise_figure_get(figures, i);
        const char *name = incise_figure_name(i);
        char interval[64];
        snprintf(interval, sizeof interval, "%s_ci95", name);
        if (is_given(options, incise_figure_source(i))) {
            tool_set_real(rows, name, figure.value, 4);
            tool_set_pair(rows, interval, figure.lo, figure.hi, 4);
        } else {
            tool_set_null(rows, name);
            tool_set_null(rows, interval);
            tool_hide(rows, name);
        }
        tool_hide(rows, interval);
    }
}

/* One line per figure of a model, for people. */
static enum incise_status print_lines(enum tool_format format, const struct evaluate_options *options,
                                      const struct incise_figures *figures)
{
    struct tool_rows *rows = tool_rows_create();
    if (rows == NULL) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < INCISE_FIGURES; i++) {
        const struct incise_figure figure = incise_figure_get(figures, i);
        if (!is_given(options, incise_figure_source(i))) continue;
        tool_rows_next(rows);
        tool_set_text(rows, "figure", incise_figure_name(i));
        tool_set_real(rows, "value", figure.value, 4);
        tool_set_pair(rows, "ci95", figure.lo, figure.hi, 4);
    }
    enum incise_status status = tool_rows_print(rows, format, false);
    tool_rows_destroy(rows);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static enum incise_status load_texts(struct evaluation *evaluation, const struct evaluate_options *options)
{
    enum incise_status status = INCISE_OK;
    if (options->texts != NULL) status = texts_load(options->texts, &evaluation->texts);
    if (status == INCISE_OK && options->retrieval != NULL)
        status = text_pairs_load(options->retrieval, &evaluation->pairs);
    if (status == INCISE_OK && options->sts != NULL) status = scored_pairs_load(options->sts, &evaluation->scored);
    if (status == INCISE_OK && evaluation->texts.n == 1)
        status = tool_fail(INCISE_ERROR_DATA, "%s: holds one text; models are compared on two or more", options->texts);
    return status;
}

static enum incise_status measure_model(struct evaluation *evaluation, const struct tool_global *global,
                                        const struct evaluate_options *options, const char *base, const char *model,
                                        struct incise_figures *figures)
{
    enum incise_status status = embed_side(evaluation, global, options, model, OTHER);
    if (status == INCISE_OK && evaluation->width[BASE] != evaluation->width[OTHER])
        status = tool_fail(INCISE_ERROR_DATA, "vectors of %s have %zu numbers, of %s %zu: they cannot be compared",
                           base, evaluation->width[BASE], model, evaluation->width[OTHER]);
    return status == INCISE_OK ? measure(evaluation, options, figures) : status;
}

/* models[0] is the base, which is embedded once. A requirement that is not met is said at once and fails the command,
 * which still measures and prints everything. */
static enum incise_status evaluate(struct evaluation *evaluation, const struct tool_global *global,
                                   const struct evaluate_options *options, char **models, size_t n,
                                   struct tool_rows *rows)
{
    enum tool_format format = (enum tool_format)global->format;
    struct incise_figures figures = {0};
    enum incise_status met = INCISE_OK, status = load_texts(evaluation, options);
    if (status == INCISE_OK) status = embed_side(evaluation, global, options, models[0], BASE);
    for (size_t i = 1; i < n && status == INCISE_OK; i++) {
        status = measure_model(evaluation, global, options, models[0], models[i], &figures);
        if (status != INCISE_OK) break;
        add_row(rows, models[i], options, &figures);
        enum incise_status own = tool_require(&options->require, rows, models[i]);
        if (own != INCISE_OK) met = own;
    }
    bool single = n == 2;
    if (status == INCISE_OK)
        status = single && (format == TOOL_TABLE || format == TOOL_MD) ? print_lines(format, options, &figures)
                                                                       : tool_rows_print(rows, format, single);
    return status == INCISE_OK ? met : status;
}

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct evaluate_options *options = block;
    struct evaluation evaluation = {0};
    struct tool_rows *rows = NULL;
    const char *known[INCISE_FIGURES];
    size_t n_known = 0;
    for (size_t i = 0; i < INCISE_FIGURES; i++)
        if (is_given(options, incise_figure_source(i))) known[n_known++] = incise_figure_name(i);
    if (n_known == 0)
        return tool_fail(INCISE_ERROR_USAGE, "nothing to compare on: give --texts, --retrieval or --sts FILE");
    if (options->max_length < 0) return tool_fail(INCISE_ERROR_USAGE, "--max-length takes a number above 0");
    enum incise_status status = tool_require_check(&options->require, known, n_known);
    if (status == INCISE_OK) status = tool_engine(global, &evaluation.engine);
    if (status == INCISE_OK && (rows = tool_rows_create()) == NULL) status = INCISE_ERROR_MEMORY;
    if (status == INCISE_OK) status = evaluate(&evaluation, global, options, arguments, n, rows);
    tool_rows_destroy(rows);
    for (int side = 0; side < SIDES; side++) drop_vectors(&evaluation, side);
    texts_release(&evaluation.texts);
    text_pairs_release(&evaluation.pairs);
    scored_pairs_release(&evaluation.scored);
    incise_engine_destroy(evaluation.engine);
    return status;
}

const struct tool_command tool_evaluate = {
    .name = "evaluate",
    .arguments = "BASE MODEL...",
    .summary = "how close models' vectors are to their base's, and what retrieval loses, with intervals",
    TOOL_TABLE(options_table, evaluate_options),
    .min_arguments = 2,
    .max_arguments = 65,
    .run = run,
};
