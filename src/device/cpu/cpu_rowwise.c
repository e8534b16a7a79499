/* SPDX-License-Identifier: Apache-2.0 */
/* The file's element-wise ops on one row. Sums, products and activations go to kernels; the rest is rare and plain. */
#include <math.h>

#include "device/cpu/cpu_device.h"

static float unary(const struct inc_rowwise_step *step, float x)
{
    switch (step->op) {
    case INC_OP_ABS: return fabsf(x);
    case INC_OP_NEGATIVE: return -x;
    case INC_OP_SQRT: return sqrtf(x);
    case INC_OP_EXP: return expf(x);
    case INC_OP_LOG: return logf(x);
    case INC_OP_ERF: return erff(x);
    case INC_OP_CLAMP: return x < (float)step->low ? (float)step->low : x > (float)step->high ? (float)step->high : x;
    default: return x;
    }
}

/* The range of one channel of a FakeQuantize, ready to be applied. */
struct range {
    float least, most; /* of the input range */
    float low, step, out_low, out_high, out_step;
};

static struct range range_of(const struct inc_rowwise_step *step, size_t channel)
{
    size_t stride = step->n_constant;
    float low = step->constant[channel], high = step->constant[stride + channel];
    float out_low = step->constant[2 * stride + channel], out_high = step->constant[3 * stride + channel];
    return (struct range){.least = low < high ? low : high,
                          .most = low < high ? high : low,
                          .low = low,
                          .step = high - low,
                          .out_low = out_low,
                          .out_high = out_high,
                          .out_step = out_high - out_low};
}

/* x <= low -> out_low, x > high -> out_high, else the nearest of `levels` steps (OpenVINO, FakeQuantize-1). */
static void fake_quantize(const struct inc_rowwise_step *step, size_t n, const float *x, float *out)
{
    float last = (float)(step->levels - 1);
    bool wide = step->n_constant > 1;
    struct range r = range_of(step, 0);
    for (size_t i = 0; i < n; i++) {
        if (wide) r = range_of(step, i);
        float inside = rintf((x[i] - r.low) / r.step * last) / last * r.out_step + r.out_low;
        out[i] = x[i] <= r.least ? r.out_low : x[i] > r.most ? r.out_high : inside;
    }
}

/* out[i] = a[i * step_a] op b[i * step_b]: a step of 0 repeats one constant. */
static void binary(enum inc_op op, size_t n, const float *a, size_t step_a, const float *b, size_t step_b, float *out)
{
    switch (op) {
    case INC_OP_ADD:
        for (size_t i = 0; i < n; i++) out[i] = a[i * step_a] + b[i * step_b];
        break;
    case INC_OP_SUBTRACT:
        for (size_t i = 0; i < n; i++) out[i] = a[i * step_a] - b[i * step_b];
        break;
    case INC_OP_MULTIPLY:
        for (size_t i = 0; i < n; i++) out[i] = a[i * step_a] * b[i * step_b];
        break;
    case INC_OP_DIVIDE:
        for (size_t i = 0; i < n; i++) out[i] = a[i * step_a] / b[i * step_b];
        break;
    case INC_OP_POWER:
        for (size_t i = 0; i < n; i++) out[i] = powf(a[i * step_a], b[i * step_b]);
        break;
    case INC_OP_MINIMUM:
        for (size_t i = 0; i < n; i++) out[i] = b[i * step_b] < a[i * step_a] ? b[i * step_b] : a[i * step_a];
        break;
    default:
        for (size_t i = 0; i < n; i++) out[i] = b[i * step_b] > a[i * step_a] ? b[i * step_b] : a[i * step_a];
        break;
    }
}

/* The other operand: the second input, a constant per column, or one constant. */
static void binary_row(const struct inc_rowwise_step *step, size_t n, const float *x, const float *y, float *out)
{
    const float *other = y != NULL ? y : step->constant;
    size_t wide = y != NULL || step->n_constant > 1;
    if (step->swapped)
        binary(step->op, n, other, wide, x, 1, out);
    else
        binary(step->op, n, x, 1, other, wide, out);
}

void inc_cpu_rowwise_row(const struct inc_cpu *cpu, const struct inc_step *step, const float *x, const float *y,
                         float *out)
{
    const struct inc_rowwise_step *rowwise = &step->u.rowwise;
    size_t n = step->width;
    if (rowwise->act != INC_ACT_NONE) {
        cpu->act->apply(rowwise->act, 1, n, x, n, out, n);
    } else if (rowwise->op == INC_OP_FAKE_QUANTIZE) {
        fake_quantize(rowwise, n, x, out);
    } else if (y == NULL && rowwise->constant == NULL) {
        for (size_t i = 0; i < n; i++) out[i] = unary(rowwise, x[i]);
    } else if (rowwise->op == INC_OP_ADD && y != NULL) {
        cpu->act->add(1, n, x, n, y, n, out, n);
    } else if (rowwise->op == INC_OP_MULTIPLY && y == NULL && rowwise->n_constant == 1) {
        cpu->act->scale(1, n, rowwise->constant[0], x, n, out, n);
    } else {
        binary_row(rowwise, n, x, y, out);
    }
}
