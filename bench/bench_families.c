/* SPDX-License-Identifier: Apache-2.0 */
/* The product families of src/kernels/gemm for bench_kernels. */
#include <stdio.h>
#include <stdlib.h>

#include "bench_gemm.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_group.h"
#include "kernels/gemm/gemm_i8.h"

static void check(enum incise_status status)
{
    if (status == INCISE_OK) return;
    fprintf(stderr, "bench_kernels: weights cannot be packed\n");
    exit((int)status);
}

/* ---- float ------------------------------------------------------------------------------------------------------- */

static bool f32_kernel(size_t index, struct bench_kernel *kernel)
{
    size_t n;
    const struct inc_gemm_f32_kernel *kernels = inc_gemm_f32_kernels(&n);
    if (index >= n) return false;
    *kernel = (struct bench_kernel){kernels[index].name, kernels[index].isa, INCISE_LIMIT_F32};
    return true;
}

static void f32_row(void *arg, size_t row, float *out)
{
    const struct bench_weights *weights = arg;
    for (size_t i = 0; i < weights->k; i++) out[i] = (float)weights->q[row * weights->k + i] * 0.01f;
}

static void f32_pack(struct bench *bench, const struct bench_family *family, size_t kernel,
                     const struct bench_weights *weights, struct bench_packed *packed)
{
    size_t n;
    struct inc_gemm_f32_weights *own = bench_alloc(bench, 1, sizeof *own);
    (void)family;
    check(inc_gemm_f32_pack(&bench->ctx, NULL, &inc_gemm_f32_kernels(&n)[kernel], weights->n, weights->k, f32_row,
                            (void *)(uintptr_t)weights, own));
    *packed = (struct bench_packed){own, own->bytes, own->density};
}

static void f32_run(const struct bench_family *family, size_t kernel, const struct bench_packed *packed,
                   const struct bench_input *input)
{
    size_t n;
    (void)family;
    const struct inc_gemm_f32_weights *own = packed->weights;
    inc_gemm_f32_kernels(&n)[kernel].run(input->m, own->n, own->strips, input->a, own->k, NULL, input->c, own->n);
}

static void f32_release(struct bench *bench, struct bench_packed *packed)
{
    inc_gemm_f32_release(&bench->ctx, packed->weights);
    inc_free(&bench->ctx, packed->weights);
}

/* ---- 8-bit, a scale per output
 * ------------------------------------------------------------------------------------ */

static bool i8_kernel(size_t index, struct bench_kernel *kernel)
{
    size_t n;
    const struct inc_gemm_i8_kernel *kernels = inc_gemm_i8_kernels(&n);
    if (index >= n) return false;
    *kernel = (struct bench_kernel){kernels[index].name, kernels[index].isa,
                                    INCISE_LIMIT_INT8};
    return true;
}

static void i8_row(void *arg, size_t row, int16_t *out)
{
    const struct bench_weights *weights = arg;
    for (size_t i = 0; i < weights->k; i++) out[i] = weights->q[row * weights->k + i];
}

static void i8_pack(struct bench *bench, const struct bench_family *family, size_t kernel,
                    const struct bench_weights *weights, struct bench_packed *packed)
{
    size_t n;
    struct inc_gemm_i8_weights *own = bench_alloc(bench, 1, sizeof *own);
    float *scale = bench_random_floats(bench, weights->n, 6);
    (void)family;
    check(inc_gemm_i8_pack(&bench->ctx, NULL, &inc_gemm_i8_kernels(&n)[kernel], weights->n, weights->k, i8_row,
                           (void *)(uintptr_t)weights, scale, own));
    inc_free(&bench->ctx, scale);
    *packed = (struct bench_packed){own, own->bytes, own->density};
}

static void i8_run(const struct bench_family *family, size_t kernel, const struct bench_packed *packed,
                   const struct bench_input *input)
{
    size_t n;
    (void)family;
    const struct inc_gemm_i8_weights *own = packed->weights;
    inc_gemm_i8_kernels(&n)[kernel].run(input->m, own->n, own->strips, input->a_u8, own->k, 128, input->scale,
                                        own->w_scale, NULL, input->c, own->n);
}

static void i8_release(struct bench *bench, struct bench_packed *packed)
{
    inc_gemm_i8_release(&bench->ctx, packed->weights);
    inc_free(&bench->ctx, packed->weights);
}

/* ---- 4- and 8-bit, a scale per group
 * ------------------------------------------------------------------------------- */

/* The index-th kernel that stores `bits`. */
static const struct inc_gemm_group_kernel *group_at(unsigned bits, size_t index)
{
    size_t n;
    const struct inc_gemm_group_kernel *kernels = inc_gemm_group_kernels(&n);
    for (size_t i = 0; i < n; i++)
        if (kernels[i].bits == bits && index-- == 0) return &kernels[i];
    return NULL;
}

static bool group_kernel(unsigned bits, size_t index, struct bench_kernel *kernel)
{
    const struct inc_gemm_group_kernel *found = group_at(bits, index);
    if (!found) return false;
    *kernel = (struct bench_kernel){found->name, found->isa, bits == 4 ? INCISE_LIMIT_INT4 : INCISE_LIMIT_INT8};
    return true;
}

static bool i4_kernel(size_t index, struct bench_kernel *kernel)
{
    return group_kernel(4, index, kernel);
}

static bool i8_group_kernel(size_t index, struct bench_kernel *kernel)
{
    return group_kernel(8, index, kernel);
}

struct group_source {
    const struct bench_weights *weights;
    size_t group;
    int divisor;
};

static void group_row(void *arg, size_t row, int16_t *out, float *scale)
{
    const struct group_source *source = arg;
    const size_t k = source->weights->k;
    for (size_t i = 0; i < k; i++) out[i] = (int16_t)(source->weights->q[row * k + i] / source->divisor);
    for (size_t i = 0; i < k; i += source->group) scale[i / source->group] = 0.01f;
}

static void group_pack(struct bench *bench, const struct bench_family *family, size_t kernel,
                       const struct bench_weights *weights, struct bench_packed *packed)
{
    struct inc_gemm_group_weights *own = bench_alloc(bench, 1, sizeof *own);
    struct group_source source = {weights, family->group, family->bits == 4 ? 16 : 1};
    check(inc_gemm_group_pack(&bench->ctx, NULL, group_at(family->bits, kernel), weights->n, weights->k, family->group,
                              group_row, &source, own));
    *packed = (struct bench_packed){own, own->bytes, own->density};
}

static void group_run(const struct bench_family *family, size_t kernel, const struct bench_packed *packed,
                      const struct bench_input *input)
{
    const struct inc_gemm_group_weights *own = packed->weights;
    group_at(family->bits, kernel)->run(input->m, own->n, own->strips, input->a_u8, own->k, 128, input->scale, NULL,
                                        input->c, own->n);
}

static void group_release(struct bench *bench, struct bench_packed *packed)
{
    inc_gemm_group_release(&bench->ctx, packed->weights);
    inc_free(&bench->ctx, packed->weights);
}

const struct bench_family bench_families[] = {
    {"f32", 1, true, 32, 0, f32_kernel, f32_pack, f32_run, f32_release},
    {"i8", 4, true, 8, 0, i8_kernel, i8_pack, i8_run, i8_release},
    {"i8-g32", 4, true, 8, 32, i8_group_kernel, group_pack, group_run, group_release},
    {"i8-g128", 4, true, 8, 128, i8_group_kernel, group_pack, group_run, group_release},
    {"i4-g32", 4, true, 4, 32, i4_kernel, group_pack, group_run, group_release},
    {"i4-g64", 4, true, 4, 64, i4_kernel, group_pack, group_run, group_release},
    {"i4-g128", 4, true, 4, 128, i4_kernel, group_pack, group_run, group_release},
};
const size_t bench_n_families = sizeof bench_families / sizeof bench_families[0];
