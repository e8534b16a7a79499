/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_API_MODEL_INTERNAL_H
#define INC_API_MODEL_INTERNAL_H

#include "api/engine_internal.h"
#include "incise/session.h"
#include "lower/run.h"

/* Integers of a Parameter that look up rows of a table. */
struct inc_id_table {
    int64_t rows; /* 0: the Parameter is no such list */
    char *layer;  /* the Gather */
};

struct incise_model {
    struct incise_engine *engine;
    struct inc_program *program;
    double load_seconds;
    size_t bytes;
    struct inc_id_table *id_tables; /* per input; the smallest table where several read it */
    size_t n_id_tables;
};

struct incise_session {
    struct incise_model *model;
    struct inc_run *run;
};

/* Loads an already read graph (not kept). */
enum incise_status inc_model_from_graph(struct incise_engine *engine, struct inc_graph *graph,
                                        const struct inc_program_options *options, struct incise_model **model)
    __attribute__((warn_unused_result));

#endif
