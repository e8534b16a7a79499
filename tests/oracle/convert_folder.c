/* SPDX-License-Identifier: Apache-2.0 */
/* convert_folder HF_FOLDER OUT: a Hugging Face folder as an IR folder. */
#include <stdio.h>

#include "formats/huggingface/huggingface.h"
#include "formats/openvino/ir.h"

static void print_log(void *user, enum incise_log_level level, const char *text)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    struct inc_ctx ctx;
    struct inc_graph *graph;
    struct inc_output out;
    inc_ctx_init(&ctx);
    ctx.log = print_log;
    if (argc != 3) return 2;
    enum incise_status status = inc_hf_read(&ctx, argv[1], &graph);
    if (status != INCISE_OK) return (int)status;
    status = inc_output_begin(&ctx, argv[2], true, &out);
    if (status == INCISE_OK) {
        status = inc_ir_write(graph, &out, "openvino_model");
        if (status == INCISE_OK) status = inc_hf_copy_sidecars(argv[1], &out);
        if (status == INCISE_OK) status = inc_output_commit(&out);
        inc_output_discard(&out);
    }
    inc_graph_destroy(graph);
    return (int)status;
}
