/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_LOWER_MASK_H
#define INC_LOWER_MASK_H

#include "lower/lower.h"

/* visible(b, i, j) = (padding == NULL || padding[b, j] != 0) && (!causal || j <= i) && (window == 0 || |i - j| <
 * window) */
struct inc_mask_form {
    struct inc_node *padding; /* Parameter, or NULL */
    bool causal;
    uint32_t window;
};

/* Tries to prove that attention mask `value` ([B or 1, 1, S, S] of the index part, boolean or additive) has such a
 * form. Structure first: the value must depend on the contents of at most one input, and on shapes. Then the value is
 * evaluated with the reference evaluator at lengths around every constant of its sub-graph, with full and with holed
 * padding, and must agree everywhere. */
enum incise_status inc_mask_prove(struct inc_lowering *lowering, const struct inc_value *value, bool *proved,
                                  struct inc_mask_form *form) __attribute__((warn_unused_result));

#endif
