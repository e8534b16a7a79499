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
    *array = (struct incise_tensor){.type = (enum incise_type)tensor.type, .rank = tensor.rank, .data = tensor.data,
                                    .bytes = tensor.bytes};
    memcpy(array->dims, tensor.dims, sizeof array->dims);
    return INCISE_OK;
}

void incise_array_release(struct incise_engine *engine, struct incise_tensor *array)
{
    inc_free(&engine->ctx, array->data);
    array->data = NULL;
}

enum incise_status incise_arrays_write(struct incise_engine *engine, const char *folder, int force, const char *const *names,
                                       const struct incise_tensor *arrays, size_t n)
{
    struct inc_output out;
    INC_TRY(inc_output_begin(&engine->ctx, folder, force != 0, &out));
    enum incise_status status = INCISE_OK;
    for (size_t i = 0; i < n && status == INCISE_OK; i++) {
        struct inc_tensor tensor = {.type = (enum inc_type)arrays[i].type, .rank = arrays[i].rank, .data = arrays[i].data,
                                    .bytes = arrays[i].bytes};
        memcpy(tensor.dims, arrays[i].dims, sizeof tensor.dims);
        status = inc_npy_write(&out, names[i], &tensor);
    }
    if (status == INCISE_OK) status = inc_output_commit(&out);
    inc_output_discard(&out);
    return status;
}
