/* SPDX-License-Identifier: Apache-2.0 */
/* needs: folded constants, split shapes. gives: Attention(q, k, v[, bias]) with its mask as attributes where that is
 * proved (mask.h); lowering->mask is then the input whose zeros are padding. */
#include <math.h>
#include <string.h>

#include "lower/mask.h"
#include "lower/match.h"
#include "lower/passes.h"

/* Masks are shared by layers: each is proved once. */
struct proof {
    const struct inc_value *value;
    bool proved;
    struct inc_mask_form form;
};

struct proofs {
    struct proof *items;
    size_t n, capacity;
};

static enum incise_status prove_once(struct inc_lowering *lowering, struct proofs *proofs,
                                     const struct inc_value *value, const struct proof **result)
{
    for (size_t i = 0; i < proofs->n; i++)
        if (proofs->items[i].value == value) {
            *result = &proofs->items[i];
            return INCISE_OK;
        }
    INC_TRY(inc_grow(lowering->ctx, (void **)&proofs->items, &proofs->capacity, proofs->n, sizeof *proofs->items));
    struct proof *proof = &proofs->items[proofs->n];
    proof->value = value;
    INC_TRY(inc_mask_prove(lowering, value, &proof->proved, &proof->form));
    proofs->n++;
    *result = proof;
    return INCISE_OK;
}

static bool attention_scale(const struct inc_node *node, double *scale)
{
    if (node->n_inputs == 5) return inc_const_scalar(node->inputs[4], scale);
    int64_t width = inc_last_dim(node->inputs[0]);
    *scale = width > 0 ? 1.0 / sqrt((double)width) : 0;
    return width > 0;
}

/* What the node's mask lets through; *proved is false if only evaluating it tells. One side of a sum may be proved
 * alone: *bias is then the other side, else NULL. */
static enum incise_status form_of(struct inc_lowering *lowering, struct proofs *proofs, const struct inc_node *node,
                                  bool *proved, struct inc_mask_form *form, struct inc_value **bias)
{
    const struct proof *proof;
    double number;
    *proved = true;
    *bias = NULL;
    *form = (struct inc_mask_form){.causal = inc_attr_bool(node, "causal")};
    if (form->causal || node->n_inputs < 4) return INCISE_OK;
    const struct inc_value *mask = node->inputs[3];
    const struct inc_node *sum = inc_made_by(mask, INC_OP_ADD);
    if (inc_type_is_float(mask->type) && inc_const_scalar(mask, &number) && number == 0) return INCISE_OK;
    INC_TRY(prove_once(lowering, proofs, mask, &proof));
    for (int i = 0; i < 2 && sum != NULL && !proof->proved; i++) {
        INC_TRY(prove_once(lowering, proofs, sum->inputs[i], &proof));
        if (proof->proved) *bias = sum->inputs[1 - i];
    }
    *proved = proof->proved;
    *form = proof->form;
    return INCISE_OK;
}

/* Padded rows are dropped if every attention hides them, and by the same input. */
static enum incise_status find_padding(struct inc_lowering *lowering, struct proofs *proofs)
{
    const struct inc_node *former = NULL;
    for (const struct inc_node *node = lowering->graph->first; node != NULL; node = node->next) {
        struct inc_mask_form form;
        struct inc_value *bias;
        bool proved;
        if (node->op != INC_OP_SDPA) continue;
        INC_TRY(form_of(lowering, proofs, node, &proved, &form, &bias));
        if (!proved || form.padding == NULL || (former != NULL && form.padding != lowering->mask)) {
            lowering->mask = NULL;
            return INCISE_OK;
        }
        lowering->mask = form.padding;
        former = node;
    }
    return INCISE_OK;
}

static enum incise_status fuse(struct inc_lowering *lowering, struct proofs *proofs, struct inc_node *node)
{
    double scale;
    struct inc_mask_form form;
    struct inc_value *bias;
    bool proved;
    if (!attention_scale(node, &scale))
        return inc_lower_refuse(lowering, "'%s': the scale is not a constant", node->name);
    INC_TRY(form_of(lowering, proofs, node, &proved, &form, &bias));
    if (!proved || form.padding != lowering->mask) { /* all of the mask is added */
        form = (struct inc_mask_form){0};
        bias = node->inputs[3];
    }
    if (bias != NULL && bias->node->mark == 1)
        return inc_lower_refuse(lowering, "'%s': its mask depends on activations", node->name);
    struct inc_value *inputs[] = {node->inputs[0], node->inputs[1], node->inputs[2], bias};
    struct inc_node *fused = inc_fuse(lowering, INC_OP_ATTENTION, inputs, bias != NULL ? 4 : 3, &node->outputs[0]);
    if (fused == NULL) return INCISE_ERROR_MEMORY;
    inc_attr_set_float(fused, "scale", scale);
    inc_attr_set_bool(fused, "causal", form.causal);
    inc_attr_set_int(fused, "window", form.window);
    return INCISE_OK;
}

enum incise_status inc_pass_fuse_attention(struct inc_lowering *lowering)
{
    struct proofs proofs = {0};
    inc_mark_body(lowering->graph);
    enum incise_status status = find_padding(lowering, &proofs);
    for (struct inc_node *node = lowering->graph->first; node != NULL && status == INCISE_OK; node = node->next)
        if (node->op == INC_OP_SDPA && lowering->reason[0] == '\0') {
            status = fuse(lowering, &proofs, node);
            inc_mark_body(lowering->graph);
        }
    inc_free(lowering->ctx, proofs.items);
    return status;
}
