/* SPDX-License-Identifier: Apache-2.0 */
/* Feed-forward channels: the inner width of  out(act(in(x)))  and  out(act(gate(x)) * up(x)). A channel is a row of the
 * inner matrices, with its bias, and a column of the outer one. */
#ifndef INC_COMPRESS_CHANNEL_H
#define INC_COMPRESS_CHANNEL_H

#include "compress/targets.h"

#define INC_CHANNEL_STEP 32 /* widths stay multiples of it: whole strips of every kernel */

/* One feed-forward layer, as MatMuls of the file graph. */
struct inc_feed_forward {
    struct inc_target outer;
    struct inc_target inner[2]; /* one, or gate and up */
    uint32_t n_inner;
};

struct inc_feed_forwards {
    const struct inc_ctx *ctx;
    struct inc_feed_forward *items;
    size_t n, capacity;
};

/* Finds them by how the lowered model computes, not by names: a Linear whose rows come from one Linear with an
 * activation, or from the gated product of two, that nobody else reads. Of those, the ones whose outer MatMul is in
 * `targets`. INCISE_ERROR_USAGE if there is none, INCISE_ERROR_DATA if the model runs op by op. Destroys marks.
 * Release in any case. */
enum incise_status inc_feed_forwards_find(struct inc_graph *graph, const struct inc_targets *targets,
                                          struct inc_feed_forwards *found) __attribute__((warn_unused_result));
/* Drops the layers of which not every matrix is a target. */
void inc_feed_forwards_keep_whole(struct inc_feed_forwards *found, const struct inc_targets *targets);
void inc_feed_forwards_release(struct inc_feed_forwards *found);

/* How many of `width` channels go for `share`: what stays is a multiple of INC_CHANNEL_STEP, at least one of it. */
size_t inc_channels_to_remove(size_t width, double share);

/* Takes the channels with removed[i] out of the file graph's constants. Shapes have to be inferred anew. */
enum incise_status inc_channels_remove(struct inc_graph *graph, const struct inc_feed_forward *layer,
                                       const bool *removed) __attribute__((warn_unused_result));

#endif
