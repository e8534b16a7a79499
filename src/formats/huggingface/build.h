/* SPDX-License-Identifier: Apache-2.0 */
/* From a checkpoint, whatever kind of file it came from, to a graph. */
#ifndef INC_FORMATS_HUGGINGFACE_BUILD_H
#define INC_FORMATS_HUGGINGFACE_BUILD_H

#include "formats/huggingface/blocks.h"

struct inc_hf_checkpoint {
    struct inc_json config; /* in the words of config.json */
    struct inc_hf_weights weights;
    /* Appends text vectors (sentence.h) behind the encoder; NULL: there are none. */
    enum incise_status (*append)(struct inc_hf_builder *b, const struct inc_hf_checkpoint *checkpoint);
    const void *user; /* of append */
};

/* Builds the graph that the family of "model_type" describes (huggingface.h says what it is) and infers its shapes.
 * INCISE_ERROR_DATA names the key or the tensor that is missing, unexpected or not supported. The weights stay the
 * caller's to release. */
enum incise_status inc_hf_build(struct inc_hf_checkpoint *checkpoint, struct inc_graph **graph)
    __attribute__((warn_unused_result));

#endif
