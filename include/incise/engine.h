/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: threads, chosen kernels, allocator and log sink. Models and sessions are made from it. */
#ifndef INCISE_ENGINE_H
#define INCISE_ENGINE_H

#include <stddef.h>

#include "incise/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum incise_log_level { INCISE_LOG_ERROR = 0, INCISE_LOG_WARNING = 1, INCISE_LOG_INFO = 2, INCISE_LOG_DEBUG = 3 };

/* Receives one line of text (no newline at its end). May be called from any thread that calls the library; the
 * library serializes nothing, so the sink must be thread-safe. `text` lives for the call only. */
typedef void incise_log_fn(void *user, enum incise_log_level level, const char *text);

/* Memory source. `allocate` returns `bytes` (> 0) aligned to 64, or NULL; `release` takes what it returned (never
 * NULL). Both must be thread-safe. */
struct incise_allocator {
    void *(*allocate)(void *user, size_t bytes);
    void (*release)(void *user, void *memory);
    void *user;
};

/* Instruction sets in rising order; each includes those before it. */
enum incise_isa {
    INCISE_ISA_SCALAR = 0,
    INCISE_ISA_AVX2 = 1,   /* AVX2 + FMA + F16C */
    INCISE_ISA_AVX512 = 2, /* AVX-512 F, BW, DQ, VL */
    INCISE_ISA_VNNI = 3,   /* + AVX-512 VNNI */
    INCISE_ISA_BF16 = 4    /* + AVX-512 BF16 */
};

/* Initialize with incise_engine_options_init, change what you need. */
struct incise_engine_options {
    size_t struct_size;                /* set by the init function */
    int threads;                       /* 0 = as many as affinity and cgroup quota allow */
    int isa;                           /* highest enum incise_isa to use; -1 = what the CPU has */
    size_t max_memory;                 /* bytes; 0 = 80 % of what the cgroup or the machine has */
    int pin_threads;                   /* 1 = pin each worker (not the caller) to a CPU of the affinity mask */
    struct incise_allocator allocator; /* allocate == NULL: malloc */
    incise_log_fn *log;                /* NULL: silent */
    void *log_user;
    enum incise_log_level log_level;
    const char *cache_dir; /* folder for caches of tokenizers, made if it is not there; NULL: none are kept. Copied */
};

struct incise_engine;

INCISE_API void incise_engine_options_init(struct incise_engine_options *options);

/* Makes an engine; `options` may be NULL for the defaults. On success the caller owns *engine and frees it with
 * incise_engine_destroy after every model made from it. INCISE_ERROR_NO_DEVICE when the CPU lacks the requested
 * instruction set. */
INCISE_API INCISE_CHECK enum incise_status incise_engine_create(const struct incise_engine_options *options,
                                                                struct incise_engine **engine);
/* NULL is fine. */
INCISE_API void incise_engine_destroy(struct incise_engine *engine);

INCISE_API int incise_engine_threads(const struct incise_engine *engine);
INCISE_API enum incise_isa incise_engine_isa(const struct incise_engine *engine);
/* One kernel family: what was chosen for the engine's instruction set, and why. Static text. */
struct incise_kernel_row {
    const char *family; /* "gemm f32" */
    const char *name;   /* "avx512_12x32" */
    const char *why;
};
INCISE_API size_t incise_engine_kernels(const struct incise_engine *engine);
INCISE_API void incise_engine_kernel(const struct incise_engine *engine, size_t index, struct incise_kernel_row *row);

/* What bounds an op at best. */
enum incise_limit {
    INCISE_LIMIT_F32 = 0,  /* operations on floats, a multiplication and an addition being two */
    INCISE_LIMIT_INT8 = 1, /* on bytes, summed in 32 bits */
    INCISE_LIMIT_INT4 = 2, /* on bytes and 4-bit weights */
    INCISE_LIMIT_READ = 3, /* bytes read from memory */
    INCISE_LIMITS = 4
};
/* "f32", "int8", "int4", "read". */
INCISE_API const char *incise_limit_name(enum incise_limit limit);

/* A limit as measured: operations, or bytes, per second. */
struct incise_peak {
    const char *kernel; /* static text: the loop that was run */
    double one_thread, all_threads;
};
/* Measures `limit` with the engine's instruction set for about `seconds`, half of it on one thread and half on all: the
 * best of short slots. READ takes 512 MiB of memory meanwhile. Nothing else should run. */
INCISE_API INCISE_CHECK enum incise_status incise_engine_peak(struct incise_engine *engine, enum incise_limit limit,
                                                              double seconds, struct incise_peak *peak);

/* The library's version, "1.2.3". */
INCISE_API const char *incise_version(void);
/* "scalar", "avx2", "avx512", "vnni", "bf16". */
INCISE_API const char *incise_isa_name(enum incise_isa isa);
/* The highest instruction set of this CPU. */
INCISE_API enum incise_isa incise_isa_detect(void);
/* The CPU's brand string, e.g. "AMD EPYC 9V74"; "unknown" when it has none. */
INCISE_API const char *incise_cpu_name(void);

#ifdef __cplusplus
}
#endif
#endif
