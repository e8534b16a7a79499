/* SPDX-License-Identifier: Apache-2.0 */
/* How a file of vectors was made and how far it is: FILE.manifest.json beside a finished shard, FILE.partial.json
 * beside a file that is being written. */
#ifndef TOOLS_MANIFEST_H
#define TOOLS_MANIFEST_H

#include <jansson.h>

#include "digest.h"
#include "tool.h"

struct manifest {
    json_t *vectors; /* object of strings: what decides the bytes, see incise_embedder_describe */
    size_t shard, shards;
    bool complete;
    size_t lines;           /* of the input, read so far */
    char input[DIGEST_HEX]; /* of those lines */
    size_t records;         /* vectors written */
    uint64_t bytes;         /* of them, an .npy header not counted */
    char output[DIGEST_HEX];
    size_t cut, first_cut;                  /* texts that were cut, and the line of the first of them */
    size_t longest_cut, longest_cut_tokens; /* the line of the longest of them, and its tokens before cutting */
};

void manifest_release(struct manifest *manifest);
/* Adds a string to manifest->vectors; has the form of incise_property_fn. What fails leaves `vectors` NULL. */
void manifest_property(void *manifest, const char *key, const char *value);
/* The value of a property, "" if there is none. */
const char *manifest_get(const struct manifest *manifest, const char *key);

/* INCISE_ERROR_NO_INPUT (not reported) without the file, INCISE_ERROR_DATA for one that is no manifest. */
enum incise_status manifest_load(const char *path, struct manifest *manifest);
/* Replaces `path` in one step; durable. */
enum incise_status manifest_save(const char *path, const struct manifest *manifest);

/* With what a process that died while it saved may have left; best effort. */
void manifest_remove(const char *path);

/* Do both say the same of shards and of what decides the vectors? If not, what differs is in `why`: "another prompt
 * ('a', not 'b')". The shard's own number does not count. */
bool manifest_agrees(const struct manifest *a, const struct manifest *b, char *why, size_t size);

#endif
