/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of bench_kernels share. A benchmark program: it prints, and ends on the first failure. */
#ifndef BENCH_H
#define BENCH_H

#include "base/context.h"

#define BENCH_MAX_LIST 16

struct bench_shape {
    size_t n, k;
};

struct bench {
    struct inc_ctx ctx;
    enum incise_isa isa; /* kernels beyond it are left out */
    size_t rounds;
    size_t n_families, n_ms, n_shapes;
    const char *families[BENCH_MAX_LIST]; /* none: all */
    size_t ms[BENCH_MAX_LIST];
    struct bench_shape shapes[BENCH_MAX_LIST]; /* of weights */
    bool patterns;                             /* masked weights beside dense ones */
};

/* CPU time of this thread. */
double bench_seconds(void);
/* 31 random bits. */
uint32_t bench_random(uint64_t *state);
/* Zeroed; exits when there is none. */
void *bench_alloc(struct bench *bench, size_t n, size_t size);
float *bench_random_floats(struct bench *bench, size_t n, uint64_t seed);
/* Sorts `values`. */
double bench_median(double *values, size_t n);
bool bench_wants(const struct bench *bench, const char *family);

/* What the CPU could do at most, by loops on registers, measured when asked: other work on the machine, and the clock,
 * change it from one millisecond to the next. */
enum bench_peak {
    BENCH_PEAK_FMA_256,
    BENCH_PEAK_FMA_512,
    BENCH_PEAK_I8_256,
    BENCH_PEAK_I4_256,
    BENCH_PEAK_DOT_512,
    BENCH_N_PEAKS
};
extern const char *const bench_peak_names[];
enum incise_isa bench_peak_isa(enum bench_peak peak);
/* The peak of the same arithmetic on the widest registers of `isa`. */
enum bench_peak bench_peak_widest(enum bench_peak peak, enum incise_isa isa);
/* 1e9 operations per second, a multiplication and an addition being two. Takes about half a millisecond. */
double bench_peak(enum bench_peak peak);
enum bench_peak bench_peak_f32(enum incise_isa isa);
/* Bytes per second / 1e9 of reading `bytes` at `data` in order. */
double bench_read_rate(const void *data, size_t bytes);

/* The sections of the program. */
void bench_gemm(struct bench *bench);
void bench_attention(struct bench *bench);
void bench_rows(struct bench *bench);

#endif
