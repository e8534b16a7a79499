/* SPDX-License-Identifier: Apache-2.0 */
/* Calibration texts as batches of token ids, ready to feed any program made from one model. */
#ifndef INC_COMPRESS_CALIBRATION_H
#define INC_COMPRESS_CALIBRATION_H

#include "base/file.h"
#include "incise/compress.h"
#include "lower/run.h"
#include "lower/text_inputs.h"

#define INC_CALIBRATION_TOKENS 32768 /* taken unless asked otherwise */

struct inc_calibration_text {
    size_t index; /* in the caller's order */
    size_t first, count;
};

/* Texts [first, first + n), padded to `length`, with `tokens` real tokens; row `row` of all tokens is its first. */
struct inc_calibration_batch {
    size_t first, n, length, tokens, row;
    bool held_out; /* kept from fitting, to choose between fits */
};

struct inc_calibration {
    const struct inc_ctx *ctx;
    struct inc_pool *pool;
    struct inc_device *device; /* programs run on it */
    int32_t *ids; /* of all texts, those of other shards too */
    size_t n_ids, ids_capacity;
    char hash[INC_HASH_HEX]; /* of the ids and where each text begins */
    struct inc_calibration_text *texts; /* those to fit first, then those held out; longest first in each part */
    size_t n_texts, texts_capacity;
    struct inc_calibration_batch *batches;
    size_t n_batches, batches_capacity;
    struct inc_text_inputs inputs;
    struct inc_tensor tensors[INC_MAX_TEXT_INPUTS]; /* of the batch that was fed last */
};

/* Whether text `index` of the caller's is kept from fitting: of sixteen the last two. In pairs, since prompts are given
 * in turn, so that both kinds of text are held out. */
bool inc_calibration_holds_out(size_t index);

/* Tokenizes for the inputs of `graph`, whose model lies in `folder`.
 * INCISE_ERROR_DATA for texts without any token; a shard may have none. The device's pool is `pool`. Nothing of `texts`
 * is kept. */
enum incise_status inc_calibration_create(const struct inc_graph *graph, struct inc_pool *pool,
                                          struct inc_device *device, const char *folder,
                                          const struct incise_calibration *texts, struct inc_calibration **calibration)
    __attribute__((warn_unused_result));
void inc_calibration_destroy(struct inc_calibration *calibration); /* NULL is fine */

/* inc_run_begin with batch `index`. */
enum incise_status inc_calibration_begin(struct inc_calibration *calibration, struct inc_run *run, size_t index)
    __attribute__((warn_unused_result));

#endif
