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
    if (inc_ir_read_memory(&ctx, "fuzz", data, xml_size, nul != NULL ? nul + 1 : NULL,
                           nul != NULL ? size - xml_size - 1 : 0, &graph) != INCISE_OK)
        return 0;
    inc_buffer_init(&text, &ctx);
    if (inc_graph_dump(graph, true, &text) != INCISE_OK) __builtin_trap();
    if (inc_graph_clone(graph, &copy) != INCISE_OK) __builtin_trap();
    inc_buffer_fini(&text);
    inc_graph_destroy(copy);
    inc_graph_destroy(graph);
    return 0;
}

#ifdef INCISE_LIBFUZZER
/* Changes of bytes rarely leave XML well-formed. Half of the mutations therefore replace one attribute's or dim's text
 * by another of the same input or by a number at some limit. */
static const char *const values[] = {
    "-1", "0", "1", "2", "7", "64", "?", "..", "1..10", "-9223372036854775808", "9223372036854775807", "4294967296",
    "18446744073709551615", "2,-1,?", "f16", "i64", "boolean", "i4", "true", "opset1", "opset8", "bidirectional"};

/* The text between the marks (quotes or <dim> and </) after a random place; false if there is none. */
static int find_text(const uint8_t *data, size_t size, uint64_t random, size_t *start, size_t *length)
{
    size_t i = (size_t)(random % size);
    while (i < size && data[i] != '"' && data[i] != '>') i++;
    size_t end = i + 1;
    while (end < size && data[end] != '"' && data[end] != '<') end++;
    if (end >= size || data[end] != (data[i] == '"' ? '"' : '<')) return 0;
    *start = i + 1;
    *length = end - i - 1;
    return *length < 64;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15);
    size_t start, length, other = 0, n;
    uint8_t text[64];
    if (size == 0 || (random >> 63) != 0 || !find_text(data, size, random >> 20, &start, &length))
        return LLVMFuzzerMutate(data, size, max_size);
    if ((random >> 62 & 1) != 0 || !find_text(data, size, random >> 7, &other, &n)) {
        const char *value = values[(random >> 32) % (sizeof values / sizeof values[0])];
        n = strlen(value);
        memcpy(text, value, n);
    } else {
        memcpy(text, data + other, n);
    }
    if (size - length + n > max_size) return LLVMFuzzerMutate(data, size, max_size);
    memmove(data + start + n, data + start + length, size - start - length);
    memcpy(data + start, text, n);
    return size - length + n;
}
#endif
