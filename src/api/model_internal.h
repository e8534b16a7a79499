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
    struct inc_pack *pack; /* that the program's weights lie in; NULL: they do not lie in one */
    double load_seconds;
    size_t bytes;
    struct inc_id_table *id_tables; /* per input; the smallest table where several read it */
    size_t n_id_tables;
};

struct incise_session {
    struct incise_model *model;
    struct inc_run *run;
};

/* What the options ask for; INCISE_ERROR_USAGE if nobody initialized them. `options` may be NULL. */
enum incise_status inc_model_options(struct incise_engine *engine, const struct incise_load_options *options,
                                     struct inc_program_options *program) __attribute__((warn_unused_result));
/* Whether `path` cannot name a model itself, but may be a file of packed weights. */
bool inc_model_is_packed(const char *path);
/* Loads an .xml file or a folder, and such a file. */
enum incise_status inc_model_from_file(struct incise_engine *engine, const char *path,
                                       const struct inc_program_options *options, struct incise_model **model)
    __attribute__((warn_unused_result));
enum incise_status inc_model_from_pack(struct incise_engine *engine, const char *path,
                                       struct inc_program_options *options, struct incise_model **model)
    __attribute__((warn_unused_result));
/* Loads an already read graph (not kept). */
enum incise_status inc_model_from_graph(struct incise_engine *engine, struct inc_graph *graph,
                                        const struct inc_program_options *options, struct incise_model **model)
    __attribute__((warn_unused_result));

#endif
