/* SPDX-License-Identifier: Apache-2.0 */
/* Speed of several models on the same made-up texts, measured round by round so that all see the same machine. */
#ifndef TOOLS_TIMING_H
#define TOOLS_TIMING_H

#include "incise/session.h"
#include "tool.h"

/* One model's memory for a measurement. */
struct timed {
    struct incise_model *model; /* the caller's */
    struct incise_session *session;
    struct incise_tensor *inputs, *outputs;
    size_t n_inputs, n_outputs;
    double *seconds; /* of each round */
    size_t capacity;
};

enum incise_status timed_init(struct timed *timed, struct incise_model *model);
void timed_release(struct timed *timed);

/* Runs every model once per round on `batch` texts of `length` tokens: ids inside the vocabulary, all real, positions
 * counted. Rounds go on until each model had `seconds`, and to 20 unless they take four times that, but never fewer
 * than 5; two rounds before are not counted. The model that runs first changes from round to round. */
enum incise_status timed_measure(struct timed *models, size_t n, size_t batch, size_t length, double seconds,
                                 size_t *rounds);

/* The `share`-quantile (0..1) of n > 0 values in rising order, interpolated linearly. */
double quantile_of_sorted(const double *values, size_t n, double share);
void sort_values(double *values, size_t n);

#endif
