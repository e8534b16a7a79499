/* SPDX-License-Identifier: Apache-2.0 */
/* Fidelity and retrieval against values worked out by hand. */
#include "incise/evaluate.h"

#include <math.h>
#include <string.h>

#include "api/bootstrap.h"
#include "support/support.h"

/* One engine for all tests; the figures must not depend on the number of threads. */
static struct incise_engine *engine(int threads)
{
    struct incise_engine_options options;
    struct incise_engine *made = NULL;
    incise_engine_options_init(&options);
    options.threads = threads;
    options.isa = INCISE_ISA_SCALAR;
    assert_int_equal(incise_engine_create(&options, &made), INCISE_OK);
    return made;
}

/* Cosines are sums of at most 64 float products of unit vectors: error <= 64 eps. */
#define CLOSE (64 * 1.2e-7)

static void random_vectors(float *vectors, size_t count, uint64_t *state)
{
    for (size_t i = 0; i < count; i++) vectors[i] = test_random_float(state, -1, 1);
}

static void expect(const struct incise_figure *figure, double value, double tolerance)
{
    assert_true(fabs(figure->value - value) <= tolerance);
    assert_true(figure->lo <= figure->value + tolerance && figure->value <= figure->hi + tolerance);
}

static void test_equal_sets(void **state)
{
    enum { N = 40, WIDTH = 37 };
    float base[N * WIDTH], scaled[N * WIDTH];
    uint64_t seed = test_seed();
    struct incise_fidelity fidelity;
    struct incise_engine *e = engine(2);
    (void)state;
    random_vectors(base, N * WIDTH, &seed);
    for (size_t i = 0; i < N * WIDTH; i++) scaled[i] = 4 * base[i]; /* a power of two: the same directions exactly */
    assert_int_equal(incise_fidelity_measure(e, base, scaled, N, WIDTH, 1, &fidelity), INCISE_OK);
    assert_true(fidelity.cosine_mean.value == 1 && fidelity.cosine_mean.lo == 1 && fidelity.cosine_mean.hi == 1);
    assert_true(fidelity.cosine_p1.value == 1 && fidelity.cosine_p1.lo == 1);
    assert_true(fidelity.neighbours_top10.value == 1 && fidelity.neighbours_top10.lo == 1);
    assert_true(fidelity.rms_pairwise.value == 0 && fidelity.rms_pairwise.hi == 0);
    incise_engine_destroy(e);
}

/* Two texts, right angles: base [x, y], other [y, -x]: cosines 0, pairwise cosine 0 in both. Then other [x, x]: the
 * cosine between the texts goes from 0 to 1. */
static void test_right_angles(void **state)
{
    const float base[] = {1, 0, 0, 1}, turned[] = {0, 2, -3, 0}, merged[] = {1, 0, 1, 0};
    struct incise_fidelity fidelity;
    struct incise_engine *e = engine(1);
    (void)state;
    assert_int_equal(incise_fidelity_measure(e, base, turned, 2, 2, 1, &fidelity), INCISE_OK);
    expect(&fidelity.cosine_mean, 0, 0);
    expect(&fidelity.rms_pairwise, 0, 0);
    expect(&fidelity.neighbours_top10, 1, 0); /* the only other text */
    assert_int_equal(incise_fidelity_measure(e, base, merged, 2, 2, 1, &fidelity), INCISE_OK);
    expect(&fidelity.cosine_mean, 0.5, CLOSE);
    expect(&fidelity.rms_pairwise, 1, CLOSE);
    assert_true(fidelity.cosine_mean.lo == 0 &&
                fidelity.cosine_mean.hi == 1); /* two texts: a quarter of resamples each */
    incise_engine_destroy(e);
}

/* Points on a half circle: neighbours are the nearest angles. Swapping text 0 with the far end changes what each sees.
 */
static void test_neighbours(void **state)
{
    enum { N = 24 };
    float base[N * 2], other[N * 2];
    struct incise_fidelity fidelity;
    struct incise_engine *e = engine(2);
    double kept = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        base[2 * i] = other[2 * i] = (float)cos(3.0 * i * i / (N * N)); /* uneven steps: no ties */
        base[2 * i + 1] = other[2 * i + 1] = (float)sin(3.0 * i * i / (N * N));
    }
    for (int k = 0; k < 2; k++) { /* other: 0 and N - 1 change places */
        other[k] = base[2 * (N - 1) + k];
        other[2 * (N - 1) + k] = base[k];
    }
    for (int i = 0; i < N; i++) { /* by brute force on angles */
        double angle[2][N];
        int common = 0;
        for (int j = 0; j < N; j++) {
            int swapped = j == 0 ? N - 1 : j == N - 1 ? 0 : j, self = i == 0 ? N - 1 : i == N - 1 ? 0 : i;
            angle[0][j] = fabs(3.0 * i * i / (N * N) - 3.0 * j * j / (N * N));
            angle[1][j] = fabs(3.0 * self * self / (N * N) - 3.0 * swapped * swapped / (N * N));
        }
        for (int j = 0; j < N; j++) {
            int closer[2] = {0, 0};
            for (int side = 0; side < 2; side++)
                for (int k = 0; k < N; k++) closer[side] += k != i && angle[side][k] < angle[side][j];
            common += j != i && closer[0] < 10 && closer[1] < 10;
        }
        kept += common / 10.0;
    }
    assert_int_equal(incise_fidelity_measure(e, base, other, N, 2, 1, &fidelity), INCISE_OK);
    expect(&fidelity.neighbours_top10, kept / N, 1e-12);
    assert_true(kept < N);
    incise_engine_destroy(e);
}

static void test_threads_and_seeds(void **state)
{
    enum { N = 33, WIDTH = 20 };
    float base[N * WIDTH], other[N * WIDTH];
    uint64_t seed = test_seed();
    struct incise_fidelity one, three, again;
    struct incise_engine *e1 = engine(1), *e3 = engine(3);
    (void)state;
    random_vectors(base, N * WIDTH, &seed);
    random_vectors(other, N * WIDTH, &seed);
    assert_int_equal(incise_fidelity_measure(e1, base, other, N, WIDTH, 7, &one), INCISE_OK);
    assert_int_equal(incise_fidelity_measure(e3, base, other, N, WIDTH, 7, &three), INCISE_OK);
    assert_int_equal(incise_fidelity_measure(e1, base, other, N, WIDTH, 8, &again), INCISE_OK);
    assert_memory_equal(&one, &three, sizeof one);
    assert_true(one.cosine_mean.value == again.cosine_mean.value && one.cosine_mean.lo != again.cosine_mean.lo);
    incise_engine_destroy(e1);
    incise_engine_destroy(e3);
}

static void test_bad_vectors(void **state)
{
    const float good[] = {1, 0, 0, 1}, zero[] = {1, 0, 0, 0}, nan[] = {1, 0, NAN, 1}, huge[] = {1, 0, INFINITY, 1};
    struct incise_fidelity fidelity;
    struct incise_engine *e = engine(1);
    (void)state;
    assert_int_equal(incise_fidelity_measure(e, good, zero, 2, 2, 1, &fidelity), INCISE_ERROR_DATA);
    assert_int_equal(incise_fidelity_measure(e, nan, good, 2, 2, 1, &fidelity), INCISE_ERROR_DATA);
    assert_int_equal(incise_fidelity_measure(e, good, huge, 2, 2, 1, &fidelity), INCISE_ERROR_DATA);
    assert_int_equal(incise_fidelity_measure(e, good, good, 1, 2, 1, &fidelity), INCISE_ERROR_DATA);
    incise_engine_destroy(e);
}

/* Documents at rising angles. Query 0 wants document 0 (rank 0: gain 1). Query 1 points at document 0 too and wants
 * documents 1 and 2 (ranks 1 and 2): (1/log2 3 + 1/log2 4) / (1 + 1/log2 3). Other queries: query 0 points at the far
 * end, so document 0 is last of 12 (rank 11: gain 0); query 1 the same, its documents are at ranks 10 and 9. */
static void test_ndcg(void **state)
{
    enum { DOCUMENTS = 12 };
    float documents[DOCUMENTS * 2], turned[DOCUMENTS * 2], near[] = {1, 0, 1, 0}, far[] = {0, 1, 0, 1};
    const size_t pair_query[] = {1, 0, 1, 1}, pair_document[] = {2, 0, 1, 2}; /* one twice */
    struct incise_retrieval r;
    struct incise_engine *e = engine(2);
    (void)state;
    for (int i = 0; i < DOCUMENTS; i++) {
        documents[2 * i] = turned[2 * i + 1] = (float)cos(0.1 * i);
        documents[2 * i + 1] = turned[2 * i] = (float)sin(0.1 * i);
    }
    struct incise_retrieval_data data = {near, far, 2, documents, turned, DOCUMENTS, 2, pair_query, pair_document, 4};
    assert_int_equal(incise_retrieval_measure(e, &data, 1, &r), INCISE_OK);
    double ideal = 1 + 1 / log2(3), found = (1 / log2(3) + 0.5) / ideal;
    expect(&r.ndcg10_base, (1 + found) / 2, 1e-12);
    expect(&r.ndcg10, (1 + found) / 2, 1e-12); /* queries and documents turned alike */
    expect(&r.ndcg10_drop, 0, 0);
    expect(&r.ndcg10_queries, 1 / log2(11) / ideal / 2, 1e-12); /* document 2 at rank 9, the rest beyond 10 */

    const size_t lonely[] = {0, 0, 0, 0}, missing[] = {0, 1, 2, 1};
    data.pair_query = lonely; /* query 1 wants nothing */
    assert_int_equal(incise_retrieval_measure(e, &data, 1, &r), INCISE_ERROR_USAGE);
    data.pair_query = missing; /* there is no query 2 */
    assert_int_equal(incise_retrieval_measure(e, &data, 1, &r), INCISE_ERROR_USAGE);
    incise_engine_destroy(e);
}

/* Angles of pairs fall as scores rise: a perfect order; then two scores that tie share the rank 1.5, so the ranks of
 * the cosines 1 2 3 4 meet 1.5 1.5 3 4: 1 - 6 * (0.25 + 0.25) / (4 * 15) with the correction for ties, sqrt(0.9)
 * exactly. */
static void test_spearman(void **state)
{
    enum { N = 4 };
    double scores[N] = {0.5, 2, 3, 7};
    float base[N * 4], other[N * 4];
    struct incise_similarity similarity;
    struct incise_engine *e = engine(1);
    struct incise_similarity_data data = {base, other, scores, N, 2};
    (void)state;
    for (int i = 0; i < N; i++) {
        float angle = (float)(N - i) / 4, turned = (float)(i + 1) / 4;
        const float row[] = {1, 0, cosf(angle), sinf(angle)}, reversed[] = {2, 0, 3 * cosf(turned), 3 * sinf(turned)};
        memcpy(base + 4 * i, row, sizeof row);
        memcpy(other + 4 * i, reversed, sizeof reversed);
    }
    assert_int_equal(incise_similarity_measure(e, &data, 1, &similarity), INCISE_OK);
    expect(&similarity.spearman_base, 1, 1e-12);
    expect(&similarity.spearman, -1, 1e-12);
    expect(&similarity.spearman_drop, 2, 1e-12);
    scores[1] = scores[0];
    assert_int_equal(incise_similarity_measure(e, &data, 1, &similarity), INCISE_OK);
    expect(&similarity.spearman_base, sqrt(0.9), 1e-12);
    for (int i = 0; i < N; i++) scores[i] = 3;
    assert_int_equal(incise_similarity_measure(e, &data, 1, &similarity), INCISE_ERROR_DATA);
    base[0] = base[1] = 0;
    assert_int_equal(incise_similarity_measure(e, &data, 1, &similarity), INCISE_ERROR_DATA);
    incise_engine_destroy(e);
}

/* Mean of n values uniform in 0..1: the interval's half width is 1.96 * 0.2887 / sqrt(n), within a third for 1000
 * resamples; the percentile is numpy's. */
static void test_bootstrap(void **state)
{
    enum { N = 400 };
    double values[N];
    struct incise_figure figure;
    (void)state;
    for (int i = 0; i < N; i++) values[i] = (i * 7 % N + 0.5) / N; /* 7 does not divide 400: a permutation */
    assert_int_equal(inc_bootstrap(test_ctx(), inc_statistic_mean, values, N, 3, &figure), INCISE_OK);
    expect(&figure, 0.5, 1e-12);
    double half = 1.96 * 0.2887 / sqrt(N);
    assert_true(fabs((figure.hi - figure.lo) / 2 - half) < half / 3);
    assert_int_equal(inc_bootstrap_p1(test_ctx(), values, N, 3, &figure), INCISE_OK);
    expect(&figure, (3.99 + 0.5) / N, 1e-12);
    assert_int_equal(inc_bootstrap(test_ctx(), inc_statistic_root_mean, values, N, 3, &figure), INCISE_OK);
    expect(&figure, sqrt(0.5), 1e-12);
}

/* Standard normal values that sum to 0, each with its mirror image, by Box and Muller. */
static void normal_values(double *values, size_t n, uint64_t *seed)
{
    for (size_t i = 0; i + 1 < n; i += 2) {
        double radius = sqrt(-2 * log(1 - (double)test_random_float(seed, 0, 1)));
        values[i] = radius * cos(6.283185307179586 * (double)test_random_float(seed, 0, 1));
        values[i + 1] = -values[i];
    }
}

/* A resampled mean is normal about the mean with s / sqrt(n), s that of the values themselves. The 2.5th percentile of
 * 1000 resamples, interpolated linearly, is expected at 25.975 / 1001 of that distribution: 1.9440 of its s below the
 * mean. It scatters by sqrt(.025 * .975 / 1000) / phi(1.96) = .0845, the mean over 128 seeds by .0075: 5 of these. */
static void test_interval_of_a_mean(void **state)
{
    enum { N = 200, SEEDS = 128 };
    double values[N], squares = 0, low = 0, high = 0;
    uint64_t seed = test_seed();
    (void)state;
    normal_values(values, N, &seed);
    for (size_t i = 0; i < N; i++) squares += values[i] * values[i];
    double error = sqrt(squares / N) / sqrt(N);
    for (uint64_t s = 0; s < SEEDS; s++) {
        struct incise_figure figure;
        assert_int_equal(inc_bootstrap(test_ctx(), inc_statistic_mean, values, N, seed + 1000 * s, &figure), INCISE_OK);
        assert_true(fabs(figure.value) < 1e-12);
        low += figure.lo / error / SEEDS;
        high += figure.hi / error / SEEDS;
    }
    assert_true(fabs(low + 1.9440) < 5 * 0.0075 && fabs(high - 1.9440) < 5 * 0.0075);
}

/* P(the resample holds at least `least` of the first k of n items): the tail of a binomial of n and k / n. */
static double binomial_tail(size_t n, size_t k, size_t least)
{
    double p = (double)k / (double)n, term = pow(1 - p, (double)n), below = 0;
    for (size_t i = 0; i < least; i++) {
        below += term;
        term *= (double)(n - i) / (double)(i + 1) * p / (1 - p);
    }
    return 1 - below;
}

/* The 1st percentile of 1001 values is the 11th smallest, which in a resample is at most the k-th of all if 11 or more
 * of those k are drawn. The ends of the interval have 2.5 % of resamples outside, give or take 5 of the
 * sqrt(.025 * .975 / 1000) = .0049 that 1000 resamples scatter by. */
static void test_interval_of_a_percentile(void **state)
{
    enum { N = 1001 };
    double values[N];
    struct incise_figure figure;
    (void)state;
    for (size_t i = 0; i < N; i++) values[i] = (double)(i + 1);
    assert_int_equal(inc_bootstrap_p1(test_ctx(), values, N, test_seed(), &figure), INCISE_OK);
    assert_true(fabs(figure.value - 11) < 1e-9);
    double slack = 5 * 0.0049;
    assert_true(binomial_tail(N, (size_t)floor(figure.lo) - 1, 11) < 0.025 + slack);
    assert_true(binomial_tail(N, (size_t)ceil(figure.lo), 11) > 0.025 - slack);
    assert_true(binomial_tail(N, (size_t)floor(figure.hi) - 1, 11) < 0.975 + slack);
    assert_true(binomial_tail(N, (size_t)ceil(figure.hi), 11) > 0.975 - slack);
}

static void test_out_of_memory(void **state)
{
    struct incise_figure figure;
    const double values[] = {1, 2};
    (void)state;
    for (size_t n = 0; n < 2; n++) { /* its own list, and the resamples' */
        test_fail_after(n);
        assert_int_equal(inc_bootstrap_p1(test_ctx(), values, 2, 3, &figure), INCISE_ERROR_MEMORY);
        test_fail_after(SIZE_MAX);
    }
    assert_int_equal(test_live_allocations(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_sets),    cmocka_unit_test(test_right_angles),
        cmocka_unit_test(test_neighbours),    cmocka_unit_test(test_threads_and_seeds),
        cmocka_unit_test(test_bad_vectors),   cmocka_unit_test(test_ndcg),
        cmocka_unit_test(test_spearman),      cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_interval_of_a_mean),
        cmocka_unit_test(test_interval_of_a_percentile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
