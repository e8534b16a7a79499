/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/engine_internal.h"
#include "formats/npy/npy.h"
#include "incise/array.h"

enum incise_status incise_array_read(struct incise_engine *engine, const char *path, struct incise_tensor *array)
{
    struct inc_tensor tensor = {0};
    size_t limit = engine->ctx.max_memory > 0 ? engine->ctx.max_memory : SIZE_MAX;
    INC_TRY(inc_npy_read(&engine->ctx, path, limit, &tensor));
    *array = (struct incise_tensor){
        .type = (enum incise_type)tensor.type, .rank = tensor.rank, .data = tensor.data, .bytes = tensor.bytes};
    memcpy(array->dims, tensor.dims, sizeof array->dims);
    return INCISE_OK;
}

void incise_array_release(struct incise_engine *engine, struct incise_tensor *array)
{
    inc_free(&engine->ctx, array->data);
    array->data = NULL;
}

enum incise_status incise_arrays_write(struct incise_engine *engine, const char *folder, int force,
                                       const char *const *names, const struct incise_tensor *arrays, size_t n)
{
    struct inc_output out;
    INC_TRY(inc_output_begin(&engine->ctx, folder, force != 0, &out));
    enum incise_status status = INCISE_OK;
    for (size_t i = 0; i < n && status == INCISE_OK; i++) {
        struct inc_tensor tensor = {.type = (enum inc_type)arrays[i].type,
                                    .rank = arrays[i].rank,
                                    .data = arrays[i].data,
                                    .bytes = arrays[i].bytes};
        memcpy(tensor.dims, arrays[i].dims, sizeof tensor.dims);
        status = inc_npy_write(&out, names[i], &tensor);
    }
    if (status == INCISE_OK) status = inc_output_commit(&out);
    inc_output_discard(&out);
    return status;
}

enum incise_status incise_array_header(struct incise_engine *engine, enum incise_type type, int rank,
                                       const int64_t *dims, char header[INCISE_ARRAY_HEADER], size_t *length)
{
    struct inc_buffer buffer;
    if (rank < 0 || rank > INCISE_MAX_RANK)
        return inc_fail(&engine->ctx, INCISE_ERROR_USAGE, "rank %d: arrays have 0 to %d dimensions", rank,
                        INCISE_MAX_RANK);
    inc_buffer_init(&buffer, &engine->ctx);
    enum incise_status status = inc_npy_write_header(&buffer, (enum inc_type)type, rank, dims);
    if (status == INCISE_OK) status = inc_buffer_check(&buffer);
    if (status == INCISE_OK && buffer.length > INCISE_ARRAY_HEADER)
        status = inc_fail(&engine->ctx, INCISE_ERROR_FAILED, "an .npy header of %zu bytes", buffer.length);
    if (status == INCISE_OK) memcpy(header, buffer.data, buffer.length);
    *length = buffer.length;
    inc_buffer_fini(&buffer);
    return status;
}
