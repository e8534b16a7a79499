/* SPDX-License-Identifier: Apache-2.0 */
/* What the shape rules share. */
#ifndef INC_GRAPH_SHAPE_RULES_H
#define INC_GRAPH_SHAPE_RULES_H

#include "graph/graph.h"
#include "graph/shape.h"

/* ---- results --------------------------------------------------------------------------------------------------- */

/* Sets type, shape and elements (NULL: not known) of output `port`. `elements` has as many entries as `shape` has
 * elements, at most INC_MAX_KNOWN; it is copied. INCISE_ERROR_DATA for a shape with more than INC_MAX_RANK dims, a
 * negative dim, or more bytes than memory can hold. A rule may hand over invalid dims: the failure is reported here. */
enum incise_status inc_rule_set(struct inc_infer *infer, struct inc_node *node, uint32_t port, enum inc_type type,
                                const struct inc_shape *shape, const struct inc_dim *elements)
    __attribute__((warn_unused_result));

/* The dim, or known element, number `slot` of output `port` that the rule cannot follow. Not valid in the evaluator,
 * where everything must be known. */
struct inc_dim inc_rule_unknown_dim(struct inc_infer *infer, const struct inc_node *node, uint32_t port, size_t slot);
struct inc_dim inc_rule_unknown_element(struct inc_infer *infer, const struct inc_node *node, uint32_t port,
                                        size_t slot);

/* ---- inputs ---------------------------------------------------------------------------------------------------- */

enum { INC_CLASS_FLOAT = 1, INC_CLASS_INTEGER = 2, INC_CLASS_BOOL = 4, INC_CLASS_NUMBER = 3, INC_CLASS_ANY = 7 };

/* Fails unless the type of input `i` is one of `classes` (a union of the above). */
enum incise_status inc_rule_class(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, int classes)
    __attribute__((warn_unused_result));
/* Fails unless inputs `i` and `j` have the same type. */
enum incise_status inc_rule_same_type(const struct inc_infer *infer, const struct inc_node *node, uint32_t i,
                                      uint32_t j) __attribute__((warn_unused_result));
/* Fails unless the string attribute `name` is one of the NULL-terminated `words` (any case). *which: its index. */
enum incise_status inc_rule_word(const struct inc_infer *infer, const struct inc_node *node, const char *name,
                                 const char *const *words, int *which) __attribute__((warn_unused_result));

/* Known elements of integer input `i`, as inference follows them: entries may be symbols. False if nothing is known or
 * there are more than `max`. */
bool inc_rule_elements(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, struct inc_dim *elements,
                       size_t max, size_t *n);
/* The same for the value that a rule computes elements from: NULL if not known, and always in the evaluator. */
const struct inc_dim *inc_rule_known(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, size_t *n);
/* Input `i` must be one integer that is known; fails if it is not constant. */
enum incise_status inc_rule_constant(const struct inc_infer *infer, const struct inc_node *node, uint32_t i,
                                     int64_t *value) __attribute__((warn_unused_result));

/* `axis`, from the end if negative, in 0..rank-1. */
enum incise_status inc_rule_axis(const struct inc_infer *infer, const struct inc_node *node, int64_t axis, int rank,
                                 int *out) __attribute__((warn_unused_result));
/* Input `i` as a set of axes of `rank`, each at most once, bit a = axis a; *known is false (and no bit set) when the
 * input is not constant. */
enum incise_status inc_rule_axes(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, int rank,
                                 unsigned *axes, bool *known) __attribute__((warn_unused_result));
/* Input `i` must be an integer list (rank 1, or 0 for one entry); *n is its length, or -1 if that is symbolic. */
enum incise_status inc_rule_list(const struct inc_infer *infer, const struct inc_node *node, uint32_t i, int64_t *n)
    __attribute__((warn_unused_result));

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

/* Number of elements, if all dims are constant and it does not overflow. */
bool inc_shape_count(const struct inc_shape *shape, size_t *n);
/* Product of the dims from `first` to before `last`. */
struct inc_dim inc_shape_product(struct inc_infer *infer, const struct inc_shape *shape, int first, int last);
/* The one dim that both must be, though it may not be provable: a constant before a symbol, an older symbol before a
 * newer. False if they are different constants. Evaluation with concrete dims checks it again. */
bool inc_dim_unify(struct inc_dim a, struct inc_dim b, struct inc_dim *out);
/* Numpy broadcast of two dims: 1 gives way; else as inc_dim_unify. So two different symbols count as equal here; a dim
 * that is 1 at run time is broadcast when shapes are concrete. */
bool inc_dim_broadcast(struct inc_dim a, struct inc_dim b, struct inc_dim *out);
/* *out = numpy broadcast of the shapes of a and b (out may be either). Fails naming the dim. */
enum incise_status inc_rule_broadcast(const struct inc_infer *infer, const struct inc_node *node,
                                      const struct inc_shape *a, const struct inc_shape *b, struct inc_shape *out)
    __attribute__((warn_unused_result));
/* Index in a tensor of shape `in` of the element that is read for element `index` of `out`, to which it is broadcast.
 * All dims constant. */
size_t inc_shape_source(const struct inc_shape *out, const struct inc_shape *in, size_t index);

/* Length of what start:stop:step takes of dim `d`. Each of start and stop may be a symbol; `open` ends take all there
 * is. An invalid *start_dim or *stop_dim is one that is not known. */
struct inc_range_spec {
    struct inc_dim start, stop;
    int64_t step; /* not 0 */
    bool open_start, open_stop;
};
/* False if it cannot be told. A symbolic start or stop that is not negative is taken to lie inside the dim. */
bool inc_rule_slice_length(struct inc_infer *infer, struct inc_dim d, const struct inc_range_spec *range,
                           struct inc_dim *length);

#endif
