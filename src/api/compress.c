/* SPDX-License-Identifier: Apache-2.0 */
/* Edits of models: read, change, write a folder. */
#include "incise/compress.h"

#include <string.h>

#include "api/accuracy.h"
#include "base/file.h"
#include "compress/calibration.h"
#include "compress/smooth.h"
#include "compress/changes.h"
#include "compress/statistics.h"
#include "formats/gguf/gguf_model.h"
#include "formats/huggingface/huggingface.h"
#include "formats/openvino/ir.h"

static enum incise_status write_model(struct inc_graph *graph, struct inc_output *out)
{
    INC_TRY(inc_info_set(graph, "incise/version", INCISE_VERSION));
    return inc_ir_write(graph, out, "openvino_model");
}

/* ---- prune and quantize ---------------------------------------------------------------------------------------- */

/* Edits a graph read from `folder`, which may be exchanged for another; `options` are the public ones. */
typedef enum incise_status edit_fn(struct incise_engine *engine, struct inc_graph **graph, const char *folder,
                                   const void *options, struct inc_calibration *calibration,
                                   struct incise_changes *changes);

struct edit {
    edit_fn *run;
    const void *options;
    const struct incise_calibration *texts; /* n == 0: no calibration */
    bool force;
};

/* *calibration stays NULL if there are no texts. */
static enum incise_status create_calibration(struct incise_engine *engine, const struct inc_graph *graph,
                                             const char *folder, const struct incise_calibration *texts,
                                             struct inc_calibration **calibration)
{
    if (texts->n == 0) return INCISE_OK;
    return inc_calibration_create(graph, engine->pool, engine->device, folder, texts, calibration);
}

static enum incise_status run_prune(struct incise_engine *engine, struct inc_graph **graph, const char *folder,
                                    const void *options, struct inc_calibration *calibration,
                                    struct incise_changes *changes)
{
    (void)folder;
    return inc_prune(*graph, engine->pool, options, calibration, changes);
}

static enum incise_status smooth(struct inc_graph *graph, struct inc_calibration *calibration,
                                 const struct incise_quantize_options *options)
{
    struct inc_targets targets;
    size_t n;
    if (!(options->smooth >= 0 && options->smooth <= 1))
        return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "smooth %g: use 0 (none) to 1", options->smooth);
    if (options->smooth == 0 && options->statistics != NULL)
        return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "statistics are of the model as it is: for smooth");
    if (options->smooth == 0) return INCISE_OK;
    if (calibration == NULL) return inc_fail(graph->ctx, INCISE_ERROR_USAGE, "smooth needs calibration texts");
    enum incise_status status = inc_targets_select(graph, false, options->select, options->ignore, &targets);
    if (status == INCISE_OK)
        status = inc_smooth(graph, calibration, &targets, options->smooth, options->statistics, &n);
    if (status == INCISE_OK)
        inc_log(graph->ctx, n > 0 ? INCISE_LOG_INFO : INCISE_LOG_WARNING,
                "smoothed what %zu groups of layers read", n);
    inc_targets_release(&targets);
    return status;
}

static enum incise_status run_quantize(struct incise_engine *engine, struct inc_graph **graph, const char *folder,
                                       const void *options, struct inc_calibration *calibration,
                                       struct incise_changes *changes)
{
    const struct incise_quantize_options *quantize = options;
    INC_TRY(smooth(*graph, calibration, quantize));
    if (quantize->n_requirements > 0)
        return inc_quantize_controlled(engine, graph, folder, quantize, calibration, changes);
    return inc_quantize(*graph, engine->pool, quantize, calibration, changes);
}

static enum incise_status run_edit(struct incise_engine *engine, struct inc_graph **graph, const char *folder,
                                   const struct edit *edit, struct incise_changes *changes)
{
    struct inc_calibration *calibration = NULL;
    enum incise_status status = create_calibration(engine, *graph, folder, edit->texts, &calibration);
    if (status == INCISE_OK) status = edit->run(engine, graph, folder, edit->options, calibration, changes);
    inc_calibration_destroy(calibration);
    return status;
}

static enum incise_status edit_graph(struct incise_engine *engine, const char *model, struct inc_output *out,
                                     const struct edit *edit, struct incise_changes *changes)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    struct inc_graph *graph = NULL;
    char *folder = NULL;
    enum incise_status status = inc_ir_read(ctx, model, &graph);
    if (status == INCISE_OK) status = inc_folder_of(ctx, model, &folder);
    if (status == INCISE_OK) status = run_edit(engine, &graph, folder, edit, changes);
    if (status == INCISE_OK) status = write_model(graph, out);
    if (status == INCISE_OK) status = inc_hf_copy_sidecars(folder, out);
    if (status == INCISE_OK) status = inc_output_commit(out);
    inc_free(ctx, folder);
    inc_graph_destroy(graph);
    return status;
}

static enum incise_status edit_model(struct incise_engine *engine, const char *model, const char *path,
                                     const struct edit *edit, struct incise_changes **result)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    struct incise_changes *changes;
    struct inc_output out;
    INC_TRY(inc_changes_create(ctx, &changes));
    enum incise_status status = inc_output_begin(ctx, path, edit->force, &out);
    if (status == INCISE_OK) {
        status = edit_graph(engine, model, &out, edit, changes);
        inc_output_discard(&out);
    }
    if (status == INCISE_OK && result != NULL)
        *result = changes;
    else
        incise_changes_destroy(changes);
    return status;
}

static enum incise_status check_size(const struct incise_engine *engine, size_t given, size_t wanted, const char *what)
{
    if (given == wanted) return INCISE_OK;
    return inc_fail(inc_engine_ctx(engine), INCISE_ERROR_USAGE,
                    "options were not initialized by incise_%s_options_init", what);
}

enum incise_status incise_prune(struct incise_engine *engine, const char *model, const char *out,
                                const struct incise_prune_options *options, struct incise_changes **changes)
{
    INC_TRY(check_size(engine, options->struct_size, sizeof *options, "prune"));
    const struct edit edit = {run_prune, options, &options->calibration, options->force != 0};
    return edit_model(engine, model, out, &edit, changes);
}

enum incise_status incise_quantize(struct incise_engine *engine, const char *model, const char *out,
                                   const struct incise_quantize_options *options, struct incise_changes **changes)
{
    INC_TRY(check_size(engine, options->struct_size, sizeof *options, "quantize"));
    const struct edit edit = {run_quantize, options, &options->calibration, options->force != 0};
    return edit_model(engine, model, out, &edit, changes);
}

/* ---- statistics ------------------------------------------------------------------------------------------------ */

#define WRITE_INTERVAL 30 /* seconds of work that an interruption may cost */

void incise_statistics_options_init(struct incise_statistics_options *options)
{
    *options = (struct incise_statistics_options){.struct_size = sizeof *options};
}

static enum incise_status collect(struct incise_engine *engine, struct inc_graph *graph,
                                  struct inc_calibration *calibration, const char *path,
                                  const struct incise_statistics_options *options)
{
    const struct incise_calibration *texts = &options->calibration;
    const struct inc_program_options program_options = {.mode = INC_INTEGER_NONE};
    struct inc_program *program = NULL;
    struct inc_statistics *statistics = NULL;
    struct inc_origin origin;
    const struct inc_statistics_place place = {path, &origin, WRITE_INTERVAL, options->force != 0};
    INC_TRY(inc_statistics_origin(graph, calibration, texts->shard, texts->shards, &origin));
    enum incise_status status = inc_program_create(graph, engine->device, &program_options, &program);
    if (status == INCISE_OK)
        status = inc_statistics_collect(calibration, program, &place, options->progress, options->progress_user,
                                        &statistics);
    inc_statistics_destroy(statistics);
    inc_program_destroy(program);
    return status;
}

enum incise_status incise_statistics(struct incise_engine *engine, const char *model, const char *path,
                                     const struct incise_statistics_options *options)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    const struct incise_calibration *texts = &options->calibration;
    struct inc_graph *graph = NULL;
    struct inc_calibration *calibration = NULL;
    char *folder = NULL;
    INC_TRY(check_size(engine, options->struct_size, sizeof *options, "statistics"));
    if (texts->n == 0 || (texts->shards > 1 && texts->shard >= texts->shards))
        return inc_fail(ctx, INCISE_ERROR_USAGE, "statistics need texts, and a shard that is one of those there are");
    enum incise_status status = inc_ir_read(ctx, model, &graph);
    if (status == INCISE_OK) status = inc_folder_of(ctx, model, &folder);
    if (status == INCISE_OK) status = create_calibration(engine, graph, folder, texts, &calibration);
    if (status == INCISE_OK) status = collect(engine, graph, calibration, path, options);
    inc_calibration_destroy(calibration);
    inc_free(ctx, folder);
    inc_graph_destroy(graph);
    return status;
}

enum incise_status incise_statistics_join(struct incise_engine *engine, const char *const *parts, size_t n,
                                          const char *path, int force)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    if (n == 0) return inc_fail(ctx, INCISE_ERROR_USAGE, "there are no parts to join");
    return inc_statistics_join(ctx, parts, n, path, force != 0);
}

int incise_is_statistics(const char *path)
{
    return inc_sealed_is(path, &inc_statistics_kind);
}

/* ---- convert --------------------------------------------------------------------------------------------------- */

void incise_convert_options_init(struct incise_convert_options *options)
{
    *options = (struct incise_convert_options){.struct_size = sizeof *options, .task = "features"};
}

static enum incise_status convert_folder(const struct inc_ctx *ctx, const char *source, bool embedding,
                                         struct inc_output *out)
{
    struct inc_graph *graph;
    INC_TRY(embedding ? inc_hf_read_embedding(ctx, source, &graph) : inc_hf_read(ctx, source, &graph));
    enum incise_status status = write_model(graph, out);
    if (status == INCISE_OK) status = inc_hf_copy_sidecars(source, out);
    inc_graph_destroy(graph);
    return status;
}

static enum incise_status convert_gguf(const struct inc_ctx *ctx, const char *source,
                                       const struct inc_gguf_options *options, struct inc_output *out)
{
    struct inc_gguf file;
    struct inc_graph *graph = NULL;
    INC_TRY(inc_gguf_open(ctx, source, &file));
    enum incise_status status = inc_gguf_write_sidecars(&file, out);
    if (status == INCISE_OK) status = inc_gguf_build(&file, options, &graph);
    if (status == INCISE_OK) status = write_model(graph, out);
    inc_graph_destroy(graph);
    inc_gguf_close(&file);
    return status;
}

static enum incise_status convert(const struct inc_ctx *ctx, const char *source,
                                  const struct inc_gguf_options *options, struct inc_output *out)
{
    if (!inc_is_folder(source)) return convert_gguf(ctx, source, options, out);
    if (!options->keep_quantized) return convert_folder(ctx, source, options->embedding, out);
    return inc_fail(ctx, INCISE_ERROR_USAGE, "%s: only GGUF files have quantized weights to keep", source);
}

enum incise_status incise_convert(struct incise_engine *engine, const char *source, const char *path,
                                  const struct incise_convert_options *options)
{
    const struct inc_ctx *ctx = inc_engine_ctx(engine);
    struct incise_convert_options defaults;
    struct inc_output out;
    incise_convert_options_init(&defaults);
    if (options == NULL) options = &defaults;
    INC_TRY(check_size(engine, options->struct_size, sizeof *options, "convert"));
    bool embedding = options->task != NULL && strcmp(options->task, "embedding") == 0;
    if (options->task == NULL || (!embedding && strcmp(options->task, "features") != 0))
        return inc_fail(ctx, INCISE_ERROR_USAGE, "task '%s': use features or embedding",
                        options->task != NULL ? options->task : "");
    INC_TRY(inc_output_begin(ctx, path, options->force != 0, &out));
    const struct inc_gguf_options gguf = {.embedding = embedding, .keep_quantized = options->keep_quantized != 0};
    enum incise_status status = convert(ctx, source, &gguf, &out);
    if (status == INCISE_OK) status = inc_output_commit(&out);
    inc_output_discard(&out);
    return status;
}
