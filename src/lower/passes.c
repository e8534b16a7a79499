/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered list of passes, and what runs it. */
#include "lower/passes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

const struct inc_pass inc_passes[] = {
    {"unify-inputs", inc_pass_unify_inputs},     /* one symbol for batch, one for length */
    {"fold-constants", inc_pass_fold_constants}, /* small constant arithmetic, never a weight's decompression */
    {"split-shapes", inc_pass_split_shapes},     /* shapes of body values become shapes of inputs: the index part */
    {"fuse-embedding", inc_pass_fuse_embedding},
    {"fuse-norm", inc_pass_fuse_norm},
    {"fuse-rope", inc_pass_fuse_rope},
    {"compose-attention", inc_pass_compose_attention}, /* MatMul, SoftMax, MatMul */
    {"fuse-attention", inc_pass_fuse_attention},       /* and proves masks */
    {"fuse-pool", inc_pass_fuse_pool},                 /* needs to know the padding */
    {"compose-normalize", inc_pass_compose_normalize},
    {"fuse-linear", inc_pass_fuse_linear},
    {"fuse-gated", inc_pass_fuse_gated},
    {"fuse-epilogue", inc_pass_fuse_epilogue},
};
const size_t inc_n_passes = sizeof inc_passes / sizeof inc_passes[0];

enum incise_status inc_lower_refuse(struct inc_lowering *lowering, const char *format, ...)
{
    if (lowering->reason[0] != '\0') return INCISE_OK;
    va_list args;
    va_start(args, format);
    vsnprintf(lowering->reason, sizeof lowering->reason, format, args);
    va_end(args);
    return INCISE_OK;
}

enum incise_status inc_lower_run(struct inc_lowering *lowering, const char *dump_after, struct inc_buffer *dump)
{
    for (size_t i = 0; i < inc_n_passes && lowering->reason[0] == '\0'; i++) {
        INC_TRY(inc_passes[i].run(lowering));
        inc_graph_remove_dead(lowering->graph);
#ifndef NDEBUG
        INC_TRY(inc_graph_verify(lowering->graph));
#endif
        if (dump_after != NULL && strcmp(dump_after, inc_passes[i].name) == 0)
            INC_TRY(inc_graph_dump(lowering->graph, false, dump));
    }
    return INCISE_OK;
}
