/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/text_inputs.h"

#include <string.h>

static const char *const names[INC_MAX_TEXT_INPUTS] = {"input_ids", "attention_mask", "token_type_ids", "position_ids"};

enum incise_status inc_text_inputs_match(const struct inc_graph *graph, struct inc_text_inputs *inputs)
{
    const char *source = graph->source != NULL ? graph->source : "graph";
    bool has_ids = false;
    inputs->n = graph->n_parameters;
    for (size_t i = 0; i < inputs->n; i++) {
        const struct inc_value *value = &graph->parameters[i]->outputs[0];
        const char *name = value->n_names > 0 ? value->names[0] : graph->parameters[i]->name;
        size_t kind = 0;
        while (kind < INC_MAX_TEXT_INPUTS && strcmp(name, names[kind]) != 0) kind++;
        if (kind == INC_MAX_TEXT_INPUTS || i >= INC_MAX_TEXT_INPUTS || value->shape.rank != 2 ||
            (value->type != INC_I64 && value->type != INC_I32))
            return inc_fail(
                graph->ctx, INCISE_ERROR_DATA,
                "%s: input '%s' is not one of input_ids, attention_mask, token_type_ids, position_ids as integers "
                "[texts, tokens]; this model cannot embed texts",
                source, name);
        inputs->kinds[i] = (enum inc_text_input)kind;
        inputs->types[i] = value->type;
        has_ids = has_ids || kind == INC_TEXT_IDS;
    }
    if (!has_ids) return inc_fail(graph->ctx, INCISE_ERROR_DATA, "%s: there is no input 'input_ids'", source);
    return INCISE_OK;
}

static int64_t element(enum inc_text_input kind, const int32_t *ids, size_t count, size_t position)
{
    switch (kind) {
    case INC_TEXT_IDS: return position < count ? ids[position] : 0;
    case INC_TEXT_MASK: return position < count;
    case INC_TEXT_TYPES: return 0;
    case INC_TEXT_POSITIONS: return (int64_t)position;
    }
    return 0;
}

void inc_text_inputs_fill(const struct inc_text_inputs *inputs, size_t index, const int32_t *ids, size_t count,
                          size_t length, void *data)
{
    for (size_t t = 0; t < length; t++) {
        int64_t value = element(inputs->kinds[index], ids, count, t);
        if (inputs->types[index] == INC_I32)
            ((int32_t *)data)[t] = (int32_t)value;
        else
            ((int64_t *)data)[t] = value;
    }
}
