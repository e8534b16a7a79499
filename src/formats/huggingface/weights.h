/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors that builders ask for by the names of Hugging Face, whatever kind of file holds them. */
#ifndef INC_FORMATS_HUGGINGFACE_WEIGHTS_H
#define INC_FORMATS_HUGGINGFACE_WEIGHTS_H

#include "graph/graph.h"

#define INC_HF_MAX_NAME 512

struct inc_hf_tensor {
    const char *name; /* as its file has it */
    const char *file; /* for messages */
    const char *type; /* for messages */
    bool readable;    /* as floats */
    int rank;
    int64_t dims[INC_MAX_RANK];
    bool used;
    size_t part, index; /* the source's own: where it lies */
};

struct inc_hf_weights;

/* A kind of file. */
struct inc_hf_source {
    /* What the file calls the tensor that is `name` in the words of Hugging Face; may use `buffer` of INC_HF_MAX_NAME
     * bytes. NULL: the same. */
    const char *(*name)(const struct inc_hf_weights *weights, const char *name, char *buffer);
    /* Elements [first, first + n), whole rows, as floats. */
    enum incise_status (*read)(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor, size_t first,
                               size_t n, float *out);
    /* Lends `graph` the memory of a tensor that is f32 already: *data then lies in *blob. Leaves *blob NULL for
     * others. NULL: always. */
    enum incise_status (*share)(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor,
                                struct inc_graph *graph, struct inc_tensor *data, struct inc_blob **blob);
    /* A matrix of integers with a scale for each group of inputs, W = q * scale: q [out, groups, group] of i8 or i4,
     * scale [out, groups, 1] of f16, both owned by the caller. Leaves q->data NULL for others. NULL: always. */
    enum incise_status (*grouped)(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor,
                                  struct inc_tensor *q, struct inc_tensor *scale);
    void (*release)(struct inc_hf_weights *weights); /* NULL: there is nothing to release */
};

struct inc_hf_weights {
    const struct inc_ctx *ctx;
    const struct inc_hf_source *source;
    void *files;       /* the source's */
    const char *label; /* the file of all tensors or their index */
    struct inc_arena arena;
    struct inc_hf_tensor *tensors; /* sorted by name (strcmp) once inc_hf_weights_sort has run */
    size_t n_tensors;
    bool whole_gains; /* norms whose gain is 1 + weight are stored with the 1 */
};

/* The safetensors of a model folder: model.safetensors, or the shards that model.safetensors.index.json names.
 * INCISE_ERROR_DATA unless the index names each tensor of its shards once, in its shard, and shards are plain names in
 * the folder. Release after failures too. */
enum incise_status inc_hf_weights_open(const struct inc_ctx *ctx, const char *folder, struct inc_hf_weights *weights)
    __attribute__((warn_unused_result));
void inc_hf_weights_sort(struct inc_hf_weights *weights);
/* What the file calls the tensor `name`; `buffer` has INC_HF_MAX_NAME bytes. */
const char *inc_hf_weights_name(const struct inc_hf_weights *weights, const char *name, char *buffer);
/* By the name of Hugging Face; NULL if there is no such tensor. */
struct inc_hf_tensor *inc_hf_weights_find(const struct inc_hf_weights *weights, const char *name);
/* What graphs have not taken over. */
void inc_hf_weights_release(struct inc_hf_weights *weights);

#endif
