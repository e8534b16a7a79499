/* SPDX-License-Identifier: Apache-2.0 */
/* needs: folded constants. gives: LayerNorm(x[, gamma[, beta]]) for MVN over the channels with its scale and shift, and
 * RMSNorm(x[, gamma]) for x / sqrt(mean(x^2) + eps) written out in ops. */
#include "lower/match.h"
#include "lower/passes.h"

/* ---- LayerNorm ------------------------------------------------------------------------------------------------- */

static bool is_channel_mvn(const struct inc_node *node)
{
    int64_t axis;
    if (node->op != INC_OP_MVN || inc_const_ints(node->inputs[1], &axis, 1) != 1) return false;
    if (axis != -1 && axis != node->inputs[0]->shape.rank - 1) return false;
    return inc_attr_bool(node, "normalize_variance") && inc_attr_string(node, "eps_mode")[0] == 'I';
}

/* The only reader of `value` if it is `op` with a channel vector as its other operand; then *vector is that. */
static struct inc_node *scaled_by_vector(const struct inc_value *value, enum inc_op op, struct inc_value **vector)
{
    struct inc_value *variable;
    if (value->n_uses != 1 || value->uses[0].node->op != op) return NULL;
    struct inc_node *reader = value->uses[0].node;
    if (!inc_split_constant(reader, &variable, vector) || variable != value) return NULL;
    return inc_const_vector(*vector, value) ? reader : NULL;
}

static enum incise_status fuse_layer_norm(struct inc_lowering *lowering, struct inc_node *mvn)
{
    struct inc_value *inputs[3] = {mvn->inputs[0], NULL, NULL};
    uint32_t n_inputs = 1;
    struct inc_node *last = mvn;
    struct inc_node *scale = scaled_by_vector(&last->outputs[0], INC_OP_MULTIPLY, &inputs[1]);
    if (scale != NULL) {
        last = scale;
        n_inputs = 2;
        struct inc_node *shift = scaled_by_vector(&last->outputs[0], INC_OP_ADD, &inputs[2]);
        if (shift != NULL) {
            last = shift;
            n_inputs = 3;
        }
    }
    struct inc_node *norm = inc_fuse(lowering, INC_OP_LAYER_NORM, inputs, n_inputs, &last->outputs[0]);
    if (norm == NULL) return INCISE_ERROR_MEMORY;
    inc_attr_set_float(norm, "eps", inc_attr_float(mvn, "eps"));
    return INCISE_OK;
}

/* ---- RMSNorm --------------------------------------------------------------------------------------------------- */

/* mean over the channels of x^2 */
static bool is_mean_square(const struct inc_value *value, struct inc_value **x)
{
    const struct inc_node *mean = inc_made_by(value, INC_OP_REDUCE_MEAN);
    return mean != NULL && inc_attr_bool(mean, "keep_dims") &&
           inc_reduces_axis(mean, mean->inputs[0]->shape.rank - 1) && inc_is_square(mean->inputs[0], x);
}

/* sqrt(mean(x^2) + eps) */
static bool is_rms(const struct inc_value *value, struct inc_value **x, double *eps)
{
    struct inc_value *mean, *constant;
    const struct inc_node *root = inc_made_by(value, INC_OP_SQRT);
    const struct inc_node *sum = root == NULL ? NULL : inc_made_by(root->inputs[0], INC_OP_ADD);
    return sum != NULL && inc_split_constant(sum, &mean, &constant) && inc_const_scalar(constant, eps) &&
           is_mean_square(mean, x);
}

/* x / rms(x) as one node: x * (1 / rms), x * rms^-1 or x / rms. */
static bool is_normalized(const struct inc_node *node, struct inc_value **x, double *eps)
{
    double number;
    if (node->op == INC_OP_DIVIDE) return is_rms(node->inputs[1], x, eps) && *x == node->inputs[0];
    if (node->op != INC_OP_MULTIPLY) return false;
    for (int i = 0; i < 2; i++) {
        const struct inc_node *inverse = node->inputs[i]->node;
        struct inc_value *root = NULL;
        if (inverse->op == INC_OP_DIVIDE && inc_const_scalar(inverse->inputs[0], &number) && number == 1.0)
            root = inverse->inputs[1];
        else if (inverse->op == INC_OP_POWER && inc_const_scalar(inverse->inputs[1], &number) && number == -1.0)
            root = inverse->inputs[0];
        if (root != NULL && is_rms(root, x, eps) && *x == node->inputs[1 - i]) return true;
    }
    return false;
}

static enum incise_status fuse_rms_norm(struct inc_lowering *lowering, struct inc_node *node, struct inc_value *x,
                                        double eps)
{
    struct inc_value *inputs[2] = {x, NULL};
    struct inc_node *scale = scaled_by_vector(&node->outputs[0], INC_OP_MULTIPLY, &inputs[1]);
    struct inc_value *last = scale != NULL ? &scale->outputs[0] : &node->outputs[0];
    struct inc_node *norm = inc_fuse(lowering, INC_OP_RMS_NORM, inputs, scale != NULL ? 2 : 1, last);
    if (norm == NULL) return INCISE_ERROR_MEMORY;
    inc_attr_set_float(norm, "eps", eps);
    return INCISE_OK;
}

enum incise_status inc_pass_fuse_norm(struct inc_lowering *lowering)
{
    inc_mark_body(lowering->graph);
    for (struct inc_node *node = lowering->graph->first; node != NULL; node = node->next) {
        struct inc_value *x;
        double eps;
        if (node->mark != 1) continue;
        if (is_channel_mvn(node))
            INC_TRY(fuse_layer_norm(lowering, node));
        else if (is_normalized(node, &x, &eps))
            INC_TRY(fuse_rms_norm(lowering, node, x, eps));
    }
    return INCISE_OK;
}
