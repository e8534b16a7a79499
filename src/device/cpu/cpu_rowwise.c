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

static float binary(enum inc_op op, float a, float b)
{
    switch (op) {
    case INC_OP_SUBTRACT: return a - b;
    case INC_OP_DIVIDE: return a / b;
    case INC_OP_MINIMUM: return b < a ? b : a;
    case INC_OP_MAXIMUM: return b > a ? b : a;
    case INC_OP_POWER: return powf(a, b);
    case INC_OP_MULTIPLY: return a * b;
    default: return a + b;
    }
}

/* x <= low -> out_low, x > high -> out_high, else the nearest of `levels` steps (OpenVINO, FakeQuantize-1). */
static void fake_quantize(const struct inc_rowwise_step *step, size_t n, const float *x, float *out)
{
    size_t stride = step->n_constant, wide = stride > 1;
    float levels = (float)(step->levels - 1);
    for (size_t i = 0; i < n; i++) {
        size_t c = wide ? i : 0;
        float low = step->constant[c], high = step->constant[stride + c];
        float out_low = step->constant[2 * stride + c], out_high = step->constant[3 * stride + c];
        if (x[i] <= fminf(low, high))
            out[i] = out_low;
        else if (x[i] > fmaxf(low, high))
            out[i] = out_high;
        else
            out[i] = rintf((x[i] - low) / (high - low) * levels) / levels * (out_high - out_low) + out_low;
    }
}

/* The other operand of column i: the second input, a constant per column, or one constant. */
static void binary_row(const struct inc_rowwise_step *step, size_t n, const float *x, const float *y, float *out)
{
    size_t wide = y != NULL || step->n_constant > 1;
    const float *other = y != NULL ? y : step->constant;
    for (size_t i = 0; i < n; i++) {
        float b = other[wide ? i : 0];
        out[i] = step->swapped ? binary(step->op, b, x[i]) : binary(step->op, x[i], b);
    }
}

void inc_cpu_rowwise_row(const struct inc_cpu *cpu, const struct inc_step *step, const float *x, const float *y, float *out)
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
