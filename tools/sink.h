/* SPDX-License-Identifier: Apache-2.0 */
/* One output file that appears complete or not at all, or stdout. */
#ifndef TOOLS_SINK_H
#define TOOLS_SINK_H

#include "tool.h"

struct sink {
    FILE *file;
    const char *path; /* NULL: stdout */
    char *temporary;
    bool force;
};

/* `path` NULL or "-" is stdout. INCISE_ERROR_CREATE when it exists and not `force`. */
enum incise_status sink_open(struct sink *sink, const char *path, bool force);
enum incise_status sink_write(struct sink *sink, const void *bytes, size_t n);
/* With `status` OK the file gets its name; else it goes. Always closes; returns what failed first. */
enum incise_status sink_close(struct sink *sink, enum incise_status status);

#endif
