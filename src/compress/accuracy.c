/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/accuracy.h"

#include <stdlib.h>

#include "base/size.h"

/* A step up of one unit that avoids `gain` of loss for `cost`. */
struct step {
    size_t unit;
    unsigned from, to;
    double gain, cost;
};

struct unit {
    unsigned level;
    double loss[INC_ACCURACY_LEVELS], cost[INC_ACCURACY_LEVELS];
};

struct search {
    const struct inc_ctx *ctx;
    const struct inc_accuracy_ops *ops;
    void *user;
    struct unit *units;
    size_t n_units;
    unsigned n_levels;
    struct step *steps; /* best first; those of one unit in order */
    size_t n_steps, taken;
    struct step move; /* made, and not told yet */
    bool untold;
};

/* ---- moves ----------------------------------------------------------------------------------------------------- */

static void tell(struct search *search, const struct inc_verdict *verdict)
{
    const struct step *made = &search->move;
    if (search->untold) search->ops->moved(search->user, made->unit, made->from, made->to, verdict);
    search->untold = false;
}

static enum incise_status move(struct search *search, size_t unit, unsigned to)
{
    unsigned from = search->units[unit].level;
    if (from == to) return INCISE_OK;
    tell(search, NULL);
    INC_TRY(search->ops->set(search->user, unit, to));
    search->units[unit].level = to;
    search->move = (struct step){.unit = unit, .from = from, .to = to};
    search->untold = true;
    return INCISE_OK;
}

static enum incise_status check(struct search *search, struct inc_verdict *verdict)
{
    INC_TRY(search->ops->check(search->user, verdict));
    tell(search, verdict);
    return INCISE_OK;
}

/* Takes the first `n` steps and no others. */
static enum incise_status take(struct search *search, size_t n)
{
    for (; search->taken < n; search->taken++)
        INC_TRY(move(search, search->steps[search->taken].unit, search->steps[search->taken].to));
    for (; search->taken > n; search->taken--)
        INC_TRY(move(search, search->steps[search->taken - 1].unit, search->steps[search->taken - 1].from));
    return INCISE_OK;
}

/* ---- ranking --------------------------------------------------------------------------------------------------- */

static enum incise_status rank_units(struct search *search)
{
    const unsigned top = search->n_levels - 1;
    for (size_t u = 0; u < search->n_units; u++) {
        struct unit *unit = &search->units[u];
        for (unsigned l = 0; l < top; l++) {
            INC_TRY(search->ops->set(search->user, u, l));
            INC_TRY(search->ops->loss(search->user, &unit->loss[l]));
        }
        INC_TRY(search->ops->set(search->user, u, top));
        unit->loss[top] = 0;
        for (unsigned l = 0; l <= top; l++) unit->cost[l] = search->ops->cost(search->user, u, l);
        unit->level = top;
        search->ops->ranked(search->user, u + 1, search->n_units);
    }
    return INCISE_OK;
}

static double worth(const struct step *step)
{
    return step->cost > 0 ? step->gain / step->cost : 0;
}

/* From a level up: of all higher ones that cost more the one that avoids most for it, and so on to the top, which comes
 * last even if nothing is gained. The worth of these steps falls. */
static void add_steps(struct search *search, size_t index)
{
    const struct unit *unit = &search->units[index];
    const unsigned top = search->n_levels - 1;
    for (unsigned from = 0; from < top;) {
        struct step best = {index, from, top, unit->loss[from] - unit->loss[top], unit->cost[top] - unit->cost[from]};
        for (unsigned to = from + 1; to < top; to++) {
            const struct step other = {index, from, to, unit->loss[from] - unit->loss[to],
                                       unit->cost[to] - unit->cost[from]};
            if (other.cost > 0 && worth(&other) > worth(&best)) best = other;
        }
        search->steps[search->n_steps++] = best;
        from = best.to;
    }
}

static int by_worth(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    double left = worth(x), right = worth(y);
    if (left != right) return left > right ? -1 : 1;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static enum incise_status set_all(struct search *search, unsigned level)
{
    for (size_t u = 0; u < search->n_units; u++) {
        INC_TRY(search->ops->set(search->user, u, level));
        search->units[u].level = level;
    }
    return INCISE_OK;
}

static enum incise_status plan_steps(struct search *search)
{
    INC_TRY(set_all(search, search->n_levels - 1));
    INC_TRY(rank_units(search));
    for (size_t u = 0; u < search->n_units; u++) add_steps(search, u);
    qsort(search->steps, search->n_steps, sizeof *search->steps, by_worth);
    return set_all(search, 0);
}

/* ---- down, up, and back ---------------------------------------------------------------------------------------- */

static enum incise_status drop(struct search *search, struct inc_verdict *verdict)
{
    INC_TRY(set_all(search, 0));
    search->move = (struct step){.unit = SIZE_MAX, .from = search->n_levels - 1};
    search->untold = true;
    return check(search, verdict);
}

static enum incise_status climb(struct search *search, struct inc_verdict *verdict)
{
    size_t low = 0, high = 0;
    while (!verdict->met && high < search->n_steps) {
        low = high;
        high = inc_min_size(inc_max_size(1, 2 * high), search->n_steps);
        INC_TRY(take(search, high));
        INC_TRY(check(search, verdict));
    }
    while (verdict->met && high - low > 1) {
        struct inc_verdict there;
        size_t middle = low + (high - low) / 2;
        INC_TRY(take(search, middle));
        INC_TRY(check(search, &there));
        *(there.met ? &high : &low) = middle;
        if (there.met) *verdict = there;
    }
    return take(search, high);
}

static int by_cost(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    return x->cost > y->cost ? -1 : x->cost < y->cost;
}

/* Tries to do without steps that were taken, the last one apart: it was needed. Steps of a unit from the last back. */
static enum incise_status descend(struct search *search, struct inc_verdict *verdict)
{
    size_t n = search->taken > 0 ? search->taken - 1 : 0, tries = 0;
    qsort(search->steps, n, sizeof *search->steps, by_cost);
    for (size_t i = 0; i < n && tries < INC_ACCURACY_TRIES; i++) {
        const struct step *step = &search->steps[i];
        struct inc_verdict there;
        if (search->units[step->unit].level != step->to) continue;
        INC_TRY(move(search, step->unit, step->from));
        INC_TRY(check(search, &there));
        tries++;
        if (there.met)
            *verdict = there;
        else
            INC_TRY(move(search, step->unit, step->to));
    }
    tell(search, verdict);
    return INCISE_OK;
}

enum incise_status inc_accuracy_search(const struct inc_ctx *ctx, const struct inc_accuracy_ops *ops, void *user,
                                       size_t n_units, unsigned n_levels, struct inc_verdict *last)
{
    struct search search = {.ctx = ctx, .ops = ops, .user = user, .n_units = n_units, .n_levels = n_levels};
    search.units = inc_alloc_zero(ctx, n_units, sizeof *search.units);
    search.steps = inc_alloc_array(ctx, n_units, INC_ACCURACY_LEVELS * sizeof *search.steps);
    enum incise_status status = search.units != NULL && search.steps != NULL
                                    ? drop(&search, last)
                                    : inc_fail_memory(ctx, n_units * sizeof *search.units, "accuracy control");
    if (status == INCISE_OK && !last->met) {
        status = plan_steps(&search);
        if (status == INCISE_OK) status = climb(&search, last);
        if (status == INCISE_OK && last->met) status = descend(&search, last);
    }
    inc_free(ctx, search.units);
    inc_free(ctx, search.steps);
    return status;
}
