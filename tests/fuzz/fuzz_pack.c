/* SPDX-License-Identifier: Apache-2.0 */
/* Files of packed weights. An input is the file; lengths and hash in its header are put right
 * first. What restores as weights of
 * any kind, for the scalar kernels and a layer of 64 x 64, must multiply. The corpus is `incise pack --isa scalar` of
 * tiny models: bert with 80 % of its 16x4 blocks pruned, bert-int8-asym and bert-int4-sym with --compute int8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/pack/pack_file.h"
#include "fuzz/fuzz.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_group.h"
#include "kernels/gemm/gemm_i8.h"

enum { N = 64, K = 64, MOST_SLOTS = 4, LABEL = 64 }; /* LABEL: cpu_pack.c, bytes of the table in front */

static void try_f32(const struct inc_ctx *ctx, struct inc_packed packed, const void *a, float *c)
{
    const struct inc_gemm_f32_kernel *kernel = inc_gemm_f32_select(INCISE_ISA_SCALAR);
    struct inc_gemm_f32_weights weights;
    if (inc_gemm_f32_restore(ctx, kernel, N, K, &packed, &weights) != INCISE_OK) return;
    kernel->run(1, N, weights.strips, a, K, NULL, c, N);
    inc_gemm_f32_release(ctx, &weights);
}

static void try_i8(const struct inc_ctx *ctx, struct inc_packed packed, const void *a, float *c)
{
    const struct inc_gemm_i8_kernel *kernel = inc_gemm_i8_select(INCISE_ISA_SCALAR);
    struct inc_gemm_i8_weights weights;
    const float scale = 1;
    if (inc_gemm_i8_restore(ctx, kernel, N, K, &packed, &weights) != INCISE_OK) return;
    kernel->run(1, N, weights.strips, a, K, 128, &scale, weights.w_scale, NULL, c, N);
    inc_gemm_i8_release(ctx, &weights);
}

static void try_group(const struct inc_ctx *ctx, unsigned bits, struct inc_packed packed, const void *a, float *c)
{
    const struct inc_gemm_group_kernel *kernel = inc_gemm_group_select(INCISE_ISA_SCALAR, bits);
    struct inc_gemm_group_weights weights;
    const float scale = 1;
    if (inc_gemm_group_restore(ctx, kernel, N, K, &packed, &weights) != INCISE_OK) return;
    kernel->run(1, N, weights.strips, a, K, 128, &scale, NULL, c, N);
    inc_gemm_group_release(ctx, &weights);
}

/* Rows of exactly K values, so that sanitizers see a read past them. */
static void try_slot(const struct inc_ctx *ctx, struct inc_packed packed)
{
    float *floats = calloc(K, sizeof *floats), c[N];
    unsigned char *bytes = calloc(K, 1), label[LABEL];
    if (floats != NULL && bytes != NULL && inc_blob_read(&packed.tables, label, LABEL)) {
        try_f32(ctx, packed, floats, c);
        try_i8(ctx, packed, bytes, c);
        try_group(ctx, 4, packed, bytes, c);
        try_group(ctx, 8, packed, bytes, c);
    }
    free(floats);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inc_ctx ctx;
    struct inc_pack *pack = NULL;
    char path[64];
    int fd = memfd_create("pack", MFD_CLOEXEC);
    unsigned char *copy = malloc(size + 1);
    inc_ctx_init(&ctx);
    if (copy != NULL && size > 0) memcpy(copy, data, size);
    if (copy != NULL) inc_sealed_mend(copy, size);
    if (fd >= 0 && copy != NULL && write(fd, copy, size) == (ssize_t)size) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (inc_pack_open(&ctx, path, &pack) == INCISE_OK)
            for (size_t i = 0; i < pack->n_slots && i < MOST_SLOTS; i++) try_slot(&ctx, pack->slots[i].packed);
        inc_pack_close(pack);
    }
    free(copy);
    if (fd >= 0) close(fd);
    return 0;
}
