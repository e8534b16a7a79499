/* SPDX-License-Identifier: Apache-2.0 */
#include "incise/evaluate.h"

#include <stdlib.h>

#include "commands.h"
#include "incise/embed.h"
#include "texts.h"

struct evaluate_options {
    const char *texts, *retrieval;
    struct tool_list require;
    const char *tokenizer, *pooling;
    long max_length;
    long seed;
};

#define OPTION(name, letter, kind, field, values, help)                                                                \
    {                                                                                                                  \
        name, letter, kind, offsetof(struct evaluate_options, field), values, help, NULL                               \
    }
static const struct tool_option options_table[] = {
    OPTION("texts", 0, TOOL_TEXT, texts, "FILE",
           "passages to compare on: lines, .jsonl (`text`) or .tsv (first column)"),
    OPTION("retrieval", 0, TOOL_TEXT, retrieval, "TSV", "lines of query<TAB>document; all documents are searched"),
    OPTION("require", 0, TOOL_LIST, require, "FIGURE>=N", "exit code 10 if it does not hold; repeatable"),
    OPTION("tokenizer", 0, TOOL_TEXT, tokenizer, "PATH", "for both models (default: beside each model)"),
    OPTION("pooling", 0, TOOL_TEXT, pooling, "mean|cls|last|max",
           "for both models (default: as 1_Pooling says, else mean)"),
    OPTION("max-length", 0, TOOL_INT, max_length, "N", "tokens per text; longer ones are cut"),
    OPTION("seed", 0, TOOL_INT, seed, "N", "of the resamples behind the intervals"),
};

/* What is embedded, and the vectors of base and model. */
enum { PART_TEXTS, PART_QUERIES, PART_DOCUMENTS, PARTS };

struct evaluation {
    struct incise_engine *engine;
    struct texts texts;
    struct text_pairs pairs;
    float *vectors[2][PARTS];
    size_t width[2];
};

static const struct texts *part_of(const struct evaluation *evaluation, int part)
{
    return part == PART_TEXTS     ? &evaluation->texts
           : part == PART_QUERIES ? &evaluation->pairs.queries
                                  : &evaluation->pairs.documents;
}

/* Embeds everything with one model, which is gone afterwards: two large models never meet in memory. */
static enum incise_status embed_side(struct evaluation *evaluation, const struct tool_global *global,
                                     const struct evaluate_options *given, const char *model, int side)
{
    static const char *const what[2][PARTS] = {{"base: texts", "base: queries", "base: documents"},
                                               {"texts", "queries", "documents"}};
    static const char *const prompt[PARTS] = {NULL, "query", "document"};
    struct incise_embed_options options;
    struct incise_embedder *embedder = NULL;
    incise_embed_options_init(&options);
    options.compute = (enum incise_compute)global->compute;
    options.tokenizer = given->tokenizer;
    options.pooling = given->pooling;
    options.max_length = (size_t)given->max_length;
    enum incise_status status = incise_embedder_create(evaluation->engine, model, &options, &embedder);
    for (int part = 0; part < PARTS && status == INCISE_OK; part++) {
        const struct texts *texts = part_of(evaluation, part);
        if (texts->n == 0) continue;
        evaluation->vectors[side][part] = texts_embed(embedder, texts, prompt[part], what[side][part], &status);
    }
    if (status == INCISE_OK) evaluation->width[side] = incise_embedder_width(embedder);
    incise_embedder_destroy(embedder);
    return status;
}

/* ---- results --------------------------------------------------------------------------------------------------- */

enum { FIDELITY = 4, RESULTS = 8 };

/* The keys: first what --texts gives, then what --retrieval gives. */
static const char *const names[RESULTS] = {"cosine_mean", "cosine_p1", "neighbours_top10", "rms_pairwise",
                                           "ndcg10_base", "ndcg10",    "ndcg10_queries",   "ndcg10_drop"};

struct result {
    bool known;
    struct incise_figure figure;
};

static enum incise_status measure(const struct evaluation *evaluation, uint64_t seed, struct result results[RESULTS])
{
    const struct text_pairs *pairs = &evaluation->pairs;
    float *const *base = evaluation->vectors[0], *const *other = evaluation->vectors[1];
    const struct incise_retrieval_data data = {.base_queries = base[PART_QUERIES],
                                               .queries = other[PART_QUERIES],
                                               .n_queries = pairs->queries.n,
                                               .base_documents = base[PART_DOCUMENTS],
                                               .documents = other[PART_DOCUMENTS],
                                               .n_documents = pairs->documents.n,
                                               .width = evaluation->width[0],
                                               .pair_query = pairs->query,
                                               .pair_document = pairs->document,
                                               .n_pairs = pairs->n};
    struct incise_fidelity f = {0};
    struct incise_retrieval r = {0};
    bool texts = evaluation->texts.n > 0, retrieval = pairs->n > 0;
    enum incise_status status = INCISE_OK;
    if (texts)
        status = incise_fidelity_measure(evaluation->engine, base[PART_TEXTS], other[PART_TEXTS], evaluation->texts.n,
                                         evaluation->width[0], seed, &f);
    if (status == INCISE_OK && retrieval) status = incise_retrieval_measure(evaluation->engine, &data, seed, &r);
    const struct incise_figure figures[RESULTS] = {f.cosine_mean, f.cosine_p1, f.neighbours_top10, f.rms_pairwise,
                                                   r.ndcg10_base, r.ndcg10,    r.ndcg10_queries,   r.ndcg10_drop};
    for (int i = 0; i < RESULTS; i++) results[i] = (struct result){i < FIDELITY ? texts : retrieval, figures[i]};
    return status;
}

/* One row with all figures, as JSON and CSV have them. */
static void fill_row(struct tool_rows *rows, const struct result *results)
{
    tool_rows_next(rows);
    for (int i = 0; i < RESULTS; i++) {
        char interval[64];
        snprintf(interval, sizeof interval, "%s_ci95", names[i]);
        if (results[i].known) {
            tool_set_real(rows, names[i], results[i].figure.value, 4);
            tool_set_pair(rows, interval, results[i].figure.lo, results[i].figure.hi, 4);
        } else {
            tool_set_null(rows, names[i]);
            tool_set_null(rows, interval);
        }
    }
}

/* One line per figure, for people. */
static enum incise_status print_lines(enum tool_format format, const struct result *results)
{
    struct tool_rows *rows = tool_rows_create();
    if (rows == NULL) return INCISE_ERROR_MEMORY;
    for (int i = 0; i < RESULTS; i++) {
        if (!results[i].known) continue;
        tool_rows_next(rows);
        tool_set_text(rows, "figure", names[i]);
        tool_set_real(rows, "value", results[i].figure.value, 4);
        tool_set_pair(rows, "ci95", results[i].figure.lo, results[i].figure.hi, 4);
    }
    enum incise_status status = tool_rows_print(rows, format, false);
    tool_rows_destroy(rows);
    return status;
}

static enum incise_status print_results(const struct tool_global *global, const struct evaluate_options *options,
                                        const struct result *results)
{
    enum tool_format format = (enum tool_format)global->format;
    struct tool_rows *rows = tool_rows_create();
    if (rows == NULL) return INCISE_ERROR_MEMORY;
    fill_row(rows, results);
    enum incise_status status = format == TOOL_TABLE || format == TOOL_MD ? print_lines(format, results)
                                                                          : tool_rows_print(rows, format, true);
    if (status == INCISE_OK) status = tool_require(&options->require, rows);
    tool_rows_destroy(rows);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static enum incise_status evaluate(struct evaluation *evaluation, const struct tool_global *global,
                                   const struct evaluate_options *options, char **models)
{
    struct result results[RESULTS];
    enum incise_status status = INCISE_OK;
    if (options->texts != NULL) status = texts_load(options->texts, &evaluation->texts);
    if (status == INCISE_OK && options->retrieval != NULL)
        status = text_pairs_load(options->retrieval, &evaluation->pairs);
    if (status == INCISE_OK && evaluation->texts.n == 1)
        status = tool_fail(INCISE_ERROR_DATA, "%s: holds one text; models are compared on two or more", options->texts);
    for (int side = 0; side < 2 && status == INCISE_OK; side++)
        status = embed_side(evaluation, global, options, models[side], side);
    if (status == INCISE_OK && evaluation->width[0] != evaluation->width[1])
        status = tool_fail(INCISE_ERROR_DATA, "vectors of %s have %zu numbers, of %s %zu: they cannot be compared",
                           models[0], evaluation->width[0], models[1], evaluation->width[1]);
    if (status == INCISE_OK) status = measure(evaluation, (uint64_t)options->seed, results);
    if (status == INCISE_OK) status = print_results(global, options, results);
    return status;
}

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct evaluate_options *options = block;
    struct evaluation evaluation = {0};
    (void)n;
    if (options->texts == NULL && options->retrieval == NULL)
        return tool_fail(INCISE_ERROR_USAGE, "nothing to compare on: give --texts FILE, --retrieval TSV or both");
    if (options->max_length < 0) return tool_fail(INCISE_ERROR_USAGE, "--max-length takes a number above 0");
    int first = options->texts != NULL ? 0 : FIDELITY, last = options->retrieval != NULL ? RESULTS : FIDELITY;
    enum incise_status status = tool_require_check(&options->require, names + first, (size_t)(last - first));
    if (status == INCISE_OK) status = tool_engine(global, &evaluation.engine);
    if (status == INCISE_OK) status = evaluate(&evaluation, global, options, arguments);
    for (int i = 0; i < 2 * PARTS; i++) free(evaluation.vectors[i / PARTS][i % PARTS]);
    texts_release(&evaluation.texts);
    text_pairs_release(&evaluation.pairs);
    incise_engine_destroy(evaluation.engine);
    return status;
}

const struct tool_command tool_evaluate = {
    .name = "evaluate",
    .arguments = "BASE MODEL",
    .summary = "how close a model's vectors are to its base's, and what retrieval loses, with intervals",
    .options = options_table,
    .n_options = sizeof options_table / sizeof options_table[0],
    .min_arguments = 2,
    .max_arguments = 2,
    .options_bytes = sizeof(struct evaluate_options),
    .run = run,
};
