/* SPDX-License-Identifier: Apache-2.0 */
/* One output file that appears complete or not at all, or stdout. While it is written it is called FILE.partial; a lock
 * keeps a second process away from it, and the death of the process opens the lock. */
#ifndef TOOLS_SINK_H
#define TOOLS_SINK_H

#include "tool.h"

struct sink {
    FILE *file;
    const char *path; /* NULL: stdout */
    char *temporary;
    bool force;
    int64_t start; /* offset of the output in its file; -1: a pipe, nothing can be patched */
};

/* `path` NULL or "-" is stdout. INCISE_ERROR_CREATE when it exists and not `force`, or when another process writes it.
 * What an earlier process left in FILE.partial is still there: call sink_keep. */
enum incise_status sink_open(struct sink *sink, const char *path, bool force);
/* Goes on behind the first `bytes` bytes of FILE.partial; what lies after them goes. Not for stdout. */
enum incise_status sink_keep(struct sink *sink, uint64_t bytes);
enum incise_status sink_write(struct sink *sink, const void *bytes, size_t n);
/* Overwrites the first `n` bytes, which were written before. */
enum incise_status sink_patch(struct sink *sink, const void *bytes, size_t n);
/* What was written is on the disk afterwards. */
enum incise_status sink_sync(struct sink *sink);
/* With `status` OK the file gets its name; else it goes, or stays as FILE.partial if `keep`. Always closes; returns
 * what failed first. */
enum incise_status sink_close(struct sink *sink, enum incise_status status, bool keep);

/* `path` with `suffix` behind it; free it. NULL when memory is short (reported). */
char *path_with(const char *path, const char *suffix);
/* Makes the names in the folder of `path` durable. */
enum incise_status sync_folder_of(const char *path);
enum incise_status fail_file(const char *path, int error, enum incise_status otherwise);

#endif
