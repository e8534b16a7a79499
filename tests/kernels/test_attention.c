/* SPDX-License-Identifier: Apache-2.0 */
/* Every attention kernel of this CPU against a plain double computation. */
#include "support/support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/attention/attention.h"

#define UNIT_ROUNDOFF 0x1p-24 /* of float */
#define FILLER -12345.0f

enum bias_kind { NO_BIAS, SHARED_BIAS, HEAD_BIAS, HIDING_BIAS };

struct attention_case {
    size_t n;
    unsigned heads, kv_heads, head_dim;
    bool causal;
    uint32_t window;
    bool holes; /* positions with gaps */
    enum bias_kind bias;
};

/* A case's inputs and what a double computation makes of them, with the error that float may have. */
struct problem {
    struct inc_attention_args args;
    float *q, *k, *v, *bias;
    int32_t *pos;
    double *out, *bound; /* [n][heads*head_dim] */
    double value_max;    /* largest |v| */
};

static float *random_values(uint64_t *state, size_t n, float size)
{
    float *x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = test_random_float(state, -size, size);
    return x;
}

/* Puts each head's part of each row on a grid of 127 steps up to its largest value, which quantization then keeps: what
 * is left of the error of integer products is that of weights and values. */
static void snap_rows(float *x, size_t n, size_t ld, size_t heads, size_t d)
{
    for (size_t part = 0; part < n * heads; part++) {
        float *row = x + part / heads * ld + part % heads * d, top = 0.0f;
        for (size_t i = 0; i < d; i++) top = fmaxf(top, fabsf(row[i]));
        for (size_t i = 0; i < d; i++) row[i] = rintf(row[i] * (127.0f / top)) * (top / 127.0f);
    }
}

static bool is_visible(const struct inc_attention_args *args, size_t i, size_t j)
{
    const int64_t a = args->pos ? args->pos[i] : (int64_t)i, b = args->pos ? args->pos[j] : (int64_t)j;
    return !(args->causal && b > a) && !(args->window && llabs(a - b) >= (int64_t)args->window);
}

/* Error bound: a score is off by e <= (d + 3) u sum|q k| scale + 2 u (|score| + |bias|), a weight by a factor of
 * 1 +- (2 e + 4 u + 2 u * (score - max)), the sums by another n u each. */
static void solve_row(struct problem *p, size_t head, size_t i, double *score)
{
    const struct inc_attention_args *args = &p->args;
    const size_t n = args->n, d = args->head_dim, h = head / (args->heads / args->kv_heads);
    double max = -INFINITY, error = 0.0, sum = 0.0, low = INFINITY;
    for (size_t j = 0; j < n; j++) {
        double dot = 0.0, size = 0.0;
        score[j] = -INFINITY;
        if (!is_visible(args, i, j)) continue;
        for (size_t x = 0; x < d; x++) {
            const float q = args->q[i * args->ldq + head * d + x], k = args->k[j * args->ldk + h * d + x];
            dot += (double)q * (double)k;
            size += fabs((double)q * (double)k);
        }
        const double add = args->bias ? (double)args->bias[head * args->head_stride_bias + i * args->ld_bias + j] : 0.0;
        score[j] = dot * (double)args->scale + add;
        if (isinf(score[j])) continue;
        error = fmax(error, ((double)d + 3.0) * size * (double)args->scale + 2.0 * (fabs(score[j]) + fabs(add)));
        max = fmax(max, score[j]);
        low = fmin(low, score[j]);
    }
    for (size_t j = 0; j < n; j++) sum += score[j] = score[j] > -INFINITY ? exp(score[j] - max) : 0.0;
    const double factor = (4.0 * error + 8.0 + 2.0 * (max - low) + 3.0 * (double)n) * UNIT_ROUNDOFF;
    for (size_t x = 0; x < d; x++) {
        double total = 0.0, size = 0.0;
        for (size_t j = 0; j < n && sum > 0.0; j++) {
            const double term = score[j] / sum * (double)args->v[j * args->ldv + h * d + x];
            total += term;
            size += fabs(term);
        }
        p->out[(i * args->heads + head) * d + x] = total;
        p->bound[(i * args->heads + head) * d + x] = sum > 0.0 ? size * factor + (double)n * 0x1p-125 : 0.0;
    }
}

static void set_bias(struct problem *p, enum bias_kind kind, uint64_t *state)
{
    struct inc_attention_args *args = &p->args;
    const size_t n = args->n;
    if (kind == NO_BIAS) return;
    args->ld_bias = n + 3;
    args->head_stride_bias = kind == SHARED_BIAS ? 0 : n * args->ld_bias;
    p->bias = random_values(state, args->heads * n * args->ld_bias, 2.0f);
    args->bias = p->bias;
    if (kind != HIDING_BIAS) return;
    for (size_t i = 0; i < args->heads * n; i++) { /* every third row hides all keys, the others half of them */
        for (size_t j = 0; j < n; j++) {
            if (i % 3 == 0 || test_random_below(state, 2)) p->bias[i * args->ld_bias + j] = -INFINITY;
        }
    }
}

static struct problem make_problem(const struct attention_case *c, uint64_t *state)
{
    struct problem p = {0};
    const size_t n = c->n, q = (size_t)c->heads * c->head_dim, kv = (size_t)c->kv_heads * c->head_dim;
    p.args = (struct inc_attention_args){.n = n, .ldq = q + 5, .ldk = kv + 3, .ldv = kv + 1, .ldo = q + 2,
                                         .heads = c->heads, .kv_heads = c->kv_heads, .head_dim = c->head_dim,
                                         .causal = c->causal, .window = c->window,
                                         .scale = 1.0f / sqrtf((float)c->head_dim)};
    p.q = random_values(state, n * p.args.ldq, 4.0f);
    p.k = random_values(state, n * p.args.ldk, 4.0f);
    p.v = random_values(state, n * p.args.ldv, 1.0f);
    p.value_max = 1.0;
    snap_rows(p.q, n, p.args.ldq, c->heads, c->head_dim);
    snap_rows(p.k, n, p.args.ldk, c->kv_heads, c->head_dim);
    p.args.q = p.q, p.args.k = p.k, p.args.v = p.v;
    if (c->holes) {
        p.args.pos = p.pos = calloc(n, sizeof *p.pos);
        int32_t at = -7;
        for (size_t i = 0; i < n; i++) p.pos[i] = at += 1 + (int32_t)(test_random_below(state, 4) == 0) * 9;
    }
    set_bias(&p, c->bias, state);
    p.out = calloc(n * q, sizeof *p.out);
    p.bound = calloc(n * q, sizeof *p.bound);
    double *score = calloc(n, sizeof *score);
    for (size_t i = 0; i < n * c->heads; i++) solve_row(&p, i % c->heads, i / c->heads, score);
    free(score);
    return p;
}

static void free_problem(struct problem *p)
{
    free(p->q), free(p->k), free(p->v), free(p->bias), free(p->pos), free(p->out), free(p->bound);
}

/* Runs all items, first to last or last to first, with scratch memory that is full of NaN and fenced, into fenced
 * output; returns a copy of that. */
static float *run_all(const struct inc_attention_kernel *kernel, const struct inc_attention_args *from, bool reverse)
{
    struct inc_attention_args args = *from;
    const size_t out_floats = (args.n - 1) * args.ldo + (size_t)args.heads * args.head_dim;
    const size_t scratch_bytes = inc_attention_scratch(kernel, args.heads, args.kv_heads, args.head_dim);
    const size_t items = inc_attention_items(&args);
    float *copy = malloc(out_floats * sizeof *copy);
    args.out = test_guarded_alloc(out_floats * sizeof *args.out, 1);
    for (size_t i = 0; i < out_floats; i++) args.out[i] = FILLER;
    assert_int_equal(scratch_bytes % INC_ALIGN, 0);
    for (size_t i = 0; i < items; i++) {
        void *scratch = test_guarded_alloc(scratch_bytes, 1);
        memset(scratch, 0xff, scratch_bytes);
        inc_attention_run(kernel, &args, reverse ? items - 1 - i : i, scratch);
        test_guarded_free(scratch, scratch_bytes, 1);
    }
    memcpy(copy, args.out, out_floats * sizeof *copy);
    test_guarded_free(args.out, out_floats * sizeof *args.out, 1);
    return copy;
}

/* In integers a weight, of which the largest is 1, is off by half a step of 1/255 and a fiftieth, in the sum too, and a
 * value by half a step of 1/127 of the largest. */
static double integer_error(const struct inc_attention_kernel *kernel, const struct problem *p, double expected)
{
    if (kernel->i8 == NULL) return 0.0;
    return (double)p->args.n * 0.52 / 255.0 * (p->value_max + fabs(expected)) + 1.001 * p->value_max / 254.0;
}

static void check_kernel(const struct inc_attention_kernel *kernel, const struct problem *p)
{
    const struct inc_attention_args *args = &p->args;
    const size_t width = (size_t)args->heads * args->head_dim;
    float *out = run_all(kernel, args, false), *again = run_all(kernel, args, true);
    assert_memory_equal(out, again, ((args->n - 1) * args->ldo + width) * sizeof *out);
    for (size_t i = 0; i < args->n; i++) {
        for (size_t x = 0; x < width; x++) {
            const double value = (double)out[i * args->ldo + x], expected = p->out[i * width + x];
            if (!(fabs(value - expected) <= p->bound[i * width + x] + integer_error(kernel, p, expected))) {
                fail_msg("%s n=%zu heads=%u/%u head_dim=%u causal=%d window=%u holes=%d bias=%d: "
                         "out[%zu][%zu] is %.9g, not %.9g +- %.2g", kernel->name, args->n, args->heads, args->kv_heads,
                         args->head_dim, args->causal, args->window,
                         args->pos != NULL, args->bias != NULL, i, x, value, expected,
                         p->bound[i * width + x]);
            }
        }
        for (size_t x = width; x < args->ldo && i + 1 < args->n; x++) assert_true(out[i * args->ldo + x] == FILLER);
    }
    free(out), free(again);
}

static size_t usable(const struct inc_attention_kernel *const **kernels)
{
    size_t n, n_usable = 0;
    *kernels = inc_attention_kernels(&n);
    while (n_usable < n && (*kernels)[n_usable]->isa <= incise_isa_detect()) n_usable++;
    for (size_t i = n_usable; i < n; i++) printf("skipped: this CPU cannot run %s\n", (*kernels)[i]->name);
    return n_usable;
}

static void check(struct attention_case c, uint64_t *state)
{
    const struct inc_attention_kernel *const *kernels;
    const size_t n_kernels = usable(&kernels);
    struct problem p = make_problem(&c, state);
    /* the scalar kernels are spared the larger cases */
    const bool large = c.n * c.n * c.heads * c.head_dim > 6000000;
    for (size_t i = large ? 2 : 0; i < n_kernels; i++) check_kernel(kernels[i], &p);
    free_problem(&p);
}

static void test_lengths(void **unused)
{
    (void)unused;
    static const size_t lengths[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 127, 128, 129, 200, 257};
    uint64_t state = test_seed();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        check((struct attention_case){lengths[i], 2, 2, 32, .bias = NO_BIAS}, &state);
        check((struct attention_case){lengths[i], 3, 1, 36, .causal = true}, &state);
        check((struct attention_case){lengths[i], 2, 1, 20, .window = 9}, &state);
    }
}

/* Lengths beyond the key block of each head_dim, groups, and head_dims that are no multiple of anything. */
static void test_shapes(void **unused)
{
    (void)unused;
    static const struct attention_case cases[] = {
        {700, 2, 2, 64, .bias = NO_BIAS},
        {530, 1, 1, 32, .causal = true},
        {300, 3, 1, 256, .bias = NO_BIAS},
        {150, 4, 2, 5, .bias = NO_BIAS},
        {40, 6, 2, 1, .bias = NO_BIAS},
        {70, 1, 1, 1100, .bias = SHARED_BIAS},
        {20, 200, 1, 8, .bias = NO_BIAS},
    };
    uint64_t state = test_seed();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(cases[i], &state);
}

static void test_masks(void **unused)
{
    (void)unused;
    static const uint32_t windows[] = {1, 2, 64, 130, UINT32_MAX};
    uint64_t state = test_seed();
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        for (int kind = 0; kind < 8; kind++) {
            const struct attention_case c = {150, 1, 1, kind & 4 ? 33 : 512,
                                             .causal = kind & 1, .holes = kind & 2, .window = windows[i]};
            check(c, &state);
        }
    }
    check((struct attention_case){640, 1, 1, 40, .window = 100, .holes = true}, &state);
}

static void test_biases(void **unused)
{
    (void)unused;
    uint64_t state = test_seed();
    for (enum bias_kind kind = SHARED_BIAS; kind <= HIDING_BIAS; kind++) {
        check((struct attention_case){280, 1, 1, 256, .bias = kind}, &state);
        check((struct attention_case){77, 4, 2, 64, .bias = kind, .causal = true}, &state);
        check((struct attention_case){1, 1, 1, 64, .bias = kind}, &state);
    }
}

/* NaN in one query reaches that query's output only; a NaN key reaches every query that sees it. */
static void test_not_finite(void **unused)
{
    (void)unused;
    const struct inc_attention_kernel *const *kernels;
    const size_t n_kernels = usable(&kernels), n = 70, d = 32;
    const struct attention_case c = {n, 1, 1, 32, .window = 5};
    uint64_t state = test_seed();
    struct problem p = make_problem(&c, &state);
    p.q[10 * p.args.ldq + 3] = NAN;
    p.k[50 * p.args.ldk] = NAN;
    for (size_t i = 0; i < n_kernels; i++) {
        float *out = run_all(kernels[i], &p.args, false);
        for (size_t row = 0; row < n; row++) {
            const bool expected = row == 10 || (row > 45 && row < 55);
            for (size_t x = 0; x < d; x++) assert_int_equal(isnan(out[row * p.args.ldo + x]) != 0, expected);
        }
        free(out);
    }
    free_problem(&p);
}

/* The same sequence elsewhere in memory, so with other alignments, gives the same bits. */
static void test_place_in_batch(void **unused)
{
    (void)unused;
    const struct inc_attention_kernel *const *kernels;
    const size_t n_kernels = usable(&kernels);
    const struct attention_case c = {137, 2, 1, 64, .causal = true};
    uint64_t state = test_seed();
    struct problem p = make_problem(&c, &state);
    float *moved = calloc(c.n * p.args.ldq + 1, sizeof *moved);
    memcpy(moved + 1, p.q, c.n * p.args.ldq * sizeof *moved);
    struct inc_attention_args args = p.args;
    args.q = moved + 1;
    for (size_t i = 0; i < n_kernels; i++) {
        float *out = run_all(kernels[i], &p.args, false), *again = run_all(kernels[i], &args, false);
        assert_memory_equal(out, again, ((c.n - 1) * args.ldo + 128) * sizeof *out);
        free(out), free(again);
    }
    free(moved);
    free_problem(&p);
}

static void test_extremes(void **unused)
{
    (void)unused;
    for (int integers = 0; integers < 2; integers++) {
        const struct inc_attention_kernel *kernel = inc_attention_select(INCISE_ISA_BF16, integers);
        assert_true(inc_attention_scratch(kernel, 1, 1, 64) < 1u << 20);
        assert_true(inc_attention_scratch(kernel, UINT32_MAX, 1, UINT32_MAX) > (size_t)1 << 41);
    }
    assert_int_equal(inc_attention_items(&(struct inc_attention_args){.n = 0, .heads = 4, .kv_heads = 2}), 0);
    assert_string_equal(inc_attention_select(INCISE_ISA_SCALAR, true)->name, "scalar");
    assert_string_equal(inc_attention_select(INCISE_ISA_AVX2, true)->name, "avx2");
    assert_string_equal(inc_attention_select(INCISE_ISA_BF16, false)->name, "avx512");
    assert_string_equal(inc_attention_select(INCISE_ISA_AVX512, true)->name, "avx512");
    assert_string_equal(inc_attention_select(INCISE_ISA_BF16, true)->name, "vnni_i8");
}

/* What integer products change: the cosine of every head's output row to that of float products. */
static void test_integers_are_close(void **unused)
{
    (void)unused;
    static const struct attention_case cases[] = {{128, 3, 1, 256, .bias = NO_BIAS}, {300, 12, 12, 32, .causal = true}};
    const struct inc_attention_kernel *const *kernels;
    const size_t n_kernels = usable(&kernels);
    uint64_t state = test_seed();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct problem p = make_problem(&cases[c], &state);
        const size_t d = cases[c].head_dim, ldo = p.args.ldo;
        for (size_t i = 0; i < cases[c].n * p.args.ldq; i++) p.q[i] = test_random_float(&state, -2.0f, 2.0f);
        for (size_t i = 0; i < cases[c].n * p.args.ldk; i++) p.k[i] = test_random_float(&state, -2.0f, 2.0f);
        float *wanted = run_all(kernels[0], &p.args, false);
        for (size_t k = 1; k < n_kernels; k++) {
            if (kernels[k]->i8 == NULL) continue;
            float *out = run_all(kernels[k], &p.args, false);
            for (size_t r = 0; r < cases[c].n * cases[c].heads; r++) {
                const size_t at = r / cases[c].heads * ldo + r % cases[c].heads * d;
                double dot = 0, a = 0, b = 0;
                for (size_t x = 0; x < d; x++) {
                    dot += (double)out[at + x] * (double)wanted[at + x];
                    a += (double)out[at + x] * (double)out[at + x];
                    b += (double)wanted[at + x] * (double)wanted[at + x];
                }
                assert_true(dot >= 0.998 * sqrt(a * b));
            }
            free(out);
        }
        free(wanted);
        free_problem(&p);
    }
}

/* Integer products, and what is made of them, have the same bits on every instruction set, NaN included. */
static void test_integers_are_the_same(void **unused)
{
    (void)unused;
    static const struct attention_case cases[] = {
        {70, 3, 1, 256, .bias = NO_BIAS}, {130, 2, 2, 32, .causal = true}, {600, 1, 1, 32, .window = 90, .holes = true},
        {37, 2, 1, 20, .bias = HIDING_BIAS}, {90, 1, 1, 50, .bias = SHARED_BIAS}, {5, 3, 3, 16, .bias = NO_BIAS},
        {33, 1, 1, 1, .bias = NO_BIAS},
    };
    const struct inc_attention_kernel *const *kernels;
    const size_t n_kernels = usable(&kernels);
    uint64_t state = test_seed();
    for (size_t c = 0; c < 2 * sizeof cases / sizeof *cases; c++) {
        struct problem p = make_problem(&cases[c / 2], &state);
        const size_t n = cases[c / 2].n, ldo = p.args.ldo, width = (size_t)p.args.heads * p.args.head_dim;
        for (size_t i = 0; i < n * p.args.ldq; i++) p.q[i] = test_random_float(&state, -4.0f, 4.0f);
        for (size_t i = 0; i < n * p.args.ldk; i++) p.k[i] = test_random_float(&state, -4.0f, 4.0f);
        if (c % 2) {
            p.q[n / 2 * p.args.ldq] = NAN, p.k[n / 3 * p.args.ldk] = INFINITY;
            memset(p.k + n / 4 * p.args.ldk, 0, p.args.head_dim * sizeof *p.k);
        }
        float *wanted = NULL;
        for (size_t k = 0; k < n_kernels; k++) {
            if (kernels[k]->i8 == NULL) continue;
            float *out = run_all(kernels[k], &p.args, false);
            if (wanted == NULL) {
                wanted = out;
                continue;
            }
            for (size_t i = 0; i < n; i++) {
                for (size_t x = i * ldo; x < i * ldo + width; x++)
                    assert_true(isnan(wanted[x]) ? isnan(out[x]) : out[x] == wanted[x]);
            }
            free(out);
        }
        free(wanted);
        free_problem(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_shapes),     cmocka_unit_test(test_masks),
        cmocka_unit_test(test_biases),         cmocka_unit_test(test_not_finite), cmocka_unit_test(test_place_in_batch),
        cmocka_unit_test(test_extremes),       cmocka_unit_test(test_integers_are_close),
        cmocka_unit_test(test_integers_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
