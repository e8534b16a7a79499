/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cpu/cpu_device.h"

#include <string.h>

#include "base/size.h"

static bool cpu_supports(const struct inc_device *device, const struct inc_step *step, const struct inc_slot *slot)
{
    (void)device;
    if (step->op == INC_OP_LINEAR) return !slot->integer || slot->weight.in <= (int64_t)INC_QUADS_MAX_K;
    return true;
}

size_t inc_cpu_quantized_stride(size_t width)
{
    return inc_round_up(width, 64) + INC_CPU_SCALE_BYTES;
}

static size_t cpu_quantized_row_bytes(const struct inc_device *device, size_t width)
{
    (void)device;
    return inc_cpu_quantized_stride(width);
}

static void cpu_release(struct inc_device *device, struct inc_prepared *prepared)
{
    if (prepared == NULL) return;
    inc_cpu_release_linear(inc_cpu_of(device), prepared);
    inc_free(device->ctx, prepared);
}

static enum incise_status cpu_prepare(struct inc_device *device, const struct inc_step *step,
                                      const struct inc_slot *slot, struct inc_prepared **out)
{
    if (step->op != INC_OP_LINEAR) {
        *out = NULL;
        return INCISE_OK;
    }
    struct inc_prepared *prepared = inc_alloc_zero(device->ctx, 1, sizeof *prepared);
    if (prepared == NULL) return inc_fail_memory(device->ctx, sizeof *prepared, "packed weights");
    enum incise_status status = inc_cpu_pack_linear(inc_cpu_of(device), slot, prepared);
    if (status != INCISE_OK) {
        inc_free(device->ctx, prepared);
        return status;
    }
    *out = prepared;
    return INCISE_OK;
}

static void cpu_save(const struct inc_device *device, const struct inc_prepared *prepared, struct inc_packed_out *out)
{
    inc_cpu_save_linear((const struct inc_cpu *)device, prepared, out);
}

static enum incise_status cpu_restore(struct inc_device *device, const struct inc_slot *slot,
                                      const struct inc_packed *packed, struct inc_prepared **prepared)
{
    return inc_cpu_restore_linear(inc_cpu_of(device), slot, packed, prepared);
}

static void cpu_describe(const struct inc_device *device, const struct inc_step *step,
                         const struct inc_prepared *prepared, struct inc_step_info *info)
{
    const struct inc_cpu *cpu = (const struct inc_cpu *)device;
    *info = (struct inc_step_info){.kernel = "", .density = 1, .limit = INCISE_LIMIT_READ};
    if (step->op == INC_OP_LINEAR) {
        inc_cpu_describe_linear(cpu, prepared, info);
    } else if (step->op == INC_OP_ATTENTION) {
        const struct inc_attention_kernel *kernel = inc_cpu_attention_kernel(cpu, step);
        info->kernel = kernel->name;
        info->limit = kernel->i8 != NULL ? INCISE_LIMIT_INT8 : INCISE_LIMIT_F32;
    }
}

static size_t worker_scratch(const struct inc_cpu *cpu, const struct inc_step *steps, size_t n_steps)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n_steps; i++)
        if (steps[i].op == INC_OP_ATTENTION) bytes = inc_max_size(bytes, inc_cpu_attention_scratch(cpu, &steps[i]));
    return bytes;
}

static size_t view_bytes(const struct inc_cpu *cpu, size_t n_buffers)
{
    return inc_round_up(inc_pool_threads(cpu->pool) * n_buffers * sizeof(void *), INC_ALIGN);
}

static size_t busy_bytes(const struct inc_cpu *cpu, size_t n_steps)
{
    return inc_round_up(inc_pool_threads(cpu->pool) * n_steps * sizeof(double), INC_ALIGN);
}

/* Busy times and views, then per-worker scratch and a table of one item index per sequence: no batch has more sequences
 * than token slots. */
static size_t cpu_scratch_bytes(const struct inc_device *device, const struct inc_step *steps, size_t n_steps,
                                size_t n_buffers, size_t n_tokens)
{
    const struct inc_cpu *cpu = (const struct inc_cpu *)device;
    size_t bytes = (n_tokens + 1) * sizeof(size_t) + busy_bytes(cpu, n_steps) + view_bytes(cpu, n_buffers);
    return worker_scratch(cpu, steps, n_steps) * inc_pool_threads(cpu->pool) + bytes;
}

static void run_stage(const struct inc_cpu_stage *stage, void *scratch)
{
    switch (stage->steps[0].op) {
    case INC_OP_ATTENTION:
        inc_cpu_attention(stage, scratch, inc_cpu_attention_scratch(stage->cpu, stage->steps));
        break;
    case INC_OP_POOL: inc_cpu_pool(stage); break;
    default: inc_cpu_stage_run(stage);
    }
}

static enum incise_status cpu_run(struct inc_device *device, const struct inc_step *steps,
                                  struct inc_prepared *const *prepared, size_t n, const struct inc_batch *batch,
                                  void *scratch)
{
    struct inc_cpu *cpu = inc_cpu_of(device);
    struct inc_cpu_stage stage = {.cpu = cpu, .steps = steps, .prepared = prepared, .n = n, .batch = batch};
    size_t workers = inc_pool_threads(cpu->pool), bytes = busy_bytes(cpu, n);
    for (size_t i = 0; i < n; i++)
        if (steps[i].op == INC_OP_EMBEDDING_GATHER) INC_TRY(inc_cpu_check_ids(cpu, &steps[i], batch));
    if (batch->seconds != NULL) {
        stage.busy = scratch;
        memset(scratch, 0, bytes);
    }
    stage.views = (void **)(void *)((unsigned char *)scratch + bytes);
    run_stage(&stage, (unsigned char *)scratch + bytes + view_bytes(cpu, batch->n_buffers));
    for (size_t i = 0; batch->seconds != NULL && i < workers * n; i++)
        batch->seconds[i % n] += stage.busy[i] / (double)workers;
    return INCISE_OK;
}

static bool cpu_kernel(const struct inc_device *device, size_t index, const char **family, const char **name,
                       enum incise_isa *isa)
{
    const struct inc_cpu *cpu = (const struct inc_cpu *)device;
    const struct {
        const char *family, *name;
        enum incise_isa isa;
    } kernels[] = {
        {"gemm f32", cpu->gemm_f32->name, cpu->gemm_f32->isa},
        {"gemm int8", cpu->gemm_i8->name, cpu->gemm_i8->isa},
        {"gemm int8 grouped", cpu->gemm_group_i8->name, cpu->gemm_group_i8->isa},
        {"gemm int4", cpu->gemm_group_i4->name, cpu->gemm_group_i4->isa},
        {"attention", cpu->attention->name, cpu->attention->isa},
        {"attention int8", cpu->attention_i8->name, cpu->attention_i8->isa},
        {"norm", cpu->norm->name, cpu->norm->isa},
        {"activation", cpu->act->name, cpu->act->isa},
        {"quantize", cpu->quantize->name, cpu->quantize->isa},
    };
    if (index >= sizeof kernels / sizeof kernels[0]) return false;
    *family = kernels[index].family;
    *name = kernels[index].name;
    *isa = kernels[index].isa;
    return true;
}

static void cpu_destroy(struct inc_device *device)
{
    inc_free(device->ctx, device);
}

static const struct inc_device_ops cpu_ops = {
    .name = "cpu",
    .supports = cpu_supports,
    .quantized_row_bytes = cpu_quantized_row_bytes,
    .prepare = cpu_prepare,
    .save = cpu_save,
    .restore = cpu_restore,
    .release = cpu_release,
    .describe = cpu_describe,
    .scratch_bytes = cpu_scratch_bytes,
    .run = cpu_run,
    .kernel = cpu_kernel,
    .destroy = cpu_destroy,
};

enum incise_status inc_cpu_device_create(const struct inc_ctx *ctx, struct inc_pool *pool, enum incise_isa isa,
                                         struct inc_device **out)
{
    struct inc_cpu *cpu = inc_alloc_zero(ctx, 1, sizeof *cpu);
    if (cpu == NULL) return inc_fail_memory(ctx, sizeof *cpu, "the CPU device");
    cpu->base = (struct inc_device){&cpu_ops, ctx};
    cpu->pool = pool;
    cpu->isa = isa;
    cpu->gemm_f32 = inc_gemm_f32_select(isa);
    cpu->gemm_i8 = inc_gemm_i8_select(isa);
    cpu->gemm_group_i4 = inc_gemm_group_select(isa, 4);
    cpu->gemm_group_i8 = inc_gemm_group_select(isa, 8);
    cpu->attention = inc_attention_select(isa, false);
    cpu->attention_i8 = inc_attention_select(isa, true);
    cpu->norm = inc_norm_select(isa);
    cpu->act = inc_act_select(isa);
    cpu->quantize = inc_quantize_select(isa);
    *out = &cpu->base;
    return INCISE_OK;
}
