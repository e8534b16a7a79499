/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroing blocks of weights. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/size.h"
#include "compress/changes.h"
#include "compress/percentile.h"
#include "compress/targets.h"

/* One weight cut into blocks of rows x columns, numbered row by row of blocks. */
struct pruning {
    const struct inc_prune_method *method;
    bool squared; /* norm l2 */
    double sparsity;
    uint64_t seed;
    int64_t rows, columns; /* of a block, as asked */
    const struct inc_target *target;
    size_t across, n_blocks; /* blocks per row of blocks, and in all */
    double *scores;          /* n_blocks: norm of each */
    double *squares;         /* n_blocks: sum of squares of each */
    size_t *zeros;           /* n_blocks: zero elements of each */
    bool *chosen;            /* n_blocks */
    float *scratch;          /* a row per worker */
};

struct inc_prune_method {
    const char *name;
    enum incise_status (*choose)(const struct inc_ctx *ctx, struct pruning *pruning);
};

/* ---- methods --------------------------------------------------------------------------------------------------- */

static enum incise_status choose_magnitude(const struct inc_ctx *ctx, struct pruning *pruning)
{
    double threshold;
    INC_TRY(inc_percentile(ctx, pruning->scores, pruning->n_blocks, pruning->sparsity, &threshold));
    for (size_t i = 0; i < pruning->n_blocks; i++) pruning->chosen[i] = pruning->scores[i] < threshold;
    return INCISE_OK;
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Selection sampling (Knuth, TAOCP 2, algorithm S): each set of round(S * n) blocks is as likely as any other, up to
 * the 2^-64 bias of the remainder. The stream depends on seed and layer only, so a layer's blocks do not change with
 * what else is selected. */
static enum incise_status choose_random(const struct inc_ctx *ctx, struct pruning *pruning)
{
    (void)ctx;
    const char *name = pruning->target->reader->name;
    uint64_t state = XXH3_64bits_withSeed(name, strlen(name), pruning->seed);
    size_t wanted = (size_t)llround(pruning->sparsity * (double)pruning->n_blocks);
    for (size_t i = 0; i < pruning->n_blocks; i++) {
        pruning->chosen[i] = splitmix64(&state) % (pruning->n_blocks - i) < wanted;
        if (pruning->chosen[i]) wanted--;
    }
    return INCISE_OK;
}

static const struct inc_prune_method methods[] = {{"magnitude", choose_magnitude}, {"random", choose_random}};

/* ---- options --------------------------------------------------------------------------------------------------- */

void incise_prune_options_init(struct incise_prune_options *options)
{
    *options = (struct incise_prune_options){.struct_size = sizeof *options, .pattern = "block:32x32",
                                             .method = "magnitude", .norm = "l1", .sparsity = 0.5};
}

/* A decimal number in 1..2^31-1 and nothing else up to `end`. */
static bool parse_size(const char *text, char end, const char **rest, int64_t *size)
{
    char *stop;
    if (text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    long long value = strtoll(text, &stop, 10);
    if (errno != 0 || *stop != end || value < 1 || value > INT32_MAX) return false;
    *rest = stop + 1;
    *size = value;
    return true;
}

static enum incise_status parse_pattern(const struct inc_ctx *ctx, const char *text, struct pruning *pruning)
{
    const char *rest = text;
    if (text != NULL && strcmp(text, "element") == 0) {
        pruning->rows = pruning->columns = 1;
        return INCISE_OK;
    }
    if (text != NULL && strncmp(text, "block:", 6) == 0 && parse_size(text + 6, 'x', &rest, &pruning->rows) &&
        parse_size(rest, '\0', &rest, &pruning->columns))
        return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_USAGE, "pattern '%s' is neither element nor block:RxC", text != NULL ? text : "");
}

static enum incise_status parse_options(const struct inc_ctx *ctx, const struct incise_prune_options *options,
                                        struct pruning *pruning)
{
    INC_TRY(parse_pattern(ctx, options->pattern, pruning));
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (options->method != NULL && strcmp(options->method, methods[i].name) == 0) pruning->method = &methods[i];
    if (pruning->method == NULL)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "method '%s' is neither magnitude nor random",
                        options->method != NULL ? options->method : "");
    pruning->squared = options->norm != NULL && strcmp(options->norm, "l2") == 0;
    if (!pruning->squared && (options->norm == NULL || strcmp(options->norm, "l1") != 0))
        return inc_fail(ctx, INCISE_ERROR_USAGE, "norm '%s' is neither l1 nor l2",
                        options->norm != NULL ? options->norm : "");
    if (!(options->sparsity >= 0.0 && options->sparsity < 1.0))
        return inc_fail(ctx, INCISE_ERROR_USAGE, "sparsity %g is not in [0, 1)", options->sparsity);
    pruning->sparsity = options->sparsity;
    pruning->seed = options->seed;
    return INCISE_OK;
}

/* ---- one weight ------------------------------------------------------------------------------------------------ */

/* Scores one row of blocks. */
static void score_blocks(void *arg, size_t item, unsigned worker)
{
    const struct pruning *pruning = arg;
    const struct inc_weight *weight = &pruning->target->weight;
    float *row = pruning->scratch + (size_t)weight->in * worker;
    double *scores = pruning->scores + item * pruning->across;
    double *squares = pruning->squares + item * pruning->across;
    size_t *zeros = pruning->zeros + item * pruning->across;
    int64_t first = (int64_t)item * pruning->rows;
    int64_t last = weight->out - first < pruning->rows ? weight->out : first + pruning->rows;
    for (int64_t r = first; r < last; r++) {
        inc_weight_row_f32(weight, r, row);
        for (int64_t k = 0; k < weight->in; k++) {
            size_t block = (size_t)(k / pruning->columns);
            double w = (double)row[k];
            scores[block] += fabs(w);
            squares[block] += w * w;
            zeros[block] += row[k] == 0.0f;
        }
    }
    for (size_t i = 0; pruning->squared && i < pruning->across; i++) scores[i] = sqrt(squares[i]);
}

/* Writes logical zero over element W[row, k]. */
static void put_zero(const struct inc_weight *weight, unsigned char *data, int64_t row, int64_t k)
{
    size_t at = inc_weight_index(weight, row, k);
    int zero = 0;
    if (weight->zero.tensor != NULL)
        zero = (int)inc_tensor_get_i64(weight->zero.tensor, inc_weight_param_index(weight, &weight->zero, row, k));
    unsigned bits = inc_type_bits(weight->type);
    if (bits == 4) {
        unsigned shift = at % 2 * 4;
        data[at / 2] = (unsigned char)((data[at / 2] & ~(15u << shift)) | (unsigned)(zero & 15) << shift);
    } else if (bits == 8) {
        data[at] = (unsigned char)zero;
    } else {
        memset(data + at * (bits / 8), 0, bits / 8);
    }
}

static void zero_chosen(const struct pruning *pruning, unsigned char *data)
{
    const struct inc_weight *weight = &pruning->target->weight;
    for (int64_t r = 0; r < weight->out; r++) {
        const bool *chosen = pruning->chosen + (size_t)(r / pruning->rows) * pruning->across;
        for (int64_t k = 0; k < weight->in; k++)
            if (chosen[k / pruning->columns]) put_zero(weight, data, r, k);
    }
}

/* A FakeQuantize may have no level at zero; then its weight cannot be pruned. */
static enum incise_status check_zero_level(const struct inc_graph *graph, const struct pruning *pruning,
                                           const unsigned char *data)
{
    struct inc_weight weight = pruning->target->weight;
    if (weight.fake_quantize == NULL) return INCISE_OK;
    struct inc_node edited = *weight.constant;
    edited.data.data = (void *)data;
    weight.constant = &edited;
    for (int64_t r = 0; r < weight.out; r++) {
        const bool *chosen = pruning->chosen + (size_t)(r / pruning->rows) * pruning->across;
        inc_weight_row_f32(&weight, r, pruning->scratch);
        for (int64_t k = 0; k < weight.in; k++)
            if (chosen[k / pruning->columns] && pruning->scratch[k] != 0.0f)
                return inc_fail(graph->ctx, INCISE_ERROR_DATA, "%s: layer %u '%s': its FakeQuantize has no level at 0",
                                graph->source != NULL ? graph->source : "graph", weight.fake_quantize->id,
                                weight.fake_quantize->name);
    }
    return INCISE_OK;
}

/* What pruning takes away, from the scores before it. */
static void describe(const struct pruning *pruning, struct incise_change *change)
{
    const struct inc_weight *weight = &pruning->target->weight;
    double lost = 0.0, all = 0.0, zeros = 0.0;
    change->rows = weight->out;
    change->columns = weight->in;
    change->blocks = (int64_t)pruning->n_blocks;
    for (size_t i = 0; i < pruning->n_blocks; i++) {
        int64_t r = (int64_t)(i / pruning->across) * pruning->rows;
        int64_t k = (int64_t)(i % pruning->across) * pruning->columns;
        int64_t height = weight->out - r < pruning->rows ? weight->out - r : pruning->rows;
        int64_t width = weight->in - k < pruning->columns ? weight->in - k : pruning->columns;
        bool zero = pruning->chosen[i] || pruning->zeros[i] == (size_t)(height * width);
        change->zero_blocks += zero;
        zeros += zero ? (double)(height * width) : (double)pruning->zeros[i];
        lost += pruning->chosen[i] ? pruning->squares[i] : 0.0;
        all += pruning->squares[i];
    }
    change->zeros = zeros / ((double)weight->out * (double)weight->in);
    change->error = all > 0.0 ? sqrt(lost / all) : 0.0;
}

static enum incise_status allocate(const struct inc_ctx *ctx, struct inc_pool *pool, struct pruning *pruning)
{
    const struct inc_weight *weight = &pruning->target->weight;
    pruning->across = (size_t)((weight->in - 1) / pruning->columns + 1);
    pruning->n_blocks = pruning->across * (size_t)((weight->out - 1) / pruning->rows + 1);
    unsigned workers = pool != NULL ? inc_pool_threads(pool) : 1;
    size_t row_bytes;
    if (!inc_size_mul((size_t)weight->in, sizeof(float), &row_bytes)) row_bytes = SIZE_MAX;
    pruning->scores = inc_alloc_zero(ctx, pruning->n_blocks, sizeof *pruning->scores);
    pruning->squares = inc_alloc_zero(ctx, pruning->n_blocks, sizeof *pruning->squares);
    pruning->zeros = inc_alloc_zero(ctx, pruning->n_blocks, sizeof *pruning->zeros);
    pruning->chosen = inc_alloc_zero(ctx, pruning->n_blocks, sizeof *pruning->chosen);
    pruning->scratch = inc_alloc_array(ctx, workers, row_bytes);
    if (pruning->scores == NULL || pruning->squares == NULL || pruning->zeros == NULL || pruning->chosen == NULL ||
        pruning->scratch == NULL)
        return inc_fail_memory(ctx, pruning->n_blocks, "block scores");
    return INCISE_OK;
}

static void release(const struct inc_ctx *ctx, struct pruning *pruning)
{
    inc_free(ctx, pruning->scores);
    inc_free(ctx, pruning->squares);
    inc_free(ctx, pruning->zeros);
    inc_free(ctx, pruning->chosen);
    inc_free(ctx, pruning->scratch);
    pruning->scores = pruning->squares = NULL;
    pruning->zeros = NULL;
    pruning->chosen = NULL;
    pruning->scratch = NULL;
}

/* Scores, chooses, and stores the result. */
static enum incise_status prune_weight(struct inc_graph *graph, struct inc_pool *pool,
                                       const struct inc_targets *targets, size_t index, struct pruning *pruning,
                                       struct incise_changes *changes)
{
    const struct inc_target *target = &targets->items[index];
    const struct inc_tensor *data = &target->weight.constant->data;
    struct incise_change *change;
    INC_TRY(inc_weight_check(graph, &target->weight));
    INC_TRY(inc_changes_add(changes, target->reader->name, target->weight.constant->name, &change));
    INC_TRY(allocate(graph->ctx, pool, pruning));
    inc_pool_run(pool, score_blocks, pruning, pruning->n_blocks / pruning->across);
    INC_TRY(pruning->method->choose(graph->ctx, pruning));
    describe(pruning, change);
    unsigned char *edited = inc_alloc(graph->ctx, data->bytes);
    if (edited == NULL) return inc_fail_memory(graph->ctx, data->bytes, "a pruned weight");
    memcpy(edited, data->data, data->bytes);
    zero_chosen(pruning, edited);
    enum incise_status status = check_zero_level(graph, pruning, edited);
    if (status != INCISE_OK) {
        inc_free(graph->ctx, edited);
        return status;
    }
    return inc_target_store(graph, targets, index, edited);
}

/* ---- the whole graph ------------------------------------------------------------------------------------------- */

/* Leaves a note of what was done in the model. */
static enum incise_status record(struct inc_graph *graph, const struct incise_prune_options *options,
                                 const struct pruning *pruning, size_t n)
{
    bool scored = pruning->method->choose == choose_magnitude;
    const char *text = inc_arena_printf(&graph->arena, "%s %s%s%s sparsity=%g layers=%zu", options->pattern,
                                        options->method, scored ? " " : "", scored ? options->norm : "",
                                        options->sparsity, n);
    if (text == NULL) return inc_fail_memory(graph->ctx, 0, "rt_info");
    return inc_info_set(graph, "incise/pruned", text);
}

/* Whether an earlier target stands for the same constant. */
static bool is_repeated(const struct inc_targets *targets, size_t index)
{
    return targets->items[index].weight.constant->mark != index + 1;
}

enum incise_status inc_prune(struct inc_graph *graph, struct inc_pool *pool, const struct incise_prune_options *options,
                             struct incise_changes *changes)
{
    struct pruning pruning = {0};
    struct inc_targets targets;
    INC_TRY(parse_options(graph->ctx, options, &pruning));
    enum incise_status status = inc_targets_select(graph, false, options->select, options->ignore, &targets);
    for (size_t i = targets.n; i > 0; i--) targets.items[i - 1].weight.constant->mark = (uint32_t)i;
    for (size_t i = 0; i < targets.n && status == INCISE_OK; i++) {
        pruning.target = &targets.items[i];
        if (!is_repeated(&targets, i)) status = prune_weight(graph, pool, &targets, i, &pruning, changes);
        release(graph->ctx, &pruning);
        if (options->progress != NULL && status == INCISE_OK)
            options->progress(options->progress_user, i + 1, targets.n, targets.items[i].reader->name);
    }
    if (status == INCISE_OK) {
        inc_graph_remove_dead(graph);
        status = record(graph, options, &pruning, changes->n);
    }
    inc_targets_release(&targets);
    return status;
}
