/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays in NumPy's .npy files: inputs and outputs of runs. */
#ifndef INCISE_ARRAY_H
#define INCISE_ARRAY_H

#include "incise/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads `path` (little endian, C order). The caller releases array->data with incise_array_release. */
INCISE_API INCISE_CHECK enum incise_status incise_array_read(struct incise_engine *engine, const char *path,
                                                             struct incise_tensor *array);
INCISE_API void incise_array_release(struct incise_engine *engine, struct incise_tensor *array);

/* Writes arrays[i] as `folder`/names[i], the folder complete or not at all; `force` replaces an existing one. */
INCISE_API INCISE_CHECK enum incise_status incise_arrays_write(struct incise_engine *engine, const char *folder,
                                                               int force, const char *const *names,
                                                               const struct incise_tensor *arrays, size_t n);

/* What an .npy file of that type and shape begins with, before its raw data; at most INCISE_ARRAY_HEADER bytes. */
#define INCISE_ARRAY_HEADER 512
INCISE_API INCISE_CHECK enum incise_status incise_array_header(struct incise_engine *engine, enum incise_type type,
                                                               int rank, const int64_t *dims,
                                                               char header[INCISE_ARRAY_HEADER], size_t *length);

#ifdef __cplusplus
}
#endif
#endif
