/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that write a changed model, and what they need to know of it: convert, statistics, prune, quantize. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "incise/compress.h"
#include "texts.h"

struct edit_options {
    const char *out;
    bool force, keep_quantized;
    struct incise_prune_options prune;
    struct incise_quantize_options quantize;
    struct incise_convert_options convert;
    struct incise_statistics_options statistics;
    struct incise_calibration calibration; /* of whichever of them it is */
    const char *calibrate;                 /* file of its texts */
    long tokens;
    const char *shard;
    long seed;
    struct tool_list require;
    const char *validate_texts, *retrieval; /* files */
};

static void show_progress(void *user, size_t done, size_t total, const char *name)
{
    tool_progress(user, done, total, name);
}

static void edit_defaults(void *block)
{
    struct edit_options *options = block;
    incise_prune_options_init(&options->prune);
    incise_quantize_options_init(&options->quantize);
    incise_convert_options_init(&options->convert);
    incise_statistics_options_init(&options->statistics);
    options->prune.pattern = NULL; /* both must be said: they decide what is lost */
    options->prune.sparsity = -1;
    options->prune.progress = options->quantize.progress = options->statistics.progress = show_progress;
    options->prune.progress_user = "prune";
    options->quantize.progress_user = "quantize";
    options->statistics.progress_user = "statistics";
}

/* What was changed, layer by layer. `pruned` picks the columns. */
static enum incise_status print_changes(const struct tool_global *global, const struct incise_changes *changes,
                                        bool pruned)
{
    struct tool_rows *rows = tool_rows_create();
    if (rows == NULL) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < incise_changes_count(changes); i++) {
        struct incise_change change;
        incise_changes_get(changes, i, &change);
        tool_rows_next(rows);
        tool_set_text(rows, "layer", change.name);
        tool_set_int(rows, "rows", change.rows);
        tool_set_int(rows, "columns", change.columns);
        if (pruned) {
            tool_set_int(rows, "blocks", change.blocks);
            tool_set_int(rows, "zero_blocks", change.zero_blocks);
        }
        tool_set_real(rows, "zeros", change.zeros, 3);
        tool_set_real(rows, "error", change.error, 4);
    }
    enum incise_status status = tool_rows_print(rows, (enum tool_format)global->format, false);
    tool_rows_destroy(rows);
    return status;
}

/* ---- the frame ------------------------------------------------------------------------------------------------- */

/* One run of a command. */
struct edit {
    const struct tool_global *global;
    struct edit_options *options;
    const char *model;
    struct incise_engine *engine;
    struct texts texts; /* of --calibrate */
};

/* What differs between the commands. */
struct edit_kind {
    const char *writes;                                        /* "folder" or "file" */
    enum incise_status (*check)(struct edit_options *options); /* before texts are read; may be NULL */
    enum incise_status (*run)(struct edit *edit);
};

static enum incise_status load_calibration(struct edit_options *options, struct texts *texts)
{
    struct incise_calibration *calibration = &options->calibration;
    if (options->tokens < 0) return tool_fail(INCISE_ERROR_USAGE, "--tokens %ld: use 1 or more", options->tokens);
    if (options->calibrate == NULL) return INCISE_OK;
    enum incise_status status = calibration_texts_load(options->calibrate, texts);
    if (status != INCISE_OK) return status;
    calibration->texts = (const char *const *)texts->items;
    calibration->lengths = texts->lengths;
    calibration->n = texts->n;
    calibration->max_tokens = (size_t)options->tokens;
    return INCISE_OK;
}

static enum incise_status run_edit(const struct edit_kind *kind, const struct tool_global *global,
                                   struct edit_options *options, const char *model)
{
    struct edit edit = {.global = global, .options = options, .model = model};
    enum incise_status status = INCISE_OK;
    if (options->out == NULL)
        status = tool_fail(INCISE_ERROR_USAGE, "-o OUT is missing: the %s to write", kind->writes);
    if (status == INCISE_OK && kind->check != NULL) status = kind->check(options);
    if (status == INCISE_OK) status = load_calibration(options, &edit.texts);
    if (status == INCISE_OK) status = tool_engine(global, &edit.engine);
    if (status == INCISE_OK) status = kind->run(&edit);
    incise_engine_destroy(edit.engine);
    texts_release(&edit.texts);
    return status;
}

/* Command `edit` of edit_kind `edit`_kind and options `edit`_table. */
#define EDIT_COMMAND(edit, argument_text, summary_text)                                                                \
    static enum incise_status edit##_run(const struct tool_global *global, void *options, char **arguments, size_t n)  \
    {                                                                                                                  \
        (void)n;                                                                                                       \
        return run_edit(&edit##_kind, global, options, arguments[0]);                                                  \
    }                                                                                                                  \
    const struct tool_command tool_##edit = {                                                                          \
        .name = #edit,                                                                                                 \
        .arguments = argument_text,                                                                                    \
        .summary = summary_text,                                                                                       \
        TOOL_TABLE(edit##_table, edit_options),                                                                        \
        .min_arguments = 1,                                                                                            \
        .max_arguments = 1,                                                                                            \
        .defaults = edit_defaults,                                                                                     \
        .run = edit##_run,                                                                                             \
    }

#define OPTION(...) TOOL_OPTION(edit_options, __VA_ARGS__)
#define OUTPUT_OPTIONS                                                                                                 \
    OPTION("output", 'o', TOOL_TEXT, out, "OUT", "folder to write"),                                                   \
        OPTION("force", 'f', TOOL_FLAG, force, NULL, "replace OUT if it exists")
#define CALIBRATE_OPTION                                                                                               \
    OPTION("calibrate", 'c', TOOL_TEXT, calibrate, "FILE",                                                             \
           "texts of the kind that the model will meet: lines, .jsonl (`text`) or .tsv (query, document)")
#define CALIBRATION_OPTIONS                                                                                            \
    OPTION("tokens", 0, TOOL_INT, tokens, "N", "of --calibrate, texts in order (default: 32768)"),                     \
        OPTION("prompt", 0, TOOL_TEXT, calibration.prompt, "NAME",                                                     \
               "of the model's prompts, before --calibrate's texts (default: document and query in turn)"),            \
        OPTION("tokenizer", 0, TOOL_TEXT, calibration.tokenizer, "PATH", "for --calibrate (default: beside the model)")

/* ---- convert --------------------------------------------------------------------------------------------------- */

static const struct tool_option convert_table[] = {
    OUTPUT_OPTIONS,
    OPTION("task", 0, TOOL_TEXT, convert.task, "features|embedding",
           "features: token vectors, as optimum's feature-extraction; embedding: text vectors too"),
    OPTION("keep-quantized", 0, TOOL_FLAG, keep_quantized, NULL,
           "Q8_0 and Q4_0 matrices of a GGUF file stay integers of the same values"),
};

static enum incise_status convert(struct edit *edit)
{
    struct edit_options *options = edit->options;
    options->convert.force = options->force;
    options->convert.keep_quantized = options->keep_quantized;
    return incise_convert(edit->engine, edit->model, options->out, &options->convert);
}

static const struct edit_kind convert_kind = {"folder", NULL, convert};
EDIT_COMMAND(convert, "SOURCE -o OUT",
             "Hugging Face folder (config.json, model.safetensors) or GGUF file to OpenVINO IR folder");

/* ---- statistics ------------------------------------------------------------------------------------------------ */

static const struct tool_option statistics_table[] = {
    OPTION("output", 'o', TOOL_TEXT, out, "FILE", "file to write; an interrupted run goes on with what is there"),
    OPTION("force", 'f', TOOL_FLAG, force, NULL, "replace FILE, whatever it is"),
    CALIBRATE_OPTION,
    CALIBRATION_OPTIONS,
    OPTION("shard", 0, TOOL_TEXT, shard, "I/N",
           "of the texts only every N-th from I on, I from 0 to N - 1; `merge` joins the shards"),
};

static enum incise_status check_statistics(struct edit_options *options)
{
    struct incise_calibration *calibration = &options->calibration;
    if (options->calibrate == NULL)
        return tool_fail(INCISE_ERROR_USAGE, "--calibrate is missing: the texts to run the model on");
    if (options->shard == NULL) return INCISE_OK;
    return tool_parse_shard(options->shard, &calibration->shard, &calibration->shards);
}

static enum incise_status statistics(struct edit *edit)
{
    struct edit_options *options = edit->options;
    options->statistics.calibration = options->calibration;
    options->statistics.force = options->force;
    return incise_statistics(edit->engine, edit->model, options->out, &options->statistics);
}

static const struct edit_kind statistics_kind = {"file", check_statistics, statistics};
EDIT_COMMAND(statistics, "MODEL -o FILE --calibrate TEXTS",
             "what the layers of a model read on texts, for prune and quantize; in shards, and resumed if interrupted");

/* ---- prune ----------------------------------------------------------------------------------------------------- */

static const struct tool_option prune_table[] = {
    OUTPUT_OPTIONS,
    OPTION("pattern", 'p', TOOL_TEXT, prune.pattern, "element|block:RxC|channel",
           "what goes: R outputs x C inputs of W[out, in] (32x4 runs as fast as 32x32 and loses less); or channels of "
           "feed-forward layers, which makes the matrices smaller"),
    OPTION("sparsity", 's', TOOL_REAL, prune.sparsity, "S", "share of each weight's blocks, 0 <= S < 1"),
    CALIBRATE_OPTION,
    OPTION("method", 'm', TOOL_TEXT, prune.method, "magnitude|random|wanda|obs",
           "which blocks (default: obs with --calibrate, else magnitude)"),
    OPTION("refit", 0, TOOL_TEXT, prune.refit, "none|dense|residual",
           "fit what stays to the model as it was, or also to what its residual stream has lost (default: residual "
           "with --calibrate, else none)"),
    OPTION("allocate", 0, TOOL_TEXT, prune.allocate, "uniform|global|channels|FILE",
           "the share of each weight: the same; where it costs least; whole channels of feed-forward layers first, "
           "then where it costs least; or by lines layer<TAB>share (default: uniform)"),
    OPTION("statistics", 0, TOOL_TEXT, prune.statistics, "FILE",
           "of `incise statistics` on the same texts: removal orders are worked out from it"),
    OPTION("traces", 0, TOOL_TEXT, prune.traces, "FILE",
           "removal orders of wanda or obs in the model as it is: kept in FILE by the first run, read by others of "
           "other sparsity, which then only fit what stays"),
    CALIBRATION_OPTIONS,
    OPTION("norm", 0, TOOL_TEXT, prune.norm, "l1|l2", "score of a block for magnitude (default: l1)"),
    OPTION("select", 0, TOOL_TEXT, prune.select, "REGEX",
           "layers, by their or their weight's name (default: every MatMul)"),
    OPTION("ignore", 0, TOOL_TEXT, prune.ignore, "REGEX", "layers that are left alone"),
    OPTION("seed", 0, TOOL_INT, seed, "N", "of random"),
};

static enum incise_status check_prune(struct edit_options *options)
{
    if (options->prune.pattern == NULL)
        return tool_fail(INCISE_ERROR_USAGE,
                         "--pattern is missing: element, channel, or block:RxC, such as block:32x4");
    if (options->prune.sparsity < 0)
        return tool_fail(INCISE_ERROR_USAGE, "--sparsity is missing: the share to remove, such as 0.5");
    return INCISE_OK;
}

static enum incise_status prune(struct edit *edit)
{
    struct edit_options *options = edit->options;
    struct incise_changes *changes = NULL;
    options->prune.calibration = options->calibration;
    options->prune.force = options->force;
    options->prune.seed = (uint64_t)options->seed;
    enum incise_status status = incise_prune(edit->engine, edit->model, options->out, &options->prune, &changes);
    if (status == INCISE_OK) status = print_changes(edit->global, changes, true);
    incise_changes_destroy(changes);
    return status;
}

static const struct edit_kind prune_kind = {"folder", check_prune, prune};
EDIT_COMMAND(prune, "MODEL -o OUT --pattern P --sparsity S",
             "removes weights: zeros in blocks that the kernels skip, or whole feed-forward channels");

/* ---- quantize -------------------------------------------------------------------------------------------------- */

static const struct tool_option quantize_table[] = {
    OUTPUT_OPTIONS,
    OPTION("weights", 'w', TOOL_TEXT, quantize.weights, "int8|int7|int4",
           "stored type: symmetric, one scale per output row, of int4 per group; int7 is fastest without VNNI (int8)"),
    OPTION("tables", 0, TOOL_TEXT, quantize.tables, "int8|int7|int4", "of embedding tables (default: int8)"),
    OPTION("group", 'g', TOOL_INT, quantize.group, "N", "inputs per scale of int4; 0: a whole row (default: 32)"),
    OPTION("round", 'r', TOOL_TEXT, quantize.round, "nearest|search|gptq",
           "nearest: scales that hold the largest weight; search: those of least squared error; gptq: errors are made "
           "up for by other weights (default: gptq with --calibrate, else nearest)"),
    CALIBRATE_OPTION,
    CALIBRATION_OPTIONS,
    OPTION("activations", 'a', TOOL_TEXT, quantize.activations, "dynamic|static|float",
           "dynamic: rows are quantized on the fly and integers multiplied; static: in ranges found with --calibrate, "
           "written as FakeQuantize; float: weights only (default: dynamic)"),
    OPTION("smooth", 0, TOOL_REAL, quantize.smooth, "A",
           "0 < A <= 1, with --calibrate: large channels are made smaller and their weights larger by max|x|^A / "
           "max|w|^(1 - A), where that costs nothing to run (default: 0, none)"),
    OPTION("statistics", 0, TOOL_TEXT, quantize.statistics, "FILE",
           "of `incise statistics` on the same texts: --smooth takes from it how large channels get"),
    OPTION("range", 0, TOOL_TEXT, quantize.range, "minmax|mse",
           "of static activations: all values seen, or of least squared error (default: mse)"),
    OPTION("require", 0, TOOL_LIST, require, "FIGURE>=N",
           "accuracy control: layers get back precision until the end of the figure's 95 % interval holds, on the "
           "texts of --retrieval, --texts, or else those that --calibrate holds out; prints each decision; exit code "
           "10 if nothing helps; repeatable"),
    OPTION("retrieval", 0, TOOL_TEXT, retrieval, "FILE",
           "query<TAB>document, or .jsonl with those keys, for --require"),
    OPTION("texts", 0, TOOL_TEXT, validate_texts, "FILE",
           "passages for --require (default: the documents of --retrieval)"),
    OPTION("select", 0, TOOL_TEXT, quantize.select, "REGEX",
           "layers, by their or their weight's name (default: every MatMul and embedding table)"),
    OPTION("ignore", 0, TOOL_TEXT, quantize.ignore, "REGEX", "layers that are left alone"),
};

/* What accuracy control needs: the requirements, the texts that decide, and the rows of its decisions. */
struct controlled {
    struct tool_requirement *parsed;
    struct incise_requirement *requirements;
    struct texts texts;
    struct text_pairs pairs;
    struct tool_rows *decisions;
    size_t n_decisions;
};

static enum incise_status parse_requirements(const struct tool_list *list, struct controlled *controlled)
{
    controlled->parsed = tool_alloc(list->n, sizeof *controlled->parsed);
    controlled->requirements = tool_alloc(list->n, sizeof *controlled->requirements);
    if (controlled->parsed == NULL || controlled->requirements == NULL) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < list->n; i++) {
        struct tool_requirement *parsed = &controlled->parsed[i];
        enum incise_status status = tool_require_parse(list->items[i], parsed);
        if (status != INCISE_OK) return status;
        bool at_most = strcmp(parsed->operator, "<=") == 0;
        if (!at_most && strcmp(parsed->operator, ">=") != 0)
            return tool_fail(INCISE_ERROR_USAGE, "--require '%s': accuracy control takes >= and <=", list->items[i]);
        controlled->requirements[i] = (struct incise_requirement){parsed->figure, at_most, parsed->bound};
    }
    return INCISE_OK;
}

static struct incise_text_list list_of(const struct texts *texts)
{
    return (struct incise_text_list){(const char *const *)texts->items, texts->lengths, texts->n};
}

static enum incise_status load_validation(struct edit_options *options, struct controlled *controlled)
{
    struct incise_validation *validation = &options->quantize.validation;
    enum incise_status status = INCISE_OK;
    if (options->retrieval != NULL) status = text_pairs_load(options->retrieval, &controlled->pairs);
    if (status == INCISE_OK && options->validate_texts != NULL)
        status = texts_load(options->validate_texts, &controlled->texts);
    if (options->retrieval == NULL && options->validate_texts == NULL && options->calibration.n == 0)
        return tool_fail(INCISE_ERROR_USAGE, "--require needs texts that decide: --retrieval, --texts or --calibrate");
    validation->prompt = options->calibration.prompt;
    validation->texts = list_of(&controlled->texts);
    validation->queries = list_of(&controlled->pairs.queries);
    validation->documents = list_of(&controlled->pairs.documents);
    validation->pair_query = controlled->pairs.query;
    validation->pair_document = controlled->pairs.document;
    validation->n_pairs = controlled->pairs.n;
    return status;
}

static void add_decision(void *user, const struct incise_decision *decision)
{
    struct controlled *controlled = user;
    struct tool_rows *rows = controlled->decisions;
    controlled->n_decisions++;
    tool_rows_next(rows);
    tool_set_text(rows, "layer", decision->layer != NULL ? decision->layer : "all");
    tool_set_text(rows, "from", decision->from);
    tool_set_text(rows, "to", decision->to);
    if (!decision->checked) return;
    tool_set_text(rows, "figure", decision->figure);
    tool_set_real(rows, "value", decision->value, 4);
    tool_set_real(rows, "bound", decision->bound, 4);
    tool_set_real(rows, "required", decision->limit, 4);
    tool_set_int(rows, "texts", (int64_t)decision->texts);
    tool_set_text(rows, "met", decision->met ? "yes" : "no");
}

static enum incise_status open_control(struct edit_options *options, struct controlled *controlled)
{
    struct incise_quantize_options *quantize = &options->quantize;
    if (options->require.n == 0) return INCISE_OK;
    enum incise_status status = parse_requirements(&options->require, controlled);
    if (status == INCISE_OK) status = load_validation(options, controlled);
    if (status == INCISE_OK && (controlled->decisions = tool_rows_create()) == NULL) status = INCISE_ERROR_MEMORY;
    quantize->requirements = controlled->requirements;
    quantize->n_requirements = options->require.n;
    quantize->decision = add_decision;
    quantize->decision_user = controlled;
    return status;
}

static void close_control(struct controlled *controlled)
{
    tool_rows_destroy(controlled->decisions);
    text_pairs_release(&controlled->pairs);
    texts_release(&controlled->texts);
    free(controlled->requirements);
    free(controlled->parsed);
}

static enum incise_status check_quantize(struct edit_options *options)
{
    if (options->require.n == 0 && (options->retrieval != NULL || options->validate_texts != NULL))
        return tool_fail(INCISE_ERROR_USAGE, "--retrieval and --texts are for --require");
    return INCISE_OK;
}

/* The decisions are printed whether or not they led to a model. */
static enum incise_status print_quantized(const struct tool_global *global, const struct controlled *controlled,
                                          const struct incise_changes *changes, enum incise_status status)
{
    enum incise_status printed = INCISE_OK;
    if (controlled->n_decisions > 0)
        printed = tool_rows_print(controlled->decisions, (enum tool_format)global->format, false);
    else if (status == INCISE_OK)
        printed = print_changes(global, changes, false);
    return status == INCISE_OK ? printed : status;
}

static enum incise_status quantize(struct edit *edit)
{
    struct edit_options *options = edit->options;
    struct incise_changes *changes = NULL;
    struct controlled controlled = {0};
    options->quantize.calibration = options->calibration;
    options->quantize.force = options->force;
    enum incise_status status = open_control(options, &controlled);
    if (status == INCISE_OK) {
        status = incise_quantize(edit->engine, edit->model, options->out, &options->quantize, &changes);
        status = print_quantized(edit->global, &controlled, changes, status);
    }
    incise_changes_destroy(changes);
    close_control(&controlled);
    return status;
}

static const struct edit_kind quantize_kind = {"folder", check_quantize, quantize};
EDIT_COMMAND(quantize, "MODEL -o OUT", "stores weights as integers");
