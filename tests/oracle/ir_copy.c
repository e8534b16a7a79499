/* SPDX-License-Identifier: Apache-2.0 */
/* ir_copy MODEL OUT: reads an IR and writes it to the new folder OUT; prints the graph. */
#include <stdio.h>

#include "base/buffer.h"
#include "formats/openvino/ir.h"

static void print_error(void *user, enum incise_log_level level, const char *text)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

static enum incise_status copy_model(const struct inc_ctx *ctx, const char *path, const char *out_path)
{
    struct inc_graph *graph = NULL;
    struct inc_buffer text;
    struct inc_output out;
    INC_TRY(inc_ir_read(ctx, path, &graph));
    inc_buffer_init(&text, ctx);
    enum incise_status status = inc_graph_dump(graph, true, &text);
    if (status == INCISE_OK) fputs(text.data, stdout);
    inc_buffer_fini(&text);
    if (status == INCISE_OK) status = inc_output_begin(ctx, out_path, false, &out);
    if (status == INCISE_OK) {
        status = inc_ir_write(graph, &out, "openvino_model");
        if (status == INCISE_OK) status = inc_output_commit(&out);
        inc_output_discard(&out);
    }
    inc_graph_destroy(graph);
    return status;
}

int main(int argc, char **argv)
{
    struct inc_ctx ctx;
    inc_ctx_init(&ctx);
    ctx.log = print_error;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL OUT\n", argv[0]);
        return INCISE_ERROR_USAGE;
    }
    return (int)copy_model(&ctx, argv[1], argv[2]);
}
