/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/score.h"

#include <math.h>
#include <string.h>

#include <xxhash.h>

#include "compress/percentile.h"

/* ---- scores ---------------------------------------------------------------------------------------------------- */

struct scoring {
    const struct inc_weight *weight;
    const struct inc_blocks *blocks;
    enum inc_norm norm;
    const double *factors;
    struct inc_scores *scores;
    float *scratch; /* a row per worker */
};

static void score_strip(void *arg, size_t strip, unsigned worker)
{
    const struct scoring *job = arg;
    const struct inc_blocks *blocks = job->blocks;
    float *row = job->scratch + blocks->in * worker;
    double *scores = job->scores->scores + strip * blocks->across;
    double *squares = job->scores->squares + strip * blocks->across;
    size_t *zeros = job->scores->zeros + strip * blocks->across;
    for (size_t r = 0; r < inc_strip_height(blocks, strip); r++) {
        inc_weight_row_f32(job->weight, (int64_t)(strip * blocks->height + r), row);
        for (size_t k = 0; k < blocks->in; k++) {
            size_t block = k / blocks->width;
            double w = (double)row[k];
            scores[block] += job->factors != NULL ? job->factors[k] * w * w : fabs(w);
            squares[block] += w * w;
            zeros[block] += row[k] == 0.0f;
        }
    }
    bool root = job->factors == NULL && job->norm == INC_NORM_L2;
    for (size_t i = 0; root && i < blocks->across; i++) scores[i] = sqrt(squares[i]);
}

enum incise_status inc_scores_compute(const struct inc_ctx *ctx, struct inc_pool *pool, const struct inc_weight *weight,
                                      const struct inc_blocks *blocks, enum inc_norm norm, const double *factors,
                                      struct inc_scores *scores)
{
    struct scoring job = {weight, blocks, norm, factors, scores, NULL};
    size_t row_bytes;
    if (!inc_size_mul(blocks->in, sizeof(float), &row_bytes)) row_bytes = SIZE_MAX;
    scores->scores = inc_alloc_zero(ctx, blocks->n, sizeof *scores->scores);
    scores->squares = inc_alloc_zero(ctx, blocks->n, sizeof *scores->squares);
    scores->zeros = inc_alloc_zero(ctx, blocks->n, sizeof *scores->zeros);
    job.scratch = inc_alloc_array(ctx, inc_pool_threads(pool), row_bytes);
    if (scores->scores == NULL || scores->squares == NULL || scores->zeros == NULL || job.scratch == NULL) {
        inc_free(ctx, job.scratch);
        return inc_fail_memory(ctx, blocks->n, "block scores");
    }
    inc_pool_run(pool, score_strip, &job, blocks->down);
    inc_free(ctx, job.scratch);
    return INCISE_OK;
}

void inc_scores_release(const struct inc_ctx *ctx, struct inc_scores *scores)
{
    inc_free(ctx, scores->scores);
    inc_free(ctx, scores->squares);
    inc_free(ctx, scores->zeros);
    memset(scores, 0, sizeof *scores);
}

/* ---- choices --------------------------------------------------------------------------------------------------- */

enum incise_status inc_choose_lowest(const struct inc_ctx *ctx, const double *scores, size_t n, double share,
                                     bool *chosen)
{
    double threshold;
    INC_TRY(inc_percentile(ctx, scores, n, share, &threshold));
    for (size_t i = 0; i < n; i++) chosen[i] = scores[i] < threshold;
    return INCISE_OK;
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Selection sampling (Knuth, TAOCP 2, algorithm S): each set of so many blocks is as likely as any other, up to the
 * 2^-64 bias of the remainder. */
void inc_choose_random(const char *layer, uint64_t seed, size_t n, double share, bool *chosen)
{
    uint64_t state = XXH3_64bits_withSeed(layer, strlen(layer), seed);
    size_t wanted = (size_t)llround(share * (double)n);
    for (size_t i = 0; i < n; i++) {
        chosen[i] = splitmix64(&state) % (n - i) < wanted;
        if (chosen[i]) wanted--;
    }
}
