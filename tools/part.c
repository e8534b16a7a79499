/* SPDX-License-Identifier: Apache-2.0 */
#include "part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Is there a file whose bytes behind the header begin with those that `manifest` speaks of? Adds them to `digest`. */
static bool holds(const char *path, size_t header, const struct manifest *manifest, struct digest *digest)
{
    char block[1 << 16], hex[DIGEST_HEX];
    FILE *file = fopen(path, "rb");
    uint64_t left = manifest->bytes;
    if (file == NULL) return false;
    bool fine = fseeko(file, (off_t)header, SEEK_SET) == 0;
    while (fine && left > 0) {
        size_t wanted = left < sizeof block ? (size_t)left : sizeof block;
        fine = fread(block, 1, wanted, file) == wanted;
        if (fine) digest_add(digest, block, wanted);
        left -= wanted;
    }
    fclose(file);
    digest_get(digest, hex);
    return fine && strcmp(hex, manifest->output) == 0;
}

/* Takes over where `found` is. */
static void go_on(struct part *part, const struct manifest *found)
{
    json_t *vectors = part->manifest.vectors;
    size_t shard = part->manifest.shard;
    part->manifest = *found;
    part->manifest.vectors = vectors;
    part->manifest.shard = shard;
}

static void begin_anew(struct part *part)
{
    struct manifest *m = &part->manifest;
    *m = (struct manifest){.vectors = m->vectors, .shard = m->shard, .shards = m->shards};
    part->begun = false;
    digest_reset(&part->digest);
}

static bool belongs(const struct part *part, const struct manifest *found, char *why, size_t size)
{
    if (!manifest_agrees(found, &part->manifest, why, size)) return false;
    if (found->shard == part->manifest.shard) return true;
    snprintf(why, size, "another shard (%zu, not %zu)", found->shard, part->manifest.shard);
    return false;
}

/* A complete shard of the same kind is not made again. Its process may have died between the names of the two files. */
static enum incise_status find_finished(struct part *part)
{
    const char *const names[] = {part->final, part->journal};
    for (int i = 0; i < 2 && !part->finished; i++) {
        struct manifest found;
        char why[256];
        enum incise_status status = manifest_load(names[i], &found);
        if (status == INCISE_ERROR_NO_INPUT) continue;
        if (status != INCISE_OK) return status;
        part->finished = found.complete && belongs(part, &found, why, sizeof why) &&
                         holds(part->path, part->header, &found, &part->digest);
        if (part->finished) go_on(part, &found);
        manifest_release(&found);
        if (!part->finished) digest_reset(&part->digest);
    }
    return INCISE_OK;
}

/* Finds what an interrupted run left; part->begun if this one goes on there. */
static enum incise_status find_journal(struct part *part)
{
    struct manifest found;
    char why[256];
    enum incise_status status = manifest_load(part->journal, &found);
    if (status == INCISE_ERROR_NO_INPUT) return INCISE_OK;
    if (status != INCISE_OK) return part->force && status == INCISE_ERROR_DATA ? INCISE_OK : status;
    bool same = belongs(part, &found, why, sizeof why);
    if (same && holds(part->sink.temporary, part->header, &found, &part->digest)) {
        go_on(part, &found);
        part->begun = true;
    } else if (same) {
        fprintf(stderr, "incise: warning: %s is not what %s says; it is begun anew\n", part->sink.temporary,
                part->journal);
    } else if (!part->force) {
        status = tool_fail(INCISE_ERROR_CREATE, "%s was begun with %s; remove it and %s, or use --force",
                           part->sink.temporary, why, part->journal);
    }
    manifest_release(&found);
    return status;
}

static enum incise_status place(struct part *part)
{
    static const char zeros[PART_HEADER];
    if (part->begun) return sink_keep(&part->sink, part->header + part->manifest.bytes);
    begin_anew(part);
    if (part->path != NULL) manifest_remove(part->journal); /* of what goes now */
    enum incise_status status = part->path != NULL ? sink_keep(&part->sink, 0) : INCISE_OK;
    return status == INCISE_OK ? sink_write(&part->sink, zeros, part->header) : status;
}

enum incise_status part_restart(struct part *part)
{
    part->begun = false;
    return place(part);
}

static enum incise_status open_file(struct part *part)
{
    part->journal = path_with(part->path, ".partial.json");
    part->final = path_with(part->path, ".manifest.json");
    if (part->journal == NULL || part->final == NULL) return INCISE_ERROR_MEMORY;
    enum incise_status status = INCISE_OK;
    if (part->manifest.shards > 1 && !part->force) status = find_finished(part);
    if (status != INCISE_OK || part->finished) return status;
    status = sink_open(&part->sink, part->path, part->force);
    if (status != INCISE_OK) return status;
    part->open = true;
    return find_journal(part);
}

static void release(struct part *part)
{
    manifest_release(&part->manifest);
    digest_fini(&part->digest);
    free(part->journal);
    free(part->final);
}

enum incise_status part_open(struct part *part, const char *path, bool force, size_t header, struct manifest *identity)
{
    bool to_stdout = path == NULL || strcmp(path, "-") == 0;
    *part = (struct part){.path = to_stdout ? NULL : path, .force = force, .header = header, .manifest = *identity};
    identity->vectors = NULL;
    enum incise_status status = digest_init(&part->digest);
    if (status == INCISE_OK && to_stdout) {
        status = sink_open(&part->sink, NULL, force);
        part->open = status == INCISE_OK;
    } else if (status == INCISE_OK) {
        status = open_file(part);
    }
    if (status == INCISE_OK && header > 0 && part->open && part->sink.start < 0)
        status = tool_fail(INCISE_ERROR_USAGE, "an .npy file begins with the number of its vectors: give -o FILE, or "
                                               "--as raw or jsonl for a pipe");
    if (status == INCISE_OK && part->open) status = place(part);
    if (status == INCISE_OK) return status;
    if (part->open) status = sink_close(&part->sink, status, true);
    release(part);
    return status;
}

enum incise_status part_write(struct part *part, const void *bytes, size_t n)
{
    digest_add(&part->digest, bytes, n);
    part->manifest.bytes += n;
    return sink_write(&part->sink, bytes, n);
}

static void note(struct part *part, size_t lines, const struct digest *input)
{
    part->manifest.lines = lines;
    digest_get(input, part->manifest.input);
    digest_get(&part->digest, part->manifest.output);
}

enum incise_status part_checkpoint(struct part *part, size_t lines, const struct digest *input)
{
    if (part->path == NULL) return INCISE_OK;
    enum incise_status status = sink_sync(&part->sink);
    note(part, lines, input);
    if (status == INCISE_OK) status = manifest_save(part->journal, &part->manifest);
    part->begun = part->begun || status == INCISE_OK;
    return status;
}

static enum incise_status name_manifest(struct part *part)
{
    if (part->manifest.shards > 1 && rename(part->journal, part->final) != 0 &&
        !(part->finished && errno == ENOENT)) /* named before */
        return fail_file(part->final, errno, INCISE_ERROR_CREATE);
    manifest_remove(part->journal);
    return sync_folder_of(part->path);
}

enum incise_status part_close(struct part *part, enum incise_status status, const char *header, size_t lines,
                              const struct digest *input)
{
    if (status == INCISE_OK && part->open && part->header > 0) status = sink_patch(&part->sink, header, part->header);
    if (status == INCISE_OK && part->open && part->manifest.shards > 1) {
        part->manifest.complete = true;
        status = part_checkpoint(part, lines, input);
    }
    if (part->open) status = sink_close(&part->sink, status, part->begun);
    if (status == INCISE_OK && part->path != NULL) status = name_manifest(part);
    release(part);
    return status;
}
