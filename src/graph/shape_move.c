/* SPDX-License-Identifier: Apache-2.0 */
/* Shape rules of the graph's ends and of ops that reorder, join and repeat data. */
#include "base/size.h"
#include "graph/shape_rules.h"

SHAPE_RULE(parameter)
{
    const struct inc_attr *shape = inc_node_attr(node, "shape");
    return inc_rule_set(infer, node, 0, inc_attr_type(node, "element_type"), &shape->u.shape, NULL);
}

SHAPE_RULE(constant)
{
    const struct inc_tensor *data = &node->data;
    struct inc_shape shape = {.rank = data->rank};
    struct inc_dim elements[INC_MAX_KNOWN];
    size_t n;
    for (int i = 0; i < data->rank; i++) shape.dims[i] = inc_dim_const(data->dims[i]);
    bool known = inc_shape_count(&shape, &n) && n <= INC_MAX_KNOWN && data->data && !inc_type_is_float(data->type);
    for (size_t i = 0; known && i < n; i++) elements[i] = inc_dim_const(inc_tensor_get_i64(data, i));
    return inc_rule_set(infer, node, 0, data->type, &shape, known ? elements : NULL);
}

SHAPE_RULE(result)
{
    (void)infer;
    (void)node;
    return INCISE_OK;
}

SHAPE_RULE(shape_of)
{
    enum inc_type type = node->op == INC_OP_SHAPE_OF ? inc_attr_type(node, "output_type") : INC_I64;
    const struct inc_shape *in = &node->inputs[0]->shape;
    struct inc_shape out = {.rank = 1, .dims = {inc_dim_const(in->rank)}};
    if (type != INC_I64 && type != INC_I32)
        return inc_node_fail(infer->graph, node, "output_type %s is neither i64 nor i32", inc_type_name(type));
    return inc_rule_set(infer, node, 0, type, &out, in->dims);
}

/* ---- the same elements in another shape ------------------------------------------------------------------------ */

/* Output 0 has the elements of input 0, in order. */
static enum incise_status set_reshaped(struct inc_infer *infer, struct inc_node *node, const struct inc_shape *out)
{
    size_t n = 0, n_out = 0;
    const struct inc_dim *known = inc_rule_known(infer, node, 0, &n);
    bool same = known && inc_shape_count(out, &n_out) && n == n_out;
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, out, same ? known : NULL);
}

/* The dim that makes `out` (with 1 at its place) hold as many elements as `in`. Dims that both have are cancelled
 * first, so that products stay small. */
static enum incise_status solve_reshape(struct inc_infer *infer, struct inc_node *node, const struct inc_shape *in,
                                        struct inc_shape *out, int place)
{
    struct inc_shape above = *in, below = *out;
    for (int i = 0; i < above.rank; i++)
        for (int k = 0; k < below.rank; k++) {
            if (!inc_dim_equal(above.dims[i], below.dims[k]) || inc_dim_equal(above.dims[i], inc_dim_const(0)))
                continue;
            above.dims[i] = below.dims[k] = inc_dim_const(1);
        }
    struct inc_dim total = inc_shape_product(infer, &above, 0, above.rank);
    struct inc_dim rest = inc_shape_product(infer, &below, 0, below.rank);
    if (inc_dim_is_const(total) && inc_dim_is_const(rest)) {
        if (rest.value == 0 ? total.value != 0 : total.value % rest.value != 0)
            return inc_node_fail(infer->graph, node, "%lld elements do not fill rows of %lld", (long long)total.value,
                                 (long long)rest.value);
        out->dims[place] = inc_dim_const(rest.value == 0 ? 0 : total.value / rest.value);
        return INCISE_OK;
    }
    out->dims[place] = inc_dim_div(infer->graph, total, rest);
    return INCISE_OK;
}

/* Entry `i` of the pattern: a length, 0 to copy a dim, -1 (*place = i) for what is left. */
static enum incise_status reshape_dim(struct inc_infer *infer, struct inc_node *node, struct inc_dim entry, int i,
                                      struct inc_dim *dim, int *place)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    *dim = entry;
    if (!inc_dim_is_const(entry) || entry.value > 0) return INCISE_OK;
    if (entry.value == 0) {
        if (!inc_attr_bool(node, "special_zero")) return INCISE_OK;
        if (i >= in->rank) return inc_node_fail(infer->graph, node, "there is no dimension %d to copy", i);
        *dim = in->dims[i];
        return INCISE_OK;
    }
    if (entry.value != -1 || *place >= 0)
        return inc_node_fail(infer->graph, node, "the new shape has %s",
                             entry.value == -1 ? "two -1" : "a negative length");
    *dim = inc_dim_const(1);
    *place = i;
    return INCISE_OK;
}

SHAPE_RULE(reshape)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    struct inc_dim pattern[INC_MAX_RANK];
    int64_t length;
    size_t n = 0, n_in, n_out;
    INC_TRY(inc_rule_list(infer, node, 1, &length));
    if (length < 0) return inc_node_fail(infer->graph, node, "the rank of the result depends on data");
    if (length > INC_MAX_RANK)
        return inc_node_fail(infer->graph, node, "rank %lld is more than %d", (long long)length, INC_MAX_RANK);
    struct inc_shape out = {.rank = (int)length};
    if (!inc_rule_elements(infer, node, 1, pattern, INC_MAX_RANK, &n)) {
        for (int i = 0; i < out.rank; i++) out.dims[i] = inc_rule_unknown_dim(infer, node, 0, (size_t)i);
        return set_reshaped(infer, node, &out);
    }
    int place = -1;
    for (int i = 0; i < out.rank; i++) INC_TRY(reshape_dim(infer, node, pattern[i], i, &out.dims[i], &place));
    if (place >= 0) INC_TRY(solve_reshape(infer, node, in, &out, place));
    if (inc_shape_count(in, &n_in) && inc_shape_count(&out, &n_out) && n_in != n_out)
        return inc_node_fail(infer->graph, node, "%zu elements do not fill a shape of %zu", n_in, n_out);
    return set_reshaped(infer, node, &out);
}

SHAPE_RULE(unsqueeze)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    struct inc_shape out = {.rank = 0};
    int64_t length;
    unsigned axes;
    bool known;
    INC_TRY(inc_rule_list(infer, node, 1, &length));
    if (length < 0) return inc_node_fail(infer->graph, node, "the rank of the result depends on data");
    if (length > INC_MAX_RANK - in->rank)
        return inc_node_fail(infer->graph, node, "rank %lld is more than %d", (long long)length + in->rank,
                             INC_MAX_RANK);
    out.rank = in->rank + (int)length;
    INC_TRY(inc_rule_axes(infer, node, 1, out.rank, &axes, &known));
    if (!known) return inc_node_fail(infer->graph, node, "input 1 must be constant");
    for (int i = 0, k = 0; i < out.rank; i++) out.dims[i] = axes >> i & 1 ? inc_dim_const(1) : in->dims[k++];
    return set_reshaped(infer, node, &out);
}

/* Axes to remove when none are named: every dim of 1, which must be decidable. */
static enum incise_status ones(const struct inc_infer *infer, const struct inc_node *node, unsigned *axes)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    *axes = 0;
    for (int i = 0; i < in->rank; i++) {
        if (!inc_dim_is_const(in->dims[i]))
            return inc_node_fail(infer->graph, node, "the rank of the result depends on dimension %d", i);
        *axes |= (unsigned)(in->dims[i].value == 1) << i;
    }
    return INCISE_OK;
}

SHAPE_RULE(squeeze)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    bool may_skip = node->op == INC_OP_SQUEEZE15 && inc_attr_bool(node, "allow_axis_skip"), known = true;
    size_t n_axes;
    unsigned axes;
    if (node->n_inputs == 1 || (inc_shape_count(&node->inputs[1]->shape, &n_axes) && n_axes == 0))
        INC_TRY(ones(infer, node, &axes));
    else
        INC_TRY(inc_rule_axes(infer, node, 1, in->rank, &axes, &known));
    if (!known) return inc_node_fail(infer->graph, node, "input 1 must be constant");
    struct inc_shape out = {.rank = 0};
    for (int i = 0; i < in->rank; i++) {
        struct inc_dim dim = in->dims[i];
        bool is_1 = inc_dim_equal(dim, inc_dim_const(1)), named = axes >> i & 1;
        if (named && may_skip && !inc_dim_is_const(dim))
            return inc_node_fail(infer->graph, node, "the rank of the result depends on dimension %d", i);
        if (named && !is_1 && !may_skip && inc_dim_is_const(dim))
            return inc_node_fail(infer->graph, node, "dimension %d is %lld, not 1", i, (long long)dim.value);
        if (!named || (may_skip && !is_1)) out.dims[out.rank++] = dim;
    }
    return set_reshaped(infer, node, &out);
}

SHAPE_RULE(transpose)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    struct inc_dim order[INC_MAX_RANK];
    struct inc_shape out = {.rank = in->rank};
    int64_t length;
    size_t n = 0;
    unsigned seen = 0;
    INC_TRY(inc_rule_list(infer, node, 1, &length));
    if (length > 0 && length != in->rank)
        return inc_node_fail(infer->graph, node, "an order of %lld for rank %d", (long long)length, in->rank);
    bool known = inc_rule_elements(infer, node, 1, order, INC_MAX_RANK, &n);
    for (int i = 0; i < in->rank; i++) {
        int axis = in->rank - 1 - i; /* an empty order reverses */
        if (!known || (n > 0 && !inc_dim_is_const(order[i]))) {
            out.dims[i] = inc_rule_unknown_dim(infer, node, 0, (size_t)i);
            continue;
        }
        if (n > 0) INC_TRY(inc_rule_axis(infer, node, order[i].value, in->rank, &axis));
        if (seen >> axis & 1) return inc_node_fail(infer->graph, node, "axis %d is given twice", axis);
        seen |= 1u << axis;
        out.dims[i] = in->dims[axis];
    }
    if (in->rank < 2) return set_reshaped(infer, node, &out);
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, &out, NULL);
}

/* ---- joining --------------------------------------------------------------------------------------------------- */

/* Elements of the joined lists, those not known as symbols; false if nothing is known. */
static bool concat_elements(struct inc_infer *infer, const struct inc_node *node, const struct inc_shape *out,
                            struct inc_dim *elements)
{
    size_t total, at = 0;
    bool any = false;
    if (infer->data || inc_type_is_float(node->inputs[0]->type)) return false;
    if (out->rank != 1 || !inc_shape_count(out, &total) || total > INC_MAX_KNOWN) return false;
    for (uint32_t i = 0; i < node->n_inputs; i++) any |= node->inputs[i]->elements != NULL;
    for (uint32_t i = 0; any && i < node->n_inputs; i++) {
        const struct inc_dim *part = node->inputs[i]->elements;
        size_t n;
        if (!inc_shape_count(&node->inputs[i]->shape, &n) || n > total - at) return false;
        for (size_t k = 0; k < n; k++, at++)
            elements[at] = part ? part[k] : inc_rule_unknown_element(infer, node, 0, at);
    }
    return any && at == total;
}

SHAPE_RULE(concat)
{
    struct inc_shape out = node->inputs[0]->shape;
    struct inc_dim elements[INC_MAX_KNOWN];
    int axis;
    if (out.rank == 0) return inc_node_fail(infer->graph, node, "scalars cannot be joined");
    INC_TRY(inc_rule_axis(infer, node, inc_attr_int(node, "axis"), out.rank, &axis));
    for (uint32_t i = 1; i < node->n_inputs; i++) {
        const struct inc_shape *in = &node->inputs[i]->shape;
        INC_TRY(inc_rule_same_type(infer, node, 0, i));
        if (in->rank != out.rank)
            return inc_node_fail(infer->graph, node, "input %u has rank %d, input 0 has %d", (unsigned)i, in->rank,
                                 out.rank);
        for (int d = 0; d < out.rank; d++) {
            if (d == axis)
                out.dims[d] = inc_dim_add(infer->graph, out.dims[d], in->dims[d]);
            else if (!inc_dim_unify(out.dims[d], in->dims[d], &out.dims[d]))
                return inc_node_fail(infer->graph, node, "input %u has %lld in dimension %d, others have %lld",
                                     (unsigned)i, (long long)in->dims[d].value, d, (long long)out.dims[d].value);
        }
    }
    bool known = concat_elements(infer, node, &out, elements);
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, &out, known ? elements : NULL);
}

/* ---- repeating ------------------------------------------------------------------------------------------------- */

/* Output 0 repeats input 0, broadcast to `out`. */
static enum incise_status set_broadcast(struct inc_infer *infer, struct inc_node *node, const struct inc_shape *out)
{
    struct inc_dim elements[INC_MAX_KNOWN];
    size_t n_in, n = 0;
    const struct inc_dim *known = inc_rule_known(infer, node, 0, &n_in);
    bool fits = known && inc_shape_count(out, &n) && n <= INC_MAX_KNOWN;
    for (size_t i = 0; fits && i < n; i++) elements[i] = known[inc_shape_source(out, &node->inputs[0]->shape, i)];
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, out, fits ? elements : NULL);
}

/* Explicit mode: dim i of the data goes to dim axes[i] of the target. */
static enum incise_status check_mapping(struct inc_infer *infer, struct inc_node *node, const struct inc_shape *target)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    struct inc_dim axes[INC_MAX_RANK];
    size_t n;
    if (node->n_inputs < 3) return inc_node_fail(infer->graph, node, "mode explicit needs an axes mapping");
    INC_TRY(inc_rule_class(infer, node, 2, INC_CLASS_INTEGER));
    if (!inc_rule_elements(infer, node, 2, axes, INC_MAX_RANK, &n))
        return inc_node_fail(infer->graph, node, "input 2 must be constant");
    if (n != (size_t)in->rank) return inc_node_fail(infer->graph, node, "%zu axes for rank %d", n, in->rank);
    for (int i = 0, last = -1; i < in->rank; i++) {
        struct inc_dim both;
        if (!inc_dim_is_const(axes[i]) || axes[i].value <= last || axes[i].value >= target->rank)
            return inc_node_fail(infer->graph, node, "the axes mapping is not rising inside rank %d", target->rank);
        last = (int)axes[i].value;
        if (!inc_dim_equal(in->dims[i], inc_dim_const(1)) && !inc_dim_unify(in->dims[i], target->dims[last], &both))
            return inc_node_fail(infer->graph, node, "dimension %d does not broadcast to the target", i);
    }
    return INCISE_OK;
}

/* Numpy mode: the data's dims, aligned at the end, are 1 or those of the target. */
static enum incise_status check_target(struct inc_infer *infer, struct inc_node *node, const struct inc_shape *target)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    if (in->rank > target->rank)
        return inc_node_fail(infer->graph, node, "rank %d does not broadcast to rank %d", in->rank, target->rank);
    for (int i = 0; i < in->rank; i++) {
        struct inc_dim both, to = target->dims[target->rank - in->rank + i];
        if (!inc_dim_equal(in->dims[i], inc_dim_const(1)) && !inc_dim_unify(in->dims[i], to, &both))
            return inc_node_fail(infer->graph, node, "%lld does not broadcast to %lld", (long long)in->dims[i].value,
                                 (long long)to.value);
    }
    return INCISE_OK;
}

SHAPE_RULE(broadcast)
{
    static const char *const words[] = {"numpy", "explicit", "bidirectional", NULL};
    int64_t length;
    int mode = 0;
    size_t n = 0;
    INC_TRY(inc_rule_word(infer, node, "mode", words, &mode));
    INC_TRY(inc_rule_list(infer, node, 1, &length));
    if (length < 0) return inc_node_fail(infer->graph, node, "the rank of the result depends on data");
    if (length > INC_MAX_RANK)
        return inc_node_fail(infer->graph, node, "rank %lld is more than %d", (long long)length, INC_MAX_RANK);
    struct inc_shape target = {.rank = (int)length};
    if (!inc_rule_elements(infer, node, 1, target.dims, INC_MAX_RANK, &n))
        for (int i = 0; i < target.rank; i++) target.dims[i] = inc_rule_unknown_dim(infer, node, 0, (size_t)i);
    for (int i = 0; i < target.rank; i++)
        if (inc_dim_is_const(target.dims[i]) && target.dims[i].value < 0)
            return inc_node_fail(infer->graph, node, "the target has %lld in dimension %d",
                                 (long long)target.dims[i].value, i);
    if (mode == 1) {
        INC_TRY(check_mapping(infer, node, &target));
        return inc_rule_set(infer, node, 0, node->inputs[0]->type, &target, NULL);
    }
    if (mode == 0)
        INC_TRY(check_target(infer, node, &target));
    else
        INC_TRY(inc_rule_broadcast(infer, node, &node->inputs[0]->shape, &target, &target));
    return set_broadcast(infer, node, &target);
}

SHAPE_RULE(tile)
{
    const struct inc_shape *in = &node->inputs[0]->shape;
    struct inc_dim repeats[INC_MAX_RANK];
    int64_t length;
    size_t n = 0;
    INC_TRY(inc_rule_list(infer, node, 1, &length));
    if (length < 0) return inc_node_fail(infer->graph, node, "the rank of the result depends on data");
    if (length > INC_MAX_RANK)
        return inc_node_fail(infer->graph, node, "rank %lld is more than %d", (long long)length, INC_MAX_RANK);
    struct inc_shape out = {.rank = in->rank > (int)length ? in->rank : (int)length};
    bool known = inc_rule_elements(infer, node, 1, repeats, INC_MAX_RANK, &n);
    for (int i = 0; i < out.rank; i++) {
        int from = i - (out.rank - in->rank), entry = i - (out.rank - (int)length);
        struct inc_dim dim = from < 0 ? inc_dim_const(1) : in->dims[from];
        struct inc_dim repeat = entry < 0 || !known ? inc_dim_const(1) : repeats[entry];
        if (inc_dim_is_const(repeat) && repeat.value < 0)
            return inc_node_fail(infer->graph, node, "%lld repetitions", (long long)repeat.value);
        bool open = entry >= 0 && !known;
        out.dims[i] = open ? inc_rule_unknown_dim(infer, node, 0, (size_t)i) : inc_dim_mul(infer->graph, dim, repeat);
    }
    return inc_rule_set(infer, node, 0, node->inputs[0]->type, &out, NULL);
}
