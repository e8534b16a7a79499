/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluators that are not written yet: they refuse. */
#include "graph/eval_ref/eval_internal.h"

#define REFUSE(name)                                                                            \
    enum incise_status inc_eval_##name(struct inc_eval *eval, struct inc_node *node)            \
    {                                                                                           \
        return inc_node_fail(eval->scratch_graph, node, "the reference evaluator lacks it");    \
    }
REFUSE(parameter) REFUSE(constant) REFUSE(result)    
      
    REFUSE(shape_of) REFUSE(reshape)
REFUSE(transpose) REFUSE(squeeze) REFUSE(unsqueeze) REFUSE(concat) REFUSE(split) REFUSE(variadic_split) REFUSE(slice)
REFUSE(strided_slice) REFUSE(gather) REFUSE(broadcast) REFUSE(tile) REFUSE(pad) REFUSE(range) REFUSE(fused)
