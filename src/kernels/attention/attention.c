/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/attention.h"

#include <math.h>
#include <string.h>

#include "kernels/attention/attention_item.h"

/* Rows (queries times the query heads of one key/value head) of an item: packing keys and values takes a few percent
 * of such an item's time. */
#define ITEM_ROWS 128

#define SCRATCH_PARTS 7

static const struct inc_attention_kernel *const kernels[] = {
#define INC_ATTENTION(name, isa) &inc_attention_##name,
#include "kernels/attention/attention.def"
#undef INC_ATTENTION
};

const struct inc_attention_kernel *const *inc_attention_kernels(size_t *n)
{
    *n = sizeof kernels / sizeof kernels[0];
    return kernels;
}

const struct inc_attention_kernel *inc_attention_select(enum incise_isa isa, bool integers)
{
    const struct inc_attention_kernel *best = kernels[0];
    for (size_t i = 1; i < sizeof kernels / sizeof kernels[0]; i++) {
        const bool wanted = kernels[i]->i8 == NULL || (integers && kernels[i]->isa >= INCISE_ISA_VNNI);
        if (kernels[i]->isa <= isa && wanted) best = kernels[i];
    }
    return best;
}

/* Queries of the largest item. */
static size_t query_block(size_t group)
{
    return inc_max_size(ITEM_ROWS / group, 1);
}

static size_t query_blocks(const struct inc_attention_args *args)
{
    const size_t size = query_block(args->heads / args->kv_heads);
    return args->n / size + (args->n % size != 0);
}

size_t inc_attention_items(const struct inc_attention_args *args)
{
    return query_blocks(args) * args->kv_heads;
}

/* Bytes of the parts of the scratch memory, in the order of struct item; each is a multiple of 64. No overflow: even
 * 2^32 heads of 2^32 values need less than 2^43 bytes. */
static void scratch_parts(const struct inc_attention_kernel *kernel, size_t group, size_t head_dim,
                          size_t part[SCRATCH_PARTS])
{
    const size_t queries = query_block(group), rows = queries * group, d = inc_round_up(head_dim, NR_MAX);
    part[0] = key_block(head_dim) * d * sizeof(float);
    part[1] = part[0];
    part[2] = SCORE_FLOATS * sizeof(float);
    part[3] = queries * d * sizeof(float);
    part[4] = inc_round_up(rows * sizeof(struct inc_attention_row), INC_ALIGN);
    part[5] = inc_round_up(queries * sizeof(struct span), INC_ALIGN);
    part[6] = kernel->i8 != NULL ? inc_attention_i8_scratch(rows, head_dim) : 0;
}

size_t inc_attention_scratch(const struct inc_attention_kernel *kernel, unsigned heads, unsigned kv_heads,
                             unsigned head_dim)
{
    size_t part[SCRATCH_PARTS], bytes = 0;
    scratch_parts(kernel, heads / kv_heads, head_dim, part);
    for (int i = 0; i < SCRATCH_PARTS; i++) bytes += part[i];
    return bytes;
}

/* The first key whose position is at least `position`. */
static size_t first_at(const struct inc_attention_args *args, int64_t position)
{
    size_t low = 0, high = args->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((args->pos ? args->pos[middle] : (int64_t)middle) < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The keys that query i sees: one range, as positions rise. */
static struct span visible_keys(const struct inc_attention_args *args, size_t i)
{
    const int64_t position = args->pos ? args->pos[i] : (int64_t)i, window = args->window;
    struct span span = {0, args->n};
    if (window) span = (struct span){first_at(args, position - window + 1), first_at(args, position + window)};
    if (args->causal) span.high = inc_min_size(span.high, first_at(args, position + 1));
    return span;
}

static void pack_keys(const struct item *item)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim, nr = item->gemm->nr, keys = item->high - item->low;
    const float *k = args->k + item->low * args->ldk + item->kv_head * d;
    for (size_t j = 0; j < keys; j += nr)
        item->kernel->pack_keys(inc_min_size(nr, keys - j), d, k + j * args->ldk, args->ldk, item->keys + j * d);
}

static void pack_values(const struct item *item)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim, nr = item->gemm->nr, keys = item->high - item->low;
    const float *v = args->v + item->low * args->ldv + item->kv_head * d;
    for (size_t j = 0; j < d; j += nr)
        item->kernel->pack_values(keys, inc_min_size(nr, d - j), v + j, args->ldv, item->values + j * keys);
}

static void multiply_keys(const struct item *item, const struct chunk *chunk)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim, nr = item->gemm->nr, keys = item->high - item->low, stride = score_stride(keys);
    const size_t head = item->kv_head * item->group + chunk->g;
    const float *q = args->q + (item->first + chunk->query) * args->ldq + head * d;
    for (size_t j = 0; j < keys; j += nr) {
        const struct inc_gemm_f32_strip strips[2] = {{.w = item->keys + j * d, .n_steps = (uint32_t)d}};
        item->gemm->run(chunk->n, inc_min_size(nr, keys - j), strips, q, args->ldq, NULL, item->scores + j, stride);
    }
}

/* Scores of row i of the chunk to weights; keys of the block that its query does not see get weight 0. */
static void softmax_row(const struct item *item, const struct chunk *chunk, size_t i)
{
    const struct inc_attention_args *args = item->args;
    const size_t query = chunk->query + i, head = item->kv_head * item->group + chunk->g;
    const size_t low = inc_min_size(inc_max_size(item->visible[query].low, item->low), item->high);
    const size_t high = inc_max_size(inc_min_size(item->visible[query].high, item->high), low);
    const float *bias = args->bias;
    if (bias) bias += head * args->head_stride_bias + (item->first + query) * args->ld_bias + low;
    if (item->kernel->i8 != NULL) {
        inc_attention_i8_softmax(item, chunk, i, low, high, bias);
        return;
    }
    float *s = item->scores + i * score_stride(item->high - item->low) - item->low; /* indexed by key */
    for (size_t j = item->low; j < low; j++) s[j] = 0.0f;
    for (size_t j = high; j < item->high; j++) s[j] = 0.0f;
    item->kernel->softmax(s + low, high - low, args->scale, bias, &item->rows[chunk->g * item->queries + query]);
}

/* to = weights * V */
static void multiply_values(const struct item *item, const struct chunk *chunk, float *to, size_t ld)
{
    const size_t d = item->args->head_dim, nr = item->gemm->nr, keys = item->high - item->low;
    for (size_t j = 0; j < d; j += nr) {
        const struct inc_gemm_f32_strip strips[2] = {{.w = item->values + j * keys, .n_steps = (uint32_t)keys}};
        item->gemm->run(chunk->n, inc_min_size(nr, d - j), strips, item->scores, score_stride(keys), NULL, to + j, ld);
    }
}

/* out = out * rescale + partial behind the first block of keys, out / sum behind the last. */
static void finish_row(const struct item *item, const struct inc_attention_row *row, const float *partial, float *out)
{
    const size_t d = item->args->head_dim;
    const bool is_divided = item->kernel->i8 != NULL && item->is_first;
    if (!item->is_first) item->kernel->combine(out, d, row->rescale, partial);
    if (!item->is_last) return;
    if (row->sum == 0.0f) {
        memset(out, 0, d * sizeof *out);
    } else if (!is_divided) {
        item->kernel->combine(out, d, 1.0f / row->sum, NULL);
    }
}

/* The chunk's queries and the block's keys and values. */
static void attend(const struct item *item, const struct chunk *chunk)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim, head = item->kv_head * item->group + chunk->g;
    const bool integers = item->kernel->i8 != NULL;
    float *out = args->out + (item->first + chunk->query) * args->ldo + head * d;
    (integers ? inc_attention_i8_multiply_keys : multiply_keys)(item, chunk);
    for (size_t i = 0; i < chunk->n; i++) softmax_row(item, chunk, i);
    (integers ? inc_attention_i8_multiply_values : multiply_values)(item, chunk, item->is_first ? out : item->partial,
                                                                    item->is_first ? args->ldo : d);
    const struct inc_attention_row *rows = &item->rows[chunk->g * item->queries + chunk->query];
    for (size_t i = 0; i < chunk->n; i++) finish_row(item, &rows[i], item->partial + i * d, out + i * args->ldo);
}

/* All of the item's queries and the block's keys and values. */
static void attend_block(struct item *item)
{
    const bool integers = item->kernel->i8 != NULL;
    const size_t most = SCORE_FLOATS / score_stride(item->high - item->low) / CHUNK_STEP * CHUNK_STEP;
    integers ? inc_attention_i8_pack_keys(item) : pack_keys(item);
    (integers ? inc_attention_i8_pack_values : pack_values)(item);
    for (size_t g = 0; g < item->group; g++) {
        for (size_t query = 0; query < item->queries; query += most)
            attend(item, &(struct chunk){g, query, inc_min_size(most, item->queries - query)});
    }
}

static void place_scratch(struct item *item, void *scratch)
{
    size_t part[SCRATCH_PARTS];
    unsigned char *at = scratch;
    scratch_parts(item->kernel, item->group, item->args->head_dim, part);
    item->keys = (float *)(void *)at, at += part[0];
    item->values = (float *)(void *)at, at += part[1];
    item->scores = (float *)(void *)at, at += part[2];
    item->partial = (float *)(void *)at, at += part[3];
    item->rows = (struct inc_attention_row *)(void *)at, at += part[4];
    item->visible = (struct span *)(void *)at, at += part[5];
    if (item->kernel->i8 != NULL) inc_attention_i8_begin(item, at);
}

void inc_attention_run(const struct inc_attention_kernel *kernel, const struct inc_attention_args *args, size_t index,
                       void *scratch)
{
    const size_t blocks = query_blocks(args), size = (args->n + blocks - 1) / blocks, keys = key_block(args->head_dim);
    /* later queries see more keys when causal: the long items go first */
    const size_t first = (blocks - 1 - index / args->kv_heads) * size;
    struct item item = {.kernel = kernel, .gemm = inc_gemm_f32_select(kernel->isa), .args = args, .first = first,
                        .queries = inc_min_size(size, args->n - first), .group = args->heads / args->kv_heads,
                        .kv_head = index % args->kv_heads};
    place_scratch(&item, scratch);
    for (size_t r = 0; r < item.group * item.queries; r++) {
        item.rows[r] = (struct inc_attention_row){.max = -INFINITY, .sum = 0.0f, .rescale = 0.0f};
    }
    for (size_t i = 0; i < item.queries; i++) item.visible[i] = visible_keys(args, first + i);

    const size_t low = item.visible[0].low, high = item.visible[item.queries - 1].high;
    for (size_t at = low / keys * keys; at < high; at += keys) {
        item.low = inc_max_size(at, low);
        item.high = inc_min_size(at + keys, high);
        item.is_first = item.low == low;
        item.is_last = item.high == high;
        attend_block(&item);
    }
}
