/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/weight.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "graph/shape.h"

/* ---- matching -------------------------------------------------------------------------------------------------- */

enum { MAX_CONVERTS = 4 }; /* in a row; a longer chain is no decompression */

static bool is_integer_type(enum inc_type type)
{
    return type == INC_I8 || type == INC_U8 || type == INC_I4 || type == INC_U4;
}

/* Whether every value of weight type `from` is a value of `to`. */
static bool converts_exactly(enum inc_type from, enum inc_type to)
{
    if (!inc_type_is_weight(from)) return false;
    if (to == INC_F32 || to == INC_F64) return true;
    return (to == INC_F16 || to == INC_BF16) && (from == to || is_integer_type(from));
}

static const struct inc_value *skip_converts(const struct inc_value *value)
{
    for (int i = 0; i < MAX_CONVERTS && value->node->op == INC_OP_CONVERT; i++) {
        const struct inc_value *from = value->node->inputs[0];
        if (!converts_exactly(from->type, value->type)) break;
        value = from;
    }
    return value;
}

static const struct inc_tensor *constant_behind(const struct inc_value *value)
{
    value = skip_converts(value);
    return value->node->op == INC_OP_CONSTANT ? &value->node->data : NULL;
}

/* The constant's dims as [d0, d1 | d2, d3]: rows of the stored matrix before the bar, columns after it. */
struct layout {
    int rank;     /* of the constant */
    int n_rows;   /* how many of its dims are rows */
    int64_t dims[INC_MAX_RANK];
};

/* Splits the constant's dims at `rows` x `columns`; at most two dims on each side. */
static bool split_dims(const struct inc_tensor *data, int64_t rows, int64_t columns, struct layout *layout)
{
    int64_t product = 1;
    layout->rank = data->rank;
    memcpy(layout->dims, data->dims, sizeof layout->dims);
    for (int i = 0; i < data->rank; i++) {
        if (!inc_i64_mul(product, data->dims[i], &product)) return false;
        if (product != rows) continue;
        int64_t rest = 1;
        for (int k = i + 1; k < data->rank; k++)
            if (!inc_i64_mul(rest, data->dims[k], &rest)) return false;
        layout->n_rows = i + 1;
        return rest == columns && i < 2 && data->rank - i - 1 >= 1 && data->rank - i - 1 <= 2;
    }
    return false;
}

/* Strides of `tensor` broadcast over the layout (numpy: aligned at the last dim). */
static bool match_param(const struct layout *layout, bool transposed, const struct inc_tensor *tensor,
                        struct inc_weight_param *param)
{
    int64_t strides[INC_MAX_RANK] = {0}, stride = 1;
    if (tensor->rank > layout->rank) return false;
    for (int i = 1; i <= tensor->rank; i++) {
        int64_t dim = tensor->dims[tensor->rank - i];
        if (dim != 1 && dim != layout->dims[layout->rank - i]) return false;
        strides[layout->rank - i] = dim == 1 ? 0 : stride;
        stride *= dim;
    }
    int64_t rows[2] = {0}, columns[2] = {0};
    for (int i = 0; i < layout->n_rows; i++) rows[2 - layout->n_rows + i] = strides[i];
    int n_columns = layout->rank - layout->n_rows;
    for (int i = 0; i < n_columns; i++) columns[2 - n_columns + i] = strides[layout->n_rows + i];
    param->tensor = tensor;
    memcpy(param->out_stride, transposed ? columns : rows, sizeof rows);
    memcpy(param->in_stride, transposed ? rows : columns, sizeof columns);
    return true;
}

/* What the walk from the reader to the constant found. */
struct chain {
    const struct inc_node *fake_quantize;
    const struct inc_tensor *scale, *zero;
    struct inc_node *constant;
};

/* The other operand of a Multiply is its scale: a float constant. */
static const struct inc_value *take_scale(const struct inc_node *multiply, struct chain *chain)
{
    for (int i = 1; i >= 0; i--) { /* the scale is the second operand, by custom */
        chain->scale = constant_behind(multiply->inputs[i]);
        const struct inc_value *rest = multiply->inputs[1 - i];
        if (chain->scale == NULL || !inc_type_is_float(chain->scale->type)) continue;
        if (rest->shape.rank >= chain->scale->rank) return rest;
    }
    return NULL;
}

/* Walks the chain; false if it holds anything else. */
static bool walk(const struct inc_value *value, struct chain *chain)
{
    value = skip_converts(value);
    if (value->node->op == INC_OP_FAKE_QUANTIZE) {
        chain->fake_quantize = value->node;
        value = skip_converts(value->node->inputs[0]);
    } else {
        if (value->node->op == INC_OP_RESHAPE) value = skip_converts(value->node->inputs[0]);
        if (value->node->op == INC_OP_MULTIPLY) {
            if (!inc_type_is_float(value->type)) return false;
            value = take_scale(value->node, chain);
            if (value == NULL) return false;
            value = skip_converts(value);
        }
        if (value->node->op == INC_OP_SUBTRACT) {
            if (!inc_type_is_float(value->type)) return false; /* integers would wrap */
            chain->zero = constant_behind(value->node->inputs[1]);
            if (chain->zero == NULL) return false;
            value = skip_converts(value->node->inputs[0]);
        }
    }
    if (value->node->op != INC_OP_CONSTANT || !inc_type_is_weight(value->node->data.type)) return false;
    chain->constant = value->node;
    bool integer = is_integer_type(value->node->data.type);
    return integer ? chain->fake_quantize == NULL : chain->zero == NULL;
}

static int64_t group_of(const struct inc_weight *weight)
{
    const struct inc_weight_param *params[] = {&weight->zero, &weight->scale};
    int64_t group = 0;
    for (int i = 0; i < 2; i++) {
        if (params[i]->tensor == NULL) continue;
        if (params[i]->in_stride[1] != 0) return 1;
        if (params[i]->in_stride[0] != 0) group = weight->in_inner;
    }
    return group;
}

static bool match_params(const struct chain *chain, const struct layout *layout, struct inc_weight *weight)
{
    if (chain->zero != NULL && !match_param(layout, weight->transposed, chain->zero, &weight->zero)) return false;
    if (chain->scale != NULL && !match_param(layout, weight->transposed, chain->scale, &weight->scale)) return false;
    if (chain->fake_quantize == NULL) return true;
    weight->fake_quantize = chain->fake_quantize;
    for (int i = 0; i < 4; i++) {
        const struct inc_tensor *range = constant_behind(chain->fake_quantize->inputs[i + 1]);
        if (range == NULL || !inc_type_is_float(range->type)) return false;
        if (!match_param(layout, weight->transposed, range, &weight->range[i])) return false;
    }
    return true;
}

bool inc_weight_match(const struct inc_value *value, bool transpose, struct inc_weight *weight)
{
    struct chain chain = {0};
    struct layout layout;
    memset(weight, 0, sizeof *weight);
    if (value->shape.rank != 2 || !inc_dim_is_const(value->shape.dims[0]) || !inc_dim_is_const(value->shape.dims[1]))
        return false;
    int64_t rows = value->shape.dims[0].value, columns = value->shape.dims[1].value;
    if (rows <= 0 || columns <= 0 || !walk(value, &chain)) return false;
    if (!split_dims(&chain.constant->data, rows, columns, &layout)) return false;
    int64_t row_inner = layout.n_rows == 2 ? layout.dims[1] : 1;
    int64_t column_inner = layout.dims[layout.rank - 1];
    if (layout.n_rows == 1) row_inner = rows;
    weight->constant = chain.constant;
    weight->type = chain.constant->data.type;
    weight->transposed = !transpose;
    weight->out = transpose ? rows : columns;
    weight->in = transpose ? columns : rows;
    weight->out_inner = transpose ? row_inner : column_inner;
    weight->in_inner = transpose ? column_inner : row_inner;
    if (!match_params(&chain, &layout, weight)) return false;
    weight->group = group_of(weight);
    return true;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

size_t inc_weight_index(const struct inc_weight *weight, int64_t row, int64_t k)
{
    return (size_t)(weight->transposed ? k * weight->out + row : row * weight->in + k);
}

size_t inc_weight_param_index(const struct inc_weight *weight, const struct inc_weight_param *param, int64_t row,
                              int64_t k)
{
    return (size_t)(row / weight->out_inner * param->out_stride[0] + row % weight->out_inner * param->out_stride[1] +
                    k / weight->in_inner * param->in_stride[0] + k % weight->in_inner * param->in_stride[1]);
}

static int nibble(const void *data, size_t i)
{
    return ((const uint8_t *)data)[i / 2] >> (i % 2 * 4) & 15;
}

/* `n` stored integers from index `first`, `step` apart. */
static void fetch_i16(const struct inc_tensor *data, size_t first, size_t step, size_t n, int16_t *out)
{
    switch (data->type) {
    case INC_I8: {
        const int8_t *q = (const int8_t *)data->data + first;
        for (size_t i = 0; i < n; i++) out[i] = q[i * step];
        break;
    }
    case INC_U8: {
        const uint8_t *q = (const uint8_t *)data->data + first;
        for (size_t i = 0; i < n; i++) out[i] = q[i * step];
        break;
    }
    case INC_I4:
        for (size_t i = 0; i < n; i++) out[i] = (int16_t)((nibble(data->data, first + i * step) ^ 8) - 8);
        break;
    default: /* INC_U4 */
        for (size_t i = 0; i < n; i++) out[i] = (int16_t)nibble(data->data, first + i * step);
        break;
    }
}

static void fetch_f32(const struct inc_tensor *data, size_t first, size_t step, size_t n, float *out)
{
    if (data->type == INC_F32) {
        const float *w = (const float *)data->data + first;
        if (step == 1) memcpy(out, w, n * sizeof *out);
        else
            for (size_t i = 0; i < n; i++) out[i] = w[i * step];
        return;
    }
    const uint16_t *h = (const uint16_t *)data->data + first;
    if (data->type == INC_F16)
        for (size_t i = 0; i < n; i++) out[i] = inc_f32_from_f16(h[i * step]);
    else
        for (size_t i = 0; i < n; i++) out[i] = inc_f32_from_bf16(h[i * step]);
}

static float param_at(const struct inc_weight *weight, const struct inc_weight_param *param, int64_t row, int64_t k)
{
    return (float)inc_tensor_get_f64(param->tensor, inc_weight_param_index(weight, param, row, k));
}

/* Inputs of one row over which zero and scale do not change. */
static int64_t run_length(const struct inc_weight *weight)
{
    return weight->group == 0 ? weight->in : weight->group;
}

static size_t row_start(const struct inc_weight *weight, int64_t row, size_t *step)
{
    *step = weight->transposed ? (size_t)weight->out : 1;
    return inc_weight_index(weight, row, 0);
}

void inc_weight_row_i16(const struct inc_weight *weight, int64_t row, int16_t *out)
{
    size_t step, first = row_start(weight, row, &step);
    fetch_i16(&weight->constant->data, first, step, (size_t)weight->in, out);
    if (weight->zero.tensor == NULL) return;
    int64_t run = run_length(weight);
    for (int64_t k = 0; k < weight->in; k += run) {
        size_t at = inc_weight_param_index(weight, &weight->zero, row, k);
        int zero = (int)inc_tensor_get_i64(weight->zero.tensor, at);
        for (int64_t i = k; i < k + run; i++) out[i] = (int16_t)(out[i] - zero);
    }
}

/* OpenVINO's FakeQuantize of one value. */
static float fake_quantize(const struct inc_weight *weight, float levels, int64_t row, int64_t k, float x)
{
    float in_low = param_at(weight, &weight->range[0], row, k), in_high = param_at(weight, &weight->range[1], row, k);
    float out_low = param_at(weight, &weight->range[2], row, k), out_high = param_at(weight, &weight->range[3], row, k);
    if (x <= fminf(in_low, in_high)) return out_low;
    if (x > fmaxf(in_low, in_high)) return out_high;
    float q = nearbyintf((x - in_low) / (in_high - in_low) * (levels - 1.0f));
    return q / (levels - 1.0f) * (out_high - out_low) + out_low;
}

void inc_weight_row_f32(const struct inc_weight *weight, int64_t row, float *out)
{
    int64_t run = run_length(weight);
    if (is_integer_type(weight->type)) {
        int16_t chunk[512];
        size_t step, first = row_start(weight, row, &step);
        for (int64_t start = 0; start < weight->in; start += 512) {
            size_t n = inc_min_size(512, (size_t)(weight->in - start));
            fetch_i16(&weight->constant->data, first + (size_t)start * step, step, n, chunk);
            for (size_t i = 0; i < n; i++) out[(size_t)start + i] = (float)chunk[i];
        }
    } else {
        size_t step, first = row_start(weight, row, &step);
        fetch_f32(&weight->constant->data, first, step, (size_t)weight->in, out);
    }
    if (weight->fake_quantize != NULL) {
        float levels = (float)inc_attr_int(weight->fake_quantize, "levels");
        for (int64_t k = 0; k < weight->in; k++) out[k] = fake_quantize(weight, levels, row, k, out[k]);
        return;
    }
    if (weight->zero.tensor == NULL && weight->scale.tensor == NULL) return;
    for (int64_t k = 0; k < weight->in; k += run) {
        float zero = weight->zero.tensor != NULL ? param_at(weight, &weight->zero, row, k) : 0.0f;
        float scale = weight->scale.tensor != NULL ? param_at(weight, &weight->scale, row, k) : 1.0f;
        for (int64_t i = k; i < k + run; i++) out[i] = (out[i] - zero) * scale;
    }
}

struct inc_weight_bytes inc_weight_bytes_of(const struct inc_weight *weight)
{
    const struct inc_tensor *data = &weight->constant->data, *scale = weight->scale.tensor;
    const bool whole_rows = weight->out_inner == 1 || weight->out_inner >= weight->out;
    if (data->type != INC_I8 || weight->transposed || weight->group != 0 || weight->zero.tensor != NULL ||
        weight->fake_quantize != NULL || !whole_rows)
        return (struct inc_weight_bytes){.bytes = NULL};
    const size_t step = scale != NULL && weight->out > 1 ? inc_weight_param_index(weight, &weight->scale, 1, 0) : 0;
    return (struct inc_weight_bytes){data->data, scale, step};
}

float inc_weight_bytes_scale(const struct inc_weight_bytes *rows, int64_t row)
{
    const size_t i = (size_t)row * rows->scale_step;
    float scale = 1.0f;
    if (rows->scale != NULL && rows->scale->type == INC_F32)
        memcpy(&scale, (const unsigned char *)rows->scale->data + i * sizeof scale, sizeof scale);
    else if (rows->scale != NULL)
        scale = (float)inc_tensor_get_f64(rows->scale, i);
    return scale;
}

bool inc_weight_is_integer(const struct inc_weight *weight)
{
    return is_integer_type(weight->type) && weight->group % 4 == 0;
}

float inc_weight_scale(const struct inc_weight *weight, int64_t row, int64_t k)
{
    return weight->scale.tensor != NULL ? param_at(weight, &weight->scale, row, k) : 1.0f;
}

float inc_weight_row_scale(const struct inc_weight *weight, int64_t row)
{
    return inc_weight_scale(weight, row, 0);
}

bool inc_weight_is_int4(const struct inc_weight *weight)
{
    const struct inc_tensor *zero = weight->zero.tensor;
    double wanted = weight->type == INC_U4 ? 8.0 : 0.0;
    if (weight->type != INC_U4 && weight->type != INC_I4) return false;
    if (zero == NULL) return weight->type == INC_I4;
    for (size_t i = 0; i < inc_tensor_elements(zero); i++)
        if (inc_tensor_get_f64(zero, i) != wanted) return false;
    return true;
}

/* ---- checks ---------------------------------------------------------------------------------------------------- */

/* The first non-finite element of a float tensor; false if all are finite. */
static bool find_non_finite(const struct inc_tensor *tensor, size_t *index)
{
    size_t n = inc_tensor_elements(tensor);
    if (tensor->type == INC_F64) {
        for (*index = 0; *index < n; ++*index)
            if (!isfinite(((const double *)tensor->data)[*index])) return true;
    } else if (tensor->type == INC_F32) {
        for (*index = 0; *index < n; ++*index)
            if ((inc_f32_bits(((const float *)tensor->data)[*index]) & 0x7f800000u) == 0x7f800000u) return true;
    } else {
        unsigned mask = tensor->type == INC_F16 ? 0x7c00u : 0x7f80u;
        for (*index = 0; *index < n; ++*index)
            if ((((const uint16_t *)tensor->data)[*index] & mask) == mask) return true;
    }
    return false;
}

static enum incise_status check_finite(const struct inc_graph *graph, const struct inc_weight *weight,
                                       const struct inc_tensor *tensor, const char *what)
{
    size_t at;
    if (tensor == NULL || !inc_type_is_float(tensor->type) || !find_non_finite(tensor, &at)) return INCISE_OK;
    return inc_node_fail(graph, weight->constant, "%s %zu is %g", what, at, inc_tensor_get_f64(tensor, at));
}

static enum incise_status check_zero(const struct inc_graph *graph, const struct inc_weight *weight)
{
    static const double low[] = {[INC_I8] = -128, [INC_U8] = 0, [INC_I4] = -8, [INC_U4] = 0};
    static const double high[] = {[INC_I8] = 127, [INC_U8] = 255, [INC_I4] = 7, [INC_U4] = 15};
    const struct inc_tensor *zero = weight->zero.tensor;
    for (size_t i = 0, n = zero != NULL ? inc_tensor_elements(zero) : 0; i < n; i++) {
        double z = inc_tensor_get_f64(zero, i);
        if (z == floor(z) && z >= low[weight->type] && z <= high[weight->type]) continue;
        return inc_node_fail(graph, weight->constant, "zero point %zu is %g, which is no %s", i, z,
                             inc_type_name(weight->type));
    }
    return INCISE_OK;
}

static enum incise_status check_scale(const struct inc_graph *graph, const struct inc_weight *weight)
{
    const struct inc_tensor *scale = weight->scale.tensor;
    if (scale == NULL || !is_integer_type(weight->type)) return INCISE_OK;
    for (size_t i = 0, n = inc_tensor_elements(scale); i < n; i++) {
        double s = inc_tensor_get_f64(scale, i);
        if (!isfinite((float)(s * 255.0))) /* the largest |q - zero| */
            return inc_node_fail(graph, weight->constant, "scale %zu is %g, too large for float weights", i, s);
    }
    return INCISE_OK;
}

enum incise_status inc_weight_check(const struct inc_graph *graph, const struct inc_weight *weight)
{
    INC_TRY(check_finite(graph, weight, &weight->constant->data, "weight"));
    return inc_weight_check_params(graph, weight);
}

enum incise_status inc_weight_check_params(const struct inc_graph *graph, const struct inc_weight *weight)
{
    INC_TRY(check_finite(graph, weight, weight->scale.tensor, "scale"));
    INC_TRY(check_finite(graph, weight, weight->zero.tensor, "zero point"));
    for (int i = 0; i < 4; i++) INC_TRY(check_finite(graph, weight, weight->range[i].tensor, "FakeQuantize range"));
    INC_TRY(check_zero(graph, weight));
    return check_scale(graph, weight);
}

/* ---- comparison ------------------------------------------------------------------------------------------------ */

static bool same_data(const struct inc_tensor *a, const struct inc_tensor *b)
{
    return a->type == b->type && a->data == b->data && a->bytes == b->bytes;
}

static bool same_param(const struct inc_weight_param *a, const struct inc_weight_param *b)
{
    if (a->tensor == NULL || b->tensor == NULL) return a->tensor == b->tensor;
    return same_data(a->tensor, b->tensor) && memcmp(a->out_stride, b->out_stride, sizeof a->out_stride) == 0 &&
           memcmp(a->in_stride, b->in_stride, sizeof a->in_stride) == 0;
}

bool inc_weight_same(const struct inc_weight *a, const struct inc_weight *b)
{
    if (a->fake_quantize != b->fake_quantize || a->out != b->out || a->in != b->in || a->transposed != b->transposed ||
        a->out_inner != b->out_inner || a->in_inner != b->in_inner)
        return false;
    return same_data(&a->constant->data, &b->constant->data) && same_param(&a->zero, &b->zero) &&
           same_param(&a->scale, &b->scale);
}
