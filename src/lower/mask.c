/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/mask.h"

#include <math.h>
#include <string.h>

#include "graph/eval_ref/eval.h"
#include "lower/match.h"

#define HIDDEN            (-1e4) /* an additive mask hides with this or less */
#define PROBE_SEQUENCES   2      /* one without padding, one with holes */
#define MAX_CONSTANTS     32     /* of the mask's sub-graph */
#define MAX_PROBED_LENGTH 2100   /* a window beyond it stays a computed bias: proving it would cost seconds */

struct probe {
    struct inc_lowering *lowering;
    const struct inc_value *value;
    struct inc_node *padding;
    int64_t constants[MAX_CONSTANTS];
    size_t n_constants;
    int64_t longest; /* length that is evaluated */
};

/* ---- structure ------------------------------------------------------------------------------------------------- */

/* Numbers of the sub-graph that may decide where the mask changes with the length. False if a table decides. */
static bool note_constants(struct probe *probe, const struct inc_tensor *data)
{
    if (inc_tensor_elements(data) > 16) return false;
    for (size_t i = 0; i < inc_tensor_elements(data); i++) {
        double value = inc_tensor_get_f64(data, i), number = floor(fabs(value));
        if (!(number >= 2 && number <= 1e9)) continue;
        if (number == 65504) continue;                                  /* the largest f16, used as minus infinity */
        if (inc_type_is_float(data->type) && value <= HIDDEN) continue; /* -10000, -1e9: likewise */
        if (probe->n_constants == MAX_CONSTANTS || number * 2 > MAX_PROBED_LENGTH) return false;
        probe->constants[probe->n_constants++] = (int64_t)number;
    }
    return true;
}

/* Marks, backwards from the mask, what it is made of: 2 = content matters. Sets the padding input. */
static bool scan_structure(struct probe *probe)
{
    struct inc_graph *graph = probe->lowering->graph;
    for (struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (node->mark != 1) node->mark = 0;
    if (probe->value->node->mark == 1) return false;
    probe->value->node->mark = 2;
    for (struct inc_node *node = graph->last; node != NULL; node = node->prev) {
        if (node->mark != 2) continue;
        if (node->op == INC_OP_PARAMETER) {
            if (probe->padding != NULL) return false;
            probe->padding = node;
        }
        if (node->op == INC_OP_CONSTANT && !note_constants(probe, &node->data)) return false;
        if (node->op == INC_OP_SHAPE_OF || node->op == INC_OP_SHAPE_OF1) continue;
        for (uint32_t i = 0; i < node->n_inputs; i++) {
            if (node->inputs[i]->node->mark == 1) return false;
            node->inputs[i]->node->mark = 2;
        }
    }
    return true;
}

/* ---- probing --------------------------------------------------------------------------------------------------- */

/* The padding of the probes: sequence 0 has none, sequence 1 has holes. */
static int64_t probe_padding(size_t sequence, int64_t j)
{
    return sequence == 0 || (uint64_t)(j + 1) * 0x9e3779b97f4a7c15u >> 62 != 0;
}

static enum incise_status make_feeds(const struct probe *probe, int64_t length, struct inc_feed *feeds)
{
    const struct inc_graph *graph = probe->lowering->graph;
    const int64_t dims[] = {PROBE_SEQUENCES, length};
    for (size_t p = 0; p < graph->n_parameters; p++) {
        const struct inc_value *value = &graph->parameters[p]->outputs[0];
        struct inc_tensor *tensor = &feeds[p].tensor;
        feeds[p].value = value;
        INC_TRY(inc_tensor_create(graph->ctx, value->type, 2, dims, tensor));
        memset(tensor->data, 0, tensor->bytes);
        if (graph->parameters[p] != probe->padding) continue;
        size_t width = tensor->bytes / inc_tensor_elements(tensor); /* little-endian: the first byte holds 0 or 1 */
        for (size_t s = 0; s < PROBE_SEQUENCES; s++)
            for (int64_t j = 0; j < length; j++)
                ((unsigned char *)tensor->data)[(s * (size_t)length + (size_t)j) * width] =
                    (unsigned char)probe_padding(s, j);
    }
    return INCISE_OK;
}

/* Evaluates the mask for two sequences of `length`. */
static enum incise_status evaluate(const struct probe *probe, int64_t length, struct inc_tensor *mask)
{
    struct inc_graph *graph = probe->lowering->graph;
    struct inc_feed *feeds = inc_alloc_zero(graph->ctx, graph->n_parameters, sizeof *feeds);
    if (feeds == NULL) return inc_fail_memory(graph->ctx, graph->n_parameters * sizeof *feeds, "a mask's proof");
    struct inc_feed wanted = {.value = probe->value};
    enum incise_status status = make_feeds(probe, length, feeds);
    struct inc_ctx silent = *probe->lowering->ctx; /* a mask that fails at some length is no failure: it stays a bias */
    silent.log = NULL;
    graph->ctx = &silent;
    if (status == INCISE_OK) status = inc_eval_run(graph, feeds, graph->n_parameters, &wanted, 1);
    graph->ctx = probe->lowering->ctx;
    for (size_t p = 0; p < graph->n_parameters; p++) inc_tensor_release(graph->ctx, &feeds[p].tensor);
    inc_free(graph->ctx, feeds);
    *mask = wanted.tensor;
    return status;
}

/* 1 visible, 0 hidden, -1 neither (a bias). */
static int visibility(const struct inc_tensor *mask, int64_t length, size_t sequence, int64_t i, int64_t j)
{
    size_t s = mask->dims[0] == 1 ? 0 : sequence;
    size_t row = mask->dims[2] == 1 ? 0 : (size_t)i;
    size_t rows = (size_t)mask->dims[2];
    double number = inc_tensor_get_f64(mask, (s * rows + row) * (size_t)length + (size_t)j);
    if (mask->type == INC_BOOL) return number != 0;
    return number == 0 ? 1 : number <= HIDDEN ? 0 : -1;
}

static bool is_mask_shape(const struct inc_tensor *mask, int64_t length)
{
    return mask->rank == 4 && (mask->dims[0] == 1 || mask->dims[0] == PROBE_SEQUENCES) && mask->dims[1] == 1 &&
           (mask->dims[2] == 1 || mask->dims[2] == length) && mask->dims[3] == length &&
           (mask->type == INC_BOOL || inc_type_is_float(mask->type));
}

/* Reads the form off the sequence without padding. */
static void guess(const struct inc_tensor *mask, int64_t length, struct inc_mask_form *form)
{
    int64_t reach = 0, ahead = 0;
    for (int64_t i = 0; i < length; i++)
        for (int64_t j = 0; j < length; j++) {
            if (visibility(mask, length, 0, i, j) != 1) continue;
            int64_t distance = j > i ? j - i : i - j;
            if (distance + 1 > reach) reach = distance + 1;
            if (j - i > ahead) ahead = j - i;
        }
    form->causal = length > 1 && ahead == 0;
    form->window = reach < length ? (uint32_t)reach : 0;
}

static bool agrees(const struct inc_tensor *mask, int64_t length, const struct inc_mask_form *form)
{
    for (size_t s = 0; s < PROBE_SEQUENCES; s++)
        for (int64_t i = 0; i < length; i++)
            for (int64_t j = 0; j < length; j++) {
                int64_t distance = j > i ? j - i : i - j;
                int expected = (form->padding == NULL || probe_padding(s, j) != 0) && (!form->causal || j <= i) &&
                               (form->window == 0 || distance < form->window);
                if (visibility(mask, length, s, i, j) != expected) return false;
            }
    return true;
}

/* Evaluates at one length; the first call (the longest) guesses the form, all compare with it. */
static enum incise_status probe_length(const struct probe *probe, int64_t length, bool first, bool *fits,
                                       struct inc_mask_form *form)
{
    struct inc_tensor mask = {0};
    *fits = true;
    if (length > probe->longest) return INCISE_OK;
    enum incise_status status = evaluate(probe, length, &mask);
    *fits = false;
    if (status == INCISE_ERROR_MEMORY)
        return inc_fail_memory(probe->lowering->ctx, (size_t)(length * length), "a mask's proof");
    if (status != INCISE_OK) return INCISE_OK;
    *fits = is_mask_shape(&mask, length);
    if (*fits && first) guess(&mask, length, form);
    if (*fits) *fits = agrees(&mask, length, form);
    inc_tensor_release(probe->lowering->ctx, &mask);
    return INCISE_OK;
}

enum incise_status inc_mask_prove(struct inc_lowering *lowering, const struct inc_value *value, bool *proved,
                                  struct inc_mask_form *form)
{
    struct probe probe = {.lowering = lowering, .value = value};
    *proved = false;
    memset(form, 0, sizeof *form);
    if (!scan_structure(&probe)) return INCISE_OK;
    form->padding = probe.padding;
    probe.longest = 24;
    for (size_t i = 0; i < probe.n_constants; i++)
        if (probe.constants[i] + 13 > probe.longest) probe.longest = probe.constants[i] + 13;
    int64_t bound = lowering->graph->symbols[lowering->sequence.symbol].max;
    if (bound > 0 && bound < probe.longest) probe.longest = bound;
    bool fits;
    INC_TRY(probe_length(&probe, probe.longest, true, &fits, form));
    for (int64_t length = 1; length <= 9 && fits; length++) INC_TRY(probe_length(&probe, length, false, &fits, form));
    for (size_t i = 0; i < probe.n_constants && fits; i++)
        for (int64_t off = -1; off <= 2 && fits; off++)
            INC_TRY(probe_length(&probe, probe.constants[i] + off, false, &fits, form));
    *proved = fits;
    return INCISE_OK;
}
