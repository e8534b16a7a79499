/* SPDX-License-Identifier: Apache-2.0 */
/* needs: Linear fused. gives: GatedAct(gate, up) for act(gate) * up (GeGLU, SwiGLU). */
#include "lower/activation.h"
#include "lower/match.h"
#include "lower/passes.h"

enum incise_status inc_pass_fuse_gated(struct inc_lowering *lowering)
{
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next) {
        if (node->op != INC_OP_MULTIPLY) continue;
        for (int i = 0; i < 2; i++) {
            enum inc_act act;
            struct inc_node *activation = node->inputs[i]->node;
            struct inc_value *inputs[2] = {activation->n_inputs > 0 ? activation->inputs[0] : NULL,
                                           node->inputs[1 - i]};
            if (activation->mark != 1 || inputs[1]->node->mark != 1 || !inc_activation_of(activation, &act)) continue;
            struct inc_node *gated = inc_fuse(lowering, INC_OP_GATED_ACT, inputs, 2, &node->outputs[0]);
            if (gated == NULL) return INCISE_ERROR_MEMORY;
            gated->mark = 1;
            INC_TRY(inc_attr_set_string(lowering->graph, gated, "act", inc_act_name(act)));
            break;
        }
    }
    return INCISE_OK;
}
