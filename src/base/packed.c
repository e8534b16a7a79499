/* SPDX-License-Identifier: Apache-2.0 */
#include "base/packed.h"

#include "base/size.h"

void inc_packed_out_init(struct inc_packed_out *out, const struct inc_ctx *ctx)
{
    inc_buffer_init(&out->tables, ctx);
    inc_buffer_init(&out->spans, ctx);
}

void inc_packed_out_fini(struct inc_packed_out *out)
{
    inc_buffer_fini(&out->tables);
    inc_buffer_fini(&out->spans);
}

void inc_packed_put(struct inc_packed_out *out, const void *values, size_t n)
{
    const struct inc_packed_values span = {values, n};
    inc_buffer_append(&out->spans, &span, sizeof span);
}

void inc_packed_put_table(struct inc_packed_out *out, struct inc_buffer *table)
{
    inc_blob_put(&out->tables, table->data, table->length);
    if (table->failed) out->tables.failed = true;
    inc_buffer_fini(table);
}

const void *inc_packed_take(struct inc_packed *packed, size_t n)
{
    const unsigned char *values = packed->values.at;
    const size_t left = (size_t)(packed->values.end - values);
    if (n > left || inc_round_up(n, INC_ALIGN) > left) return NULL;
    packed->values.at += inc_round_up(n, INC_ALIGN);
    return values;
}

const void *inc_packed_table(struct inc_packed *packed, size_t count, size_t size)
{
    size_t bytes;
    if (!inc_size_mul(count, size, &bytes) || bytes == SIZE_MAX) return NULL;
    return inc_blob_take(&packed->tables, &bytes);
}

const void *inc_packed_array(struct inc_packed *packed, size_t *count, size_t size)
{
    size_t bytes = SIZE_MAX;
    const void *table = inc_blob_take(&packed->tables, &bytes);
    *count = table != NULL ? bytes / size : 0;
    return table != NULL && bytes % size == 0 ? table : NULL;
}
