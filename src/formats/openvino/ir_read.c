/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points of the IR reader: finding and reading the two files. */
#include "formats/openvino/ir.h"

#include <string.h>

#include "base/size.h"
#include "formats/openvino/ir_reader.h"

#define DEFAULT_NAME "openvino_model.xml"

static enum incise_status begin(const struct inc_ctx *ctx, const char *source, struct inc_ir_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    reader->ctx = ctx;
    reader->source = source;
    INC_TRY(inc_graph_create(ctx, &reader->graph));
    reader->graph->source = inc_arena_strdup(&reader->graph->arena, source);
    return reader->graph->source != NULL ? INCISE_OK : inc_fail_memory(ctx, strlen(source), source);
}

/* Hands the graph out, or frees it; frees everything else. */
static enum incise_status finish(struct inc_ir_reader *reader, enum incise_status status, struct inc_graph **graph)
{
    inc_free(reader->ctx, reader->layers);
    inc_free(reader->ctx, reader->ports);
    inc_free(reader->ctx, reader->edges);
    inc_free(reader->ctx, reader->constants);
    inc_free(reader->ctx, reader->dims);
    if (status == INCISE_OK)
        *graph = reader->graph;
    else
        inc_graph_destroy(reader->graph);
    return status;
}

static enum incise_status read_memory(struct inc_ir_reader *reader, const void *xml, size_t xml_size, const void *bin,
                                      size_t bin_size)
{
    struct inc_file copy = {.size = bin != NULL ? bin_size : 0};
    INC_TRY(inc_ir_parse(reader, xml, xml_size));
    if (inc_ir_needs_weights(reader) && copy.size > 0) {
        copy.data = inc_alloc(reader->ctx, bin_size);
        if (copy.data == NULL) return inc_fail_memory(reader->ctx, bin_size, "the weights");
        memcpy(copy.data, bin, bin_size);
    }
    INC_TRY(inc_ir_attach_weights(reader, &copy));
    return inc_ir_link(reader);
}

enum incise_status inc_ir_read_memory(const struct inc_ctx *ctx, const char *name, const void *xml, size_t xml_size,
                                      const void *bin, size_t bin_size, struct inc_graph **graph)
{
    struct inc_ir_reader reader;
    enum incise_status status = begin(ctx, name, &reader);
    if (status == INCISE_OK) status = read_memory(&reader, xml, xml_size, bin, bin_size);
    return finish(&reader, status, graph);
}

static enum incise_status check_limit(const struct inc_ctx *ctx, const char *path)
{
    uint64_t size;
    if (ctx->max_memory == 0 || !inc_file_size(path, &size) || size <= ctx->max_memory) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_MEMORY, "%s: %llu bytes are more than the memory limit of %zu", path,
                    (unsigned long long)size, ctx->max_memory);
}

/* Reads or maps the file beside the .xml whose name ends in .bin instead. `path` holds that name and is cut in two. */
static enum incise_status read_beside(const struct inc_ir_reader *reader, char *path, struct inc_file *file)
{
    const char *folder = path, *name = path;
    if (!reader->mapped) INC_TRY(check_limit(reader->ctx, path));
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        folder = ".";
    } else {
        if (slash == path) folder = "/";
        *slash = '\0';
        name = slash + 1;
    }
    if (reader->mapped) return inc_file_map_beside(reader->ctx, folder, name, file);
    return inc_file_read_beside(reader->ctx, folder, name, SIZE_MAX - 1, file);
}

static enum incise_status read_weights(struct inc_ir_reader *reader)
{
    struct inc_file file = {0};
    enum incise_status status = INCISE_OK;
    if (inc_ir_needs_weights(reader)) {
        size_t length = strlen(reader->source); /* ends in .xml: inc_ir_find */
        char *path = inc_alloc(reader->ctx, length + 1);
        if (path == NULL) return inc_fail_memory(reader->ctx, length + 1, "a path");
        memcpy(path, reader->source, length + 1);
        memcpy(path + length - 4, ".bin", 4);
        status = read_beside(reader, path, &file);
        inc_free(reader->ctx, path);
    }
    if (status == INCISE_OK) status = inc_ir_attach_weights(reader, &file);
    return status;
}

static enum incise_status read_files(struct inc_ir_reader *reader)
{
    struct inc_file xml = {0};
    INC_TRY(check_limit(reader->ctx, reader->source));
    INC_TRY(inc_file_read(reader->ctx, reader->source, INC_IR_MAX_XML, &xml));
    enum incise_status status = inc_ir_parse(reader, xml.data, xml.size);
    inc_file_release(reader->ctx, &xml);
    if (status == INCISE_OK) status = read_weights(reader);
    if (status == INCISE_OK) status = inc_ir_link(reader);
    return status;
}

enum incise_status inc_ir_find(const struct inc_ctx *ctx, const char *path, char **xml_path)
{
    bool is_folder = inc_is_folder(path);
    size_t n = strlen(path), bytes;
    if (!is_folder && (n < 4 || strcmp(path + n - 4, ".xml") != 0))
        return inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: neither an .xml file nor a folder", path);
    if (!inc_size_add(n, sizeof "/" DEFAULT_NAME, &bytes)) return inc_fail_memory(ctx, n, "a path");
    *xml_path = inc_alloc_zero(ctx, bytes, 1);
    if (*xml_path == NULL) return inc_fail_memory(ctx, bytes, "a path");
    memcpy(*xml_path, path, n);
    if (is_folder) {
        while (n > 1 && path[n - 1] == '/') n--;
        memcpy(*xml_path + n, "/" DEFAULT_NAME, sizeof "/" DEFAULT_NAME);
    }
    return INCISE_OK;
}

static enum incise_status read_model(const struct inc_ctx *ctx, const char *path, bool mapped, struct inc_graph **graph)
{
    struct inc_ir_reader reader;
    char *xml_path = NULL;
    INC_TRY(inc_ir_find(ctx, path, &xml_path));
    enum incise_status status = begin(ctx, xml_path, &reader);
    reader.mapped = mapped;
    if (status == INCISE_OK) status = read_files(&reader);
    status = finish(&reader, status, graph);
    inc_free(ctx, xml_path);
    return status;
}

enum incise_status inc_ir_read(const struct inc_ctx *ctx, const char *path, struct inc_graph **graph)
{
    return read_model(ctx, path, false, graph);
}

enum incise_status inc_ir_read_mapped(const struct inc_ctx *ctx, const char *path, struct inc_graph **graph)
{
    return read_model(ctx, path, true, graph);
}
