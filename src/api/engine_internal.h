/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_API_ENGINE_INTERNAL_H
#define INC_API_ENGINE_INTERNAL_H

#include "base/context.h"
#include "base/threads.h"
#include "device/device.h"

struct incise_engine {
    struct inc_ctx ctx;
    char *cache_dir; /* or NULL */
    struct inc_pool *pool;
    enum incise_isa isa;
    struct inc_device *device;
};

static inline const struct inc_ctx *inc_engine_ctx(const struct incise_engine *engine)
{
    return &engine->ctx;
}

static inline struct inc_pool *inc_engine_pool(const struct incise_engine *engine)
{
    return engine->pool;
}

#endif
