/* SPDX-License-Identifier: Apache-2.0 */
/* Which weights an edit works on, and putting edited data where it belongs. */
#ifndef INC_COMPRESS_TARGETS_H
#define INC_COMPRESS_TARGETS_H

#include "graph/weight.h"

/* A weight as one reader uses it. */
struct inc_target {
    struct inc_node *reader; /* MatMul, or Gather from a table */
    uint32_t input;          /* which input of the reader */
    struct inc_weight weight;
};

struct inc_targets {
    const struct inc_ctx *ctx;
    struct inc_target *items; /* in the graph's order */
    size_t n, capacity;
};

/* Every MatMul with a constant 2-D weight (input 1, else input 0) and, with `tables`, every Gather by rows of one; of
 * those, the ones whose name or whose constant's name matches `select` (NULL: all) and not `ignore` (NULL: none).
 * INCISE_ERROR_USAGE if that leaves none or a regex is malformed. Marks the readers: input + 1; all other nodes: 0.
 * Release in any case. */
enum incise_status inc_targets_select(struct inc_graph *graph, bool tables, const char *select, const char *ignore,
                                      struct inc_targets *targets) __attribute__((warn_unused_result));
/* The marks again, after something else has used them. */
void inc_targets_mark(struct inc_graph *graph, const struct inc_targets *targets);
/* Whether an earlier target stands for the constant of target `index`. */
bool inc_target_is_repeated(const struct inc_targets *targets, size_t index);
/* The index of the target that `reader` is; targets->n if it is none. */
size_t inc_target_index(const struct inc_targets *targets, const struct inc_node *reader);
void inc_targets_release(struct inc_targets *targets);

/* Whether every reader of `value` (through Convert, Subtract, Multiply, Reshape, FakeQuantize) is a marked one. */
bool inc_target_is_private(const struct inc_value *value);

/* Gives targets first.. of the same constant new data: in place if only targets read it, else in a copy of the chain
 * for these readers. Takes over `data` (from inc_alloc, as many bytes as the constant has), also on failure. */
enum incise_status inc_target_store(struct inc_graph *graph, const struct inc_targets *targets, size_t first,
                                    void *data)
    __attribute__((warn_unused_result));

#endif
