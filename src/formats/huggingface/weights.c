/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "formats/safetensors/safetensors.h"

#define MAX_INDEX (64 << 20)
#define MAX_SHARDS 4096
#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

/* ---- any source ------------------------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct inc_hf_tensor *)a)->name, ((const struct inc_hf_tensor *)b)->name);
}

void inc_hf_weights_sort(struct inc_hf_weights *weights)
{
    if (weights->n_tensors > 0)
        qsort(weights->tensors, weights->n_tensors, sizeof *weights->tensors, compare_names);
}

const char *inc_hf_weights_name(const struct inc_hf_weights *weights, const char *name, char *buffer)
{
    return weights->source->name == NULL ? name : weights->source->name(weights, name, buffer);
}

struct inc_hf_tensor *inc_hf_weights_find(const struct inc_hf_weights *weights, const char *name)
{
    char buffer[INC_HF_MAX_NAME];
    struct inc_hf_tensor wanted = {.name = inc_hf_weights_name(weights, name, buffer)};
    if (weights->n_tensors == 0) return NULL;
    return bsearch(&wanted, weights->tensors, weights->n_tensors, sizeof wanted, compare_names);
}

void inc_hf_weights_release(struct inc_hf_weights *weights)
{
    if (weights->source != NULL && weights->source->release != NULL) weights->source->release(weights);
    inc_arena_fini(&weights->arena);
}

/* ---- safetensors ------------------------------------------------------------------------------------------------- */

struct shard {
    const char *label; /* its path, for messages */
    struct inc_safetensors file;
    struct inc_blob *blob; /* the file's memory once a constant points into it */
};

struct shards {
    struct shard *items;
    size_t n;
};

static enum incise_status fail_memory(const struct inc_hf_weights *weights, size_t bytes)
{
    return inc_fail_memory(weights->ctx, bytes, "weights");
}

static enum incise_status open_shard(struct inc_hf_weights *weights, const char *folder, const char *name)
{
    struct shards *shards = weights->files;
    struct shard *shard = &shards->items[shards->n];
    shard->label = inc_arena_printf(&weights->arena, "%s/%s", folder, name);
    if (shard->label == NULL) return fail_memory(weights, strlen(folder));
    INC_TRY(inc_safetensors_open(weights->ctx, shard->label, SIZE_MAX, &shard->file));
    shards->n++;
    return INCISE_OK;
}

static const struct inc_safetensor *stored(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor)
{
    const struct shards *shards = weights->files;
    return &shards->items[tensor->part].file.tensors[tensor->index];
}

static enum incise_status read_stored(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor,
                                      size_t first, size_t n, float *out)
{
    inc_tensor_to_f32(&stored(weights, tensor)->tensor, first, n, out);
    return INCISE_OK;
}

/* The graph takes over the shard's memory at the first use. */
static enum incise_status share_stored(const struct inc_hf_weights *weights, const struct inc_hf_tensor *tensor,
                                       struct inc_graph *graph, struct inc_tensor *data, struct inc_blob **blob)
{
    struct shards *shards = weights->files;
    struct shard *shard = &shards->items[tensor->part];
    *data = stored(weights, tensor)->tensor;
    if (data->type != INC_F32) return INCISE_OK;
    if (shard->blob == NULL) {
        INC_TRY(inc_graph_add_blob(graph, shard->file.memory, shard->file.bytes, &shard->blob));
        (void)inc_safetensors_detach(&shard->file);
    }
    *blob = shard->blob;
    return INCISE_OK;
}

static void release_shards(struct inc_hf_weights *weights)
{
    struct shards *shards = weights->files;
    for (size_t i = 0; i < shards->n; i++) inc_safetensors_release(&shards->items[i].file);
}

static const struct inc_hf_source safetensors_source = {.read = read_stored, .share = share_stored,
                                                        .release = release_shards};

static void list_tensor(const struct shard *shard, size_t part, size_t index, struct inc_hf_tensor *tensor)
{
    const struct inc_safetensor *found = &shard->file.tensors[index];
    enum inc_type type = found->tensor.type;
    *tensor = (struct inc_hf_tensor){.name = found->name, .file = shard->label, .type = inc_type_name(type),
                                     .rank = found->tensor.rank, .part = part, .index = index};
    tensor->readable = type == INC_F32 || type == INC_F16 || type == INC_BF16;
    memcpy(tensor->dims, found->tensor.dims, sizeof tensor->dims);
}

static enum incise_status list_tensors(struct inc_hf_weights *weights)
{
    const struct shards *shards = weights->files;
    size_t n = 0;
    for (size_t s = 0; s < shards->n; s++) n += shards->items[s].file.n_tensors;
    weights->tensors = inc_arena_alloc(&weights->arena, n + 1, sizeof *weights->tensors);
    if (weights->tensors == NULL) return fail_memory(weights, n * sizeof *weights->tensors);
    for (size_t s = 0; s < shards->n; s++)
        for (size_t i = 0; i < shards->items[s].file.n_tensors; i++)
            list_tensor(&shards->items[s], s, i, &weights->tensors[weights->n_tensors++]);
    inc_hf_weights_sort(weights);
    return INCISE_OK;
}

/* ---- sharded ----------------------------------------------------------------------------------------------------- */

static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strlen(name) < 256 && strpbrk(name, "/\\") == NULL;
}

/* The distinct shards of `map`, in order of first mention, in names[MAX_SHARDS]. */
static enum incise_status list_shards(const struct inc_json *index, json_t *map, const char **names, size_t *n)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value)
    {
        const char *name = json_string_value(value);
        if (name == NULL || !is_plain_name(name))
            return inc_fail(index->ctx, INCISE_ERROR_DATA, "%s: the shard of '%s' is no plain file name", index->label,
                            tensor);
        size_t i = *n; /* neighbours share shards */
        while (i > 0 && strcmp(names[i - 1], name) != 0) i--;
        if (i > 0) continue;
        if (*n == MAX_SHARDS)
            return inc_fail(index->ctx, INCISE_ERROR_DATA, "%s: more than %d shards", index->label, MAX_SHARDS);
        names[(*n)++] = name;
    }
    return INCISE_OK;
}

/* Every tensor of the shard is assigned to it by the index. */
static enum incise_status check_shard(const struct inc_json *index, const json_t *map, const struct shard *shard,
                                      const char *name)
{
    for (size_t i = 0; i < shard->file.n_tensors; i++) {
        const char *tensor = shard->file.tensors[i].name;
        const char *home = json_string_value(json_object_get(map, tensor));
        if (home == NULL || strcmp(home, name) != 0)
            return inc_fail(index->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' is in '%s', but the index puts it %s%s",
                            index->label, tensor, name, home == NULL ? "nowhere" : "into ", home == NULL ? "" : home);
    }
    return INCISE_OK;
}

static enum incise_status check_present(const struct inc_hf_weights *weights, const struct inc_json *index, json_t *map)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value)
    {
        if (inc_hf_weights_find(weights, tensor) == NULL)
            return inc_fail(index->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' is not in '%s'", index->label, tensor,
                            json_string_value(value));
    }
    return INCISE_OK;
}

static enum incise_status make_shards(struct inc_hf_weights *weights, size_t n)
{
    struct shards *shards = weights->files;
    shards->items = inc_arena_alloc(&weights->arena, n + 1, sizeof *shards->items);
    return shards->items != NULL ? INCISE_OK : fail_memory(weights, n * sizeof *shards->items);
}

static enum incise_status open_shards(struct inc_hf_weights *weights, const char *folder, const struct inc_json *index)
{
    struct shards *shards = weights->files;
    size_t n = 0;
    json_t *map = json_object_get(index->root, "weight_map");
    if (!json_is_object(map))
        return inc_fail(index->ctx, INCISE_ERROR_DATA, "%s: 'weight_map' is missing", index->label);
    const char **names = inc_arena_alloc(&weights->arena, MAX_SHARDS, sizeof *names);
    if (names == NULL) return fail_memory(weights, MAX_SHARDS * sizeof *names);
    INC_TRY(list_shards(index, map, names, &n));
    INC_TRY(make_shards(weights, n));
    for (size_t i = 0; i < n; i++) {
        INC_TRY(open_shard(weights, folder, names[i]));
        INC_TRY(check_shard(index, map, &shards->items[i], names[i]));
    }
    INC_TRY(list_tensors(weights));
    return check_present(weights, index, map);
}

static enum incise_status open_single(struct inc_hf_weights *weights, const char *folder)
{
    INC_TRY(make_shards(weights, 1));
    INC_TRY(open_shard(weights, folder, SINGLE));
    return list_tensors(weights);
}

enum incise_status inc_hf_weights_open(const struct inc_ctx *ctx, const char *folder, struct inc_hf_weights *weights)
{
    uint64_t size;
    struct inc_json index;
    *weights = (struct inc_hf_weights){.ctx = ctx};
    inc_arena_init(&weights->arena, ctx);
    const char *single = inc_arena_printf(&weights->arena, "%s/" SINGLE, folder);
    const char *path = inc_arena_printf(&weights->arena, "%s/" INDEX, folder);
    weights->files = inc_arena_alloc(&weights->arena, 1, sizeof(struct shards));
    if (single == NULL || path == NULL || weights->files == NULL) return fail_memory(weights, strlen(folder));
    weights->source = &safetensors_source;
    bool sharded = !inc_file_size(single, &size) && inc_file_size(path, &size);
    weights->label = sharded ? path : single;
    if (!sharded) return open_single(weights, folder);
    INC_TRY(inc_json_read(ctx, path, MAX_INDEX, &index));
    enum incise_status status = open_shards(weights, folder, &index);
    inc_json_release(&index);
    return status;
}
