/* SPDX-License-Identifier: Apache-2.0 */
/* A family of matrix products, as bench_kernels sees it: C[m, n] = A[m, k] W[n, k]^T in one form of weights. */
#ifndef BENCH_GEMM_H
#define BENCH_GEMM_H

#include "bench.h"

/* W[n, k]: integers about normally distributed that fill [-127, 127], zero where the pattern says so. */
struct bench_weights {
    size_t n, k;
    const int8_t *q;
};

/* Inputs of every form for the same product. */
struct bench_input {
    size_t m;
    const float *a;      /* [m][k] */
    const uint8_t *a_u8; /* [m][k], zero point 128 */
    const float *scale;  /* [m] */
    float *c;            /* [m][n] */
};

struct bench_packed {
    void *weights; /* the family's own */
    size_t bytes;
    double density; /* multiplications that are made */
};

struct bench_kernel {
    const char *name;
    enum incise_isa isa;
    enum incise_limit limit;
};

struct bench_family {
    const char *name;
    unsigned narrowest; /* block width, in inputs, that masks are made of: 1 or 4 */
    bool masks;         /* whether zeros can pay */
    unsigned bits;      /* of a stored weight */
    unsigned group;     /* inputs per scale of a weight, 0: all */
    /* False beyond the last. */
    bool (*kernel)(size_t index, struct bench_kernel *kernel);
    void (*pack)(struct bench *bench, const struct bench_family *family, size_t kernel,
                 const struct bench_weights *weights, struct bench_packed *packed);
    void (*run)(const struct bench_family *family, size_t kernel, const struct bench_packed *packed,
                const struct bench_input *input);
    void (*release)(struct bench *bench, struct bench_packed *packed);
};

/* incise's own, then the libraries that were found when this was built. */
extern const struct bench_family bench_families[];
extern const size_t bench_n_families;
extern const struct bench_family bench_rivals[];
extern const size_t bench_n_rivals;

#endif
