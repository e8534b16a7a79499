/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed files (base/sealed.h) that keep what was worked out from calibration texts, and say what it was worked out
 * from: the facts of their origin are the first table. */
#ifndef INC_COMPRESS_KEPT_H
#define INC_COMPRESS_KEPT_H

#include "base/sealed.h"
#include "compress/calibration.h"
#include "graph/graph.h"

#define INC_MAX_FACTS 8

/* One thing that the result depends on: "pattern" and "block:32x4". */
struct inc_fact {
    char name[16], value[48];
};

struct inc_origin {
    struct inc_fact facts[INC_MAX_FACTS];
    size_t n;
};

/* The model's and the texts' hash, and how many tokens: whatever decides what the model makes of them. */
enum incise_status inc_origin_of(const struct inc_graph *graph, const struct inc_calibration *calibration,
                                 struct inc_origin *origin) __attribute__((warn_unused_result));
void inc_origin_add(struct inc_origin *origin, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Begins a file: tables follow with inc_blob_put. */
void inc_kept_begin(struct inc_buffer *bytes, const struct inc_sealed_kind *kind, const struct inc_origin *origin);
/* Seals it and writes it to `path`, in place of what is there. */
enum incise_status inc_kept_write(struct inc_buffer *bytes, const char *path) __attribute__((warn_unused_result));

struct inc_kept {
    struct inc_sealed sealed; /* its `tables`: those behind the origin */
    struct inc_origin origin;
};

/* As inc_sealed_read; release in any case. */
enum incise_status inc_kept_read(const struct inc_ctx *ctx, const char *path, const struct inc_sealed_kind *kind,
                                 struct inc_kept *kept) __attribute__((warn_unused_result));
/* The origin alone, as the file gives it: whether it is undamaged shows when it is read. */
enum incise_status inc_kept_peek(const struct inc_ctx *ctx, const char *path, const struct inc_sealed_kind *kind,
                                 struct inc_origin *origin) __attribute__((warn_unused_result));
void inc_kept_release(const struct inc_ctx *ctx, struct inc_kept *kept);

/* INCISE_ERROR_DATA, naming the first fact in which the file's origin is not `wanted`. */
enum incise_status inc_kept_match(const struct inc_ctx *ctx, const char *path, const struct inc_origin *origin,
                                  const struct inc_origin *wanted) __attribute__((warn_unused_result));

#endif
