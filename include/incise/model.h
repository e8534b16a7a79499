/* SPDX-License-Identifier: Apache-2.0 */
/* A model: read, lowered and packed for the engine's kernels. Immutable once loaded, so sessions of several threads may
 * share it. */
#ifndef INCISE_MODEL_H
#define INCISE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "incise/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define INCISE_MAX_RANK 8

/* Element types of model inputs and outputs. */
enum incise_type {
    INCISE_F32 = 0,
    INCISE_F16,
    INCISE_BF16,
    INCISE_F64,
    INCISE_I8,
    INCISE_U8,
    INCISE_I16,
    INCISE_U16,
    INCISE_I32,
    INCISE_U32,
    INCISE_I64,
    INCISE_U64,
    INCISE_I4,
    INCISE_U4,
    INCISE_BOOL
};

/* "f32", "i64", ... */
INCISE_API const char *incise_type_name(enum incise_type type);

/* A dense row-major array. Who owns `data` is said where one is passed. */
struct incise_tensor {
    enum incise_type type;
    int rank;
    int64_t dims[INCISE_MAX_RANK];
    void *data;
    size_t bytes;
};

enum incise_compute {
    INCISE_COMPUTE_AUTO = 0, /* what the model's rt_info says: incise/activations = dynamic runs integers */
    INCISE_COMPUTE_FLOAT = 1,
    INCISE_COMPUTE_INT8 = 2, /* every linear with integer weights multiplies integers, rows quantized on the fly */
    INCISE_COMPUTE_INT8_ATTENTION = 3 /* so does attention, of any weights; on CPUs without VNNI it stays float */
};

/* Initialize with incise_load_options_init, change what you need. */
struct incise_load_options {
    size_t struct_size;
    enum incise_compute compute;
    int reference; /* 1: run the file's ops one by one with the reference evaluator: slow, and the definition of right
                    */
};

/* One input or output. `name` belongs to the model. Dynamic dimensions are -1. */
struct incise_port {
    const char *name;
    enum incise_type type;
    int rank;
    int64_t dims[INCISE_MAX_RANK];
};

struct incise_model;

INCISE_API void incise_load_options_init(struct incise_load_options *options);

/* Writes the graph of `path` as text, as it is after the lowering pass `pass` ("" = as read), to `sink` in one call.
 * Names the passes there are when `pass` is none. */
typedef void incise_text_fn(void *user, const char *text);
INCISE_API INCISE_CHECK enum incise_status incise_model_dump(struct incise_engine *engine, const char *path,
                                                             const char *pass, incise_text_fn *sink, void *user);

/* Loads `path`: an .xml file, a folder with openvino_model.xml, or a file of incise_model_pack. `options` may be NULL.
 * The caller owns *model and frees it before the engine and after its sessions. */
INCISE_API INCISE_CHECK enum incise_status incise_model_load(struct incise_engine *engine, const char *path,
                                                             const struct incise_load_options *options,
                                                             struct incise_model **model);
/* NULL is fine. */
INCISE_API void incise_model_destroy(struct incise_model *model);

/* Writes the weights of the model `path`, packed for the engine's instruction set and `options` (may be NULL), to
 * `file`, which is a cache of that model on this machine: loaded in its place it starts without reading and packing
 * them. INCISE_ERROR_CREATE when it exists and not `force`.
 *
 * Loading `file` loads the model that it was packed from. A warning says when that has changed since (contents of the
 * .xml; size, time or inode of the .bin), and then it is loaded as if by its own name; another one when weights are for
 * another instruction set or `compute`, and are packed again. INCISE_ERROR_DATA when the file is damaged or of another
 * version, INCISE_ERROR_NO_INPUT when the model is gone. The file and the model's .bin are mapped as long as the model
 * lives: replace them by renaming, never write into them. */
INCISE_API INCISE_CHECK enum incise_status incise_model_pack(struct incise_engine *engine, const char *path,
                                                             const struct incise_load_options *options,
                                                             const char *file, int force);
/* Reads all of `file` and of its model, as loading does not: INCISE_ERROR_DATA says what has changed or is damaged. */
INCISE_API INCISE_CHECK enum incise_status incise_model_verify(struct incise_engine *engine, const char *file);

INCISE_API size_t incise_model_inputs(const struct incise_model *model);
INCISE_API size_t incise_model_outputs(const struct incise_model *model);
INCISE_API void incise_model_input(const struct incise_model *model, size_t index, struct incise_port *port);
INCISE_API void incise_model_output(const struct incise_model *model, size_t index, struct incise_port *port);
/* Seconds the load took, and bytes of packed weights and of constants that stay. */
INCISE_API double incise_model_load_seconds(const struct incise_model *model);
INCISE_API size_t incise_model_bytes(const struct incise_model *model);
/* 1 if the model runs fused on packed tokens; 0 if it runs op by op, and *reason (if not NULL) says why: static text or
 * text of the model. */
INCISE_API int incise_model_is_fused(const struct incise_model *model, const char **reason);
/* A token id for padding-free synthetic text: the vocabulary size if an input gathers from a table, else 0. */
INCISE_API int64_t incise_model_vocabulary(const struct incise_model *model);

/* What one op of the model is and how it would run: rows of `inspect`. Text fields belong to the model. */
struct incise_op_row {
    const char *name;      /* layer name */
    const char *kind;      /* "Linear", "Attention", ... */
    const char *kernel;    /* e.g. "gemm_f32_avx512_12x32", "" if none */
    const char *weights;   /* "f32", "i8", "u8", "i4", "u4", "f16", "" without weights */
    int64_t rows, columns; /* of W[out, in]; 0 without weights */
    double zeros;          /* share of weights that are zero, 0..1 */
    double skipped;        /* share of multiplications that the packed form skips, 0..1 */
    double flop_per_token; /* as the dense op; 0 if it depends on the length (attention) */
    double flop_per_text;  /* likewise, of an op behind pooling */
    size_t bytes;          /* packed */
};
INCISE_API size_t incise_model_ops(const struct incise_model *model);
INCISE_API void incise_model_op(const struct incise_model *model, size_t index, struct incise_op_row *row);

#ifdef __cplusplus
}
#endif
#endif
