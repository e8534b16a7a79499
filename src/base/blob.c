/* SPDX-License-Identifier: Apache-2.0 */
#include "base/blob.h"

#include <string.h>

#include "base/size.h"

#define HEAD 8 /* bytes of a table's size, in a line of INC_ALIGN */

static void pad(struct inc_buffer *buffer)
{
    static const char zeros[INC_ALIGN];
    inc_buffer_append(buffer, zeros, inc_round_up(buffer->length, INC_ALIGN) - buffer->length);
}

size_t inc_blob_size(size_t n)
{
    return INC_ALIGN + inc_round_up(n, INC_ALIGN);
}

void inc_blob_put(struct inc_buffer *buffer, const void *bytes, size_t n)
{
    uint64_t size = n;
    inc_buffer_append(buffer, &size, HEAD);
    pad(buffer);
    inc_buffer_append(buffer, bytes, n);
    pad(buffer);
}

const void *inc_blob_take(struct inc_blob_reader *blob, size_t *n)
{
    uint64_t size;
    size_t left = (size_t)(blob->end - blob->at);
    if (left < INC_ALIGN) return NULL;
    memcpy(&size, blob->at, HEAD);
    left -= INC_ALIGN;
    if (size > left || inc_round_up((size_t)size, INC_ALIGN) > left || (*n != SIZE_MAX && *n != size)) return NULL;
    const void *table = blob->at + INC_ALIGN;
    blob->at += INC_ALIGN + inc_round_up((size_t)size, INC_ALIGN);
    *n = (size_t)size;
    return table;
}

bool inc_blob_read(struct inc_blob_reader *blob, void *out, size_t n)
{
    size_t size = n;
    const void *table = inc_blob_take(blob, &size);
    if (table != NULL) memcpy(out, table, n);
    return table != NULL;
}
