/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink.h"

#define KIND      "incise vectors 1"
#define TEMPORARY ".new" /* behind the name, while it is written */

void manifest_release(struct manifest *manifest)
{
    json_decref(manifest->vectors);
    manifest->vectors = NULL;
}

void manifest_property(void *user, const char *key, const char *value)
{
    struct manifest *manifest = user;
    if (json_object_set_new(manifest->vectors, key, json_string(value)) != 0) manifest_release(manifest);
}

const char *manifest_get(const struct manifest *manifest, const char *key)
{
    const char *text = json_string_value(json_object_get(manifest->vectors, key));
    return text != NULL ? text : "";
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* The members of a manifest that are numbers, in the order of `numbers_of`. */
static const char *const number_keys[][2] = {{"shard", "index"},    {"shard", "of"},     {"input", "lines"},
                                             {"output", "vectors"}, {"output", "bytes"}, {"cut", "texts"},
                                             {"cut", "first"},      {"cut", "longest"},  {"cut", "longest_tokens"}};
enum { NUMBERS = sizeof number_keys / sizeof number_keys[0] };

static bool read_digest(const json_t *section, char digest[DIGEST_HEX])
{
    const char *text = json_string_value(json_object_get(section, "xxh3_128"));
    if (text == NULL || strlen(text) != DIGEST_HEX - 1) return false;
    memcpy(digest, text, DIGEST_HEX);
    return true;
}

static bool parse(json_t *root, struct manifest *manifest)
{
    size_t numbers[NUMBERS];
    const char *kind = json_string_value(json_object_get(root, "kind"));
    json_t *vectors = json_object_get(root, "vectors"), *value;
    const char *key;
    if (kind == NULL || strcmp(kind, KIND) != 0 || !json_is_object(vectors)) return false;
    json_object_foreach(vectors, key, value) if (!json_is_string(value)) return false;
    for (size_t i = 0; i < NUMBERS; i++) {
        value = json_object_get(json_object_get(root, number_keys[i][0]), number_keys[i][1]);
        if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
        numbers[i] = (size_t)json_integer_value(value);
    }
    *manifest = (struct manifest){.complete = json_is_true(json_object_get(root, "complete")),
                                  .shard = numbers[0],
                                  .shards = numbers[1],
                                  .lines = numbers[2],
                                  .records = numbers[3],
                                  .bytes = numbers[4],
                                  .cut = numbers[5],
                                  .first_cut = numbers[6],
                                  .longest_cut = numbers[7],
                                  .longest_cut_tokens = numbers[8]};
    if (manifest->shard >= manifest->shards || manifest->shards > TOOL_SHARDS ||
        !read_digest(json_object_get(root, "input"), manifest->input) ||
        !read_digest(json_object_get(root, "output"), manifest->output))
        return false;
    manifest->vectors = json_incref(vectors);
    return true;
}

enum incise_status manifest_load(const char *path, struct manifest *manifest)
{
    json_error_t error;
    *manifest = (struct manifest){0};
    FILE *file = fopen(path, "rb");
    if (file == NULL && errno == ENOENT) return INCISE_ERROR_NO_INPUT;
    if (file == NULL) return fail_file(path, errno, INCISE_ERROR_IO);
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    fclose(file);
    bool fine = parse(root, manifest);
    json_decref(root);
    return fine ? INCISE_OK : tool_fail(INCISE_ERROR_DATA, "%s: is no manifest of vectors", path);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static json_t *pack(const struct manifest *m)
{
    return json_pack("{s:s, s:b, s:O, s:{s:I, s:I}, s:{s:I, s:s}, s:{s:I, s:I, s:s}, s:{s:I, s:I, s:I, s:I}}", "kind",
                     KIND, "complete", m->complete, "vectors", m->vectors, "shard", "index", (json_int_t)m->shard, "of",
                     (json_int_t)m->shards, "input", "lines", (json_int_t)m->lines, "xxh3_128", m->input, "output",
                     "vectors", (json_int_t)m->records, "bytes", (json_int_t)m->bytes, "xxh3_128", m->output, "cut",
                     "texts", (json_int_t)m->cut, "first", (json_int_t)m->first_cut, "longest",
                     (json_int_t)m->longest_cut, "longest_tokens", (json_int_t)m->longest_cut_tokens);
}

static enum incise_status write_json(const char *path, const json_t *root)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) return fail_file(path, errno, INCISE_ERROR_CREATE);
    bool failed = json_dumpf(root, file, JSON_INDENT(2)) != 0 || fputc('\n', file) == EOF || fflush(file) != 0 ||
                  fsync(fileno(file)) != 0;
    int error = errno;
    if (fclose(file) != 0 && !failed) {
        failed = true;
        error = errno;
    }
    return failed ? fail_file(path, error, INCISE_ERROR_IO) : INCISE_OK;
}

enum incise_status manifest_save(const char *path, const struct manifest *manifest)
{
    char *temporary = path_with(path, TEMPORARY);
    json_t *root = pack(manifest);
    enum incise_status status = temporary == NULL || root == NULL ? tool_fail(INCISE_ERROR_MEMORY, "out of memory")
                                                                  : write_json(temporary, root);
    if (status == INCISE_OK && rename(temporary, path) != 0) status = fail_file(path, errno, INCISE_ERROR_CREATE);
    if (status != INCISE_OK && temporary != NULL) (void)unlink(temporary);
    json_decref(root);
    free(temporary);
    return status;
}

void manifest_remove(const char *path)
{
    char *temporary = path_with(path, TEMPORARY);
    if (temporary != NULL) (void)unlink(temporary);
    (void)unlink(path);
    free(temporary);
}

/* ---- comparing ------------------------------------------------------------------------------------------------- */

bool manifest_agrees(const struct manifest *a, const struct manifest *b, char *why, size_t size)
{
    const json_t *both[] = {a->vectors, b->vectors};
    const char *key;
    json_t *value;
    if (a->shards != b->shards) {
        snprintf(why, size, "another number of shards (%zu, not %zu)", a->shards, b->shards);
        return false;
    }
    for (int i = 0; i < 2; i++) json_object_foreach((json_t *)both[i], key, value)
        {
            if (strcmp(manifest_get(a, key), manifest_get(b, key)) == 0) continue;
            snprintf(why, size, "another %s ('%.64s', not '%.64s')", key, manifest_get(a, key), manifest_get(b, key));
            return false;
        }
    return true;
}
