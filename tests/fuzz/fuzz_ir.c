/* SPDX-License-Identifier: Apache-2.0 */
/* The IR reader. An input is the XML, a NUL byte, and the .bin. */
#include <string.h>

#include "base/buffer.h"
#include "formats/openvino/ir.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inc_ctx ctx;
    struct inc_graph *graph = NULL, *copy = NULL;
    struct inc_buffer text;
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t xml_size = nul != NULL ? (size_t)(nul - data) : size;
    inc_ctx_init(&ctx);
    ctx.max_memory = (size_t)64 << 20;
    if (inc_ir_read_memory(&ctx, "fuzz", data, xml_size, nul != NULL ? nul + 1 : NULL, nul != NULL ? size - xml_size - 1 : 0,
                           &graph) != INCISE_OK)
        return 0;
    inc_buffer_init(&text, &ctx);
    if (inc_graph_dump(graph, true, &text) != INCISE_OK) __builtin_trap();
    if (inc_graph_clone(graph, &copy) != INCISE_OK) __builtin_trap();
    inc_buffer_fini(&text);
    inc_graph_destroy(copy);
    inc_graph_destroy(graph);
    return 0;
}
