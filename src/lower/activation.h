/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_LOWER_ACTIVATION_H
#define INC_LOWER_ACTIVATION_H

#include "lower/lower.h"

/* Whether a file op is one of the activations that devices know. */
bool inc_activation_of(const struct inc_node *node, enum inc_act *act);

#endif
