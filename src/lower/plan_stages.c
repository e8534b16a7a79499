/* SPDX-License-Identifier: Apache-2.0 */
/* Which consecutive steps a device may run as one (inc_device_ops.run). */
#include <string.h>

#include "lower/plan_internal.h"

/* Whether row r of the step's output depends on rows r of its inputs only. */
static bool is_row_wise(const struct inc_step *step)
{
    switch (step->op) {
    case INC_OP_LINEAR:
    case INC_OP_LAYER_NORM:
    case INC_OP_RMS_NORM:
    case INC_OP_ROPE:
    case INC_OP_GATED_ACT:
    case INC_OP_EMBEDDING_GATHER:
    case INC_OP_NORMALIZE_L2:
    case INC_OP_QUANTIZE_ROWS:
    case INC_OP_ROWWISE: return true;
    default: return false;
    }
}

static bool reads(const struct inc_step *step, uint32_t buffer)
{
    for (uint32_t i = 0; i < step->n_in; i++)
        if (step->in[i].buffer == buffer) return true;
    return false;
}

static bool same_rows(const struct inc_operand *a, const struct inc_operand *b)
{
    return a->buffer == b->buffer && a->column == b->column;
}

/* Moves a Linear up behind the last one that reads the same rows, if what lies between makes none of its inputs: query,
 * key and value, with what each does to its rows in between, come to stand together. */
static void gather_linear(struct inc_plan *plan, size_t index)
{
    struct inc_step step = plan->steps[index];
    for (size_t i = index; i-- > 0 && !reads(&step, plan->steps[i].out.buffer);) {
        const struct inc_step *other = &plan->steps[i];
        if (other->op != INC_OP_LINEAR || !same_rows(&other->in[0], &step.in[0])) continue;
        memmove(&plan->steps[i + 2], &plan->steps[i + 1], (index - i - 1) * sizeof step);
        plan->steps[i + 1] = step;
        return;
    }
}

/* The stage that ends before a step. */
struct open_stage {
    size_t linears, n_linears; /* its Linears are steps [linears, linears + n_linears) */
};

/* Whether step `index` may become part of the stage of the step before it. */
static bool joins(const struct inc_plan *plan, const struct open_stage *stage, size_t index)
{
    const struct inc_step *step = &plan->steps[index], *before = step - 1;
    if (!is_row_wise(step) || !is_row_wise(before) || step->domain != before->domain) return false;
    if (step->op != INC_OP_LINEAR || stage->n_linears == 0) return true;
    if (before->op != INC_OP_LINEAR || !same_rows(&before->in[0], &step->in[0])) return false;
    for (size_t i = stage->linears; i < index; i++)
        if (reads(step, plan->steps[i].out.buffer)) return false;
    return true;
}

void inc_plan_group_steps(struct inc_plan *plan)
{
    struct open_stage stage = {0};
    for (size_t i = 1; i < plan->n_steps; i++)
        if (plan->steps[i].op == INC_OP_LINEAR) gather_linear(plan, i);
    for (size_t i = 0; i < plan->n_steps; i++) {
        bool joined = i > 0 && joins(plan, &stage, i);
        if (!joined) stage.n_linears = 0;
        plan->steps[i].stage = i == 0 ? 0 : plan->steps[i - 1].stage + !joined;
        if (plan->steps[i].op == INC_OP_LINEAR && stage.n_linears++ == 0) stage.linears = i;
    }
}
