/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/sentence.h"

#include <float.h>
#include <string.h>

static struct inc_value *binary(struct inc_hf_builder *b, enum inc_op op, struct inc_value *x, struct inc_value *y)
{
    return inc_hf_op(b, op, NULL, 2, (struct inc_value *[]){x, y});
}

static struct inc_value *reduce(struct inc_hf_builder *b, enum inc_op op, struct inc_value *x, int64_t axis, bool keep)
{
    struct inc_value *axes = inc_hf_integers(b, INC_I64, 1, &axis);
    x = binary(b, op, x, axes);
    if (x != NULL) inc_attr_set_bool(x->node, "keep_dims", keep);
    return x;
}

/* sum of the real tokens / their number or its root */
static struct inc_value *pool_mean(struct inc_hf_sentence *t, struct inc_value *real, bool root)
{
    struct inc_hf_builder *b = t->b;
    struct inc_value *sum = reduce(b, INC_OP_REDUCE_SUM, binary(b, INC_OP_MULTIPLY, t->x, real), 1, false);
    struct inc_value *count = reduce(b, INC_OP_REDUCE_SUM, real, 1, false);
    count = binary(b, INC_OP_MAXIMUM, count, inc_hf_number(b, 2, 1e-9f));
    if (root) count = inc_hf_op(b, INC_OP_SQRT, NULL, 1, &count);
    return binary(b, INC_OP_DIVIDE, sum, count);
}

/* The row of the last real token. */
static struct inc_value *pool_last(struct inc_hf_sentence *t)
{
    struct inc_hf_builder *b = t->b;
    struct inc_value *axis = inc_hf_integers(b, INC_I64, -1, (int64_t[]){1});
    struct inc_value *shape = inc_hf_op(b, INC_OP_SHAPE_OF, NULL, 1, &t->mask);
    struct inc_value *at = binary(b, INC_OP_MULTIPLY, inc_hf_range(b, NULL, shape), t->mask);
    at = reduce(b, INC_OP_REDUCE_MAX, at, 1, false);
    struct inc_value *row = inc_hf_op(b, INC_OP_GATHER, NULL, 3, (struct inc_value *[]){t->x, at, axis});
    if (row != NULL) inc_attr_set_int(row->node, "batch_dims", 1);
    return row;
}

static struct inc_value *pool(struct inc_hf_sentence *t, enum inc_pooling_mode mode)
{
    struct inc_hf_builder *b = t->b;
    struct inc_value *axis = inc_hf_integers(b, INC_I64, -1, (int64_t[]){mode == INC_POOLING_CLS ? 1 : 2});
    if (mode == INC_POOLING_LAST) return pool_last(t);
    if (mode == INC_POOLING_CLS) {
        struct inc_value *first = inc_hf_integers(b, INC_I64, -1, (int64_t[]){0});
        return inc_hf_op(b, INC_OP_GATHER, NULL, 3, (struct inc_value *[]){t->x, first, axis});
    }
    struct inc_value *real = binary(b, INC_OP_UNSQUEEZE, t->mask, axis);
    real = inc_hf_convert(b, NULL, real, mode == INC_POOLING_MAX ? INC_BOOL : INC_F32);
    if (mode != INC_POOLING_MAX) return pool_mean(t, real, mode == INC_POOLING_MEAN_SQRT_LEN);
    struct inc_value *lowest = inc_hf_number(b, 0, -FLT_MAX);
    struct inc_value *kept = inc_hf_op(b, INC_OP_SELECT, NULL, 3, (struct inc_value *[]){real, t->x, lowest});
    return reduce(b, INC_OP_REDUCE_MAX, kept, 1, false);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

enum incise_status inc_hf_sentence_begin(struct inc_hf_builder *b, struct inc_hf_sentence *s)
{
    *s = (struct inc_hf_sentence){.b = b, .x = b->graph->results[0]->inputs[0]};
    INC_TRY(inc_graph_infer(b->graph));
    s->width = s->x->shape.dims[2].value;
    for (size_t i = 0; i < b->graph->n_parameters; i++)
        if (strcmp(b->graph->parameters[i]->name, "attention_mask") == 0)
            s->mask = &b->graph->parameters[i]->outputs[0];
    return INCISE_OK;
}

enum incise_status inc_hf_sentence_pool(struct inc_hf_sentence *s, enum inc_pooling_mode mode)
{
    s->x = pool(s, mode);
    s->pooled = true;
    return s->b->status;
}

enum incise_status inc_hf_sentence_dense(struct inc_hf_sentence *s, const char *path, const char *tensors, int64_t out,
                                         bool bias, enum inc_op act)
{
    struct inc_hf_builder *b = s->b;
    struct inc_value *product = inc_hf_linear_bare(b, tensors, s->x, s->width, out);
    if (product != NULL) { /* the tensors of all modules may be called the same */
        product->node->name = inc_hf_name(b, "__module.%s.linear/aten::linear/MatMul", path);
        product->node->inputs[1]->node->name = inc_hf_name(b, "self.%s.linear.weight", path);
    }
    s->x = product;
    if (bias)
        s->x = inc_hf_add(b, inc_hf_name(b, "__module.%s.linear/aten::linear/Add", path), product,
                          inc_hf_weight(b, inc_hf_name(b, "%s.bias", tensors), 1, &out, 2, (int64_t[]){1, out}));
    if (act != INC_OP_COUNT) s->x = inc_hf_op(b, act, NULL, 1, &s->x);
    s->width = out;
    return b->status;
}

enum incise_status inc_hf_sentence_normalize(struct inc_hf_sentence *s)
{
    struct inc_value *norm = reduce(s->b, INC_OP_REDUCE_L2, s->x, -1, true);
    norm = binary(s->b, INC_OP_MAXIMUM, norm, inc_hf_number(s->b, 2, 1e-12f));
    s->x = binary(s->b, INC_OP_DIVIDE, s->x, norm);
    return s->b->status;
}

enum incise_status inc_hf_sentence_end(struct inc_hf_sentence *s)
{
    inc_hf_output(s->b, s->x, "sentence_embedding");
    return s->b->status;
}
