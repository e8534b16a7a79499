/* SPDX-License-Identifier: Apache-2.0 */
/* One model reading the calibration texts segment by segment: the residual stream of all tokens at one cut is kept, and
 * every look further into the model starts from there. */
#ifndef INC_COMPRESS_STREAM_H
#define INC_COMPRESS_STREAM_H

#include "compress/calibration.h"
#include "compress/moments.h"

#define INC_TEXT_COUNTS 48 /* rows: about as many as a text of the calibration has */

struct inc_stream {
    struct inc_calibration *calibration;
    struct inc_program *program;
    struct inc_run *run;
    size_t n_cuts; /* passed: the kept rows are those at cuts[n_cuts - 1]; 0: none are kept yet */
    float *rows;   /* all tokens x width of that cut, dense */
};

/* Linears that read the same rows. */
struct inc_reader_group {
    uint32_t step; /* the first of them */
    uint32_t n;    /* how many */
    uint32_t *steps;
    struct inc_operand rows;
    size_t width;
};

/* INCISE_ERROR_DATA if the program runs op by op, with the reason. Release in any case. */
enum incise_status inc_stream_open(struct inc_calibration *calibration, struct inc_program *program,
                                   struct inc_stream *stream) __attribute__((warn_unused_result));
void inc_stream_close(struct inc_stream *stream);

/* Starts batch `batch` and runs it up to before `step`, which must not lie before the kept cut. */
enum incise_status inc_stream_run(struct inc_stream *stream, size_t batch, size_t step)
    __attribute__((warn_unused_result));
/* The rows behind `operand` where the stream's run stands; `stride` in floats, `n` of them. */
const float *inc_stream_rows(const struct inc_stream *stream, struct inc_operand operand, size_t *stride, size_t *n);
/* Adds the rows of the batch that the stream's run stands at, one for each of `domain` (`pairs` without weights); of
 * tokens those of every text count as INC_TEXT_COUNTS rows together, whatever its length, as it is vectors of texts
 * that count in the end; and their mean as so many more: pooling leaves what an error has in common over a text.
 * `name`: see inc_moments_add. */
enum incise_status inc_stream_add(const struct inc_stream *stream, const char *name, enum inc_domain domain,
                                  const struct inc_row_pairs *pairs, struct inc_moments *moments)
    __attribute__((warn_unused_result));
/* Moves the kept rows on to the last cut at or before `step`, if that is further. */
enum incise_status inc_stream_advance(struct inc_stream *stream, size_t step) __attribute__((warn_unused_result));

/* What group `group` reads of a batch: n rows, `stride` floats apart. */
typedef enum incise_status inc_group_fn(void *user, size_t group, const float *rows, size_t n, size_t stride);
/* Runs batch `batch` from the start and shows what each of n groups reads. */
enum incise_status inc_stream_visit(struct inc_stream *stream, size_t batch, const struct inc_reader_group *groups,
                                    size_t n, inc_group_fn *look, void *user) __attribute__((warn_unused_result));

/* The groups of a plan in the order of their first steps, in `arena`. */
enum incise_status inc_reader_groups(const struct inc_plan *plan, struct inc_arena *arena,
                                     struct inc_reader_group **groups, size_t *n) __attribute__((warn_unused_result));

#endif
