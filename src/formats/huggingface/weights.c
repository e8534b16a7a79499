/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/weights.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"

#define MAX_INDEX (64 << 20)
#define MAX_SHARDS 4096
#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

static enum incise_status fail_memory(const struct inc_hf_weights *weights)
{
    return inc_fail_memory(weights->ctx, weights->n_shards, "weights");
}

static enum incise_status open_shard(struct inc_hf_weights *weights, const char *folder, const char *name)
{
    struct inc_hf_shard *shard = &weights->shards[weights->n_shards];
    shard->label = inc_arena_printf(&weights->arena, "%s/%s", folder, name);
    if (shard->label == NULL) return fail_memory(weights);
    INC_TRY(inc_safetensors_open(weights->ctx, shard->label, SIZE_MAX, &shard->file));
    weights->n_shards++;
    shard->used = inc_arena_alloc(&weights->arena, shard->file.n_tensors + 1, sizeof *shard->used);
    return shard->used != NULL ? INCISE_OK : fail_memory(weights);
}

/* ---- sharded --------------------------------------------------------------------------------------------------- */

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
static enum incise_status check_shard(const struct inc_json *index, const json_t *map, const struct inc_hf_shard *shard,
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
    struct inc_hf_shard *shard;
    json_object_foreach(map, tensor, value)
    {
        if (inc_hf_weights_find(weights, tensor, &shard) == NULL)
            return inc_fail(index->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' is not in '%s'", index->label, tensor,
                            json_string_value(value));
    }
    return INCISE_OK;
}

static enum incise_status open_shards(struct inc_hf_weights *weights, const char *folder, const struct inc_json *index)
{
    size_t n = 0;
    json_t *map = json_object_get(index->root, "weight_map");
    if (!json_is_object(map))
        return inc_fail(index->ctx, INCISE_ERROR_DATA, "%s: 'weight_map' is missing", index->label);
    const char **names = inc_arena_alloc(&weights->arena, MAX_SHARDS, sizeof *names);
    if (names == NULL) return fail_memory(weights);
    INC_TRY(list_shards(index, map, names, &n));
    weights->shards = inc_arena_alloc(&weights->arena, n + 1, sizeof *weights->shards);
    if (weights->shards == NULL) return fail_memory(weights);
    for (size_t i = 0; i < n; i++) {
        INC_TRY(open_shard(weights, folder, names[i]));
        INC_TRY(check_shard(index, map, &weights->shards[i], names[i]));
    }
    return check_present(weights, index, map);
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

enum incise_status inc_hf_weights_open(const struct inc_ctx *ctx, const char *folder, struct inc_hf_weights *weights)
{
    uint64_t size;
    struct inc_json index;
    *weights = (struct inc_hf_weights){.ctx = ctx};
    inc_arena_init(&weights->arena, ctx);
    const char *single = inc_arena_printf(&weights->arena, "%s/" SINGLE, folder);
    const char *path = inc_arena_printf(&weights->arena, "%s/" INDEX, folder);
    if (single == NULL || path == NULL) return fail_memory(weights);
    bool sharded = !inc_file_size(single, &size) && inc_file_size(path, &size);
    weights->label = sharded ? path : single;
    if (!sharded) {
        weights->shards = inc_arena_alloc(&weights->arena, 1, sizeof *weights->shards);
        return weights->shards != NULL ? open_shard(weights, folder, SINGLE) : fail_memory(weights);
    }
    INC_TRY(inc_json_read(ctx, path, MAX_INDEX, &index));
    enum incise_status status = open_shards(weights, folder, &index);
    inc_json_release(&index);
    return status;
}

const struct inc_safetensor *inc_hf_weights_find(const struct inc_hf_weights *weights, const char *name,
                                                 struct inc_hf_shard **shard)
{
    for (size_t i = 0; i < weights->n_shards; i++) {
        const struct inc_safetensor *found = inc_safetensors_find(&weights->shards[i].file, name);
        if (found == NULL) continue;
        *shard = &weights->shards[i];
        return found;
    }
    return NULL;
}

void inc_hf_weights_release(struct inc_hf_weights *weights)
{
    for (size_t i = 0; i < weights->n_shards; i++) inc_safetensors_release(&weights->shards[i].file);
    inc_arena_fini(&weights->arena);
}
