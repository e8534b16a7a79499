/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a model folder: model.safetensors, or the shards that model.safetensors.index.json names. */
#ifndef INC_FORMATS_HUGGINGFACE_WEIGHTS_H
#define INC_FORMATS_HUGGINGFACE_WEIGHTS_H

#include "formats/safetensors/safetensors.h"
#include "graph/graph.h"

struct inc_hf_shard {
    const char *label; /* its path, for messages */
    struct inc_safetensors file;
    bool *used;            /* per tensor of the file */
    struct inc_blob *blob; /* the file's memory once a constant points into it */
};

struct inc_hf_weights {
    const struct inc_ctx *ctx;
    const char *label; /* the file of all tensors or the index */
    struct inc_arena arena;
    struct inc_hf_shard *shards;
    size_t n_shards;
};

/* INCISE_ERROR_DATA unless the index names each tensor of its shards once, in its shard, and shards are plain names in
 * the folder. Release after failures too. */
enum incise_status inc_hf_weights_open(const struct inc_ctx *ctx, const char *folder, struct inc_hf_weights *weights)
    __attribute__((warn_unused_result));
/* NULL if there is no such tensor; *shard is the one that holds it. */
const struct inc_safetensor *inc_hf_weights_find(const struct inc_hf_weights *weights, const char *name,
                                                 struct inc_hf_shard **shard);
/* What graphs have not taken over. */
void inc_hf_weights_release(struct inc_hf_weights *weights);

#endif
