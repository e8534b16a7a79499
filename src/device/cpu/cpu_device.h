/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU device: stages of steps, their rows split over the pool. */
#ifndef INC_DEVICE_CPU_DEVICE_H
#define INC_DEVICE_CPU_DEVICE_H

#include "base/clock.h"
#include "device/device.h"
#include "kernels/act/act.h"
#include "kernels/attention/attention.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_group.h"
#include "kernels/gemm/gemm_i8.h"
#include "kernels/norm/norm.h"
#include "kernels/quant/quantize.h"

struct inc_cpu {
    struct inc_device base;
    struct inc_pool *pool;
    enum incise_isa isa;
    const struct inc_gemm_f32_kernel *gemm_f32;
    const struct inc_gemm_i8_kernel *gemm_i8;
    const struct inc_gemm_group_kernel *gemm_group_i4, *gemm_group_i8;
    const struct inc_attention_kernel *attention, *attention_i8; /* may be the same */
    const struct inc_norm_kernel *norm;
    const struct inc_act_kernel *act;
    const struct inc_quantize_kernel *quantize;
};

/* How a Linear multiplies. */
enum inc_cpu_form {
    INC_CPU_F32,
    INC_CPU_I8,   /* integers with a scale per output */
    INC_CPU_GROUP /* 4-bit integers, and integers with grouped scales */
};

struct inc_prepared {
    enum inc_cpu_form form;
    union {
        struct inc_gemm_f32_weights f32;
        struct inc_gemm_i8_weights i8;
        struct {
            struct inc_gemm_group_weights weights;
            const struct inc_gemm_group_kernel *kernel;
        } group;
    } u;
};

static inline struct inc_cpu *inc_cpu_of(struct inc_device *device)
{
    return (struct inc_cpu *)device;
}

/* Row `t` of operand `operand`. */
static inline float *inc_cpu_row(const struct inc_batch *batch, struct inc_operand operand, size_t t)
{
    return (float *)(void *)((unsigned char *)batch->buffers[operand.buffer] + t * batch->row_bytes[operand.buffer]) +
           operand.column;
}

/* Floats from one row of the operand's buffer to the next. */
static inline size_t inc_cpu_stride(const struct inc_batch *batch, struct inc_operand operand)
{
    return batch->row_bytes[operand.buffer] / sizeof(float);
}

/* Quantized rows: width bytes padded to 64, then the row's scale. */
#define INC_CPU_SCALE_BYTES 64

size_t inc_cpu_quantized_stride(size_t width);

/* The steps that one call of run is about. */
struct inc_cpu_stage {
    struct inc_cpu *cpu;
    const struct inc_step *steps;
    struct inc_prepared *const *prepared;
    size_t n;
    const struct inc_batch *batch;
    double *busy; /* [workers][n] seconds, if the batch is measured */
    void **views; /* [workers][batch->n_buffers] buffers as a worker sees them (cpu_stage.c) */
};

static inline double inc_cpu_clock(const struct inc_cpu_stage *stage)
{
    return stage->busy != NULL ? inc_seconds() : 0;
}

/* Step `index` has kept `worker` busy since `start`. */
static inline void inc_cpu_busy(const struct inc_cpu_stage *stage, unsigned worker, size_t index, double start)
{
    if (stage->busy != NULL) stage->busy[worker * stage->n + index] += inc_seconds() - start;
}

enum incise_status inc_cpu_pack_linear(struct inc_cpu *cpu, const struct inc_slot *slot, struct inc_prepared *prepared)
    __attribute__((warn_unused_result));
void inc_cpu_save_linear(const struct inc_cpu *cpu, const struct inc_prepared *prepared, struct inc_packed_out *out);
enum incise_status inc_cpu_restore_linear(struct inc_cpu *cpu, const struct inc_slot *slot,
                                          const struct inc_packed *packed, struct inc_prepared **prepared)
    __attribute__((warn_unused_result));
void inc_cpu_release_linear(const struct inc_cpu *cpu, struct inc_prepared *prepared);
void inc_cpu_describe_linear(const struct inc_cpu *cpu, const struct inc_prepared *prepared,
                             struct inc_step_info *info);
/* Steps [first, first + n) of the stage, Linears all, in one parallel loop. */
void inc_cpu_linears(const struct inc_cpu_stage *stage, size_t first, size_t n);
/* Linear `index` of the stage for some rows, on the calling thread. */
void inc_cpu_linear_rows(const struct inc_cpu_stage *stage, size_t index, size_t row, size_t rows);
const struct inc_attention_kernel *inc_cpu_attention_kernel(const struct inc_cpu *cpu, const struct inc_step *step);
size_t inc_cpu_attention_scratch(const struct inc_cpu *cpu, const struct inc_step *step);
/* The stage's only step. */
void inc_cpu_attention(const struct inc_cpu_stage *stage, void *scratch, size_t scratch_bytes);
/* Norms, RoPE, gates, quantization and what else works on rows one by one, on the calling thread. */
void inc_cpu_rows(const struct inc_cpu *cpu, const struct inc_step *step, const struct inc_batch *batch, size_t row,
                  size_t rows);
/* INCISE_ERROR_DATA if an EmbeddingGather would read outside its table. */
enum incise_status inc_cpu_check_ids(const struct inc_cpu *cpu, const struct inc_step *step,
                                     const struct inc_batch *batch) __attribute__((warn_unused_result));
/* Rows of tokens to rows of sequences: the stage's only step. */
void inc_cpu_pool(const struct inc_cpu_stage *stage);
/* A stage of steps that make row r from rows r. */
void inc_cpu_stage_run(const struct inc_cpu_stage *stage);
/* One row of a ROWWISE step; y may be NULL when the step has a constant. */
void inc_cpu_rowwise_row(const struct inc_cpu *cpu, const struct inc_step *step, const float *x, const float *y,
                         float *out);

#endif
