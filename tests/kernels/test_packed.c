/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights of every kernel of this CPU, saved and restored: the same products. Tables that were changed are
 * refused, or what they give reads nothing outside of A and of its values: both end at unreadable pages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_group.h"
#include "kernels/gemm/gemm_i8.h"
#include "support/support.h"

enum { N = 37, K = 22, K4 = 24, M = 3, GROUP = 8, GROUPS = 3 };

/* One kernel and its weights. */
struct packed {
    enum { F32, I8, GROUPED } family;
    union {
        const struct inc_gemm_f32_kernel *f32;
        const struct inc_gemm_i8_kernel *i8;
        const struct inc_gemm_group_kernel *group;
    } kernel;
    union {
        struct inc_gemm_f32_weights f32;
        struct inc_gemm_i8_weights i8;
        struct inc_gemm_group_weights group;
    } weights;
};

/* Columns 4..7 and 12 are zero, so that lists and quads are left out; the first strip of 32 is dense in floats, that of
 * 16 has only the last half of a quad, that of row 32 only first halves. */
static int weight_at(size_t row, size_t k)
{
    if (row < 8 && k >= 16 && k < 20) return 0;
    return row >= 32 && ((k >= 4 && k < 8) || k == 12) ? 0 : (int)((row * 7 + k * 5 + row * k) % 15) - 7;
}

static void row_f32(void *arg, size_t row, float *out)
{
    (void)arg;
    for (size_t k = 0; k < K; k++) out[k] = (float)weight_at(row, k);
}

static void row_i16(void *arg, size_t row, int16_t *out)
{
    (void)arg;
    for (size_t k = 0; k < K; k++) out[k] = (int16_t)weight_at(row, k);
}

static void row_group(void *arg, size_t row, int16_t *out, float *scale)
{
    row_i16(arg, row, out);
    for (size_t g = 0; g < GROUPS; g++) scale[g] = (float)(row + g + 1) / 64;
}

static void pack(struct packed *p)
{
    float scale[N];
    enum incise_status status;
    for (size_t i = 0; i < N; i++) scale[i] = (float)(i + 1) / 64;
    if (p->family == F32)
        status = inc_gemm_f32_pack(test_ctx(), NULL, p->kernel.f32, N, K, row_f32, NULL, &p->weights.f32);
    else if (p->family == I8)
        status = inc_gemm_i8_pack(test_ctx(), NULL, p->kernel.i8, N, K, row_i16, NULL, scale, &p->weights.i8);
    else
        status = inc_gemm_group_pack(test_ctx(), NULL, p->kernel.group, N, K, GROUP, row_group, NULL,
                                     &p->weights.group);
    assert_int_equal(status, INCISE_OK);
}

static void save(const struct packed *p, struct inc_packed_out *out)
{
    inc_packed_out_init(out, test_ctx());
    if (p->family == F32)
        inc_gemm_f32_save(&p->weights.f32, out);
    else if (p->family == I8)
        inc_gemm_i8_save(&p->weights.i8, out);
    else
        inc_gemm_group_save(p->kernel.group, &p->weights.group, out);
    assert_false(out->tables.failed || out->spans.failed);
}

static enum incise_status restore(const struct packed *p, struct inc_packed packed, struct packed *made)
{
    *made = (struct packed){.family = p->family, .kernel = p->kernel};
    if (p->family == F32)
        return inc_gemm_f32_restore(test_ctx(), p->kernel.f32, N, K, &packed, &made->weights.f32);
    if (p->family == I8) return inc_gemm_i8_restore(test_ctx(), p->kernel.i8, N, K, &packed, &made->weights.i8);
    return inc_gemm_group_restore(test_ctx(), p->kernel.group, N, K, &packed, &made->weights.group);
}

static void release(struct packed *p)
{
    if (p->family == F32)
        inc_gemm_f32_release(test_ctx(), &p->weights.f32);
    else if (p->family == I8)
        inc_gemm_i8_release(test_ctx(), &p->weights.i8);
    else
        inc_gemm_group_release(test_ctx(), &p->weights.group);
}

static size_t bytes_of(const struct packed *p)
{
    return p->family == F32 ? p->weights.f32.bytes : p->family == I8 ? p->weights.i8.bytes : p->weights.group.bytes;
}

static void multiply(const struct packed *p, float c[M * N])
{
    const float scale[M] = {0.5f, 1, 2};
    const size_t bytes = p->family == F32 ? M * K * sizeof(float) : (size_t)M * K4;
    unsigned char *a = test_guarded_alloc(bytes, 1);
    for (size_t i = 0; p->family == F32 && i < (size_t)M * K; i++) ((float *)(void *)a)[i] = (float)(i % 11) - 5;
    for (size_t i = 0; p->family != F32 && i < bytes; i++) a[i] = (unsigned char)(i * 37);
    if (p->family == F32)
        p->kernel.f32->run(M, N, p->weights.f32.strips, (const float *)(void *)a, K, NULL, c, N);
    else if (p->family == I8)
        p->kernel.i8->run(M, N, p->weights.i8.strips, a, K4, 128, scale, p->weights.i8.w_scale, NULL, c, N);
    else
        p->kernel.group->run(M, N, p->weights.group.strips, a, K4, 128, scale, NULL, c, N);
    test_guarded_free(a, bytes, 1);
}

/* The values one after the other, ending at an unreadable page. */
static unsigned char *lay_out(const struct inc_packed_out *out, size_t *n)
{
    const size_t count = out->spans.length / sizeof(struct inc_packed_values);
    struct inc_packed_values values;
    unsigned char *memory = NULL;
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (size_t i = 0; i < count; i++) {
            memcpy(&values, out->spans.data + i * sizeof values, sizeof values);
            if (pass == 1) memcpy(memory + at, values.bytes, values.n);
            at += inc_round_up(values.n, INC_ALIGN);
        }
        *n = at;
        if (pass == 0) memory = test_guarded_alloc(at, 1);
    }
    return memory;
}

/* A kernel's weights, saved. */
struct saved {
    struct packed packed;
    struct inc_packed_out out;
    unsigned char *values;
    size_t n_values;
    struct inc_packed in;
};

static void saved_open(struct saved *saved)
{
    pack(&saved->packed);
    save(&saved->packed, &saved->out);
    saved->values = lay_out(&saved->out, &saved->n_values);
    const unsigned char *tables = (const unsigned char *)saved->out.tables.data;
    saved->in = (struct inc_packed){{tables, tables + saved->out.tables.length},
                                    {saved->values, saved->values + saved->n_values}};
}

static void saved_close(struct saved *saved)
{
    test_guarded_free(saved->values, saved->n_values, 1);
    inc_packed_out_fini(&saved->out);
    release(&saved->packed);
    assert_int_equal(test_live_allocations(), 0);
}

/* The `index`-th kernel of all families that this CPU can run; false beyond the last. */
static bool next_kernel(size_t *index, struct saved *saved)
{
    size_t n_f32, n_i8, n_group;
    const struct inc_gemm_f32_kernel *f32 = inc_gemm_f32_kernels(&n_f32);
    const struct inc_gemm_i8_kernel *i8 = inc_gemm_i8_kernels(&n_i8);
    const struct inc_gemm_group_kernel *group = inc_gemm_group_kernels(&n_group);
    for (enum incise_isa isa; *index < n_f32 + n_i8 + n_group;) {
        const size_t i = (*index)++;
        *saved = (struct saved){.packed = {.family = i < n_f32 ? F32 : i < n_f32 + n_i8 ? I8 : GROUPED}};
        if (i < n_f32)
            saved->packed.kernel.f32 = &f32[i], isa = f32[i].isa;
        else if (i < n_f32 + n_i8)
            saved->packed.kernel.i8 = &i8[i - n_f32], isa = i8[i - n_f32].isa;
        else
            saved->packed.kernel.group = &group[i - n_f32 - n_i8], isa = group[i - n_f32 - n_i8].isa;
        if (isa <= incise_isa_detect()) return true;
    }
    return false;
}

static void test_same(void **state)
{
    struct saved saved;
    (void)state;
    for (size_t i = 0; next_kernel(&i, &saved);) {
        struct packed made;
        float c[2][M * N];
        saved_open(&saved);
        assert_int_equal(restore(&saved.packed, saved.in, &made), INCISE_OK);
        assert_int_equal(bytes_of(&made) - bytes_of(&saved.packed), 0);
        multiply(&saved.packed, c[0]);
        multiply(&made, c[1]);
        assert_memory_equal(c[0], c[1], sizeof c[0]);
        release(&made);
        saved_close(&saved);
    }
}

static void test_any_byte(void **state)
{
    static const unsigned char masks[] = {0x01, 0x80, 0xff};
    struct saved saved;
    (void)state;
    for (size_t i = 0; next_kernel(&i, &saved);) {
        size_t refused = 0;
        saved_open(&saved);
        for (size_t at = 0; at < 3 * saved.out.tables.length; at++) {
            unsigned char *byte = (unsigned char *)saved.out.tables.data + at / 3;
            struct packed made;
            float c[M * N];
            *byte ^= masks[at % 3];
            enum incise_status status = restore(&saved.packed, saved.in, &made);
            if (status == INCISE_OK) multiply(&made, c);
            if (status == INCISE_OK) release(&made);
            assert_true(status == INCISE_OK || status == INCISE_ERROR_DATA);
            refused += status != INCISE_OK;
            *byte ^= masks[at % 3];
        }
        assert_in_range(refused, 50, 3 * saved.out.tables.length);
        saved_close(&saved);
    }
}

/* Too few or too many tables or values; memory that is refused. */
static void test_lengths(void **state)
{
    struct saved saved;
    (void)state;
    for (size_t i = 0; next_kernel(&i, &saved);) {
        struct packed made;
        saved_open(&saved);
        for (size_t cut = INC_ALIGN; cut <= saved.out.tables.length; cut += INC_ALIGN) {
            struct inc_packed in = saved.in;
            in.tables.end -= cut;
            assert_int_equal(restore(&saved.packed, in, &made), INCISE_ERROR_DATA);
        }
        for (size_t cut = 1; cut <= saved.n_values; cut += INC_ALIGN) {
            struct inc_packed in = saved.in;
            in.values.end -= cut;
            assert_int_equal(restore(&saved.packed, in, &made), INCISE_ERROR_DATA);
        }
        test_fail_after(0);
        assert_int_equal(restore(&saved.packed, saved.in, &made), INCISE_ERROR_MEMORY);
        test_fail_after(SIZE_MAX);
        saved_close(&saved);
    }
}

/* What other dimensions or kernels were packed for is refused, not misread. */
static void test_other_weights(void **state)
{
    struct saved saved, other;
    size_t tried = 0;
    (void)state;
    for (size_t i = 0; next_kernel(&i, &saved);) {
        saved_open(&saved);
        for (size_t j = 0; next_kernel(&j, &other);) {
            struct packed made;
            float c[M * N];
            enum incise_status status = restore(&other.packed, saved.in, &made);
            if (status == INCISE_OK) multiply(&made, c);
            if (status == INCISE_OK) release(&made);
            tried++;
        }
        saved_close(&saved);
    }
    assert_in_range(tried, 9, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_any_byte),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_other_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
