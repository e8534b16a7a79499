/* SPDX-License-Identifier: Apache-2.0 */
/* The .npy reader; what it accepts is written and read again. */
#include <string.h>

#include "formats/npy/npy.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inc_ctx ctx;
    struct inc_tensor tensor, again;
    struct inc_buffer file;
    inc_ctx_init(&ctx);
    if (inc_npy_read_memory(&ctx, "fuzz", data, size, &tensor) != INCISE_OK) return 0;
    inc_buffer_init(&file, &ctx);
    if (inc_npy_write_header(&file, tensor.type, tensor.rank, tensor.dims) != INCISE_OK) __builtin_trap();
    inc_buffer_append(&file, tensor.data, tensor.bytes);
    if (inc_npy_read_memory(&ctx, "fuzz", file.data, file.length, &again) != INCISE_OK) __builtin_trap();
    if (again.bytes != tensor.bytes || (tensor.bytes > 0 && memcmp(again.data, tensor.data, tensor.bytes) != 0))
        __builtin_trap();
    inc_buffer_fini(&file);
    inc_tensor_release(&ctx, &tensor);
    inc_tensor_release(&ctx, &again);
    return 0;
}
