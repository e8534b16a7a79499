/* SPDX-License-Identifier: Apache-2.0 */
/* A device that plans everything, packs nothing and runs nothing. */
#include "device/device.h"

static bool null_supports(const struct inc_device *device, const struct inc_step *step, const struct inc_slot *slot)
{
    (void)device, (void)step, (void)slot;
    return true;
}

static size_t null_quantized_row_bytes(const struct inc_device *device, size_t width)
{
    (void)device;
    return (width + 127) / 64 * 64;
}

static enum incise_status null_prepare(struct inc_device *device, const struct inc_step *step,
                                       const struct inc_slot *slot, struct inc_prepared **prepared)
{
    (void)device, (void)step, (void)slot;
    *prepared = NULL;
    return INCISE_OK;
}

static void null_save(const struct inc_device *device, const struct inc_prepared *prepared, struct inc_packed_out *out)
{
    (void)device, (void)prepared, (void)out;
}

static enum incise_status null_restore(struct inc_device *device, const struct inc_slot *slot,
                                       const struct inc_packed *packed, struct inc_prepared **prepared)
{
    (void)device, (void)slot, (void)packed;
    *prepared = NULL;
    return INCISE_OK;
}

static void null_release(struct inc_device *device, struct inc_prepared *prepared)
{
    (void)device, (void)prepared;
}

static void null_describe(const struct inc_device *device, const struct inc_step *step,
                          const struct inc_prepared *prepared, struct inc_step_info *info)
{
    (void)device, (void)step, (void)prepared;
    *info = (struct inc_step_info){.kernel = "null", .density = 1};
}

static size_t null_scratch_bytes(const struct inc_device *device, const struct inc_step *steps, size_t n_steps,
                                 size_t n_buffers, size_t n_tokens)
{
    (void)device, (void)steps, (void)n_steps, (void)n_buffers, (void)n_tokens;
    return 0;
}

static enum incise_status null_run(struct inc_device *device, const struct inc_step *steps,
                                   struct inc_prepared *const *prepared, size_t n, const struct inc_batch *batch,
                                   void *scratch)
{
    (void)device, (void)steps, (void)prepared, (void)n, (void)batch, (void)scratch;
    return INCISE_OK;
}

static bool null_kernel(const struct inc_device *device, size_t index, const char **family, const char **name,
                        enum incise_isa *isa)
{
    (void)device, (void)index, (void)family, (void)name, (void)isa;
    return false;
}

static void null_destroy(struct inc_device *device)
{
    inc_free(device->ctx, device);
}

static const struct inc_device_ops null_ops = {
    .name = "null",
    .supports = null_supports,
    .quantized_row_bytes = null_quantized_row_bytes,
    .prepare = null_prepare,
    .save = null_save,
    .restore = null_restore,
    .release = null_release,
    .describe = null_describe,
    .scratch_bytes = null_scratch_bytes,
    .run = null_run,
    .kernel = null_kernel,
    .destroy = null_destroy,
};

enum incise_status inc_null_device_create(const struct inc_ctx *ctx, struct inc_device **out)
{
    struct inc_device *device = inc_alloc_zero(ctx, 1, sizeof *device);
    if (device == NULL) return inc_fail_memory(ctx, sizeof *device, "the null device");
    *device = (struct inc_device){&null_ops, ctx};
    *out = device;
    return INCISE_OK;
}
