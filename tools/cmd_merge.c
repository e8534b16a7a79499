/* SPDX-License-Identifier: Apache-2.0 */
/* Joins what `embed --shard` wrote: the bytes of one run over all texts; and what `statistics --shard` wrote. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "incise/array.h"
#include "incise/compress.h"
#include "part.h"

struct merge_options {
    const char *out;
    bool force;
};

#define OPTION(...) TOOL_OPTION(merge_options, __VA_ARGS__)
static const struct tool_option options_table[] = {
    OPTION("output", 'o', TOOL_TEXT, out, "FILE", "file to write (default, and -: stdout)"),
    OPTION("force", 'f', TOOL_FLAG, force, NULL, "replace FILE if it exists"),
};

struct source {
    const char *path;
    struct manifest manifest;
    FILE *file;
    struct digest digest; /* of the vectors read */
    char *record;
    size_t capacity;
};

struct merge_job {
    struct incise_engine *engine;
    struct source *given;    /* in the order of the arguments */
    struct source **sources; /* by shard */
    size_t n;
    size_t lines, width;
    bool npy, jsonl;
    struct sink sink;
};

/* ---- checks ---------------------------------------------------------------------------------------------------- */

static enum incise_status load(struct source *source, const char *path)
{
    char *name = path_with(path, ".manifest.json");
    source->path = path;
    if (name == NULL) return INCISE_ERROR_MEMORY;
    enum incise_status status = manifest_load(name, &source->manifest);
    if (status == INCISE_ERROR_NO_INPUT)
        status = tool_fail(status, "%s: %s; is %s a finished output of embed --shard?", name, strerror(errno), path);
    else if (status == INCISE_OK && !source->manifest.complete)
        status = tool_fail(INCISE_ERROR_DATA, "%s: the shard is not complete", name);
    free(name);
    return status;
}

/* Every part is of the same texts and options as the first, and each shard is there once. */
static enum incise_status find_shards(struct merge_job *job)
{
    const struct manifest *first = &job->given[0].manifest;
    size_t shards = first->shards;
    job->sources = tool_alloc(shards, sizeof(struct source *));
    if (job->sources == NULL) return INCISE_ERROR_MEMORY;
    for (size_t i = 0; i < job->n; i++) {
        const struct manifest *m = &job->given[i].manifest;
        const char *path = job->given[i].path;
        char why[256];
        if (!manifest_agrees(m, first, why, sizeof why))
            return tool_fail(INCISE_ERROR_DATA, "%s and %s do not belong together: %s", path, job->given[0].path, why);
        if (m->lines != first->lines || strcmp(m->input, first->input) != 0)
            return tool_fail(INCISE_ERROR_DATA, "%s and %s were made from different texts", path, job->given[0].path);
        if (job->sources[m->shard] != NULL)
            return tool_fail(INCISE_ERROR_DATA, "%s and %s are both shard %zu/%zu", job->sources[m->shard]->path, path,
                             m->shard, shards);
        job->sources[m->shard] = &job->given[i];
    }
    for (size_t i = 0; i < shards; i++)
        if (job->sources[i] == NULL) return tool_fail(INCISE_ERROR_DATA, "shard %zu/%zu is missing", i, shards);
    return INCISE_OK;
}

static enum incise_status fail_damaged(const struct source *source)
{
    return tool_fail(INCISE_ERROR_DATA, "%s: is damaged: it is not what its manifest says", source->path);
}

static enum incise_status make_header(const struct merge_job *job, size_t records, char header[INCISE_ARRAY_HEADER])
{
    size_t length;
    int64_t dims[] = {(int64_t)records, (int64_t)job->width};
    enum incise_status status = incise_array_header(job->engine, INCISE_F32, 2, dims, header, &length);
    if (status == INCISE_OK && length != PART_HEADER)
        status = tool_fail(INCISE_ERROR_FAILED, "an .npy header of %zu bytes", length);
    return status;
}

/* Opens a part and passes over its header. */
static enum incise_status open_source(const struct merge_job *job, struct source *source)
{
    const struct manifest *m = &source->manifest;
    char wanted[INCISE_ARRAY_HEADER], header[PART_HEADER];
    size_t records = (job->lines + m->shards - 1 - m->shard) / m->shards; /* every shards-th line from `shard` on */
    if (m->records != records || (!job->jsonl && m->bytes != (uint64_t)records * job->width * sizeof(float)))
        return fail_damaged(source);
    enum incise_status status = digest_init(&source->digest);
    if (status != INCISE_OK) return status;
    source->file = fopen(source->path, "rb");
    if (source->file == NULL) return fail_file(source->path, errno, INCISE_ERROR_NO_INPUT);
    if (!job->npy) return INCISE_OK;
    status = make_header(job, records, wanted);
    if (status == INCISE_OK &&
        (fread(header, 1, PART_HEADER, source->file) != PART_HEADER || memcmp(header, wanted, PART_HEADER) != 0))
        status = fail_damaged(source);
    return status;
}

static enum incise_status check(struct merge_job *job)
{
    enum incise_status status = find_shards(job);
    if (status != INCISE_OK) return status;
    const struct manifest *m = &job->given[0].manifest;
    job->lines = m->lines;
    job->width = strtoul(manifest_get(m, "width"), NULL, 10);
    job->npy = strcmp(manifest_get(m, "form"), "npy") == 0;
    job->jsonl = strcmp(manifest_get(m, "form"), "jsonl") == 0;
    if (job->width == 0 || job->width > SIZE_MAX / sizeof(float) / 2)
        return tool_fail(INCISE_ERROR_DATA, "%s: its manifest has no width", job->given[0].path);
    for (size_t i = 0; i < job->n && status == INCISE_OK; i++) status = open_source(job, &job->given[i]);
    return status;
}

/* ---- joining --------------------------------------------------------------------------------------------------- */

/* The next vector of a part, as it lies in its file. */
static ssize_t read_record(const struct merge_job *job, struct source *source)
{
    size_t bytes = job->width * sizeof(float);
    if (job->jsonl) return getline(&source->record, &source->capacity, source->file);
    if (source->record == NULL) source->record = malloc(bytes);
    return source->record != NULL && fread(source->record, 1, bytes, source->file) == bytes ? (ssize_t)bytes : -1;
}

static enum incise_status copy_all(struct merge_job *job)
{
    enum incise_status status = INCISE_OK;
    char header[INCISE_ARRAY_HEADER];
    if (job->npy) status = make_header(job, job->lines, header);
    if (job->npy && status == INCISE_OK) status = sink_write(&job->sink, header, PART_HEADER);
    for (size_t i = 0; i < job->lines && status == INCISE_OK; i++) {
        struct source *source = job->sources[i % job->n];
        ssize_t n = read_record(job, source);
        if (n < 0) return fail_damaged(source);
        digest_add(&source->digest, source->record, (size_t)n);
        status = sink_write(&job->sink, source->record, (size_t)n);
    }
    for (size_t i = 0; i < job->n && status == INCISE_OK; i++) {
        char hex[DIGEST_HEX];
        digest_get(&job->sources[i]->digest, hex);
        if (strcmp(hex, job->sources[i]->manifest.output) != 0 || getc(job->sources[i]->file) != EOF)
            return fail_damaged(job->sources[i]);
    }
    return status;
}

static void release(struct merge_job *job)
{
    for (size_t i = 0; job->given != NULL && i < job->n; i++) {
        struct source *source = &job->given[i];
        manifest_release(&source->manifest);
        digest_fini(&source->digest);
        if (source->file != NULL) fclose(source->file);
        free(source->record);
    }
    free(job->given);
    free(job->sources);
    incise_engine_destroy(job->engine);
}

static enum incise_status join_statistics(const struct tool_global *global, const struct merge_options *options,
                                          char **parts, size_t n)
{
    struct incise_engine *engine = NULL;
    if (options->out == NULL || strcmp(options->out, "-") == 0)
        return tool_fail(INCISE_ERROR_USAGE, "-o FILE is missing: statistics are not written to stdout");
    enum incise_status status = tool_engine(global, &engine);
    if (status == INCISE_OK)
        status = incise_statistics_join(engine, (const char *const *)parts, n, options->out, options->force);
    incise_engine_destroy(engine);
    return status;
}

static enum incise_status run(const struct tool_global *global, void *block, char **arguments, size_t n)
{
    const struct merge_options *options = block;
    if (incise_is_statistics(arguments[0])) return join_statistics(global, options, arguments, n);
    struct merge_job job = {.given = tool_alloc(n, sizeof *job.given), .n = n};
    enum incise_status status = job.given == NULL ? INCISE_ERROR_MEMORY : tool_engine(global, &job.engine);
    for (size_t i = 0; i < n && status == INCISE_OK; i++) status = load(&job.given[i], arguments[i]);
    if (status == INCISE_OK) status = check(&job);
    if (status == INCISE_OK) status = sink_open(&job.sink, options->out, options->force);
    if (status == INCISE_OK) {
        if (job.sink.path != NULL) status = sink_keep(&job.sink, 0);
        if (status == INCISE_OK) status = copy_all(&job);
        status = sink_close(&job.sink, status, false);
    }
    release(&job);
    return status;
}

const struct tool_command tool_merge = {
    .name = "merge",
    .arguments = "PART...",
    .summary = "joins what embed --shard or statistics --shard wrote into the file of one run",
    TOOL_TABLE(options_table, merge_options),
    .min_arguments = 1,
    .max_arguments = SIZE_MAX,
    .run = run,
};
