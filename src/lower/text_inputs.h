/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of a text encoder: which Parameter wants ids, mask, types or positions, and what a text gives for it. */
#ifndef INC_LOWER_TEXT_INPUTS_H
#define INC_LOWER_TEXT_INPUTS_H

#include "graph/graph.h"

#define INC_MAX_TEXT_INPUTS 4

enum inc_text_input { INC_TEXT_IDS, INC_TEXT_MASK, INC_TEXT_TYPES, INC_TEXT_POSITIONS };

struct inc_text_inputs {
    enum inc_text_input kinds[INC_MAX_TEXT_INPUTS]; /* in the model's order */
    enum inc_type types[INC_MAX_TEXT_INPUTS];       /* INC_I64 or INC_I32 */
    size_t n;
};

/* INCISE_ERROR_DATA names an input that is not one of input_ids, attention_mask, token_type_ids, position_ids as
 * integers [texts, tokens], or says that there are no input_ids. */
enum incise_status inc_text_inputs_match(const struct inc_graph *graph, struct inc_text_inputs *inputs)
    __attribute__((warn_unused_result));

/* Fills data[length] of the type of input `index` with one text of `count` ids, padded on the right. */
void inc_text_inputs_fill(const struct inc_text_inputs *inputs, size_t index, const int32_t *ids, size_t count,
                          size_t length, void *data);

#endif
