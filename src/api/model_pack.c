/* SPDX-License-Identifier: Apache-2.0 */
/* Models whose packed weights lie in a file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/model_internal.h"
#include "base/file.h"
#include "formats/openvino/ir.h"
#include "formats/pack/pack_file.h"

/* ---- writing --------------------------------------------------------------------------------------------------- */

static enum incise_status write_slots(const struct inc_program *program, const char *file, bool force,
                                      const char *source, const struct inc_pack_stamp *stamp)
{
    const struct inc_ctx *ctx = program->ctx;
    const size_t n = program->plan.n_slots;
    struct inc_pack_entry *entries = inc_alloc_zero(ctx, n, sizeof *entries);
    if (entries == NULL) return inc_fail_memory(ctx, n * sizeof *entries, file);
    for (uint32_t i = 0; i < n; i++) {
        entries[i].same = inc_program_first_same(program, i);
        inc_packed_out_init(&entries[i].packed, ctx);
        entries[i].name = inc_program_save(program, i, entries[i].same == i ? &entries[i].packed : NULL);
    }
    enum incise_status status = inc_pack_write(ctx, file, force, source, stamp, entries, n);
    for (size_t i = 0; i < n; i++) inc_packed_out_fini(&entries[i].packed);
    inc_free(ctx, entries);
    return status;
}

/* Packs the model whose .xml is `source`. */
static enum incise_status pack_source(struct incise_engine *engine, struct incise_model *model, const char *source,
                                      const struct inc_pack_stamp *stamp, const char *file, bool force)
{
    const struct inc_ctx *ctx = &engine->ctx;
    struct inc_pack_stamp now;
    const char *reason;
    if (!incise_model_is_fused(model, &reason))
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: runs op by op, so there is nothing to pack: %s", source, reason);
    INC_TRY(inc_pack_stamp(ctx, source, &now));
    if (memcmp(stamp, &now, sizeof now) != 0)
        return inc_fail(ctx, INCISE_ERROR_IO, "%s: the model changed while it was packed", source);
    return write_slots(model->program, file, force, source, stamp);
}

enum incise_status incise_model_pack(struct incise_engine *engine, const char *path,
                                     const struct incise_load_options *options, const char *file, int force)
{
    const struct inc_ctx *ctx = &engine->ctx;
    struct incise_model *model = NULL;
    struct inc_pack_stamp stamp;
    char *found = NULL;
    INC_TRY(inc_ir_find(ctx, path, &found));
    char *source = realpath(found, NULL);
    enum incise_status status =
        source == NULL ? inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: %s", found, strerror(errno)) : INCISE_OK;
    if (status == INCISE_OK) status = inc_pack_stamp(ctx, source, &stamp);
    if (status == INCISE_OK) status = incise_model_load(engine, source, options, &model);
    if (status == INCISE_OK) status = pack_source(engine, model, source, &stamp, file, force != 0);
    incise_model_destroy(model);
    inc_free(ctx, found);
    free(source);
    return status;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

bool inc_model_is_packed(const char *path)
{
    const char *dot = strrchr(path, '.');
    return !inc_is_folder(path) && (dot == NULL || strcmp(dot, ".xml") != 0);
}

/* The model that a pack was made from, with the weights that lie in it. */
static enum incise_status load_packed(struct incise_engine *engine, struct inc_pack *pack,
                                      struct inc_program_options *options, struct incise_model **model)
{
    struct inc_graph *graph = NULL;
    options->packed = pack->slots;
    options->n_packed = pack->n_slots;
    INC_TRY(inc_ir_read_mapped(&engine->ctx, pack->source, &graph));
    enum incise_status status = inc_model_from_graph(engine, graph, options, model);
    inc_graph_destroy(graph);
    if (status != INCISE_OK) return status;
    const struct inc_program *program = (*model)->program;
    if (program->n_packed > 0)
        inc_log(&engine->ctx, INCISE_LOG_WARNING,
                "%s: %zu of %zu layers are for another instruction set or --compute and were packed again", pack->path,
                program->n_packed, program->plan.n_slots);
    (*model)->pack = pack;
    return INCISE_OK;
}

enum incise_status inc_model_from_pack(struct incise_engine *engine, const char *path,
                                       struct inc_program_options *options, struct incise_model **model)
{
    struct inc_pack *pack = NULL;
    const char *why;
    INC_TRY(inc_pack_open(&engine->ctx, path, &pack));
    enum incise_status status = inc_pack_stale(pack, &why);
    if (status == INCISE_OK && why == NULL) {
        status = load_packed(engine, pack, options, model);
        if (status == INCISE_OK) return INCISE_OK; /* the model has the pack */
    } else if (status == INCISE_OK) {
        inc_log(&engine->ctx, INCISE_LOG_WARNING,
                "%s: the model has changed (%s) and is loaded itself; run incise pack again", path, why);
        status = inc_model_from_file(engine, pack->source, options, model);
    }
    inc_pack_close(pack);
    return status;
}

enum incise_status incise_model_verify(struct incise_engine *engine, const char *file)
{
    struct inc_pack *pack = NULL;
    INC_TRY(inc_pack_open(&engine->ctx, file, &pack));
    enum incise_status status = inc_pack_verify(pack);
    inc_pack_close(pack);
    return status;
}
