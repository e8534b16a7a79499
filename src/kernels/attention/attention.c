/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/attention.h"

#include <math.h>
#include <string.h>

#include "kernels/attention/attention_item.h"

/* Rows (queries times the query heads of one key/value head) of an item: packing keys and values takes a few percent
 * of such an item's time. */
#define ITEM_ROWS 128

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
static void scratch_parts(const struct inc_attention_kernel *kernel, size_t group, size_t head_dim, size_t part[6])
{
    const size_t queries = query_block(group), rows = queries * group, d = inc_round_up(head_dim, NR_MAX);
    part[0] = key_block(head_dim) * d * sizeof(float);
    part[1] = rows * score_stride(head_dim) * sizeof(float);
    part[2] = queries * d * sizeof(float);
    part[3] = inc_round_up(rows * sizeof(struct inc_attention_row), INC_ALIGN);
    part[4] = inc_round_up(queries * sizeof(struct span), INC_ALIGN);
    part[5] = kernel->i8 != NULL ? inc_attention_i8_scratch(rows, head_dim) : 0;
}

size_t inc_attention_scratch(const struct inc_attention_kernel *kernel, unsigned heads, unsigned kv_heads,
                             unsigned head_dim)
{
    size_t part[6];
    scratch_parts(kernel, heads / kv_heads, head_dim, part);
    return part[0] + part[1] + part[2] + part[3] + part[4] + part[5];
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

static void score_block(const struct item *item)
{
    const struct inc_attention_args *args = item->args;
    if (item->kernel->i8 != NULL) {
        inc_attention_i8_scores(item);
        return;
    }
    const size_t d = args->head_dim, nr = item->gemm->nr, stride = score_stride(d), keys = item->high - item->low;
    const float *k = args->k + item->low * args->ldk + item->kv_head * d;
    for (size_t j = 0; j < keys; j += nr) {
        const size_t n = inc_min_size(nr, keys - j);
        const struct inc_gemm_f32_strip strip = {item->packed + j * d, NULL, (uint32_t)d};
        item->kernel->pack_keys(n, d, k + j * args->ldk, args->ldk, item->packed + j * d);
        for (size_t g = 0; g < item->group; g++) {
            const float *q = args->q + item->first * args->ldq + (item->kv_head * item->group + g) * d;
            item->gemm->run(item->queries, n, &strip, q, args->ldq, NULL,
                            item->scores + g * item->queries * stride + j, stride);
        }
    }
}

/* Scores to weights; keys of the block that a query does not see get weight 0. */
static void softmax_row(const struct item *item, size_t g, size_t query)
{
    const struct inc_attention_args *args = item->args;
    const size_t low = inc_min_size(inc_max_size(item->visible[query].low, item->low), item->high);
    const size_t high = inc_max_size(inc_min_size(item->visible[query].high, item->high), low);
    const size_t row = g * item->queries + query, head = item->kv_head * item->group + g;
    float *s = item->scores + row * score_stride(args->head_dim) - item->low; /* indexed by key */
    const float *bias = args->bias;
    if (bias) bias += head * args->head_stride_bias + (item->first + query) * args->ld_bias + low;
    for (size_t j = item->low; j < low; j++) s[j] = 0.0f;
    for (size_t j = high; j < item->high; j++) s[j] = 0.0f;
    const float before = item->rows[row].sum;
    item->kernel->softmax(s + low, high - low, args->scale, bias, &item->rows[row]);
    if (item->kernel->i8 != NULL) inc_attention_i8_weights(item, row, before);
}

static void pack_values(const struct item *item)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim, nr = item->gemm->nr, keys = item->high - item->low;
    const float *v = args->v + item->low * args->ldv + item->kv_head * d;
    for (size_t j = 0; j < d; j += nr) {
        item->kernel->pack_values(keys, inc_min_size(nr, d - j), v + j, args->ldv, item->packed + j * keys);
    }
}

/* to = weights * V for query head g. */
static void multiply_values(const struct item *item, size_t g, float *to, size_t ld)
{
    const size_t d = item->args->head_dim, nr = item->gemm->nr, stride = score_stride(d);
    const size_t keys = item->high - item->low;
    for (size_t j = 0; j < d; j += nr) {
        const struct inc_gemm_f32_strip strip = {item->packed + j * keys, NULL, (uint32_t)keys};
        item->gemm->run(item->queries, inc_min_size(nr, d - j), &strip, item->scores + g * item->queries * stride,
                        stride, NULL, to + j, ld);
    }
}

/* out = weights * V for the first block of keys, out * rescale + weights * V for later ones. */
static void value_block(const struct item *item, bool is_first)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim;
    const bool integers = item->kernel->i8 != NULL;
    (integers ? inc_attention_i8_pack_values : pack_values)(item);
    for (size_t g = 0; g < item->group; g++) {
        float *out = args->out + item->first * args->ldo + (item->kv_head * item->group + g) * d;
        float *to = is_first ? out : item->partial;
        (integers ? inc_attention_i8_values : multiply_values)(item, g, to, is_first ? args->ldo : d);
        for (size_t i = 0; i < item->queries && !is_first; i++) {
            const float rescale = item->rows[g * item->queries + i].rescale;
            item->kernel->combine(out + i * args->ldo, d, rescale, item->partial + i * d);
        }
    }
}

static void divide_by_sum(const struct item *item)
{
    const struct inc_attention_args *args = item->args;
    const size_t d = args->head_dim;
    for (size_t r = 0; r < item->group * item->queries; r++) {
        const size_t head = item->kv_head * item->group + r / item->queries;
        float *out = args->out + (item->first + r % item->queries) * args->ldo + head * d;
        const float sum = item->rows[r].sum;
        if (sum == 0.0f) {
            memset(out, 0, d * sizeof *out);
        } else {
            item->kernel->combine(out, d, 1.0f / sum, NULL);
        }
    }
}

static void place_scratch(struct item *item, void *scratch)
{
    size_t part[6];
    unsigned char *at = scratch;
    scratch_parts(item->kernel, item->group, item->args->head_dim, part);
    item->packed = (float *)(void *)at, at += part[0];
    item->scores = (float *)(void *)at, at += part[1];
    item->partial = (float *)(void *)at, at += part[2];
    item->rows = (struct inc_attention_row *)(void *)at, at += part[3];
    item->visible = (struct span *)(void *)at, at += part[4];
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
    bool is_first = true;
    for (size_t at = low / keys * keys; at < high; at += keys, is_first = false) {
        item.low = inc_max_size(at, low);
        item.high = inc_min_size(at + keys, high);
        score_block(&item);
        for (size_t g = 0; g < item.group; g++) {
            for (size_t i = 0; i < item.queries; i++) softmax_row(&item, g, i);
        }
        value_block(&item, is_first);
    }
    divide_by_sum(&item);
}
