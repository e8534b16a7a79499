/* SPDX-License-Identifier: Apache-2.0 */
/* The output of `embed`: stdout, or a file that survives the death of its process.
 *
 * While FILE.partial is written, FILE.partial.json says from time to time how far it is on the disk, and of what. A
 * process that finds both checks them and goes on there. At the end FILE.partial becomes FILE; the manifest becomes
 * FILE.manifest.json if FILE is a shard, else it goes. */
#ifndef TOOLS_PART_H
#define TOOLS_PART_H

#include "manifest.h"
#include "sink.h"

#define PART_HEADER 128 /* bytes of the header of an .npy file of vectors */

struct part {
    const char *path; /* NULL: stdout */
    bool force;
    struct manifest manifest; /* of this run; lines and records: where it goes on */
    size_t header;            /* bytes before the vectors */
    struct sink sink;
    struct digest digest;  /* of the vectors' bytes */
    char *journal, *final; /* names of the manifests */
    bool open;
    bool finished; /* FILE is a shard that is complete already: nothing is to be written */
    bool begun;    /* a journal says that some of it is on the disk */
};

/* `identity` is a manifest with nothing but `vectors` and shards; it becomes the part's. Without `force`, what an
 * interrupted run with other options left behind is INCISE_ERROR_CREATE; with it, that is dropped. */
enum incise_status part_open(struct part *part, const char *path, bool force, size_t header, struct manifest *identity);
/* Begins anew: what was found does not belong to this input. */
enum incise_status part_restart(struct part *part);
enum incise_status part_write(struct part *part, const void *bytes, size_t n);
/* All that was written is durable, and belongs to the `lines` lines that `input` is the digest of. */
enum incise_status part_checkpoint(struct part *part, size_t lines, const struct digest *input);
/* With `status` OK the file is complete: `header` (if there is one) gets in front, and the file its name. Else it stays
 * as far as it is durable. Releases everything; returns what failed first. */
enum incise_status part_close(struct part *part, enum incise_status status, const char *header, size_t lines,
                              const struct digest *input);

#endif
