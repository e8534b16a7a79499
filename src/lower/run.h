/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program: packs the tokens of a padded batch, evaluates the index part, runs the steps, unpacks the outputs. */
#ifndef INC_LOWER_RUN_H
#define INC_LOWER_RUN_H

#include "graph/eval_ref/eval.h"
#include "lower/program.h"

enum inc_tap_point {
    INC_TAP_LINEAR_INPUT,  /* rows that a Linear reads (float, before quantization) */
    INC_TAP_LINEAR_OUTPUT, /* rows that it wrote, with bias, activation and residual */
    INC_TAP_RESIDUAL       /* the residual stream at a cut, before step `index` */
};

/* Rows seen in passing: `n` rows of `width` floats, `stride` floats apart, valid during the call. `index` is a slot
 * index for Linears and a step index for the residual stream. */
typedef void inc_tap_fn(void *user, enum inc_tap_point point, uint32_t index, const float *rows, size_t n, size_t width,
                        size_t stride);

/* A value of the index part, which is kept for the next run if it depends on [batch, length] only. */
struct inc_index_value {
    const struct inc_value *value;
    bool by_shape;
    struct inc_tensor tensor;
};

/* Memory for one run at a time. */
struct inc_run {
    struct inc_program *program;
    void *arena;
    size_t arena_bytes;
    size_t capacity[INC_DOMAINS]; /* rows */
    uint32_t *start;
    int32_t *position;
    uint32_t *sequence; /* of each token */
    void **buffers;     /* per plan buffer */
    size_t *row_bytes;
    bool *passing;
    struct inc_bias *biases;
    void *scratch;
    size_t scratch_bytes;
    struct inc_feed *feeds;  /* per Parameter; borrowed data */
    struct inc_index_value *wanted; /* index values, then biases */
    size_t n_wanted;
    struct inc_feed *evaluated; /* those of a run, while they are evaluated */
    int64_t index_dims[2];      /* [batch, length] that the values with by_shape are of; 0: of none */
    struct inc_tensor *outputs; /* per Result */
    double *seconds;            /* per step, of the last run, when `timed`: busy time of all workers / workers */
    bool timed;
    inc_tap_fn *tap;
    void *tap_user;
    struct inc_batch batch;
};

enum incise_status inc_run_create(struct inc_program *program, struct inc_run **run)
    __attribute__((warn_unused_result));
void inc_run_destroy(struct inc_run *run); /* NULL is fine */

/* `inputs`: one borrowed tensor per Parameter. Results are in run->outputs afterwards, until the next call. */
enum incise_status inc_run_execute(struct inc_run *run, const struct inc_tensor *inputs, size_t n_inputs)
    __attribute__((warn_unused_result));

/* Segments: the steps between neighbouring cuts read and write one buffer, the residual stream, and else only lengths
 * and positions. inc_run_begin packs a batch and leaves before step 0; inc_run_steps runs [from, to); inc_run_rows
 * gives the rows of a buffer, to read or to put cached hidden states into. */
enum incise_status inc_run_begin(struct inc_run *run, const struct inc_tensor *inputs, size_t n_inputs)
    __attribute__((warn_unused_result));
enum incise_status inc_run_steps(struct inc_run *run, size_t from, size_t to) __attribute__((warn_unused_result));
float *inc_run_rows(const struct inc_run *run, uint32_t buffer, size_t *stride);

/* Bytes that a run of `sequences` x `length` without padding would need. SIZE_MAX if that overflows. */
size_t inc_run_estimate(const struct inc_program *program, size_t sequences, size_t length);

#endif
