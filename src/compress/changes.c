/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/changes.h"

enum incise_status inc_changes_create(const struct inc_ctx *ctx, struct incise_changes **out)
{
    struct incise_changes *changes = inc_alloc_zero(ctx, 1, sizeof *changes);
    if (changes == NULL) return inc_fail_memory(ctx, sizeof *changes, "the list of changes");
    changes->ctx = ctx;
    inc_arena_init(&changes->arena, ctx);
    *out = changes;
    return INCISE_OK;
}

enum incise_status inc_changes_add(struct incise_changes *changes, const char *name, const char *weight,
                                   struct incise_change **change)
{
    INC_TRY(inc_grow(changes->ctx, (void **)&changes->rows, &changes->capacity, changes->n, sizeof *changes->rows));
    struct incise_change row = {.name = inc_arena_strdup(&changes->arena, name),
                                .weight = inc_arena_strdup(&changes->arena, weight)};
    if (row.name == NULL || row.weight == NULL) return inc_fail_memory(changes->ctx, 0, "the list of changes");
    changes->rows[changes->n] = row;
    *change = &changes->rows[changes->n++];
    return INCISE_OK;
}

size_t incise_changes_count(const struct incise_changes *changes)
{
    return changes->n;
}

void incise_changes_get(const struct incise_changes *changes, size_t index, struct incise_change *change)
{
    *change = changes->rows[index];
}

void incise_changes_destroy(struct incise_changes *changes)
{
    if (changes == NULL) return;
    inc_free(changes->ctx, changes->rows);
    inc_arena_fini(&changes->arena);
    inc_free(changes->ctx, changes);
}
