/* SPDX-License-Identifier: Apache-2.0 */
/* Lays out the .bin: one range per distinct content. Types play no part, as in OpenVINO's own files. */
#include <string.h>
#include <xxhash.h>

#include "base/size.h"
#include "formats/openvino/ir_writer.h"

enum incise_status inc_ir_weights_init(struct inc_ir_weights *weights, const struct inc_ctx *ctx, size_t n_constants)
{
    size_t slots = 16;
    memset(weights, 0, sizeof *weights);
    weights->ctx = ctx;
    while (slots / 2 < n_constants) {
        if (!inc_size_mul(slots, 2, &slots)) return inc_fail_memory(ctx, SIZE_MAX, "a table of constants");
    }
    weights->mask = slots - 1;
    weights->by_content = inc_alloc_zero(ctx, slots, sizeof *weights->by_content);
    weights->by_address = inc_alloc_zero(ctx, slots, sizeof *weights->by_address);
    weights->ranges = inc_alloc_zero(ctx, n_constants, sizeof *weights->ranges);
    weights->aliases = inc_alloc_zero(ctx, n_constants, sizeof *weights->aliases);
    if (weights->by_content == NULL || weights->by_address == NULL || weights->ranges == NULL ||
        weights->aliases == NULL)
        return inc_fail_memory(ctx, slots * sizeof *weights->by_content, "a table of constants");
    return INCISE_OK;
}

void inc_ir_weights_fini(struct inc_ir_weights *weights)
{
    inc_free(weights->ctx, weights->by_content);
    inc_free(weights->ctx, weights->by_address);
    inc_free(weights->ctx, weights->ranges);
    inc_free(weights->ctx, weights->aliases);
}

static size_t *find_address(struct inc_ir_weights *weights, const struct inc_tensor *tensor)
{
    const struct {
        uintptr_t address;
        size_t bytes;
    } key = {(uintptr_t)tensor->data, tensor->bytes};
    for (size_t i = (size_t)XXH3_64bits(&key, sizeof key);; i++) {
        size_t *slot = &weights->by_address[i & weights->mask];
        if (*slot == 0) return slot;
        const struct inc_ir_range *alias = &weights->aliases[*slot - 1];
        if (alias->data == tensor->data && alias->bytes == tensor->bytes) return slot;
    }
}

static size_t *find_content(struct inc_ir_weights *weights, const struct inc_tensor *tensor, uint64_t hash)
{
    for (size_t i = (size_t)hash;; i++) {
        size_t *slot = &weights->by_content[i & weights->mask];
        if (*slot == 0) return slot;
        const struct inc_ir_range *range = &weights->ranges[*slot - 1];
        if (range->hash == hash && range->bytes == tensor->bytes &&
            memcmp(range->data, tensor->data, tensor->bytes) == 0)
            return slot;
    }
}

uint64_t inc_ir_weights_place(struct inc_ir_weights *weights, const struct inc_tensor *tensor)
{
    if (tensor->bytes == 0) return 0;
    size_t *address = find_address(weights, tensor);
    if (*address != 0) return weights->aliases[*address - 1].offset;
    uint64_t hash = XXH3_64bits(tensor->data, tensor->bytes);
    size_t *content = find_content(weights, tensor, hash);
    if (*content == 0) {
        uint64_t offset = (weights->bytes + INC_ALIGN - 1) / INC_ALIGN * INC_ALIGN;
        weights->ranges[weights->n_ranges++] = (struct inc_ir_range){tensor->data, tensor->bytes, offset, hash};
        weights->bytes = offset + tensor->bytes;
        *content = weights->n_ranges;
    }
    uint64_t offset = weights->ranges[*content - 1].offset;
    weights->aliases[weights->n_aliases++] = (struct inc_ir_range){tensor->data, tensor->bytes, offset, hash};
    *address = weights->n_aliases;
    return offset;
}

static enum incise_status write_ranges(const struct inc_ir_weights *weights, struct inc_output_file *file)
{
    static const unsigned char zeros[INC_ALIGN];
    uint64_t end = 0;
    for (size_t i = 0; i < weights->n_ranges; i++) {
        const struct inc_ir_range *range = &weights->ranges[i];
        INC_TRY(inc_output_write(file, zeros, (size_t)(range->offset - end)));
        INC_TRY(inc_output_write(file, range->data, range->bytes));
        end = range->offset + range->bytes;
    }
    return INCISE_OK;
}

enum incise_status inc_ir_weights_write(const struct inc_ir_weights *weights, struct inc_output *out, const char *name)
{
    struct inc_output_file file;
    if (weights->n_ranges == 0) return INCISE_OK;
    INC_TRY(inc_output_open(out, name, &file));
    enum incise_status status = write_ranges(weights, &file);
    if (status == INCISE_OK) return inc_output_close(&file);
    inc_output_abandon(&file);
    return status;
}
