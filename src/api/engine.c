/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/engine_internal.h"
#include "base/cpu.h"
#include "kernels/peak/peak.h"

void incise_engine_options_init(struct incise_engine_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
    options->isa = -1;
    options->log_level = INCISE_LOG_WARNING;
}

static enum incise_status copy_cache_dir(struct incise_engine *engine, const char *path)
{
    if (path == NULL || path[0] == '\0') return INCISE_OK;
    size_t size = strlen(path) + 1;
    engine->cache_dir = inc_alloc(&engine->ctx, size);
    if (engine->cache_dir == NULL) return inc_fail_memory(&engine->ctx, size, "a path");
    memcpy(engine->cache_dir, path, size);
    engine->ctx.cache_dir = engine->cache_dir;
    return INCISE_OK;
}

static enum incise_status set_up(struct incise_engine *engine, const struct incise_engine_options *options)
{
    const struct inc_ctx *ctx = &engine->ctx;
    enum incise_isa best = incise_isa_detect();
    if (options->isa > (int)INCISE_ISA_BF16 || options->isa < -1)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "instruction set %d: use -1 to %d", options->isa, INCISE_ISA_BF16);
    if (options->isa > (int)best)
        return inc_fail(ctx, INCISE_ERROR_NO_DEVICE, "this CPU has no %s; its best is %s",
                        incise_isa_name((enum incise_isa)options->isa), incise_isa_name(best));
    engine->isa = options->isa < 0 ? best : (enum incise_isa)options->isa;
    int allowed = inc_cpu_count();
    INC_TRY(inc_pool_create(ctx, options->threads > 0 ? options->threads : allowed, options->pin_threads != 0,
                            &engine->pool));
    return inc_cpu_device_create(ctx, engine->pool, engine->isa, &engine->device);
}

enum incise_status incise_engine_create(const struct incise_engine_options *options, struct incise_engine **out)
{
    struct incise_engine_options defaults;
    struct inc_ctx ctx;
    incise_engine_options_init(&defaults);
    if (options == NULL) options = &defaults;
    inc_ctx_init(&ctx);
    if (options->allocator.allocate != NULL) ctx.allocator = options->allocator;
    ctx.log = options->log;
    ctx.log_user = options->log_user;
    ctx.log_level = options->log_level;
    ctx.max_memory = options->max_memory > 0 ? options->max_memory : inc_memory_limit() / 5 * 4;
    if (options->struct_size != sizeof *options)
        return inc_fail(&ctx, INCISE_ERROR_USAGE, "engine options were not initialized by incise_engine_options_init");
    struct incise_engine *engine = inc_alloc_zero(&ctx, 1, sizeof *engine);
    if (engine == NULL) return inc_fail_memory(&ctx, sizeof *engine, "the engine");
    engine->ctx = ctx;
    enum incise_status status = copy_cache_dir(engine, options->cache_dir);
    if (status == INCISE_OK) status = set_up(engine, options);
    if (status != INCISE_OK) {
        incise_engine_destroy(engine);
        return status;
    }
    *out = engine;
    return INCISE_OK;
}

void incise_engine_destroy(struct incise_engine *engine)
{
    if (engine == NULL) return;
    struct inc_ctx ctx = engine->ctx;
    inc_free(&ctx, engine->cache_dir);
    if (engine->device != NULL) engine->device->ops->destroy(engine->device);
    inc_pool_destroy(engine->pool);
    inc_free(&ctx, engine);
}

const char *incise_version(void)
{
    return INCISE_VERSION;
}

int incise_engine_threads(const struct incise_engine *engine)
{
    return (int)inc_pool_threads(engine->pool);
}

enum incise_isa incise_engine_isa(const struct incise_engine *engine)
{
    return engine->isa;
}

size_t incise_engine_kernels(const struct incise_engine *engine)
{
    const char *family, *name;
    enum incise_isa isa;
    size_t n = 0;
    while (engine->device->ops->kernel(engine->device, n, &family, &name, &isa)) n++;
    return n;
}

static const char *const limit_names[] = {
    [INCISE_LIMIT_F32] = "f32",
    [INCISE_LIMIT_INT8] = "int8",
    [INCISE_LIMIT_INT4] = "int4",
    [INCISE_LIMIT_READ] = "read",
};

const char *incise_limit_name(enum incise_limit limit)
{
    return (unsigned)limit < INCISE_LIMITS ? limit_names[limit] : "unknown";
}

static enum incise_status measure_read(struct incise_engine *engine, double seconds, struct incise_peak *peak)
{
    void *memory = inc_alloc_zero(&engine->ctx, INC_PEAK_READ_BYTES, 1);
    if (memory == NULL) return inc_fail_memory(&engine->ctx, INC_PEAK_READ_BYTES, "memory to read");
    *peak = (struct incise_peak){.kernel = "read", .one_thread = inc_peak_measure_read(memory, NULL, seconds / 2),
                                 .all_threads = inc_peak_measure_read(memory, engine->pool, seconds / 2)};
    inc_free(&engine->ctx, memory);
    return INCISE_OK;
}

enum incise_status incise_engine_peak(struct incise_engine *engine, enum incise_limit limit, double seconds,
                                      struct incise_peak *peak)
{
    if ((unsigned)limit >= INCISE_LIMITS)
        return inc_fail(&engine->ctx, INCISE_ERROR_USAGE, "limit %d: use 0 to %d", (int)limit, INCISE_LIMITS - 1);
    if (limit == INCISE_LIMIT_READ) return measure_read(engine, seconds, peak);
    const struct inc_peak_kernel *kernel = inc_peak_select(limit, engine->isa);
    *peak = (struct incise_peak){.kernel = kernel->name, .one_thread = inc_peak_measure(kernel, NULL, seconds / 2),
                                 .all_threads = inc_peak_measure(kernel, engine->pool, seconds / 2)};
    return INCISE_OK;
}

void incise_engine_kernel(const struct incise_engine *engine, size_t index, struct incise_kernel_row *row)
{
    static const char *const why[] = {
        [INCISE_ISA_SCALAR] = "plain C: nothing faster within the instruction set",
        [INCISE_ISA_AVX2] = "AVX2 and FMA are the best that this family has here",
        [INCISE_ISA_AVX512] = "AVX-512 is the best that this family has here",
        [INCISE_ISA_VNNI] = "VNNI multiplies four bytes per lane and instruction",
        [INCISE_ISA_BF16] = "AVX-512 BF16 is the best that this family has here",
    };
    enum incise_isa isa = INCISE_ISA_SCALAR;
    *row = (struct incise_kernel_row){"", "", ""};
    if (engine->device->ops->kernel(engine->device, index, &row->family, &row->name, &isa)) row->why = why[isa];
}
