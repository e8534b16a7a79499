/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics in files: behind the origin, whose last fact is the shard, how many batches are done of how many, and how
 * many inputs there are; then for each of these its name and the tables of `pieces_of`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/statistics.h"

enum { MAX_SHARDS = 1000000, MAX_WIDTH = 1 << 20, PIECES = 7 };

const struct inc_sealed_kind inc_statistics_kind = {"statistics", 3, "is no file of statistics", "make it anew"};

struct counts {
    uint64_t n_done, n_batches, n_inputs;
};

/* ---- origin ---------------------------------------------------------------------------------------------------- */

static void add_shard(struct inc_origin *origin, size_t shard, size_t shards)
{
    if (shards > 1)
        inc_origin_add(origin, "shard", "%zu/%zu", shard, shards);
    else
        inc_origin_add(origin, "shard", "none");
}

enum incise_status inc_statistics_origin(const struct inc_graph *graph, const struct inc_calibration *calibration,
                                         size_t shard, size_t shards, struct inc_origin *origin)
{
    INC_TRY(inc_origin_of(graph, calibration, origin));
    add_shard(origin, shard, shards);
    return INCISE_OK;
}

/* ---- one input ------------------------------------------------------------------------------------------------- */

struct piece {
    void *data;
    size_t bytes;
};

static void pieces_of(struct inc_input_statistics *input, struct piece pieces[PIECES])
{
    size_t width = input->gram.left;
    const struct piece all[PIECES] = {
        {&input->gram.n, sizeof input->gram.n},   {input->gram.left_sum, width * sizeof(double)},
        {input->low, width * sizeof(float)},      {input->high, width * sizeof(float)},
        {input->rest_low, width * sizeof(float)}, {input->rest_high, width * sizeof(float)},
        {input->peaks, sizeof input->peaks}};
    memcpy(pieces, all, sizeof all);
}

/* The lower triangle row by row. */
static enum incise_status put_input(struct inc_buffer *bytes, struct inc_input_statistics *input)
{
    uint64_t width = input->gram.left;
    size_t n = (size_t)(width * (width + 1) / 2), at = 0;
    struct piece pieces[PIECES];
    double *triangle = inc_alloc_array(bytes->ctx, n, sizeof *triangle);
    if (triangle == NULL) return inc_fail_memory(bytes->ctx, n * sizeof *triangle, "statistics");
    for (size_t i = 0; i < width; at += ++i)
        memcpy(triangle + at, input->gram.products + i * width, (i + 1) * sizeof *triangle);
    inc_blob_put(bytes, input->name, strlen(input->name));
    inc_blob_put(bytes, &width, sizeof width);
    pieces_of(input, pieces);
    for (size_t i = 0; i < PIECES; i++) inc_blob_put(bytes, pieces[i].data, pieces[i].bytes);
    inc_blob_put(bytes, triangle, n * sizeof *triangle);
    inc_free(bytes->ctx, triangle);
    return INCISE_OK;
}

static bool is_sound(const struct inc_input_statistics *input)
{
    size_t width = input->gram.left;
    bool sound = input->gram.n >= 0 && isfinite(input->gram.n);
    for (size_t i = 0; i < width && sound; i++) {
        sound = isfinite(input->gram.left_sum[i]) && !isnan(input->low[i]) && !isnan(input->high[i]) &&
                !isnan(input->rest_low[i]) && !isnan(input->rest_high[i]);
        for (size_t j = 0; j <= i && sound; j++) sound = isfinite(input->gram.products[i * width + j]);
    }
    return sound;
}

/* *damaged, without a report, if the tables are not those of an input. */
static enum incise_status take_input(struct inc_blob_reader *tables, struct inc_statistics *statistics, bool *damaged)
{
    uint64_t width;
    size_t length = SIZE_MAX, at = 0;
    struct piece pieces[PIECES];
    const char *name = inc_blob_take(tables, &length);
    *damaged = name == NULL || memchr(name, '\0', length) != NULL || !inc_blob_read(tables, &width, sizeof width) ||
               width == 0 || width > MAX_WIDTH || width * width > (uint64_t)(tables->end - tables->at);
    if (*damaged) return INCISE_OK;
    INC_TRY(inc_statistics_add_input(statistics, name, length, (size_t)width));
    struct inc_input_statistics *input = &statistics->inputs[statistics->n_inputs - 1];
    pieces_of(input, pieces);
    for (size_t i = 0; i < PIECES && !*damaged; i++) *damaged = !inc_blob_read(tables, pieces[i].data, pieces[i].bytes);
    size_t bytes = (size_t)(width * (width + 1) / 2) * sizeof(double);
    const double *triangle = *damaged ? NULL : inc_blob_take(tables, &bytes);
    *damaged = triangle == NULL;
    for (size_t i = 0; i < width && !*damaged; at += ++i)
        memcpy(input->gram.products + i * width, triangle + at, (i + 1) * sizeof *triangle);
    *damaged = *damaged || !is_sound(input);
    return INCISE_OK;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

enum incise_status inc_statistics_save(const struct inc_statistics *statistics, const struct inc_origin *origin,
                                       const char *path)
{
    const struct counts counts = {statistics->n_done, statistics->n_batches, statistics->n_inputs};
    struct inc_buffer bytes;
    enum incise_status status = INCISE_OK;
    inc_buffer_init(&bytes, statistics->ctx);
    inc_kept_begin(&bytes, &inc_statistics_kind, origin);
    inc_blob_put(&bytes, &counts, sizeof counts);
    for (size_t i = 0; i < statistics->n_inputs && status == INCISE_OK; i++)
        status = put_input(&bytes, &statistics->inputs[i]);
    if (status == INCISE_OK) status = inc_kept_write(&bytes, path);
    inc_buffer_fini(&bytes);
    return status;
}

static enum incise_status fill(const struct inc_ctx *ctx, const char *path, struct inc_blob_reader *tables,
                               struct inc_statistics **statistics)
{
    struct counts counts;
    bool damaged = !inc_blob_read(tables, &counts, sizeof counts) || counts.n_done > counts.n_batches ||
                   counts.n_inputs > (size_t)(tables->end - tables->at) / INC_ALIGN;
    if (!damaged) {
        INC_TRY(inc_statistics_create(ctx, (size_t)counts.n_inputs, statistics));
        (*statistics)->n_done = (size_t)counts.n_done;
        (*statistics)->n_batches = (size_t)counts.n_batches;
    }
    for (size_t i = 0; !damaged && i < counts.n_inputs; i++) INC_TRY(take_input(tables, *statistics, &damaged));
    return damaged ? inc_fail(ctx, INCISE_ERROR_DATA, "%s: its statistics are damaged", path) : INCISE_OK;
}

enum incise_status inc_statistics_load(const struct inc_ctx *ctx, const char *path, const struct inc_origin *origin,
                                       struct inc_statistics **statistics)
{
    struct inc_kept kept;
    *statistics = NULL;
    enum incise_status status = inc_kept_read(ctx, path, &inc_statistics_kind, &kept);
    if (status == INCISE_OK) status = inc_kept_match(ctx, path, &kept.origin, origin);
    if (status == INCISE_OK) status = fill(ctx, path, &kept.sealed.tables, statistics);
    inc_kept_release(ctx, &kept);
    if (status == INCISE_OK) return INCISE_OK;
    inc_statistics_destroy(*statistics);
    *statistics = NULL;
    return status;
}

enum incise_status inc_statistics_check_complete(const struct inc_statistics *statistics, const char *path)
{
    if (statistics->n_done == statistics->n_batches) return INCISE_OK;
    return inc_fail(statistics->ctx, INCISE_ERROR_DATA,
                    "%s: is not complete (%zu of %zu batches): the run that writes it goes on when it is started again",
                    path, statistics->n_done, statistics->n_batches);
}

enum incise_status inc_statistics_read(const struct inc_graph *graph, const struct inc_calibration *calibration,
                                       const char *path, struct inc_statistics **statistics)
{
    struct inc_origin origin;
    INC_TRY(inc_statistics_origin(graph, calibration, 0, 1, &origin));
    INC_TRY(inc_statistics_load(graph->ctx, path, &origin, statistics));
    enum incise_status status = inc_statistics_check_complete(*statistics, path);
    if (status == INCISE_OK) return INCISE_OK;
    inc_statistics_destroy(*statistics);
    *statistics = NULL;
    return status;
}

/* ---- joining --------------------------------------------------------------------------------------------------- */

struct join {
    const struct inc_ctx *ctx;
    struct inc_origin origin; /* without the shard */
    size_t shards;
    const char **parts; /* per shard: its file */
    struct inc_statistics *sum;
};

static bool parse_shard(const struct inc_origin *origin, size_t *shard, size_t *shards)
{
    unsigned long long i, n;
    char rest;
    const struct inc_fact *fact = origin->n > 0 ? &origin->facts[origin->n - 1] : NULL;
    if (fact == NULL || strcmp(fact->name, "shard") != 0 || sscanf(fact->value, "%llu/%llu%c", &i, &n, &rest) != 2)
        return false;
    *shard = (size_t)i;
    *shards = (size_t)n;
    return i < n && n <= MAX_SHARDS;
}

/* Which shard a part says it is. Its other facts are those of the first part. */
static enum incise_status place_part(struct join *join, const char *path, const struct inc_origin *origin)
{
    size_t shard, shards;
    if (!parse_shard(origin, &shard, &shards))
        return inc_fail(join->ctx, INCISE_ERROR_DATA, "%s: is no shard of statistics", path);
    if (join->parts == NULL) {
        join->origin = *origin;
        join->origin.n--;
        join->shards = shards;
        join->parts = inc_alloc_zero(join->ctx, shards, sizeof *join->parts);
        if (join->parts == NULL) return inc_fail_memory(join->ctx, shards * sizeof *join->parts, "shards");
    }
    INC_TRY(inc_kept_match(join->ctx, path, origin, &join->origin));
    if (shards != join->shards)
        return inc_fail(join->ctx, INCISE_ERROR_DATA, "%s: is one of %zu shards, not of %zu", path, shards,
                        join->shards);
    if (join->parts[shard] != NULL)
        return inc_fail(join->ctx, INCISE_ERROR_DATA, "%s and %s are both shard %zu/%zu", join->parts[shard], path,
                        shard, shards);
    join->parts[shard] = path;
    return INCISE_OK;
}

static enum incise_status place_parts(struct join *join, const char *const *parts, size_t n)
{
    enum incise_status status = INCISE_OK;
    for (size_t i = 0; i < n && status == INCISE_OK; i++) {
        struct inc_origin origin;
        status = inc_kept_peek(join->ctx, parts[i], &inc_statistics_kind, &origin);
        if (status == INCISE_OK) status = place_part(join, parts[i], &origin);
    }
    for (size_t i = 0; i < join->shards && status == INCISE_OK; i++)
        if (join->parts[i] == NULL)
            status = inc_fail(join->ctx, INCISE_ERROR_DATA, "shard %zu/%zu is missing", i, join->shards);
    return status;
}

static bool are_alike(const struct inc_statistics *a, const struct inc_statistics *b)
{
    bool alike = a->n_inputs == b->n_inputs;
    for (size_t i = 0; i < a->n_inputs && alike; i++)
        alike = a->inputs[i].gram.left == b->inputs[i].gram.left && strcmp(a->inputs[i].name, b->inputs[i].name) == 0;
    return alike;
}

static enum incise_status add_part(struct join *join, size_t shard)
{
    const char *path = join->parts[shard];
    struct inc_origin origin = join->origin;
    struct inc_statistics *part;
    add_shard(&origin, shard, join->shards);
    INC_TRY(inc_statistics_load(join->ctx, path, &origin, &part));
    enum incise_status status = inc_statistics_check_complete(part, path);
    if (status == INCISE_OK && join->sum == NULL) {
        join->sum = part;
        return INCISE_OK;
    }
    if (status == INCISE_OK && !are_alike(join->sum, part))
        status = inc_fail(join->ctx, INCISE_ERROR_DATA, "%s: its layers are not those of %s", path, join->parts[0]);
    if (status == INCISE_OK) inc_statistics_merge(join->sum, part);
    inc_statistics_destroy(part);
    return status;
}

/* Shard after shard, so that the order of the parts does not change a bit. */
enum incise_status inc_statistics_join(const struct inc_ctx *ctx, const char *const *parts, size_t n, const char *path,
                                       bool force)
{
    struct join join = {.ctx = ctx};
    enum incise_status status = inc_file_check_place(ctx, path, force);
    if (status == INCISE_OK) status = place_parts(&join, parts, n);
    for (size_t i = 0; i < join.shards && status == INCISE_OK; i++) status = add_part(&join, i);
    if (status == INCISE_OK) {
        add_shard(&join.origin, 0, 1);
        status = inc_statistics_save(join.sum, &join.origin, path);
    }
    inc_statistics_destroy(join.sum);
    inc_free(ctx, join.parts);
    return status;
}
