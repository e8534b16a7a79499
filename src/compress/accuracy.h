/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy control: which units of a quantized model to give back how much precision, so that a requirement holds and
 * as little as possible is given back. Knows nothing of models: what a unit costs and loses is asked for. */
#ifndef INC_COMPRESS_ACCURACY_H
#define INC_COMPRESS_ACCURACY_H

#include "base/context.h"

#define INC_ACCURACY_LEVELS 3

/* How far a requirement is met. */
struct inc_verdict {
    const char *figure;
    double value, bound; /* the figure, and the end of its interval that must hold */
    double wanted;
    bool met;
    size_t texts; /* that were looked at: fewer than there are only if it is not met */
};

/* What the search asks for and tells. Levels count from 0, the cheapest, to n_levels - 1, where nothing is lost. */
struct inc_accuracy_ops {
    /* Lets unit `unit` run at a level. All are at the top when the search starts. */
    enum incise_status (*set)(void *user, size_t unit, unsigned level);
    double (*cost)(void *user, size_t unit, unsigned level);
    /* What the model loses as it is now, 0 for nothing: on few texts, to rank by. */
    enum incise_status (*loss)(void *user, double *loss);
    /* Whether the model as it is now meets what is required. */
    enum incise_status (*check)(void *user, struct inc_verdict *verdict);
    /* A decision: unit (SIZE_MAX: all of them) went from one level to another. `verdict` is NULL if it was not checked
     * then. */
    void (*moved)(void *user, size_t unit, unsigned from, unsigned to, const struct inc_verdict *verdict);
    /* `done` of `total` units are ranked. */
    void (*ranked)(void *user, size_t done, size_t total);
};

/* 1. All units go to level 0; if that meets the requirement it is the outcome. 2. Ranks: the loss of each unit at each
 * level while all others are at the top. 3. From level 0, steps up are taken in the order of loss avoided per cost, as
 * many at a time as were taken before, until the requirement is met; then halves of the last run are taken back. 4. The
 * most expensive steps that are left are tried without, at most INC_ACCURACY_TRIES of them. *last is the verdict on the
 * outcome: not met, if all units at the top do not meet it. */
#define INC_ACCURACY_TRIES 8
enum incise_status inc_accuracy_search(const struct inc_ctx *ctx, const struct inc_accuracy_ops *ops, void *user,
                                       size_t n_units, unsigned n_levels, struct inc_verdict *last)
    __attribute__((warn_unused_result));

#endif
