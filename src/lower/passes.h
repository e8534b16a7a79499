/* SPDX-License-Identifier: Apache-2.0 */
/* The passes, each in its own file. A pass leaves a valid graph in topological order with shapes set. */
#ifndef INC_LOWER_PASSES_H
#define INC_LOWER_PASSES_H

#include "lower/lower.h"

inc_pass_fn inc_pass_unify_inputs, inc_pass_fold_constants, inc_pass_split_shapes, inc_pass_fuse_embedding,
    inc_pass_fuse_norm, inc_pass_fuse_rope, inc_pass_compose_attention, inc_pass_fuse_attention, inc_pass_fuse_linear,
    inc_pass_fuse_gated, inc_pass_fuse_epilogue,
    inc_pass_compose_normalize, inc_pass_fuse_pool;

#endif
