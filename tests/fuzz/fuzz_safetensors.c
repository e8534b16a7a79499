/* SPDX-License-Identifier: Apache-2.0 */
/* The safetensors reader; every byte of every tensor it accepts is touched. */
#include <string.h>

#include "formats/safetensors/safetensors.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inc_ctx ctx;
    struct inc_safetensors file;
    volatile unsigned char sum = 0;
    inc_ctx_init(&ctx);
    unsigned char *memory = inc_alloc(&ctx, size);
    if (memory == NULL) return 0;
    if (size > 0) memcpy(memory, data, size);
    if (inc_safetensors_open_memory(&ctx, "fuzz", memory, size, &file) != INCISE_OK) return 0;
    for (size_t i = 0; i < file.n_tensors; i++) {
        const struct inc_tensor *t = &file.tensors[i].tensor;
        if (inc_safetensors_find(&file, file.tensors[i].name) != &file.tensors[i]) __builtin_trap();
        if ((uintptr_t)t->data % (inc_type_bits(t->type) / 8) != 0) __builtin_trap();
        for (size_t k = 0; k < t->bytes; k++) sum = (unsigned char)(sum + ((unsigned char *)t->data)[k]);
    }
    inc_safetensors_release(&file);
    return 0;
}
