/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/activation.h"

#include <string.h>

static const char *const act_names[] = {"relu", "gelu_erf", "gelu_tanh", "silu", "tanh", "sigmoid", "none"};

const char *inc_act_name(enum inc_act act)
{
    return act_names[act];
}

bool inc_act_parse(const char *name, enum inc_act *act)
{
    for (size_t i = 0; i < sizeof act_names / sizeof act_names[0]; i++) {
        if (strcmp(name, act_names[i]) != 0) continue;
        *act = (enum inc_act)i;
        return true;
    }
    return false;
}

bool inc_activation_of(const struct inc_node *node, enum inc_act *act)
{
    switch (node->op) {
    case INC_OP_RELU: *act = INC_ACT_RELU; return true;
    case INC_OP_TANH: *act = INC_ACT_TANH; return true;
    case INC_OP_SIGMOID: *act = INC_ACT_SIGMOID; return true;
    case INC_OP_GELU2: *act = INC_ACT_GELU_ERF; return true;
    case INC_OP_GELU:
        *act = strcmp(inc_attr_string(node, "approximation_mode"), "TANH") == 0 ? INC_ACT_GELU_TANH : INC_ACT_GELU_ERF;
        return true;
    case INC_OP_SWISH: *act = INC_ACT_SILU; return node->n_inputs == 1; /* with a beta it stays as it is */
    default: return false;
    }
}
