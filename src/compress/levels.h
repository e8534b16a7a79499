/* SPDX-License-Identifier: Apache-2.0 */
/* One model at several precisions, and a program that runs any mixture of them: what accuracy control chooses from. */
#ifndef INC_COMPRESS_LEVELS_H
#define INC_COMPRESS_LEVELS_H

#include "base/arena.h"
#include "compress/changes.h"
#include "compress/stream.h"
#include "compress/targets.h"

#define INC_MOST_LEVELS 3

/* What changes its precision together: Linears that read the same rows (q, k, v; gate, up), or an embedding table. */
struct inc_unit {
    const char *name;      /* of its first layer */
    const uint32_t *slots; /* of its Linears, n of them; none for a table */
    size_t n;
    size_t table; /* its number among the tables, in the order of the plan */
    unsigned level;
};

/* Where a level takes its weights from, and how it reads rows. */
struct inc_level {
    struct inc_graph *graph;     /* not owned by the level */
    struct inc_program *program; /* of `graph`, on the null device: it has the contents of slots */
    bool per_row;                /* rows are quantized as they come, whatever the graph says */
    bool floats;                 /* rows stay floats, whatever the graph says */
};

struct inc_levels {
    const struct inc_ctx *ctx;
    struct inc_arena arena;
    struct inc_device *null_device;
    struct inc_graph *base;                      /* the model as it was: borrowed, the last level */
    struct inc_graph *graphs[INC_MOST_LEVELS];   /* those made here */
    struct inc_program *programs[INC_MOST_LEVELS];
    size_t n_graphs, n_programs;
    struct inc_level levels[INC_MOST_LEVELS]; /* from what was asked for to the model as it was */
    unsigned n_levels;
    struct inc_targets targets; /* in `base` */
    uint32_t *unit_of;          /* per target; UINT32_MAX: none */
    struct inc_unit *units;
    size_t n_units;
};

/* Quantizes copies of `graph`: as `options` say, which is level 0, and for weights or tables of int4 also to int8 by
 * the searched nearest codes. Rows that are static at level 0 are quantized per row at the next, rows that are
 * quantized per row are floats. `changes` get those of level 0. `graph` outlives the levels. Destroy in any case. */
enum incise_status inc_levels_create(struct inc_graph *graph, struct inc_pool *pool,
                                     const struct incise_quantize_options *options,
                                     struct inc_calibration *calibration, struct incise_changes *changes,
                                     struct inc_levels *levels) __attribute__((warn_unused_result));
void inc_levels_destroy(struct inc_levels *levels);

/* Lets `program`, a replaceable one of the model as it was, run a unit at a level. The levels must outlive it. */
enum incise_status inc_levels_set(struct inc_levels *levels, struct inc_program *program, size_t unit, unsigned level)
    __attribute__((warn_unused_result));
/* What a unit costs at a level: bytes, and per weight of a Linear 2 for float arithmetic, 1 for integers (INT8 runs
 * about twice as fast as FP32), .05 for quantizing rows as they come. */
double inc_levels_cost(const struct inc_levels *levels, size_t unit, unsigned level);
/* "int8 static", "int4 float", "f32", ... in `text`. */
void inc_levels_describe(const struct inc_levels *levels, size_t unit, unsigned level, char *text, size_t size);
/* The file graph of the mixture; the caller's. Layers whose integers multiply float rows are listed in rt_info
 * incise/float_layers. Nothing but inc_levels_destroy may follow. */
enum incise_status inc_levels_finish(struct inc_levels *levels, struct inc_graph **graph)
    __attribute__((warn_unused_result));

#endif
