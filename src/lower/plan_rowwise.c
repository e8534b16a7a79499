/* SPDX-License-Identifier: Apache-2.0 */
/* File ops that stay between the fused ones: element-wise on rows, with a constant or with other rows. */
#include "lower/activation.h"
#include "lower/match.h"
#include "lower/plan_internal.h"

enum shape_of_op { NOT_ROWWISE, UNARY, BINARY, FAKE_QUANTIZE, ALIAS };

static enum shape_of_op classify(const struct inc_node *node)
{
    switch (node->op) {
    case INC_OP_ABS:
    case INC_OP_NEGATIVE:
    case INC_OP_SQRT:
    case INC_OP_EXP:
    case INC_OP_LOG:
    case INC_OP_ERF:
    case INC_OP_TANH:
    case INC_OP_SIGMOID:
    case INC_OP_RELU:
    case INC_OP_GELU:
    case INC_OP_GELU2:
    case INC_OP_CLAMP: return UNARY;
    case INC_OP_SWISH: return node->n_inputs == 1 ? UNARY : NOT_ROWWISE;
    case INC_OP_ADD:
    case INC_OP_SUBTRACT:
    case INC_OP_MULTIPLY:
    case INC_OP_DIVIDE:
    case INC_OP_MINIMUM:
    case INC_OP_MAXIMUM:
    case INC_OP_POWER: return BINARY;
    case INC_OP_FAKE_QUANTIZE: return FAKE_QUANTIZE;
    case INC_OP_CONVERT: return inc_type_is_float(node->outputs[0].type) ? ALIAS : NOT_ROWWISE;
    default: return NOT_ROWWISE;
    }
}

/* Element of broadcast constant `data` for the channel at logical position `index` (aligned from the right). */
static size_t constant_index(const struct inc_tensor *data, const int64_t *index, int rank)
{
    size_t at = 0;
    for (int i = 0; i < data->rank; i++) {
        int64_t k = data->dims[i] == 1 ? 0 : index[rank - data->rank + i];
        at = at * (size_t)data->dims[i] + (size_t)k;
    }
    return at;
}

/* Whether the constant broadcasts over rows of `view`: 1 along batch and length, and no larger than the view. */
static bool is_row_constant(const struct inc_view *view, const struct inc_tensor *data)
{
    if (data->rank > view->rank || !inc_type_is_float(data->type)) return false;
    for (int i = 0; i < data->rank; i++) {
        const struct inc_axis *axis = &view->axes[view->rank - data->rank + i];
        int64_t size = axis->n == 1 && axis->factors[0].kind == INC_FACTOR_CHANNEL ? axis->factors[0].size : 1;
        if (data->dims[i] != 1 && data->dims[i] != size) return false;
    }
    return true;
}

/* Spreads a constant over the columns of the dense view: 1 or `width` floats in *out. */
static enum incise_status spread(struct inc_planner *planner, const struct inc_node *node, const struct inc_view *view,
                                 const struct inc_value *constant, int64_t width, bool force_width, float *out,
                                 size_t *n)
{
    const struct inc_tensor *data = inc_const_of(constant);
    if (data == NULL || !is_row_constant(view, data))
        return inc_plan_refuse_op(planner, node, "has an operand that is neither rows nor a constant per channel");
    *n = inc_tensor_elements(data) == 1 && !force_width ? 1 : (size_t)width;
    for (size_t c = 0; c < *n; c++) {
        int64_t index[INC_MAX_RANK] = {0};
        size_t rest = c;
        for (int i = view->rank - 1; i >= 0; i--) {
            const struct inc_axis *axis = &view->axes[i];
            if (axis->n != 1 || axis->factors[0].kind != INC_FACTOR_CHANNEL) continue;
            index[i] = (int64_t)(rest % (size_t)axis->factors[0].size);
            rest /= (size_t)axis->factors[0].size;
        }
        out[c] = (float)inc_tensor_get_f64(data, constant_index(data, index, view->rank));
    }
    return INCISE_OK;
}

/* The constant operands from input `first` on, each spread alike, one after the other. */
static enum incise_status spread_all(struct inc_planner *planner, const struct inc_node *node,
                                     const struct inc_view *view, struct inc_value *const *constants, uint32_t count,
                                     int64_t width, struct inc_rowwise_step *step)
{
    bool wide = false;
    for (uint32_t i = 0; i < count; i++)
        wide = wide || (inc_const_of(constants[i]) != NULL && inc_tensor_elements(inc_const_of(constants[i])) > 1);
    size_t n = wide ? (size_t)width : 1;
    float *floats = inc_arena_alloc(&planner->lowering->graph->arena, n * count, sizeof *floats);
    if (floats == NULL) return inc_fail_memory(planner->lowering->ctx, n * count * sizeof *floats, node->name);
    for (uint32_t i = 0; i < count; i++)
        INC_TRY(spread(planner, node, view, constants[i], width, wide, floats + i * n, &step->n_constant));
    step->constant = floats;
    return INCISE_OK;
}

static enum incise_status fill_binary(struct inc_planner *planner, const struct inc_node *node,
                                      const struct inc_view *x, int64_t width, uint32_t which, struct inc_step *step)
{
    struct inc_value *other = node->inputs[1 - which];
    step->u.rowwise.swapped = which == 1;
    if (other->node->mark != 1) return spread_all(planner, node, x, &other, 1, width, &step->u.rowwise);
    const struct inc_view *y = inc_view_of(other);
    if (!inc_views_match(x, y)) return inc_plan_refuse_op(planner, node, "has operands of different layouts");
    step->in[step->n_in++] = (struct inc_operand){y->buffer, (uint32_t)y->column};
    return INCISE_OK;
}

/* Which operand has the larger logical rank or more factors: the output's layout. */
static uint32_t leading_operand(const struct inc_node *node)
{
    if (node->n_inputs != 2 || node->inputs[1]->node->mark != 1) return 0;
    if (node->inputs[0]->node->mark != 1) return 1;
    const struct inc_view *a = inc_view_of(node->inputs[0]), *b = inc_view_of(node->inputs[1]);
    int factors_a = 0, factors_b = 0;
    for (int i = 0; i < a->rank; i++) factors_a += a->axes[i].n;
    for (int i = 0; i < b->rank; i++) factors_b += b->axes[i].n;
    return b->rank > a->rank || (b->rank == a->rank && factors_b > factors_a);
}

/* Whether `node` adds rows to what the last step, an RMSNorm, makes for it alone; *norm is then that input. */
static bool adds_to_norm(const struct inc_plan *plan, const struct inc_node *node, uint32_t *norm)
{
    const struct inc_step *last = plan->n_steps ? &plan->steps[plan->n_steps - 1] : NULL;
    if (node->op != INC_OP_ADD || last == NULL || last->op != INC_OP_RMS_NORM || last->n_in > 1) return false;
    for (*norm = 0; *norm < 2 && node->inputs[*norm]->node != last->node;) ++*norm;
    if (*norm == 2 || node->inputs[*norm]->n_uses != 1 || node->inputs[1 - *norm]->node->mark != 1) return false;
    return inc_views_match(inc_view_of(node->inputs[*norm]), inc_view_of(node->inputs[1 - *norm]));
}

/* The rows of the other input become the norm's residual; its output is laid out like input `leading`. */
static void add_to_norm(const struct inc_plan *plan, struct inc_node *node, uint32_t norm, uint32_t leading)
{
    struct inc_step *step = &plan->steps[plan->n_steps - 1];
    const struct inc_view *residual = inc_view_of(node->inputs[1 - norm]);
    struct inc_view *view = inc_view_of(&node->outputs[0]);
    step->in[step->n_in++] = (struct inc_operand){residual->buffer, (uint32_t)residual->column};
    *view = *inc_view_of(node->inputs[leading]);
    view->buffer = step->out.buffer;
    view->column = step->out.column;
}

enum incise_status inc_plan_rowwise(struct inc_planner *planner, struct inc_node *node)
{
    enum shape_of_op kind = classify(node);
    uint32_t which = leading_operand(node), norm, buffer;
    int64_t width;
    if (kind == NOT_ROWWISE) return inc_plan_refuse_op(planner, node, "is not row-wise");
    if (adds_to_norm(planner->plan, node, &norm)) {
        add_to_norm(planner->plan, node, norm, which);
        return INCISE_OK;
    }
    if (node->inputs[which]->node->mark != 1) return inc_plan_refuse_op(planner, node, "does not read token rows");
    const struct inc_view *x = inc_view_of(node->inputs[which]);
    if (kind == ALIAS) {
        *inc_view_of(&node->outputs[0]) = *x;
        return INCISE_OK;
    }
    if (!inc_view_is_dense(x, &width)) return inc_plan_refuse_op(planner, node, "reads channels that are not dense");
    INC_TRY(inc_plan_output_like(planner, node, x, width, &buffer));
    struct inc_step *step = inc_plan_add_step(planner, INC_OP_ROWWISE, node);
    if (step == NULL) return INCISE_ERROR_MEMORY;
    step->in[step->n_in++] = (struct inc_operand){x->buffer, (uint32_t)x->column};
    step->out = (struct inc_operand){buffer, 0};
    step->width = (uint32_t)width;
    step->u.rowwise.op = node->op;
    if (!inc_activation_of(node, &step->u.rowwise.act)) step->u.rowwise.act = INC_ACT_NONE;
    if (node->op == INC_OP_CLAMP) {
        step->u.rowwise.low = inc_attr_float(node, "min");
        step->u.rowwise.high = inc_attr_float(node, "max");
    }
    if (kind == BINARY) return fill_binary(planner, node, x, width, which, step);
    if (kind != FAKE_QUANTIZE) return INCISE_OK;
    step->u.rowwise.levels = inc_attr_int(node, "levels");
    return spread_all(planner, node, x, node->inputs + 1, 4, width, &step->u.rowwise);
}
