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

static enum incise_status prove_once(struct inc_lowering *lowering, struct proofs *proofs, const struct inc_value *value,
                                     const struct proof **result)
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

/* All padding comes from one input, or padded rows could not be dropped. */
static bool take_padding(struct inc_lowering *lowering, const struct inc_node *former,
                         struct inc_node *padding)
{
    if (former == NULL) lowering->mask = padding;
    return lowering->mask == padding;
}

static enum incise_status fuse(struct inc_lowering *lowering, struct proofs *proofs, struct inc_node *node,
                               const struct inc_node **first)
{
    double scale;
    struct inc_mask_form form = {0};
    bool biased = false;
    if (!attention_scale(node, &scale))
        return inc_lower_refuse(lowering, "'%s': the scale is not a constant", node->name);
    form.causal = inc_attr_bool(node, "causal");
    if (!form.causal && node->n_inputs >= 4) {
        const struct proof *proof;
        double none;
        if (!(inc_const_scalar(node->inputs[3], &none) && none == 0)) {
            INC_TRY(prove_once(lowering, proofs, node->inputs[3], &proof));
            biased = !proof->proved;
            if (proof->proved) form = proof->form;
        }
    }
    if (biased && node->inputs[3]->node->mark == 1)
        return inc_lower_refuse(lowering, "'%s': its mask depends on activations", node->name);
    if (!take_padding(lowering, *first, form.padding))
        return inc_lower_refuse(lowering, "'%s': attention layers take padding from different inputs", node->name);
    *first = node;
    struct inc_node *fused =
        inc_fuse(lowering, INC_OP_ATTENTION, node->inputs, biased ? 4 : 3, &node->outputs[0]);
    if (fused == NULL) return INCISE_ERROR_MEMORY;
    inc_attr_set_float(fused, "scale", scale);
    inc_attr_set_bool(fused, "causal", form.causal);
    inc_attr_set_int(fused, "window", form.window);
    return INCISE_OK;
}

enum incise_status inc_pass_fuse_attention(struct inc_lowering *lowering)
{
    struct proofs proofs = {0};
    const struct inc_node *first = NULL;
    enum incise_status status = INCISE_OK;
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL && status == INCISE_OK; node = node->next)
        if (node->op == INC_OP_SDPA && lowering->reason[0] == '\0') {
            status = fuse(lowering, &proofs, node, &first);
            inc_mark_body(lowering->graph);
        }
    inc_free(lowering->ctx, proofs.items);
    return status;
}
