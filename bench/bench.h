/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of bench_kernels share. A benchmark program: it prints, and ends on the first failure. */
#ifndef BENCH_H
#define BENCH_H

#include "base/context.h"
#include "kernels/peak/peak.h"

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

/* 1e9 operations per second of CPU time of this thread, measured for about half a millisecond. */
double bench_peak(const struct inc_peak_kernel *kernel);

/* The sections of the program. */
void bench_gemm(struct bench *bench);
void bench_attention(struct bench *bench);
void bench_rows(struct bench *bench);

#endif
