/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of Linears: packed, kept in files, and restored from them. */
#include <string.h>

#include "base/size.h"
#include "device/cpu/cpu_device.h"

static void row_f32(void *arg, size_t row, float *out)
{
    inc_weight_row_f32(arg, (int64_t)row, out);
}

static void row_i16(void *arg, size_t row, int16_t *out)
{
    inc_weight_row_i16(arg, (int64_t)row, out);
}

static enum incise_status pack_i8(struct inc_cpu *cpu, struct inc_weight *weight, struct inc_gemm_i8_weights *packed)
{
    const struct inc_ctx *ctx = cpu->base.ctx;
    size_t out = (size_t)weight->out;
    float *scale = inc_alloc_array(ctx, out, sizeof *scale);
    if (scale == NULL) return inc_fail_memory(ctx, out * sizeof *scale, "packed weights");
    for (size_t i = 0; i < out; i++) scale[i] = inc_weight_row_scale(weight, (int64_t)i);
    enum incise_status status =
        inc_gemm_i8_pack(ctx, cpu->pool, cpu->gemm_i8, out, (size_t)weight->in, row_i16, weight, scale, packed);
    inc_free(ctx, scale);
    return status;
}

/* Inputs that share a scale. */
static int64_t group_of(const struct inc_weight *weight)
{
    return weight->group != 0 ? weight->group : weight->in;
}

static void row_group(void *arg, size_t row, int16_t *out, float *scale)
{
    const struct inc_weight *weight = arg;
    inc_weight_row_i16(weight, (int64_t)row, out);
    for (int64_t k = 0; k < weight->in; k += group_of(weight)) *scale++ = inc_weight_scale(weight, (int64_t)row, k);
}

static enum incise_status pack_group(struct inc_cpu *cpu, struct inc_weight *weight, struct inc_prepared *prepared)
{
    return inc_gemm_group_pack(cpu->base.ctx, cpu->pool, prepared->u.group.kernel, (size_t)weight->out,
                               (size_t)weight->in, (size_t)group_of(weight), row_group, weight,
                               &prepared->u.group.weights);
}

/* How the slot is to be multiplied. */
static void choose_form(const struct inc_cpu *cpu, const struct inc_slot *slot, struct inc_prepared *prepared)
{
    const bool int4 = inc_weight_is_int4(&slot->weight);
    const bool grouped = int4 || slot->weight.group != 0;
    prepared->form = !slot->integer ? INC_CPU_F32 : grouped ? INC_CPU_GROUP : INC_CPU_I8;
    if (prepared->form == INC_CPU_GROUP) prepared->u.group.kernel = int4 ? cpu->gemm_group_i4 : cpu->gemm_group_i8;
}

enum incise_status inc_cpu_pack_linear(struct inc_cpu *cpu, const struct inc_slot *slot, struct inc_prepared *prepared)
{
    struct inc_weight weight = slot->weight;
    choose_form(cpu, slot, prepared);
    switch (prepared->form) {
    case INC_CPU_I8: return pack_i8(cpu, &weight, &prepared->u.i8);
    case INC_CPU_GROUP: return pack_group(cpu, &weight, prepared);
    default:
        return inc_gemm_f32_pack(cpu->base.ctx, cpu->pool, cpu->gemm_f32, (size_t)weight.out, (size_t)weight.in,
                                 row_f32, &weight, &prepared->u.f32);
    }
}

void inc_cpu_release_linear(const struct inc_cpu *cpu, struct inc_prepared *prepared)
{
    switch (prepared->form) {
    case INC_CPU_I8: inc_gemm_i8_release(cpu->base.ctx, &prepared->u.i8); break;
    case INC_CPU_GROUP: inc_gemm_group_release(cpu->base.ctx, &prepared->u.group.weights); break;
    default: inc_gemm_f32_release(cpu->base.ctx, &prepared->u.f32); break;
    }
}

void inc_cpu_describe_linear(const struct inc_cpu *cpu, const struct inc_prepared *prepared,
                             struct inc_step_info *info)
{
    const struct inc_gemm_f32_weights *f32 = &prepared->u.f32;
    const struct inc_gemm_i8_weights *i8 = &prepared->u.i8;
    const struct inc_gemm_group_weights *group = &prepared->u.group.weights;
    switch (prepared->form) {
    case INC_CPU_I8:
        *info = (struct inc_step_info){cpu->gemm_i8->name, i8->bytes, i8->density, INCISE_LIMIT_INT8};
        break;
    case INC_CPU_GROUP:
        *info = (struct inc_step_info){prepared->u.group.kernel->name, group->bytes, group->density,
                                       prepared->u.group.kernel->bits == 4 ? INCISE_LIMIT_INT4 : INCISE_LIMIT_INT8};
        break;
    default: *info = (struct inc_step_info){cpu->gemm_f32->name, f32->bytes, f32->density, INCISE_LIMIT_F32}; break;
    }
}

/* ---- kept weights ---------------------------------------------------------------------------------------------- */

/* Which form and kernel weights are for: the first of their tables. */
struct label {
    uint32_t form;
    char kernel[60];
};

static struct label label_of(const struct inc_cpu *cpu, const struct inc_prepared *prepared)
{
    const char *kernel = prepared->form == INC_CPU_F32  ? cpu->gemm_f32->name
                         : prepared->form == INC_CPU_I8 ? cpu->gemm_i8->name
                                                        : prepared->u.group.kernel->name;
    struct label label = {.form = prepared->form};
    memcpy(label.kernel, kernel, inc_min_size(strlen(kernel), sizeof label.kernel - 1));
    return label;
}

void inc_cpu_save_linear(const struct inc_cpu *cpu, const struct inc_prepared *prepared, struct inc_packed_out *out)
{
    const struct label label = label_of(cpu, prepared);
    inc_blob_put(&out->tables, &label, sizeof label);
    switch (prepared->form) {
    case INC_CPU_I8: inc_gemm_i8_save(&prepared->u.i8, out); break;
    case INC_CPU_GROUP: inc_gemm_group_save(prepared->u.group.kernel, &prepared->u.group.weights, out); break;
    default: inc_gemm_f32_save(&prepared->u.f32, out); break;
    }
}

static enum incise_status restore_form(const struct inc_cpu *cpu, const struct inc_slot *slot, struct inc_packed packed,
                                       struct inc_prepared *prepared)
{
    const struct inc_ctx *ctx = cpu->base.ctx;
    const size_t n = (size_t)slot->weight.out, k = (size_t)slot->weight.in;
    switch (prepared->form) {
    case INC_CPU_I8: return inc_gemm_i8_restore(ctx, cpu->gemm_i8, n, k, &packed, &prepared->u.i8);
    case INC_CPU_GROUP:
        return inc_gemm_group_restore(ctx, prepared->u.group.kernel, n, k, &packed, &prepared->u.group.weights);
    default: return inc_gemm_f32_restore(ctx, cpu->gemm_f32, n, k, &packed, &prepared->u.f32);
    }
}

enum incise_status inc_cpu_restore_linear(struct inc_cpu *cpu, const struct inc_slot *slot,
                                          const struct inc_packed *packed, struct inc_prepared **out)
{
    struct inc_packed rest = *packed;
    struct inc_prepared *prepared = inc_alloc_zero(cpu->base.ctx, 1, sizeof *prepared);
    *out = NULL;
    if (prepared == NULL) return inc_fail_memory(cpu->base.ctx, sizeof *prepared, "packed weights");
    choose_form(cpu, slot, prepared);
    const struct label wanted = label_of(cpu, prepared);
    struct label label;
    const bool found = inc_blob_read(&rest.tables, &label, sizeof label);
    enum incise_status status = found ? INCISE_OK : INCISE_ERROR_DATA;
    if (found && memcmp(&label, &wanted, sizeof label) == 0) {
        status = restore_form(cpu, slot, rest, prepared);
        if (status == INCISE_OK) *out = prepared;
    }
    if (*out == NULL) inc_free(cpu->base.ctx, prepared);
    return status;
}
