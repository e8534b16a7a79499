/* SPDX-License-Identifier: Apache-2.0 */
/* The same products by OpenBLAS and oneDNN, one thread each. They choose their instruction set themselves
 * (OPENBLAS_CORETYPE=Haswell and ONEDNN_MAX_CPU_ISA=AVX2 hold them to AVX2). */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_gemm.h"

static void fill_weights(const struct bench_weights *weights, float *out)
{
    for (size_t i = 0; i < weights->n * weights->k; i++) out[i] = (float)weights->q[i] * 0.01f;
}

/* ---- OpenBLAS: packs the weights in every call ------------------------------------------------------------------ */

struct blas_weights {
    int n, k;
    float *w;
};

static bool blas_kernel(size_t index, struct bench_kernel *kernel)
{
    *kernel = (struct bench_kernel){"openblas", INCISE_ISA_AVX2, INCISE_LIMIT_F32};
    return index == 0;
}

static void blas_pack(struct bench *bench, const struct bench_family *family, size_t kernel,
                      const struct bench_weights *weights, struct bench_packed *packed)
{
    struct blas_weights *own = bench_alloc(bench, 1, sizeof *own);
    const size_t bytes = weights->n * weights->k * sizeof *own->w;
    (void)family, (void)kernel;
    openblas_set_num_threads(1);
    *own = (struct blas_weights){(int)weights->n, (int)weights->k, bench_alloc(bench, bytes, 1)};
    fill_weights(weights, own->w);
    *packed = (struct bench_packed){own, bytes, 1.0};
}

static void blas_run(const struct bench_family *family, size_t kernel, const struct bench_packed *packed,
                     const struct bench_input *input)
{
    const struct blas_weights *own = packed->weights;
    (void)family, (void)kernel;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)input->m, own->n, own->k, 1.0f, input->a, own->k, own->w,
                own->k, 0.0f, input->c, own->n);
}

static void blas_release(struct bench *bench, struct bench_packed *packed)
{
    struct blas_weights *own = packed->weights;
    inc_free(&bench->ctx, own->w);
    inc_free(&bench->ctx, own);
}

/* ---- oneDNN: weights in the layout it asks for, made at the first run, as that depends on m --------------------- */

#ifdef BENCH_ONEDNN
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

struct dnnl_weights {
    dnnl_dim_t n, k, m; /* m: of `matmul`, 0 before the first run */
    bool integer;
    void *plain; /* [n][k] */
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t matmul;
    dnnl_memory_t packed, source, destination;
};

static void check(dnnl_status_t status)
{
    if (status == dnnl_success) return;
    fprintf(stderr, "bench_kernels: oneDNN fails with status %d\n", (int)status);
    exit(INCISE_ERROR_FAILED);
}

static bool dnnl_kernel(size_t index, struct bench_kernel *kernel, enum incise_limit limit)
{
    *kernel = (struct bench_kernel){"onednn", INCISE_ISA_AVX2, limit};
    return index == 0;
}

static bool dnnl_f32_kernel(size_t index, struct bench_kernel *kernel)
{
    return dnnl_kernel(index, kernel, INCISE_LIMIT_F32);
}

static bool dnnl_i8_kernel(size_t index, struct bench_kernel *kernel)
{
    return dnnl_kernel(index, kernel, INCISE_LIMIT_INT8);
}

static void dnnl_pack(struct bench *bench, const struct bench_family *family, size_t kernel,
                      const struct bench_weights *weights, struct bench_packed *packed)
{
    struct dnnl_weights *own = bench_alloc(bench, 1, sizeof *own);
    const size_t count = weights->n * weights->k;
    (void)kernel;
    omp_set_num_threads(1);
    own->n = (dnnl_dim_t)weights->n, own->k = (dnnl_dim_t)weights->k;
    own->integer = family->bits == 8;
    own->plain = bench_alloc(bench, count, own->integer ? 1 : sizeof(float));
    if (own->integer)
        memcpy(own->plain, weights->q, count);
    else
        fill_weights(weights, own->plain);
    check(dnnl_engine_create(&own->engine, dnnl_cpu, 0));
    check(dnnl_stream_create(&own->stream, own->engine, dnnl_stream_default_flags));
    *packed = (struct bench_packed){own, count * family->bits / 8, 1.0};
}

static dnnl_memory_t dnnl_view(struct dnnl_weights *own, const dnnl_memory_desc_t *desc, const void *data)
{
    dnnl_memory_t memory;
    check(dnnl_memory_create(&memory, desc, own->engine, data ? (void *)(uintptr_t)data : DNNL_MEMORY_ALLOCATE));
    return memory;
}

static dnnl_memory_desc_t dnnl_matrix(dnnl_dim_t rows, dnnl_dim_t columns, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    check(dnnl_memory_desc_init_by_tag(&desc, 2, (dnnl_dims_t){rows, columns}, type, tag));
    return desc;
}

/* Zero point and scale as incise has them; the scale is one for all rows, which costs less. */
static dnnl_primitive_attr_t dnnl_attributes(bool integer)
{
    static const int32_t zero = 128;
    static const float scale = 0.01f;
    dnnl_primitive_attr_t attributes;
    check(dnnl_primitive_attr_create(&attributes));
    if (integer) {
        check(dnnl_primitive_attr_set_zero_points(attributes, DNNL_ARG_SRC, 1, 0, &zero));
        check(dnnl_primitive_attr_set_output_scales(attributes, 1, 0, &scale));
    }
    return attributes;
}

static void dnnl_prepare(struct dnnl_weights *own, const struct bench_input *input)
{
    const dnnl_data_type_t type = own->integer ? dnnl_s8 : dnnl_f32, source_type = own->integer ? dnnl_u8 : dnnl_f32;
    const dnnl_memory_desc_t source = dnnl_matrix((dnnl_dim_t)input->m, own->k, source_type, dnnl_ab);
    const dnnl_memory_desc_t any = dnnl_matrix(own->k, own->n, type, dnnl_format_tag_any);
    const dnnl_memory_desc_t plain = dnnl_matrix(own->k, own->n, type, dnnl_ba);
    const dnnl_memory_desc_t destination = dnnl_matrix((dnnl_dim_t)input->m, own->n, dnnl_f32, dnnl_ab);
    dnnl_primitive_attr_t attributes = dnnl_attributes(own->integer);
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t made, order;
    dnnl_primitive_t reorder;
    check(dnnl_matmul_desc_init(&desc, &source, &any, NULL, &destination));
    check(dnnl_primitive_desc_create(&made, &desc, attributes, own->engine, NULL));
    const dnnl_memory_desc_t *wanted = dnnl_primitive_desc_query_md(made, dnnl_query_weights_md, 0);
    check(dnnl_primitive_create(&own->matmul, made));
    own->packed = dnnl_view(own, wanted, NULL);
    dnnl_memory_t from = dnnl_view(own, &plain, own->plain);
    check(dnnl_reorder_primitive_desc_create(&order, &plain, own->engine, wanted, own->engine, NULL));
    check(dnnl_primitive_create(&reorder, order));
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, own->packed}};
    check(dnnl_primitive_execute(reorder, own->stream, 2, args));
    check(dnnl_stream_wait(own->stream));
    own->source = dnnl_view(own, &source, own->integer ? (const void *)input->a_u8 : (const void *)input->a);
    own->destination = dnnl_view(own, &destination, input->c);
    own->m = (dnnl_dim_t)input->m;
    dnnl_memory_destroy(from);
    dnnl_primitive_destroy(reorder), dnnl_primitive_desc_destroy(order), dnnl_primitive_desc_destroy(made);
    dnnl_primitive_attr_destroy(attributes);
}

static void dnnl_run(const struct bench_family *family, size_t kernel, const struct bench_packed *packed,
                     const struct bench_input *input)
{
    struct dnnl_weights *own = packed->weights;
    (void)family, (void)kernel;
    if (own->m == 0) dnnl_prepare(own, input);
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, own->source}, {DNNL_ARG_WEIGHTS, own->packed}, {DNNL_ARG_DST, own->destination}};
    check(dnnl_primitive_execute(own->matmul, own->stream, 3, args));
    check(dnnl_stream_wait(own->stream));
}

static void dnnl_release(struct bench *bench, struct bench_packed *packed)
{
    struct dnnl_weights *own = packed->weights;
    if (own->m) {
        dnnl_memory_destroy(own->packed), dnnl_memory_destroy(own->source), dnnl_memory_destroy(own->destination);
        dnnl_primitive_destroy(own->matmul);
    }
    dnnl_stream_destroy(own->stream);
    dnnl_engine_destroy(own->engine);
    inc_free(&bench->ctx, own->plain);
    inc_free(&bench->ctx, own);
}
#endif

const struct bench_family bench_rivals[] = {
    {"f32", 1, false, 32, 0, blas_kernel, blas_pack, blas_run, blas_release},
#ifdef BENCH_ONEDNN
    {"f32", 1, false, 32, 0, dnnl_f32_kernel, dnnl_pack, dnnl_run, dnnl_release},
    {"i8", 4, false, 8, 0, dnnl_i8_kernel, dnnl_pack, dnnl_run, dnnl_release},
#endif
};
const size_t bench_n_rivals = sizeof bench_rivals / sizeof bench_rivals[0];
